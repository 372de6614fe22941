"""Edge of ability: which seeds a model sometimes solves, decided by a posterior from as few samples as possible.

The weak model answers, its answers are compared with the truth (truth.py), and each seed stops as soon as its class
is sure enough (stopping.py). Samples go through the store (models.store), so a killed run repeats nothing, and in windows, so
that a million seeds need no more memory for texts than some thousand. Not here: how good the filter is (quality.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from phi4r_lib.curate.draws import WINDOW, draw_windows, open_store
from phi4r_lib.curate.edge_rows import EdgeReport, EdgeRow, EdgeRule, SeedState, iter_edge, load_edge
from phi4r_lib.curate.stopping import (
    DECISIONS,
    GO_ON,
    UNDECIDED,
    BetaPrior,
    class_posterior,
    fit_prior,
    limits,
    samples_until_decision,
)
from phi4r_lib.curate.truth import Truth, conflicts, find_truth
from phi4r_lib.models.engine import Engine, Sample, SamplingSettings
from phi4r_lib.models.store import Store
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verdict, Verifiers, verify_samples

__all__ = ["EdgeReport", "EdgeRow", "EdgeRule", "classify", "find_edge", "iter_edge", "load_edge"]

LEAST_PILOT = 32  # seeds; a prior fitted on fewer says little (ours)


def classify(successes: int, samples: int, rule: EdgeRule) -> str:
    """The class whose posterior probability reaches 1 - rule.error ("edge": 1 - rule.keep_error), else "undecided".

    `successes` right answers of `samples`; truncated answers belong in neither. Raises ValueError for counts that
    cannot be (successes negative or above samples).
    """
    if not 0 <= successes <= samples:
        raise ValueError(f"need 0 <= successes <= samples, got {successes} of {samples}")
    chance = class_posterior(successes, samples, rule.lo, rule.hi, rule.prior or BetaPrior())
    best = int(chance.argmax())
    return (
        DECISIONS[best]
        if samples and chance[best] >= 1 - limits(rule.error, rule.keep_error)[best]
        else DECISIONS[UNDECIDED]
    )


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
        teacher_settings: sampling of the teacher; `n` answers per seed (default 8).
        wanted: stop as soon as so many edge problems are found; the most promising open seeds go first.
        folder: where samples are kept (resumable); None keeps nothing.
        progress: called after every round with (seeds settled, seeds).
        verifiers: who judges which problem, as in `problems.verify.verify`.

    Returns:
        EdgeReport with one row per problem. Raises ValueError where `truths` do not match the problems.
    """
    engines = list(engine) if isinstance(engine, Sequence) else [engine]
    settings = settings or SamplingSettings()
    with open_store(folder) as store:
        sampler = Sampler(engines, settings, store, verifiers=verifiers)
        if truths is None:
            truths, sampler.skip = _truths(
                problems, engines[0], rule, settings, teacher, teacher_settings, min_share, sampler
            )
        if [truth.id for truth in truths] != [problem.id for problem in problems]:
            raise ValueError("truths must have one entry per problem, in the same order; make them with find_truth")
        states = [SeedState(problem, truth) for problem, truth in zip(problems, truths, strict=True)]
        rule, rounds = _run_rounds(states, rule, sampler, wanted, progress)
    names = [one.name for one in engines]
    return EdgeReport(states, rule, names, teacher.name if teacher else None, conflicts(truths), rounds)


def _truths(problems, weak, rule, settings, teacher, teacher_settings, min_share, sampler):
    """Truths where the caller brings none, and how many answers of the weak model they used up."""
    alone = teacher is None and all(problem.answer is None for problem in problems)
    if alone:
        pilot = settings.model_copy(update={"n": rule.pilot})
        options = {"min_share": 0.0, "folder": sampler.store, "verifiers": sampler.verifiers}
        return find_truth(problems, weak, pilot, kind="self", **options), rule.pilot
    teacher_settings = teacher_settings or settings.model_copy(update={"n": 8})
    options = {"min_share": min_share, "folder": sampler.store, "verifiers": sampler.verifiers}
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
    policy = rule.policy()
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
    until = cache(partial(samples_until_decision, policy))  # many seeds share few states
    for state in going:
        need = max(rule.batch, until(state.judged, state.right))
        needs[state.drawn] = min(need, needs.get(state.drawn, need), rule.max_samples - state.drawn)
    return [(state, needs[state.drawn]) for state in going]


@dataclass
class Sampler:
    """Draws further answers of the weak models for some seeds and judges them; samples stay in `store`."""

    engines: Sequence[Engine]
    settings: SamplingSettings
    store: Store
    skip: int = 0  # first samples of every seed that chose its truth (self-agreement) and may not vote on it again
    verifiers: Verifiers | None = None

    def draw(self, wanted: Sequence[tuple[SeedState, int]]) -> int:
        """Draws the given number of further samples for each state; returns the number of samples."""
        count = 0
        for position, engine in enumerate(self.engines):
            drawn = self._of_engine(engine, position, wanted)
            while some := list(itertools.islice(drawn, WINDOW)):
                self._judge(some)
                count += len(some)
        for state, more in wanted:
            state.drawn += more
            state.rounds += 1
        return count

    def _of_engine(self, engine: Engine, position: int, wanted) -> Iterator[tuple[SeedState, Sample]]:
        """Engine number `position` of E gets every E-th draw of a seed; seeds with equal needs go in one call."""
        groups: dict[tuple[int, int], list[SeedState]] = {}
        for state, more in wanted:
            share = (self._share(state.drawn, position), self._share(state.drawn + more, position))
            groups.setdefault(share, []).append(state)
        for (before, after), states in groups.items():
            if after > before:
                settings = self.settings.model_copy(update={"first": self.skip + before, "n": after - before})
                prompts = [(state.problem.id, state.problem.prompt) for state in states]
                answers = draw_windows(engine, prompts, settings, self.store)
                yield from ((state, one) for state, many in zip(states, answers, strict=True) for one in many)

    def _share(self, draws: int, position: int) -> int:
        return (draws + len(self.engines) - 1 - position) // len(self.engines)

    def _judge(self, new: Sequence[tuple[SeedState, Sample]]) -> None:
        states = {id(state): state for state, _ in new}
        asked = {name: state.asked() for name, state in states.items()}  # one object each: equal pairs are judged once
        problems = [asked[id(state)] for state, _ in new]
        verdicts = verify_samples(problems, [sample for _, sample in new], self.verifiers)
        for (state, sample), verdict in zip(new, verdicts, strict=True):
            self._count(state, sample, verdict)

    @staticmethod
    def _count(state: SeedState, sample: Sample, verdict: Verdict) -> None:
        state.tokens += sample.tokens
        if verdict.conclusive:
            state.judged += 1
            state.right += verdict.correct
        elif sample.error:
            state.faults += 1
        elif sample.truncated:
            state.truncated += 1
        else:
            state.ungraded += 1
