"""Values of formulas at points, to many digits: what tells two formulas apart that have no common exact form.

Each letter has its own pseudo-random value at each point, so that no pattern of the letters (a + d and b + c) makes
different formulas agree. Values never prove formulas equal here; they prove them different, and they round.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from functools import lru_cache

import mpmath

from phi4r_lib.problems.math.terms import ONE, Atom, Form, Open, difference

POINTS = 3
_DIGITS = 60  # and as many more as the numbers have
_FUNCTIONS = {
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "cot": mpmath.cot, "sec": mpmath.sec, "csc": mpmath.csc,
    "arcsin": mpmath.asin, "arccos": mpmath.acos, "arctan": mpmath.atan, "sinh": mpmath.sinh, "cosh": mpmath.cosh,
    "tanh": mpmath.tanh, "ln": mpmath.ln, "abs": abs, "power": mpmath.power, "logbase": mpmath.log,
    "floor": mpmath.floor, "ceil": mpmath.ceil,
}  # fmt: skip


class Unknown(Exception):
    """No value is to be had: an unknown function, a pole, a number too large."""


def differ(one: Form, other: Form) -> bool | None:
    """True where the formulas differ at every point, None where that cannot be told.

    The difference is summed term by term with 60 digits and as many more as its numbers have bits; it counts as
    different from zero when it is larger than the largest term with half of these digits.
    """
    try:
        rest = difference(one, other)
        with mpmath.workdps(_digits(rest)):
            return all(_clearly_not_zero(rest, point) for point in range(POINTS)) or None
    except (Unknown, Open, ArithmeticError, ValueError, TypeError, RecursionError):
        return None


def rounds_to(form: Form, value: Fraction, half_unit: Fraction) -> bool:
    """True where a constant formula rounds to the decimal `value`, whose last digit is worth 2 * half_unit."""
    try:
        with mpmath.workdps(_digits(form) + 20):
            gap = _value(form, 0) - mpmath.mpf(value.numerator) / value.denominator
            limit = mpmath.mpf(half_unit.numerator) / half_unit.denominator
            return not form.letters() - {"\\pi", "e"} and abs(gap) <= limit * (1 + mpmath.mpf(10) ** -_DIGITS)
    except (Unknown, Open, ArithmeticError, ValueError, TypeError, RecursionError):
        return False


def _digits(form: Form) -> int:
    """Digits to compute with: 60, and one per bit of every number in the formula."""
    forms = [form] + [inner for atom in form.atoms() for inner in atom[1:] if isinstance(inner, Form)]
    factors = [factor for one in forms for side in (one.above, one.below) for factor in side.values()]
    bits = sum(max(factor.numerator.bit_length(), factor.denominator.bit_length()) for factor in set(factors))
    if bits > 4000:
        raise Unknown
    return _DIGITS + bits


def _clearly_not_zero(form: Form, point: int) -> bool:
    terms = [_term(term, point) * factor.numerator / factor.denominator for term, factor in form.above.items()]
    total, largest = mpmath.fsum(terms), max((abs(term) for term in terms), default=mpmath.mpf(0))
    if not mpmath.isfinite(largest):
        raise Unknown
    return bool(abs(total) > largest * mpmath.mpf(10) ** -(mpmath.mp.dps // 2))


def _value(form: Form, point: int):
    above, below = (
        mpmath.fsum(_term(term, point) * factor.numerator / factor.denominator for term, factor in part.items())
        for part in (form.above, form.below)
    )
    if form.below != {ONE: 1} and not _clearly_not_zero(Form(form.below), point):
        raise Unknown
    return above / below


def _term(term, point: int):
    product = mpmath.mpf(1)
    for atom, power in term:
        if abs(power) > 10_000:
            raise Unknown
        value = _atom(atom, point)
        exponent = int(power) if power == int(power) else mpmath.mpf(power.numerator) / power.denominator
        product *= value**exponent
    return product


def _atom(atom: Atom, point: int):
    return _atom_to(atom, point, mpmath.mp.dps)


@lru_cache(maxsize=1 << 12)
def _atom_to(atom: Atom, point: int, digits: int):
    """The value of an atom to the digits in force, computed once however often a formula names it."""
    kind = atom[0]
    if kind == "letter":
        return _letter(atom[1], point)
    if kind == "prime":
        return mpmath.mpf(atom[1])
    if kind == "i":
        return mpmath.mpc(0, 1)
    if kind == "base":
        return _value(atom[1], point)
    if kind == "power":
        exponent = _term(atom[2], point)
        return _finite_power(_atom(atom[1], point), exponent)
    if atom[1] in _FUNCTIONS:
        arguments = [_value(form, point) for form in atom[2:]]
        value = _finite_power(*arguments) if atom[1] == "power" else _FUNCTIONS[atom[1]](*arguments)
        if 0 < abs(value) < mpmath.mpf(10) ** -(mpmath.mp.dps // 2) and atom[1] != "power":
            raise Unknown  # \\sin \\pi is 0, and here a rounding of it
        return value
    raise Unknown


def _finite_power(base, exponent):
    if abs(exponent) > 100_000:
        raise Unknown
    return mpmath.power(base, exponent)


def _letter(name: str, point: int):
    """pi, e, or a value between 0.5 and 3.5 that depends on the whole name and on the point."""
    if name == "\\pi":
        return +mpmath.pi
    if name == "e":
        return +mpmath.e
    digest = hashlib.sha256(f"{name} {point}".encode()).digest()
    return mpmath.mpf(0.5) + 3 * mpmath.mpf(int.from_bytes(digest[:12], "big")) / (1 << 96)
