"""Splits an answer into its value and what stands beside it: percent sign, scale, unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Quantity:
    """A value with what stands beside it: its percent sign, scale (million), unit and whether that is a known measure."""

    value: str
    percent: bool = False
    scale: str = ""
    unit: str = ""
    measure: bool = False


_MEASURES = {
    name: names.split()[0]
    for names in (
        "m meter meters metre metres", "cm centimeter centimeters centimetre centimetres", "mm millimeter millimeters",
        "km kilometer kilometers kilometre kilometres", "in inch inches", "ft foot feet", "yd yard yards",
        "mi mile miles", "mph mi/h", "g gram grams", "kg kilogram kilograms", "mg milligram milligrams", "lb lbs pound pounds",
        "oz ounce ounces", "ton tons", "L l liter liters litre litres", "mL ml milliliter milliliters",
        "s sec secs second seconds", "min mins minute minutes", "h hr hrs hour hours", "day days", "week weeks",
        "month months", "year years yr yrs", "$ dollar dollars usd USD", "cent cents ¢ \\cent", "€ euro euros EUR eur", "£ GBP",
        "° deg", "rad radian radians", "K kelvin", "Hz hertz /s", "kHz", "MHz", "J joule joules", "kJ", "N newton newtons",
        "W watt watts", "kW", "V volt volts", "A amp amps", "Pa pascal pascals", "kPa", "mol moles mole", "M", "eV", "am",
        "pm", "a.m", "p.m", "ms", "ns", "nm", "km/h kmph kph", "m/s", "cm/s", "ft/s", "m/s^2", "gallon gallons",
    )
    for name in names.split()
}  # fmt: skip
_MEASURES |= {
    name: names.split()[0]
    for names in (
        "KB", "bit bits", "B byte bytes", "acre acres", "hectare hectares ha", "decade decades", "century centuries",
        "penny pennies", "nickel nickels", "dime dimes", "pint pints", "quart quarts", "cup cups", "kWh", "rev revolutions",
        "tablespoon tablespoons tbsp", "teaspoon teaspoons tsp", "cal", "kcal", "T", "C", "F", "dB", "bar", "atm",
    )
    for name in names.split()
}  # fmt: skip
_MEASURES |= {
    prefix + unit: prefix + unit
    for prefix in ("k", "M", "G", "T", "m", "µ", "n")
    for unit in ("m", "g", "s", "Hz", "J", "N", "W", "V", "A", "Pa", "mol", "eV", "L", "B")
    if prefix + unit not in _MEASURES
}
_MEASURES |= {"a.m": "am", "p.m": "pm", "AM": "am", "PM": "pm"}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_SCALES |= {name + "s": factor for name, factor in _SCALES.items()}
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
    r"|tens|\w+fold|score|gross|bn|mn|tn|lakhs?|crores?|quadrillion|quintillion|wrong|incorrect|false|impossible|else|so)\b"
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
    exact = found.percent or found.unit == "°"
    sum_of_numbers = signs & {"+", "-"} and (exact or not re.search(r"[a-zA-Z]", _NUMERIC.sub("", found.value)))
    times = found.percent and signs & {"*", "\\cdot", "\\times"} and not re.search(r"10\s*\^", found.value)
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
    if match := _MONEY.match(text):
        text, unit, measure = match[1] + text[match.end() :], _MEASURES.get(match[2].lstrip("\\"), match[2]), True
    bare, found, power = _without_unit(text)
    if found and found not in _SCALES:
        text, unit, measure = bare, *_named_unit(found, power)
        bare, found, _ = _without_unit(text)
    scale = found if found in _SCALES else ""
    text = bare if scale else text
    percent = text.endswith("%")
    return Quantity(text[:-1].rstrip() if percent else text, percent, scale, unit, measure)


def _without_unit(text: str) -> tuple[str, str, str]:
    """(text before the unit, the unit, its power); the unit is "" where none is surely one."""
    if text.endswith("°"):
        return (text, "", "") if FUNCTION.search(text) else (text[:-1].rstrip(), "°", "")
    for pattern in (_TEXT_UNIT, _BRACKETED, _SHORT_UNIT):
        if (match := pattern.search(text)) and not _NO_UNIT.search(match[1]):
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
    return (short or len(first) > 1) and _NO_UNIT.search(words) is None


def _named_unit(found: str, power: str) -> tuple[str, bool]:
    """The unit in one spelling, and whether it is a measure that cannot stand for another."""
    stem, raised = found, re.sub(r"[^-\d]", "", power)
    if match := re.fullmatch(r"(.+?)\s*\^\s*\{?\s*(-?\d)\s*\}?", found):
        stem, raised = match[1], match[2]
    words = stem.split()
    if words and words[0].lower() in ("square", "sq", "cubic", "cu"):
        raised, words = ("2" if words[0].lower().startswith("sq") else "3"), words[1:]
    elif len(words) > 1 and words[-1] in ("squared", "cubed"):
        raised, words = ("2" if words[-1] == "squared" else "3"), words[:-1]
    stem = " ".join(words)
    if raised.startswith("-"):  # m s^{-2} is m/s^2
        stem, _, below = ("/" + stem).replace("/ ", "/").rpartition(" " if " " in stem else "/")
        stem, raised = f"{stem.removeprefix('/')}/{below}", raised[1:].removeprefix("1")
    parts = [_MEASURES.get(part, part) for part in re.split(r"\s*/\s*|\s+per\s+|\s+", stem)]
    if len(parts) > 1 and all(part in _MEASURES or not part for part in parts):
        name = ("/" if "/" in stem or " per " in stem else " ").join(parts)
        return _MEASURES.get(name, name) + raised, True
    name = _MEASURES.get(stem) or _MEASURES.get(stem.lower())
    if name:
        return name + raised, True
    return stem.lower().removesuffix("s") + raised, bool(raised) and raised != "1"


def scale_factor(scale: str) -> int:
    """What a scale word multiplies by; 1 for none."""
    return _SCALES.get(scale, 1)
