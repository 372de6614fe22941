"""How often does a 95% interval hold the truth with 30 problems? Exact for one run, simulated for several runs.

Usage: python benchmarks/coverage.py [--problems 30] [--simulations 2000] [--seed 0]     (about 20 s of CPU)

One run: exact coverage of each interval at some true rates and on average over all rates. Several runs: fresh problems whose
rates come from a U-shaped Beta(1/2, 1/2), as on hard competitions; the truth is the mean rate of problems like these (1/2),
for "fixed" also the mean rate of the very problems drawn. Families: 10 of them share a part of their rate.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
from scipy import stats

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
RATES = (0.5, 0.8, 0.9, 0.97)


def exact_coverage(problems: int) -> None:
    """Prints coverage and mean width of the one-run intervals, summed over all possible results."""
    results = np.arange(problems + 1)
    print(f"One run of {problems} problems, coverage of 95% intervals in percent (exact)")
    print(f"{'interval':22}" + "".join(f"{f'p={rate}':>9}" for rate in RATES) + f"{'average':>9}{'width':>8}")
    for name, method in ONE_RUN.items():
        low, high = np.array([method(int(s), problems) for s in results]).T
        chances = [stats.binom.pmf(results, problems, rate) for rate in RATES]
        held = [chance @ ((low <= rate) & (rate <= high)) for chance, rate in zip(chances, RATES, strict=True)]
        posterior = stats.beta(1 + results, 1 + problems - results)
        average, width = (posterior.cdf(high) - posterior.cdf(low)).mean(), (high - low).mean()
        print(f"{name:22}" + "".join(f"{100 * x:9.1f}" for x in [*held, average]) + f"{width:8.3f}")


def simulated_coverage(problems: int, simulations: int, rng: np.random.Generator) -> None:
    """Prints coverage of the several-runs intervals for problems like these, and for these problems."""
    print(f"\nSeveral runs of {problems} problems, rates from Beta(1/2, 1/2), {simulations} simulations")
    print(f"{'runs':>5}{'t':>8}{'BCa':>8}{'mean seq.':>11}{'fixed':>8}{'fixed, its own truth':>22}   (percent)")
    for runs in (2, 4, 50):
        hits = np.zeros(5)
        for index in range(simulations):
            rates = rng.beta(0.5, 0.5, problems)
            answers = rng.random((problems, runs)) < rates[:, None]
            hits += _hits(answers, rates.mean(), expensive=index % 10 == 0)
        hits *= 100 / np.array([simulations, *[math.ceil(simulations / 10)] * 2, simulations, simulations])
        print(f"{runs:5}{hits[0]:8.1f}{hits[1]:8.1f}{hits[2]:11.1f}{hits[3]:8.1f}{hits[4]:22.1f}")
    print("BCa and the mean sequence: every tenth simulation. 'fixed' ignores the choice of problems, by definition.")


def _hits(answers: np.ndarray, these: float, *, expensive: bool) -> np.ndarray:
    means = answers.mean(axis=1)
    fixed = decompose(answers).interval("these problems")
    found = [t_interval(means), None, None, fixed, fixed]
    if expensive:
        found[1:3] = [bca_interval(means, resamples=999), mean_sequence(means, grid=100)]
    truths = (0.5, 0.5, 0.5, 0.5, these)
    return np.array([ci is not None and ci.low <= t <= ci.high for ci, t in zip(found, truths, strict=True)], float)


def family_coverage(problems: int, simulations: int, rng: np.random.Generator) -> None:
    """Prints coverage with problems in 10 families that share half of the variance of their rates (logit-normal)."""
    families = np.arange(problems) % 10
    shift = rng.normal(0, 1, (200_000, 2)).sum(axis=1)
    truth, hits = float((1 / (1 + np.exp(-shift))).mean()), np.zeros(2)
    for _ in range(simulations):
        logit = rng.normal(0, 1, 10)[families] + rng.normal(0, 1, problems)
        means = rng.binomial(4, 1 / (1 + np.exp(-logit))) / 4
        for index, ci in enumerate((t_interval(means), cluster_robust(means, families))):
            hits[index] += ci.low <= truth <= ci.high
    naive, clustered = 100 * hits / simulations
    print(
        f"\nTen families of {problems // 10} problems, 4 runs: plain t {naive:.1f}, cluster-robust t {clustered:.1f} (percent)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=30)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.problems < 10 or given.simulations < 10:
        parser.error("needs at least 10 problems and 10 simulations")
    rng = np.random.default_rng(given.seed)
    exact_coverage(given.problems)
    simulated_coverage(given.problems, given.simulations, rng)
    family_coverage(given.problems, given.simulations, rng)


if __name__ == "__main__":
    main()
