"""Scores: problems x runs, with holes. Every estimator of this package reads its input through `read_scores`.

A row is a problem, an entry is the score of one run in [0, 1] (True and False count as 1 and 0). Two kinds of holes exist
and are kept apart: a row that is shorter than the others had fewer runs (unbalanced, by design), while None or NaN is
an answer that was asked for and has no verdict (lost, or it could not be graded). Not here: any estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Missing = Literal["bound", "wrong", "right"]
Table = Sequence[Any] | np.ndarray


@dataclass(frozen=True)
class Scores:
    """Problems x runs: `values` with NaN where no verdict exists, `planned` is False where no run was made."""

    values: np.ndarray
    planned: np.ndarray

    @property
    def problems(self) -> int:
        return self.values.shape[0]

    @property
    def runs(self) -> np.ndarray:
        """Number of verdicts of each problem."""
        return np.isfinite(self.values).sum(axis=1)

    @property
    def missing(self) -> int:
        """Number of planned answers without a verdict."""
        return int((self.planned & np.isnan(self.values)).sum())

    @property
    def means(self) -> np.ndarray:
        """Mean verdict of each problem; raises ValueError for a problem without any verdict."""
        empty = np.flatnonzero(self.runs == 0)
        if empty.size:
            raise ValueError(
                f"problem {empty[0]} (and {empty.size - 1} more) has no graded answer; "
                'grade it, or count its answers as wrong with missing="wrong"'
            )
        return np.nansum(self.values, axis=1) / self.runs

    @property
    def variances(self) -> np.ndarray:
        """Unbiased variance of one answer of each problem, c(K-c)/(K(K-1)) for 0/1 verdicts; NaN where K < 2."""
        runs, means = self.runs, self.means
        squares = np.nansum((self.values - means[:, None]) ** 2, axis=1)
        return np.divide(squares, runs - 1, out=np.full(self.problems, np.nan), where=runs > 1)

    @property
    def borrowed_variances(self) -> np.ndarray:
        """`variances`, where a problem with one verdict borrows the mean of the others; all NaN if none has two."""
        variances = self.variances
        known = variances[np.isfinite(variances)]
        return np.where(np.isnan(variances), known.mean(), variances) if known.size else variances

    def filled(self, value: float) -> Scores:
        """The same scores with `value` for every planned answer that has no verdict."""
        return Scores(np.where(self.planned & np.isnan(self.values), value, self.values), self.planned)

    def settled(self, missing: Missing) -> Scores:
        """The scores to estimate from: holes left open ("bound"), or counted as "wrong" or "right"."""
        if missing not in ("bound", "wrong", "right"):
            raise ValueError(f'missing must be "bound", "wrong" or "right", not {missing!r}')
        return self if missing == "bound" else self.filled(float(missing == "right"))


def read_scores(correct: Table) -> Scores:
    """Scores from an array, a table or a list of rows (rows may differ in length; a flat list is one run per problem).

    Raises ValueError for no problems, for a problem without a planned run, and for entries outside [0, 1].
    """
    if isinstance(correct, Scores):
        return correct
    rows = [_row(row, index) for index, row in enumerate(_rows(correct))]
    if not rows:
        raise ValueError("no problems: give one row of verdicts per problem")
    width = max(len(row) for row in rows)
    values = np.full((len(rows), width), np.nan)
    planned = np.zeros(values.shape, dtype=bool)
    for index, row in enumerate(rows):
        values[index, : len(row)] = row
        planned[index, : len(row)] = True
    return Scores(values, planned)


def _rows(correct: Any) -> Iterable[Any]:
    if hasattr(correct, "to_numpy"):  # a pandas table
        correct = correct.to_numpy()
    if isinstance(correct, str) or not isinstance(correct, Iterable):
        raise ValueError(f"scores must be rows of verdicts, one row per problem, found {type(correct).__name__}")
    return correct


def _row(row: Any, index: int) -> np.ndarray:
    cells = list(row) if isinstance(row, (list, tuple, np.ndarray)) else [row]
    if not cells:
        raise ValueError(f"problem {index} has no runs; leave it out of every model, or run it")
    try:
        plain = isinstance(row, np.ndarray) and row.dtype.kind in "bif"
        numbers = row.astype(float) if plain else np.array([np.nan if _absent(x) else float(x) for x in cells])
    except (TypeError, ValueError):
        raise ValueError(f"problem {index}: verdicts must be True, False, None or numbers, found {cells[:3]}") from None
    if np.any((numbers < 0) | (numbers > 1)):
        raise ValueError(f"problem {index}: scores must lie in [0, 1], found {numbers[:3]}; scale them first")
    return numbers


def _absent(cell: Any) -> bool:
    return cell is None or type(cell).__name__ == "NAType"
