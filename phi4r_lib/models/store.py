"""Samples on disk in Parquet shards, so that a killed run continues and repeats nothing.

Every row is keyed by (model, prompt, settings, index). A shard is written to a temporary file and renamed when it is
complete; what was being sampled when the process died is sampled again, with the same seeds. An open store holds the
keys in memory (index.py) and reads texts only from the shards that a call asks for. Not here: engines.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phi4r_lib.models.engine import Engine, EngineError, Progress, Prompt, Sample, SamplingSettings, as_messages
from phi4r_lib.models.index import KeyIndex, numbers_of
from phi4r_lib.problems.fingerprint import fingerprint
from phi4r_lib.problems.rows import write_table

SHARD_SAMPLES = 2048  # samples per shard; ours: a few seconds of a tiny model, a few minutes of a large one
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
    with Store(folder, shard_samples=shard_samples) as store:
        return _frame(store.draw(engine, list(prompts), settings, progress, retry_faults=retry_faults))


def read_samples(folder: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of a folder's shards, one per (model, prompt, settings, index): an answer wins over a fault, later over
    earlier; all columns, or those named. An empty folder gives an empty frame. Raises EngineError as `Store` does."""
    with Store(folder, write=False) as store:
        return _frame(store.rows(store.index.everything(), columns))


class Store:
    """The samples of one folder, open to draw and to read; a context manager.

    With `write` it is the folder's only writer until it is closed: a second one raises EngineError. Opening reads the
    key columns of every shard once; a shard that cannot be read raises EngineError with its name.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, write: bool = True, shard_samples: int = SHARD_SAMPLES
    ) -> None:
        self.folder, self.shard_samples = Path(folder), shard_samples
        self._lock = _only_writer(self.folder) if write else None
        self.paths = {int(path.stem.split("-")[1]): path for path in sorted(self.folder.glob("samples-*.parquet"))}
        self.index = KeyIndex()
        for number, path in self.paths.items():
            self._add(number, self.read(path, [*KEY, "error"]))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock:
            self._lock.close()  # which lets go of it

    def _add(self, number: int, keys: pa.Table) -> None:
        faults = np.asarray(keys["error"].is_valid())
        hashes = numbers_of(keys["prompt_hash"].to_pylist())
        groups = list(zip(keys["model"].to_pylist(), keys["settings_hash"].to_pylist(), strict=True))
        self.index.add(number, groups, hashes, np.asarray(keys["index"]), faults)

    @staticmethod
    def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
        """One shard, or some of its columns."""
        try:
            names = list(columns or SCHEMA.names)
            return pq.read_table(path, columns=names, partitioning=None).cast(_schema(names))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise EngineError(f"{path} cannot be read ({error}); delete it and run again to sample it anew") from None

    def draw(
        self,
        engine: Engine,
        prompts: Sequence[tuple[str, Prompt]],
        settings: SamplingSettings,
        progress: Progress | None = None,
        *,
        retry_faults: bool = True,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """As `sample_to_store`, as an Arrow table; `columns` names those that are wanted beside `key`."""
        _check_keys(prompts)
        digests = [prompt_hash(prompt) for _, prompt in prompts]
        group, wanted = (engine.name, settings_hash(settings)), range(settings.first, settings.first + settings.n)
        held = self.index.held(group, numbers_of(digests), wanted, faults=not retry_faults)
        missing, seen = [], set()
        for (key, prompt), digest, has in zip(prompts, digests, held, strict=True):
            lacks = [index for index, there in zip(wanted, has, strict=True) if not there]
            if lacks and digest not in seen:
                missing.append((key, digest, prompt, lacks))
            seen.add(digest)
        every = len(prompts) * settings.n
        self._fill(engine, missing, settings, every - sum(len(lacks) for *_, lacks in missing), every, progress)
        place, found = self.index.find(group, numbers_of(digests), wanted)
        rows = self.rows(found, columns)
        keys = pa.array([prompts[one][0] for one in place.tolist()], pa.string())
        return rows.set_column(0, "key", keys) if "key" in rows.column_names else rows.append_column("key", keys)

    def _fill(self, engine, missing, settings, done: int, every: int, progress: Progress | None) -> None:
        """Samples what is missing, shard by shard."""
        if progress:
            progress(done, every)
        for batch in _batches(missing, sys.maxsize if hasattr(engine, "stream") else self.shard_samples):
            answers = _answers(engine, batch, settings, _shifted(progress, done, every))
            for rows in _shards(answers, batch, self.shard_samples):
                self._write(rows, _constants(engine, settings))
                done += len(rows)
                if progress:
                    progress(done, every)

    def _write(self, rows: list[tuple[str, str, Sample]], constants: dict[str, Any]) -> None:
        """(key, prompt hash, sample) rows as the next shard; complete on disk before it gets its name."""
        columns: dict[str, Any] = {"key": [key for key, *_ in rows], "prompt_hash": [digest for _, digest, _ in rows]}
        columns |= {name: [getattr(sample, name) for *_, sample in rows] for name in Sample.model_fields}
        columns |= {name: [value] * len(rows) for name, value in constants.items()}
        table = pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)
        number = max(self.paths, default=-1) + 1
        self.paths[number] = write_table(self.folder / f"samples-{number:05d}.parquet", table)
        self._add(number, table)

    def rows(self, found: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows that entries of the index stand for, in their order; every shard among them is opened once."""
        shards = np.unique(found["shard"])
        order, parts, before = np.empty(len(found), np.int64), [], 0
        for number in shards.tolist():
            mine = np.flatnonzero(found["shard"] == number)
            parts.append(self.read(self.paths[number], columns).take(found["row"][mine]))
            order[mine] = np.arange(before, before + len(mine))
            before += len(mine)
        empty = _schema(columns or SCHEMA.names).empty_table()
        return pa.concat_tables(parts or [empty]).take(order)


