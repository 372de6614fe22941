"""The verifier of the planning tasks, and sets of them as problems: any right plan counts, and "no" where there is none.

A profile or a notebook names it by its import path under `verifiers`, as a user would name one of his own (VERIFIERS below). The
problem's `answer` is JSON: the family, the facts that an answer is checked against, and one right answer as an example.
Not here: the tasks and their checks (planning_tasks.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

from phi4r_lib.problems.answers import extract_answer
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, check_of, one_by_one
from phi4r_lib.problems.verify import Verdict
from phi4r_lib.worlds import planning_tasks as tasks
from phi4r_lib.worlds.planning_tasks import Task

VERIFIERS = {"planning": "phi4r_lib.worlds.planning_verifier:PlanningVerifier"}
# Ways to compare, links to follow, people to agree.
LEVELS = {"ways": (1, 2, 3, 4), "order": (1, 2, 3, 4), "calendar": (2, 3, 4, 5)}
SMALLEST: dict[str, Callable[[random.Random], Task]] = {
    "ways, some shut": lambda rng: tasks.make_ways(2, rng, limit=25),
    "sat": lambda rng: tasks.make_sat(3, rng.choice((1, 3, 5)), rng),
    "trip": lambda rng: tasks.make_trip(3, rng),
    "maze": lambda rng: tasks.make_maze(2, rng),
    "map": lambda rng: tasks.make_map(2, rng),
}


class PlanningVerifier:
    """Judges plans by evaluating them. The reason of a wrong one says what is wrong with it, after "failed_check: "."""

    def extract(self, text: str) -> str | None:
        """The last box or stated answer."""
        return extract_answer(text)

    def example(self, problem: Problem) -> str | None:
        """A right plan."""
        return check_of(problem)["example"]

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by evaluation."""
        return one_by_one(_judge, answers, problems)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[None]:
        """None: many plans are right."""
        return [None] * len(answers)


def _judge(answer: str, problem: Problem) -> Verdict:
    told = check_of(problem)
    if not isinstance(told, dict) or told.get("family") not in tasks.CHECKS or not isinstance(told.get("facts"), dict):
        raise BadCheck("the answer names a family and its facts")
    try:
        reason = tasks.check(told["family"], told["facts"], answer)
    except (KeyError, TypeError, ValueError) as error:
        raise BadCheck(f"the facts of family {told['family']} lack something: {error!r}") from None
    return Verdict.right(answer) if reason is None else Verdict.wrong(answer, f"failed_check: {reason}")


def graded_tasks(family: str, each: int, seed: int = 0) -> list[Problem]:
    """`each` problems per level of a family of LEVELS, easiest first.

    "ways" is near the training stories, "order" is another task in their words, "calendar" has other words as well.
    """
    makers = {"ways": tasks.make_ways, "order": tasks.make_order, "calendar": tasks.make_calendar}
    rng = random.Random(f"{family} {seed}")
    return [
        _problem(f"{family}-{level}-{number:02d}", family, makers[family](level, rng), level)
        for level in LEVELS[family]
        for number in range(1, each + 1)
    ]


def smallest_tasks(each: int, seed: int = 0) -> list[Problem]:
    """`each` problems of every other family at its smallest size, and of ways of which some are shut."""
    found = []
    for name, make in SMALLEST.items():
        rng = random.Random(f"{name} {seed}")
        slug = name.replace(", ", "-").replace(" ", "-")
        found += [_problem(f"{slug}-{number:02d}", name, make(rng), 1) for number in range(1, each + 1)]
    return found


def _problem(name: str, family: str, task: Task, level: int) -> Problem:
    told = {"family": task.family, "facts": task.facts, "example": task.answer}
    meta = {"family": family, "steps": level, "dial": task.dial, "feasible": task.facts.get("feasible", True)}
    return Problem(
        id=f"planning-{name}", domain="planning", prompt=task.text, answer=json.dumps(told), verifier="planning",
        source="phi4r planning world", licence="MIT", meta=meta,
    )  # fmt: skip
