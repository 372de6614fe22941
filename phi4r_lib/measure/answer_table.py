"""A table of answers, one row per problem and run: how it is checked, and turned into arrays and figures of one model.

Not here: getting answers (evaluate.py, adapters), small tables for figures (tables.py), the estimators (variance.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from phi4r_lib.measure.variance import decompose
from phi4r_lib.problems.rows import OneLineError

COLUMNS = ("model", "problem", "run", "answer", "correct", "grade", "tokens", "truncated", "error", "seed")
GROUPS = ("family", "year", "steps")  # problem.meta entries that become columns
GRADES = ("right", "wrong", "none", "failed", "lost")
NO_VERDICT = ("lost", "failed")  # no answer came back; an answer came back but could not be graded


class AnswersError(OneLineError):
    """A table of answers that cannot be analysed; the message says which model or column and what to do."""


def check_answers(answers: pd.DataFrame, source: str) -> pd.DataFrame:
    """The table with all COLUMNS, missing ones filled with what is known; raises AnswersError naming `source`.

    Needs model, problem, run and correct; `correct` may be missing for single rows, which then have no verdict.
    """
    needed = [column for column in ("model", "problem", "run", "correct") if column not in answers]
    if needed:
        raise AnswersError(f"{source}: column {needed[0]!r} is missing; found {', '.join(map(str, answers.columns))}")
    if answers.empty:
        raise AnswersError(f"{source}: holds no answers")
    table = answers.copy()
    for column in ("answer", "tokens", "truncated", "error", "seed"):
        if column not in table:
            table[column] = None
    for column, kind in {"tokens": "Float64", "truncated": "boolean", "seed": "Int64"}.items():
        table[column] = table[column].astype(kind)
    if "grade" not in table:
        table["grade"] = _grades(table)
    table["correct"] = table["correct"].astype("boolean").fillna(False).astype(bool)
    repeated = table.duplicated(["model", "problem", "run"])
    if repeated.any():
        row = table[repeated].iloc[0]
        raise AnswersError(
            f"{source}: model {row['model']!r}, problem {row['problem']!r}, run {row['run']} appears more than once; "
            "number the runs, or give each model its own name"
        )
    return table[[*COLUMNS, *(column for column in GROUPS if column in table)]]


def _grades(table: pd.DataFrame) -> pd.Series:
    verdict = table["correct"].astype("boolean")
    return verdict.map({True: "right", False: "wrong"}).astype(object).where(verdict.notna(), "failed")


def verdicts(answers: pd.DataFrame, model: str | None = None) -> Any:
    """Verdicts of one model, one row per problem (sorted), one entry per run: 1 right, 0 wrong, NaN without verdict.

    A problems x runs array, or a list of rows where problems had different numbers of runs; every estimator takes both. NaN
    means that the answer was lost or could not be graded; a text without an answer is a wrong answer.
    Raises AnswersError when the model is absent, or when several models are present and none is named.
    """
    rows = of_model(answers, model).sort_values(["problem", "run"])
    verdict = rows["correct"].astype(float).where(~rows["grade"].isin(NO_VERDICT))
    by_problem = [part.to_numpy() for _, part in verdict.groupby(rows["problem"].to_numpy())]
    balanced = len({len(part) for part in by_problem}) == 1
    return np.stack(by_problem) if balanced else by_problem


def of_model(answers: pd.DataFrame, model: str | None = None) -> pd.DataFrame:
    """The rows of one model; with one model in the table its name may be left out."""
    present = list(answers["model"].unique())
    if model is None and len(present) > 1:
        raise AnswersError(f"the table holds several models ({', '.join(map(str, present))}); name one")
    if model is not None and model not in present:
        raise AnswersError(f"no answers of model {model!r}; the table holds {', '.join(map(str, present))}")
    return answers if model is None else answers[answers["model"] == model]


def model_result(answers: pd.DataFrame, model: str) -> dict[str, Any]:
    """One entry of `models` in results.json, fractions of 1: accuracy per run, mean, standard errors, 95% intervals, tokens.

    Answers without a verdict count as wrong in `mean` and `run_accuracy`, and are counted apart: `lost` did not come back,
    `could_not_grade` came back and no verifier could judge them, `without_verdict` is their sum, and `best_case` is the mean
    if all of them were right. `unanswered` and `truncated` are shares of all answers.
    """
    rows = of_model(answers, model)
    parts = decompose(verdicts(answers, model), missing="wrong")
    return {
        "run_accuracy": run_scores(rows),
        "mean": parts.mean,
        "se_fixed": parts.se_fixed,
        "se_population": parts.se_population,
        "interval_fixed": list(parts.interval("these problems")),
        "interval_population": list(parts.interval("problems like these")),
        "mean_tokens": _mean(rows["tokens"]),
        "within": parts.within,
        "between": parts.between,
        "problems": parts.problems,
        "runs": parts.runs,
        "without_verdict": parts.missing,
        "lost": int((rows["grade"] == "lost").sum()),
        "could_not_grade": int((rows["grade"] == "failed").sum()),
        "best_case": parts.best,
        "unanswered": float((rows["grade"] == "none").mean()),
        "truncated": _mean(rows["truncated"]),
        "seeded": bool(rows["seed"].notna().all()),
    }


def run_scores(rows: pd.DataFrame) -> list[float]:
    """Accuracy of every run of one model that answered all its problems, in order of the run number."""
    by_run = rows.groupby("run")["correct"].agg(["mean", "size"])
    return by_run.loc[by_run["size"] == rows["problem"].nunique(), "mean"].astype(float).tolist()


def _mean(column: pd.Series) -> float | None:
    value = column.astype("Float64").mean()
    return None if pd.isna(value) else float(value)
