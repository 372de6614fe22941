"""The exact reader of the math world: a word problem's text back into its story, and the story's answer.

For measuring only: it says of a text that a model wrote whether it is a sound problem, what its answer is, and whether it
tells the same story as another text. It knows the phrases of `words.py` and nothing else: any other sentence, a person who
gives to herself, a second start of one subject, a number below zero or half of an odd number make a text unsound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from phi4r_lib.problems.schema import Problem
from phi4r_lib.worlds.steps import applied
from phi4r_lib.worlds.words import (
    FRAMES,
    GETTING,
    GIVING,
    GROUP_OPENINGS,
    OPENINGS,
    PEOPLE,
    PHRASES,
    RELATIONS,
)

NAMES = "|".join([*PEOPLE, *(f"[Tt]he {place}" for frame in FRAMES for place in frame.places)])
UNITS = "|".join(sorted({unit for frame in FRAMES for unit in frame.units}))
HOLES = {name: rf"(?P<{name}>{NAMES})" for name in "Ssr"} | {name: rf"(?P<{name}>\d+)" for name in "kab"}
HOLES["U"] = rf"(?P<U>{UNITS})"
WORLDS = ("phi4r math world", "phi4r code world")  # sources of problems whose truth can be worked out
ASIDE = "{S} also has {k} {U}."
QUESTIONS = {
    "have": "How many {U} does {s} have?",
    "more": "How many more {U} does {s} have than {r}?",
    "total": "How many {U} do {s} and {r} have in all?",
    "larger": "How many {U} does the one with more have?",
}


@dataclass(frozen=True)
class Told:
    """A story as it was read: `steps` are all that changes an amount, in order; `asides` do not matter.

    A step is (kind, who, skill, number, other), numbers as told; `ask` and `asked` are the question.
    """

    steps: tuple[tuple[str, str, str, int, str], ...]
    asides: int
    unit: str
    ask: str
    asked: tuple[str, ...]
    answer: int

    def outline(self, numbers: bool = True) -> tuple:
        """What makes it this story, asides apart; without `numbers` what it has in common with its variants."""
        steps = tuple(
            (kind, who, skill, number if numbers else 0, other) for kind, who, skill, number, other in self.steps
        )
        return steps, self.unit, self.ask, self.asked


def _pattern(form: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w)\}", form)
    return re.compile("".join(HOLES[part] if i % 2 else re.escape(part) for i, part in enumerate(parts)))


@cache
def _forms() -> list[tuple[str, str, re.Pattern[str]]]:
    kinds = [("open", "", OPENINGS), ("groups", "groups", GROUP_OPENINGS), ("give", "give", GIVING)]
    kinds += [("get", "give", GETTING), ("aside", "", (ASIDE,))]
    kinds += [("op", skill, forms) for skill, forms in PHRASES.items()]
    kinds += [("relation", skill, forms) for skill, forms in RELATIONS.items()]
    return [(kind, skill, _pattern(form)) for kind, skill, forms in kinds for form in forms]


@cache
def _asks() -> list[tuple[str, str, re.Pattern[str]]]:
    return [(ask, "", _pattern(form)) for ask, form in QUESTIONS.items()]


def read_story(text: str) -> Told | None:
    """The story of a text that ends with its question; None where the text is no sound problem of this world."""
    sentences = re.findall(r"[^.?]+[.?]", text)
    *told, last = [sentence.strip() for sentence in sentences] or [""]
    question = _read(last, _asks())
    events = [_read(sentence, _forms()) for sentence in told]
    if question is None or not events or None in events or "".join(sentences).strip() != text.strip():
        return None
    return _story(events, question)


def _read(sentence: str, forms) -> tuple[str, str, dict[str, str]] | None:
    for kind, skill, pattern in forms:
        if found := pattern.fullmatch(sentence):
            parts = {name: value.lower() if name in "Ssr" else value for name, value in found.groupdict().items()}
            return kind, skill, parts
    return None


def _story(events, question) -> Told | None:
    ask, _, asked_of = question
    unit, amounts, steps = asked_of["U"], {}, []
    for kind, skill, parts in events:
        if (kind == "aside") == (parts.get("U", unit) == unit):
            return None  # an aside about the things that count, or a step about things that do not
        if kind != "aside":
            step = _step(kind, skill, parts)
            if step is None or not _happens(step, parts, amounts):
                return None
            steps.append(step)
    asked = tuple(asked_of[name] for name in "sr" if name in asked_of)
    answer = _answer(ask, asked, amounts)
    asides = sum(kind == "aside" for kind, *_ in events)
    return None if answer is None else Told(tuple(steps), asides, unit, ask, asked, answer)


def _step(kind: str, skill: str, parts: dict[str, str]) -> tuple[str, str, str, int, str] | None:
    who, other = parts.get("S") or parts.get("s", ""), parts.get("r", "")
    if kind == "get":
        kind, who, other = "give", other, who
    if who == other:
        return None
    number = int(parts["a"]) * int(parts["b"]) if kind == "groups" else int(parts.get("k", 0))
    return kind, who, skill, number, other


def _happens(step, parts, amounts: dict[str, int]) -> bool:
    """Carries the step out; False where it cannot be."""
    kind, who, skill, number, other = step
    if kind in ("open", "groups", "relation"):
        if who in amounts or (kind == "relation" and other not in amounts):
            return False
        before = amounts.get(other, 0)
    else:
        if who not in amounts or (kind == "give" and other not in amounts):
            return False
        before = amounts[who]
    if skill == "half" and before % 2:
        return False
    after = {"groups": number, "": number, "give": before - number}.get(skill)
    amounts[who] = applied(skill, before, number) if after is None else after
    if kind == "give":
        amounts[other] += number
    return amounts[who] >= 0


def _answer(ask: str, asked: tuple[str, ...], amounts: dict[str, int]) -> int | None:
    if ask == "larger":
        return max(amounts.values()) if len(set(amounts.values())) == len(amounts) == 2 else None
    if len(set(asked)) < len(asked) or any(who not in amounts for who in asked):
        return None
    first, last = amounts[asked[0]], amounts[asked[-1]]
    answer = {"have": first, "more": first - last, "total": first + last}[ask]
    return answer if answer >= 0 else None


def open_question(text: str) -> str:
    """An open seed of this world ("Explain how many ...", "Show that ...") as the problem it stands for."""
    request, _, story = text.partition(". ")
    for form, ask in OPEN_FORMS:
        if found := _pattern(form).fullmatch(request + "."):
            return f"{story} {ask.format(**found.groupdict())}"
    return text


OPEN_FORMS = (
    ("Explain how many {U} {s} has.", "How many {U} does {s} have?"),
    ("Show that {s} has more {U} than {r}.", "How many more {U} does {s} have than {r}?"),
    ("Explain how many {U} {s} and {r} have in all.", "How many {U} do {s} and {r} have in all?"),
    ("Explain why one has more {U} and how many.", "How many {U} does the one with more have?"),
)


def is_faithful(kind: str, text: str, answer: str | None, parent: Problem, gold: str | None) -> bool | None:
    """Whether a problem made from `parent` is what its kind promises, with the right answer; None where nobody can know.

    A rewrite or paraphrase tells the parent's story (asides apart), a variant the parent's story with other numbers; a
    puzzle or program has the parent's `gold` answer. The `answer` must be that of the candidate's own text; None: the
    text alone is judged. Of problems that are not of our worlds only equality with a gold answer can be judged.
    """
    ours, told = parent.source in WORLDS, read_story(text)
    if not ours or kind == "program":
        return None if gold is None or kind == "numbers" else answer == gold
    if told is None or answer not in (None, str(told.answer)):
        return False
    if kind == "puzzle":
        return None if gold is None else str(told.answer) == gold
    source = read_story(open_question(parent.prompt))
    numbers = kind != "numbers"
    return None if source is None else told.outline(numbers) == source.outline(numbers)
