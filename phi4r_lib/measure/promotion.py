"""Explore, then scale: a rule with error control, written down before the runs, that says promote, refine or stop.

A candidate is promoted when its paired gain over seeds is established on the target and every guarded domain, named
beforehand, is shown to lose less than a margin. Evidence for the gain is an e-value and the guards share their error over
the looks, so looking after every seed and stopping early is legal. The rule is ours; that
a small scale ranks only about four of five pairs as a large one does (DataDecide, arXiv 2504.11393) is why it exists.
Not here: the intervals of many arms (trial.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import stats

from phi4r_lib.measure.comparison import unvaried
from phi4r_lib.measure.intervals import Interval
from phi4r_lib.measure.trial import Additivity, ArmDifference
from phi4r_lib.problems.rows import write_json


@dataclass(frozen=True)
class PromotionRule:
    """What has to be shown, stated before the runs; gains and margins in fractions of 1.

    Attributes:
        target: name of the domain that should improve. gain: the smallest worthwhile gain there (d).
        margin: the largest loss that a guarded domain may hide (m). alpha: chance of promoting an arm without a gain, and
            of promoting one that loses the margin on a guarded domain.
        most_seeds: seeds at which the trial ends. least_power: below this chance of still succeeding at `gain`, stop.
        guards: names of the domains that must not lose more than the margin; `decide` wants the differences of all of them.
        looks: how often the trial is looked at, at the most; None: after every seed from the second.
    """

    target: str
    gain: float
    margin: float
    alpha: float = 0.05
    most_seeds: int = 8
    least_power: float = 0.10
    guards: tuple[str, ...] = ()
    looks: int | None = None

    def __post_init__(self) -> None:
        if min(self.gain, self.margin) <= 0 or not 0 < self.alpha < 1 or self.most_seeds < 2:
            raise ValueError("gain and margin must be positive, alpha between 0 and 1, most_seeds at least 2")
        if self.looks is not None and self.looks < 1:
            raise ValueError(f"looks must be positive, got {self.looks}")

    @property
    def guard_level(self) -> float:
        """Error of one look at a guarded domain: alpha shared over the looks (Bonferroni), since any of them may promote."""
        return self.alpha / (self.looks or self.most_seeds - 1)


@dataclass(frozen=True)
class Decision:
    """What the rule says now, why, and the figures behind it; `low` and `high` bound the gain for new trainings."""

    verdict: Literal["promote", "refine", "stop"]
    reason: str
    seeds: int
    gain: float
    low: float
    high: float
    e_value: float
    power: float
    guarded: dict[str, dict[str, float | bool]] = field(default_factory=dict)


def t_e_values(differences: Sequence[float] | np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Evidence against "the mean difference over seeds is 0" after each seed, shape (seeds,); legal at every look.

    The scale-invariant likelihood ratio of normal differences with unknown variance, effect size ~ N(0, scale^2) and the
    right Haar prior on the spread: sqrt(c/(t+c)) (1 - S^2/((t+c) V))^(-t/2), c = 1/scale^2, S the sum and V the sum of
    squares of t differences (Lai 1976; Wang and Ramdas 2023, arXiv 2310.03722). Assumes that differences are about normal.

    Raises ValueError for missing values or a scale that is not positive.
    """
    x = np.asarray(differences, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all() or scale <= 0:
        raise ValueError("needs one finite difference per seed and a positive scale")
    t, c = np.arange(1, x.size + 1), 1 / scale**2
    total, squares = np.cumsum(x), np.cumsum(x**2)
    share = np.divide(total**2, (t + c) * squares, out=np.zeros(x.size), where=squares > 0)
    log_value = 0.5 * (np.log(c) - np.log(t + c)) - t / 2 * np.log1p(-share)
    return np.exp(np.minimum(log_value, 700))


def decide(
    rule: PromotionRule,
    target: Sequence[float] | np.ndarray,
    guarded: Mapping[str, Sequence[float] | np.ndarray] | None = None,
) -> Decision:
    """Promote, refine (go on, or change the arm) or stop, from one paired difference per seed.

    Args:
        target: candidate minus reference on the target domain, one score difference per seed, in order of arrival.
        guarded: the same for each of `rule.guards` (one-sided t limit at `rule.guard_level`).

    Returns:
        "promote": the e-value reached 1/alpha with a positive gain and every guarded domain is non-inferior.
        "stop": the seeds are used up, or the chance of still establishing a true gain of `rule.gain` is below least_power.
        "refine": neither; add seeds or change the arm.

    Raises:
        ValueError: fewer than two seeds, domains with other numbers of seeds, or other domains than the rule guards.
    """
    if set(guarded or {}) != set(rule.guards):
        names = ", ".join(rule.guards) or "no domain"
        raise ValueError(f"the rule guards {names}; differences came for {', '.join(guarded or {}) or 'none'}")
    x = np.asarray(target, dtype=float)
    sides = {name: np.asarray(values, dtype=float) for name, values in (guarded or {}).items()}
    if x.ndim != 1 or x.size < 2 or any(side.shape != x.shape for side in sides.values()):
        raise ValueError("needs one difference per seed, at least two seeds, and as many for every guarded domain")
    interval = _interval(x, rule.alpha)
    e_value = float(_believed(x).max())
    kept = {name: _non_inferior(side, rule) for name, side in sides.items()}
    power = conditional_power(x, rule)
    verdict, reason = _verdict(rule, x, e_value, kept, power)
    return Decision(verdict, reason, int(x.size), float(x.mean()), *interval, e_value, power, kept)


def _interval(x: np.ndarray, alpha: float) -> Interval:
    """t interval of the mean over seeds; of equal differences the one of `comparison.unvaried`: never without width."""
    mean = float(x.mean())
    if np.ptp(x) < 1e-12:
        return unvaried(mean, x.size, alpha)
    half = float(stats.t.ppf(1 - alpha / 2, x.size - 1)) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return Interval(mean - half, mean + half)


def _believed(x: np.ndarray) -> np.ndarray:
    """`t_e_values`, at most 1 while all seeds show the same difference: that is no spread to judge by, nor a normal one."""
    values = t_e_values(x)
    same = np.maximum.accumulate(np.abs(x - x[0])) < 1e-12
    return np.where(same, np.minimum(values, 1.0), values)


def _non_inferior(side: np.ndarray, rule: PromotionRule) -> dict[str, float | bool]:
    low = _interval(side, 2 * rule.guard_level).low
    return {"difference": float(side.mean()), "low": low, "kept": low > -rule.margin}


def _verdict(rule: PromotionRule, x: np.ndarray, e_value: float, kept: Mapping, power: float) -> tuple[str, str]:
    lost = [name for name, side in kept.items() if not side["kept"]]
    if e_value >= 1 / rule.alpha and x.mean() > 0:
        if not lost:
            return "promote", f"gain {x.mean():+.3f} on {rule.target} established, e-value {e_value:.1f}"
        return "refine", f"gain on {rule.target} established, but {', '.join(lost)} may lose more than {rule.margin:g}"
    if e_value >= 1 / rule.alpha:
        return "stop", f"a loss of {x.mean():+.3f} on {rule.target} is established, e-value {e_value:.1f}"
    if np.ptp(x) < 1e-12 and x.any():
        return (
            "refine",
            f"all {x.size} seeds differ by {x.mean():+.3f} exactly: no spread to judge by; do the seeds change anything?",
        )
    if x.size >= rule.most_seeds:
        return "stop", f"all {rule.most_seeds} seeds used, e-value {e_value:.1f} of {1 / rule.alpha:g} needed"
    if power < rule.least_power:
        return "stop", f"chance of still establishing a true gain of {rule.gain:g} is {power:.0%}: futile"
    return "refine", f"undecided after {x.size} seeds, e-value {e_value:.1f} of {1 / rule.alpha:g} needed"


def conditional_power(differences: np.ndarray, rule: PromotionRule, draws: int = 2000, seed: int = 0) -> float:
    """Chance that the e-value reaches 1/alpha by `most_seeds` if the true gain is `rule.gain`, or the mean so far if that is
    larger (ours, by simulation): seeds that look better than hoped are no reason to give up.

    The seeds to come are normal around that gain with the spread seen so far; seeds that were seen stay as they are.
    """
    x = np.asarray(differences, dtype=float)
    left = rule.most_seeds - x.size
    if left <= 0:
        return float(_believed(x).max() >= 1 / rule.alpha and x.mean() > 0)
    future = np.random.default_rng(seed).normal(
        max(rule.gain, float(x.mean())), max(float(x.std(ddof=1)), 1e-9), (draws, left)
    )
    total, squares = float(x.sum()), float((x**2).sum())
    t = np.arange(x.size + 1, rule.most_seeds + 1)
    sums, powers = total + future.cumsum(1), squares + (future**2).cumsum(1)
    log_value = -0.5 * np.log(t + 1) - t / 2 * np.log1p(-(sums**2) / ((t + 1) * powers))
    reached = (log_value >= math.log(1 / rule.alpha)) & (sums > 0)
    return float(reached.any(axis=1).mean())


@dataclass(frozen=True)
class Saturation:
    """Gain per doubling of a budget with its interval; saturated when even the upper limit is below the worthwhile gain."""

    per_doubling: float
    low: float
    high: float
    saturated: bool


def gain_per_doubling(budgets: Sequence[float], scores: np.ndarray, gain: float, *, level: float = 0.95) -> Saturation:
    """Slope of the score over log2(budget), fitted per seed; the interval is over seeds (t).

    Args:
        budgets: at least two different budgets (tokens, steps), increasing or not.
        scores: seeds x budgets, fractions of 1. gain: smallest worthwhile gain per doubling.

    Raises:
        ValueError: fewer than two seeds or budgets, shapes that do not match, or budgets that are all equal.
    """
    x, y = np.log2(np.asarray(budgets, dtype=float)), np.asarray(scores, dtype=float)
    if y.ndim != 2 or y.shape[0] < 2 or y.shape[1] != x.size or x.size < 2 or np.ptp(x) == 0:
        raise ValueError("needs seeds x budgets scores, at least two seeds and two different budgets")
    slopes = (y - y.mean(axis=1, keepdims=True)) @ (x - x.mean()) / float(((x - x.mean()) ** 2).sum())
    half = float(stats.t.ppf((1 + level) / 2, slopes.size - 1)) * float(slopes.std(ddof=1)) / math.sqrt(slopes.size)
    mean = float(slopes.mean())
    return Saturation(mean, mean - half, mean + half, mean + half < gain)


def write_promotion(path: str | Path, rule: PromotionRule, decisions: Mapping[str, Decision]) -> Path:
    """Writes promote.json: the rule, every arm's figures and the verdicts; appears whole or not at all."""
    content = {"rule": asdict(rule), "arms": {name: asdict(decision) for name, decision in decisions.items()}}
    return write_json(path, content)


def claim(text: str, source: str, found: ArmDifference | Additivity | Saturation | None) -> dict[str, str]:
    """A row {claim, report, ours, verdict}; `found` None says that nothing was measured, `source` what the report says.

    `ours` is the estimate with its interval in percentage points: 95% for differences and gains per doubling, 90% for an
    interaction, as its equivalence test has it.
    """
    if found is None:
        return {"claim": text, "report": source, "ours": "not measured", "verdict": "too few rows of this kind"}
    estimate, verdict = _read(found)
    points = f"{100 * estimate:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}] points"
    return {"claim": text, "report": source, "ours": points, "verdict": verdict}


def _read(found: ArmDifference | Additivity | Saturation) -> tuple[float, str]:
    if isinstance(found, ArmDifference):
        return found.difference, found.verdict
    if isinstance(found, Saturation):
        return found.per_doubling, "saturated" if found.saturated else "not shown"
    if found.additive:
        return found.interaction, f"additive within {100 * found.margin:g} points"
    apart = found.low > 0 or found.high < 0
    return found.interaction, "not additive" if apart and abs(found.interaction) > found.margin else "not decided"
