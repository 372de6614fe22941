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

import pandas as pd
from pydantic import Field

from phi4r_lib.cookbook.settings.sections import Count, Section
from phi4r_lib.measure.comparison import Comparison
from phi4r_lib.measure.promotion import Decision, Saturation
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
    made: int = Count  # problems made for the weakest family
    most_made: float = Field(default=0.5, ge=0, le=1)  # share of made problems from which the balance is warned about
    trainings: int = Field(default=4, ge=2)  # training seeds per mix
    most_trainings: int = Field(default=5, ge=2)  # training seeds of the merged mix at most
    steps: int = Field(ge=2)
    merged_steps: int = Field(ge=2)  # the merged mix trains longer: it has two domains to serve
    prompts: int = Count  # per step
    micro_batches: int = Count  # forward passes per step
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
    """The gates of a run in order; `pass_` prints each as it is reached. `closed` is the red gate that ended the way, if any."""

    all: list[Gate] = field(default_factory=list)
    closed: Gate | None = None

    @property
    def open(self) -> bool:
        """Whether there is anything to work on: no red gate has closed the way."""
        return self.closed is None

    def pass_(self, gate: Gate, *, left: bool = True) -> None:
        """Prints and keeps a gate. A red one with nothing `left` to work on closes the way; gates behind it become grey."""
        if self.closed:
            gate = self._not_reached(gate.step, gate.name)
        self.all.append(gate)
        print(gate)
        if self.open and not left:
            self.closed = gate
            print(f"  The way ends here: {self.decision()}")

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

    def _not_reached(self, step: int, name: str) -> Gate:
        where = f"gate {self.closed.step} ({self.closed.name})" if self.closed else "an earlier step"
        return Gate(step, name, None, f"Nothing to measure behind {where}.", f"first do what {where} says")


def domain_gate(seeds: int, unknown: int, missing: Sequence[str], settings: Settings) -> Gate:
    """Step 1: enough seeds, every verifier there, and prompts that the student's tokenizer can read.

    `unknown` counts prompts with a token that the tokenizer does not know; `missing` says in words which verifiers are absent.
    """
    reason = f"{seeds} seeds (at least {settings.least_seeds}), {unknown} with words that the student cannot read."
    if missing:
        return Gate(1, "domain", False, f"{missing[0]}.", "install what the verifier needs, or name another one")
    if seeds < settings.least_seeds:
        return Gate(1, "domain", False, reason, "collect more seeds; a few hundred show a trend, a few thousand a gain")
    if unknown > seeds / 20:
        return Gate(1, "domain", False, reason, "take a student whose tokenizer covers the domain")
    return Gate(1, "domain", True, reason, "let each seed be judged by its own verifier")


def seeds_gate(passed: int, refused: int, untried: int, lenient: int, first: Sequence[str] = ()) -> Gate:
    """Step 2: known right answers pass their own verifier, and nonsense does not (`lenient` counts seeds where it does)."""
    reason = f"{passed} right answers pass, {refused} do not, {untried} could not be tried; nonsense passes {lenient} checks."
    if lenient:
        action = (
            "tighten the checks: a reward that nonsense earns teaches nonsense; until then these seeds are left out"
        )
        return Gate(2, "seeds", False, reason, action)
    if refused:
        return Gate(
            2, "seeds", False, f"{reason} First: {first[0]}.", "correct these seeds; until then they are left out"
        )
    if not passed:
        return Gate(2, "seeds", False, reason, "give seeds an answer, or an example of a right one in meta")
    if untried > passed:
        return Gate(
            2, "seeds", False, reason, "give more seeds an example of a right answer, so that their checks are tried"
        )
    return Gate(2, "seeds", True, reason, "find the seeds that the student sometimes solves")


def edge_gate(counts: Mapping[str, int], settings: Settings, cut: float = 0.0) -> Gate:
    """Step 3: enough prompts at the edge, where groups hold right and wrong answers; `cut` is the share of truncated answers."""
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no seeds"
    reason = f"{said}; {settings.least_edge} at the edge are needed."
    if cut > 0.5:
        reason += f" {cut:.0%} of the answers are cut off at {settings.max_tokens} tokens."
        return Gate(3, "edge", False, reason, "raise checklist.max_tokens, or fine-tune until answers end")
    if counts.get("edge", 0) >= settings.least_edge:
        return Gate(3, "edge", True, reason, "train on the edge, briefly and with several seeds")
    if counts.get("easy", 0) > counts.get("hard", 0):
        return Gate(3, "edge", False, reason, "collect harder seeds: the student solves most of these already")
    return Gate(
        3, "edge", False, reason, "collect easier seeds, or fine-tune on worked solutions first (a recorded teacher)"
    )


