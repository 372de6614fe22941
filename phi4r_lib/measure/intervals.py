"""Intervals for one score, each saying which uncertainty it captures.

One run of right-or-wrong answers: wilson, clopper_pearson, jeffreys, beta_uniform (and normal, kept to show how it fails);
they treat the problems as a sample of problems like these. Several runs: t_interval, bca_interval and cluster_robust work
on the problem means, so a problem travels with all its runs; `simultaneous_band` does so for a whole curve. Where no
problem differs from another they fall back on Wilson's interval, as if each problem had been asked once: equal scores
show no spread, and still promise none on new problems.
Not here: intervals that stay valid while you look at the data (sequential.py) or compare models (comparison.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import OLS

from phi4r_lib.problems.shares import Interval, check_level, check_share, proportion_interval, wilson


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Exact binomial interval of one run: never covers less than `level`, usually more (statsmodels "beta")."""
    return proportion_interval(successes, n, level, "beta")


def jeffreys(successes: int, n: int, level: float = 0.95) -> Interval:
    """Equal-tailed posterior interval of one run under the Jeffreys prior Beta(1/2, 1/2) (scipy.stats.beta).

    Like `beta_uniform` it surrounds the posterior's centre: at 0 and n of n the share itself lies outside it.
    """
    return _posterior(successes, n, level, 0.5)


def beta_uniform(successes: int, n: int, level: float = 0.95) -> Interval:
    """Equal-tailed posterior interval of one run under the flat prior Beta(1, 1) (scipy.stats.beta)."""
    return _posterior(successes, n, level, 1.0)


def _posterior(successes: int, n: int, level: float, prior: float) -> Interval:
    check_share(successes, n, level)
    ends = stats.beta.ppf([(1 - level) / 2, (1 + level) / 2], prior + successes, prior + n - successes)
    return Interval(float(ends[0]), float(ends[1]))


def normal(successes: int, n: int, level: float = 0.95) -> Interval:
    """Textbook normal interval of one run, only to show its failure: no width at 0 or n, poor coverage near them."""
    return proportion_interval(successes, n, level, "normal")


def _means(problem_means: Sequence[float] | np.ndarray) -> np.ndarray:
    means = np.asarray(problem_means, dtype=float)
    if means.ndim != 1 or means.size < 2:
        raise ValueError("needs one mean a problem, at least two problems")
    if not np.isfinite(means).all():
        raise ValueError("a problem mean is missing; fill or bound it first (decompose does)")
    return means


def t_interval(problem_means: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """Student interval over problem means, n - 1 degrees of freedom: captures problems and runs together.

    Equal means from 0 to 1 get Wilson's interval over the problems (ours).
    """
    check_level(level)
    means = _means(problem_means)
    if _alike(means):
        return _unvaried(float(means.mean()), means.size, level)
    half = stats.t.ppf((1 + level) / 2, means.size - 1) * means.std(ddof=1) / math.sqrt(means.size)
    return Interval(float(means.mean() - half), float(means.mean() + half))


def _alike(means: np.ndarray) -> bool:
    """True for scores that do not differ at all, where a spread of 0 says nothing about new problems."""
    return bool(np.ptp(means) < 1e-12 and 0 <= means[0] <= 1)


def _unvaried(score: float, n: int, level: float) -> Interval:
    return wilson(min(max(score, 0.0), 1.0) * n, n, level)


def bca_interval(
    problem_means: Sequence[float] | np.ndarray, level: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Bias-corrected accelerated bootstrap over problems, each with all its runs (scipy.stats.bootstrap).

    Captures problems and runs together. Raises ValueError when all means are equal: no resample then differs.
    """
    check_level(level)
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
    check_level(level)
    means = _means(problem_means)
    names, groups = np.unique(np.asarray([str(name) for name in clusters]), return_inverse=True)
    if groups.size != means.size:
        raise ValueError(f"{means.size} problem means but {groups.size} family names; give one name per problem")
    if names.size < 2:
        raise ValueError("needs at least two families; with one family nothing shows how families differ")
    fit = OLS(means, np.ones(means.size)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    se = float(fit.bse[0])
    half = float(stats.t.ppf((1 + level) / 2, names.size - 1)) * se
    mean = float(means.mean())
    low, high = _unvaried(mean, names.size, level) if _alike(means) else (mean - half, mean + half)
    return ClusterEstimate(mean, low, high, se, int(names.size), bool(names.size < 40))


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
    studentised deviation over the points (max-t band, ours in detail). Points where no problem varies get Wilson's interval
    over the problems at a level that holds for all of them together (Bonferroni).
    """
    check_level(level)
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
    # A resample without variation says nothing about its own error: fall back on the error of the data there.
    spread = np.where(spread > 1e-12, spread, se)
    deviations = np.abs(resampled - mean)[:, live] / spread[:, live]
    width = (float(np.quantile(deviations.max(axis=1), level)) if live.any() else 0.0) * se
    low, high = mean - width, mean + width
    for point in np.flatnonzero(~live & (mean > -1e-12) & (mean < 1 + 1e-12)):
        low[point], high[point] = _unvaried(float(mean[point]), problems, 1 - (1 - level) / len(mean))
    return Band(mean, low, high, se)
