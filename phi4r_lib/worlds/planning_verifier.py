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
from phi4r_lib.worlds.steps import MAX_NUMBER

VERIFIERS = {"planning": "phi4r_lib.worlds.planning_verifier:PlanningVerifier"}
MAKERS: dict[str, Callable[[int, random.Random], Task]] = {
    "ways": tasks.make_ways,
    "sat": lambda level, rng: tasks.make_sat(*((2, 1), (3, 2), (3, 4), (4, 6))[level - 1], rng),
    "trip": tasks.make_trip,
    "calendar": tasks.make_calendar,
    "maze": tasks.make_maze,
    "map": tasks.make_map,
}
# Ways to compare, jars and clauses, places, people, doors, links.
LEVELS = {
    "ways": (1, 2, 3, 4),
    "sat": (1, 2, 3, 4),
    "trip": (2, 3, 4),
    "calendar": (2, 3, 4, 5),
    "maze": (1, 2, 3, 4),
    "map": (1, 2, 3, 4),
}
REPORTED = ("sat", "trip", "calendar", "maze", "map")  # the tasks of the report
UNSOLVABLE = ("sat", "calendar", "maze")  # families in which a problem can have no plan


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
    """`each` problems with a plan per level of a family of LEVELS, easiest first; "ways" is near the training stories."""
    rng = random.Random(f"{family} {seed}")
    return [
        _problem(f"{family}-{level}-{number:02d}", family, _drawn(family, level, rng, True), level)
        for level in LEVELS[family]
        for number in range(1, each + 1)
    ]


def unsolvable_tasks(each: int, seed: int = 0) -> list[Problem]:
    """`each` problems without a plan per family of UNSOLVABLE, at its second level."""
    found = []
    for family in UNSOLVABLE:
        rng, level = random.Random(f"{family} without a plan {seed}"), LEVELS[family][1]
        some = [_drawn(family, level, rng, False) for _ in range(each)]
        found += [_problem(f"{family}-none-{n:02d}", family, task, level) for n, task in enumerate(some, start=1)]
    return found


def only_one_right(family: str, level: int, rng: random.Random) -> Task:
    """A task with a plan whose answer no other number equals, so that plain equality judges it."""
    while True:
        task = _drawn(family, level, rng, True)
        if sum(tasks.check(family, task.facts, str(number)) is None for number in range(MAX_NUMBER + 1)) == 1:
            return task


def _drawn(family: str, level: int, rng: random.Random, feasible: bool) -> Task:
    """The first task drawn that has a plan, or has none."""
    while True:
        task = MAKERS[family](level, rng)
        if task.facts.get("feasible", True) == feasible:
            return task


def _problem(name: str, family: str, task: Task, level: int) -> Problem:
    told = {"family": task.family, "facts": task.facts, "example": task.answer}
    meta = {"family": family, "steps": level, "dial": task.dial, "feasible": task.facts.get("feasible", True)}
    return Problem(
        id=f"planning-{name}", domain="planning", prompt=task.text, answer=json.dumps(told), verifier="planning",
        source="phi4r planning world", licence="MIT", meta=meta,
    )  # fmt: skip
