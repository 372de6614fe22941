"""Proxy truth: the plurality answer of a strong model where no gold answer exists, with its vote share and a reason.

Gold answers win where a problem carries one; a strong plurality that contradicts the gold is listed for review,
because a wrong gold answer looks exactly like a hard problem. Not here: difficulty (edge.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from phi4r_lib.curate.draws import draw_windows, open_store
from phi4r_lib.models.engine import Engine, Progress, Sample, SamplingSettings
from phi4r_lib.models.store import Store
from phi4r_lib.problems.answers import Grade, Plurality, final_answer
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import NoEquality, Verifiers, final_answers, judge, vote

UNCHECKABLE = ("open", "refusal")


@dataclass(frozen=True, slots=True)
class Truth:
    """What an answer to one problem is compared with, and why.

    `answer` is None where nothing can be trusted (kind "none"). `share` is votes / samples, samples without an answer
    counted in the denominator. `voted` is the strong model's plurality, also where gold is used; `conflict` marks a
    plurality of at least the required share that contradicts the gold. Counts are samples, `tokens` completion tokens.
    """

    id: str
    answer: str | None
    kind: Literal["gold", "plurality", "self", "none"]
    reason: str
    voted: str | None = None
    votes: int = 0
    share: float = 0.0
    samples: int = 0
    truncated: int = 0
    faults: int = 0
    tokens: int = 0
    conflict: bool = False


def find_truth(
    problems: Sequence[Problem],
    teacher: Engine | None,
    settings: SamplingSettings,
    *,
    min_share: float = 0.5,
    folder: Store | str | Path | None = None,
    kind: Literal["plurality", "self"] = "plurality",
    progress: Progress | None = None,
    verifiers: Verifiers | None = None,
) -> list[Truth]:
    """One Truth per problem: gold where it is given, else the plurality of `settings.n` answers of the teacher.

    A plurality counts only from `min_share` of all samples on (report 2 uses a plurality and publishes no threshold;
    the threshold is ours). Where answers have no equality (see problems.verify) there is no plurality, and only gold
    counts. `verifiers` as in `verify.verify`; `folder` keeps the samples (see models.store), so that a killed call continues. Without a
    teacher only gold answers are used. Raises ValueError for a min_share outside [0, 1].
    """
    if not 0 <= min_share <= 1:
        raise ValueError(f"min_share is a share of the votes between 0 and 1, got {min_share}")
    asked = [(p.id, p.prompt) for p in problems if p.answer_type not in UNCHECKABLE] if teacher else []
    with open_store(folder if asked else None) as store:
        drawn = draw_windows(teacher, asked, settings, store, progress)
        truths = [
            _truth(p, next(drawn) if teacher and p.answer_type not in UNCHECKABLE else [], min_share, kind, verifiers)
            for p in problems
        ]
    return _with_conflicts(problems, truths, min_share, verifiers)


def _truth(problem: Problem, samples: Sequence[Sample], min_share: float, kind: str, verifiers) -> Truth:
    found, refused = _vote(problem, samples, verifiers)
    share = found.votes / len(samples) if samples else 0.0
    counts = {
        "voted": found.answer,
        "votes": found.votes,
        "share": share,
        "samples": len(samples),
        "truncated": sum(sample.truncated for sample in samples),
        "faults": sum(sample.error is not None for sample in samples),
        "tokens": sum(sample.tokens for sample in samples),
    }
    if problem.answer is not None:
        return Truth(problem.id, _final(problem), "gold", "the seed carries its answer", **counts)
    if problem.answer_type in UNCHECKABLE:
        return Truth(
            problem.id, None, "none", f"answer type '{problem.answer_type}' cannot be checked; rewrite it first"
        )
    if not samples:
        return Truth(problem.id, None, "none", "no answer in the seed and no teacher asked")
    if refused:
        return Truth(problem.id, None, "none", refused, **counts)
    missing = [sample.error for sample in samples if sample.error is not None]
    if len(missing) == len(samples):
        return Truth(problem.id, None, "none", f"no answer: {missing[0]}", **counts)
    said = f"{found.votes} of {len(samples)} answers agree" + (
        f" ({len(missing)} missing: {missing[0]})" if missing else ""
    )
    if kind == "plurality" and found.tied:
        return Truth(problem.id, None, "none", f"{said}, and as many on another answer", **counts)
    if found.answer is None or share < min_share:
        return Truth(problem.id, None, "none", f"{said}, fewer than the share {min_share:g}", **counts)
    return Truth(problem.id, found.answer, kind, f"{said} on {found.answer}", **counts)


def _vote(problem: Problem, samples: Sequence[Sample], verifiers) -> tuple[Plurality, str]:
    """The plurality, and why there can be none."""
    try:
        return vote(problem, final_answers(problem, samples, verifiers), verifiers), ""
    except NoEquality as error:
        return Plurality(None, 0, 0.0), f"no plurality: {error}"


def _final(problem: Problem) -> str:
    """The gold answer itself; of a worked solution (GSM8K's "#### 7", a box) only the answer at its end."""
    return final_answer(problem.answer) if problem.verifier == "math" else problem.answer


def _with_conflicts(problems: Sequence[Problem], truths: list[Truth], min_share: float, verifiers) -> list[Truth]:
    """Marks gold answers that a plurality of at least min_share contradicts."""
    doubtful = [
        (p.model_copy(update={"answer": t.answer}), t)
        for p, t in zip(problems, truths, strict=True)
        if t.kind == "gold" and t.voted is not None and t.share >= min_share
    ]
    verdicts = judge([problem for problem, _ in doubtful], [truth.voted for _, truth in doubtful], verifiers)
    wrong = {truth.id for (_, truth), one in zip(doubtful, verdicts, strict=True) if one.grade is Grade.WRONG}
    return [_conflicting(t) if t.id in wrong else t for t in truths]


def _conflicting(truth: Truth) -> Truth:
    reason = f"{truth.reason}, but {truth.votes} of {truth.samples} strong answers say {truth.voted}"
    return replace(truth, conflict=True, reason=reason)


def conflicts(truths: Sequence[Truth]) -> list[Truth]:
    """The gold answers to review by hand, strongest contradiction first."""
    return sorted((truth for truth in truths if truth.conflict), key=lambda truth: -truth.share)
