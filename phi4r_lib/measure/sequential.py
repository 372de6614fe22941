"""Looking while the runs arrive: intervals and evidence that stay valid at every look, so "add runs until sure" is legal.

`confidence_sequence` for right-or-wrong answers of one rate, `mean_sequence` for bounded scores, `run_e_values` for A
against B. Reject equality once an e-value reaches 1/alpha, whenever that is; ordinary p-values do not
survive such peeking (methods for that are in comparison.py and need a sample size fixed beforehand).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln, logsumexp

from phi4r_lib.measure.intervals import Interval

Values = Sequence[float] | np.ndarray


def confidence_sequence(successes: int, n: int, level: float = 0.95, *, a: float = 1.0, b: float = 1.0) -> Interval:
    """All rates p with B(a+s, b+n-s)/B(a, b) < p^s (1-p)^(n-s) / alpha: a beta-binomial mixture confidence sequence.

    Covers the rate at all sample sizes at once with probability `level` (Ville's inequality). Valid for answers that
    share one rate, such as one problem asked again and again, or one answer each from fresh problems.

    Args:
        successes, n: right answers so far among all answers so far. a, b: mixture Beta(a, b), uniform by default.

    Raises:
        ValueError: successes outside 0..n, n < 0, or a level outside (0, 1).
    """
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"needs 0 <= successes <= n, got {successes} of {n}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    if n == 0:
        return Interval(0.0, 1.0)
    limit = betaln(a + successes, b + n - successes) - betaln(a, b) + math.log(1 - level)

    def excess(p: float) -> float:
        return _log_power(p, successes) + _log_power(1 - p, n - successes) - limit

    peak = successes / n
    low = 0.0 if successes == 0 else brentq(excess, 0.0 + 1e-300, peak, xtol=1e-13)
    high = 1.0 if successes == n else brentq(excess, peak, 1.0 - 1e-16, xtol=1e-13)
    return Interval(float(low), float(high))


def _log_power(p: float, times: int) -> float:
    return times * math.log(p) if times else 0.0


BETS = np.linspace(0.05, 0.95, 19)  # shares of the stake that the mixture puts on each side; any fixed set is valid


def _log_wealth(gains: np.ndarray) -> np.ndarray:
    """Log wealth after each step of an even mixture of constant bets on and against `gains` in [-1, 1], shape (steps,)."""
    stakes = np.concatenate([BETS, -BETS])
    return logsumexp(np.cumsum(np.log1p(np.outer(gains, stakes)), axis=0), axis=1) - math.log(stakes.size)


def run_e_values(run_differences: Values, problems: int | None = None) -> np.ndarray:
    """Evidence against "A and B have the same average on these problems" after each pair of runs, shape (runs,).

    Any look is legal: stop once an entry reaches 1/alpha.

    Args:
        run_differences: the score of one fresh run of A minus one of B, each in [-1, 1], in order of arrival.
        problems: answers behind each score, if they are independent given the problem (no shared randomness). Each score
            in [0, 1] then has a variance proxy of at most 1/(4 problems) (Hoeffding's lemma), and the e-value is the normal mixture of
            Robbins (1970), exp(S^2 n/(t+1)) / sqrt(t+1) after t pairs with sum S: far sharper. Without it: a mixture of
            constant bets (betting martingale, Waudby-Smith and Ramdas 2024, arXiv 2010.09686), valid for any bounded scores.
            Both mixtures are ours.

    Raises:
        ValueError: entries outside [-1, 1], or fewer than one problem.
    """
    gains = np.asarray(run_differences, dtype=float)
    if gains.ndim != 1 or not (np.abs(gains) <= 1).all():
        raise ValueError("needs one difference in [-1, 1] per pair of runs, none missing")
    if problems is not None and problems < 1:
        raise ValueError(f"problems must be at least 1, got {problems}")
    if problems is None:
        return np.exp(np.minimum(_log_wealth(gains), 700))
    ahead = np.arange(gains.size) + 2.0  # t + 1
    return np.exp(np.minimum(np.cumsum(gains) ** 2 * problems / ahead - np.log(ahead) / 2, 700))


def mean_sequence(values: Values, level: float = 0.95, grid: int = 1000) -> Interval:
    """Anytime-valid interval for the mean of scores in [0, 1], such as problem means of fresh problems or run scores.

    Keeps every mean m against which no mixture of constant bets ever multiplied its stake by 1/alpha (betting confidence
    sequence as in Waudby-Smith and Ramdas 2024, with a fixed grid of bets: ours); valid at every look in order of arrival.
    The ends are rounded outwards to the grid. Raises ValueError for entries outside [0, 1] or a level outside (0, 1).
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("needs scores in [0, 1], none missing")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    means = np.linspace(0, 1, grid + 1)
    limit = -math.log(1 - level)
    kept = [m for m in means if _never_rejected(values, m, limit)]
    if not kept:  # possible with probability 1 - level at most: no mean fits the order of arrival
        return Interval(float(values.mean()), float(values.mean()))
    return Interval(max(0.0, float(kept[0]) - 1 / grid), min(1.0, float(kept[-1]) + 1 / grid))


def _never_rejected(values: np.ndarray, mean: float, limit: float) -> bool:
    """Bets for a higher mean may stake up to 1/mean, for a lower one up to 1/(1 - mean); half of each side of the mixture."""
    up = np.outer(values - mean, BETS / max(mean, 1e-9))
    down = np.outer(mean - values, BETS / max(1 - mean, 1e-9))
    paths = np.cumsum(np.log1p(np.maximum(np.concatenate([up, down], axis=1), -1 + 1e-12)), axis=0)
    return bool((logsumexp(paths, axis=1) - math.log(paths.shape[1])).max(initial=-math.inf) < limit)
