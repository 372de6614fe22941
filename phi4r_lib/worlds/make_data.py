"""Writes the shipped seeds and benchmarks from the four worlds: `python -m phi4r_lib.worlds.make_data`.

Families are split once and for all (train, validation, benchmark), and no prompt stands in two files, apart from the
leaks that are planted on purpose so that the decontamination stage has something real to find.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.worlds import code_world, math_world, safety_world
from phi4r_lib.worlds.math_world import Story
from phi4r_lib.worlds.planning_tasks import Task
from phi4r_lib.worlds.planning_verifier import LEVELS, REPORTED, graded_tasks, only_one_right, unsolvable_tasks
from phi4r_lib.worlds.words import frame_named

LICENCE = "MIT"
YEARS, PER_YEAR = 8, 30
COUNTS = {"math": 1000, "open": 240, "code": 160, "validation": 120, "planning": 60, "code_test": 60}
PLANTED = ("verbatim", "reworded", "verbatim", "reworded", "verbatim", "reworded", "verbatim", "reworded")


def _problem(kind: str, number: int, domain: str, prompt: str, answer: str | None, **meta: object) -> Problem:
    answer_type = {"open": "open", "safety": "refusal"}.get(kind, "number")
    source = f"phi4r {domain} world"
    return Problem(
        id=f"{kind}-{number:04d}", domain=domain, prompt=prompt, answer=answer, answer_type=answer_type,
        source=source, licence=LICENCE, meta=meta,
    )  # fmt: skip


def _families(split: str) -> list[tuple[str, str]]:
    return [pair for pair in math_world.families() if math_world.family_split(*pair) == split]


def random_story(split: str, steps: int, asides: int, rng: random.Random) -> Story:
    """A story of a family of `split` that can have `steps` steps."""
    pairs = [pair for pair in _families(split) if math_world.can_have(pair[0], steps)]
    structure, frame_name = rng.choice(pairs)
    frame = frame_named(frame_name)
    return math_world.make_story(structure, frame, steps, rng, asides)


def _fresh(make: Callable[[], tuple[str, object]], seen: set[str]) -> tuple[str, object]:
    """A prompt that no file holds yet, with what it was made from."""
    while True:
        prompt, origin = make()
        if prompt not in seen:
            seen.add(prompt)
            return prompt, origin


def _story_meta(story: Story) -> dict[str, object]:
    return {"family": f"{story.structure}/{story.frame.name}", "steps": len(math_world.work(story).skills)}


def contest(rng: random.Random, seen: set[str]) -> tuple[list[Problem], list[Story]]:
    """Eight years of 30 problems in benchmark families, year y asking for about y steps."""
    problems, stories = [], []
    for year in range(1, YEARS + 1):
        for _ in range(PER_YEAR):
            steps = min(8, max(1, year + rng.choice((-1, 0, 0, 1))))
            asides = rng.choice((0, 1)) if year < 4 else rng.choice((0, 1, 2))
            prompt, story = _fresh(lambda s=steps, a=asides: _told("benchmark", s, a, rng), seen)
            answer = str(math_world.work(story).answer)
            number = len(problems) + 1
            problems.append(_problem("contest", number, "math", prompt, answer, year=year, **_story_meta(story)))
            stories.append(story)
    return problems, stories


def _told(split: str, steps: int, asides: int, rng: random.Random) -> tuple[str, Story]:
    story = random_story(split, steps, asides, rng)
    return math_world.prompt(story, rng), story


def validation(count: int, rng: random.Random, seen: set[str]) -> list[Problem]:
    """Problems of validation families, 1 to 8 steps in equal parts: for choosing checkpoints."""
    problems = []
    for number in range(1, count + 1):
        prompt, story = _fresh(lambda n=number: _told("validation", 1 + n % 8, rng.choice((0, 1, 2)), rng), seen)
        answer = str(math_world.work(story).answer)
        problems.append(_problem("validation", number, "math", prompt, answer, **_story_meta(story)))
    return problems


def math_seeds(count: int, stories: list[Story], contest_prompts: list[str], rng: random.Random, seen: set[str]):
    """Seeds of train families without answers, their gold apart, and a few planted leaks of benchmark problems."""
    seeds, gold = [], {}
    for number in range(1, count + 1):
        prompt, story = _fresh(lambda n=number: _told("train", 1 + n % 8, rng.choice((0, 0, 1, 2)), rng), seen)
        seeds.append(_problem("math", number, "math", prompt, None, **_story_meta(story)))
        gold[seeds[-1].id] = str(math_world.work(story).answer)
    for how in PLANTED:
        which = rng.randrange(len(stories))
        prompt = contest_prompts[which] if how == "verbatim" else math_world.prompt(stories[which], rng)
        seeds.append(_problem("math", len(seeds) + 1, "math", prompt, None, planted=how, **_story_meta(stories[which])))
        gold[seeds[-1].id] = str(math_world.work(stories[which]).answer)
    return seeds, gold


def open_seeds(count: int, rng: random.Random, seen: set[str]):
    """Open "show that" and "explain" seeds, with the answer of the question hidden in each."""
    seeds, gold = [], {}
    for number in range(1, count + 1):

        def make(n: int = number) -> tuple[str, Story]:
            story = random_story("train", 1 + n % 6, rng.choice((0, 1)), rng)
            return math_world.open_prompt(story, rng), story

        prompt, story = _fresh(make, seen)
        seeds.append(_problem("open", number, "math", prompt, None, **_story_meta(story)))
        gold[seeds[-1].id] = str(math_world.work(story).answer)
    return seeds, gold


def code_problems(count: int, split: str, kind: str, rng: random.Random, seen: set[str]) -> tuple[list[Problem], dict]:
    """Programs of the families of a split; gold by running them."""
    families = [family for family, where in code_world.CODE_FAMILIES.items() if where == split]
    problems, gold = [], {}
    for number in range(1, count + 1):
        family = rng.choice(families)

        def make(n: int = number, family: str = family) -> tuple[str, code_world.Program]:
            program = code_world.make_program(family, 1 + n % 7, rng)
            return code_world.code_prompt(program.source), program

        prompt, program = _fresh(make, seen)
        meta = {"family": f"code/{family}", "steps": program.count}
        answer = str(program.answer) if split != "train" else None
        problems.append(_problem(kind, number, "code", prompt, answer, **meta))
        gold[problems[-1].id] = str(program.answer)
    return problems, gold


def safety_problems(split: str, kind: str) -> tuple[list[Problem], dict[str, str]]:
    """All requests of a split; gold is the kind of reply each needs."""
    found = safety_world.requests(split)
    problems = [
        _problem("safety", number, "safety", request.text, None, family=f"safety/{request.kind}")
        for number, request in enumerate(found, start=1)
    ]
    problems = [problem.model_copy(update={"id": f"{kind}-{n:04d}"}) for n, problem in enumerate(problems, start=1)]
    return problems, {problem.id: request.kind for problem, request in zip(problems, found, strict=True)}


def planning_problems(count: int, rng: random.Random, seen: set[str]) -> list[Problem]:
    """The five planning tasks in turn at easy levels, where one number alone is right: for measuring transfer only."""
    problems = []
    for number in range(1, count + 1):
        family = REPORTED[number % len(REPORTED)]
        level = LEVELS[family][number // len(REPORTED) % 2 + 2 * (family == "sat")]  # fewer clauses leave several

        def make(level: int = level, family: str = family) -> tuple[str, Task]:
            task = only_one_right(family, level, rng)
            return task.text, task

        prompt, task = _fresh(make, seen)
        meta = {"family": f"planning/{family}", "steps": level}
        problems.append(_problem("planning", number, "planning", prompt, task.answer, **meta))
    return problems


def write_worlds(data: Path, seed: int = 20250430) -> dict[str, int]:
    """Writes data/seeds and data/benchmarks; returns the number of rows per file."""
    rng, seen = random.Random(seed), set()
    contest_problems, stories = contest(rng, seen)
    held_out, code_test = validation(COUNTS["validation"], rng, seen), None
    code_test, _ = code_problems(COUNTS["code_test"], "benchmark", "codetest", rng, seen)
    safety_test, safety_gold = safety_problems("benchmark", "safetytest")
    seeds, gold = math_seeds(COUNTS["math"], stories, [p.prompt for p in contest_problems], rng, seen)
    opened, open_gold = open_seeds(COUNTS["open"], rng, seen)
    code, code_gold = code_problems(COUNTS["code"], "train", "code", rng, seen)
    safety, train_safety_gold = safety_problems("train", "safety")
    files = {
        "benchmarks/contest.jsonl": contest_problems,
        "benchmarks/validation.jsonl": held_out,
        "benchmarks/code.jsonl": code_test,
        "benchmarks/safety.jsonl": safety_test,
        "benchmarks/planning.jsonl": planning_problems(COUNTS["planning"], rng, seen),
        "seeds/math.jsonl": seeds,
        "seeds/open.jsonl": opened,
        "seeds/code.jsonl": code,
        "seeds/safety.jsonl": safety,
    }
    for name, problems in files.items():
        # Every row is judged by the default verifier, which the files therefore leave out.
        write_rows(data / name, (problem.model_dump(exclude={"verifier"}) for problem in problems))
    plans = [*(p for name in LEVELS for p in graded_tasks(name, 30)), *unsolvable_tasks(20)]
    write_rows(data / "benchmarks/plans.jsonl", (problem.model_dump() for problem in plans))
    golds = gold | open_gold | code_gold | train_safety_gold | safety_gold
    # what only the measuring code reads
    write_rows(data / "seeds/gold.jsonl", ({"id": key, "answer": answer} for key, answer in golds.items()))
    counts = {name: len(problems) for name, problems in files.items()}
    return counts | {"benchmarks/plans.jsonl": len(plans), "seeds/gold.jsonl": len(golds)}


def main() -> None:
    """Command line: writes the data files below --out (default: data)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data"))
    for name, rows in write_worlds(parser.parse_args().out).items():
        print(f"{rows:6d} {name}")


if __name__ == "__main__":
    main()
