"""Arms on trial: the same training repeated over seeds, measured on the same problems, compared in pairs.

Training seeds are the third source of chance beside problems and runs. `decompose_seeds` splits a score into all three;
`compare_arms` gives paired differences over seeds and problems with Holm's correction. Two seeds of one recipe can differ by
several points, so one training per arm proves nothing.

`additivity` asks whether the gains of two domains add up when their data are mixed: a 2 x 2 interaction over four trainings per
seed, with neither part of the mixture (y00), only the first (y10), only the second (y01), both (y11). I = y11 - y10 - y01 + y00
is 0 if gains add. "Both went up" proves nothing, nor does a test that fails to find an interaction: gains are called additive only
if the interval of I lies inside a margin chosen beforehand (TOST).
Not here: the decision to scale (promotion.py), how the arms are run (cookbook/sweeps/sweep.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from phi4r_lib.measure.comparison import holm


@dataclass(frozen=True)
class SeedDecomposition:
    """Variance of one answer by source, and three standard errors of the mean score (fractions of 1).

    Attributes:
        mean: over all answers. seeds, problems, runs: the sizes T, n and K.
        seed, problem, seed_problem, run: variance components of one answer; an unbiased estimate can be negative.
        se_models: error about these trained models on these problems (only the runs vary).
        se_recipe: error about new trainings of the same recipe on these problems (seeds and runs vary).
        se_population: error about new trainings on problems like these (seeds, problems and runs vary).
    """

    mean: float
    seeds: int
    problems: int
    runs: int
    seed: float
    problem: float
    seed_problem: float
    run: float
    se_models: float
    se_recipe: float
    se_population: float

    def shares(
        self, seeds: int | None = None, problems: int | None = None, runs: int | None = None
    ) -> dict[str, float]:
        """Share of each source in the variance of the mean, negative components counted as 0; they add up to 1.

        Other sizes than those measured may be given: what would the shares be with one training and fifty runs?
        """
        t, n, k = seeds or self.seeds, problems or self.problems, runs or self.runs
        parts = {
            "training seed": self.seed / t,
            "problem": self.problem / n,
            "seed x problem": self.seed_problem / (n * t),
            "run": self.run / (n * t * k),
        }
        parts = {name: max(part, 0.0) for name, part in parts.items()}
        total = sum(parts.values())
        return {name: part / total if total else math.nan for name, part in parts.items()}


def decompose_seeds(correct: np.ndarray) -> SeedDecomposition:
    """Splits the variance of a seeds x problems x runs array of verdicts into training seed, problem and run.

    Var(mean) = seed/T + problem/n + seed_problem/(nT) + run/(nTK), estimated by the classical analysis of variance of the
    two-way layout with both factors random. Assumes that every seed was measured on the same problems with equally many runs.

    Raises:
        ValueError: another shape, missing verdicts, or fewer than two seeds, problems or runs.
    """
    table = np.asarray(correct, dtype=float)
    if table.ndim != 3 or min(table.shape) < 2:
        raise ValueError(
            f"needs a seeds x problems x runs array with at least two of each, got shape {table.shape}: "
            "one training cannot show how trainings differ"
        )
    if not np.isfinite(table).all():
        raise ValueError("a verdict is missing; count it as wrong or leave the problem out of every seed")
    seeds, problems, runs = table.shape
    cells = table.mean(axis=2)
    run = float(table.var(axis=2, ddof=1).mean())
    ms_seed, ms_problem, ms_rest = mean_squares(cells)
    return SeedDecomposition(
        mean=float(cells.mean()),
        seeds=seeds,
        problems=problems,
        runs=runs,
        seed=(ms_seed - ms_rest) / problems,
        problem=(ms_problem - ms_rest) / seeds,
        seed_problem=ms_rest - run / runs,
        run=run,
        se_models=math.sqrt(run / table.size),
        se_recipe=math.sqrt(ms_seed / cells.size),
        se_population=two_way_se(cells),
    )


def mean_squares(cells: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, problems and the rest of a seeds x problems array (two-way layout, one value per cell)."""
    seeds, problems = cells.shape
    by_seed, by_problem = cells.mean(axis=1), cells.mean(axis=0)
    rest = cells - by_seed[:, None] - by_problem[None, :] + cells.mean()
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (problems - 1))
    return float(problems * by_seed.var(ddof=1)), float(seeds * by_problem.var(ddof=1)), ms_rest


