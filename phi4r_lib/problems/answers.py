"""What a text answers, whether that is right, and what most of a group of texts answer.

Exact comparisons (exact.py) decide the common cases in this process; the rest goes to math-verify in worker processes
that can be killed (referee.py). Not here: running programs (sandbox.py) and rewards.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from phi4r_lib.problems.math.exact import Conventions, clean, easy_verdict, explosive, for_referee, sort_key
from phi4r_lib.problems.math.referee import compare_hard

__all__ = ["Conventions", "Grade", "Plurality", "extract_answer", "grade", "plurality"]

_BOX = re.compile(r"\\f?boxed(?![a-zA-Z])|\\fbox(?![a-zA-Z])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_FORM = re.compile(r"####|\banswers?\b(?:[ \t]+\w+){0,6}?[ \t*_]*(?:\bis\b|\bare\b|:|=)[ \t*_:]*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n")
_NUMBER_THEN_PROSE = re.compile(
    r"([-+]?[$€£]?[-+]?\d[\d,]*(?:\.\d+)?\s?%?)[,;]?\s+"
    r"(?:because|since|as|so|which|when|after|before|where|for|in|hence|therefore|that|if)\b.*",
    re.DOTALL,
)
_TAIL_TOKENS = re.compile(r"(?:\s*<\|[^|<>]{1,40}\|>)+\s*$")


_MOST_REMEMBERED = 1 << 16
_remembered: dict[tuple[str, str, bool], str] = {}  # (answer, gold, relations) -> verdict, of this process


class Grade(Enum):
    """RIGHT, WRONG, or FAILED when the pair could not be graded: count FAILED apart and never as RIGHT."""

    RIGHT = "right"
    WRONG = "wrong"
    FAILED = "failed"


@dataclass(frozen=True)
class Plurality:
    """The answer with most votes; `share` is votes / all answers given, None included; `tied` flags a shared first."""

    answer: str | None
    votes: int
    share: float
    tied: bool = False


def extract_answer(text: str | None) -> str | None:
    r"""The final answer that a completion states, or None.

    Looks only at the text after the last </think>; a <think> that is never closed means there is no answer yet. There
    the last \boxed{...} counts (balanced braces); an empty or unclosed last box is no answer. Without a box the last of
    "The answer is X", "Answer: X" and "#### X" counts, up to the end of its sentence. These forms are ours.
    """
    if not text:
        return None
    visible = text.rpartition("</think>")[2]
    if "<think>" in visible:
        return None
    boxes = list(_BOX.finditer(visible))
    found = _box_content(visible, boxes[-1].end()) if boxes else _stated(visible)
    return (found or "").strip() or None


def _box_content(text: str, start: int) -> str | None:
    """What stands in the braces that open at start; for `\boxed 5` the next word; None when the box never closes."""
    opening = re.compile(r"\s*").match(text, start).end()
    if not text.startswith("{", opening):
        word = re.compile(r"[^\s$]*").match(text, opening).group()
        return word.rstrip(".,;")
    depth = 0
    for brace in _BRACE.finditer(text, opening):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)  # escaped braces count for nothing
        if depth == 0:
            return text[opening + 1 : brace.start()]
    return None


def _stated(text: str) -> str | None:
    forms = list(_FORM.finditer(text))
    if not forms:
        return None
    rest = _TAIL_TOKENS.sub("", text[forms[-1].end() :]).strip()
    stated = _SENTENCE_END.split(rest, maxsplit=1)[0].strip().strip("*_ ")
    if len(stated) > 2 and stated[0] == stated[-1] == "$":
        stated = stated.strip("$ ")
    prose = _NUMBER_THEN_PROSE.fullmatch(stated)
    return prose.group(1) if prose else stated


def grade(
    answers: Sequence[str | None],
    golds: Sequence[str | None],
    *,
    timeout_s: float = 5.0,
    workers: int | None = None,
    conventions: Conventions | None = None,
) -> list[Grade]:
    """Grades each answer against the gold answer at the same place.

    Args:
        answers: final answers as `extract_answer` gives them; None and blanks are WRONG.
        golds: the right answers; a gold that is missing or cannot be parsed makes the pair FAILED.
        timeout_s: seconds that one comparison may take in a worker before it is killed and the pair is FAILED.
        workers: most worker processes (default: up to 4, one per core). They start only for pairs that the exact
            comparisons leave open, stay for later calls, use no signals here and need no `__main__` guard.
        conventions: how percent signs, units, intervals and thousands are read; default `Conventions()`.

    Raises ValueError for lists of different lengths or settings out of range, TypeError for entries that are no text.
    Verdicts follow math-verify, except that words are compared as words ("act" is not "cat", to math-verify a product),
    52_7 is not 52_8, and reversed intervals are not all the same.
    """
    if len(answers) != len(golds):
        raise ValueError(f"{len(answers)} answers for {len(golds)} golds: give one gold per answer")
    if timeout_s <= 0 or (workers is not None and workers < 1):
        raise ValueError("timeout_s must be above 0 and workers at least 1")
    conventions = conventions or Conventions()
    pairs = [(_text(answer), _text(gold)) for answer, gold in zip(answers, golds, strict=True)]
    verdicts = {pair: _easy(*pair, conventions) for pair in dict.fromkeys(pairs)}
    hard = [pair for pair, verdict in verdicts.items() if verdict is None]
    if hard:
        verdicts.update(zip(hard, _hard(hard, timeout_s, workers, conventions), strict=True))
    return [Grade(verdicts[pair]) for pair in pairs]


def _text(value: object) -> str:
    """The answer as text, "" for None; of a text with boxes only the last box counts."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"answers and golds are texts or None, found {type(value).__name__}")
    text = str(value)
    if len(text) <= 100_000 and ("\\boxed" in text or "\\fbox" in text):
        return extract_answer(text) or ""
    return text


