"""A share of things counted, with the one interval for it that the whole package uses.

Not here: intervals for scores over several runs and other kinds for one run (measure/intervals.py).
"""

from __future__ import annotations

from typing import NamedTuple

from statsmodels.stats.proportion import proportion_confint


class Interval(NamedTuple):
    """Two ends, as fractions of 1; unpacks as `low, high`."""

    low: float
    high: float


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval of a share (statsmodels), with 0 <= low <= successes / n <= high <= 1.

    Captures the chance by which n independent things were drawn; for one run of right-or-wrong answers that is the choice
    of problems and the sampling together. successes need not be whole. Raises ValueError for n < 1, successes outside 0..n,
    or a level outside (0, 1).
    """
    return proportion_interval(successes, n, level, "wilson")


def proportion_interval(successes: float, n: int, level: float, method: str) -> Interval:
    """Any interval of statsmodels' `proportion_confint`, kept inside 0 to 1 and around the share itself."""
    check_share(successes, n, level)
    low, high = proportion_confint(successes, n, alpha=1 - level, method=method)
    return around(successes / n, float(low), float(high))


def around(value: float, low: float, high: float) -> Interval:
    """The interval with its ends pulled inside 0 to 1 and to the value's own side: rounding may leave them beyond it."""
    return Interval(min(max(0.0, low), value), max(min(1.0, high), value))


def check_share(successes: float, n: int, level: float) -> None:
    """Raises ValueError where an interval of a share is undefined."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"needs 0 <= successes <= n and n >= 1, got {successes} of {n}")
    check_level(level)


def check_level(level: float) -> None:
    """Raises ValueError for a level that is no probability."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, for example 0.95, got {level}")
