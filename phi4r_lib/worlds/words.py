"""The small vocabulary of the worlds: who, what, and the phrasings of one step.

Every phrase appears in several families, so that a family held out for measuring brings no unknown word.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

PEOPLE = ("Ann", "Bob", "Cal", "Dan", "Eve", "Fay", "Gus", "Hal", "Ivy", "Joe", "Kim", "Leo")


@dataclass(frozen=True)
class Subject:
    """Who holds the things: `name` inside a sentence, `head` at its start, `label` in a worked step."""

    name: str
    label: str

    @property
    def head(self) -> str:
        return self.name[0].upper() + self.name[1:]


@dataclass(frozen=True)
class Frame:
    """A setting: its subjects (people when `places` is empty) and what they hold."""

    name: str
    places: tuple[str, ...]
    units: tuple[str, ...]


FRAMES = (
    Frame("person", (), ("apples", "pens", "cards", "shells")),
    Frame("bus", ("red bus", "blue bus", "green bus", "old bus"), ("people", "bags")),
    Frame("team", ("red team", "blue team", "green team", "old team"), ("points", "cards")),
    Frame("jar", ("red jar", "blue jar", "green jar", "old jar"), ("coins", "stones", "shells")),
    Frame("shop", ("red shop", "blue shop", "green shop", "old shop"), ("pens", "bags", "cakes")),
    Frame("farm", ("red farm", "blue farm", "green farm", "old farm"), ("eggs", "apples", "trees")),
    Frame("shelf", ("red shelf", "blue shelf", "green shelf", "old shelf"), ("books", "cards")),
    Frame("child", (), ("coins", "stones", "books", "cakes")),
)

# {S} subject at the start, {s} inside, {k} a number, {U} the unit. "then" forms keep the wording varied.
PHRASES = {
    "add": ("{S} gets {k} more {U}.", "{S} gains {k} {U}.", "Then {k} {U} are added to {s}."),
    "take": ("{S} loses {k} {U}.", "{S} gives away {k} {U}.", "Then {k} {U} are taken from {s}."),
    "double": ("The {U} of {s} double.", "Now {s} has twice as many {U}."),
    "triple": ("The {U} of {s} triple.", "Now {s} has three times as many {U}."),
    "half": ("{S} loses half of the {U}.", "{S} gives away half of the {U}."),
}
RELATIONS = {
    "add": ("{S} has {k} more {U} than {r}.", "{S} has {k} {U} more than {r}."),
    "take": ("{S} has {k} fewer {U} than {r}.", "{S} has {k} {U} fewer than {r}."),
    "double": ("{S} has twice as many {U} as {r}.", "{S} has two times as many {U} as {r}."),
    "triple": ("{S} has three times as many {U} as {r}.",),
    "half": ("{S} has half as many {U} as {r}.", "{S} has half of the {U} of {r}."),
}
OPENINGS = ("{S} has {k} {U}.", "{S} starts with {k} {U}.")
GROUP_OPENINGS = ("{S} has {a} boxes with {b} {U} in each.", "{S} starts with {a} boxes of {b} {U} each.")
GIVING = ("{S} gives {k} {U} to {r}.", "Then {s} gives {k} {U} to {r}.")
GETTING = ("{S} gets {k} {U} from {r}.", "Then {s} gets {k} {U} from {r}.")


def frame_named(name: str) -> Frame:
    """The frame of that name; raises StopIteration for a name that no frame has."""
    return next(frame for frame in FRAMES if frame.name == name)


def pick_subjects(frame: Frame, count: int, rng: random.Random) -> list[Subject]:
    """`count` different subjects of a frame."""
    if not frame.places:
        return [Subject(name, name) for name in rng.sample(PEOPLE, count)]
    places = rng.sample(frame.places, count) if count <= len(frame.places) else None
    if places is None:
        raise ValueError(f"frame {frame.name} has {len(frame.places)} subjects, {count} are needed")
    return [Subject(f"the {place}", place.split()[0]) for place in places]
