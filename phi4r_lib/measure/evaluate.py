"""Many independent runs over a benchmark in one batched call, every answer kept.

All runs go to the engine together (the prompts are shared, `settings.n` is the number of runs), through the sample
store, so a killed evaluation continues where it stopped. Not here: what is read from the answers (answer_table.py, tables.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from phi4r_lib.measure.answer_table import COLUMNS, GROUPS
from phi4r_lib.models.engine import Engine, Progress, SamplingSettings
from phi4r_lib.models.store import sample_to_store
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers, verify


def evaluate(
    engine: Engine,
    problems: Sequence[Problem],
    runs: int,
    settings: SamplingSettings,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    model: str | None = None,
    verifiers: Verifiers | None = None,
) -> pd.DataFrame:
    """Answers of `runs` independent runs over the problems: one row per problem and run, sorted by both.

    All runs are sampled in one call; samples already in `folder` (written by an earlier or killed call with the same
    model, prompts and settings) are not sampled again, and asking for more runs later only adds the missing ones.

    Args:
        engine: anything that answers prompts (see models.engine).
        problems: benchmark items with a gold answer.
        runs: how many independent answers each problem gets; overrides `settings.n`.
        settings: how to sample; an engine that can seed draws run i of a problem from (settings.seed, prompt, i).
        folder: where the sample shards live.
        model: the name in the `model` column; the engine's name when None.
        verifiers: who judges which problem, as in `problems.verify.verify`, with its policy for truncated texts.

    Returns:
        Columns `COLUMNS` plus family (else the domain), year (else 1) and, where known, steps. `grade` is right, wrong, none (a text without
        a final answer, truncated ones included: wrong), failed (could not be graded) or lost (no text came back, `error` says why); `correct` is True
        for right only. `tokens` counts completion tokens. `seed` is missing where the engine cannot seed.

    Raises:
        ValueError: without problems, with fewer than one run, or with a problem that has no gold answer.
    """
    _check_problems(problems, runs)
    prompts = [(problem.id, problem.prompt) for problem in problems]
    samples = sample_to_store(engine, prompts, settings.model_copy(update={"n": runs}), folder, progress)
    table = _table(problems, samples, model or engine.name, settings.seed)
    return _graded(table, {problem.id: problem for problem in problems}, verifiers)


def _check_problems(problems: Sequence[Problem], runs: int) -> None:
    if runs < 1:
        raise ValueError(f"runs must be at least 1, found {runs}")
    if not problems:
        raise ValueError("no problems to evaluate on; give a benchmark file with at least one")
    without = [p.id for p in problems if p.answer is None]
    if without:
        raise ValueError(
            f"{len(without)} problems have no gold answer (first: {without[0]}); evaluation needs one each"
        )


def _table(problems: Sequence[Problem], samples: pd.DataFrame, model: str, seed: int | None) -> pd.DataFrame:
    table = samples.rename(columns={"key": "problem", "index": "run"}).assign(model=model)
    table["seed"] = pd.Series(seed, index=table.index, dtype="Int64").where(table["seeded"].astype(bool))
    for group, otherwise in zip(GROUPS, (None, 1, None), strict=True):
        known = {p.id: p.meta.get(group, p.domain if group == "family" else otherwise) for p in problems}
        if any(value is not None for value in known.values()):
            table[group] = table["problem"].map(known)
    return table


def _graded(table: pd.DataFrame, problems: dict[str, Problem], verifiers: Verifiers | None) -> pd.DataFrame:
    errors = table["error"].astype(object).where(table["error"].notna(), None).tolist()
    asked, cut = [problems[name] for name in table["problem"]], table["truncated"].tolist()
    verdicts = verify(asked, table["text"].tolist(), verifiers, truncated=cut, errors=errors)
    table["answer"] = [verdict.answer for verdict in verdicts]
    unanswered = [verdict.grade is Grade.WRONG and verdict.answer is None for verdict in verdicts]
    grades = np.where(unanswered, "none", [verdict.grade.value for verdict in verdicts])
    table["grade"] = np.where(table["error"].notna(), "lost", grades)
    table["correct"] = table["grade"] == Grade.RIGHT.value
    return table[[*COLUMNS, *(column for column in GROUPS if column in table)]]
