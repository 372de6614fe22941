"""Splits an answer into its value and what stands beside it: percent sign, scale, unit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from phi4r_lib.problems.math.numerals import NUMBER_WORD
from phi4r_lib.problems.math.units import MEASURES, named_unit


@dataclass(frozen=True)
class Quantity:
    """A value with what stands beside it: a sign (% is `part` 100, per mille 1000), the factor of its scale (million), its
    unit and whether that is a known measure."""

    value: str
    part: int = 1
    scale: int = 1
    unit: str = ""
    measure: bool = False


_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_SCALES |= {name + "s": factor for name, factor in _SCALES.items()}
_SCALED = re.compile(rf"(?:(?:{'|'.join(_SCALES)})(?![a-z])\s*)+", re.IGNORECASE)
_MONEY = re.compile(r"^([-+]?)\s*(\\?\$|[€£])\s*(?=[-\d.])")
_UNIT_TEXT = r"[a-zA-Z$€£°¢][a-zA-Z°./ -]*(?:(?:\^\{?-?\d\}?|²|³)[a-zA-Z/ ]*(?:\^\{?-?\d\}?)?)?"
_TEXT_UNIT = re.compile(
    r"(?<=[\d})!a-zA-Z\]])\s*\\text\s*\{\s*\(?\s*(" + _UNIT_TEXT + r")\s*\)?\s*\}\s*(\^\s*\{?\s*-?\d\s*\}?)?$"
)
_WORD_UNIT = re.compile(r"(?<=[\d}!)])(?:\s+\(?|\()(" + _UNIT_TEXT + r")\)?$")
_SHORT_UNIT = re.compile(
    r"(?<=\d)\\?([$€£]|cm|mm|km|kg|mg|mL|ml|ft|mph|kHz|Hz|am|pm|AM|PM|km/h|m/s|kJ|kW)(\^\{?\d\}?)?$"
)
FUNCTION = re.compile(r"\\(?:(?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|ln|log|exp)(?![a-zA-Z])")
_NO_UNIT = re.compile(  # 5 or more, 5 squared, 5 thirds and 5 crore are other answers than 5
    r"(?i)^(?:squared|cubed)$|\b(?:mod|is|are|was|the|or|and|to|too|not|no|never|if|unless|but|without|maybe|instead|only|more|less"
    r"|fewer|than|least|most|below|above|plus|minus|times|divided|over|choose|point|root|sqrt|inverse|reversed|negative|factorial"
    r"|doubled|tripled|halved|twice|half|halves|thirds?|\w*(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|hundred|thousand|million)ths?"
    r"|tens|\w+fold|score|gross|bn|mn|tn|lakhs?|crores?|quadrillion|quintillion|wrong|incorrect|false|impossible|else|so"
    rf"|{NUMBER_WORD})\b"
)
_BRACKETED = re.compile(r"(?<=[\d}%])\s+\(([a-zA-Z][a-zA-Z ]*)\)$")


@lru_cache(maxsize=1 << 15)
def quantity(text: str) -> Quantity:
    """A dressed answer split into value, percent, scale and unit; a letter that may be a variable is no unit.

    A mark belongs to the whole only where that is one quantity: 10 + 30%, 10 + 30° and 10 + 30 cm stay as they are (and
    are not 40), while 2 + \\sqrt{3} cm, which no addition shortens, is all in cm. Of 4 \\cdot 50% only the 50 is a percentage.
    """
    if text.isdigit():
        return Quantity(text)
    found = _split(text)
    if found.value == text:
        return found
    signs = _outer_signs(found.value)
    exact = found.part > 1 or found.unit == "°"
    sum_of_numbers = signs & {"+", "-"} and (exact or not re.search(r"[a-zA-Z]", _NUMERIC.sub("", found.value)))
    times = found.part > 1 and signs & {"*", "\\cdot", "\\times"} and not re.search(r"10\s*\^", found.value)
    circle = found.unit == "°" and ("\\pi" in found.value or "°" in found.value)
    return Quantity(text) if sum_of_numbers or times or circle else found


_NUMERIC = re.compile(r"\\(?:frac|cdot|times|div|text)(?![a-zA-Z])")
_OUTER = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)


def _outer_signs(text: str) -> set[str]:
    """The signs of operations between parts of the text that stand in no brackets; a sign in front is none."""
    depth, found = 0, set()
    for place, match in enumerate(_OUTER.finditer(text)):
        sign = match.group()
        depth += (sign in ("(", "[", "{")) - (sign in (")", "]", "}"))
        if depth == 0 and place and sign in ("+", "-", "*", "\\cdot", "\\times"):
            found.add(sign)
    return found


def _split(text: str) -> Quantity:
    """The text without what stands before and behind its value."""
    unit, measure = "", False
    if "°" in text and (match := _SEXAGESIMAL.fullmatch(text)):
        return _angle(*match.groups("0"))
    if match := _MONEY.match(text):
        text, unit, measure = match[1] + text[match.end() :], MEASURES.get(match[2].lstrip("\\"), match[2]), True
    bare, found, power = _without_unit(text)
    scale, found = _scaled(found)
    text = bare if found or scale > 1 else text
    if found:
        unit, measure = named_unit(found, power)
    if found and scale == 1:  # \text{ million } \text{ dollars }
        bare, found, _ = _without_unit(text)
        factor, found = _scaled(found)
        text, scale = (text, 1) if found else (bare, factor)
    part = _PARTS.get(text[-1:], 1)
    return Quantity(text[:-1].rstrip() if part > 1 else text, part, scale, unit, measure)


def _scaled(words: str) -> tuple[int, str]:
    """The factor of the scale words in front, and what stands behind them: (10^6, "dollars") of "million dollars"."""
    match = _SCALED.match(words)
    if match is None:
        return 1, words
    return math.prod(_SCALES[word] for word in match.group().lower().split()), words[match.end() :].strip()


_PARTS = {"%": 100, "‰": 1000}
_SEXAGESIMAL = re.compile(  # 45°30', 45° 30' 15'', 45°15''
    r"(-?)(\d{1,9})\s*°\s*(?=\d)(?:([0-5]?\d(?:\.\d+)?)\s*(?:'|min\b|minutes?\b)(?!'))?\s*(?:([0-5]?\d(?:\.\d+)?)\s*(?:''|sec\b|seconds?\b))?",
    re.ASCII,
)


def _angle(sign: str, degrees: str, minutes: str, seconds: str) -> Quantity:
    """Degrees with minutes and seconds of arc as a fraction of a degree."""
    value = int(degrees) + Fraction(minutes) / 60 + Fraction(seconds) / 3600
    return Quantity(f"{sign.strip('0')}\\frac{{{value.numerator}}}{{{value.denominator}}}", unit="°", measure=True)


def _without_unit(text: str) -> tuple[str, str, str]:
    """(text before the unit, the unit, its power); the unit is "" where none is surely one."""
    if text.endswith("°"):
        return (text, "", "") if FUNCTION.search(text) else (text[:-1].rstrip(), "°", "")
    for pattern in (_TEXT_UNIT, _BRACKETED, _SHORT_UNIT):
        if (match := pattern.search(text)) and not _other_than(match[1]):
            power = match[2] if match.re.groups > 1 and match[2] else ""
            return text[: match.start()].rstrip(), " ".join(match[1].split()).rstrip("."), power
    match = _WORD_UNIT.search(text)
    if match and _is_unit(match[1], text[: match.start()]):
        return text[: match.start()].rstrip(), " ".join(match[1].split()).rstrip("."), ""
    return text, "", ""


def _is_unit(words: str, before: str) -> bool:
    """True for words of two letters or more, and for m, g, s, h behind a number; `8 x^{3}` and `\\pi r^2 h` have none."""
    first = re.match(r"[a-zA-Z]*", words).group()
    number = re.search(r"(?<![a-zA-Z\\])[a-zA-Z]|\\pi", before) is None
    short = (first in ("m", "g", "s", "h") and number) or not first
    short = short or re.fullmatch(r"[ap]\.m\.?", words) is not None
    return (short or (len(first) > 1 and not may_be_letters(words))) and not _other_than(words)


def may_be_letters(words: str) -> bool:
    """True for xy, abc and pqr, which may be letters of a formula: one word of two or three that no list has."""
    return (
        (words.isalpha() and len(words) < 4 and words not in MEASURES)
        and (len(words) == 2 or words in _ALPHABET or re.search("[aeiouyAEIOUY]|s$", words) is None)
    )  # fmt: skip


def _other_than(words: str) -> bool:
    """True for words behind a number that make it another one."""
    return _NO_UNIT.search(_SCALED.sub("", words, count=1)) is not None


_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
