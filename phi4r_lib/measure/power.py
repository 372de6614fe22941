"""Runs or problems? How many of each a difference needs, what a benchmark can show at best, and how often it misranks.

At the end the same for a published table of means and spreads: what it establishes and what it cannot.

Differences are fractions of 1. `within` is the variance of one answer of a model on one problem (decompose().within),
`data_noise` the variance between problems of the true difference (compare().data_noise, omega^2; a negative estimate counts
as 0). With data_noise = 0 the question is about these very problems, otherwise about problems like these. Formulas: Miller
2024 (arXiv 2411.00640), normal approximation; below 30 problems or so real power is a little lower. Not here: tests
(comparison.py) and stopping while runs arrive (sequential.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from phi4r_lib.measure.answer_table import AnswersError
from phi4r_lib.measure.variance import reread

PUBLISHED = ("model", "mean", "run_sd", "runs", "problems")  # columns of a published table
Rates = Sequence[float] | np.ndarray
Number = float | np.ndarray


def _z(level: float, power: float) -> float:
    if not (0 < level < 1 and 0 < power < 1):
        raise ValueError(f"level and power must lie between 0 and 1, got {level} and {power}")
    return float(stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power))


def _check(difference: float, *variances: float) -> None:
    if not 0 < abs(difference) <= 1:
        raise ValueError(f"difference must be a fraction of 1 other than 0, for example 0.05, got {difference}")
    if any(not math.isfinite(v) or v < 0 for v in variances):
        raise ValueError(f"within variances must be finite and not negative, got {variances}")


def _round_up(value: float) -> int:
    return max(1, math.ceil(value - 1e-9))


def runs_needed(
    difference: float,
    within_a: float,
    within_b: float,
    problems: int,
    *,
    data_noise: float = 0.0,
    level: float = 0.95,
    power: float = 0.8,
) -> int | float:
    """Runs of each model that show `difference` in a two-sided test, or math.inf when no number of runs will do.

    K = (within_a + within_b) / (problems difference^2 / z^2 - data_noise). With the default data_noise = 0 the claim is
    about these very problems; give compare().data_noise for a claim about problems like these (see `advise`).

    Raises:
        ValueError: a difference of 0 or beyond 1, negative variances, fewer than one problem.
    """
    _check(difference, within_a, within_b)
    if problems < 1:
        raise ValueError(f"needs at least one problem, got {problems}")
    room = problems * difference**2 / _z(level, power) ** 2 - max(data_noise, 0.0)
    return _round_up((within_a + within_b) / room) if room > 0 else math.inf


def problems_needed(
    difference: float,
    data_noise: float,
    within_a: float = 0.0,
    within_b: float = 0.0,
    *,
    runs_a: float = 1,
    runs_b: float | None = None,
    level: float = 0.95,
    power: float = 0.8,
) -> int:
    """Problems that show `difference` about problems like these, with so many runs each (math.inf is allowed).

    n = z^2 (data_noise + within_a / runs_a + within_b / runs_b) / difference^2 (Miller 2024). runs_b defaults to runs_a.
    Raises ValueError for a difference of 0 or beyond 1, negative variances, runs below 1.
    """
    _check(difference, within_a, within_b)
    noise = _noise(data_noise, within_a, within_b, runs_a, runs_b)
    return _round_up(_z(level, power) ** 2 * noise / difference**2)


def _noise(data_noise: float, within_a: float, within_b: float, runs_a: Number, runs_b: Number | None) -> Number:
    runs_b = runs_a if runs_b is None else runs_b
    if np.min(runs_a) < 1 or np.min(runs_b) < 1:
        raise ValueError("needs at least one run")
    return max(data_noise, 0.0) + within_a / np.asarray(runs_a, float) + within_b / np.asarray(runs_b, float)


def smallest_difference(
    problems: Number,
    runs: Number,
    data_noise: float,
    within_a: float,
    within_b: float,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> Number:
    """Smallest difference that so many problems and runs show with `power`; arrays broadcast (a table for a heat map).

    runs = math.inf gives the floor that no number of runs can go below. Raises ValueError for counts below 1.
    """
    if np.min(problems) < 1:
        raise ValueError("needs at least one problem")
    noise = _noise(data_noise, within_a, within_b, runs, None)
    found = _z(level, power) * np.sqrt(noise / np.asarray(problems, float))
    return float(found) if np.ndim(found) == 0 else found


def standard_errors(within: float, between: float, problems: Number, runs: Number) -> tuple[Number, Number]:
    """Both standard errors of one score at other sizes: (these problems, problems like these); arrays broadcast.

    The second has the floor sqrt(between / problems) whatever the runs; a negative `between` counts as 0.
    """
    problems, runs = np.asarray(problems, float), np.asarray(runs, float)
    noise = within / runs
    return np.sqrt(noise / problems), np.sqrt((max(between, 0.0) + noise) / problems)


@dataclass(frozen=True)
class Advice:
    """Answer to "runs or problems?": counts (math.inf where none will do), the floor of endless runs, a sentence."""

    runs_these: int | float
    runs_like_these: int | float
    problems: int
    detectable: float
    floor: float
    message: str


def advise(
    difference: float,
    data_noise: float,
    within_a: float,
    within_b: float,
    *,
    problems: int,
    runs: int,
    level: float = 0.95,
    power: float = 0.8,
) -> Advice:
    """What it takes to show `difference` from here, in numbers and in words; says when no number of runs will do.

    Args:
        difference: to be shown, fraction of 1. data_noise, within_a, within_b: from `compare` of pilot runs.
        problems, runs: of the present benchmark, runs of each model.
    """
    sizes = {"level": level, "power": power}
    these = runs_needed(difference, within_a, within_b, problems, **sizes)
    like = runs_needed(difference, within_a, within_b, problems, data_noise=data_noise, **sizes)
    needed = problems_needed(difference, data_noise, within_a, within_b, runs_a=runs, **sizes)
    now, floor = (smallest_difference(problems, k, data_noise, within_a, within_b, **sizes) for k in (runs, math.inf))
    points = f"{100 * abs(difference):.1f} points"
    message = f"On these {problems} problems alone, {these} {_times(these)} of each model would show {points}. "
    if math.isinf(like):
        message += (
            f"About problems like these, no number of runs will do: {problems} problems cannot show less than "
            f"{100 * floor:.1f} points. More problems are needed: {needed} with {runs} {_times(runs)} each."
        )
    else:
        message += (
            f"About problems like these, {like} {_times(like)} of each model on {problems} problems will do, "
            f"or {runs} {_times(runs)} each on {needed} problems."
        )
    return Advice(these, like, needed, now, floor, message)


def _times(runs: float) -> str:
    return "run" if runs == 1 else "runs"


def rank_probabilities(rates_a: Rates, rates_b: Rates, runs: int = 1) -> tuple[float, float, float]:
    """(P(A below B), P(tie), P(A above B)) when both answer the same number of problems `runs` times.

    Exact for independent answers: the number of right answers is Poisson-binomial (scipy.stats.poisson_binom).

    Args:
        rates_a, rates_b: probability of a right answer of each problem. runs: whose scores are averaged.

    Raises:
        ValueError: rates outside [0, 1], unequal numbers of problems, or runs below 1.
    """
    a, b = (_right_answers(rates, runs) for rates in (rates_a, rates_b))
    if a.size != b.size:
        raise ValueError("A and B must answer the same number of problems")
    tie = float(a @ b)
    below = float(a[:-1] @ _tail(b)[1:])
    above = float(b[:-1] @ _tail(a)[1:])
    return below, tie, above


def _tail(chance: np.ndarray) -> np.ndarray:
    return np.cumsum(chance[::-1])[::-1]


def _right_answers(rates: Rates, runs: int) -> np.ndarray:
    rates = np.asarray(rates, dtype=float)
    if rates.ndim != 1 or rates.size == 0 or not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError("needs one rate in [0, 1] a problem")
    if runs < 1 or int(runs) != runs:
        raise ValueError(f"runs must be a whole number from 1, got {runs}")
    one = stats.poisson_binom(rates).pmf(np.arange(rates.size + 1))
    total = np.ones(1)
    for bit in bin(int(runs))[2:]:  # square and multiply
        total = np.convolve(total, total)
        total = np.convolve(total, one) if bit == "1" else total
    return total


def p_misrank(rates_a: Rates, rates_b: Rates, runs: int = 1) -> float:
    """Probability that the average of `runs` runs puts A, the better one, below B (a tie counts one half).

    Rates and errors as in `rank_probabilities`; for published means and deviations use `p_misrank_summary`.
    """
    below, tie, _ = rank_probabilities(rates_a, rates_b, runs)
    return below + tie / 2


def p_misrank_summary(difference: float, run_sd_a: float, run_sd_b: float, runs: int = 1) -> float:
    """The same from a published difference A - B and the standard deviations over single runs (normal approximation)."""
    if runs < 1 or min(run_sd_a, run_sd_b) < 0 or max(run_sd_a, run_sd_b) == 0:
        raise ValueError("needs at least one run and standard deviations that are not both 0")
    return float(stats.norm.cdf(-difference / math.sqrt((run_sd_a**2 + run_sd_b**2) / runs)))


def neyman_ratio(rates: Rates) -> float:
    """Variance of the best allocation over that of equal runs, (mean sqrt(pq))^2 / mean(pq): 1 means nothing to gain."""
    spread = np.asarray(rates, float) * (1 - np.asarray(rates, float))
    return float(np.sqrt(spread).mean() ** 2 / spread.mean()) if spread.any() else 1.0


def load_published(path: str | Path) -> pd.DataFrame:
    """Rows of a published table as fractions of 1 (the file holds percent); raises AnswersError for missing columns."""
    table = pd.read_csv(path)
    missing = [column for column in PUBLISHED if column not in table]
    if missing:
        raise AnswersError(f"{path}: column {missing[0]!r} is missing; a published table has {', '.join(PUBLISHED)}")
    return table.assign(mean=table["mean"] / 100, run_sd=table["run_sd"] / 100)


def reread_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row per model: the published mean and spread, the split of the variance, both standard errors.

    Columns model, mean, run_sd, runs, problems, within, between, within_share, se_fixed, se_population.
    """
    rows = []
    for row in table.itertuples():
        part = reread(row.mean, row.run_sd, row.problems, row.runs)
        rows.append(
            {"model": row.model, "mean": row.mean, "run_sd": row.run_sd, "runs": row.runs, "problems": row.problems}
            | {"within": part.within, "between": part.between, "within_share": part.within_share}
            | {"se_fixed": part.se_fixed, "se_population": part.se_population}
        )
    return pd.DataFrame(rows)


