"""Comparing answers without algebra: numbers as fractions, words as words, formulas by their spelling and values.

Every rule gives math-verify's verdict or none; what stays open goes to referee.py. Three exceptions, where math-verify
is surely mistaken: words ("act" and "cat" are one product of letters to it), different bases (52_7 and 52_8 are 52), and
intervals with the larger end first (all are empty, hence equal).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from phi4r_lib.problems.math.formulas import formula_verdict, names_one, names_several, spelled_alike


class Conventions(BaseModel):
    """How answers are read where usage differs; the defaults are math-verify's.

    percent: "either" takes 10% as 10 and as 0.1, "number" as 10 only, "fraction" as 0.1 only.
    units: "ignore" drops a unit or currency sign, "match" wants the same one, or none, on both sides.
    intervals: "strict" tells [a, b) from (a, b), "endpoints" compares the end points only.
    relations_as_intervals: True also takes 1 < x < 2 for (1, 2).
    thousands: "comma" reads 1,080 as 1080, "dot" reads 1.080,5 as 1080.5, "none" reads 1,080 as the numbers 1 and 80.
    max_chars: longer answers are not looked at; they are FAILED.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    percent: Literal["either", "number", "fraction"] = "either"
    units: Literal["ignore", "match"] = "ignore"
    intervals: Literal["strict", "endpoints"] = "strict"
    relations_as_intervals: bool = False
    thousands: Literal["comma", "dot", "none"] = "comma"
    max_chars: int = Field(default=1000, ge=1)


_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_RATIO = re.compile(r"([-+]?\d+)/(\d+)", re.ASCII)
_FRAC = re.compile(r"([-+]?)\\[dtc]?frac\s?(?:\{([-+]?\d+)\}|(\d))\s?(?:\{([-+]?\d+)\}|(\d))", re.ASCII)
_THOUSANDS = re.compile(r"(?<![\d,.])([1-9]\d{0,2}(?:,\d{3})+)(?![\d,])", re.ASCII)
_DOTTED = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d+)?", re.ASCII)
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\{\s*percent\s*\}|\bpercent\b)$")
_DEGREES = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|°)$")
_TEXT_UNIT = re.compile(r"(?<=[\d}])\s*\\(?:text|mbox|mathrm)\{\s*([a-zA-Z][a-zA-Z /]*?)\.?\s*\}(\^\{?\d\}?)?$")
_MONEY = re.compile(r"^([-+]?)\s*(\\?\$|[€£])\s*(?=[\d.])")
_WORD_UNIT = re.compile(r"(?<=\d)\s+([a-zA-Z]{2,}(?:/[a-zA-Z]+)?)(\^\{?\d\}?)?$")
_MONEY_WORDS = frozenset(["dollar", "dollars", "usd", "euro", "euros", "eur", "cent", "cents", "pound", "pounds"])
_WORD = re.compile(r"[a-zA-Z]{2,}(?:[ -]+[a-zA-Z]{2,})*|[a-zA-Z]{3,}")
_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textbf)\{\s*\(?([a-zA-Z][a-zA-Z -]*)\)?\s*\}")
_NOT_WORDS = frozenset(["inf", "infinity", "oo", "pi", "sqrt", "percent", "and", "or", "xy"])
_BASE = re.compile(r"(\d+)(?:_\s*\{?(\d+)\}?)?", re.ASCII)
_EXPLOSIVE = re.compile(  # a tower of three powers, 5-digit exponents, 10000!, (9!)!, a long run of signs
    r"(?:(?:\^|\*\*)[\w{(.\\]+){3}|(?:\^|\*\*)[{(]*-?\d{5}|\d{5}[)}]*!|![)}]+!|[-+]{20}", re.ASCII
)
_RELATION = re.compile(r"=|<|>|\\(?:in|n?leq?|n?geq?|lt|gt|neq?|approx|equiv|sim|cong|to|mapsto|ll|gg)(?![a-zA-Z])")
_INTERVAL = re.compile(r"[\[(][^\[\]()]*[)\]]")
_SERIES = re.compile(r"-?\d+(?:\s+-?\d+)+", re.ASCII)


def clean(text: str, conventions: Conventions) -> str:
    """The answer without dressing that never matters, and with the conventions on percent and thousands applied."""
    text = text.strip().replace("\u2212", "-").replace("\u00a0", " ").replace("{,}", ",")
    text = re.sub(r",\\!\s*", ",", text)
    if text.startswith("\\(") and text.endswith("\\)"):
        text = text[2:-2].strip()
    money = text.startswith("$") and not text.endswith("$")
    text = text if money else text.strip("$ \n\t")
    text = text[:-1].rstrip() if text.endswith(".") else text
    if conventions.thousands == "dot" and _DOTTED.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    if conventions.thousands == "none" and _THOUSANDS.search(text):
        text = "\\{" + ", ".join(str(int(part)) for part in text.split(",")) + "\\}" if text[0].isdigit() else text
    if conventions.intervals == "endpoints" and text[:1] in "([" and text[-1:] in ")]":
        text = text.replace("[", "(").replace("]", ")")
    return _percent(text, conventions)


