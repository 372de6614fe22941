"""The bounds world: how many can somebody have? Many numbers are right, and a verifier checks each by its bounds.

No answer of these problems equals another's, so there is no vote and no teacher: what a model can learn here it learns from
the verifier. Words and numbers are those of the other worlds. Not here: the other worlds' files (make_data.py).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.worlds.steps import MAX_NUMBER
from phi4r_lib.worlds.words import PEOPLE

UNITS = ("apples", "pens", "cards", "coins", "stones", "books", "shells", "cakes")
SHARES = {"above": 140, "below": 140, "between": 100, "tight": 100}  # seeds of each family
Made = tuple[str, int, int]  # facts told, lowest and highest right number


def _above(rng: random.Random, a: str, b: str, c: str, unit: str) -> Made:
    least = rng.randint(5, 70)
    return f"{b} has {least} {unit}. {a} has more {unit} than {b}.", least + 1, MAX_NUMBER


def _below(rng: random.Random, a: str, b: str, c: str, unit: str) -> Made:
    most = rng.randint(10, 90)
    return f"{b} has {most} {unit}. {a} has fewer {unit} than {b}.", 0, most - 1


def _between(rng: random.Random, a: str, b: str, c: str, unit: str) -> Made:
    least = rng.randint(5, 60)
    most = least + rng.randint(6, 24)
    told = f"{b} has {least} {unit}. {c} has {most} {unit}. {a} has more {unit} than {b} and fewer than {c}."
    return told, least + 1, most - 1


def _tight(rng: random.Random, a: str, b: str, c: str, unit: str) -> Made:
    least = rng.randint(5, 80)
    most = least + rng.randint(3, 5)
    told = f"{b} has {least} {unit}. {c} has {most} {unit}. {a} has more {unit} than {b} and fewer than {c}."
    return told, least + 1, most - 1


FAMILIES: dict[str, Callable[..., Made]] = {"above": _above, "below": _below, "between": _between, "tight": _tight}


def make_problem(family: str, name: str, rng: random.Random) -> Problem:
    """One problem of a family; `meta.example` is one of its right answers. Raises KeyError for an unknown family."""
    unit = rng.choice(UNITS)
    a, b, c = rng.sample(PEOPLE, 3)
    told, low, high = FAMILIES[family](rng, a, b, c, unit)
    rules = [["count", 1], ["between", low, high]]
    return Problem(
        id=name, domain="bounds", prompt=f"{told} How many {unit} can {a} have?", answer=json.dumps(rules),
        verifier="constraints", source="phi4r bounds world", licence="MIT",
        meta={"family": family, "example": str(rng.randint(low, high))},
    )  # fmt: skip


def more(family: str, count: int, seed: int, told: Iterable[str] = ()) -> list[Problem]:
    """`count` further problems of one family, none of them with a prompt of `told`."""
    rng, seen, found = random.Random(f"{family} {seed}"), set(told), []
    while len(found) < count:
        problem = make_problem(family, f"made-{family}-{seed}-{len(found) + 1:04d}", rng)
        if problem.prompt not in seen:
            seen.add(problem.prompt)
            found.append(problem)
    return found


def seeds(seed: int = 20261126) -> list[Problem]:
    """The shipped seeds, families in the shares of SHARES and shuffled; no prompt twice."""
    rng = random.Random(seed)
    order = [family for family, count in SHARES.items() for _ in range(count)]
    rng.shuffle(order)
    seen: set[str] = set()
    found: list[Problem] = []
    for family in order:
        while (problem := make_problem(family, f"bounds-{len(found) + 1:04d}", rng)).prompt in seen:
            pass
        seen.add(problem.prompt)
        found.append(problem)
    return found


def main() -> None:
    """Command line: writes seeds/bounds.jsonl below --out (default: data)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data"))
    rows = seeds()
    write_rows(parser.parse_args().out / "seeds" / "bounds.jsonl", (row.model_dump() for row in rows))
    print(f"{len(rows):6d} seeds/bounds.jsonl")


if __name__ == "__main__":
    main()
