"""What a text answers, whether that is right, and what most of a group of texts answer.

Exact comparisons (math/compare.py) decide nearly all pairs in this process; the rest goes to math-verify in worker
processes that can be killed (math/referee.py). Not here: running programs (sandbox.py) and rewards.
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from phi4r_lib.problems.math.compare import compare, sort_key
from phi4r_lib.problems.math.conventions import Conventions
from phi4r_lib.problems.math.court import Court, Question
from phi4r_lib.problems.math.referee import compare_hard

__all__ = ["Conventions", "Grade", "Plurality", "extract_answer", "grade", "plurality"]

_BOX = re.compile(r"\\f?boxed(?![a-zA-Z])|\\fbox(?![a-zA-Z])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_FORM = re.compile(r"####|\banswers?\b", re.IGNORECASE)
_CONNECTIVE = re.compile(r"(?:[ \t]+[^\W_]+){0,6}?[ \t*_]{0,20}(?:\bis\b|\bare\b|:|=)", re.IGNORECASE)
_CONNECTIVE_CHARS = 200  # between "answer" and "is": more is another sentence
_THEREFORE = re.compile(r"\b(?:therefore|thus|hence)\b,?[ \t]+(?=[-+$€£\\\d.]|[a-zA-Z] ?=)", re.IGNORECASE)
_THEREFORE_CHARS = 2000  # where a last "therefore 5" is looked for
_BULLETS = " \t*_:"
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n")
_DISPLAY = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_CHOICE = re.compile(r"\(([A-J])\)(?:[ \t].*)?", re.DOTALL)
_NUMBER_THEN_PROSE = re.compile(
    r"([-+]?[$€£]?[-+]?\d[\d,]*(?:\.\d+)?\s?%?)[,;]?\s+"
    r"(?:because|since|as|so|which|when|after|before|where|for|in|hence|therefore|that|if)\b.*",
    re.DOTALL,
)
_TAIL_CHARS = 45  # of the longest token like <|im_end|> that may follow an answer


_MOST_REMEMBERED = 1 << 16
_remembered: dict[bool, dict[Question, str]] = {}  # relations_as_intervals -> question -> verdict, of this process
Pair = tuple[str, str]  # (answer, gold)


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
    r"""The final answer that a completion states, or None; the work grows with the length of the text, no faster.

    Looks only at the text after the last </think>; a <think> that is never closed means there is no answer yet. There
    the last \boxed{...} counts (balanced braces); an empty or unclosed last box is no answer. Without a box the last of
    "The answer is X", "Answer: X" and "#### X" counts, up to the end of its sentence, else a closing "therefore X" where
    X begins as a number or formula does. Of "(B) 42" the letter counts. These forms are ours.
    """
    if not text:
        return None
    visible = text.rpartition("</think>")[2]
    if "<think>" in visible:
        return None
    last = None
    for last in _BOX.finditer(visible):  # noqa: B007  (the last one is wanted)
        pass
    found = _box_content(visible, last.end()) if last else _stated(visible)
    return (found or "").strip() or None


def final_answer(gold: str) -> str:
    """The gold answer itself; of a worked solution (GSM8K's "#### 7", a box) only the answer at its end."""
    return (extract_answer(gold) or gold) if "####" in gold or "boxed" in gold else gold


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
    """What the last sentence of a known form says."""
    start = _form_end(text)
    if start is None:
        return _concluded(text[-_THEREFORE_CHARS:])
    end = _without_tail_tokens(text)
    while start < end and text[start] in _BULLETS:
        start += 1
    rest = text[start:end].strip()
    display = _DISPLAY.match(rest)
    if display:
        return next(inside for inside in display.groups() if inside is not None).strip()
    return _trimmed(_SENTENCE_END.split(rest, maxsplit=1)[0])


def _form_end(text: str) -> int | None:
    """Where the answer begins that the last "####" or "answer ... is" announces."""
    start = None
    for form in _FORM.finditer(text):
        if form.group() == "####":
            start = form.end()
        elif connective := _CONNECTIVE.match(text, form.end(), form.end() + _CONNECTIVE_CHARS):
            start = connective.end()
    return start


def _concluded(text: str) -> str | None:
    """What follows the last "therefore", where the text ends with that sentence."""
    starts = [therefore.end() for therefore in _THEREFORE.finditer(text)]
    rest = text[starts[-1] : _without_tail_tokens(text)] if starts else ""
    first, *others = _SENTENCE_END.split(rest, maxsplit=1)
    return _trimmed(first) if first and not "".join(others).strip() else None


def _without_tail_tokens(text: str) -> int:
    """Where the text ends once tokens like <|im_end|> and blanks behind it are left out."""
    end = len(text)
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        token = text.rfind("<|", max(0, end - _TAIL_CHARS), end)
        inside = text[token + 2 : end - 2]
        if not text.endswith("|>", 0, end) or token < 0 or not inside or any(sign in "|<>" for sign in inside):
            return end
        end = token


def _trimmed(stated: str) -> str:
    """Without punctuation, emphasis and a reason behind it; a mark of exclamation is one only where prose ends in it."""
    stated = stated.strip().strip("*_ ").rstrip(";,!?").rstrip("*_ ")
    if len(stated) > 2 and stated[0] == stated[-1] == "$":
        stated = stated.strip("$ ")
    if choice := _CHOICE.fullmatch(stated):
        return choice[1]
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
        timeout_s: seconds that one comparison may take in a worker before that is killed and the pair is FAILED; on a
            busy machine up to twice as long, until it had that much of the CPU.
        workers: most worker processes (default: up to 4, one per core). They start only for pairs that the exact
            comparisons leave open, stay for later calls, use no signals here and need no `__main__` guard.
        conventions: how percent signs, units, intervals and thousands are read; default `Conventions()`.

    Raises ValueError for lists of different lengths or settings out of range, TypeError for entries that are no text.
    RIGHT always rests on one of the arguments that math/compare.py names: the same text, exact terms, a multiple of one
    equation, a correct rounding, or math-verify's algebra where it has no known blind spot. Lists and sets compare in
    any order, tuples, intervals and matrices part by part. An equation is a right answer where it names a value (x = 5
    for 5) or where the gold is one too (2x + y = 4 for y = 4 - 2x); 3x = 6 is no answer for 6.
    """
    if len(answers) != len(golds):
        raise ValueError(f"{len(answers)} answers for {len(golds)} golds: give one gold per answer")
    if timeout_s <= 0 or (workers is not None and workers < 1):
        raise ValueError("timeout_s must be above 0 and workers at least 1")
    conventions = conventions or Conventions()
    pairs = [(_text(answer), _text(gold)) for answer, gold in zip(answers, golds, strict=True)]
    return [Grade(verdict) for verdict in _verdicts(pairs, timeout_s, workers, conventions)]


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


def _verdicts(pairs: list[Pair], timeout_s: float, workers: int | None, conventions: Conventions) -> list[str]:
    """Compares all pairs, asks math-verify what that leaves open, and compares these again until nothing is open.

    Right and wrong are remembered for later calls, FAILED is not, as it may depend on the time limit.
    """
    remembered = _remembered.setdefault(conventions.relations_as_intervals, {})
    heard: dict[Question, str] = {}
    court, verdicts, waiting = Court(conventions, ChainMap(heard, remembered)), {}, list(dict.fromkeys(pairs))
    while waiting:
        verdicts |= {pair: _compared(*pair, court) for pair in waiting}
        waiting = [pair for pair in waiting if verdicts[pair] is None]
        asked, court.wanted = list(court.wanted), {}
        if asked:
            replies = compare_hard(asked, timeout_s, workers, conventions.relations_as_intervals)
            heard.update(zip(asked, replies, strict=True))
    if len(remembered) > _MOST_REMEMBERED:
        remembered.clear()
    remembered.update({question: verdict for question, verdict in heard.items() if verdict != "failed"})
    return [verdicts[pair] for pair in pairs]


def _compared(answer: str, gold: str, court: Court) -> str | None:
    easy = _easy(answer, gold, court.conventions)
    return compare(answer, gold, court) if easy is None else easy


@lru_cache(maxsize=1 << 16)
def _easy(answer: str, gold: str, conventions: Conventions) -> str | None:
    """The verdict where it needs no algebra, else None."""
    if not gold.strip() or len(gold) > conventions.max_chars:
        return "failed"
    if not answer.strip():
        return "wrong"
    if len(answer) > conventions.max_chars:
        return "failed"
    return compare(answer, gold, Court(conventions))


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
