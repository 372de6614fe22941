"""A published table of means and spreads over runs, read again: what it establishes and what it cannot.

Not here: the formulas (variance.reread, power.p_misrank_summary); this turns them into tables for a whole file.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from phi4r_lib.measure.answer_table import AnswersError
from phi4r_lib.measure.power import p_misrank_summary
from phi4r_lib.measure.variance import reread

COLUMNS = ("model", "mean", "run_sd", "runs", "problems")


def load_published(path: str | Path) -> pd.DataFrame:
    """Rows of a published table as fractions of 1 (the file holds percent); raises AnswersError for missing columns."""
    table = pd.read_csv(path)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise AnswersError(f"{path}: column {missing[0]!r} is missing; a published table has {', '.join(COLUMNS)}")
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
    z = norm.ppf(0.975) + norm.ppf(power)
    between = max(a["between"], 0.0) + max(b["between"], 0.0)
    return int(np.ceil(z**2 * between / (a["mean"] - b["mean"]) ** 2))
