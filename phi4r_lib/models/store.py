"""Samples on disk in Parquet shards, so that a killed run continues and repeats nothing.

Every row is keyed by (model, prompt, settings, index). A shard is written to a temporary file and renamed when it is
complete; what was being sampled when the process died is sampled again, with the same seeds. Not here: engines.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phi4r_lib.models.engine import (
    Engine,
    EngineError,
    Progress,
    Prompt,
    Sample,
    SamplingSettings,
    as_messages,
)
from phi4r_lib.problems.fingerprint import fingerprint

SHARD_SAMPLES = 2048  # samples a shard; ours: a few seconds of a tiny model, a few minutes of a large one
SCHEMA = pa.schema(
    [
        ("key", pa.string()),  # the caller's name for the prompt (a problem id)
        ("model", pa.string()),  # Engine.name
        ("prompt_hash", pa.string()),
        ("settings_hash", pa.string()),
        ("index", pa.int32()),  # number of the sample for its prompt
        ("text", pa.string()),
        ("tokens", pa.int32()),  # completion tokens, end-of-turn included
        ("truncated", pa.bool_()),
        ("seconds", pa.float64()),
        ("error", pa.string()),  # reason when there is no answer, else null
        ("settings", pa.string()),  # JSON: temperature, top_p, top_k, max_tokens, seed
        ("seeded", pa.bool_()),  # False: no seed was given, or the engine cannot promise to follow it
        ("sampled_at", pa.string()),  # UTC
    ]
)
KEY = ["model", "prompt_hash", "settings_hash", "index"]


def prompt_hash(prompt: Prompt) -> str:
    """The hash a prompt is stored under; a plain string and the same text as one user message are one prompt."""
    return fingerprint(as_messages(prompt))


def settings_hash(settings: SamplingSettings) -> str:
    """The hash of everything that changes what one sample looks like, so without n and first."""
    return fingerprint(settings.model_dump(exclude={"n", "first"}))


def sample_to_store(
    engine: Engine,
    prompts: Iterable[tuple[str, Prompt]],
    settings: SamplingSettings,
    folder: str | os.PathLike[str],
    progress: Progress | None = None,
    *,
    shard_samples: int = SHARD_SAMPLES,
    retry_faults: bool = True,
) -> pd.DataFrame:
    """Samples first..first+n-1 of every (key, prompt), sampling only those that `folder` does not hold yet.

    Returns the rows of SCHEMA in the order of the prompts, then by index; two keys with the same prompt share its
    samples. Rows with an error are sampled again, they alone, unless `retry_faults` is False. `progress` counts
    samples, stored ones included. Raises EngineError when another process writes to the folder, ValueError for
    repeated keys; an EngineError of the engine passes through and finished shards stay.
    """
    prompts = list(prompts)
    _check_keys(prompts)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _only_writer(folder):
        stored = read_samples(folder)
        missing = _missing(engine, prompts, settings, stored, retry_faults)
        every = len(prompts) * settings.n
        done = every - sum(len(indices) for _, _, indices in missing)
        if progress:
            progress(done, every)
        for batch in _batches(missing, sys.maxsize if hasattr(engine, "stream") else shard_samples):
            answers = _answers(engine, batch, settings, _shifted(progress, done, every))
            for rows in _shards(answers, batch, _constants(engine, settings), shard_samples):
                _write_shard(folder, rows)
                done += len(rows)
                if progress:
                    progress(done, every)
    return _select(read_samples(folder), engine.name, prompts, settings)


def read_samples(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """All rows of a folder's shards, one per (model, prompt, settings, index): an answer wins over a fault, later over
    earlier. An empty folder gives an empty frame. Raises EngineError naming a shard that cannot be read."""
    tables = []
    for path in sorted(Path(folder).glob("samples-*.parquet")):
        try:
            tables.append(pq.read_table(path, schema=SCHEMA))
        except (pa.ArrowException, OSError) as error:
            raise EngineError(f"{path} cannot be read ({error}); delete it and run again to sample it anew") from None
    rows = pa.concat_tables(tables or [SCHEMA.empty_table()]).to_pandas()
    rows["error"] = rows["error"].astype(object).where(rows["error"].notna(), None)
    rows = rows.assign(_answered=rows["error"].isna()).sort_values("_answered", kind="stable")
    return rows.drop_duplicates(KEY, keep="last").sort_index().drop(columns="_answered").reset_index(drop=True)


def samples_of(row_group: pd.DataFrame) -> list[Sample]:
    """The rows of one prompt as Sample objects, by index."""
    return [Sample(**{name: row[name] for name in Sample.model_fields}) for row in row_group.to_dict("records")]


def _check_keys(prompts: Sequence[tuple[str, Prompt]]) -> None:
    seen: set[str] = set()
    for key, _ in prompts:
        if key in seen:
            raise ValueError(f"key {key!r} names two prompts; give every prompt its own key")
        seen.add(key)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the process dies
        except BlockingIOError:
            raise EngineError(f"another process is sampling into {folder}; wait for it or use another folder") from None
        yield


def _missing(
    engine: Engine, prompts, settings: SamplingSettings, stored: pd.DataFrame, retry_faults: bool
) -> list[tuple[str, Prompt, list[int]]]:
    """(key, prompt, missing sample numbers) for the prompts that miss some, each prompt text once."""
    mine = stored[(stored["model"] == engine.name) & (stored["settings_hash"] == settings_hash(settings))]
    if retry_faults:
        mine = mine[mine["error"].isna()]
    held = mine.groupby("prompt_hash")["index"].agg(set).to_dict()
    wanted = range(settings.first, settings.first + settings.n)
    missing, seen = [], set()
    for key, prompt in prompts:
        digest = prompt_hash(prompt)
        indices = [index for index in wanted if index not in held.get(digest, ())]
        if indices and digest not in seen:
            missing.append((key, prompt, indices))
        seen.add(digest)
    return missing


def _batches(missing, shard_samples: int) -> Iterator[list[tuple[str, Prompt, int, int]]]:
    """Lists of (key, prompt, first, n), of about `shard_samples` samples each; a prompt with many samples is split."""
    batch, size = [], 0
    for key, prompt, indices in missing:
        for first, n in _runs(indices, shard_samples):
            batch.append((key, prompt, first, n))
            size += n
            if size >= shard_samples:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _runs(indices: Sequence[int], longest: int) -> Iterator[tuple[int, int]]:
    """Consecutive numbers as (first, count), none longer than `longest`."""
    start = 0
    for place in range(1, len(indices) + 1):
        broken = place == len(indices) or indices[place] != indices[place - 1] + 1
        if broken or place - start == longest:
            yield indices[start], place - start
            start = place


def _answers(engine: Engine, batch, settings: SamplingSettings, progress: Progress | None) -> Iterator:
    """(place in the batch, samples); prompts that miss the same numbers go to the engine in one call."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, (_, _, first, n) in enumerate(batch):
        groups.setdefault((first, n), []).append(place)
    done = 0
    for (first, n), places in groups.items():
        part = settings.model_copy(update={"first": first, "n": n})
        prompts = [batch[place][1] for place in places]
        if hasattr(engine, "stream"):
            yield from ((places[number], samples) for number, samples in engine.stream(prompts, part))
        else:
            yield from zip(places, engine.sample(prompts, part, _shifted(progress, done, None)), strict=True)
            done += n * len(places)


