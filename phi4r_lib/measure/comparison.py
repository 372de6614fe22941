"""Is A better than B? Both answered the same problems, so everything here is paired by problem.

`compare` gives the difference with an interval for problems like these, an exact test and a Bayesian probability;
`equivalence` asks the opposite question (the same up to a margin); `holm` corrects the p-values of several pairs.
For one run per problem McNemar's test and Newcombe's interval come along. Not here: those tests themselves (paired.py),
testing while data still arrive (sequential.py). Two intervals that overlap do not show that two models are equal: read
the interval of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from phi4r_lib.measure.intervals import Interval, cluster_robust, t_interval
from phi4r_lib.measure.paired import McNemar, bayesian_bootstrap, mcnemar, newcombe, sign_flip
from phi4r_lib.measure.scores import Missing, Scores, Table, read_scores


@dataclass(frozen=True)
class Comparison:
    """A minus B on the same problems, in fractions of 1.

    Attributes:
        difference, low, high: mean over problems of A's rate minus B's, and its t interval for problems like these.
        p_value: two-sided sign-flip permutation test over problems (families, if given); for one run this is exact McNemar.
        p_t: p-value of the paired t test, the one that belongs to the interval.
        se: standard error behind the interval. level: of the interval.
        data_noise: variance of the true difference between problems (omega^2, may be negative by chance; NaN if unknown).
        prediction_noise: variance that the runs add to the difference of one problem; NaN for one run per problem.
        within_a, within_b: variance of one answer of A and B, as in `decompose`; what power.advise asks for.
        correlation: of the problem means of A and B; NaN if one of them does not vary.
        mean_a, mean_b: the two scores. problems: their number.
        better, worse: problems where A's rate is above, below B's.
        probability_better: P(A > B) by the Bayesian bootstrap over problems; 1 or 0 if all problems agree.
        missing: answers without verdict in both. worst, best: the difference if they all favoured B, or A.
        mcnemar, newcombe: for one run per problem of right-or-wrong answers, else None.
    """

    difference: float
    low: float
    high: float
    p_value: float
    p_t: float
    se: float
    level: float
    data_noise: float
    prediction_noise: float
    within_a: float
    within_b: float
    correlation: float
    mean_a: float
    mean_b: float
    problems: int
    better: int
    worse: int
    probability_better: float
    missing: int
    worst: float
    best: float
    mcnemar: McNemar | None = None
    newcombe: Interval | None = None

    @property
    def se_fixed(self) -> float:
        """Standard error for these very problems, where only the runs vary; NaN for one run per problem."""
        return math.sqrt(self.prediction_noise / self.problems)


def _pair(a: Table, b: Table) -> tuple[Scores, Scores]:
    left, right = read_scores(a), read_scores(b)
    if left.problems != right.problems:
        raise ValueError(f"A has {left.problems} problems and B has {right.problems}: align both on the same problems")
    if left.problems < 2:
        raise ValueError("a comparison needs at least two problems")
    return left, right


def compare(
    a: Table,
    b: Table,
    *,
    level: float = 0.95,
    clusters: Sequence[Any] | None = None,
    missing: Missing = "bound",
    draws: int = 4000,
    seed: int = 0,
) -> Comparison:
    """Paired comparison of two models on the same problems, rows in the same order (numbers of runs may differ).

    Standard error S(d)/sqrt(n) of the problem differences d (Miller 2024, arXiv 2411.00640), noise split as in Wang 2025
    (arXiv 2512.21326).

    Args:
        a, b: problems x runs in [0, 1]; None or NaN has no verdict, see `scores.read_scores`.
        clusters: family of each problem; interval and test then treat families as the independent units.
        missing: how answers without verdict enter the estimates ("bound" leaves them out of the rates and bounds them).
        draws, seed: of the Bayesian bootstrap.

    Raises:
        ValueError: unequal numbers of problems, fewer than two, or a problem without any verdict.
    """
    raw = _pair(a, b)
    left, right = (side.settled(missing) for side in raw)
    means_a, means_b = left.means, right.means
    d = means_a - means_b
    interval, se, p_t = _interval(d, level, clusters)
    within_a, within_b = left.borrowed_variances, right.borrowed_variances
    noise = float(np.mean(within_a / left.runs + within_b / right.runs))
    varies = np.ptp(means_a) > 0 and np.ptp(means_b) > 0
    table = _table(left, right)
    return Comparison(
        difference=float(d.mean()),
        low=interval.low,
        high=interval.high,
        p_value=sign_flip(d if clusters is None else _sums(d, clusters)),
        p_t=p_t,
        se=se,
        level=level,
        data_noise=float(d.var(ddof=1)) - noise,
        prediction_noise=noise,
        within_a=float(within_a.mean()),
        within_b=float(within_b.mean()),
        correlation=float(np.corrcoef(means_a, means_b)[0, 1]) if varies else math.nan,
        mean_a=float(means_a.mean()),
        mean_b=float(means_b.mean()),
        problems=d.size,
        better=int((d > 0).sum()),
        worse=int((d < 0).sum()),
        probability_better=bayesian_bootstrap(d, draws, seed),
        missing=raw[0].missing + raw[1].missing,
        worst=float((raw[0].filled(0.0).means - raw[1].filled(1.0).means).mean()),
        best=float((raw[0].filled(1.0).means - raw[1].filled(0.0).means).mean()),
        mcnemar=mcnemar(table[1], table[2]) if table else None,
        newcombe=newcombe(*table, level=level) if table else None,
    )


def _interval(d: np.ndarray, level: float, clusters: Sequence[Any] | None) -> tuple[Interval, float, float]:
    if np.ptp(d) < 1e-12:
        units = d.size if clusters is None else len({str(name) for name in clusters})
        return unvaried(float(d[0]), units, 1 - level), 0.0, 1.0 if abs(d[0]) < 1e-12 else math.nan
    if clusters is None:
        se, df = float(d.std(ddof=1)) / math.sqrt(d.size), d.size - 1
        interval = t_interval(d, level)
    else:
        estimate = cluster_robust(d, clusters, level)
        se, df, interval = estimate.se, estimate.clusters - 1, Interval(estimate.low, estimate.high)
    p_t = float(2 * stats.t.sf(abs(d.mean()) / se, df)) if se > 0 else math.nan
    return Interval(max(-1.0, interval.low), min(1.0, interval.high)), se, p_t


def unvaried(d: float, n: int, alpha: float) -> Interval:
    """Interval when all n problems (or seeds) show the same difference d, where a t interval would claim certainty (ours).

    At most a share u = 1 - (alpha/2)^(1/n) of others like these can differ from d unseen; at worst those differ by 1.
    """
    unseen = 1 - (alpha / 2) ** (1 / n)
    return Interval(d - unseen * (1 + d), d + unseen * (1 - d))


def _sums(d: np.ndarray, clusters: Sequence[Any]) -> np.ndarray:
    _, groups = np.unique(np.asarray([str(name) for name in clusters]), return_inverse=True)
    return np.bincount(groups, weights=d)


def _table(left: Scores, right: Scores) -> tuple[int, int, int, int] | None:
    """(both, only A, only B, neither) when each model has one right-or-wrong answer per problem, else None."""
    if left.runs.max() > 1 or right.runs.max() > 1:
        return None
    a, b = left.means, right.means
    if not np.isin(np.concatenate([a, b]), (0, 1)).all():
        return None
    return tuple(int(((a == x) & (b == y)).sum()) for x, y in ((1, 1), (1, 0), (0, 1), (0, 0)))


@dataclass(frozen=True)
class Equivalence:
    """Result of two one-sided tests: equivalent if the (1 - 2 alpha) interval lies inside (-margin, margin)."""

    difference: float
    low: float
    high: float
    p_value: float
    margin: float
    equivalent: bool


def equivalence(a: Table, b: Table, margin: float, *, alpha: float = 0.05, missing: Missing = "bound") -> Equivalence:
    """Are A and B the same up to `margin` (fraction of 1) on problems like these? TOST over problems (statsmodels).

    Failing to find a difference is no proof of equality; this is the test that can prove it.
    Raises ValueError for a margin that is not positive, and as `compare` does.
    """
    if margin <= 0:
        raise ValueError(f"margin must be positive, for example 0.02 for two points, got {margin}")
    left, right = (side.settled(missing) for side in _pair(a, b))
    d = left.means - right.means
    interval = _interval(d, 1 - 2 * alpha, None)[0]
    if np.ptp(d) < 1e-12:
        outside = max(1 - (margin + d[0]) / (1 + d[0]), 1 - (margin - d[0]) / (1 - d[0])) if abs(d[0]) < margin else 1.0
        p_value = float(max(outside, 0.0) ** d.size)
    else:
        p_value = float(ttost_paired(left.means, right.means, -margin, margin)[0])
    return Equivalence(float(d.mean()), interval.low, interval.high, p_value, margin, p_value < alpha)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm-adjusted p-values: keeps the chance of any false claim among all of them below the level.

    The k-th smallest of n counts n - k + 1 times, at most 1 and at least the one before (Holm 1979). Written here because
    statsmodels' function collects the garbage of the whole process on every call, which takes far longer than all else.
    """
    given = np.asarray(p_values, dtype=float)
    order = given.argsort(kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.maximum.accumulate(given[order] * np.arange(given.size, 0, -1)).clip(max=1.0)
    return adjusted
