"""The checklist of a small team as gates: each says green, red or grey (not reached), why, and what to do next.

Eight steps from a domain to a decision to scale (a press article on Phi-4-reasoning names them; thresholds are ours). A gate
takes figures and settings and decides nothing else, so that it can be tested without a model. No gate ends the notebook: a red
one that leaves nothing to work on closes the way, and the gates behind it stay grey. Not here: the work between the gates
(domain_run.py), the files at the end (cards.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from phi4r_lib.cookbook.settings.sections import Count, Section
from phi4r_lib.measure.comparison import Comparison, compare
from phi4r_lib.measure.promotion import Decision
from phi4r_lib.measure.trial import ArmDifference


class Settings(Section):
    """Notebook 08: the domain's seeds, how much to train per try, and what counts as enough; all values are ours."""

    example: str | None = None  # seeds of the example domain, taken while data.seeds is example_for
    example_for: str | None = None
    example_maker: str | None = None  # makes problems of one family of the example domain
    maker: str | None = None  # the same for the team's own, "package.module:function"; None: seeds stand in again
    limit: int | None = Field(default=None, ge=1)  # most seeds; None takes all
    least_seeds: int = Field(default=200, ge=1)  # the article says a few thousand
    least_edge: int = Field(default=64, ge=1)  # prompts at the edge that a training needs
    held_out: float = Field(default=0.2, gt=0, lt=0.5)  # share of the seeds for choosing, and as many for measuring
    rounds: int = Field(default=3, ge=1)  # of problems made for the weakest family and a training, at most
    made: int = Count  # problems made in a round
    most_made: float = Field(default=0.5, ge=0, le=1)  # share of made problems from which the balance is warned about
    first_seed: int = Field(default=2000, ge=0)  # of training; none from here on was used while counts were chosen
    trainings: int = Field(default=4, ge=2)  # training seeds per mix
    most_trainings: int = Field(default=5, ge=2)  # training seeds of the merged mix at most
    steps: int = Field(ge=2)
    merged_steps: int = Field(ge=2)  # the merged mix trains longer: it has two domains to serve
    prompts: int = Count  # per step
    micro_batches: int | None = Field(
        default=None, ge=1
    )  # forward passes per step; None: as few as fit a GPU, four on a CPU
    learning_rate: float = Field(gt=0)
    max_tokens: int = Count  # completion tokens
    runs: int = Field(default=8, ge=2)  # answers per held-out problem
    guard: int = Field(default=60, ge=2)  # problems of the earlier domain that watch over it
    gain: float = Field(default=0.05, gt=0)  # smallest worthwhile gain, a share of 1
    margin: float = Field(default=0.05, gt=0)  # loss that counts as none, a share of 1


STEPS = (
    (1, "domain"), (2, "seeds"), (3, "edge"), (4, "gains taper off"), (5, "balance"), (5, "injection"), (6, "merge"),
    (7, "held-out score"), (8, "scale"),
)  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """One step's outcome: `reason` holds the figures, `action` what to do next (also when it is green).

    `green` is None where nothing could be measured; `reason` then says why.
    """

    step: int
    name: str
    green: bool | None
    reason: str
    action: str

    @property
    def colour(self) -> Literal["green", "red", "grey"]:
        """In a word; grey is "not reached"."""
        return "grey" if self.green is None else "green" if self.green else "red"

    def __str__(self) -> str:
        colour = "NOT REACHED" if self.green is None else self.colour.upper()
        return f"Gate {self.step}, {self.name}: {colour}. {self.reason}\n  next: {self.action}"