def injection_gate(family: str, on: ArmDifference | None, rest: ArmDifference | None, settings: Settings) -> Gate:
    """Step 5: did the data made for one family lift it, and cost the rest no more than the margin?

    `on` and `rest` compare the mix with made problems against the one without, on that family and on all others; None
    where fewer than two held-out problems are of the kind.
    """
    if on is None:
        reason = f"{family} has fewer than two choosing problems, so its gain has no interval."
        return Gate(5, "injection", None, reason, "collect more seeds of this family")
    lost = rest is not None and rest.seed_low <= -settings.margin
    reason = f"{family}: {points(on)}" + (f"; the rest: {points(rest)}." if rest else "; there is no other family.")
    if on.seed_low > 0 and not lost:
        return Gate(5, "injection", True, reason, "keep these problems; look for the next weak family")
    if on.seed_low > 0:
        return Gate(
            5, "injection", False, reason, "the rest may pay for it: make fewer, or add seeds of the other families"
        )
    return Gate(
        5, "injection", False, reason, "more training seeds, problems nearer to the edge, or another way to make them"
    )


def taper_gate(found: Saturation, settings: Settings) -> Gate:
    """Step 4: phase 1 is done when even the upper limit of the gain per doubling of steps is below the worthwhile gain."""
    limits = f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    reason = f"{100 * found.per_doubling:+.1f} {limits} points per doubling of the steps; worthwhile is {100 * settings.gain:g}."
    if found.saturated:
        return Gate(4, "gains taper off", True, reason, "freeze the mix")
    if found.low > 0:
        return Gate(4, "gains taper off", False, reason, "not yet: the next training of this mix gets twice the steps")
    return Gate(
        4, "gains taper off", False, reason, "not settled: more training seeds (checklist.trainings) narrow this down"
    )


def balance_gate(seeds: int, made: int, settings: Settings) -> Gate:
    """Step 5: a balance of real and made problems."""
    share = made / max(1, seeds + made)
    reason = f"{made} of {seeds + made} prompts are made, {share:.0%} (warned from {settings.most_made:.0%})."
    if share >= settings.most_made:
        return Gate(5, "balance", False, reason, "collect seeds, or make fewer: the student learns the maker's habits")
    return Gate(5, "balance", True, reason, "train on both")


def merge_gate(alone: Comparison, other: str, earlier: Comparison, settings: Settings) -> Gate:
    """Step 6: merged with the earlier domain, neither this domain nor that one loses more than the margin.

    `alone` compares the merged trainings with this domain's own mix, `earlier` with the start model on the earlier domain; both
    intervals are over problems and speak about these trainings.
    """
    reason = f"this domain, merged minus alone: {over_problems(alone)}; {other}, merged minus start: {over_problems(earlier)}."
    if earlier.low <= -settings.margin:
        return Gate(6, "merge", False, reason, f"give {other} a larger share of the prompts")
    if alone.low <= -settings.margin:
        return Gate(6, "merge", False, reason, "train the merged mix longer, or measure on more problems to be sure")
    return Gate(6, "merge", True, reason, "watch the held-out score by one method")


def watch_gate(found: Comparison, runs: int, settings: Settings) -> Gate:
    """Step 7: problems solved by the majority of runs, trained model against the start model."""
    both = f"{found.mean_b:.3f} before, {found.mean_a:.3f} after"
    reason = f"solved in most of {runs} runs: {both}, {over_problems(found)} over {found.problems} problems."
    if found.low > 0:
        return Gate(7, "held-out score", True, reason, "decide whether to scale")
    if found.high - found.low > 2 * settings.gain:
        return Gate(
            7,
            "held-out score",
            False,
            reason,
            "more held-out problems: this interval is wider than the gain you look for",
        )
    return Gate(7, "held-out score", False, reason, "no gain: go back to the edge and the mix")


def scale_gate(decision: Decision, estimate: str) -> Gate:
    """Step 8: the promotion rule's word and what a larger run would cost and bring."""
    action = {
        "promote": f"scale: {estimate}",
        "refine": "add training seeds before scaling: the evidence is not there yet",
        "stop": "do not scale this mix; change the data and start at the edge again",
    }[decision.verdict]
    return Gate(8, "scale", decision.verdict == "promote", f"{decision.verdict}: {decision.reason}.", action)


def over_problems(one: Comparison) -> str:
    """A difference in points with its interval over problems."""
    return f"{100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}] points"


def points(one: ArmDifference) -> str:
    """A difference in points with its interval over training seeds."""
    return f"{100 * one.difference:+.1f} [{100 * one.seed_low:+.1f}, {100 * one.seed_high:+.1f}] points"
