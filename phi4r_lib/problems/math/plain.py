"""What is decided without taking an answer apart: plain numbers, and texts that are no answer at all."""

from __future__ import annotations

import re
from fractions import Fraction

from phi4r_lib.problems.math.court import Verdict

_FRACTION = re.compile(r"([-+]?)(?:\\[dtc]?frac\{(\d{1,40})\}\{(\d{1,40})\}|(\d{1,40})(?:/(\d{1,40}))?)", re.ASCII)
DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)", re.ASCII)


def plain_fractions(answer: str, gold: str) -> Verdict:
    """Whole numbers and fractions of them, which need no dressing."""
    found = [_FRACTION.fullmatch(text) for text in (answer, gold)]
    if None in found:
        return None
    (ours, below), (theirs, under) = ((int(one[1] + (one[2] or one[4])), int(one[3] or one[5] or 1)) for one in found)
    if not below or not under:
        return None
    return "right" if ours * under == theirs * below else "wrong"


def plain_numbers(answer: str, gold: str) -> Verdict:
    """Decimals, once they are dressed."""
    if DECIMAL.fullmatch(answer) and DECIMAL.fullmatch(gold):
        return "right" if Fraction(answer) == Fraction(gold) else "wrong"
    return None


def broken(text: str) -> bool:
    """True for what is no answer at all: nothing to read, braces that do not match, a missing argument, 1/0, nan."""
    bare = re.sub(r"\\[{}]", "", text)
    depth = 0
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return True
    content = re.search(r"[^\W_]|\\\{\\\}", text) is not None
    missing = re.search(r"\\(?:frac|sqrt|text|binom)\s*$|[-+*/^_=<>(\[]$|(?<!\\)\{\s*\}", text)
    undefined = re.search(r"(?i)(?<![a-z\\])nan(?![a-z])|/\s*\(?0\)?(?![\d.])|\\frac\s*\{[^{}]*\}\s*\{?\s*0\s*\}", text)
    return depth != 0 or not content or (missing is not None and not _is_interval(text)) or undefined is not None


def _is_interval(text: str) -> bool:
    return re.fullmatch(r"[\[\]][^\[\]]*,[^\[\]]*\[", text) is not None