def two_way_se(cells: np.ndarray) -> float:
    """Standard error of the mean of a seeds x problems array when both are samples.

    Var(mean) = (MS_seeds + MS_problems - MS_rest) / (seeds x problems), at least the larger of the two alone.
    """
    ms_seed, ms_problem, ms_rest = mean_squares(cells)
    return math.sqrt(max(ms_seed + ms_problem - ms_rest, ms_seed, ms_problem) / cells.size)


@dataclass(frozen=True)
class ArmDifference:
    """One arm minus the reference, paired over seeds and problems; scores and differences in fractions of 1.

    `low` and `high` bound the difference for trainings and problems like these (t with min(seeds, problems) - 1 degrees of
    freedom, a cautious choice); `seed_low` and `seed_high` speak about these problems only. `p_holm` is the p-value
    after Holm's correction over all arms of the table. `verdict` is "better", "worse", "within noise" or "same scores".
    """

    arm: str
    mean: float
    reference_mean: float
    difference: float
    low: float
    high: float
    seed_low: float
    seed_high: float
    se: float
    df: int
    p_value: float
    p_holm: float
    seeds: int
    problems: int
    verdict: str


def paired_difference(arm: np.ndarray, reference: np.ndarray, *, level: float = 0.95, name: str = "") -> ArmDifference:
    """Difference of two arms that share seeds and problems; each is a seeds x problems array of pass rates.

    Arms with the same score in every place (the same rows, or both at zero) have a difference of 0, p 1 and the verdict "same
    scores". Raises ValueError for shapes that differ, missing scores, fewer than two seeds or problems, or arms that differ
    by one amount everywhere, which leaves no spread to judge by.
    """
    a, b = (np.asarray(cells, dtype=float) for cells in (arm, reference))
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < 2:
        raise ValueError(
            f"two arms need one seeds x problems shape with at least two seeds and problems, got {a.shape} and {b.shape}"
        )
    d = a - b
    if not np.isfinite(d).all():
        raise ValueError("a score is missing; finish the cell, or leave its seed out of both arms")
    if np.ptp(d) < 1e-12 and d.any():
        raise ValueError(f"arm '{name}' differs from its reference by one amount everywhere: no spread to judge by")
    se, df = two_way_se(d), min(d.shape) - 1
    half = float(stats.t.ppf((1 + level) / 2, df)) * se
    by_seed = d.mean(axis=1)
    narrow = float(stats.t.ppf((1 + level) / 2, len(d) - 1)) * float(by_seed.std(ddof=1)) / math.sqrt(len(d))
    mean = float(d.mean())
    p_value = float(2 * stats.t.sf(abs(mean) / se, df)) if d.any() else 1.0
    return ArmDifference(
        arm=name,
        mean=float(a.mean()),
        reference_mean=float(b.mean()),
        difference=mean,
        low=max(-1.0, mean - half),
        high=min(1.0, mean + half),
        seed_low=max(-1.0, mean - narrow),
        seed_high=min(1.0, mean + narrow),
        se=se,
        df=df,
        p_value=p_value,
        p_holm=p_value,
        seeds=len(d),
        problems=d.shape[1],
        verdict=_verdict(mean, se, p_value, level),
    )


def _verdict(difference: float, se: float, p_value: float, level: float) -> str:
    if se == 0:
        return "same scores"
    if p_value >= 1 - level:
        return "within noise"
    return "better" if difference > 0 else "worse"


def compare_arms(arms: Mapping[str, np.ndarray], reference: str, *, level: float = 0.95) -> list[ArmDifference]:
    """Every other arm against the reference, in the order given; verdicts hold for all arms together (Holm).

    Args:
        arms: {name: seeds x problems array of pass rates}, all with the same seeds and problems in the same order.
        reference: the arm that the others are measured against.

    Raises:
        ValueError: an unknown reference, no other arm, and as `paired_difference`.
    """
    if reference not in arms:
        raise ValueError(f"there is no arm '{reference}'; arms are {', '.join(arms)}")
    names = [name for name in arms if name != reference]
    if not names:
        raise ValueError("needs at least one arm besides the reference")
    return compare_pairs({name: (arms[name], arms[reference]) for name in names}, level=level)


