"""lm-evaluation-harness sample logs: samples_TASK_TIME.jsonl, written by `lm_eval --log_samples --output_path DIR`.

One response a question takes the logged 0/1 metric. Several (`repeats`) have one metric for all of them, so each answer is
graded again here against the logged target. Checked with lm-eval 0.4.13. Not here: log-likelihood tasks with soft scores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from phi4r_lib.measure.adapters.faults import LogError, read_json_lines, verdict
from phi4r_lib.problems.answers import extract_answer, grade

MARKS = ("doc_id", "resps", "target")


def is_log(path: Path) -> bool:
    """True if the first line of a JSONL file has the fields of a harness sample."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        first = next((line for line in lines if line.strip()), "")
    try:
        row = json.loads(first)
    except json.JSONDecodeError:
        return False
    return isinstance(row, dict) and all(mark in row for mark in MARKS)


def read(path: Path) -> pd.DataFrame:
    """Answers of one samples file; problems are TASK/doc_id, several files of a model become further runs.

    With several filters (strict-match, flexible-extract) the first one of the file counts.
    Raises LogError for missing fields, for metrics that are not 0/1, and for repeated questions.
    """
    rows = read_json_lines(path)
    missing = [mark for mark in MARKS if mark not in rows[0]]
    if missing:
        raise LogError(f"{path}: field {missing[0]!r} is missing; is this a samples file of lm-eval (--log_samples)?")
    first = rows[0].get("filter")
    model, task = _model(path), path.stem.removeprefix("samples_").rsplit("_", 1)[0]
    answers = []
    for row in rows:
        if row.get("filter") == first:
            answers += _answers(row, f"{path}: doc_id {row['doc_id']}")
    table = pd.DataFrame(answers).assign(model=model)
    table["problem"] = [f"{task}/{doc}" for doc in table["problem"]]
    return table


def _answers(row: dict[str, Any], where: str) -> list[dict[str, Any]]:
    responses = row.get("filtered_resps") or row["resps"]
    while len(responses) == 1 and isinstance(responses[0], list):
        responses = responses[0]
    texts = [None if text is None else str(text) for text in responses]
    if len(texts) > 1 and isinstance(row["target"], str) and not _soft(responses):
        return _graded(row["doc_id"], texts, row["target"])
    value = row.get(_metric(row, where))
    answer = texts[0] if texts and not _soft(responses) else None
    return [{"problem": row["doc_id"], "run": 0, "answer": answer or None, "correct": verdict(value, where)}]


def _graded(doc: Any, texts: list[str | None], target: str) -> list[dict[str, Any]]:
    answers = [(extract_answer(text) or (text or "").strip()) or None for text in texts]
    grades = grade(answers, [target] * len(answers))
    named = ["none" if answer is None else outcome.value for answer, outcome in zip(answers, grades, strict=True)]
    return [
        {"problem": doc, "run": run, "answer": answer, "correct": outcome == "right", "grade": outcome}
        for run, (answer, outcome) in enumerate(zip(answers, named, strict=True))
    ]


def _soft(responses: list[Any]) -> bool:
    """True for log-likelihood rows, whose responses are pairs of numbers and not texts."""
    return bool(responses) and not isinstance(responses[0], str)


def _metric(row: dict[str, Any], where: str) -> str:
    named = [name for name in row.get("metrics", []) if name in row]
    if not named:
        raise LogError(f"{where}: no metric is logged; run lm_eval with a metric such as exact_match or acc")
    return next((name for name in ("exact_match", "acc", "math_verify") if name in named), named[0])


def _model(path: Path) -> str:
    time = path.stem.rsplit("_", 1)[-1]
    results = path.parent / f"results_{time}.json"
    if results.is_file():
        try:
            return str(json.loads(results.read_text(encoding="utf-8"))["model_name"])
        except (json.JSONDecodeError, KeyError):
            pass
    return path.parent.name.replace("__", "/") or path.stem
