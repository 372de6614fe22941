"""The seeds of notebook 08: whose they are, what their checks are worth, and their split for training, choosing and measuring.

Not here: what is done with them (domain_run.py).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from phi4r_lib.cookbook.run import Run
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem, load_problems
from phi4r_lib.problems.verify import Verifiers, VerifierUnavailable, verifier_of, verify

NONSENSE = ("I do not know", "?", "yes and no", "{}")  # texts that no check may pass


class Split(NamedTuple):
    """Seeds for training, for choosing and for measuring; `dropped` are (problem, reason)."""

    train: list[Problem]
    choose: list[Problem]
    measure: list[Problem]
    dropped: list[tuple[Problem, str]]


def example_file(run: Run) -> str | None:
    """The seeds of the example domain while the profile's seeds are those that it stands in for; None for a team's own."""
    settings = run.profile.checklist
    return settings.example if run.profile.data.seeds == settings.example_for else None


def domain_seeds(run: Run) -> list[Problem]:
    """The team's own seeds, or those of the example domain."""
    example, limit = example_file(run), run.profile.checklist.limit
    return load_problems(run.path(example))[:limit] if example else run.problems("seeds", limit)


def family(problem: Problem) -> str:
    """What kind of problem it is: `meta.family`, else its domain."""
    return str(problem.meta.get("family") or problem.domain)


def unavailable(problems: Iterable[Problem], verifiers: Verifiers | None) -> list[str]:
    """One sentence per verifier that is named but not there."""
    found = []
    for name in sorted({problem.verifier for problem in problems}):
        try:
            verifier_of(name, verifiers)
        except (VerifierUnavailable, ValueError) as error:
            found.append(str(error))
    return found


def lenient(problems: Sequence[Problem], verifiers: Verifiers | None) -> list[str]:
    """Ids of problems whose check lets nonsense pass; none where a verifier is not there to be asked."""
    pairs = [(problem, text) for problem in problems if problem.answer is not None for text in NONSENSE]
    if not pairs or unavailable(problems, verifiers):
        return []
    verdicts = verify(*map(list, zip(*pairs, strict=True)), verifiers)
    passed = [problem.id for (problem, _), v in zip(pairs, verdicts, strict=True) if v.grade is Grade.RIGHT]
    return list(dict.fromkeys(passed))


def split(problems: Sequence[Problem], held_out: float, seed: int, unfit: Iterable[str] = ()) -> Split:
    """Splits by family, `held_out` of each for choosing and as much for measuring; rewrites stay with what they came from.

    Dropped: `unfit` ids (of `gold_check` and `lenient`), problems without an answer to check against, prompts that stand
    there twice.
    """
    failing = set(unfit)
    kept, dropped, seen = [], [], set()
    for problem in problems:
        same = " ".join(problem.prompt.split()).casefold()
        reason = (
            "nothing to check against" if problem.answer is None
            else "its check does not tell right from wrong" if problem.id in failing
            else "the same prompt again" if same in seen
            else ""
        )  # fmt: skip
        seen.add(same)
        if reason:
            dropped.append((problem, reason))
        else:
            kept.append(problem)
    parts: list[list[Problem]] = [[], [], []]
    for name in sorted({family(problem) for problem in kept}):
        some = [problem for problem in kept if family(problem) == name]
        origins = sorted({problem.parent_id or problem.id for problem in some})
        random.Random(f"{seed} {name}").shuffle(origins)
        count = math.ceil(held_out * len(origins))
        where = {origin: 2 if place < count else 1 if place < 2 * count else 0 for place, origin in enumerate(origins)}
        for problem in some:
            parts[where[problem.parent_id or problem.id]].append(problem)
    return Split(*parts, dropped)


def licences(problems: Iterable[Problem]) -> Counter[tuple[str, str]]:
    """Number of problems by (source, licence)."""
    return Counter((problem.source, problem.licence) for problem in problems)
