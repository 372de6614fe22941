"""Whether one value or word equals another: units, percent signs, bases, exact terms, roundings."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from phi4r_lib.problems.math.conventions import Conventions
from phi4r_lib.problems.math.court import Court, GoldUndefined, Verdict, algebra, both, either
from phi4r_lib.problems.math.dressing import spelling
from phi4r_lib.problems.math.numerals import in_digits
from phi4r_lib.problems.math.plain import DECIMAL
from phi4r_lib.problems.math.quantities import Quantity, may_be_letters, quantity
from phi4r_lib.problems.math.reader import read
from phi4r_lib.problems.math.shapes import as_word
from phi4r_lib.problems.math.terms import ONE, Form, Open, Undefined, difference, free, number
from phi4r_lib.problems.math.units import agree
from phi4r_lib.problems.math.values import differ, rounds_to

_HEXADECIMAL = re.compile(r"0x([\da-fA-F]{1,64})", re.ASCII)
_BASE = re.compile(  # 52, 52_8, 2A_{16}, 101_{\text{two}}
    r"(-?(?=[a-fA-F]*\d|[a-fA-F]{2,}_)[\da-fA-F]+)(?:_\s*\{?(?:\\text\s*\{)?\s*(?:base\s*)?(\d+|[a-z]+)\s*\}{0,2})?",
    re.ASCII,
)
_BASE_NAMES = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_BASE_NUMBERS = {name: str(number) for number, name in enumerate(_BASE_NAMES, start=2)} | {"sixteen": "16"}
_SCIENTIFIC = re.compile(r"([-+]?\d+(?:\.\d+)?)[eE]([-+]?\d{1,3})", re.ASCII)
_BEFORE_BRACKET = re.compile(r"([a-zA-Z]'*(?:_(?:\w|\{[^{}]*\}))?|\\[a-zA-Z]+)\s*\(")
_LETTER = re.compile(r"(?<![\\a-zA-Z])(?:[a-zA-Z]'*)(?:_(?:\w|\{[^{}]*\}))?(?!\s*\()")


_N = r"(?:\{(\d+)\}|(\d+))"
_COUNTED = re.compile(  # C(5,2), C_5^2 and A_5^2 (n below), C^2_5; 5C2, {}_5P_2
    rf"(?<![a-zA-Z\\])([CPA])\s*(?:\(([^(),]+),([^(),]+)\)|_{_N}\s*\^{_N}|\^{_N}\s*_{_N})(?!\d)"
    rf"|(?<![\w.^\\])(?:\{{\}})?[_^]?{_N}\s*([CP])\s*_?{_N}(?![\w^])"
)
DATE = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{4}")
ROMAN = re.compile(r"(?=[IVXLCDM]{2})M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_NUMERALS = re.compile("[IVXLCDM]{2,}")
WORDS = re.compile(r"\\(?:text|mathrm|mbox)\s*\{\s*([a-z]{2,}(?:\s+[a-z]{2,})*)\s*\}")
BETWEEN = re.compile(r"(?<=[\d)}])\s+([a-z]{2,}(?:\s+[a-z]{2,})*)\s+(?=[-\d(\\.])")
NAMES = frozenset(
    ["sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "lg", "exp", "sqrt", "pi", "cdot", "times", "mod"]
)  # of formulas, typed bare


def values(answer: str, gold: str, court: Court) -> Verdict:
    """Two values or words, with percent signs, units and scales (million) as the conventions have it."""
    if spelling(answer) == spelling(gold):
        return "right"
    verdict = _words(answer, gold)
    if verdict == "right":
        return verdict
    ours, theirs = _in_digits(answer), _in_digits(gold)
    if (ours, theirs) != (answer, gold):
        return values(ours, theirs, court)
    if verdict:
        return verdict
    if _NUMERALS.fullmatch(answer + gold) and (ROMAN.fullmatch(answer) or ROMAN.fullmatch(gold)):
        return "failed"  # IV and VI: 4 and 6, or a product
    ordered = _in_order(answer, gold, court)
    if ordered:
        return ordered
    return _quantities(answer, gold, court)


def _in_digits(text: str) -> str:
    """The text itself where no number in it is written in words."""
    words = as_word(text) or text
    found = in_digits(words)
    return text if found == words else found


def _quantities(answer: str, gold: str, court: Court) -> Verdict:
    """Values with what stands beside them; of 5 zorks and 5 blips it is not decided whether they are the same."""
    ours, theirs = quantity(answer), quantity(gold)
    same = agree(ours.unit, theirs.unit, ours.measure and theirs.measure)
    if same is False:
        return "wrong"
    if (ours.unit and theirs.part > ours.part) or (theirs.unit and ours.part > theirs.part):
        return "wrong"
    if court.conventions.units == "match" and bool(ours.unit) != bool(theirs.unit):
        return "wrong"
    verdicts = [_single(one, other, court) for one, other in _readings(ours, theirs, court.conventions)]
    if "right" not in verdicts:
        verdicts.append(_counted(ours.value, theirs.value))
    verdict = either(*verdicts)
    if verdict == "right" and not same:
        verdict = "failed"
    if (ours.value, theirs.value) != (answer, gold) and ours.unit != theirs.unit:
        verdict = either(verdict, _as_they_stand(answer, gold))
    return verdict


def _in_order(answer: str, gold: str, court: Court) -> Verdict:
    """Dates, and values with the same words between them (5 out of 6, 1 to 3), part by part; None for everything else.

    Read as letters those words would be factors, and the order of the parts would not count.
    """
    if DATE.fullmatch(answer) and DATE.fullmatch(gold):
        same = [int(part) for part in re.findall(r"\d+", answer)] == [int(part) for part in re.findall(r"\d+", gold)]
        return "right" if same else "wrong"
    ours, theirs = (BETWEEN.split(WORDS.sub(r" \1 ", text)) for text in (answer, gold))
    said = [" ".join(word.split()) for word in ours[1::2]]
    if not said or said != [" ".join(word.split()) for word in theirs[1::2]] or NAMES & {*" ".join(said).split()}:
        return None
    return both(*(values(one, other, court) for one, other in zip(ours[::2], theirs[::2], strict=True)))


def _as_they_stand(answer: str, gold: str) -> Verdict:
    """What looked like a unit may have been a letter: 2 m and 2m."""
    try:
        ours, theirs = form_of(answer, answer, gold), form_of(gold, answer, gold)
    except Undefined:
        return "wrong"
    return "right" if ours is not None and theirs is not None and not difference(ours, theirs).above else "wrong"


def _words(answer: str, gold: str) -> Verdict:
    """Words compare as words; the letter of a choice in either case where the gold's is a capital; None for formulas."""
    ours, theirs = as_word(answer), as_word(gold)
    if ours is None and theirs is None:
        return "right" if re.fullmatch("[A-J]", gold) and answer.upper() == gold else None
    one, other = ours or answer.lower(), theirs or gold.lower()
    if one == other and (ours is None) != (theirs is None) and len(one) == 1:
        return "right"
    if ours is not None and theirs is not None:
        formulas = answer.isalpha() and gold.isalpha() and may_be_letters(ours)  # abc is not ABC
        return "right" if ours == theirs and not formulas else "wrong"
    if ours == "nan":
        return "wrong"
    word = answer if ours is not None else gold
    return "wrong" if len(ours or theirs or "") == 1 or read(word) is None else None


