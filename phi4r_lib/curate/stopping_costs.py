"""What a stopping rule costs on problems of known pass rate, beside a fixed filter and the optimum of equal error.

Exact expectations for each problem, no simulation; intervals come from drawing problems again. Not here: the rules
(stopping.py), the measured pass rates (quality.label_problems).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from phi4r_lib.curate.quality import Estimate
from phi4r_lib.curate.stopping import UNDECIDED, BetaPrior, classes, fixed_plugin, optimal, outcomes

FIGURES = ("answers", "tokens", "wrong")
PRICES = np.geomspace(2e-5, 0.1, 40)  # wrong decisions per answer, of the optimal policies that are tried (ours)
SIZES = (*range(1, 33), *range(34, 65, 2), *range(68, 129, 4))  # of the fixed filters that are tried (ours)


def over_rates(policy: np.ndarray, pass_rates: Sequence[float], lo: float, hi: float) -> tuple[np.ndarray, np.ndarray]:
    """Expected samples and P(wrong decision) of a stopping policy, one per problem of known pass rate (path counting).

    A decision is wrong when it is not the class of the pass rate (hard p <= lo, easy p >= hi); "undecided" is not
    counted as wrong, so compare policies that must decide (`forced`).
    """
    rates = np.asarray(pass_rates, float)
    samples, shares = outcomes(policy, rates)
    right = np.take_along_axis(shares, classes(rates, lo, hi)[:, None], axis=1)[:, 0]
    return samples, 1 - shares[:, UNDECIDED] - right


@dataclass(frozen=True)
class CostTable:
    """The cost of one rule, and of the cheapest fixed filter and optimal policy at the same share of wrong decisions.

    `rows`: rule -> {"answers", "tokens", "wrong"}, means over problems. `ratios`: the rule's answers and tokens as a share of
    the fixed filter's and of the optimum's. All with 95% intervals over problems (percentile bootstrap), in which both
    yardsticks are chosen again each time. `sizes` are the numbers of answers of the fixed filters that were mixed.
    """

    rows: dict[str, dict[str, Estimate]]
    ratios: dict[str, Estimate]
    sizes: list[int]

    def table(self) -> pd.DataFrame:
        """One line per rule, each figure with its interval as text."""
        return pd.DataFrame({name: {k: _text(v) for k, v in row.items()} for name, row in self.rows.items()}).T


def _text(one: Estimate) -> str:
    return f"{one.value:.3g} [{one.low:.3g}, {one.high:.3g}]"


def at_equal_error(
    policy: np.ndarray,
    pass_rates: Sequence[float],
    tokens: Sequence[float],
    lo: float,
    hi: float,
    prior: BetaPrior = BetaPrior(),  # noqa: B008
    *,
    most: int = 96,
    repeats: int = 500,
    seed: int = 0,
) -> CostTable:
    """Compares `policy` with the usual fixed filter and with Bayes-optimal policies that err no more often.

    `pass_rates` are measured ones, `tokens` the mean tokens of an answer, both one per problem. The fixed filter takes the
    bare ratio of 1 .. 128 answers (`stopping.fixed_plugin`); the optimum is one of a range of `stopping.optimal` policies
    for `prior`, with at most `most` answers: optimal on average over that prior, so it may lose on problems unlike it.
    Both meet the policy's share of wrong decisions exactly, by tossing a coin between two of them where none does; where
    even that cannot reach it, the one with the fewest errors stands. Raises ValueError without problems or for lists of
    different lengths.
    """
    rates, price = np.asarray(pass_rates, float), np.asarray(tokens, float)
    if not len(rates) or len(rates) != len(price):
        raise ValueError("give one pass rate and one number of tokens per problem, for at least one problem")
    families = {
        "this rule": [over_rates(policy, rates, lo, hi)],
        "fixed filter": [over_rates(fixed_plugin(size, lo, hi), rates, lo, hi) for size in SIZES],
        "optimum": [over_rates(optimal(lo, hi, cost, most, prior), rates, lo, hi) for cost in PRICES],
    }
    stacked = {name: np.array([(n, n * price, wrong) for n, wrong in found]) for name, found in families.items()}
    values = _resampled(stacked, len(rates), repeats, seed)
    rows = {name: {what: values(name, i) for i, what in enumerate(FIGURES)} for name in families}
    ratios = {
        f"{what}, share of the {other}": values("this rule", i, other)
        for other in ("fixed filter", "optimum")
        for i, what in enumerate(FIGURES[:2])
    }
    mixed = _mixture(stacked["fixed filter"].mean(-1), float(stacked["this rule"][0, 2].mean()))
    return CostTable(rows, ratios, [size for size, weight in zip(SIZES, mixed, strict=True) if weight > 0])


def _resampled(families: dict[str, np.ndarray], n: int, repeats: int, seed: int) -> Callable[..., Estimate]:
    """Estimates of means (or their ratio) from arrays of shape (policies, 3, problems), all from the same resamples."""
    rng = np.random.default_rng(seed)
    draws = [np.arange(n), *(rng.integers(0, n, n) for _ in range(repeats))]
    means: dict[str, list[np.ndarray]] = {name: [] for name in families}
    for rows in draws:
        each = {name: family[:, :, rows].mean(-1) for name, family in families.items()}
        target = float(each["this rule"][0, 2])
        for name, mean in each.items():
            means[name].append(mean[0] if name == "this rule" else _mixture(mean, target) @ mean)
    table = {name: np.array(found) for name, found in means.items()}

    def values(name: str, figure: int, below: str | None = None) -> Estimate:
        found = table[name][:, figure] / (table[below][:, figure] if below else 1.0)
        low, high = np.quantile(found[1:], [0.025, 0.975])
        return Estimate(float(found[0]), float(low), float(high), n)

    return values


def _mixture(means: np.ndarray, target: float) -> np.ndarray:
    """Weights of the cheapest mixture of two policies (rows: answers, tokens, wrong) with at most `target` wrong."""
    cost, wrong = means[:, 0], means[:, 2]
    under, over = np.flatnonzero(wrong <= target + 1e-12), np.flatnonzero(wrong > target + 1e-12)
    weights = np.zeros(len(means))
    if not len(under):
        weights[np.lexsort((cost, wrong))[0]] = 1.0
        return weights
    good = under[cost[under].argmin()]
    weights[good] = 1.0
    if len(over):
        share = (target - wrong[under, None]) / (wrong[over] - wrong[under, None])
        mixed = cost[under, None] * (1 - share) + cost[over] * share
        i, j = np.unravel_index(mixed.argmin(), mixed.shape)
        if mixed[i, j] < cost[good]:
            weights[good] = 0.0
            weights[under[i]], weights[over[j]] = 1 - share[i, j], share[i, j]
    return weights
