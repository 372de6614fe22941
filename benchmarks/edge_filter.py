"""Samples a problem: posterior stopping against fixed-N filters and the Bayes-optimal policy, at equal decision error.

All figures are exact (path counting, no simulation). Run: python benchmarks/edge_filter.py   (some seconds)
With --votes FILE (recorded answers, JSONL) the precision of the plurality by vote share on that file follows.
"""

from __future__ import annotations

import argparse
from functools import lru_cache

import numpy as np
from scipy import stats

from phi4r_lib.curate.quality import Estimate
from phi4r_lib.curate.stopping import (
    BetaPrior,
    Evaluation,
    curtailed,
    evaluate,
    fit_prior,
    fixed_mode,
    fixed_plugin,
    in_batches,
    optimal,
    posterior_stop,
)
from phi4r_lib.curate.votes import load_recorded, vote_figures
from phi4r_lib.problems.schema import ProblemFileError

LO, HI, MOST = 0.125, 0.875, 96
PRIOR = BetaPrior()
PUBLISHED = {"1..7 of 8": (8, 1, 7), "1..15 of 16": (16, 1, 15), "1..3 of 32": (32, 1, 3), "7..57 of 64": (64, 7, 57)}


@lru_cache
def posterior(error: float, price: float = 0.0, batch: int = 1, prior: BetaPrior = PRIOR) -> Evaluation:
    """Posterior stopping that must decide at the end, so that its error compares with the other rules."""
    policy = in_batches(posterior_stop(LO, HI, error, MOST, prior, price, forced=True), batch)
    return evaluate(policy, LO, HI, PRIOR)


def cheapest(target: float, price: bool) -> Evaluation:
    """The cheapest posterior stopping whose decision error is at most `target`, with or without giving up early.

    Without a price its error target is searched; with one the target is .05 and the price is searched.
    """
    if price:
        tried = [posterior(0.05, one) for one in np.geomspace(2e-4, 0.03, 60).tolist()]
    else:
        tried = [posterior(error) for error in np.geomspace(0.005, 0.4, 150).tolist()]
    return min((found for found in tried if found.error <= target), key=lambda found: found.samples)


def optimal_at_error(target: float) -> float:
    """Samples of the Bayes-optimal policy at exactly this error, interpolated on its frontier.

    Mixing two neighbouring policies at random reaches every point between them, so the line is attainable.
    """
    points = optimal_frontier()
    return float(np.interp(target, [error for error, _ in points], [samples for _, samples in points]))


@lru_cache
def optimal_frontier() -> list[tuple[float, float]]:
    """(error, samples) of the optimal policies over a range of sample prices."""
    found = [evaluate(optimal(LO, HI, cost, MOST), LO, HI, PRIOR) for cost in np.geomspace(2e-5, 0.05, 60)]
    return sorted({(round(one.error, 9), round(one.samples, 9)) for one in found})


def lossless() -> None:
    print("Curtailment: the decisions of published fixed filters, sample for sample, at lower cost (Beta(.5,.5))")
    for name, (size, least, most) in PUBLISHED.items():
        samples = evaluate(curtailed(size, least, most), LO, HI, PRIOR).samples
        print(f"  keep {name:12s} {size:3d} -> {samples:5.1f} samples ({samples / size - 1:+.0%}), identical decisions")


def frontier() -> None:
    print(f"\nAt equal decision error (lo={LO}, hi={HI}, Beta(.5,.5), at most {MOST} samples, all must decide)")
    print("                              samples per problem                     share of fixed    against optimal")
    print("  fixed filter    error    fixed  posterior  +give up  optimal   posterior  +give up     +give up")
    shares: dict[str, list[float]] = {"ratio": [], "mode": []}
    bounds, gaps = [], []
    for name, rule in (("ratio", fixed_plugin), ("mode", fixed_mode)):
        for size in (16, 32, 64):
            row, share, bound, gap = _row(f"{name:5s} of {size:2d}", rule(size, LO, HI), size)
            print(row)
            shares[name].append(share)
            bounds += [bound] if name == "mode" else []
            gaps.append(gap)
    print(f"  the usual filter (ratio): at most {max(shares['ratio']):.2f} of its samples; target 0.50")
    print(
        f"  a fixed filter that knows the prior (mode): at most {max(shares['mode']):.2f};"
        f" no rule can do better than {max(bounds):.2f} there"
    )
    print(f"  above the Bayes-optimal policy: at most {max(gaps) - 1:.0%}; target 15%")


def _row(name: str, policy: np.ndarray, size: int) -> tuple[str, float, float, float]:
    error = evaluate(policy, LO, HI, PRIOR).error
    plain, priced = cheapest(error, price=False), cheapest(error, price=True)
    gap = priced.samples / optimal_at_error(priced.error)
    counts = f"{plain.samples:10.1f}{priced.samples:10.1f} {optimal_at_error(error):8.1f}"
    shares = f"{plain.samples / size:10.2f}{priced.samples / size:10.2f}"
    row = f"  {name:14s} {error:.4f}  {size:6d} {counts}  {shares}   {gap:10.2f}"
    return row, priced.samples / size, optimal_at_error(error) / size, gap


def batches() -> None:
    print("\nPosterior stopping, error target .10, looked at in batches")
    for batch in (1, 2, 4, 8):
        found = posterior(0.1, batch=batch)
        print(f"  batch {batch}: {found.samples:5.1f} samples, error {found.error:.4f}")


def fitted() -> None:
    print("\nPrior fitted on a pilot of 4 samples per problem instead of known (true rates from Beta(.5,.5))")
    rng = np.random.default_rng(0)
    for problems in (50, 200, 1000):
        rates = stats.beta(*PRIOR).rvs(problems, random_state=rng)
        prior = fit_prior(rng.binomial(4, rates), 4)
        found = posterior(0.1, prior=prior)
        print(
            f"  {problems:4d} problems: Beta({prior.a:.2f}, {prior.b:.2f}), {found.samples:.1f} samples, error {found.error:.4f}"
        )


def recorded(path: str, min_share: float = 0.5) -> None:
    """The proxy truth on a file of recorded answers."""
    found = vote_figures(load_recorded(path), min_share)
    print(f"\nPlurality of recorded answers against gold, least share {min_share:g}: {path}")
    for name, figure in found.figures().items():
        print(f"  {name:10s} {figure}")
    for row in found.by_share.itertuples():
        at = Estimate(row.precision, row.low, row.high, row.n)
        above = Estimate(row.precision_from, row.low_from, row.high_from, row.kept)
        print(f"  share {row.share:.3f}: {at}   this share or more: {above}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", metavar="FILE", help="recorded answers: gold and a list of answers per line")
    args = parser.parse_args()
    lossless()
    frontier()
    batches()
    fitted()
    if args.votes:
        try:
            recorded(args.votes)
        except (OSError, ProblemFileError) as error:
            parser.error(str(error))


if __name__ == "__main__":
    main()