def _readings(ours: Quantity, theirs: Quantity, conventions: Conventions) -> list[tuple[Quantity, Quantity]]:
    """The ways to read a pair with percent signs: as numbers, and as hundredths where only one side has the sign."""
    plain = replace(ours, part=1), replace(theirs, part=1)
    if ours.part == theirs.part:
        return [plain]
    if conventions.percent == "fraction" or 1 not in (ours.part, theirs.part):  # 5% and 50 per mille
        return [(ours, theirs)]
    return [plain] if conventions.percent == "number" else [plain, (ours, theirs)]


def _single(ours: Quantity, theirs: Quantity, court: Court) -> Verdict:
    answer, gold = ours.value, theirs.value
    verdict = _bases(answer, gold)
    if verdict:
        return verdict
    if ours.scale == theirs.scale:
        ours, theirs = replace(ours, scale=1), replace(theirs, scale=1)
    try:
        right = _sized(theirs, answer, gold)
    except Undefined:
        raise GoldUndefined from None
    try:
        value = _sized(ours, answer, gold)
    except Undefined:
        return "wrong"
    if value is None or right is None:
        if not ours.scale == theirs.scale == ours.part == theirs.part == 1:
            return "wrong"
        return algebra(answer, gold, court)
    return _forms(value, right, answer, gold, court)


def _counted(answer: str, gold: str) -> Verdict:
    """C_5^2, 5C2 and the like read as numbers; where both texts have one they may be points or powers: not decided."""
    if not any(sign in answer + gold for sign in "CPA"):
        return "wrong"
    texts = [_COUNTED.sub(_in_factorials, text) for text in (answer, gold)]
    if texts == [answer, gold]:
        return "wrong"
    try:
        ours, theirs = map(read, texts)
    except Undefined:
        return "wrong"
    if ours is None or theirs is None or difference(ours, theirs).above:
        return "wrong"
    return "failed" if texts[0] != answer and texts[1] != gold else "right"