def pair_table(table: pd.DataFrame) -> pd.DataFrame:
    """Every pair of models, better first: difference, chance of a wrong ranking by 1, 5 and all runs, and two z scores.

    `z_fixed` is the difference over its standard error on these problems. `z_new` is the same for problems like these if
    the two models' problem rates were unrelated; the table does not show how related they are, and a paired analysis of
    the answers would be sharper. Columns better, worse, difference, p_wrong_1, p_wrong_5, p_wrong_all, z_fixed, z_new.
    """
    again = reread_table(table).sort_values("mean", ascending=False).to_dict("records")
    rows = []
    for a, b in combinations(again, 2):
        difference = a["mean"] - b["mean"]
        chances = {
            f"p_wrong_{name}": _wrong(a, b, k) for name, k in (("1", 1), ("5", 5), ("all", min(a["runs"], b["runs"])))
        }
        fixed, new = (float(np.hypot(a[se], b[se])) for se in ("se_fixed", "se_population"))
        rows.append(
            {"better": a["model"], "worse": b["model"], "difference": difference}
            | chances
            | {"z_fixed": difference / fixed, "z_new": difference / new}
        )
    return pd.DataFrame(rows)


def _wrong(a: dict, b: dict, runs: int) -> float:
    return p_misrank_summary(a["mean"] - b["mean"], a["run_sd"], b["run_sd"], runs)


def problems_to_separate(a: pd.Series, b: pd.Series, power: float = 0.8) -> int:
    """Problems that would show the published difference of two rows of `reread_table` with endless runs, unrelated rates.

    (z_0.975 + z_power)^2 (between_a + between_b) / difference^2; pairing lowers it by the correlation of the rates.
    """
    z = stats.norm.ppf(0.975) + stats.norm.ppf(power)
    between = max(a["between"], 0.0) + max(b["between"], 0.0)
    return int(np.ceil(z**2 * between / (a["mean"] - b["mean"]) ** 2))
