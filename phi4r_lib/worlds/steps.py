"""One step of arithmetic, as every world uses it: pick it, apply it, write it down."""

from __future__ import annotations

import random

MAX_NUMBER = 99
MAX_CHANGE = 12  # most that one step adds or takes


def applied(skill: str, value: int, number: int) -> int:
    """The value after the step; `number` is the amount of add and take, and unused otherwise."""
    return {
        "add": value + number,
        "take": value - number,
        "double": 2 * value,
        "triple": 3 * value,
        "half": value // 2,
    }[skill]


def equation(skill: str, value: int, number: int) -> str:
    """One step as text, e.g. `7 + 5 = 12`."""
    result = applied(skill, value, number)
    form = {"add": "{v} + {k}", "take": "{v} - {k}", "double": "{v} * 2", "triple": "{v} * 3", "half": "{v} / 2"}[skill]
    return f"{form.format(v=value, k=number)} = {result}"


def pick_step(value: int, rng: random.Random) -> tuple[str, int]:
    """A step that keeps the value a whole number between 1 and MAX_NUMBER."""
    choices = []
    if value <= MAX_NUMBER - 2:
        choices += ["add"] * 3
    if value >= 4:
        choices += ["take"] * 3
    if value <= MAX_NUMBER // 2:
        choices += ["double"] * 2
    if value <= MAX_NUMBER // 3:
        choices.append("triple")
    if value % 2 == 0 and value >= 4:
        choices += ["half"] * 2
    skill = rng.choice(choices)
    if skill == "add":
        return skill, rng.randint(2, min(MAX_CHANGE, MAX_NUMBER - value))
    if skill == "take":
        return skill, rng.randint(2, min(MAX_CHANGE, value - 1))
    return skill, {"double": 2, "triple": 3, "half": 2}[skill]