@lru_cache(maxsize=1 << 16)
def _easy(answer: str, gold: str, conventions: Conventions) -> str | None:
    """The verdict where it needs no algebra, else None."""
    if not gold.strip() or len(gold) > conventions.max_chars:
        return "failed"
    if not answer.strip():
        return "wrong"
    if len(answer) > conventions.max_chars:
        return "failed"
    verdict = easy_verdict(clean(answer, conventions), clean(gold, conventions), conventions)
    return verdict or ("failed" if explosive(answer) or explosive(gold) else None)


def _hard(pairs: list[tuple[str, str]], timeout_s: float, workers: int | None, conventions: Conventions) -> list[str]:
    """Verdicts of the referees; right and wrong are remembered, FAILED is not, as it may depend on the time limit."""
    cleaned = [(for_referee(answer, conventions), for_referee(gold, conventions)) for answer, gold in pairs]
    relations = conventions.relations_as_intervals
    unknown = [pair for pair in dict.fromkeys(cleaned) if (*pair, relations) not in _remembered]
    verdicts = dict(zip(unknown, compare_hard(unknown, timeout_s, workers, relations) if unknown else [], strict=True))
    verdicts |= {pair: _remembered[(*pair, relations)] for pair in cleaned if pair not in verdicts}
    if len(_remembered) > _MOST_REMEMBERED:
        _remembered.clear()
    _remembered.update({(*pair, relations): verdicts[pair] for pair in unknown if verdicts[pair] != "failed"})
    return [verdicts[pair] for pair in cleaned]


def plurality(
    answers: Sequence[str | None],
    *,
    timeout_s: float = 5.0,
    workers: int | None = None,
    conventions: Conventions | None = None,
) -> Plurality:
    """The most frequent answer, where mathematically equal answers vote together; None and blanks never vote.

    The answer returned is the most frequent spelling in its group. Of several groups with most votes the one that sorts
    first is taken (numbers by size, then text), whatever the order of the answers, and `tied` is set. Settings as for
    `grade`. `share` is votes divided by len(answers), non-votes included; no vote at all gives Plurality(None, 0, 0.0).
    """
    conventions = conventions or Conventions()
    spellings = Counter(text for answer in answers if (text := _text(answer)).strip())
    if not spellings:
        return Plurality(None, 0, 0.0)
    groups = _groups(spellings, timeout_s, workers, conventions)
    ranked = sorted(groups, key=lambda group: (-group.total(), sort_key(_spelling(group), conventions)))
    votes = ranked[0].total()
    tied = len(ranked) > 1 and ranked[1].total() == votes
    return Plurality(_spelling(ranked[0]), votes, votes / len(answers), tied)


def _spelling(group: Counter[str]) -> str:
    return min(group, key=lambda text: (-group[text], len(text), text))


def _groups(
    spellings: Counter[str], timeout_s: float, workers: int | None, conventions: Conventions
) -> list[Counter[str]]:
    """Spellings gathered into classes of equal answers; each is compared with the first spelling of every class."""
    groups: list[Counter[str]] = []
    for text in sorted(spellings, key=lambda text: (-spellings[text], sort_key(text, conventions))):
        firsts = [next(iter(group)) for group in groups]
        grades = grade([text] * len(firsts), firsts, timeout_s=timeout_s, workers=workers, conventions=conventions)
        home = next((group for group, verdict in zip(groups, grades, strict=True) if verdict is Grade.RIGHT), None)
        if home is None:
            groups.append(home := Counter())
        home[text] = spellings[text]
    return groups