def _in_factorials(match: re.Match) -> str:
    parts = [part for part in match.groups() if part is not None]
    kind = parts.pop(parts.index(next(part for part in parts if part in ("C", "P", "A"))))
    n, k = parts[::-1] if match.group()[1:].lstrip().startswith("^") else parts
    return rf"\binom{{{n}}}{{{k}}}" if kind == "C" else rf"(\frac{{({n})!}}{{({n}-({k}))!}})"


def _sized(one: Quantity, answer: str, gold: str) -> Form | None:
    form = form_of(one.value, answer, gold)
    if form is None:
        return None
    form = _without_degrees(form)
    factor = Fraction(one.scale, one.part)
    return form if factor == 1 else form * number(factor)


def _without_degrees(form: Form) -> Form:
    """10° + 30° as 40 and 180° - x as 180 - x; 10 + 30° stays as it is: a number without the sign is no angle."""
    terms = [(dict(term), {atom[1] for atom, _ in term if atom[0] == "letter"} - {"e"}) for term in form.above]
    angles = [term.get(_DEGREE) == 1 and "\\pi" not in letters for term, letters in terms]
    unknown = [_DEGREE not in term and bool(letters - {"\\pi"}) for term, letters in terms]
    if not any(angles) or form.below != {ONE: 1} or not all(map(max, angles, unknown)):
        return form
    parts = [Form({term - {(_DEGREE, 1)}: factor}) for term, factor in form.above.items()]
    return sum(parts[1:], start=parts[0])


_DEGREE = ("letter", "°")


def form_of(text: str, answer: str, gold: str) -> Form | None:
    """The exact terms of a text; letters that also stand without a bracket in either text multiply one behind them."""
    if match := _SCIENTIFIC.fullmatch(text):
        return number(Fraction(match[1]) * Fraction(10) ** int(match[2]))
    if match := _HEXADECIMAL.fullmatch(text):
        return number(int(match[1], 16))
    if "(" not in text:
        return read(text)
    alone = {match.group() for one in (answer, gold) for match in _LETTER.finditer(one)}
    called = {match[1] for match in _BEFORE_BRACKET.finditer(text)}
    return read(text, frozenset(alone & called))


def _forms(value: Form, right: Form, answer: str, gold: str, court: Court) -> Verdict:
    try:
        rest = difference(value, right)
    except Open:
        return algebra(answer, gold, court)
    if not rest.above:
        return "right"
    if court.conventions.decimals == "rounded" and (_rounded(answer, value, right) or _rounded(gold, right, value)):
        return "right"
    if free(rest) or differ(value, right):
        return "wrong"
    return algebra(answer, gold, court)


def _rounded(text: str, spelled: Form, exact: Form) -> bool:
    """True for a decimal with six or more places that is the rounding of a number that no decimal spells."""
    places = len(text.partition(".")[2])
    decimal = spelled.rational()
    if not DECIMAL.fullmatch(text) or places < 6 or decimal is None or len(text.rstrip("0").strip("-+0.")) < 5:
        return False
    other = exact.rational()
    if other is not None and set(_primes(other.denominator)) <= {2, 5}:
        return False
    unit = Fraction(1, 10**places)
    return text.rstrip("0").endswith(text[-3:].rstrip("0")) and rounds_to(exact, decimal, unit / 2)


def _primes(value: int) -> list[int]:
    """2 and 5 where they divide, and what is left."""
    found = []
    for prime in (2, 5):
        while value % prime == 0:
            found.append(prime)
            value //= prime
    return found + [value] * (value > 1)


def _spelled_in(digits: str, base: str) -> bool:
    """True where a base of 2 to 36 has all these digits."""
    return (
        base.isdigit() and 2 <= int(base[:3]) <= 36 and all(int(digit, 16) < int(base) for digit in digits.lstrip("-"))
    )


def _bases(answer: str, gold: str) -> Verdict:
    """52 for 52_8 is right: the question named the base. 52_8 is wrong for 52, for 52_7, and also for 42: it may be asked."""
    ours, theirs = _BASE.fullmatch(answer), _BASE.fullmatch(gold)
    if not any(one and one[2] for one in (ours, theirs)):
        return None
    if not (ours and theirs):
        return "wrong" if DECIMAL.fullmatch(answer) or DECIMAL.fullmatch(gold) else None
    base, other = (_BASE_NUMBERS.get(one[2], one[2]) for one in (ours, theirs))
    if base and other and base != other:
        return "wrong"
    if any(one[2] and not _spelled_in(one[1], _BASE_NUMBERS.get(one[2], one[2])) for one in (ours, theirs)):
        return None  # 5_2 and 1_000 are no numbers in a base
    same = ours[1].lstrip("0").lower() == theirs[1].lstrip("0").lower()
    return "right" if same and base in (None, other) else "wrong"