def _percent(text: str, conventions: Conventions) -> str:
    bare = _PERCENT.sub("", text)
    if bare == text or conventions.percent == "either":
        return text
    return bare if conventions.percent == "number" else rf"\frac{{{bare}}}{{100}}"


def split_unit(text: str) -> tuple[str, str]:
    """A cleaned answer as (value, unit); the unit is "" where none is recognised."""
    if match := _MONEY.match(text):
        return match[1] + text[match.end() :], "$" if match[2].endswith("$") else match[2]
    if match := _DEGREES.search(text):
        return text[: match.start()], "degree"
    if match := _TEXT_UNIT.search(text) or _WORD_UNIT.search(text):
        unit = match[1].strip().lower()
        return text[: match.start()], unit.removesuffix("s") + (match[2] or "").strip("^{}")
    return text, ""


def exact_value(text: str) -> Fraction | None:
    """The number that a cleaned text spells as integer, decimal or fraction; ZeroDivisionError for n/0."""
    if "," in text:
        text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    if _DECIMAL.fullmatch(text):
        return Fraction(text)
    if match := _RATIO.fullmatch(text):
        return Fraction(int(match[1]), int(match[2]))
    if match := _FRAC.fullmatch(text):
        ratio = Fraction(int(match[2] or match[3]), int(match[4] or match[5]))
        return -ratio if match[1] == "-" else ratio
    return None


def easy_verdict(answer: str, gold: str, conventions: Conventions) -> str | None:
    """ "right", "wrong" or "failed" where two cleaned texts can be compared without algebra, else None."""
    ours, theirs = split_unit(answer), split_unit(gold)
    if conventions.units == "match":
        if ours[1] != theirs[1]:
            return "wrong"
        answer, gold = ours[0], theirs[0]
    else:
        answer, gold = _plain(answer, ours), _plain(gold, theirs)
    try:
        right = exact_value(gold)
    except ZeroDivisionError:
        return "failed"
    try:
        value = exact_value(answer)
    except ZeroDivisionError:
        return "wrong"
    if right is not None and value is not None:
        return _numbers(value, right, decimals="." in answer + gold)
    known = _percents(answer, gold) or _bases(answer, gold)
    if known:
        return known
    simpler = _reduced(answer, gold)
    if simpler:
        return easy_verdict(*simpler, conventions)
    if _other_equation(answer, gold):
        return "wrong"
    texts = _texts(answer, gold, value, right)
    if texts is None and spelled_alike(answer, gold):
        return "right"
    several = (names_one(gold) and names_several(answer)) or (names_one(answer) and names_several(gold))
    return texts or ("wrong" if several else formula_verdict(answer, gold))


def _reduced(answer: str, gold: str) -> tuple[str, str] | None:
    """The same comparison of simpler texts, where math-verify compares just those; else None.

    Thousands lose their commas and a base its subscript. Of `x = 5` and `x \\in [1, 2]` on one side only the right side
    counts, in an answer that of any equation.
    """
    pair = tuple(
        _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
        if "," in text and _DECIMAL.fullmatch(text.replace(",", ""))
        else text
        for text in (answer, gold)
    )
    based = [match[1] if (match := _BASE.fullmatch(text)) and match[2] else text for text in pair]
    if (based[0] != pair[0]) != (based[1] != pair[1]) and "_" not in "".join(based):
        pair = tuple(based)
    if not any(map(_RELATION.search, pair)):
        return pair if pair != (answer, gold) else None
    ours, theirs = _equation(pair[0]), _equation(pair[1])
    if ours and not _RELATION.search(pair[1]):
        return ours[1], pair[1]
    if theirs and not _RELATION.search(pair[0]) and re.fullmatch("[a-zA-Z]", theirs[0]):
        return pair[0], theirs[1]
    return pair if pair != (answer, gold) else None


def _equation(text: str) -> tuple[str, str] | None:
    """Both sides of one equation between formulas with a variable on its left, or of `x \\in [1, 2]`."""
    parts = _RELATION.split(text)
    if len(parts) != 2 or re.search(r"(?<![\\a-zA-Z])[a-zA-Z]{2}", parts[1]):
        return None
    left, right = (part.strip() for part in parts)
    variable = re.fullmatch("[a-zA-Z]", left) is not None and left not in "eEiI"
    if "\\in" in text:
        return (left, right) if variable and _INTERVAL.fullmatch(right) else None
    formula = names_one(left) and re.search(r"(?<![\\a-zA-Z])[a-df-hj-zA-DF-HJ-Z]", left)
    return (left, right) if "=" in text and (variable or formula) and names_one(right) else None


