"""lighteval details: details_TASK_TIME.parquet, written by `lighteval ... --save-details`.

One response a question takes the logged 0/1 metric; several (`num_samples`) have one metric for all of them, so each answer
is graded again here against the gold choice. Checked with lighteval 0.13. Not here: log-likelihood tasks with soft scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from phi4r_lib.measure.adapters.faults import LogError, verdict
from phi4r_lib.problems.answers import extract_answer, grade

MARKS = ("doc", "metric", "model_response")


def read(path: Path) -> pd.DataFrame:
    """Answers of one details file; problems are TASK/document id, the model is named by the folder above the date.

    With several metrics the first one counts. Raises LogError for other columns and for metrics that are not 0/1.
    """
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())})") from None
    missing = [mark for mark in MARKS if mark not in table]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise LogError(
            f"{path}: column {missing[0]!r} is missing, found {found}; is this a details file of lighteval 0.11+?"
        )
    if table.empty:
        raise LogError(f"{path}: holds no rows")
    answers = [answer for row in table.to_dict("records") for answer in _answers(row, path)]
    return pd.DataFrame(answers).assign(model=_model(path))


def _answers(row: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    doc, response = row["doc"], row["model_response"]
    where = f"{path}: document {doc['id']!r}"
    problem = f"{str(doc['task_name']).split('|')[0]}/{doc['id']}"
    texts, lengths = list(response["text"]), [len(tokens) for tokens in response["output_tokens"]]
    if not row["metric"]:
        raise LogError(f"{where}: no metric is logged")
    common = [{"problem": problem, "run": run, "tokens": length} for run, length in enumerate(lengths)]
    if len(texts) == 1:
        name, value = next(iter(row["metric"].items()))
        return [common[0] | {"answer": texts[0].strip() or None, "correct": verdict(value, f"{where}, metric {name}")}]
    if not texts:
        raise LogError(f"{where}: no text was generated; log-likelihood tasks cannot be used")
    gold = doc["choices"][doc["gold_index"] if isinstance(doc["gold_index"], int) else doc["gold_index"][0]]
    found = [(extract_answer(text) or text.strip()) or None for text in texts]
    grades = grade(found, [str(gold).strip()] * len(found))
    return [
        known | {"answer": answer, "correct": outcome.value == "right"}
        for known, answer, outcome in zip(common, found, grades, strict=True)
    ]


def _model(path: Path) -> str:
    folder = path.parent.parent
    return folder.name if folder.parent.name == "details" else path.stem
