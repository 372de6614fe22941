"""The code world: short Python programs that print one integer; the gold answer comes from running them.

The programs are ours and known to be harmless, so `gold` runs them in this process; programs that a model wrote go
through sandbox.py.
"""

from __future__ import annotations

import contextlib
import io
import random
from dataclasses import dataclass

from phi4r_lib.worlds.steps import MAX_NUMBER, equation, pick_step

NAMES = ("x", "y", "n", "t")
CODE_FAMILIES = {"straight": "train", "loop": "train", "branch": "train", "swap": "validation", "pair": "benchmark"}
QUESTION = "What does it print?"


@dataclass(frozen=True)
class Program:
    """Source text, its worked lines (for training the tiny models), the printed integer, and the steps it took."""

    source: str
    steps: tuple[str, ...]
    answer: int
    count: int


def update_line(name: str, skill: str, number: int) -> str:
    sign, operand = {
        "add": ("+", number),
        "take": ("-", number),
        "double": ("*", 2),
        "triple": ("*", 3),
        "half": ("//", 2),
    }[skill]
    return f"{name} = {name} {sign} {operand}"


class _Writer:
    """Collects lines and worked steps while one or two variables change."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.lines, self.steps, self.values = rng, [], [], {}

    def start(self, name: str) -> None:
        self.values[name] = self.rng.randint(3, 40)
        self.lines.append(f"{name} = {self.values[name]}")
        self.steps.append(f"{name}: {self.values[name]}.")

    def step(self, name: str, indent: str = "", run: bool = True) -> None:
        skill, number = pick_step(self.values[name], self.rng)
        self.lines.append(indent + update_line(name, skill, number))
        if run:
            self.apply(name, skill, number)

    def apply(self, name: str, skill: str, number: int) -> None:
        text = equation(skill, self.values[name], number)
        self.values[name] = int(text.rsplit(" ", 1)[1])
        self.steps.append(f"{name}: {text}.")


def _loop(writer: _Writer, name: str, steps: int) -> None:
    turns = max(2, min(4, steps))
    number = writer.rng.randint(2, max(2, (MAX_NUMBER - writer.values[name]) // turns)) if turns else 2
    number = min(number, 9)
    writer.lines += [f"for i in range({turns}):", f"    {name} = {name} + {number}"]
    for _ in range(turns):
        writer.apply(name, "add", number)


def _branch(writer: _Writer, name: str) -> None:
    limit = writer.rng.randint(3, 60)
    holds = writer.values[name] > limit
    writer.lines.append(f"if {name} > {limit}:")
    writer.steps.append(f"{name}: {writer.values[name]} > {limit} is {holds}.")
    writer.step(name, "    ", run=holds)


def make_program(family: str, steps: int, rng: random.Random) -> Program:
    """A random program of about `steps` executed steps (1 to 8). Raises ValueError for an unknown family."""
    if family not in CODE_FAMILIES:
        raise ValueError(f"unknown code family {family!r}; known: {sorted(CODE_FAMILIES)}")
    writer = _Writer(rng)
    name, other = rng.sample(NAMES, 2)
    writer.start(name)
    if family in ("swap", "pair"):
        writer.start(other)
    for _ in range(max(1, steps - 1) if family != "loop" else max(0, steps - 3)):
        writer.step(rng.choice(list(writer.values)))
    if family == "loop" and writer.values[name] <= MAX_NUMBER - 18:
        _loop(writer, name, steps)
    elif family == "branch":
        _branch(writer, name)
    elif family == "swap":
        writer.lines.append(f"{name}, {other} = {other}, {name}")
    elif family == "pair" and sum(writer.values.values()) <= MAX_NUMBER:
        total = writer.values[name] + writer.values[other]
        writer.lines.append(f"{name} = {name} + {other}")
        writer.steps.append(f"{name}: {writer.values[name]} + {writer.values[other]} = {total}.")
    if len(writer.steps) == len(writer.values):
        writer.step(name)
    source = "\n".join([*writer.lines, f"print({name})"])
    return Program(source, tuple(writer.steps), gold(source), len(writer.steps) - len(writer.values))


def gold(source: str) -> int:
    """What one of our own programs prints; never call it on a program that a model wrote."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(source, {"__builtins__": {"print": print, "range": range}})
    return int(out.getvalue())


def code_prompt(source: str) -> str:
    """The program with its question."""
    return f"{source}\n{QUESTION}"