def _other_equation(answer: str, gold: str) -> bool:
    """True for a gold equation that names no variable's value, like 2x + y = 4, against a plain value."""
    sides = _equation(gold)
    return bool(sides) and bool(re.search(r"[2-9]", sides[0])) and not _RELATION.search(answer) and names_one(answer)


def explosive(text: str) -> bool:
    """True for what algebra would only choke on: power towers, giant exponents and factorials, nesting beyond 40."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    return deepest > 40 or _EXPLOSIVE.search(text.replace(" ", "")) is not None


def for_referee(text: str, conventions: Conventions) -> str:
    """The cleaned text as math-verify should see it; units of its own kind it drops itself."""
    text = clean(text, conventions)
    parts = split_unit(text)
    return parts[0] if conventions.units == "match" else _plain(text, parts)


def _plain(text: str, parts: tuple[str, str]) -> str:
    """The value alone where its unit is surely one; a word after a number may be part of it (5 million, 3 squared)."""
    surely = not _WORD_UNIT.search(text) or parts[1] + "s" in _MONEY_WORDS
    return parts[0] if surely else text


def _numbers(value: Fraction, right: Fraction, decimals: bool) -> str | None:
    if value == right:
        return "right"
    if value.denominator == right.denominator == 1 and not decimals:
        return "wrong"
    return "wrong" if abs(right - value) > Fraction(1, 100_000) else None  # math-verify rounds: near misses are its own


def _percents(answer: str, gold: str) -> str | None:
    """Numbers with a percent sign, where 10% may stand for 10 and for 0.1."""
    readings = []
    for text in (answer, gold):
        bare = _PERCENT.sub("", text)
        value = exact_value(bare) if "/0" not in bare and "{0" not in bare else None
        if value is None:
            return None
        readings.append((bare != text, value))
    (signed, ours), (marked, theirs) = readings
    if not (signed or marked):
        return None
    pairs = [(ours, theirs)] + [(ours / 100, theirs)] * (not marked) + [(ours, theirs / 100)] * (not signed)
    if any(one == other for one, other in pairs):
        return "right"
    return "wrong" if all(abs(one - other) > Fraction(1, 1000) for one, other in pairs) else None


def _bases(answer: str, gold: str) -> str | None:
    """52_8 against 52_{8}, 52_7 or 52: a base that is left out is no fault, another base is."""
    ours, theirs = _BASE.fullmatch(answer), _BASE.fullmatch(gold)
    if not (ours and theirs) or not (ours[2] or theirs[2]):
        return None
    same = ours[1].lstrip("0") == theirs[1].lstrip("0") and (not ours[2] or not theirs[2] or ours[2] == theirs[2])
    return "right" if same else "wrong"


def _texts(answer: str, gold: str, value: Fraction | None, right: Fraction | None) -> str | None:
    """Words and series of numbers compare as written, without regard to case and spacing."""
    words = _word(answer), _word(gold)
    if words[1] == "nan":
        return "failed"
    if words[0] == "nan":
        return "wrong"
    if all(words) or (words[0] and right is not None) or (words[1] and value is not None):
        return "right" if words[0] == words[1] else "wrong"
    word, other = words[0] or words[1], gold if words[0] else answer
    if word and _is_no_word(word, other):
        return "wrong"
    if _SERIES.fullmatch(answer) or _SERIES.fullmatch(gold):
        return "right" if answer.split() == gold.split() else "wrong"
    return None


def _is_no_word(word: str, other: str) -> bool:
    """True for a formula with a number in it, a matrix, several values: what no word, and no letter of a choice, equals."""
    if other.startswith("\\begin{"):
        return other.startswith(("\\begin{pmatrix}", "\\begin{bmatrix}"))
    if len(word) > 2:
        return (re.search(r"\d", other) is not None and names_one(other)) or names_several(other)
    return word != "e" and not re.search(r"(?<![\\a-z])[a-zA-Z]", other) and "," not in other and names_one(other)


@lru_cache(maxsize=1 << 14)
def _word(text: str) -> str | None:
    if match := _TEXT.fullmatch(text):
        return " ".join(match[1].lower().split())
    bare = text.strip("'\"")
    if not _WORD.fullmatch(bare):
        return bare.lower() if re.fullmatch(r"[A-H]", bare) else None  # the letter of a choice, as in \text{(C)}
    word = " ".join(bare.lower().split())
    return None if _NOT_WORDS.intersection(word.split()) or len(bare) < 3 else word


@lru_cache(maxsize=1 << 16)
def sort_key(text: str, conventions: Conventions) -> tuple[int, Fraction, str]:
    """Orders answers the same way whatever order they came in: numbers by size, then everything else as text."""
    try:
        value = exact_value(clean(text, conventions)) if len(text) <= conventions.max_chars else None
    except ZeroDivisionError:
        value = None
    return (1, Fraction(0), text) if value is None else (0, value, text)
