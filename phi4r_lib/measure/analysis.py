"""A whole variance analysis of one table of answers: results, every figure the data allow, and the verdict.

What the data do not allow is left out and named with its reason. Not here: reading logs (adapters), writing files and
pages (cookbook/pages/log_analysis.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phi4r_lib.measure import figures, tables
from phi4r_lib.measure.answer_table import AnswersError, model_result, of_model, run_scores
from phi4r_lib.measure.comparison import Comparison, holm
from phi4r_lib.measure.verdict import verdict
from phi4r_lib.problems.shares import wilson

Pairs = Sequence[tuple[str, str]]
TOPICS = {"year": "year", "topic": "family"}  # figure by the column it is drawn from


@dataclass(frozen=True)
class Analysis:
    """`results` is plain data for JSON; `figures` by file name; `skipped` gives the reason for each figure left out."""

    results: dict[str, Any]
    sentences: list[str]
    figures: dict[str, Figure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def analyse(answers: pd.DataFrame, pairs: Pairs | None = None) -> Analysis:
    """Results, figures and verdict of a table of answers (columns of answers.COLUMNS, checked).

    Args:
        answers: one or more models, one or more runs each.
        pairs: (a, b) to compare; None compares all models, the better one first.

    Raises:
        AnswersError: a pair names a model that is not there or compares it with itself, or one problem only.
    """
    models = tables.models_of(answers)
    if answers["problem"].nunique() < 2:
        raise AnswersError("the log holds a single problem; the analysis needs at least two")
    pairs = all_pairs(answers) if pairs is None else pairs
    for a, b in pairs:
        of_model(answers, a), of_model(answers, b)
        if a == b:
            raise AnswersError(f"{a!r} cannot be compared with itself; name two of {', '.join(models)}")
    if len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise AnswersError("a pair is compared twice (B with A is A with B turned round); name each pair once")
    compared = tables.comparisons(answers, pairs)
    results = {
        "models": {model: _model_entry(answers, model) for model in models},
        "comparisons": _comparison_entries(pairs, compared),
    }
    made, skipped = _figures(answers, pairs, compared)
    return Analysis(results, verdict(answers, pairs) + _not_compared(answers, models, pairs), made, skipped)


def _not_compared(answers: pd.DataFrame, models: Sequence[str], pairs: Pairs) -> list[str]:
    """A sentence where several models share too few problems for any comparison."""
    if len(models) < 2 or pairs:
        return []
    few = max(len(tables.shared_problems(answers, a, b)) for a, b in combinations(models, 2))
    return [
        f"No models are compared: no two of them share more than {few} problem{'s' * (few != 1)}; a pair needs two."
    ]


def all_pairs(answers: pd.DataFrame) -> list[tuple[str, str]]:
    """Every pair of models that share problems, the better one first."""
    order = answers.groupby("model")["correct"].mean().sort_values(ascending=False).index
    pairs = [(str(a), str(b)) for a, b in combinations(order, 2)]
    return [pair for pair in pairs if len(tables.shared_problems(answers, *pair)) > 1]


def _model_entry(answers: pd.DataFrame, model: str) -> dict[str, Any]:
    rows = of_model(answers, model)
    if rows["run"].nunique() > 1:
        return model_result(answers, model)
    tokens = rows["tokens"].astype("Float64").mean()
    return {
        "run_accuracy": run_scores(rows),
        "mean": float(rows["correct"].mean()),
        "se_fixed": None,  # one run shows nothing of its own luck
        "se_population": float(rows["correct"].std(ddof=1) / np.sqrt(len(rows))),
        "interval_fixed": None,
        "interval_population": list(wilson(int(rows["correct"].sum()), len(rows))),
        "mean_tokens": None if pd.isna(tokens) else float(tokens),
        "problems": int(rows["problem"].nunique()),
        "runs": 1,
    }


def _comparison_entries(pairs: Pairs, compared: dict[str, Comparison]) -> list[dict[str, Any]]:
    names = ("difference", "low", "high", "p_value", "probability_better", "better", "worse", "problems", "missing")
    adjusted = holm([comparison.p_value for comparison in compared.values()])
    return [
        {"a": a, "b": b} | {name: getattr(comparison, name) for name in names} | {"p_holm": float(p)}
        for (a, b), comparison, p in zip(pairs, compared.values(), adjusted, strict=True)
    ]


def _figures(answers: pd.DataFrame, pairs: Pairs, compared: dict[str, Comparison]) -> tuple[dict, dict]:
    made: dict[str, Figure] = {}
    skipped: dict[str, str] = {}
    runs = answers.groupby("model", sort=False)["run"].nunique()
    several = answers[answers["model"].isin(runs.index[runs > 1])]
    scores = tables.run_table(answers)
    if several.empty:
        skipped["runs, shares, widths, misranking, power"] = "every model has one run only"
    else:
        _run_figures(made, several, [pair for pair in pairs if all(runs[model] > 1 for model in pair)], compared)
    _group_figures(made, skipped, answers)
    if answers["tokens"].notna().all():
        made["tokens"] = figures.accuracy_tokens(scores)
    else:
        skipped["tokens"] = "the log does not count tokens for every answer"
    _vote_figures(made, skipped, answers)
    if compared:
        made["differences"] = figures.intervals(
            _difference_table(compared), "Differences with 95% intervals over problems"
        )
    return made, skipped


def _group_figures(made: dict[str, Figure], skipped: dict[str, str], answers: pd.DataFrame) -> None:
    """By year, clustered by family where families are known, and by topic, the part of a family's name before a slash."""
    known = {column: column in answers and answers[column].notna().any() for column in ("year", "family")}
    skipped |= {name: f"the log has no column {column}" for name, column in TOPICS.items() if not known[column]}
    if known["year"]:
        title = "Accuracy by year, 95% intervals " + ("clustered by family" if known["family"] else "over problems")
        years = tables.by_group(answers, "year", cluster="family" if known["family"] else None)
        made["year"] = figures.group_accuracy(years, title, "year")
    if known["family"]:
        topics = answers.assign(topic=answers["family"].astype(str).str.split("/").str[0])
        table = tables.by_group(topics, "topic")
        made["topic"] = figures.group_accuracy(table, "Accuracy by topic, 95% intervals over problems", "topic")


