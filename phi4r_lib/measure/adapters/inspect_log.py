"""Inspect (inspect-ai) logs, .eval and .json: every sample of every epoch is one answer, an epoch is a run.

Reads the files directly, without inspect-ai installed; newer .eval files are zip archives packed with zstandard, which
pyarrow unpacks. A retried log carries the finished samples of the first: `counted_once` knows them by the task's id and the
sample's. Checked with inspect-ai 0.3.285. Not here: scores between right and wrong.
"""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from phi4r_lib.measure.adapters.faults import Choice, Log, LogError, pick, sha256, verdict


def is_log(path: Path) -> bool:
    """True if a JSON file starts like an Inspect log (version, status, eval)."""
    with path.open(encoding="utf-8", errors="replace") as text:
        start = text.read(400)
    return '"version"' in start and '"eval"' in start


def read(path: Path, choice: Choice) -> Log:
    """Answers of one log; a problem is TASK/sample id with a hash of its input. A sample that broke off is kept as lost.

    Columns task_id, sample and created tell retried samples apart. Raises LogError for files that are no log, logs without
    samples or scores, an unknown scorer, and scores that are not right or wrong.
    """
    header, samples = _archive(path) if path.suffix == ".eval" else _json(path)
    if not samples:
        status = header.get("status", "unknown")
        raise LogError(f"{path}: holds no samples (status {status}); run `inspect eval` with samples in the log")
    run = header["eval"]
    scorers = [name for sample in samples for name in sample.get("scores") or {}]
    scorer, notes = pick("scorer", choice.scorer, scorers, scorers, path) if scorers else (None, [])
    table = pd.DataFrame([_answer(sample, scorer, path) for sample in samples])
    table["problem"] = str(run.get("task")) + "/" + table["problem"]
    origin = {"task_id": run.get("task_id"), "created": str(run.get("created", ""))}
    return Log(
        table.assign(
            model=str(run.get("model")), seed=(header["eval"].get("model_generate_config") or {}).get("seed"), **origin
        ),
        notes,
    )


def counted_once(answers: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The answers with samples that several logs carry counted once, and how many were left out.

    Equal are samples with one uuid, or of one task id, problem and epoch; a finished one counts before one that broke off,
    then the later log.
    """
    if "task_id" not in answers:
        return answers, 0
    order = answers.assign(finished=answers["grade"] != "lost").sort_values(["finished", "created"], kind="stable")
    for key in (["model", "sample"], ["model", "task_id", "problem", "run"]):
        known = order[key[1]].notna()
        order = order[~(known & order.duplicated(key, keep="last"))]
    return answers.loc[answers.index.isin(order.index)], len(answers) - len(order)


def _answer(sample: dict[str, Any], scorer: str | None, path: Path) -> dict[str, Any]:
    where = f"{path}: sample {sample.get('id')!r}, epoch {sample.get('epoch')}"
    output, limit = sample.get("output") or {}, sample.get("limit") or {}
    usage, choices = output.get("usage") or {}, output.get("choices") or [{}]
    known = {
        "problem": f"{sample['id']}#{sha256(_input(sample))[:8]}",
        "run": int(sample["epoch"]) - 1,
        "sample": sample.get("uuid"),
        "tokens": usage.get("output_tokens"),
        "truncated": choices[0].get("stop_reason") == "max_tokens" or limit.get("type") == "token",
    }
    if sample.get("error"):
        message = sample["error"].get("message") if isinstance(sample["error"], dict) else str(sample["error"])
        return known | {"answer": None, "correct": None, "grade": "lost", "error": message}
    score = (sample.get("scores") or {}).get(scorer)
    if score is None:
        raise LogError(
            f"{where}: has no score{f' of {scorer}' if scorer else ''}; score it first (`inspect score LOG`)"
        )
    right = verdict(score["value"], f"{where}, scorer {scorer}")
    answer = score.get("answer") or None
    found = "failed" if right is None else "right" if right else "none" if answer is None else "wrong"
    return known | {"answer": answer, "correct": right, "grade": found, "error": None}


def _input(sample: dict[str, Any]) -> str:
    """What was asked, without the ids that each run gives its messages."""
    asked = sample.get("input")
    if isinstance(asked, list):
        return json.dumps([[m.get("role"), m.get("content")] if isinstance(m, dict) else m for m in asked])
    return str(asked)


def _json(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        log = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LogError(f"{path}: not a whole JSON log ({error}); was it cut off?") from None
    if not isinstance(log, dict) or not isinstance(log.get("eval"), dict):
        raise LogError(f"{path}: no Inspect log, the field 'eval' is missing")
    return log, log.get("samples") or []


def _archive(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and samples of an archive; of members with one name the last counts, as `inspect` itself reads it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(set(archive.namelist()))
            head = "header.json" if "header.json" in names else "_journal/start.json"
            header = json.loads(_member(archive, head))
            samples = [json.loads(_member(archive, name)) for name in names if name.startswith("samples/")]
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
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
