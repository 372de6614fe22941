"""Whether the sides of a chain such as 2 + 3 = 5 = 10/2 are the same number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from phi4r_lib.problems.math.quantities import quantity
from phi4r_lib.problems.math.reader import read
from phi4r_lib.problems.math.terms import Form, Open, Undefined, difference, free, number
from phi4r_lib.problems.math.values import differ, rounds_to

_DECIMAL = re.compile(r"-?\d+\.?(\d*)", re.ASCII)


def agreement(sides: Sequence[str], approximate: bool) -> bool | None:
    r"""True where all sides are one number, False where two surely differ, None where that is not known.

    A side with letters (A = \pi r^2 = 9 \pi) says nothing; where `approximate` the last side is the rounding of the
    one before it, or its first digits.
    """
    forms = [_constant(side) for side in sides]
    exact = forms[:-1] if approximate else forms
    verdicts = [_same(one, other) for one, other in pairwise(form for form in exact if form)]
    if approximate:
        verdicts.append(_near(forms[-2], forms[-1], sides[-1]))
    if False in verdicts:
        return False
    return None if None in verdicts or None in forms else True


def _constant(text: str) -> Form | None:
    """The number that a side spells; None for what has letters or cannot be read."""
    one = quantity(text)
    if one.unit:
        return None
    try:
        form = read(one.value)
    except Undefined:
        return None
    if form is None or form.letters() - {"\\pi", "e"} or any(atom[0] == "function" for atom in form.outer_atoms()):
        return None
    return form if one.scale == one.part == 1 else form * number(Fraction(one.scale, one.part))


def _same(one: Form, other: Form) -> bool | None:
    try:
        rest = difference(one, other)
    except Open:
        return None
    if not rest.above:
        return True
    return False if free(rest) or differ(one, other) else None


def _near(exact: Form | None, decimal: Form | None, text: str) -> bool | None:
    match = _DECIMAL.fullmatch(text)
    value = decimal.rational() if decimal is not None else None
    if exact is None or value is None or match is None:
        return None
    half = Fraction(1, 2 * 10 ** len(match[1]))
    cut_off = value - half if text.startswith("-") else value + half
    return rounds_to(exact, value, half) or rounds_to(exact, cut_off, half)