def _run_figures(made: dict[str, Figure], answers: pd.DataFrame, pairs: Pairs, compared: dict[str, Comparison]) -> None:
    parts = tables.decompositions(answers)
    made["runs"] = figures.run_distributions(tables.run_table(answers), tables.predicted_runs(answers))
    shares = tables.shares(parts)
    made["shares"] = figures.variance_shares(shares)
    made["errors"] = figures.two_intervals(shares, "The same scores with two errors")
    made["widths"] = figures.width_by_runs(tables.widths(parts))
    if pairs:
        made["misranking"] = figures.misranking(tables.ranking_errors(answers, pairs))
        a, b = pairs[0]
        found = compared[f"{a} - {b}"]
        grid = tables.power_grid(found.data_noise, parts[a].within, parts[b].within)
        made["power"] = figures.power_table(grid, found.problems)


def _vote_figures(made: dict[str, Figure], skipped: dict[str, str], answers: pd.DataFrame) -> None:
    fewest = int(answers.groupby(["model", "problem"]).size().min())
    if fewest < 2:
        skipped["ways, majority"] = "a model has one answer per problem"
        return
    if answers["answer"].isna().all():
        skipped["ways, majority"] = "the log does not keep the answers, so they cannot vote"
        return
    k = min(5, fewest)
    made["ways"] = figures.of_five(tables.ways_to_score(answers, k), k)
    made["majority"] = figures.majority_curve(tables.majority(answers))


def _difference_table(compared: dict[str, Comparison]) -> pd.DataFrame:
    rows = [{"label": pair, "mean": c.difference, "low": c.low, "high": c.high} for pair, c in compared.items()]
    return pd.DataFrame(rows)
