"""Inspect (inspect-ai) logs, .eval and .json: every sample of every epoch is one answer, an epoch is a run.

Reads the files directly, without inspect-ai installed; newer .eval files are zip archives packed with zstandard, which
pyarrow unpacks. Checked with inspect-ai 0.3.285. Not here: scores between right and wrong.
"""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from phi4r_lib.measure.adapters.faults import LogError, verdict


def is_log(path: Path) -> bool:
    """True if a JSON file starts like an Inspect log (version, status, eval)."""
    with path.open(encoding="utf-8", errors="replace") as text:
        start = text.read(400)
    return '"version"' in start and '"eval"' in start


def read(path: Path) -> pd.DataFrame:
    """Answers of one log; problems are TASK/sample id. With several scorers the first one counts.

    A sample that broke off has no verdict and is kept as lost.
    Raises LogError for files that are no log, logs without samples or scores, and scores that are not right or wrong.
    """
    header, samples = _archive(path) if path.suffix == ".eval" else _json(path)
    if not samples:
        status = header.get("status", "unknown")
        raise LogError(f"{path}: holds no samples (status {status}); run `inspect eval` with samples in the log")
    task, model = header["eval"]["task"], header["eval"]["model"]
    return pd.DataFrame([_answer(sample, path) for sample in samples]).assign(
        model=model, problem=lambda table: task + "/" + table["problem"], seed=_seed(header)
    )


def _answer(sample: dict[str, Any], path: Path) -> dict[str, Any]:
    where = f"{path}: sample {sample.get('id')!r}, epoch {sample.get('epoch')}"
    output = sample.get("output") or {}
    usage, choices = output.get("usage") or {}, output.get("choices") or [{}]
    known = {
        "problem": str(sample["id"]),
        "run": int(sample["epoch"]) - 1,
        "tokens": usage.get("output_tokens"),
        "truncated": choices[0].get("stop_reason") == "max_tokens",
    }
    if sample.get("error"):
        message = sample["error"].get("message") if isinstance(sample["error"], dict) else str(sample["error"])
        return known | {"answer": None, "correct": None, "grade": "lost", "error": message}
    scores = sample.get("scores") or {}
    if not scores:
        raise LogError(f"{where}: has no score; score the log first (`inspect score LOG`)")
    score = next(iter(scores.values()))
    right = verdict(score["value"], where)
    answer = score.get("answer") or None
    found = "right" if right else "none" if answer is None else "wrong"
    return known | {"answer": answer, "correct": right, "grade": found, "error": None}


def _seed(header: dict[str, Any]) -> int | None:
    return (header["eval"].get("model_generate_config") or {}).get("seed")


def _json(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: not a whole JSON log ({error}); was it cut off?") from None
    if not isinstance(log, dict) or "eval" not in log:
        raise LogError(f"{path}: no Inspect log, the field 'eval' is missing")
    return log, log.get("samples") or []


def _archive(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            head = "header.json" if "header.json" in names else "_journal/start.json"
            header = json.loads(_member(archive, head))
            samples = [json.loads(_member(archive, name)) for name in sorted(names) if name.startswith("samples/")]
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise LogError(
            f"{path}: no readable Inspect log ({error}); convert it with `inspect log convert --to json`"
        ) from None
    return header, samples


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Content of a member; the standard library before 3.14 cannot unpack zstandard members, pyarrow can."""
    info = archive.getinfo(name)
    if info.compress_type != 93:
        return archive.read(name)
    file = archive.fp
    file.seek(info.header_offset)
    name_length, extra_length = struct.unpack("<HH", file.read(30)[26:30])
    file.seek(info.header_offset + 30 + name_length + extra_length)
    return pa.decompress(file.read(info.compress_size), info.file_size, codec="zstd", asbytes=True)
