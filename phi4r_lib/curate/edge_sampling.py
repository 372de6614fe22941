"""Rounds of sampling: further answers of the weak models for the seeds that are still open, drawn and judged.

Samples go through the store (models.store), so a killed run repeats nothing, and in windows, so that a million seeds
need no more memory for texts than some thousand. Not here: when a seed stops (edge.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phi4r_lib.curate.draws import WINDOW, draw_windows
from phi4r_lib.curate.truth import Truth
from phi4r_lib.models.engine import Engine, Sample, SamplingSettings
from phi4r_lib.models.store import Store
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verdict, Verifiers, verify_samples


@dataclass(slots=True)
class SeedState:
    """What is known about one seed so far; `drawn` counts all samples, judged or not."""

    problem: Problem
    truth: Truth
    right: int = 0
    judged: int = 0
    truncated: int = 0
    faults: int = 0
    ungraded: int = 0
    tokens: int = 0
    drawn: int = 0
    rounds: int = 0
    decision: str = ""
    note: str = ""

    def asked(self) -> Problem:
        """The problem with the truth that answers are judged by."""
        same = self.problem.answer == self.truth.answer
        return self.problem if same else self.problem.model_copy(update={"answer": self.truth.answer})


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
        asked = {id(state): state.asked() for state, _ in new}  # one object per problem: equal pairs are judged once
        problems = [asked[id(state)] for state, _ in new]
        verdicts = verify_samples(problems, [sample for _, sample in new], self.verifiers)
        for (state, sample), verdict in zip(new, verdicts, strict=True):
            self._count(state, sample, verdict)

    @staticmethod
    def _count(state: SeedState, sample: Sample, verdict: Verdict) -> None:
        state.tokens += sample.tokens
        if verdict.conclusive:
            state.judged += 1
            state.right += verdict.grade is Grade.RIGHT
        elif sample.error:
            state.faults += 1
        elif sample.truncated:
            state.truncated += 1
        else:
            state.ungraded += 1
