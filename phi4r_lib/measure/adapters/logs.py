"""Which log is this? Finds the reader for a file or folder and joins several logs into one table of answers.

Not here: the formats themselves, one module each (plain, lm_eval, lighteval, inspect_log).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from phi4r_lib.measure.adapters import inspect_log, lighteval, lm_eval, plain
from phi4r_lib.measure.adapters.faults import LogError
from phi4r_lib.measure.answer_table import AnswersError, check_answers

KINDS = (
    "our own run folder, lm-eval samples_*.jsonl, lighteval details_*.parquet, Inspect .eval or .json, or a plain table"
)


def read_logs(logs: Sequence[str | Path]) -> pd.DataFrame:
    """One table of answers (answers.COLUMNS) from several logs, each a path or NAME=PATH to name its model.

    A model that several logs answer with the same problems gets the runs of all of them, numbered through.
    Raises LogError (an AnswersError) naming the log and what to do.
    """
    frames, seen = [], set()
    for log in logs:
        name, path = _named(log)
        for file, reader in _files(path):
            if file.resolve() in seen:
                raise LogError(f"{file}: is given twice; its runs would count double")
            seen.add(file.resolve())
            frame = _once(reader(file), file)
            frames.append(frame if name is None else frame.assign(model=name))
    if not frames:
        raise LogError(f"no logs given; give {KINDS}")
    return check_answers(_numbered(pd.concat(frames, ignore_index=True)), ", ".join(map(str, logs)))


def _named(log: str | Path) -> tuple[str | None, Path]:
    text = str(log)
    name, sign, path = text.partition("=")
    if sign and not Path(text).exists():
        return name, Path(path).expanduser()
    return None, Path(text).expanduser()


def _once(answers: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The answers of one file; raises LogError where it holds one run of a problem twice, which may be a mistake."""
    repeated = answers[answers.duplicated([c for c in ("model", "problem", "run") if c in answers])]
    if len(repeated):
        row = repeated.iloc[0]
        raise LogError(
            f"{file}: problem {row['problem']!r}, run {row['run']} stands more than once; number the runs, "
            "or give each model its own name in a column `model`"
        )
    return answers


def _numbered(answers: pd.DataFrame) -> pd.DataFrame:
    """Runs numbered through where logs of one model repeat a run number."""
    if not answers.duplicated(["model", "problem", "run"]).any():
        return answers
    return answers.assign(run=answers.groupby(["model", "problem"], sort=False).cumcount())


def _files(path: Path) -> Iterator[tuple[Path, Callable[[Path], pd.DataFrame]]]:
    if not path.exists():
        raise LogError(f"{path}: does not exist; give {KINDS}")
    if path.is_file():
        yield path, _reader(path)
        return
    for own in (path / "answers.parquet", path / "05_variance" / "answers.parquet"):
        if own.is_file():
            yield own, plain.read
            return
    found = sorted({*path.rglob("samples_*.jsonl"), *path.rglob("details_*.parquet"), *path.rglob("*.eval")})
    found = found or sorted(file for file in path.rglob("*.json") if inspect_log.is_log(file))
    if not found:
        raise LogError(f"{path}: holds no log that can be read; give {KINDS}")
    for file in found:
        yield file, _reader(file)


def _reader(path: Path) -> Callable[[Path], pd.DataFrame]:
    if path.suffix == ".eval" or (path.suffix == ".json" and inspect_log.is_log(path)):
        return inspect_log.read
    if path.name.startswith("details_") and path.suffix == ".parquet":
        return lighteval.read
    if path.suffix == ".jsonl" and lm_eval.is_log(path):
        return lm_eval.read
    return plain.read


__all__ = ["AnswersError", "LogError", "read_logs"]