def compare_pairs(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], *, level: float = 0.95) -> list[ArmDifference]:
    """Each pair (arm, its own reference) compared, in the order given; verdicts hold for all pairs together (Holm).

    A pair shares seeds and problems; pairs may differ in both. Raises ValueError as `paired_difference`.
    """
    found = [paired_difference(arm, reference, level=level, name=name) for name, (arm, reference) in pairs.items()]
    adjusted = holm([one.p_value for one in found])
    return [
        ArmDifference(**vars(one) | {"p_holm": float(p), "verdict": _verdict(one.difference, one.se, float(p), level)})
        for one, p in zip(found, adjusted, strict=True)
    ]


def table(comparisons: Sequence[ArmDifference]) -> pd.DataFrame:
    """Differences for figures.intervals: label, mean, low, high (fractions of 1), with p_holm and verdict."""
    names = {
        "arm": "label",
        "difference": "mean",
        "low": "low",
        "high": "high",
        "p_holm": "p_holm",
        "verdict": "verdict",
    }
    return pd.DataFrame([{new: getattr(one, old) for old, new in names.items()} for one in comparisons])


def sentence(one: ArmDifference) -> str:
    """One comparison in words: score, paired difference with its interval in points, and what follows."""
    points = f"{100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}] points"
    return f"{one.arm}: {one.mean:.3f}, {points}: {one.verdict} (Holm p {one.p_holm:.3f}, {one.seeds} seeds)"


@dataclass(frozen=True)
class Additivity:
    """Interaction in fractions of 1 with its (1 - 2 alpha) interval; additive if that lies inside (-margin, margin).

    p_value belongs to "the interaction is at least the margin"; df is infinite where a normal limit was used.
    """

    interaction: float
    low: float
    high: float
    se: float
    df: float
    p_value: float
    margin: float
    additive: bool


def tost(estimate: float, se: float, margin: float, *, df: float = math.inf, alpha: float = 0.05) -> Additivity:
    """Two one-sided tests from an estimate and its standard error (t with df, normal if infinite).

    Raises ValueError for a margin or standard error that is not positive.
    """
    if margin <= 0 or se <= 0:
        raise ValueError(f"margin and standard error must be positive, got {margin} and {se}")
    reference = stats.norm if math.isinf(df) else stats.t(df)
    p_value = float(reference.sf((margin - abs(estimate)) / se))
    half = float(reference.ppf(1 - alpha)) * se
    return Additivity(estimate, estimate - half, estimate + half, se, df, p_value, margin, p_value < alpha)


def interactions(y00: np.ndarray, y10: np.ndarray, y01: np.ndarray, y11: np.ndarray) -> np.ndarray:
    """y11 - y10 - y01 + y00 entry by entry; shape of the inputs, usually seeds x problems. ValueError if shapes differ."""
    cells = [np.asarray(cell, dtype=float) for cell in (y00, y10, y01, y11)]
    if len({cell.shape for cell in cells}) > 1:
        raise ValueError(f"the four cells must have one shape, got {[cell.shape for cell in cells]}")
    if not all(np.isfinite(cell).all() for cell in cells):
        raise ValueError("a score is missing; count it as wrong or leave the seed out of all four cells")
    return cells[3] - cells[2] - cells[1] + cells[0]


def additivity(
    y00: np.ndarray, y10: np.ndarray, y01: np.ndarray, y11: np.ndarray, *, margin: float = 0.02, alpha: float = 0.05
) -> Additivity:
    """Equivalence test of the interaction for trainings with seeds like these on problems like these.

    Args:
        y00, y10, y01, y11: scores in [0, 1], seeds x problems (the same seeds and problems in all four cells), or one
            score per seed, which then speaks about these problems only.
        margin: largest interaction that still counts as none, fraction of 1 (0.02 = two points is our default).

    Returns:
        Additivity; for seeds x problems the error is that of a mean in a two-way layout with both factors random
        (classical analysis of variance) and df = min(seeds, problems) - 1, a cautious choice.

    Raises:
        ValueError: shapes that differ, missing scores, fewer than two seeds or problems, or no spread at all.
    """
    cells = interactions(y00, y10, y01, y11)
    if cells.ndim not in (1, 2) or min(cells.shape) < 2:
        raise ValueError("needs at least two seeds (and two problems): one seed cannot show how seeds differ")
    if cells.ndim == 1:
        se, df = float(cells.std(ddof=1)) / math.sqrt(cells.size), cells.size - 1
    else:
        se, df = two_way_se(cells), min(cells.shape) - 1
    if se < 1e-12:
        raise ValueError("the interaction never varies, so its error cannot be judged; add seeds or problems")
    return tost(float(cells.mean()), se, margin, df=df, alpha=alpha)
