"""Intervals for one score, each saying which uncertainty it captures.

One run of right-or-wrong answers: wilson, clopper_pearson, jeffreys, beta_uniform (and normal, kept to show how it fails);
they treat the problems as a sample of problems like these. Several runs: t_interval, bca_interval and cluster_robust work
on the problem means, so a problem travels with all its runs; `simultaneous_band` does so for a whole curve.
Not here: intervals that stay valid while you look at the data (sequential.py) or compare models (comparison.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint


class Interval(NamedTuple):
    """Two ends, as fractions of 1; unpacks as `low, high`."""

    low: float
    high: float


def _check(successes: float, n: int, level: float) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"needs 0 <= successes <= n and n >= 1, got {successes} of {n}")
    _check_level(level)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, for example 0.95, got {level}")


def _proportion(successes: int, n: int, level: float, method: str) -> Interval:
    _check(successes, n, level)
    low, high = proportion_confint(successes, n, alpha=1 - level, method=method)
    return Interval(max(0.0, float(low)), min(1.0, float(high)))


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval of one run: the default for right-or-wrong answers (statsmodels).

    Captures the choice of problems and the sampling together, for n independent problems with one answer each.
    Raises ValueError for n < 1 or successes outside 0..n, as do all intervals of one run.
    """
    return _proportion(successes, n, level, "wilson")


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Exact binomial interval of one run: never covers less than `level`, usually more (statsmodels "beta")."""
    return _proportion(successes, n, level, "beta")


def jeffreys(successes: int, n: int, level: float = 0.95) -> Interval:
    """Equal-tailed posterior interval of one run under the Jeffreys prior Beta(1/2, 1/2) (statsmodels)."""
    return _proportion(successes, n, level, "jeffreys")


def beta_uniform(successes: int, n: int, level: float = 0.95) -> Interval:
    """Equal-tailed posterior interval of one run under the flat prior Beta(1, 1) (scipy.stats.beta)."""
    _check(successes, n, level)
    ends = stats.beta.ppf([(1 - level) / 2, (1 + level) / 2], 1 + successes, 1 + n - successes)
    return Interval(float(ends[0]), float(ends[1]))


def normal(successes: int, n: int, level: float = 0.95) -> Interval:
    """Textbook normal interval of one run, only to show its failure: no width at 0 or n, poor coverage near them."""
    return _proportion(successes, n, level, "normal")


def _means(problem_means: Sequence[float] | np.ndarray) -> np.ndarray:
    means = np.asarray(problem_means, dtype=float)
    if means.ndim != 1 or means.size < 2:
        raise ValueError("needs one mean a problem, at least two problems")
    if not np.isfinite(means).all():
        raise ValueError("a problem mean is missing; fill or bound it first (decompose does)")
    return means


def t_interval(problem_means: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """Student interval over problem means, n - 1 degrees of freedom: captures problems and runs together."""
    _check_level(level)
    means = _means(problem_means)
    half = stats.t.ppf((1 + level) / 2, means.size - 1) * means.std(ddof=1) / math.sqrt(means.size)
    return Interval(float(means.mean() - half), float(means.mean() + half))


def bca_interval(
    problem_means: Sequence[float] | np.ndarray, level: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Bias-corrected accelerated bootstrap over problems, each with all its runs (scipy.stats.bootstrap).

    Captures problems and runs together. Raises ValueError when all means are equal: no resample then differs.
    """
    _check_level(level)
    means = _means(problem_means)
    if np.ptp(means) == 0:
        raise ValueError("all problem means are equal, so a bootstrap cannot see any error; use clopper_pearson")
    found = stats.bootstrap(
        (means,), np.mean, confidence_level=level, n_resamples=resamples, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


@dataclass(frozen=True)
class ClusterEstimate:
    """Mean over problems with an error that lets problems of one family depend on each other.

    `few` is True below 40 families, where even the corrected error is rough: prefer more families to more problems.
    """

    mean: float
    low: float
    high: float
    se: float
    clusters: int
    few: bool


def cluster_robust(
    problem_means: Sequence[float] | np.ndarray, clusters: Sequence[Any], level: float = 0.95
) -> ClusterEstimate:
    """Cluster-robust interval over problems that come in families (years, templates), t with C - 1 df (CR1).

    The sandwich variance of an intercept-only regression times C/(C-1), from statsmodels. Captures the choice of
    families, of problems and of runs. Raises ValueError for fewer than two families or unequal lengths.
    """
    _check_level(level)
    means = _means(problem_means)
    names, groups = np.unique(np.asarray([str(name) for name in clusters]), return_inverse=True)
    if groups.size != means.size:
        raise ValueError(f"{means.size} problem means but {groups.size} family names; give one name a problem")
    if names.size < 2:
        raise ValueError("needs at least two families; with one family nothing shows how families differ")
    fit = OLS(means, np.ones(means.size)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    se = float(fit.bse[0])
    half = float(stats.t.ppf((1 + level) / 2, names.size - 1)) * se
    mean = float(means.mean())
    return ClusterEstimate(mean, mean - half, mean + half, se, int(names.size), bool(names.size < 40))


@dataclass(frozen=True)
class Band:
    """A curve with pointwise standard errors and a band that holds at all points at once; arrays of shape (points,)."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    se: np.ndarray


def simultaneous_band(values: np.ndarray, level: float = 0.95, resamples: int = 4000, seed: int = 0) -> Band:
    """Band around the column means of a problems x points array that covers the whole curve with probability `level`.

    Problems are resampled with their whole curve; the half width is se times the `level` quantile of the largest
    studentised deviation over the points (max-t band, ours in detail). Points where no problem varies get no width.
    """
    _check_level(level)
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[0] < 2 or not np.isfinite(values).all():
        raise ValueError("needs a problems x points array without holes and with at least two problems")
    problems = values.shape[0]
    mean, se = values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(problems)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=resamples)
    resampled = weights @ values / problems
    spread = np.sqrt(np.maximum(weights @ values**2 / problems - resampled**2, 0) / (problems - 1))
    live = se > 1e-12
    if not live.any():
        return Band(mean, mean, mean, se)
    # A resample without variation says nothing about its own error: fall back on the error of the data there.
    spread = np.where(spread > 1e-12, spread, se)
    deviations = np.abs(resampled - mean)[:, live] / spread[:, live]
    width = float(np.quantile(deviations.max(axis=1), level)) * se
    return Band(mean, mean - width, mean + width, se)
