"""lm-evaluation-harness sample logs: samples_TASK_TIME.jsonl, written by `lm_eval --log_samples --output_path DIR`.

Also the alike files of lmms-eval. A problem is known by its doc_id and the hashes of its document and target, never by a
file name; a task is named where the results file beside the log lists it. Checked with lm-eval 0.4.13 and the layouts
since 0.4.0. Not here: which verdict an answer gets (settle.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from phi4r_lib.measure.adapters.faults import Choice, Log, LogError, pick, setting, sha256, table_rows
from phi4r_lib.measure.adapters.settle import Logged, settle
from phi4r_lib.problems.rows import ProblemFileError, read_rows

MARKS = ("doc_id", "target")
RESPONSES = ("filtered_resps", "resps")
NO_METRIC = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
    "target_hash", "input", "token_counts", "input_media",
}  # fmt: skip


def is_log(path: Path) -> bool:
    """True if the first line of a JSONL file has the fields of a harness sample."""
    try:
        _, row = next(read_rows(path))
    except (ProblemFileError, StopIteration):
        return False
    return all(mark in row for mark in MARKS) and any(name in row for name in RESPONSES)


def read(path: Path, choice: Choice) -> Log:
    """Answers of one samples file, several files of a model become further runs; column `task` where it is known.

    Raises LogError for missing fields, an unknown filter or metric, and metrics that are not 0/1 and cannot be retraced.
    """
    rows = table_rows(path)
    for number, row in enumerate(rows, start=1):
        missing = [mark for mark in MARKS if mark not in row] or (
            [] if any(name in row for name in RESPONSES) else [RESPONSES[0]]
        )
        if missing:
            raise LogError(
                f"{path}:{number}: field {missing[0]!r} is missing; is this a samples file of lm-eval (--log_samples)?"
            )
    filters = [str(row["filter"]) for row in rows if row.get("filter") is not None]
    notes = []
    if 0 < len(filters) < len(rows):
        bare = next(row for row in rows if row.get("filter") is None)
        raise LogError(
            f"{path}: doc_id {bare['doc_id']} names no filter, other rows do; are these two logs in one file?"
        )
    if filters:
        taken, notes = pick("filter", choice.filter, filters, filters, path)
        rows = [row for row in rows if str(row.get("filter")) == taken]
    elif choice.filter is not None:
        raise LogError(f"{path}: names no filter, so --filter {choice.filter} cannot be taken")
    answers, more = settle([_logged(row, path) for row in rows], choice.metric, path)
    model, task = _origin(path)
    return Log(pd.DataFrame(answers).assign(model=model, task=task), notes + more)


def _logged(row: dict[str, Any], path: Path) -> Logged:
    texts, listed = _texts(row)
    listed_names = row["metrics"] if isinstance(row.get("metrics"), list) else row
    named = [name for name in map(str, listed_names) if name not in NO_METRIC]
    metrics = {name: row[name] for name in named if not isinstance(row.get(name), (list, dict, str, type(None)))}
    target = row["target"] if isinstance(row["target"], (str, int, float)) else None
    where = f"{path}: doc_id {row['doc_id']}"
    asked = setting(row.get("arguments") or row.get("prompt_hash"))
    target = None if target is None else str(target)
    return Logged(identity(row), where, texts, target, metrics, listed=listed, asked=asked)


def identity(row: dict[str, Any]) -> str:
    """doc_id and a hash of document and target, as the harness hashes them; the same in logs of every version."""
    document = json.dumps(row.get("doc"), indent=2, ensure_ascii=False)
    hashes = f"{row.get('doc_hash') or sha256(document)}{row.get('target_hash') or sha256(str(row['target']))}"
    return f"{row['doc_id']}#{sha256(hashes)[:8]}"


def _texts(row: dict[str, Any]) -> tuple[list[str | None], bool]:
    """Generated answers of a row, none for a log-likelihood task; and whether the filter left a list of several."""
    raw, kept = _unwrapped(row.get("resps")), _unwrapped(row.get("filtered_resps"))
    if any(_is_likelihood(each) for each in (*raw, *kept)) or (not raw and _is_likelihood(kept)):
        return [], False
    listed = len(kept) > 1
    chosen = kept if listed or len(raw) < 2 else raw  # the filter left one of several: take what it chose from
    return [None if text is None else str(text) for text in chosen or raw], listed


def _unwrapped(responses: Any) -> list[Any]:
    """[[a, b]] and [a, b] as [a, b]; a text as [text]; nothing as []."""
    if responses is None:
        return []
    responses = responses if isinstance(responses, list) else [responses]
    while len(responses) == 1 and isinstance(responses[0], list) and not _is_likelihood(responses[0]):
        responses = responses[0]
    return responses


def _is_likelihood(response: Any) -> bool:
    """True for a log-likelihood and whether it was the greedy choice; logs keep both as texts."""
    if not (isinstance(response, list) and len(response) == 2 and str(response[1]) in ("True", "False")):
        return False
    try:
        float(response[0])
    except (TypeError, ValueError):
        return False
    return True


def _origin(path: Path) -> tuple[str, str | None]:
    """Model and task: from the results file of the same time, else the folder's name, of older layouts the file's."""
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    time = stem.rsplit("_", 1)[-1]
    try:
        results = json.loads((path.parent / f"results_{time}.json").read_text(encoding="utf-8"))
        known = {f"samples_{task}_{time}": task for task in results.get("configs") or results.get("results") or ()}
        return str(results["model_name"]), known.get(stem)
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        folder = path.resolve().parent.name.replace("__", "/")
        return (folder if "samples_" in path.name else stem) or stem, None
