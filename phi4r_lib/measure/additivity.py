"""Do the gains of two domains add up when their data are mixed? A 2 x 2 factorial interaction, tested for equivalence.

Four trainings per seed: neither part of the mixture (y00), only the first (y10), only the second (y01), both (y11). The
interaction I = y11 - y10 - y01 + y00 is 0 if gains add. "Both went up" proves nothing, nor does a test that fails to find
an interaction: gains are called additive only if the interval of I lies inside a margin chosen beforehand (TOST).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from phi4r_lib.measure.trial import two_way_se


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
