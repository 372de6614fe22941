"""Tests and intervals for paired numbers: sign flips, McNemar, Newcombe, and the Bayesian bootstrap.

These take plain counts or differences, one per problem. Not here: reading scores of models and putting it all together
(comparison.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar

from phi4r_lib.measure.intervals import Interval, wilson

SIGN_FLIP_WORK = 50_000_000  # additions allowed for the exact sign-flip distribution, about a second


@dataclass(frozen=True)
class McNemar:
    """Tests on the problems that only one of two models solved (one run each): two-sided exact, mid-p, one-sided."""

    only_a: int
    only_b: int
    exact: float
    mid_p: float
    one_sided: float


def sign_flip(
    d: Sequence[float] | np.ndarray, *, one_sided: bool = False, resamples: int = 20_000, seed: int = 0
) -> float:
    """Sign-flip permutation test of paired differences: P(|sum of +-d_i| >= observed), or sum >= observed if one_sided.

    Differences of rates are fractions with a small common denominator, so the whole distribution is built exactly by
    adding one problem at a time; where no such denominator exists scipy.stats.permutation_test samples it.
    Valid when A and B are interchangeable on each problem. Raises ValueError for no differences or missing ones.
    """
    d = np.asarray(d, dtype=float)
    if d.size == 0 or not np.isfinite(d).all():
        raise ValueError("needs at least one paired difference, none missing")
    steps = _lattice(d)
    if steps is None:
        return _sampled_sign_flip(d, one_sided, resamples, seed)
    sizes = np.abs(steps)
    total, observed = int(sizes.sum()), int(steps.sum())
    chance = np.zeros(total + 1)  # chance[t]: the problems that keep a plus sign add up to t, the sum is 2t - total
    chance[0] = 1.0
    for size in sizes[sizes > 0]:
        moved = np.zeros_like(chance)
        moved[size:] = chance[: chance.size - size]
        chance = (chance + moved) / 2
    sums = 2 * np.arange(total + 1) - total
    extreme = sums >= observed if one_sided else np.abs(sums) >= abs(observed)
    return min(1.0, float(chance[extreme].sum()))


def _lattice(d: np.ndarray) -> np.ndarray | None:
    parts = [Fraction(float(x)).limit_denominator(5000) for x in d]
    if max(abs(float(part) - x) for part, x in zip(parts, d, strict=True)) > 1e-9:
        return None
    unit = math.lcm(*(part.denominator for part in parts))
    if d.size * unit * float(np.abs(d).sum()) > SIGN_FLIP_WORK:
        return None
    return np.array([int(part * unit) for part in parts], dtype=np.int64)


def _sampled_sign_flip(d: np.ndarray, one_sided: bool, resamples: int, seed: int) -> float:
    found = stats.permutation_test(
        (d,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=2000,
        alternative="greater" if one_sided else "two-sided",
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """Exact McNemar test (statsmodels), its less cautious mid-p variant, and the one-sided p-value for A > B.

    With no problem solved by one model alone all p-values are 1 (mid-p too: nothing speaks against equality).
    """
    if only_a < 0 or only_b < 0:
        raise ValueError("counts of discordant problems must not be negative")
    n = only_a + only_b
    exact = min(1.0, float(exact_mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue)) if n else 1.0
    mid = min(1.0, exact - float(stats.binom.pmf(min(only_a, only_b), n, 0.5))) if only_a != only_b else 1.0
    return McNemar(only_a, only_b, exact, mid, float(stats.binom.sf(only_a - 1, n, 0.5)))


def newcombe(both: int, only_a: int, only_b: int, neither: int, level: float = 0.95) -> Interval:
    """Newcombe's hybrid score interval for the difference of two paired proportions (1998, method 10).

    Wilson limits of both proportions, combined with the correlation phi, whose numerator is reduced by n/2 if positive.
    Raises ValueError when all counts are 0.
    """
    n = both + only_a + only_b + neither
    first, second = wilson(both + only_a, n, level), wilson(both + only_b, n, level)
    p_a, p_b = (both + only_a) / n, (both + only_b) / n
    product = math.prod((both + only_a, only_b + neither, both + only_b, only_a + neither))
    cross = both * neither - only_a * only_b
    phi = (max(cross - n / 2, 0) if cross > 0 else cross) / math.sqrt(product) if product else 0.0
    down, up = p_a - first.low, second.high - p_b
    low = p_a - p_b - math.sqrt(max(down**2 - 2 * phi * down * up + up**2, 0))
    up, down = first.high - p_a, p_b - second.low
    high = p_a - p_b + math.sqrt(max(down**2 - 2 * phi * down * up + up**2, 0))
    return Interval(max(-1.0, low), min(1.0, high))


def bayesian_bootstrap(d: Sequence[float] | np.ndarray, draws: int = 4000, seed: int = 0) -> float:
    """Posterior probability that the mean difference is positive (ties halved): Dirichlet(1) weights over problems.

    Rubin's Bayesian bootstrap; only differences that were seen can occur, so it is 1 or 0 if all problems agree.
    """
    weights = np.random.default_rng(seed).standard_exponential((draws, np.asarray(d).size))
    means = weights @ np.asarray(d, dtype=float)
    tolerance = 1e-12 * weights.sum(axis=1)
    return float((means > tolerance).mean() + 0.5 * (np.abs(means) <= tolerance).mean())