def _shards(answers: Iterator, batch, constants: dict, shard_samples: int) -> Iterator[list[dict]]:
    """Rows of one shard after the other; what has arrived is handed out too when the engine stops with an error."""
    rows: list[dict] = []
    try:
        for place, samples in answers:
            key, prompt = batch[place][:2]
            rows += [{"key": key, "prompt_hash": prompt_hash(prompt), **s.model_dump(), **constants} for s in samples]
            if len(rows) >= shard_samples:
                yield rows
                rows = []
    except EngineError:
        if rows:
            yield rows
        raise
    if rows:
        yield rows


def _constants(engine: Engine, settings: SamplingSettings) -> dict:
    return {
        "model": engine.name,
        "settings_hash": settings_hash(settings),
        "settings": settings.model_dump_json(exclude={"n", "first"}),
        "seeded": bool(engine.seedable and settings.seed is not None),
        "sampled_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _shifted(progress: Progress | None, before: int, every: int | None) -> Progress | None:
    return None if progress is None else (lambda done, total: progress(before + done, every or total))


def _write_shard(folder: Path, rows: list[dict]) -> Path:
    """The rows as the next shard; complete on disk before it gets its name."""
    numbers = [int(path.stem.split("-")[1]) for path in folder.glob("samples-*.parquet")]
    path = folder / f"samples-{max(numbers, default=-1) + 1:05d}.parquet"
    partial = folder / f".{path.name}.partial"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), partial)
    with partial.open("rb") as handle:
        os.fsync(handle.fileno())
    partial.replace(path)
    return path


def _select(stored: pd.DataFrame, model: str, prompts, settings: SamplingSettings) -> pd.DataFrame:
    wanted = range(settings.first, settings.first + settings.n)
    mine = stored[
        (stored["model"] == model) & (stored["settings_hash"] == settings_hash(settings)) & stored["index"].isin(wanted)
    ]
    order = pd.DataFrame({"key": [key for key, _ in prompts], "prompt_hash": [prompt_hash(p) for _, p in prompts]})
    order["place"] = range(len(order))
    rows = order.merge(mine.drop(columns="key"), on="prompt_hash").sort_values(["place", "index"], kind="stable")
    return rows[SCHEMA.names].reset_index(drop=True)
