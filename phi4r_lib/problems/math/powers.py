"""Powers and roots of exact terms, kept closed where no sum of terms says the same."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from phi4r_lib.problems.math.terms import (
    MOST_BITS,
    ONE,
    POSITIVE_LETTERS,
    Atom,
    Form,
    Monomial,
    Open,
    Sum,
    Undefined,
    function,
    letter,
    number,
    single,
)


def to_power(base: Form, exponent: Form) -> Form:
    """base ** exponent where that is exact; a closed atom where it is not. Raises Open for what would grow too large."""
    power = exponent.rational()
    if power is None:
        return _with_letters(base, exponent)
    if power.denominator > 1:
        return _whole_power(root(base, power.denominator), power.numerator)
    return _whole_power(base, power.numerator)


def _lone_letter(base: Form) -> Atom | None:
    if len(base.below) == 1 and len(base.above) == 1:
        ((term, factor),) = base.above.items()
        if factor == 1 and len(term) == 1:
            ((atom, power),) = term
            return atom if power == 1 and atom[0] == "letter" else None
    return None


def _whole_power(base: Form, power: int) -> Form:
    if power < 0:
        return number(1) / _whole_power(base, -power)
    if len(base.above) == 1 and len(base.below) == 1:
        ((term, factor),) = base.above.items()
        _check_power(factor, power)
        if all(atom[0] not in ("base", "prime", "i") for atom, _ in term):
            return Form({frozenset((atom, one * power) for atom, one in term) if power else ONE: factor**power})
    if not base.above:
        if power == 0:
            raise Undefined
        return base
    if power > 4096 or (power > 64 and len(base.above) + len(base.below) > 2):
        raise Open
    result = number(1)
    for bit in bin(power)[2:]:
        result = result * result
        if bit == "1":
            result = result * base
    return result


def _check_power(factor: Fraction, power: int) -> None:
    """Raises Open before a number would grow too large; powers of 1 and -1 never do."""
    bits = max(factor.numerator.bit_length(), factor.denominator.bit_length())
    if abs(factor) != 1 and bits * power > MOST_BITS:
        raise Open


def root(radicand: Form, degree: int) -> Form:
    """The root of that degree; of a negative number the real one for odd degrees, i times a real one for square roots."""
    if not 1 < degree <= 64 or len(radicand.below) > 1:
        return function(f"root{degree}", radicand)
    if not radicand.above:
        return radicand
    content = _content(radicand.above)
    if not _splits(content):
        return _closed_root(radicand.above, degree)
    rest = {term: factor / content for term, factor in radicand.above.items()}
    if len(rest) > 1:
        return _number_root(content, degree) * _closed_root(rest, degree)
    ((term, sign),) = rest.items()
    positive = frozenset((atom, power) for atom, power in term if _is_positive(atom))
    inside = term - positive
    outside = Form({frozenset((atom, Fraction(power) / degree) for atom, power in positive): Fraction(1)})
    outside = _number_root(content, degree) * outside
    if not inside and sign < 0:
        return outside * _root_of_minus_one(degree)
    if len(inside) == 1 and sign > 0:
        ((atom, power),) = inside
        if power == 1 and atom[0] == "letter":
            return outside * Form({frozenset([(atom, Fraction(1, degree))]): Fraction(1)})
    return outside * _closed_root({inside: sign}, degree) if inside else outside


def _splits(value: Fraction) -> bool:
    """True where the prime factors of a number are to be had."""
    try:
        return all(factored(whole) is not None for whole in (value.numerator, value.denominator))
    except Open:
        return False


def _root_of_minus_one(degree: int) -> Form:
    if degree % 2 == 0 and degree != 2:
        raise Open
    return letter("i") if degree == 2 else number(-1)


def _closed_root(part: Sum, degree: int) -> Form:
    return Form({frozenset([(("base", Form(part)), Fraction(1, degree))]): Fraction(1)})


def _is_positive(atom: Atom) -> bool:
    return atom[0] == "prime" or (atom[0] == "letter" and atom[1] in POSITIVE_LETTERS)


def _content(part: Sum) -> Fraction:
    """The largest positive number that divides all factors of a sum."""
    above = math.gcd(*(factor.numerator for factor in part.values()))
    below = math.lcm(*(factor.denominator for factor in part.values()))
    return Fraction(above, below)


def _number_root(value: Fraction, degree: int) -> Form:
    result = number(1)
    for whole, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, power in factored(whole).items():
            power = Fraction(sign * power, degree)
            outside = math.floor(power)
            result = result * number(Fraction(prime) ** outside)
            if power != outside:
                result = result * Form({frozenset([(("prime", prime), power - outside)]): Fraction(1)})
    return result


@lru_cache(maxsize=1 << 12)
def factored(value: int) -> dict[int, int]:
    """Prime factors with their powers; Open where trial division up to 20,000 does not finish it."""
    found: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= value:
        if divisor > 20_000:
            raise Open
        while value % divisor == 0:
            found[divisor] = found.get(divisor, 0) + 1
            value //= divisor
        divisor += 1 if divisor == 2 else 2
    if value > 1:
        found[value] = found.get(value, 0) + 1
    return found


def _with_letters(base: Form, exponent: Form) -> Form:
    r"""2^{n+1} as 2 * 2^n and 4^n as (2^n)^2: base^(sum of c * m) is the product of (base^m)^c; e^{i\pi} is -1."""
    if len(exponent.below) > 1 or len(base.below) > 1:
        return function("power", base, exponent)
    value = base.rational()
    if value is not None and value > 0:
        parts = [(("prime", prime), power) for prime, power in factored(value.numerator).items()]
        parts += [(("prime", prime), -power) for prime, power in factored(value.denominator).items()]
    elif _lone_letter(base):
        parts = [(_lone_letter(base), 1)]
    else:
        return function("power", base, exponent)
    result = number(1)
    for atom, power in parts:
        for term, factor in exponent.above.items():
            if term == ONE:
                result = result * to_power(
                    number(atom[1]) if atom[0] == "prime" else single(atom), number(power * factor)
                )
            elif term == _HALF_TURN and atom == ("letter", "e") and factor.denominator in _TWELFTHS:
                result = result * (_cosine(factor) + letter("i") * _cosine(factor - Fraction(1, 2)))
            else:
                result = result * Form({frozenset([(("power", atom, term), power * factor)]): Fraction(1)})
    return result


_HALF_TURN: Monomial = frozenset([(("i",), 1), (("letter", "\\pi"), 1)])  # the exponent i pi
_TWELFTHS = (1, 2, 3, 4, 6)


def _cosine(turns: Fraction) -> Form:
    """cos(turns * pi) for denominators of _TWELFTHS: 1, 1/2, 0 and the halves of the roots of 2 and 3, signs apart."""
    part = min(turns % 2, 2 - turns % 2)
    if part > Fraction(1, 2):
        return -_cosine(1 - part)
    if part == Fraction(1, 2):
        return number(0)
    squared = {0: Fraction(1), 6: Fraction(3, 4), 4: Fraction(1, 2), 3: Fraction(1, 4)}
    return root(number(squared[1 / part if part else 0]), 2)
