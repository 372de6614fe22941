"""Times of day, dates and ratios of whole numbers: other notations for the same."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from phi4r_lib.problems.math.court import Verdict

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)\.?"
)
_DATE = re.compile(
    rf"(?:{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?|(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH})(?:,? (\d{{4}}))?", re.ASCII
)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2})(?::([0-5]\d))? ?(?:([ap])\.? ?m\.?)?", re.ASCII)
_HINT = re.compile(
    r":[0-5]\d|\d\D{0,9}[ap]\.? ?m\b|[a-z]\.? \d|\d(?:st|nd|rd|th)? [A-Z]?[a-z]{2}|\d{4}-\d\d-", re.IGNORECASE
)
_TEXT = re.compile(r"\\text ?\{([^{}]*)\}")
_TO = re.compile(r"(?<=[\d}]) ?(?:\\text ?\{ ?to ?\}|(?<= )to(?= )) ?(?=\d|\\frac)")
_RATIO = re.compile(r"\d{1,9}(?: ?: ?\d{1,9})+", re.ASCII)
_HOURS = re.compile(r"\d{1,2}:[0-5]\d(?::[0-5]\d)?", re.ASCII)


def same_moment(answer: str, gold: str) -> Verdict:
    """The verdict on two dates of which one names the month, or two times of which one has am or pm, on 3 to 4 and 3:4; else None.

    3:05 pm is 15:05, and not 3:05, which leaves open in which half of the day it is.
    """
    if (":" in answer) != (":" in gold) and _TO.search(answer + gold):
        texts = [_TO.sub(":", text).replace(" ", "") for text in (answer, gold)]
        return "right" if texts[0] == texts[1] or same_ratio(*texts) else None
    ours, theirs = _moment(answer), _moment(gold)
    if not ours or not theirs or ours[0] != theirs[0]:
        return None
    if ours[0] == "date":
        named = not (_ISO.fullmatch(answer) and _ISO.fullmatch(gold))
        return ("right" if ours == theirs else "wrong") if named else None
    if ours[1][2] and theirs[1][2]:
        return "right" if ours == theirs else "wrong"
    if not ours[1][2] and not theirs[1][2]:
        return None
    clocks = [_of_day(*one[1]) for one in (ours, theirs)]
    return "right" if clocks[0] == clocks[1] else "wrong"


def _of_day(hour: int, minute: int, half: str) -> tuple[int, int] | None:
    """The time on a clock of 24 hours; None for 3:05, which may be in either half."""
    if half:
        return hour % 12 + 12 * (half == "p"), minute
    return None if 1 <= hour <= 12 else (hour, minute)


def same_ratio(answer: str, gold: str) -> bool:
    """True for 6:8 and 3:4; what may be a time of day (1:30) is no such ratio."""
    texts = [text.replace(" ", "") for text in (answer, gold)]
    if not all(map(_RATIO.fullmatch, texts)) or any(map(_HOURS.fullmatch, texts)):
        return False
    ours, theirs = ([int(part) for part in text.split(":")] for text in texts)
    pairs = list(zip(ours, theirs, strict=False))
    return len(ours) == len(theirs) and all(ours + theirs) and all(a * d == b * c for (a, b), (c, d) in pairwise(pairs))


@lru_cache(maxsize=1 << 13)
def _moment(text: str) -> tuple[str, tuple] | None:
    """("date", (year or 0, month, day)) or ("time", (hour, minute, "a", "p" or "")); None for anything else."""
    if len(text) > 40 or not _HINT.search(text):
        return None
    bare = " ".join(_TEXT.sub(r" \1 ", text).lower().split())
    if match := _DATE.fullmatch(bare):
        month = _MONTHS.index((match[1] or match[4])[:3]) + 1
        return "date", (int(match[5] or 0), month, int(match[2] or match[3]))
    if match := _ISO.fullmatch(bare):
        return "date", tuple(map(int, match.groups()))
    match = _CLOCK.fullmatch(bare)
    if (
        match is None
        or not (match[2] or match[3])
        or int(match[1]) > (12 if match[3] else 23)
        or (match[3] and match[1] in ("0", "00"))
    ):
        return None
    return "time", (int(match[1]), int(match[2] or 0), match[3] or "")
