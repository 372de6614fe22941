"""The functions and letters that have names of their own, and what is computed of functions of numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from operator import mul

from phi4r_lib.problems.math.powers import root, to_power
from phi4r_lib.problems.math.terms import MOST_BITS, ONE, Form, Open, function, letter, number

FUNCTIONS = frozenset([
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log",
    "exp",
])  # fmt: skip
INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
GREEK = frozenset([
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "Gamma",
    "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "ell", "hbar", "infty", "emptyset",
])  # fmt: skip
MOST_FACTORIAL = 400
MOST_STEPS = 6


def applied(name: str, base: Form | None, argument: Form) -> Form:
    if name == "exp":
        return to_power(letter("e"), argument)
    if name == "log" and base is not None:
        return function("logbase", argument, base)
    return function(name, argument)


def marked(value: Form, sign: str, commands: set[str]) -> Form:
    """A value with !, !!, %, ‰ or ° behind it; ° is pi / 180 beside a function and elsewhere a letter of its own."""
    if sign in "%‰":
        return value / number(100 if sign == "%" else 1000)
    if sign == "°":
        beside_function = not FUNCTIONS.isdisjoint(command[1:] for command in commands)
        return value * (letter("\\pi") / number(180) if beside_function else letter("°"))
    return double_factorial(value) if sign == "!!" else factorial(value)


def magnitude(value: Form) -> Form:
    """|value|, of complex numbers with rational parts too."""
    imaginary = frozenset([(("i",), 1)])
    if len(value.below) > 1 or value.above.keys() - {ONE, imaginary}:
        return function("abs", value)
    real, beside = (value.above.get(part, Fraction(0)) for part in (ONE, imaginary))
    return root(number(real**2 + beside**2), 2) if beside else number(abs(real))


def factorial(value: Form) -> Form:
    """n! of a number; (n+2)! as (n+2)(n+1) n!, and (n-1)! as n!/n, so that equal ones have the same terms."""
    whole = value.rational()
    if whole is None:
        step = value.above.get(ONE, Fraction(0)) if len(value.below) == 1 else Fraction(0)
        if step.denominator != 1 or abs(step) > MOST_STEPS:
            return function("factorial", value)
        least = value - number(step)
        between = [least + number(place) for place in range(min(0, int(step)) + 1, max(0, int(step)) + 1)]
        between = reduce(mul, between, number(1))
        return function("factorial", least) * between if step > 0 else function("factorial", least) / between
    if whole.denominator != 1 or not 0 <= whole <= MOST_FACTORIAL:
        raise Open
    return number(math.factorial(int(whole)))


def double_factorial(value: Form) -> Form:
    """n!! = n (n-2) (n-4) ..., not the factorial of a factorial."""
    whole = value.rational()
    if whole is None:
        return function("double factorial", value)
    if whole.denominator != 1 or not 0 <= whole <= MOST_FACTORIAL:
        raise Open
    return number(math.prod(range(int(whole), 0, -2)))


def binomial(above: Form, below: Form) -> Form:
    n, k = above.rational(), below.rational()
    if n is None or k is None:
        return function("binomial", above, below)
    if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n:
        raise Open
    if min(k, n - k) * int(n).bit_length() > MOST_BITS:  # the result has no more bits than that
        raise Open
    return number(math.comb(int(n), int(k)))
