"""The units and nouns that stand beside a number, in one spelling each, and whether two of them can mean the same."""

from __future__ import annotations

import re

MEASURES = {
    name: names.split()[0]
    for names in (
        "m meter meters metre metres", "cm centimeter centimeters centimetre centimetres", "mm millimeter millimeters",
        "km kilometer kilometers kilometre kilometres", "in inch inches", "ft foot feet", "yd yard yards",
        "mi mile miles", "mph mi/h", "g gram grams", "kg kilogram kilograms", "mg milligram milligrams", "lb lbs", "pound pounds",
        "oz ounce ounces", "ton tons", "L l liter liters litre litres", "mL ml milliliter milliliters",
        "s sec secs second seconds", "min mins minute minutes", "h hr hrs hour hours", "day days", "week weeks",
        "month months", "year years yr yrs", "$ dollar dollars usd USD", "cent cents ¢ \\cent", "€ euro euros EUR eur", "£ GBP", "₹ Rs rs rupee rupees INR", "¥ yen JPY", "yuan CNY",
        "° deg degree degrees", "rad radian radians", "K kelvin", "Hz hertz /s", "kHz", "MHz", "J joule joules", "kJ", "N newton newtons",
        "W watt watts", "kW", "V volt volts", "A amp amps", "Pa pascal pascals", "kPa", "mol moles mole", "M", "eV", "am",
        "pm", "a.m", "p.m", "ms", "ns", "nm", "km/h kmph kph", "m/s", "cm/s", "ft/s", "m/s^2", "gallon gallons",
    )
    for name in names.split()
}  # fmt: skip
MEASURES |= {
    name: names.split()[0]
    for names in (
        "KB", "bit bits", "B byte bytes", "acre acres", "hectare hectares ha", "decade decades", "century centuries",
        "penny pennies", "nickel nickels", "dime dimes", "pint pints", "quart quarts", "cup cups", "kWh", "rev revolutions",
        "tablespoon tablespoons tbsp", "teaspoon teaspoons tsp", "cal", "kcal", "T", "C", "F", "dB", "bar", "atm",
    )
    for name in names.split()
}  # fmt: skip
MEASURES |= {
    prefix + unit: prefix + unit
    for prefix in ("k", "M", "G", "T", "m", "µ", "n")
    for unit in ("m", "g", "s", "Hz", "J", "N", "W", "V", "A", "Pa", "mol", "eV", "L", "B")
    if prefix + unit not in MEASURES
}
MEASURES |= {"a.m": "am", "p.m": "pm", "AM": "am", "PM": "pm", "noon": "pm", "midnight": "am"}


def named_unit(found: str, power: str) -> tuple[str, bool]:
    """The unit in one spelling, and whether it is a measure that cannot stand for another."""
    stem, raised = found, re.sub(r"[^-\d]", "", power)
    if match := re.fullmatch(r"(.+?)\s*\^\s*\{?\s*(-?\d)\s*\}?", found):
        stem, raised = match[1], match[2]
    words = stem.split()
    if words and words[0].lower().rstrip(".") in ("square", "sq", "cubic", "cu"):
        raised, words = ("2" if words[0].lower().startswith("sq") else "3"), words[1:]
    elif len(words) > 1 and words[-1] in ("squared", "cubed"):
        raised, words = ("2" if words[-1] == "squared" else "3"), words[:-1]
    stem = " ".join(words)
    if raised.startswith("-"):  # m s^{-2} is m/s^2
        stem, _, below = ("/" + stem).replace("/ ", "/").rpartition(" " if " " in stem else "/")
        stem, raised = f"{stem.removeprefix('/')}/{below}", raised[1:].removeprefix("1")
    parts = [MEASURES.get(part, part) for part in re.split(r"\s*/\s*|\s+per\s+|\s+", stem)]
    if len(parts) > 1 and all(part in MEASURES or not part for part in parts):
        name = ("/" if "/" in stem or " per " in stem else " ").join(parts)
        return MEASURES.get(name, name) + raised, True
    name = MEASURES.get(stem) or MEASURES.get(stem.lower())
    if name:
        return name + raised, True
    stem = "unit" if stem.lower() == "units" else stem.lower()
    return stem + raised, bool(raised) and raised != "1"


def agree(one: str, other: str, measures: bool) -> bool | None:
    """Whether two units or nouns can stand for the same: True where one is absent or says more than the other.

    5 red apples and 5 Apples agree, and so do boxes of apples and boxes; of red and green apples, apples and boxes of
    apples, people and students it cannot be told here: None. Two `measures` (cm, km) are one or not: False.
    """
    if one == other or not one or not other:
        return True
    if {one, other} in ({"pound", "lb"}, {"pound", "£"}):
        return True
    if measures:
        bare = {name.rstrip("23") for name in (one, other)}
        return "unit" in bare and _power(one) == _power(other)
    if "unit" in (one, other):
        return True
    ours, theirs = (_OF.split(name.lower()) for name in (one, other))
    both = [(_WORD.findall(a), _WORD.findall(b)) for a, b in zip(ours, theirs, strict=False)]
    return all(_within(a, b) or _within(b, a) for a, b in both) or None


def _within(words: list[str], others: list[str]) -> bool:
    """True where each word is among the others, in the singular or the plural."""
    known = set().union(*map(_singulars, others))
    return all(known & _singulars(word) for word in words)


def _power(name: str) -> str:
    return name[-1] if name[-1].isdigit() else ""


_OF = re.compile(r"\s+(?:of|per|for|from|in|on|at|with)\s+|/")
_WORD = re.compile(r"[^\s.,()-]+")
_IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "mice": "mouse", "teeth": "tooth",
    "geese": "goose", "dice": "die", "loaves": "loaf", "knives": "knife", "leaves": "leaf", "shelves": "shelf",
    "vertices": "vertex",
}  # fmt: skip


def _singulars(word: str) -> set[str]:
    """A measure in its one spelling, or what a noun may be in the singular: boxes as boxe and box, buses as bus."""
    if word in MEASURES or word in _IRREGULAR:
        return {MEASURES.get(word) or _IRREGULAR[word]}
    found = {word}
    if word.endswith("s") and not word.endswith("ss"):
        found.add(word[:-1])
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        found.add(word[:-2])
    if word.endswith("ies"):
        found.add(word[:-3] + "y")
    return found
