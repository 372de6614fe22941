"""How often does a 95% interval hold the truth on a small benchmark? Exact for one run, simulated for several runs.

The tables behind the choice of intervals in this package; benchmarks/coverage.py prints them with many simulations.
Not here: the intervals themselves (intervals.py, sequential.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import special, stats

from phi4r_lib.measure.intervals import (
    Interval,
    bca_interval,
    beta_uniform,
    clopper_pearson,
    cluster_robust,
    jeffreys,
    normal,
    t_interval,
    wilson,
)
from phi4r_lib.measure.sequential import confidence_sequence, mean_sequence
from phi4r_lib.measure.variance import decompose

ONE_RUN: dict[str, Callable[[int, int], Interval]] = {
    "normal (textbook)": normal,
    "Wilson": wilson,
    "Clopper-Pearson": clopper_pearson,
    "Jeffreys": jeffreys,
    "Beta(1,1)": beta_uniform,
    "confidence sequence": confidence_sequence,
}
SPREAD = 2.5  # standard deviation of the problems' log-odds: many nearly always and many nearly never solved


def one_run(problems: int = 30, rates: Sequence[float] = (0.5, 0.8, 0.9, 0.97)) -> pd.DataFrame:
    """Coverage of each interval of one run, summed over all possible results, no simulation.

    Returns:
        One row per interval (index); columns: each true rate, "average" over all rates, "width" on average over results;
        all fractions of 1. Raises ValueError for rates outside [0, 1] or no problems.
    """
    if problems < 1 or not all(0 <= rate <= 1 for rate in rates):
        raise ValueError("needs at least one problem and rates in [0, 1]")
    results = np.arange(problems + 1)
    chances = {rate: stats.binom.pmf(results, problems, rate) for rate in rates}
    posterior = stats.beta(1 + results, 1 + problems - results)
    rows = {}
    for name, method in ONE_RUN.items():
        low, high = np.array([method(int(right), problems) for right in results]).T
        rows[name] = {rate: chance @ ((low <= rate) & (rate <= high)) for rate, chance in chances.items()}
        rows[name] |= {"average": (posterior.cdf(high) - posterior.cdf(low)).mean(), "width": (high - low).mean()}
    return pd.DataFrame(rows).T


def several_runs(problems: int = 30, runs: int = 4, simulations: int = 200, seed: int = 0) -> pd.DataFrame:
    """Coverage of the intervals over several runs, simulated with fresh problems and fresh answers each time.

    Log-odds of the rates are normal, so the mean rate of problems like these is 1/2 exactly. In the columns "families"
    three problems at a time share half of the variance of their log-odds.

    Returns:
        One row per interval; columns "unrelated" and "families" (does it hold 1/2?), and "these" (does it hold the mean
        rate of the very problems drawn?); fractions of 1, each with a standard error of about sqrt(.05 x .95 / simulations).
        Raises ValueError for fewer than six problems, two runs or one simulation.
    """
    if problems < 6 or runs < 2 or simulations < 1:
        raise ValueError("needs at least six problems, two runs and one simulation")
    rng = np.random.default_rng(seed)
    families = np.arange(problems) // 3
    hits: dict[str, pd.DataFrame] = {}
    for name, shared in (("unrelated", 0.0), ("families", 0.5)):
        seen = [_held(rng, families, runs, shared) for _ in range(simulations)]
        hits[name] = pd.DataFrame(seen).map(lambda pair: pair[0]).mean()
        if not shared:
            hits["these"] = pd.DataFrame(seen).map(lambda pair: pair[1]).mean()
    return pd.DataFrame(hits)


def _held(rng: np.random.Generator, families: np.ndarray, runs: int, shared: float) -> dict[str, tuple[bool, bool]]:
    """For one simulated benchmark: does each interval hold (1/2, the mean rate of these problems)?"""
    common, own = rng.normal(size=families.max() + 1)[families], rng.normal(size=families.size)
    rates = special.expit(SPREAD * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own))
    answers = rng.random((families.size, runs)) < rates[:, None]
    means = answers.mean(axis=1)
    clustered = cluster_robust(means, families)
    found = {
        "t over problems": t_interval(means),
        "BCa bootstrap over problems": bca_interval(means, resamples=499),
        "t clustered by family": Interval(clustered.low, clustered.high),
        "confidence sequence of means": mean_sequence(means, grid=20),
        "t for these problems only": decompose(answers).interval("these problems"),
    }
    truths = (0.5, rates.mean())
    return {name: tuple(ends.low <= truth <= ends.high for truth in truths) for name, ends in found.items()}
