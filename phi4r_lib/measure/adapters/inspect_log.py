"""Inspect (inspect-ai) logs, .eval and .json: every sample of every epoch is one answer, an epoch is a run.

Reads the files directly, without inspect-ai installed; newer .eval files are zip archives packed with zstandard, which
pyarrow unpacks. A retried log carries the finished samples of the first: `counted_once` knows them by the task's id and the
sample's. Checked with inspect-ai 0.3.285. Not here: scores between right and wrong.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, Field, ValidationError

from phi4r_lib.measure.adapters.faults import Choice, Log, LogError, is_verdict, mended, pick, setting, sha256, verdict

HOW = ("seed", "max_connections", "max_retries", "timeout")  # of a generate config: these do not change what is asked


class _Score(BaseModel):
    value: Any
    answer: Any = None


class _Sample(BaseModel):
    """What is read of a sample; everything else in it is left alone."""

    id: str = Field(coerce_numbers_to_str=True)
    epoch: int = Field(ge=1)
    input: Any = None
    uuid: str | None = None
    output: dict[str, Any] | None = None
    limit: dict[str, Any] | None = None
    error: Any = None
    scores: dict[str, _Score] | None = None


class _Run(BaseModel):
    """What is read of the header's part `eval`."""

    task: str | None = None
    task_id: str | None = None
    created: str = ""
    model: str
    task_args: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    model_generate_config: dict[str, Any] | None = None


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
    run = _checked(_Run, mended(header.get("eval")), f"{path}: eval")
    found = [_checked(_Sample, mended(sample), f"{path}: sample {i}") for i, sample in enumerate(samples, start=1)]
    scorer, notes = _scorer(found, choice, path)
    table = pd.DataFrame([_answer(sample, scorer, path) for sample in found])
    table["problem"] = f"{run.task}/" + table["problem"]
    config = run.model_generate_config or {}
    asked = setting(run.task_args, {name: value for name, value in config.items() if name not in HOW})
    origin = {"task_id": run.task_id, "created": run.created, "asked": asked}
    return Log(
        table.assign(model=run.model, seed=_whole(config.get("seed"), 2**63), **origin),
        notes + _unfinished(header, len(found), path),
    )


def _checked(kind: type[BaseModel], data: Any, where: str) -> Any:
    """`data` as what is read of it; raises LogError naming the first field of another shape."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise LogError(
            f"{where}: {f'field {field!r}: ' if field else ''}{first['msg']}; is this a log of Inspect?"
        ) from None


def _scorer(samples: list[_Sample], choice: Choice, path: Path) -> tuple[str | None, list[str]]:
    """The scorer to take: the first whose every value is right or wrong."""
    found = list(dict.fromkeys(name for sample in samples for name in sample.scores or {}))
    usable = [
        name
        for name in found
        if all(is_verdict(sample.scores[name].value) for sample in samples if name in (sample.scores or {}))
    ]
    return pick("scorer", choice.scorer, found, usable, path) if found else (None, [])


def _unfinished(header: dict[str, Any], read: int, path: Path) -> list[str]:
    """A note on a log whose run was cut off: what it holds may be the easier part."""
    if header.get("status") in (None, "success"):
        return []
    return [f"{path.name}: status {header['status']}, so samples may be missing ({read} are there)"]


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


def _answer(sample: _Sample, scorer: str | None, path: Path) -> dict[str, Any]:
    where = f"{path}: sample {sample.id!r}, epoch {sample.epoch}"
    tokens, stop = _output(sample)
    known = {
        "problem": f"{sample.id}#{sha256(_input(sample.input))[:8]}",
        "run": sample.epoch - 1,
        "sample": sample.uuid,
        "tokens": tokens,
        "truncated": stop == "max_tokens" or (sample.limit or {}).get("type") == "token",
    }
    if sample.error:
        message = sample.error.get("message") if isinstance(sample.error, dict) else str(sample.error)
        return known | {"answer": None, "correct": None, "grade": "lost", "error": message}
    score = (sample.scores or {}).get(scorer)
    if score is None:
        raise LogError(
            f"{where}: has no score{f' of {scorer}' if scorer else ''}; score it first (`inspect score LOG`)"
        )
    right = verdict(score.value, f"{where}, scorer {scorer}")
    answer = str(score.answer) if score.answer else None
    found = "failed" if right is None else "right" if right else "none" if answer is None else "wrong"
    return known | {"answer": answer, "correct": right, "grade": found, "error": None}


def _output(sample: _Sample) -> tuple[int | None, Any]:
    """Completion tokens and reason to stop, None where the log does not say or cannot be believed."""
    output = sample.output or {}
    usage, choices = output.get("usage"), output.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    tokens = usage.get("output_tokens") if isinstance(usage, dict) else None
    return _whole(tokens, 2**53), choice.get("stop_reason") if isinstance(choice, dict) else None


def _whole(value: Any, below: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below else None


def _input(asked: Any) -> str:
    """What was asked, without the ids that each run gives its messages."""
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
    samples = log.get("samples") or []
    if not isinstance(samples, list):
        raise LogError(f"{path}: field 'samples' is no list")
    return log, samples


def _archive(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and samples of an archive; of members with one name the last counts, as `inspect` itself reads it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(set(archive.namelist()))
            head = "header.json" if "header.json" in names else "_journal/start.json"
            header = json.loads(_member(archive, head))
            samples = [json.loads(_member(archive, name)) for name in names if name.startswith("samples/")]
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, ValueError, RecursionError) as error:
        raise LogError(
            f"{path}: no readable Inspect log ({error}); convert it with `inspect log convert --to json`"
        ) from None
    if not isinstance(header, dict):
        raise LogError(f"{path}: no readable Inspect log (its header is no object)")
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
