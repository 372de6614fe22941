r"""Numbers written in English words: forty-two, one hundred and five, two thirds, three and a half, three point one four.

Read is only what has one reading: "two hundred thousandths" and "twenty one hundredths" are left as they are, and so is an
ordinal alone (third). Not here: digits with a scale or unit behind them, as in 5 million (quantities.py).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_BELOW_TWENTY = {word: value for value, word in enumerate(_SMALL)}
_TIMES_TEN = {word: 10 * place for place, word in enumerate(_TENS, start=2)}
_POWERS = {"trillion": 10**12, "billion": 10**9, "million": 10**6, "thousand": 1000}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
    "twentieth": 20, "hundredth": 100, "thousandth": 1000, "millionth": 10**6,
} | {f"{_SMALL[value]}th": value for value in (6, 7, 10, 11, 13, 14, 15, 16, 17, 18, 19)}  # fmt: skip
_PARTS |= {word + "s": value for word, value in _PARTS.items() if word not in ("half", "halves")}
NUMBER_WORD = "|".join(sorted([*_BELOW_TWENTY, *_TIMES_TEN, "hundred", *_POWERS], key=len, reverse=True))
_ANY = NUMBER_WORD + "|" + "|".join(sorted(_PARTS, key=len, reverse=True))
_WORD = rf"(?:(?:{_ANY})(?![a-z]))"
_RUN = re.compile(
    rf"(?<![\w\\{{}}.-])(?:(?:minus|negative) )?(?:an? (?=hundred|thousand|million|half|third|quarter|fourth|\w+th\b))?{_WORD}"
    rf"(?:(?:[ -]|[ -]and[ -](?:an? )?| point ){_WORD})*(?![\w-])",
    re.IGNORECASE,
)
_HINT = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z]{3}")
_LISTED = re.compile(r"-?[\d/]+(?:(?:,| and| or|, and|, or) -?[\d/]+)+")


def in_digits(text: str) -> str:
    r"""The text with its numbers in digits: "42 apples" for "forty-two apples", "2/3" for "two thirds"."""
    return _replaced(text) if _HINT.search(text) else text


@lru_cache(maxsize=1 << 13)
def _replaced(text: str) -> str:
    return _RUN.sub(_digits, text)


def is_list(text: str) -> bool:
    """True for "two and three": several numbers, none of which is "one hundred and three"."""
    return _LISTED.fullmatch(text) is not None


def _digits(match: re.Match) -> str:
    run = match.group().lower()
    value = _value(run)
    if value is not None:
        return str(value)
    parts = re.split(r"[ -]and[ -]", run)
    values = [_value(part) for part in parts]
    plain = all(value is not None and (value.denominator == 1 or value < 1) for value in values)
    return " and ".join(map(str, values)) if plain else match.group()


def _value(run: str) -> Fraction | None:
    """The number that a run of words spells."""
    bare = re.sub(r"^(?:minus|negative) ", "", run)
    value = _positive(bare)
    return value if value is None or bare == run else -value


def _positive(run: str) -> Fraction | None:
    if (whole := _cardinal(run)) is not None:
        return Fraction(whole)
    if (part := _fraction(run)) is not None:
        return part
    before, said, after = run.rpartition(" and ")
    whole, part = _cardinal(before), _fraction(after)
    if said and whole is not None and part is not None and part < 1:
        return whole + part  # two and a half
    before, said, after = run.partition(" point ")
    digits = [_BELOW_TWENTY.get(word, 10) for word in after.split(" ")]
    if said and (whole := _cardinal(before)) is not None and max(digits) < 10:
        return Fraction(f"{whole}.{''.join(map(str, digits))}")
    return None


def _cardinal(run: str) -> int | None:
    """A whole number; "and" may stand behind hundred and larger words only."""
    words, total, most = re.split("[ -]", run), 0, None
    while words:
        scale = next((word for word in words if word in _POWERS), None)
        group = words[: words.index(scale)] if scale else words
        words = words[len(group) + 1 :] if scale else []
        size = _POWERS.get(scale, 1)
        value = _below_thousand(group, bool(total))
        if value is None or (most is not None and (size >= most or value == 0)):
            return None
        total, most = total + value * size, size
    return total


def _below_thousand(words: list[str], goes_on: bool) -> int | None:
    """One group of words: up to 9,999 as "twelve hundred" counts too; `goes_on` where larger groups stand before it."""
    if goes_on and words[:1] == ["and"]:
        words = words[1:]
    if "hundred" not in words:
        return 1 if words in (["a"], ["an"]) else _below_hundred(words)
    place = words.index("hundred")
    above, rest = words[:place], words[place + 1 :]
    hundreds = 1 if above == ["a"] else _below_hundred(above)
    rest = rest[1:] if rest[:1] == ["and"] and len(rest) > 1 else rest
    below = _below_hundred(rest) if rest else 0
    return None if not hundreds or below is None or (rest and not below) else 100 * hundreds + below


def _below_hundred(words: list[str]) -> int | None:
    if len(words) == 1:
        return _BELOW_TWENTY.get(words[0], _TIMES_TEN.get(words[0]))
    if len(words) == 2 and words[0] in _TIMES_TEN and 0 < _BELOW_TWENTY.get(words[1], 0) < 10:
        return _TIMES_TEN[words[0]] + _BELOW_TWENTY[words[1]]
    return None


def _fraction(run: str) -> Fraction | None:
    """half, a third, two thirds, twenty-one hundredths; the hyphens must leave one reading."""
    if run == "half":
        return Fraction(1, 2)
    above, _, below = run.rpartition(" " if " " in run else "-")
    if below not in _PARTS or " " in above or (" " not in run and "-" in above):
        return None
    count = 1 if above in ("a", "an") else _below_hundred(above.split("-")) if above else None
    one = below in ("half", "third", "quarter") or below.endswith("th")
    return Fraction(count, _PARTS[below]) if count and one == (count == 1) else None
