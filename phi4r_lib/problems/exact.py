"""Comparing answers without algebra: numbers as fractions, words as words, and formulas that are spelled alike.

Every rule here either gives math-verify's verdict or none; what stays open goes to referee.py.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Conventions(BaseModel):
    """How answers are read where usage differs; the defaults are math-verify's.

    percent: "either" takes 10% as 10 and as 0.1, "number" as 10 only, "fraction" as 0.1 only.
    units: "ignore" drops a unit or currency sign, "match" wants the same unit (or none) on both sides.
    intervals: "strict" tells [a, b) from (a, b), "endpoints" compares the end points only.
    relations_as_intervals: True also takes 1 < x < 2 for (1, 2).
    thousands: "comma" reads 1,080 as 1080, "dot" reads 1.080,5 as 1080.5, "none" reads 1,080 as the two numbers 1 and 80.
    max_chars: longer answers are not looked at; they are FAILED.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    percent: Literal["either", "number", "fraction"] = "either"
    units: Literal["ignore", "match"] = "ignore"
    intervals: Literal["strict", "endpoints"] = "strict"
    relations_as_intervals: bool = False
    thousands: Literal["comma", "dot", "none"] = "comma"
    max_chars: int = Field(default=1000, ge=1)


_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")
_RATIO = re.compile(r"([-+]?\d+)/([-+]?\d+)")
_FRAC = re.compile(r"([-+]?)\\[dtc]?frac(?:\{([-+]?\d+)\}|(\d))(?:\{([-+]?\d+)\}|(\d))")
_THOUSANDS = re.compile(r"(?<![\d,.])(\d{1,3}(?:,\d{3})+)(?![\d,])")


def clean(text: str, conventions: Conventions) -> str:
    """The answer without dressing that never matters: dollar delimiters, a final full stop, thin spaces, odd minus."""
    text = text.strip().replace("\u2212", "-").replace("\u00a0", " ")
    text = text.strip("$ \n\t")
    return text[:-1].rstrip() if text.endswith(".") else text


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


def exact_verdict(answer: str, gold: str, conventions: Conventions) -> str | None:
    """ "right", "wrong" or "failed" where two cleaned texts can be compared exactly, else None."""
    try:
        right = exact_value(gold)
    except ZeroDivisionError:
        return "failed"
    try:
        value = exact_value(answer)
    except ZeroDivisionError:
        return "wrong"
    if right is None or value is None:
        return None
    if right == value:
        return "right"
    if right.denominator == value.denominator == 1 and "." not in answer + gold:
        return "wrong"
    # math-verify rounds decimals to six places: leave near misses to it
    return "wrong" if abs(right - value) > Fraction(1, 100_000) else None


@lru_cache(maxsize=1 << 16)
def sort_key(text: str, conventions: Conventions) -> tuple[int, Fraction, str]:
    """Orders answers the same way whatever order they came in: numbers by size, then everything else as text."""
    try:
        value = exact_value(clean(text, conventions)) if len(text) <= conventions.max_chars else None
    except ZeroDivisionError:
        value = None
    return (1, Fraction(0), text) if value is None else (0, value, text)
