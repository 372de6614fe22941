"""Exact arithmetic on formulas: a quotient of two sums of terms, multiplied out over the rational numbers.

A term is a fraction times powers of atoms: letters, prime numbers under roots, pi, e, i, and what is kept closed
(functions, roots of sums, powers with letters in the exponent). `difference` is zero for equal formulas, and `free` tells
where it is zero for no others. Not here: reading text (reader.py), powers (powers.py), identities of functions
(math-verify, in referee.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

# ("letter", name), ("prime", p), ("i",), ("base", Form), ("power", Atom, Monomial), ("function", name, Form, ...)
Atom = tuple
Monomial = frozenset  # of (Atom, exponent); exponents are integers or fractions
Sum = dict  # Monomial -> Fraction, no zeros

MOST_TERMS = 400
MOST_BITS = 1 << 14
ONE: Monomial = frozenset()
POSITIVE_LETTERS = ("\\pi", "e")


class Open(Exception):
    """The formula is outside of what is done here, or too large for it."""


class Undefined(Open):
    """A division by zero."""


class Form:
    """One formula as `above / below`, both sums of terms; equal formulas may have different forms, see `difference`."""

    __slots__ = ("_hash", "above", "below")

    def __init__(self, above: Sum, below: Sum | None = None) -> None:
        self.above, self.below, self._hash = above, below or {ONE: Fraction(1)}, None
        if below is not None and len(below) == 1 and below.get(ONE) != 1:
            self.above, self.below = _product(above, _inverse(below)), {ONE: Fraction(1)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Form) and self.above == other.above and self.below == other.below

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((frozenset(self.above.items()), frozenset(self.below.items())))
        return self._hash

    def __add__(self, other: Form) -> Form:
        if self.below == other.below:
            return Form(_added(self.above, other.above), self.below)
        return Form(_added(_product(self.above, other.below), _product(other.above, self.below)),
                    _product(self.below, other.below))  # fmt: skip

    def __neg__(self) -> Form:
        return Form({term: -factor for term, factor in self.above.items()}, self.below)

    def __sub__(self, other: Form) -> Form:
        return self + -other

    def __mul__(self, other: Form) -> Form:
        return Form(_product(self.above, other.above), _product(self.below, other.below))

    def __truediv__(self, other: Form) -> Form:
        if not other.above:
            raise Undefined
        return Form(_product(self.above, other.below), _product(self.below, other.above))

    def rational(self) -> Fraction | None:
        """The number that this is, where it is a rational one and no sum is below the line."""
        if len(self.below) > 1 or self.above.keys() - {ONE}:
            return None
        return self.above.get(ONE, Fraction(0))

    def atoms(self) -> set[Atom]:
        """All atoms, those inside of closed ones included."""
        found: set[Atom] = set()
        waiting = self.outer_atoms()
        while waiting:
            atom = waiting.pop()
            if atom not in found:
                found.add(atom)
                waiting.extend(_inside(atom))
        return found

    def outer_atoms(self) -> list[Atom]:
        return [atom for part in (self.above, self.below) for term in part for atom, _ in term]

    def letters(self) -> set[str]:
        return {atom[1] for atom in self.atoms() if atom[0] == "letter"}


def _inside(atom: Atom) -> list[Atom]:
    """The atoms one level down."""
    if atom[0] == "power":
        return [atom[1], *(inner for inner, _ in atom[2])]
    return [inner for part in atom[1:] if isinstance(part, Form) for inner in part.outer_atoms()]


def number(value: Fraction | int) -> Form:
    """A rational number as a form."""
    value = Fraction(value)
    return Form({ONE: value} if value else {})


def single(atom: Atom) -> Form:
    """One atom as a form."""
    return Form({frozenset([(atom, 1)]): Fraction(1)})


def letter(name: str) -> Form:
    """A variable, pi or e; the letter i is the imaginary unit."""
    return single(("i",) if name == "i" else ("letter", name))


def function(name: str, *arguments: Form) -> Form:
    """A function that is kept closed: equal to itself for equal arguments only."""
    return single(("function", name, *arguments))


def _inverse(part: Sum) -> Sum:
    """One over a single term: of 3x the term (1/3) x^-1."""
    ((term, factor),) = part.items()
    return {one: value / factor for one, value in _joined(ONE, [(atom, -power) for atom, power in term]).items()}


def _added(one: Sum, other: Sum) -> Sum:
    total = dict(one)
    for term, factor in other.items():
        value = total.get(term, 0) + factor
        if value:
            total[term] = value
        else:
            del total[term]
    return _checked(total)


def _checked(total: Sum) -> Sum:
    if len(total) > MOST_TERMS:
        raise Open
    for factor in total.values():
        if factor.numerator.bit_length() > MOST_BITS or factor.denominator.bit_length() > MOST_BITS:
            raise Open
    return total


def _product(one: Sum, other: Sum) -> Sum:
    if len(one) * len(other) > 50 * MOST_TERMS:
        raise Open
    if len(other) == 1 and other.get(ONE) == 1:
        return one
    total: Sum = {}
    for left, first in one.items():
        for right, second in other.items():
            for term, factor in (_joined(left, right) if left and right else {left or right: Fraction(1)}).items():
                value = total.get(term, 0) + first * second * factor
                if value:
                    total[term] = value
                else:
                    total.pop(term, None)
    return _checked(total)


def _joined(one: Monomial, other: Iterable[tuple[Atom, Fraction | int]]) -> Sum:
    """The product of two monomials: sqrt(2) sqrt(2) is the number 2, i i is -1, sqrt(x+1) sqrt(x+1) two terms."""
    powers, factor, expanded = dict(one), Fraction(1), []
    for atom, power in other:
        power += powers.pop(atom, 0)
        if atom[0] == "i":
            factor, power = factor * (-1) ** (power % 4 // 2), power % 2
        elif atom[0] == "prime":
            whole = math.floor(power)
            factor, power = factor * Fraction(atom[1]) ** whole, power - whole
        elif atom[0] == "base" and power >= 1:
            expanded += [atom[1].above] * math.floor(power)
            power -= math.floor(power)
        if power:
            powers[atom] = power
    total = {frozenset(powers.items()): factor}
    for part in expanded:
        total = _product(total, part)
    return total


def difference(one: Form, other: Form) -> Form:
    """one - other without its denominator: zero just where they are equal (and both are defined)."""
    above = _added(_product(one.above, other.below), {
        term: -factor for term, factor in _product(other.above, one.below).items()
    })  # fmt: skip
    lowest: dict[Atom, Fraction] = {}
    for term in above:
        for atom, power in term:
            if atom[0] == "base" and power < 0:
                lowest[atom] = min(lowest.get(atom, 0), power)
    for atom, power in lowest.items():
        above = _product(above, {frozenset([(atom, Fraction(math.ceil(-power)))]): Fraction(1)})
    return Form(above)


def free(form: Form) -> bool:
    """True where a form that is not zero term by term is no zero: its atoms have no relation among each other.

    That holds for letters, unknown functions of different arguments, i, and products of roots of different primes
    (Besicovitch 1940); pi and e count as letters, which is a conjecture for the two together.
    """
    return len(form.below) == 1 and all(
        atom[0] in ("letter", "prime", "i") or (atom[0] == "function" and atom[1].startswith("unknown "))
        for part in (form.above, form.below)
        for term in part
        for atom, _ in term
    )


def proportional(one: Form, other: Form) -> Fraction | None:
    """The number c with one = c * other, for sums of terms that are not zero; None where there is none."""
    if not one.above or one.above.keys() != other.above.keys():
        return None
    ratios = {factor / other.above[term] for term, factor in one.above.items()}
    return ratios.pop() if len(ratios) == 1 else None
