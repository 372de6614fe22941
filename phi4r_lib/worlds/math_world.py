"""The math world: word problems of 1 to 8 steps with integer answers, made from seven structures in eight frames.

A story is a list of abstract events; rendering picks the words. So one story can be told twice (a paraphrase), with
other numbers (a variant), as an open "show that" seed, or be worked out step by step. The worked steps are for
training the tiny teacher and for measuring; no stage of the pipeline reads them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from phi4r_lib.worlds.steps import MAX_CHANGE, MAX_NUMBER, applied, equation, pick_step
from phi4r_lib.worlds.words import (
    FRAMES,
    GETTING,
    GIVING,
    GROUP_OPENINGS,
    OPENINGS,
    PHRASES,
    RELATIONS,
    Frame,
    Subject,
    pick_subjects,
)

STRUCTURES = ("chain", "groups", "relation", "compare", "total", "transfer", "larger")
MAX_STEPS = {"relation": 3}  # a relation needs one more subject than steps; frames with places have four
MIN_STEPS = {"compare": 2, "total": 2, "transfer": 2}  # keeping track of two subjects is never a one-step problem


@dataclass(frozen=True)
class Event:
    """One sentence of a story: `skill` names the step, `number` its operand, `other` a second subject."""

    kind: str  # open | groups | op | relation | give | aside
    who: int
    skill: str = ""
    number: int = 0
    second: int = 0  # boxes: things in each box
    other: int = -1


@dataclass(frozen=True)
class Story:
    """Subjects, events in telling order, what is asked (`ask`: have | more | total | larger) and of whom."""

    structure: str
    frame: Frame
    subjects: tuple[Subject, ...]
    unit: str
    aside_unit: str
    events: tuple[Event, ...]
    ask: str
    asked: tuple[int, ...]


@dataclass(frozen=True)
class Worked:
    """A story worked out: the steps as text, the answer, and how many steps of which skills it took."""

    steps: tuple[str, ...]
    answer: int
    skills: tuple[str, ...] = field(default=())


def families() -> list[tuple[str, str]]:
    """All (structure, frame name) pairs; the split of a family is fixed by `family_split`."""
    return [(structure, frame.name) for structure in STRUCTURES for frame in FRAMES]


def family_split(structure: str, frame_name: str) -> str:
    """train, validation or benchmark: every structure and every frame appears in all three, no pair in two."""
    frames = [frame.name for frame in FRAMES]
    place = (STRUCTURES.index(structure) + frames.index(frame_name)) % len(frames)
    return {0: "benchmark", 3: "benchmark", 5: "validation"}.get(place, "train")


def _ops(who: int, value: int, count: int, rng: random.Random) -> tuple[list[Event], int]:
    events = []
    for _ in range(count):
        skill, number = pick_step(value, rng)
        events.append(Event("op", who, skill, number))
        value = applied(skill, value, number)
    return events, value


def _start(who: int, rng: random.Random, high: int = 40) -> Event:
    return Event("open", who, number=rng.randint(5, high))


def _chain_events(steps: int, rng: random.Random, groups: bool) -> list[Event]:
    if groups:
        a, b = rng.randint(2, 9), rng.randint(2, 9)
        first, value, left = Event("groups", 0, "groups", a, b), a * b, steps - 1
    else:
        first = _start(0, rng)
        value, left = first.number, steps
    return [first, *_ops(0, value, left, rng)[0]]


def _relation_events(steps: int, rng: random.Random) -> list[Event]:
    first = _start(0, rng)
    events, value = [first], first.number
    for who in range(1, steps + 1):
        skill, number = pick_step(value, rng)
        events.append(Event("relation", who, skill, number, other=who - 1))
        value = applied(skill, value, number)
    return events


def _pair_events(steps: int, rng: random.Random) -> tuple[list[Event], tuple[int, int]]:
    """Two subjects, told one after the other, with steps - 1 steps between them; returns events and final values."""
    left = rng.randint(0, steps - 1)
    starts = [_start(0, rng), _start(1, rng)]
    first, a = _ops(0, starts[0].number, left, rng)
    second, b = _ops(1, starts[1].number, steps - 1 - left, rng)
    return [starts[0], *first, starts[1], *second], (a, b)


def _transfer_events(steps: int, rng: random.Random) -> list[Event]:
    starts = [_start(0, rng), _start(1, rng)]
    values, events = [starts[0].number, starts[1].number], list(starts)
    for _ in range(steps):
        giver = rng.choice([who for who in (0, 1) if values[who] >= 4 and values[1 - who] <= MAX_NUMBER - 3])
        number = rng.randint(2, min(MAX_CHANGE, values[giver] - 1, MAX_NUMBER - values[1 - giver]))
        events.append(Event("give", giver, "give", number, other=1 - giver))
        values[giver] -= number
        values[1 - giver] += number
    return events


def _asides(count: int, subjects: int, rng: random.Random) -> list[Event]:
    """Sentences that do not matter: other things of the same subject."""
    return [Event("aside", rng.randrange(subjects), number=rng.randint(2, 40)) for _ in range(count)]


def can_have(structure: str, steps: int) -> bool:
    """Whether stories of this structure can have so many steps."""
    return MIN_STEPS.get(structure, 1) <= steps <= MAX_STEPS.get(structure, 8)


def make_story(structure: str, frame: Frame, steps: int, rng: random.Random, asides: int = 0) -> Story:
    """A random story of `steps` steps (1 to 8; relations 1 to 3; two subjects from 2 on) with `asides` sentences that do not matter.

    Raises ValueError for a structure that is not known or a number of steps it cannot have.
    """
    if structure not in STRUCTURES or not can_have(structure, steps):
        raise ValueError(f"no {structure!r} story of {steps} steps; structures: {STRUCTURES}, steps 1 to 8")
    ask, asked = "have", (0,)
    if structure in ("chain", "groups"):
        events, count = _chain_events(steps, rng, structure == "groups"), 1
    elif structure == "relation":
        events, count, asked = _relation_events(steps, rng), steps + 1, (steps,)
    elif structure == "transfer":
        events, count = _transfer_events(steps, rng), 2
    else:
        events, (a, b) = _pair_events(steps, rng)
        while not _comparable(structure, a, b):
            events, (a, b) = _pair_events(steps, rng)
        count, ask = 2, {"compare": "more", "total": "total", "larger": "larger"}[structure]
        asked = (0, 1) if a > b or structure == "total" else (1, 0)
    unit, aside_unit = _units(frame, rng)
    for aside in _asides(asides, count, rng):
        events.insert(rng.randint(1, len(events)), aside)
    subjects = tuple(pick_subjects(frame, count, rng))
    return Story(structure, frame, subjects, unit, aside_unit, tuple(events), ask, asked)


def make_holdings(frame: Frame, count: int, rng: random.Random, asides: int = 0) -> Story:
    """A story in which nothing happens: what each of `count` subjects has, asides included, in any order."""
    subjects = tuple(pick_subjects(frame, count, rng))
    events = [_start(who, rng) for who in range(count)] + _asides(asides, count, rng)
    unit, aside_unit = _units(frame, rng)
    told = tuple(rng.sample(events, len(events)))
    return Story("holdings", frame, subjects, unit, aside_unit, told, "have", (0,))


def _comparable(structure: str, a: int, b: int) -> bool:
    """Whether two final values can be put together in one step: the second is at most MAX_CHANGE, as in every step."""
    if structure == "larger":
        return a != b
    return b <= MAX_CHANGE and (a > b if structure == "compare" else a + b <= MAX_NUMBER)


def _units(frame: Frame, rng: random.Random) -> tuple[str, str]:
    unit, aside = rng.sample(frame.units, 2)
    return unit, aside


def _sentence(story: Story, event: Event, rng: random.Random) -> str:
    who = story.subjects[event.who]
    other = story.subjects[event.other] if event.other >= 0 else who
    if event.kind == "aside":
        return f"{who.head} also has {event.number} {story.aside_unit}."
    gets = event.kind == "give" and event.who != story.asked[0]
    if gets:
        who, other = other, who
    forms = {
        "open": OPENINGS,
        "groups": GROUP_OPENINGS,
        "op": PHRASES.get(event.skill, ()),
        "relation": RELATIONS.get(event.skill, ()),
        "give": GETTING if gets else GIVING,
    }[event.kind]
    return rng.choice(forms).format(
        S=who.head, s=who.name, r=other.name, k=event.number, U=story.unit, a=event.number, b=event.second
    )


def tell(story: Story, rng: random.Random) -> str:
    """The story without its question; another random state gives other words for the same events."""
    return " ".join(_sentence(story, event, rng) for event in story.events)


def question(story: Story) -> str:
    """The checkable question of a story."""
    first = story.subjects[story.asked[0]].name
    second = story.subjects[story.asked[-1]].name
    return {
        "have": f"How many {story.unit} does {first} have?",
        "more": f"How many more {story.unit} does {first} have than {second}?",
        "total": f"How many {story.unit} do {first} and {second} have in all?",
        "larger": f"How many {story.unit} does the one with more have?",
    }[story.ask]


def open_request(story: Story) -> str:
    """The open, hard-to-check request of a story ("show that", "explain why"), put before it."""
    first, second = story.subjects[story.asked[0]].name, story.subjects[story.asked[-1]].name
    return {
        "have": f"Explain how many {story.unit} {first} has.",
        "more": f"Show that {first} has more {story.unit} than {second}.",
        "total": f"Explain how many {story.unit} {first} and {second} have in all.",
        "larger": f"Explain why one has more {story.unit} and how many.",
    }[story.ask]


def prompt(story: Story, rng: random.Random) -> str:
    """Story and question."""
    return f"{tell(story, rng)} {question(story)}"


def open_prompt(story: Story, rng: random.Random) -> str:
    """Open request and story, nothing to check."""
    return f"{open_request(story)} {tell(story, rng)}"


def renumbered(story: Story, rng: random.Random) -> Story:
    """The same events and subjects with other numbers that keep every value whole and in range."""
    for _ in range(200):
        events = tuple(_renumber(event, rng) for event in story.events)
        fresh = replace(story, events=events)
        if _is_sound(fresh):
            return fresh
    return story


def _renumber(event: Event, rng: random.Random) -> Event:
    if event.kind in ("open", "aside"):
        return replace(event, number=rng.randint(3, 40))
    if event.kind == "groups":
        return replace(event, number=rng.randint(2, 9), second=rng.randint(2, 9))
    if event.skill in ("add", "take", "give"):
        return replace(event, number=rng.randint(2, MAX_CHANGE))
    return event


def _is_sound(story: Story) -> bool:
    values: dict[int, int] = {}
    for event in story.events:
        before = values.get(event.other if event.kind == "relation" else event.who, 0)
        if event.skill == "half" and before % 2:
            return False
        _apply(event, values)
        if any(not 1 <= value <= MAX_NUMBER for value in values.values()):
            return False
    a, b = values[story.asked[0]], values[story.asked[-1]]
    structure = {"more": "compare", "total": "total"}.get(story.ask)
    return _comparable(structure, a, b) if structure else story.ask == "have" or a > b


def _apply(event: Event, values: dict[int, int]) -> None:
    if event.kind == "open":
        values[event.who] = event.number
    elif event.kind == "groups":
        values[event.who] = event.number * event.second
    elif event.kind == "relation":
        values[event.who] = applied(event.skill, values[event.other], event.number)
    elif event.kind == "give":
        values[event.who] -= event.number
        values[event.other] += event.number
    elif event.kind == "op":
        values[event.who] = applied(event.skill, values[event.who], event.number)


def work(story: Story) -> Worked:
    """The given amounts and the steps in telling order, one line each, labelled with whose value it is."""
    values: dict[int, int] = {}
    steps: list[str] = []
    skills: list[str] = []
    for event in story.events:
        line = _worked_step(story, event, values)
        _apply(event, values)
        if line:
            steps.append(line)
        if event.skill:
            skills.append(_named_skill(story, event))
    a, b = values[story.asked[0]], values[story.asked[-1]]
    if story.ask == "more":
        steps.append(f"more: {a} - {b} = {a - b}.")
        return Worked(tuple(steps), a - b, (*skills, "compare"))
    if story.ask == "total":
        steps.append(f"in all: {a} + {b} = {a + b}.")
        return Worked(tuple(steps), a + b, (*skills, "total"))
    if story.ask == "larger":
        steps.append(f"more: {a} > {b}.")
        return Worked(tuple(steps), a, (*skills, "compare"))
    return Worked(tuple(steps), a, tuple(skills))


def _named_skill(story: Story, event: Event) -> str:
    if event.kind != "give":
        return event.skill
    return "take" if event.who == story.asked[0] else "add"


def _worked_step(story: Story, event: Event, values: dict[int, int]) -> str | None:
    label = story.subjects[event.who].label
    if event.kind == "aside" or (
        event.kind == "open" and story.structure == "transfer" and event.who != story.asked[0]
    ):
        return None
    if event.kind == "open":
        return f"{label}: {event.number}."
    if event.kind == "groups":
        return f"{label}: {event.number} * {event.second} = {event.number * event.second}."
    if event.kind == "relation":
        return f"{label}: {equation(event.skill, values[event.other], event.number)}."
    if event.kind == "give":
        asked = story.asked[0]
        skill = "take" if event.who == asked else "add"
        return f"{story.subjects[asked].label}: {equation(skill, values[asked], event.number)}."
    return f"{label}: {equation(event.skill, values[event.who], event.number)}."
