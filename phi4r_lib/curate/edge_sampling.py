"""Rounds of sampling: further answers of the weak models for the seeds that are still open, drawn and judged.

Samples go through the store (models.store), so a killed run repeats nothing. Not here: when a seed stops (edge.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phi4r_lib.curate.draws import draw
from phi4r_lib.curate.truth import Truth
from phi4r_lib.models.engine import Engine, Sample, SamplingSettings
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verdict, Verifiers, verify_samples


@dataclass
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
    asked: Problem = field(init=False)  # the problem with the truth that answers are judged by

    def __post_init__(self) -> None:
        self.asked = self.problem.model_copy(update={"answer": self.truth.answer})


@dataclass
class Sampler:
    """Draws further answers of the weak models for some seeds and judges them; samples stay in `folder`."""

    engines: Sequence[Engine]
    settings: SamplingSettings
    folder: Path
    skip: int = 0  # first samples of every seed that chose its truth (self-agreement) and may not vote on it again
    verifiers: Verifiers | None = None

    def draw(self, wanted: Sequence[tuple[SeedState, int]]) -> int:
        """Draws the given number of further samples for each state; returns the number of samples."""
        new = []
        for position, engine in enumerate(self.engines):
            new += self._of_engine(engine, position, wanted)
        self._judge(new)
        for state, more in wanted:
            state.drawn += more
            state.rounds += 1
        return len(new)

    def _of_engine(self, engine: Engine, position: int, wanted) -> list[tuple[SeedState, Sample]]:
        """Engine number `position` of E gets every E-th draw of a seed; seeds with equal needs go in one call."""
        groups: dict[tuple[int, int], list[SeedState]] = {}
        for state, more in wanted:
            share = (self._share(state.drawn, position), self._share(state.drawn + more, position))
            groups.setdefault(share, []).append(state)
        new: list[tuple[SeedState, Sample]] = []
        for (before, after), states in groups.items():
            if after > before:
                settings = self.settings.model_copy(update={"first": self.skip + before, "n": after - before})
                answers = draw(engine, [(s.problem.id, s.problem.prompt) for s in states], settings, self.folder)
                new += [(s, one) for s, many in zip(states, answers, strict=True) for one in many]
        return new

    def _share(self, draws: int, position: int) -> int:
        return (draws + len(self.engines) - 1 - position) // len(self.engines)

    def _judge(self, new: Sequence[tuple[SeedState, Sample]]) -> None:
        verdicts = verify_samples([state.asked for state, _ in new], [sample for _, sample in new], self.verifiers)
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
