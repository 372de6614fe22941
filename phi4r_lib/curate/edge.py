"""Edge of ability: which seeds a model sometimes solves, decided by a posterior from as few samples as possible.

The weak model answers, its answers are compared with the truth (truth.py), and each seed stops as soon as its class
is sure enough (stopping.py). Not here: how good the filter is (quality.py).
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy import stats

from phi4r_lib.curate.edge_sampling import Sampler, SeedState
from phi4r_lib.curate.stopping import (
    DECISIONS,
    GO_ON,
    UNDECIDED,
    BetaPrior,
    class_posterior,
    fit_prior,
    posterior_stop,
    samples_until_decision,
)
from phi4r_lib.curate.truth import Truth, conflicts, find_truth
from phi4r_lib.models.engine import Engine, SamplingSettings
from phi4r_lib.problems.rows import ProblemFileError, read_rows, write_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers

LEAST_PILOT = 32  # seeds; a prior fitted on fewer says little (ours)
Decision = Literal["hard", "edge", "easy", "undecided", "no_truth"]


@dataclass(frozen=True)
class EdgeRule:
    """When a seed is hard (pass rate <= lo), easy (>= hi) or at the edge (between), and how sure to be.

    `error` is the largest posterior probability of a wrong class that a decision may have; `max_samples` the most
    answers of the weak model a seed gets. `prior` None means: Jeffreys' prior in `classify`, in `find_edge` a Beta
    fitted on the first `pilot` answers of every seed (with fewer than LEAST_PILOT seeds Jeffreys' too). `batch` is the least number of answers a seed gets a round.
    `price` (in wrong decisions an answer, 0 = off) gives a seed up early, as undecided, when further answers are not
    worth it (see stopping.posterior_stop). lo, hi, error are shares of 1; the report publishes none of them.
    """

    lo: float
    hi: float
    error: float
    max_samples: int
    prior: BetaPrior | None = None
    pilot: int = 4
    batch: int = 1
    price: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.lo < self.hi <= 1:
            raise ValueError(f"need 0 <= lo < hi <= 1, got lo={self.lo}, hi={self.hi}")
        if not 0 < self.error < 0.5:
            raise ValueError(f"error must lie between 0 and 0.5, got {self.error}")
        if not 0 <= self.price < 1:
            raise ValueError(f"price is a share of a wrong decision, between 0 and 1, got {self.price}")
        if min(self.max_samples, self.pilot, self.batch) < 1:
            raise ValueError("max_samples, pilot and batch must be at least 1")


def classify(successes: int, samples: int, rule: EdgeRule) -> str:
    """The class whose posterior probability reaches 1 - rule.error: "hard", "edge", "easy", else "undecided".

    `successes` right answers of `samples`; truncated answers belong in neither. Raises ValueError for counts that
    cannot be (successes negative or above samples).
    """
    if not 0 <= successes <= samples:
        raise ValueError(f"need 0 <= successes <= samples, got {successes} of {samples}")
    chance = class_posterior(successes, samples, rule.lo, rule.hi, rule.prior or BetaPrior())
    best = int(chance.argmax())
    return DECISIONS[best] if samples and chance[best] >= 1 - rule.error else DECISIONS[UNDECIDED]


class EdgeRow(Problem):
    """A seed with its decision: `answer` is the truth that was used (`truth_kind` says which), not a hidden gold.

    `successes` of `samples` judged answers were right. Drawn but not judged: `truncated` (no end of turn), `faults`
    (the engine failed), `ungraded` (the grader gave up). p_* are posterior probabilities, `pass_rate` the posterior
    mean with its central 90% interval, `tokens` completion tokens of the weak models, `teacher_tokens` of the teacher.
    """

    decision: Decision
    reason: str
    truth_kind: Literal["gold", "plurality", "self", "none"]
    truth_reason: str
    truth_samples: int = 0
    vote_share: float = 0.0
    conflict: bool = False
    successes: int = 0
    samples: int = 0
    truncated: int = 0
    faults: int = 0
    ungraded: int = 0
    tokens: int = 0
    teacher_tokens: int = 0
    pass_rate: float | None = None
    pass_low: float | None = None
    pass_high: float | None = None
    p_hard: float | None = None
    p_edge: float | None = None
    p_easy: float | None = None
    models: list[str] = Field(default_factory=list)
    teacher: str | None = None
    rounds: int = 0


@dataclass(frozen=True)
class EdgeReport:
    """All rows in the order of the problems, the rule with the prior that was used, and what each round cost."""

    rows: list[EdgeRow]
    rule: EdgeRule
    conflicts: list[Truth]
    rounds: list[dict[str, int]]

    def counts(self) -> dict[str, int]:
        """Number of seeds per decision, every decision named."""
        found = Counter(row.decision for row in self.rows)
        return {name: found.get(name, 0) for name in (*DECISIONS, "no_truth")}

    def kept(self) -> list[EdgeRow]:
        """The edge problems."""
        return [row for row in self.rows if row.decision == "edge"]

    def cost(self) -> dict[str, int]:
        """Samples drawn and completion tokens, weak models and teacher."""
        alone = [row for row in self.rows if row.truth_kind == "self"]
        drawn = sum(row.samples + row.truncated + row.faults + row.ungraded for row in self.rows)
        drawn += sum(row.truth_samples for row in alone)
        weak, strong = sum(row.tokens for row in self.rows), sum(row.teacher_tokens for row in self.rows)
        return {"samples": drawn, "tokens": weak, "teacher_tokens": strong}

    def write(self, path: str | Path) -> Path:
        """Writes one row a line as JSONL, atomically; returns the path."""
        return write_rows(path, self.rows)


def load_edge(path: str | Path, decision: str | None = None) -> list[EdgeRow]:
    """Rows of an edge.jsonl, all or those with one decision. Raises ProblemFileError naming file and line."""
    rows = []
    for place, row in read_rows(path):
        try:
            rows.append(EdgeRow(**row))
        except ValueError as error:
            first = "; ".join(str(error).splitlines()[:3])
            raise ProblemFileError(f"{place}: not a row of notebook 01 ({first}); run notebook 01 again") from None
    return [row for row in rows if decision is None or row.decision == decision]


def find_edge(
    problems: Sequence[Problem],
    engine: Engine | Sequence[Engine],
    rule: EdgeRule,
    *,
    teacher: Engine | None = None,
    truths: Sequence[Truth] | None = None,
    settings: SamplingSettings | None = None,
    teacher_settings: SamplingSettings | None = None,
    min_share: float = 0.5,
    wanted: int | None = None,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    verifiers: Verifiers | None = None,
) -> EdgeReport:
    """Decides hard / edge / easy / undecided for every problem by sampling the weak model(s) adaptively.

    The truth is, in this order: `truths` (from truth.find_truth), the problem's own answer, the teacher's plurality.
    With none of them (no teacher, no answer anywhere) the model's own plurality over `rule.pilot` answers stands in,
    and agreement with it is measured on fresh answers only (the self-agreement variant).

    Args:
        problems: seeds; those without a usable truth get the decision "no_truth" and cost nothing.
        engine: the weak model, or several that take turns; their answers are pooled.
        settings: sampling of the weak model(s); `n` is ignored, rounds set it. Truncated answers, engine faults and
            answers that could not be graded are counted apart and are not evidence for either side.
        teacher_settings: sampling of the teacher; `n` answers a seed (default 8).
        wanted: stop as soon as so many edge problems are found; the most promising open seeds go first.
        folder: where samples are kept (resumable); None keeps nothing.
        progress: called after every round with (seeds settled, seeds).
        verifiers: who judges which problem, as in `problems.verify.verify`.

    Returns:
        EdgeReport with one row a problem. Raises ValueError where `truths` do not match the problems.
    """
    engines = list(engine) if isinstance(engine, Sequence) else [engine]
    settings = settings or SamplingSettings()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(folder or scratch)
        sampler = Sampler(engines, settings, place, verifiers=verifiers)
        if truths is None:
            truths, sampler.skip = _truths(
                problems, engines[0], rule, settings, teacher, teacher_settings, min_share, sampler
            )
        if [truth.id for truth in truths] != [problem.id for problem in problems]:
            raise ValueError("truths must have one entry a problem, in the same order; make them with find_truth")
        states = [SeedState(problem, truth) for problem, truth in zip(problems, truths, strict=True)]
        rule, rounds = _run_rounds(states, rule, sampler, wanted, progress)
    names = [one.name for one in engines]
    rows = [_row(state, rule, names, teacher.name if teacher else None) for state in states]
    return EdgeReport(rows, rule, conflicts(truths), rounds)


def _truths(problems, weak, rule, settings, teacher, teacher_settings, min_share, sampler):
    """Truths where the caller brings none, and how many answers of the weak model they used up."""
    alone = teacher is None and all(problem.answer is None for problem in problems)
    if alone:
        pilot = settings.model_copy(update={"n": rule.pilot})
        options = {"min_share": 0.0, "folder": sampler.folder, "verifiers": sampler.verifiers}
        return find_truth(problems, weak, pilot, kind="self", **options), rule.pilot
    teacher_settings = teacher_settings or settings.model_copy(update={"n": 8})
    options = {"min_share": min_share, "folder": sampler.folder, "verifiers": sampler.verifiers}
    return find_truth(problems, teacher, teacher_settings, **options), 0


def _run_rounds(states, rule, sampler, wanted, progress) -> tuple[EdgeRule, list[dict[str, int]]]:
    live = [state for state in states if state.truth.answer is not None]
    for state in states:
        state.decision = "" if state.truth.answer is not None else "no_truth"
    rounds: list[dict[str, int]] = []
    if rule.prior is None and live:
        first = live if wanted is None else live[: max(LEAST_PILOT, 2 * wanted)]
        drawn = sampler.draw([(state, min(rule.pilot, rule.max_samples)) for state in first])
        rounds.append({"seeds": len(first), "samples": drawn})
        rule = replace(rule, prior=_pilot_prior(live, rule.pilot))
    prior = rule.prior or BetaPrior()
    policy = posterior_stop(rule.lo, rule.hi, rule.error, rule.max_samples, prior, rule.price)
    while True:
        _settle(live, policy, rule)
        going = [state for state in live if not state.decision]
        if progress:
            progress(len(states) - len(going), len(states))
        going = _next(going, live, rule, prior, wanted)
        if not going:
            return rule, rounds
        drawn = sampler.draw(_steps(going, policy, rule))
        rounds.append({"seeds": len(going), "samples": drawn})


def _pilot_prior(live: Sequence[SeedState], pilot: int) -> BetaPrior:
    """The fitted prior, weighing at most as much as one seed's pilot; Jeffreys' prior below LEAST_PILOT judged seeds.

    A short pilot of nearly equal seeds fits a very narrow prior, which would decide on its own (ours).
    """
    judged = [state for state in live if state.judged]
    if len(judged) < LEAST_PILOT:
        return BetaPrior()
    prior = fit_prior([state.right for state in judged], [state.judged for state in judged])
    shrink = min(1.0, pilot / sum(prior))
    return BetaPrior(prior.a * shrink, prior.b * shrink)


def _settle(live: Sequence[SeedState], policy: np.ndarray, rule: EdgeRule) -> None:
    for state in live:
        code = policy[state.judged, state.right] if state.judged else GO_ON
        if code != GO_ON:
            state.decision = DECISIONS[code]
        elif state.drawn >= rule.max_samples:
            state.decision = DECISIONS[UNDECIDED]


def _next(going, live, rule, prior, wanted) -> list[SeedState]:
    """All open seeds, or, with `wanted`, the most promising ones; empties itself once enough are found."""
    if wanted is None:
        return going
    missing = wanted - sum(state.decision == "edge" for state in live)
    if missing > 0:
        chance = class_posterior([s.right for s in going], [s.judged for s in going], rule.lo, rule.hi, prior)
        order = np.argsort(-chance[..., 1], kind="stable")[: 2 * missing]
        return [going[i] for i in order]
    for state in going:
        state.decision, state.note = DECISIONS[UNDECIDED], f"stopped early: {wanted} edge problems found"
    return []


def _steps(going: Sequence[SeedState], policy: np.ndarray, rule: EdgeRule) -> list[tuple[SeedState, int]]:
    """Seeds with equally many draws get the same number more, so that they share one call of the engine.

    That number is what the first of them needs before any decision is possible (nothing is wasted), at least a batch,
    at most what is left.
    """
    needs: dict[int, int] = {}
    for state in going:
        need = max(rule.batch, samples_until_decision(policy, state.judged, state.right))
        needs[state.drawn] = min(need, needs.get(state.drawn, need), rule.max_samples - state.drawn)
    return [(state, needs[state.drawn]) for state in going]


def _row(state: SeedState, rule: EdgeRule, models: list[str], teacher: str | None) -> EdgeRow:
    truth = state.truth
    fields: dict[str, Any] = state.problem.model_dump() | {"answer": truth.answer}
    fields |= {"decision": state.decision, "reason": _reason(state, rule), "truth_kind": truth.kind}
    fields |= {"truth_reason": truth.reason, "vote_share": truth.share, "conflict": truth.conflict}
    fields |= {"successes": state.right, "samples": state.judged, "truncated": state.truncated}
    fields |= {"faults": state.faults, "ungraded": state.ungraded, "tokens": state.tokens, "rounds": state.rounds}
    fields |= {"truth_samples": truth.samples, "models": models, "teacher": teacher}
    if truth.kind == "self":
        fields["tokens"] += truth.tokens  # the model was its own teacher
    else:
        fields["teacher_tokens"] = truth.tokens
    return EdgeRow(**fields, **(_posterior(state, rule) if state.judged else {}))


def _posterior(state: SeedState, rule: EdgeRule) -> dict[str, float]:
    prior = rule.prior or BetaPrior()
    beta = stats.beta(prior.a + state.right, prior.b + state.judged - state.right)
    chance = class_posterior(state.right, state.judged, rule.lo, rule.hi, prior)
    values = (beta.mean(), beta.ppf(0.05), beta.ppf(0.95), *chance)
    names = ("pass_rate", "pass_low", "pass_high", "p_hard", "p_edge", "p_easy")
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}


def _reason(state: SeedState, rule: EdgeRule) -> str:
    if state.decision == "no_truth":
        return state.truth.reason
    if state.note:
        return state.note
    apart = state.truncated + state.faults + state.ungraded
    text = f"{state.right} of {state.judged} answers agree with the truth"
    if apart:
        text += f" ({state.truncated} truncated, {state.faults} faults, {state.ungraded} ungraded not counted)"
    chance = class_posterior(state.right, state.judged, rule.lo, rule.hi, rule.prior or BetaPrior())
    best = int(chance.argmax())
    return f"{text}; P({DECISIONS[best]}) = {chance[best]:.3f}"
