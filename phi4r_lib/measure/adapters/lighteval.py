"""lighteval details: details_TASK_TIME.parquet, written by `lighteval ... --save-details`.

The model is the path between `details/` and the folder of the date, the problem the task and document id in each row.
Checked with lighteval 0.13. Not here: which verdict an answer gets (settle.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from phi4r_lib.measure.adapters.faults import Choice, Log, LogError, setting
from phi4r_lib.measure.adapters.settle import Logged, settle

MARKS = ("doc", "metric", "model_response")


def read(path: Path, choice: Choice) -> Log:
    """Answers of one details file. Raises LogError for other columns and for metrics that are not 0/1."""
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
    answers, notes = settle([_logged(row, path) for row in table.to_dict("records")], choice.metric, path)
    return Log(pd.DataFrame(answers).assign(model=_model(path)), notes)


def _logged(row: dict[str, Any], path: Path) -> Logged:
    for mark in MARKS:
        if not isinstance(row[mark], dict):
            raise LogError(f"{path}: column {mark!r} holds {str(row[mark])[:50]!r}, expected an object of lighteval")
    doc, response = row["doc"], row["model_response"]
    for field in ("task_name", "id"):
        if field not in doc:
            raise LogError(f"{path}: field 'doc.{field}' is missing; is this a details file of lighteval 0.11+?")
    task = "|".join(part for part in str(doc["task_name"]).split("|") if not part.isdigit())  # without few-shot counts
    texts = list(_listed(response.get("text")))
    lengths = [len(tokens) for tokens in _listed(response.get("output_tokens"))]
    tokens = lengths if len(lengths) == len(texts) else None
    metrics = {name: value for name, value in row["metric"].items() if value is not None}
    asked = setting(doc["task_name"], doc.get("query"), doc.get("instruction"))
    where = f"{path}: document {doc['id']!r}"
    return Logged(f"{task}/{doc['id']}", where, texts, _gold(doc), metrics, tokens, asked=asked)


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple, np.ndarray)) else []


def _gold(doc: dict[str, Any]) -> str | None:
    """The one gold choice; None where there are several or none."""
    gold, choices = doc.get("gold_index"), _listed(doc.get("choices"))
    golds = [gold] if isinstance(gold, int) else _listed(gold)
    if len(golds) != 1 or not -len(choices) <= golds[0] < len(choices):
        return None
    return str(choices[int(golds[0])]).strip()


def _model(path: Path) -> str:
    folders = path.resolve().parent.parts
    if "details" in folders:
        between = folders[len(folders) - folders[::-1].index("details") : -1]
        return "/".join(between) or path.stem
    return path.stem