@dataclass
class Gates:
    """The gates of a run, one method per gate, which prints and keeps it.

    A red gate with nothing `left` to work on closes the way (`closed`); gates behind it become grey.
    """

    settings: Settings
    all: list[Gate] = field(default_factory=list)
    closed: Gate | None = None

    @property
    def open(self) -> bool:
        """Whether there is anything to work on: no red gate has closed the way."""
        return self.closed is None

    def domain(self, seeds: int, unknown: int, missing: Sequence[str] = ()) -> None:
        """Step 1: enough seeds, every verifier there, and prompts that the student's tokenizer can read.

        `unknown` counts prompts with a token that the tokenizer does not know; `missing` says in words which verifiers are absent.
        """
        least = self.settings.least_seeds
        reason = f"{seeds} seeds (at least {least}), {unknown} with words that the student cannot read."
        green, action = True, "let each seed be judged by its own verifier"
        if missing:
            green, reason, action = False, f"{missing[0]}.", "install what the verifier needs, or name another one"
        elif seeds < least:
            green, action = False, "collect more seeds; a few hundred show a trend, a few thousand a gain"
        elif unknown > seeds / 20:
            green, action = False, "take a student whose tokenizer covers the domain"
        self._pass(1, "domain", green, reason, action, left=not missing)

    def seeds(
        self, passed: int, refused: int, untried: int, lenient: int, first: Sequence[str] = (), *, left: bool = True
    ) -> None:
        """Step 2: known right answers pass their own verifier, and nonsense does not (`lenient` counts seeds where it does)."""
        reason = f"{passed} right answers pass, {refused} do not, {untried} could not be tried; nonsense passes {lenient} checks."
        green, action = False, ""
        if lenient:
            action = (
                "tighten the checks: a reward that nonsense earns teaches nonsense; until then these seeds are left out"
            )
        elif refused:
            reason, action = f"{reason} First: {first[0]}.", "correct these seeds; until then they are left out"
        elif not passed:
            action = "give seeds an answer, or an example of a right one in meta"
        elif untried > passed:
            action = "give more seeds an example of a right answer, so that their checks are tried"
        else:
            green, action = True, "find the seeds that the student sometimes solves"
        self._pass(2, "seeds", green, reason, action, left=left)

    def edge(self, counts: Mapping[str, int], cut: float = 0.0, *, left: bool = True) -> None:
        """Step 3: enough prompts at the edge, where groups hold right and wrong answers; `cut` is the share of truncated answers."""
        least, most = self.settings.least_edge, self.settings.max_tokens
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no seeds"
        reason = f"{said}; {least} at the edge are needed."
        green, action = False, "collect easier seeds, or fine-tune on worked solutions first (a recorded teacher)"
        if cut > 0.5:
            reason += f" {cut:.0%} of the answers are cut off at {most} tokens."
            action = "raise checklist.max_tokens, or fine-tune until answers end"
        elif counts.get("edge", 0) >= least:
            green, action = True, "train on the edge, briefly and with several seeds"
        elif counts.get("easy", 0) > counts.get("hard", 0):
            action = "collect harder seeds: the student solves most of these already"
        self._pass(3, "edge", green, reason, action, left=left)

    def tapered(self, gain: ArmDifference | None) -> bool:
        """The rule that ends the rounds: even the upper limit of a round's gain is below the smallest worthwhile gain."""
        return gain is not None and gain.seed_high < self.settings.gain

    def taper(self, ended: Literal["rule", "rounds", "nothing"], gain: ArmDifference | None) -> None:
        """Step 4: green where the rule of `tapered` ended the rounds; `gain` is the last round's, None without an interval."""
        said = f"gain of the last round {points(gain)}" if gain else "the last round shows no gain with an interval"
        why, action = "the rule ended the rounds", "freeze the mix"
        if ended == "nothing":
            why = "the rounds ended because no made problem of any family was at the edge"
            action = "make problems nearer to the edge, or collect seeds"
        elif ended == "rounds":
            why = f"the most number of rounds ({self.settings.rounds}) ended them, not the rule"
            still = gain is not None and gain.seed_low > 0
            action = "not settled: more training seeds (checklist.trainings) narrow this down"
            action = "more rounds (checklist.rounds): the last one still paid" if still else action
        reason = f"{said}, worthwhile is {100 * self.settings.gain:g}: {why}."
        self._pass(4, "gains taper off", ended == "rule", reason, action)

    def balance(self, seeds: int, made: int) -> None:
        """Step 5: a balance of real and made problems."""
        share, most = made / max(1, seeds + made), self.settings.most_made
        reason = f"{made} of {seeds + made} prompts are made, {share:.0%} (warned from {most:.0%})."
        action = (
            "train on both" if share < most else "collect seeds, or make fewer: the student learns the maker's habits"
        )
        self._pass(5, "balance", share < most, reason, action)

    def injection(self, family: str, on: ArmDifference | None, rest: ArmDifference | None) -> None:
        """Step 5: did the data made for one family lift it, and cost the rest no more than the margin?

        `on` and `rest` compare the mix with made problems against the one without, on that family and on all others; None
        where no interval can be had.
        """
        if on is None:
            said = (
                f"{family}: no interval, since choosing problems are too few or all trainings changed alike."
                if family
                else "No made problem was used."
            )
            return self._pass(5, "injection", None, said, "collect more seeds of the weak family, or train longer")
        lost = rest is not None and rest.seed_low <= -self.settings.margin
        reason = f"{family}: {points(on)}" + (f"; the rest: {points(rest)}." if rest else "; there is no other family.")
        action = "more training seeds, problems nearer to the edge, or another way to make them"
        if on.seed_low > 0:
            action = (
                "the rest may pay for it: make fewer, or add seeds of the other families" if lost
                else "keep these problems; look for the next weak family"
            )  # fmt: skip
        self._pass(5, "injection", on.seed_low > 0 and not lost, reason, action)

    def merge(self, merged: np.ndarray, alone: np.ndarray, other: str, after: np.ndarray, before: np.ndarray) -> None:
        """Step 6: merged with the earlier domain `other`, neither this domain nor that one loses more than the margin.

        Pass rates by problem: on this domain of the `merged` trainings and of this domain's own mix; on the other one
        `after` and `before`. Both intervals are over problems and speak about these trainings.
        """
        own, earlier = compare(merged, alone), compare(after, before)
        reason = f"this domain, merged minus alone: {over_problems(own)}; {other}, merged minus start: {over_problems(earlier)}."
        kept = [one.low > -self.settings.margin for one in (own, earlier)]
        action = "watch the held-out score by one method"
        if not kept[1]:
            action = f"give {other} a larger share of the prompts"
        elif not kept[0]:
            action = "train the merged mix longer, or measure on more problems to be sure"
        self._pass(6, "merge", all(kept), reason, action)

    def watch(self, after: np.ndarray, before: np.ndarray, runs: int) -> None:
        """Step 7: problems solved by the majority of runs (1 or 0 each), trained model against the start model."""
        found = compare(np.asarray(after, dtype=float), np.asarray(before, dtype=float))
        both = f"{found.mean_b:.3f} before, {found.mean_a:.3f} after"
        reason = f"solved in most of {runs} runs: {both}, {over_problems(found)} over {found.problems} problems."
        action = "no gain: go back to the edge and the mix"
        if found.low > 0:
            action = "decide whether to scale"
        elif found.high - found.low > 2 * self.settings.gain:
            action = "more held-out problems: this interval is wider than the gain you look for"
        self._pass(7, "held-out score", found.low > 0, reason, action)

    def scale(self, decision: Decision, estimate: str) -> None:
        """Step 8: the promotion rule's word and what a larger run would cost and bring."""
        action = {
            "promote": f"scale: {estimate}",
            "refine": "add training seeds before scaling: the evidence is not there yet",
            "stop": "do not scale this mix; change the data and start at the edge again",
        }[decision.verdict]
        reason = f"{decision.verdict}: {decision.reason}."
        self._pass(8, "scale", decision.verdict == "promote", reason, action)

    def rest(self) -> None:
        """Keeps a grey gate for each step that has none yet."""
        known = {(gate.step, gate.name) for gate in self.all}
        self.all += [self._not_reached(*step) for step in STEPS if step not in known]
        self.all.sort(key=lambda gate: gate.step)

    def decision(self, verdict: str = "") -> str:
        """What the checklist comes to: the `verdict` of its last step, or at which gate to stop and what to do there."""
        if self.closed is None:
            return verdict
        return f"stop here: gate {self.closed.step} ({self.closed.name}) is red. Next: {self.closed.action}"

    def table(self) -> pd.DataFrame:
        """One row per gate: step, colour, reason, next."""
        rows = [(g.step, g.name, g.colour, g.reason, g.action) for g in self.all]
        return pd.DataFrame(rows, columns=["step", "gate", "colour", "reason", "next"]).set_index("step")

    def records(self) -> list[dict[str, Any]]:
        """The gates as plain data."""
        return [asdict(gate) | {"colour": gate.colour} for gate in self.all]

    def _pass(self, step: int, name: str, green: bool | None, reason: str, action: str, left: bool = True) -> None:
        gate = self._not_reached(step, name) if self.closed else Gate(step, name, green, reason, action)
        self.all.append(gate)
        print(gate)
        if self.open and gate.green is False and not left:
            self.closed = gate
            print(f"  The way ends here: {self.decision()}")

    def _not_reached(self, step: int, name: str) -> Gate:
        where = f"gate {self.closed.step} ({self.closed.name})" if self.closed else "an earlier step"
        return Gate(step, name, None, f"Nothing to measure behind {where}.", f"first do what {where} says")


def over_problems(one: Comparison) -> str:
    """A difference in points with its interval over problems."""
    return f"{100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}] points"


def points(one: ArmDifference) -> str:
    """A difference in points with its interval over training seeds."""
    return f"{100 * one.difference:+.1f} [{100 * one.seed_low:+.1f}, {100 * one.seed_high:+.1f}] points"
