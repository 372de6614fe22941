"""Small schedules and walks with integer answers: their words stand in the tiny models' vocabulary, so they stay.

Not here: the planning problems that models are measured on (planning_tasks.py).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from phi4r_lib.worlds.steps import MAX_NUMBER


@dataclass(frozen=True)
class Plan:
    """A planning problem, its integer answer and its number of steps."""

    text: str
    answer: int
    steps: int
    family: str


def make_schedule(steps: int, rng: random.Random) -> Plan:
    """Jobs one after another; some wait for the longer of two. The question: when does the last one end?"""
    end = rng.randint(1, 9)
    lines = [f"Job 1 starts at {end}."]
    for job in range(1, steps + 1):
        length = rng.randint(2, min(9, MAX_NUMBER - end))
        lines.append(f"Job {job} takes {length}.")
        end += length
        if job < steps:
            lines.append(f"Job {job + 1} starts when job {job} ends.")
    return Plan(f"{' '.join(lines)} When does job {steps} end?", end, steps, "schedule")


def make_walk(steps: int, rng: random.Random) -> Plan:
    """A walk on a line of squares with a wall that stops it. The question: on which square does it end?"""
    square, wall = rng.randint(5, 40), rng.randint(60, 90)
    lines = [f"There is a wall at {wall}.", f"Ann starts at {square}."]
    for _ in range(steps):
        length = rng.randint(2, 20)
        right = square <= 10 or rng.random() < 0.5
        lines.append(f"Ann goes {length} {'right' if right else 'left'}.")
        square = min(wall, square + length) if right else max(1, square - length)
    return Plan(f"{' '.join(lines)} Where is Ann?", square, steps, "walk")


def make_plan(family: str, steps: int, rng: random.Random) -> Plan:
    """A schedule or a walk of 1 to 8 steps. Raises ValueError for an unknown family."""
    makers = {"schedule": make_schedule, "walk": make_walk}
    if family not in makers:
        raise ValueError(f"unknown planning family {family!r}; known: {sorted(makers)}")
    return makers[family](steps, rng)