def samples_of(table: pa.Table) -> list[Sample]:
    """The rows of a table that has the columns of a Sample, as Sample objects."""
    names = tuple(Sample.model_fields)
    columns = [table[name].to_pylist() for name in names]
    return [Sample(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


def _schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([SCHEMA.field(name) for name in names])


def _frame(table: pa.Table) -> pd.DataFrame:
    """The table in pandas, with None where there is no error."""
    rows = table.to_pandas()
    return (
        rows.assign(error=rows["error"].astype(object).where(rows["error"].notna(), None)) if "error" in rows else rows
    )


def _check_keys(prompts: Sequence[tuple[str, Prompt]]) -> None:
    seen: set[str] = set()
    for key, _ in prompts:
        if key in seen:
            raise ValueError(f"key {key!r} names two prompts; give every prompt its own key")
        seen.add(key)


def _only_writer(folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the process dies
    except BlockingIOError:
        lock.close()
        raise EngineError(f"another process is sampling into {folder}; wait for it or use another folder") from None
    except OSError:  # a disk that knows no locks (the run says so): whose a hidden file is cannot be told either
        return lock
    for left in folder.glob(".samples-*.partial"):
        left.unlink(missing_ok=True)  # of a killed writer
    return lock


def _batches(missing, shard_samples: int) -> Iterator[list[tuple[str, str, Prompt, int, int]]]:
    """Lists of (key, prompt hash, prompt, first, n), of about `shard_samples` samples each; a prompt with many samples is split."""
    batch, size = [], 0
    for key, digest, prompt, indices in missing:
        for first, n in _runs(indices, shard_samples):
            batch.append((key, digest, prompt, first, n))
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
    for place, (*_, first, n) in enumerate(batch):
        groups.setdefault((first, n), []).append(place)
    done = 0
    for (first, n), places in groups.items():
        part = settings.model_copy(update={"first": first, "n": n})
        prompts = [batch[place][2] for place in places]
        if hasattr(engine, "stream"):
            yield from ((places[number], samples) for number, samples in engine.stream(prompts, part))
        else:
            yield from zip(places, engine.sample(prompts, part, _shifted(progress, done, None)), strict=True)
            done += n * len(places)


def _shards(answers: Iterator, batch, shard_samples: int) -> Iterator[list[tuple[str, str, Sample]]]:
    """Rows of one shard after the other; what has arrived is handed out too when the engine stops with an error."""
    rows: list[tuple[str, str, Sample]] = []
    try:
        for place, samples in answers:
            key, digest = batch[place][:2]
            rows += [(key, digest, sample) for sample in samples]
            if len(rows) >= shard_samples:
                yield rows
                rows = []
    except Exception:  # whatever stopped it, what has been answered is paid for and stays
        if rows:
            yield rows
        raise
    if rows:
        yield rows


def _constants(engine: Engine, settings: SamplingSettings) -> dict[str, Any]:
    return {
        "model": engine.name,
        "settings_hash": settings_hash(settings),
        "settings": settings.model_dump_json(exclude={"n", "first"}),
        "seeded": bool(engine.seedable and settings.seed is not None),
        "sampled_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _shifted(progress: Progress | None, before: int, every: int | None) -> Progress | None:
    return None if progress is None else (lambda done, total: progress(before + done, every or total))
