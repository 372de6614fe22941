"""Recorded answers of other people's models, several a problem: how often their plurality is right, by vote share.

The same question that notebook 01 asks of its own teacher, put to a file, without a model call. Not here: asking a model
(truth.py), the intervals (quality.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from phi4r_lib.curate.quality import Estimate, precision_by_share, proportion, truth_grades
from phi4r_lib.curate.truth import Truth
from phi4r_lib.problems.answers import Grade, grade, plurality
from phi4r_lib.problems.rows import Place, ProblemFileError, read_rows

ANSWERS = ("answers", "pred")  # names of the list of final answers; the second is that of Qwen2.5-Math's evaluation
GOLD = ("gold", "gt", "answer")  # names of the true answer, in this order


@dataclass(frozen=True)
class Recorded:
    """One problem of a file: its gold answer and the final answers of several samples (None: no answer)."""

    id: str
    gold: str
    answers: list[str | None]


@dataclass(frozen=True)
class VoteFigures:
    """What a file of recorded answers shows; every figure with its 95% Wilson interval over problems or answers.

    single: share of all answers that are right (its interval takes answers as independent, which those of one problem
    are not: read it as a lower bound of the doubt). plurality: share of problems whose plurality is right. any: share of
    problems with at least one right answer. kept: precision of the pluralities from `min_share` on, tied ones left out.
    by_share: as quality.precision_by_share.
    """

    single: Estimate
    plurality: Estimate
    any: Estimate
    kept: Estimate | None
    by_share: pd.DataFrame

    def figures(self) -> dict[str, Estimate]:
        """The figures by name, undefined ones left out."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Estimate)}


def load_recorded(path: str | Path) -> list[Recorded]:
    """Rows of a file (see problems.rows) with a gold answer (`gold`, `gt` or `answer`) and a list of answers (`answers` or `pred`).

    Blank answers count as none. Raises ProblemFileError naming file, line and what is missing.
    """
    rows = [_recorded(row, place) for place, row in read_rows(path)]
    if not rows:
        raise ProblemFileError(f"{path}: no rows; need one JSON object a line with a gold answer and a list of answers")
    return rows


def _recorded(row: Mapping[str, Any], where: Place) -> Recorded:
    gold, answers = _first(row, GOLD, where), _first(row, ANSWERS, where)
    if not isinstance(answers, list) or not answers:
        raise ProblemFileError(f"{where}: the answers must be a list with at least one entry")
    said = [None if one is None or not str(one).strip() else str(one) for one in answers]
    return Recorded(str(row.get("id", row.get("idx", where.number))), str(gold), said)


def _first(row: Mapping[str, Any], names: Sequence[str], where: Place) -> Any:
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise ProblemFileError(f"{where}: needs one of the fields {', '.join(names)}; it has {', '.join(row) or 'none'}")


def recorded_truths(rows: Sequence[Recorded], min_share: float, workers: int | None = None) -> list[Truth]:
    """The plurality of every row as a Truth: kind "plurality" from `min_share` of the votes on and without a tie."""
    truths = []
    for row in rows:
        vote = plurality(row.answers, workers=workers)
        kept = vote.answer is not None and not vote.tied and vote.share >= min_share
        reason = f"{vote.votes} of {len(row.answers)} recorded answers agree" + (", tied" if vote.tied else "")
        counts = {"voted": vote.answer, "votes": vote.votes, "share": vote.share, "samples": len(row.answers)}
        kind = "plurality" if kept else "none"
        truths.append(Truth(row.id, vote.answer if kept else None, kind, reason, **counts))
    return truths


def vote_figures(rows: Sequence[Recorded], min_share: float, workers: int | None = None) -> VoteFigures:
    """Precision of the plurality of recorded answers against the gold answers (see VoteFigures)."""
    pairs = [(answer, row.gold) for row in rows for answer in row.answers]
    grades = grade([answer for answer, _ in pairs], [gold for _, gold in pairs], workers=workers)
    verdicts = iter(grades)
    right = [[next(verdicts) is Grade.RIGHT for _ in row.answers] for row in rows]
    table = truth_grades(recorded_truths(rows, min_share, workers), {row.id: row.gold for row in rows}, workers)
    kept = table[table["kept"]]
    return VoteFigures(
        single=proportion(sum(map(sum, right)), len(pairs)),
        plurality=proportion(int(table["right"].sum()), len(rows)),
        any=proportion(sum(map(any, right)), len(rows)),
        kept=proportion(int(kept["right"].sum()), len(kept)) if len(kept) else None,
        by_share=precision_by_share(table["share"], table["right"]),
    )
