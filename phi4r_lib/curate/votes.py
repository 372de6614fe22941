"""Recorded answers of other people's models, several per problem: how often their plurality is right, by vote share.

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
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.rows import Place, ProblemFileError, read_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import judge, vote

ANSWERS = ("answers", "pred")  # names of the list of final answers; the second is that of Qwen2.5-Math's evaluation
GOLD = ("gold", "gt", "answer")  # names of the true answer, in this order


@dataclass(frozen=True)
class Recorded:
    """One problem of a file: its gold answer and the final answers of several samples (None: no answer)."""

    id: str
    gold: str
    answers: list[str | None]

    def problem(self) -> Problem:
        """The problem as far as the file tells it; recorded answers are compared as mathematics."""
        about = {"domain": "recorded", "prompt": self.id, "source": "recorded answers", "licence": "unknown"}
        return Problem(id=self.id, answer=self.gold, **about)


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
        raise ProblemFileError(
            f"{path}: no rows; need one JSON object per line with a gold answer and a list of answers"
        )
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


def recorded_truths(rows: Sequence[Recorded], min_share: float) -> list[Truth]:
    """The plurality of every row as a Truth: kind "plurality" from `min_share` of the votes on and without a tie."""
    truths = []
    for row in rows:
        found = vote(row.problem(), row.answers)
        kept = found.answer is not None and not found.tied and found.share >= min_share
        reason = f"{found.votes} of {len(row.answers)} recorded answers agree" + (", tied" if found.tied else "")
        counts = {"voted": found.answer, "votes": found.votes, "share": found.share, "samples": len(row.answers)}
        kind = "plurality" if kept else "none"
        truths.append(Truth(row.id, found.answer if kept else None, kind, reason, **counts))
    return truths


def vote_figures(rows: Sequence[Recorded], min_share: float) -> VoteFigures:
    """Precision of the plurality of recorded answers against the gold answers (see VoteFigures)."""
    problems = [row.problem() for row in rows]
    pairs = [(problem, answer) for problem, row in zip(problems, rows, strict=True) for answer in row.answers]
    verdicts = iter(judge([problem for problem, _ in pairs], [answer for _, answer in pairs]))
    right = [[next(verdicts).grade is Grade.RIGHT for _ in row.answers] for row in rows]
    table = truth_grades(recorded_truths(rows, min_share), {row.id: row.gold for row in rows}, problems)
    kept = table[table["kept"]]
    return VoteFigures(
        single=proportion(sum(map(sum, right)), len(pairs)),
        plurality=proportion(int(table["right"].sum()), len(rows)),
        any=proportion(sum(map(any, right)), len(rows)),
        kept=proportion(int(kept["right"].sum()), len(kept)) if len(kept) else None,
        by_share=precision_by_share(table["share"], table["right"]),
    )
