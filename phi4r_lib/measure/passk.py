"""What k answers would give: pass@k and pass^k, unbiased from n >= k answers per problem.

All estimators average over every subset of k answers without replacement, in closed form, so nothing is drawn and nothing
is biased. Not here: the majority of k (majority.py), errors over problems (intervals.simultaneous_band).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phi4r_lib.measure.intervals import Band, simultaneous_band

Counts = int | np.ndarray


def _none(n: Counts, hits: Counts, k: int) -> np.ndarray:
    """C(n - hits, k) / C(n, k): probability that k of n answers, drawn without replacement, avoid all hits."""
    n, hits = np.asarray(n), np.asarray(hits)
    if not (np.equal(np.mod(n, 1), 0).all() and np.equal(np.mod(hits, 1), 0).all() and int(k) == k):
        raise ValueError("n, c and k are counts: give whole numbers")
    if np.any(hits < 0) or np.any(hits > n):
        raise ValueError("needs 0 <= c <= n for every problem")
    if k < 1 or np.any(n < k):
        raise ValueError(f"k = {k} is undefined with {int(np.min(n))} answers per problem; needs 1 <= k <= n")
    steps = np.arange(int(k))
    left = np.maximum((n - hits)[..., None] - steps, 0)
    return np.prod(left / (n[..., None] - steps), axis=-1)


def _plain(value: np.ndarray) -> float | np.ndarray:
    return float(value) if np.ndim(value) == 0 else value


def pass_at_k(n: Counts, c: Counts, k: int) -> float | np.ndarray:
    """Probability that at least one of k answers is right, 1 - C(n-c, k)/C(n, k) (Chen et al. 2021), unbiased.

    Args:
        n: answers of a problem (number, or array with one entry per problem). c: right ones among them. k: budget.

    Returns:
        A float, or an array of the shape of n and c: one value per problem; never pool counts over problems.

    Raises:
        ValueError: k > n, k < 1, c outside 0..n, or numbers that are not whole.
    """
    return _plain(1 - _none(n, c, k))


def pass_hat_k(n: Counts, c: Counts, k: int) -> float | np.ndarray:
    """Probability that all of k answers are right (pass^k, worst of k), C(c, k)/C(n, k), unbiased; errors as pass_at_k."""
    n, c = np.asarray(n), np.asarray(c)
    return _plain(_none(n, n - c, k))


def pass_at_k_variance(n: Counts, c: Counts, k: int) -> float | np.ndarray:
    """Unbiased variance of the pass@k estimate over fresh sets of n answers: q_k^2 - q_2k, q_k = C(n-c, k)/C(n, k).

    q_2k estimates (1-p)^2k without bias, hence the difference estimates E[q_k^2] - E[q_k]^2 (closed form, ours).
    Raises ValueError for n < 2k, where no unbiased estimate exists in this form, and as pass_at_k does.
    """
    return _variance(n, c, k)


def pass_hat_k_variance(n: Counts, c: Counts, k: int) -> float | np.ndarray:
    """Unbiased variance of the pass^k estimate, the same closed form with right and wrong exchanged; needs n >= 2k."""
    n, c = np.asarray(n), np.asarray(c)
    return _variance(n, n - c, k)


def _variance(n: Counts, hits: Counts, k: int) -> float | np.ndarray:
    if np.any(np.asarray(n) < 2 * k):
        raise ValueError(f"the variance at k = {k} needs at least {2 * k} answers per problem, got {int(np.min(n))}")
    return _plain(_none(n, hits, k) ** 2 - _none(n, hits, 2 * k))


@dataclass(frozen=True)
class Curve:
    """A score over k: `per_problem` (problems x ks), its band over problems, and se_fixed (NaN where n < 2k)."""

    ks: np.ndarray
    per_problem: np.ndarray
    band: Band
    se_fixed: np.ndarray


def pass_curve(
    n: Counts, c: np.ndarray, ks: list[int] | np.ndarray, *, every: bool = False, level: float = 0.95, seed: int = 0
) -> Curve:
    """pass@k (or pass^k with every=True) over several k, with a band that holds for all of them at once.

    Args:
        n: answers per problem (number or array). c: right answers, one entry per problem. ks: budgets.

    Returns:
        Curve; se_fixed is the error for these very problems and NaN, not a number, where n < 2k.
    """
    c = np.asarray(c)
    n = np.broadcast_to(np.asarray(n), c.shape)
    ks = np.asarray(ks, dtype=int)
    value, variance = (pass_hat_k, pass_hat_k_variance) if every else (pass_at_k, pass_at_k_variance)
    per_problem = np.stack([value(n, c, int(k)) for k in ks], axis=1)
    known = [float(np.sqrt(variance(n, c, int(k)).sum())) / c.size if n.min() >= 2 * k else np.nan for k in ks]
    return Curve(ks, per_problem, simultaneous_band(per_problem, level, seed=seed), np.array(known))
