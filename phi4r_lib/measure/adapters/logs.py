"""Which log is this? Finds the reader for a file or folder and joins several logs into one table of answers.

Not here: the formats themselves, one module each (plain, lm_eval, lighteval, inspect_log).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from phi4r_lib.measure.adapters import inspect_log, lighteval, lm_eval, plain
from phi4r_lib.measure.adapters.faults import Choice, Log, LogError
from phi4r_lib.measure.answer_table import NO_VERDICT, AnswersError, check_answers

KINDS = (
    "our own run folder, lm-eval samples_*.jsonl, lighteval details_*.parquet, Inspect .eval or .json, or a plain table"
)
Reader = Callable[[Path, Choice], Log]
HARNESSES = ("*samples_*.jsonl", "*samples_*.jsonl.gz", "details_*.parquet", "*.eval")
SHOWN = 4  # file names in a sentence


def read_logs(logs: Sequence[str | Path], choice: Choice | None = None) -> Log:
    """One table of answers (answers.COLUMNS) from several logs, each a path or NAME=PATH to name its model, and notes.

    A model that several logs answer with the same problems gets the runs of all of them, numbered through; the notes say
    what was merged, and which filters, metrics and scorers were taken and ignored. Problems keep the identity their harness
    gives them, never one from a file name. Raises LogError (an AnswersError) naming the log and what to do.
    """
    choice = choice or Choice()
    frames, notes, seen, readers = [], [], set(), set()
    given = [_named(log) for log in logs]
    for name, path in given:
        for file, reader in _files(path, bool(choice.map)):
            if file.resolve() in seen:
                raise LogError(f"{file}: is given twice; its runs would count double")
            seen.add(file.resolve())
            readers.add(reader)
            answers, more = reader(file, choice)
            model = _model(answers, name, path, file, [other for _, other in given])
            frames.append(_once(answers.assign(model=model).pipe(_printable), file).assign(file=str(file)))
            notes += more
    if not frames:
        raise LogError(f"no logs given; give {KINDS}")
    _choosable(choice, readers)
    answers, retried = inspect_log.counted_once(_told_apart(pd.concat(frames, ignore_index=True)))
    if retried:
        notes.append(f"{retried} answers stand in several logs of one task (a retried log): counted once")
    notes += _merged(answers)
    return Log(_judged(check_answers(_numbered(answers), ", ".join(map(str, logs)))), list(dict.fromkeys(notes)))


def _judged(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers; raises LogError for a model of which no answer has a verdict, which is no score of 0."""
    for model, grades in answers.groupby("model", sort=False)["grade"]:
        if grades.isin(NO_VERDICT).all():
            raise LogError(
                f"model {model}: none of its {len(grades)} answers has a verdict (lost, or not graded): no score"
            )
    return answers


def _named(log: str | Path) -> tuple[str | None, Path]:
    text = str(log)
    name, sign, path = text.partition("=")
    named = bool(sign) and not Path(text).exists()
    if not (path if named else text).strip() or (named and not name.strip()):
        raise LogError(f"{text!r} names no log; write a path, or NAME=PATH to name its model")
    try:
        return (name, Path(path).expanduser()) if named else (None, Path(text).expanduser())
    except RuntimeError as error:
        raise LogError(f"{text!r} is no path that can be followed: {error}") from None


def _model(answers: pd.DataFrame, name: str | None, path: Path, file: Path, given: list[Path]) -> pd.Series | str:
    """The model of a file's answers: as named, as logged, else the file's name, or its folder's where the files are its runs.

    Two files given that have one name are told apart by their folders.
    """
    if name is not None:
        if "model" in answers and answers["model"].nunique() > 1:
            models = ", ".join(map(str, answers["model"].unique()[:SHOWN]))
            raise LogError(
                f"{file}: holds several models ({models}); the name {name!r} would make them one: leave it out"
            )
        return name
    if "model" in answers:
        return answers["model"]
    stem = file.name.split(".")[0] or file.name
    if path.is_dir():
        return path.resolve().name if answers["counted"].all() else stem
    alike = [other for other in given if other.name.split(".")[0] == stem]
    return stem if len(alike) == 1 else f"{path.resolve().parent.name}/{stem}"


def _printable(answers: pd.DataFrame) -> pd.DataFrame:
    """Models by names that a terminal and a figure can show."""
    names = {name: "".join(c if c.isprintable() else "\ufffd" for c in str(name)) for name in answers["model"].unique()}
    return answers.assign(model=answers["model"].map(names))


def _choosable(choice: Choice, readers: set[Reader]) -> None:
    """Raises LogError for a choice among things that none of the logs has."""
    for option, name, kinds, of in (
        ("filter", choice.filter, {lm_eval.read}, "lm-eval"),
        ("metric", choice.metric, {lm_eval.read, lighteval.read}, "lm-eval and lighteval"),
        ("scorer", choice.scorer, {inspect_log.read}, "Inspect"),
    ):
        if name is not None and not kinds & readers:
            raise LogError(f"--{option} {name}: chooses in logs of {of}, and none of these is one; leave it out")


def _once(answers: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The answers of one file; raises LogError where it holds one run of a problem twice, which may be a mistake."""
    repeated = answers[answers.duplicated([c for c in ("model", "problem", "run") if c in answers])]
    if len(repeated):
        row = repeated.iloc[0]
        raise LogError(
            f"{file}: problem {row['problem']!r}, run {row['run']} appears more than once; number the runs, "
            "or give each model its own name in a column `model`"
        )
    return answers


def _told_apart(answers: pd.DataFrame) -> pd.DataFrame:
    """Problems with their task in front where every harness log says which task it is."""
    if "task" not in answers:
        return answers
    ours = answers["task"].notna()
    if not ours.all():
        return answers
    return answers.assign(problem=answers["task"] + "/" + answers["problem"])


def _merged(answers: pd.DataFrame) -> list[str]:
    """A sentence for every model whose answers come from several files."""
    notes = []
    for model, rows in answers.groupby("model", sort=False):
        files = [Path(file).name for file in rows["file"].unique()]
        if len(files) < 2:
            continue
        names = ", ".join(files[:SHOWN]) + (f" and {len(files) - SHOWN} more" if len(files) > SHOWN else "")
        shared = (rows.groupby("problem")["file"].nunique() > 1).sum()
        _no_copies(rows)
        differently = (rows.groupby("problem")["asked"].nunique() > 1).sum() if "asked" in rows else 0
        if differently:
            notes.append(
                f"model {model}: {differently} of {shared} shared problems were not put the same way in these files (prompt, "
                "few-shot examples or sampling settings); if these are two settings, name them apart: a=LOG b=LOG"
            )
        what = f"further runs of {shared} problems" if shared else "different problems, one model"
        notes.append(f"model {model}: {len(files)} files merged as {what}: {names}")
    return notes


def _no_copies(rows: pd.DataFrame) -> None:
    """Raises LogError where two files of one model on the same problems are the same to the last byte."""
    seen: dict[tuple[str, str], str] = {}
    for file, problem in rows.groupby("file", sort=False)["problem"].first().items():
        twin = seen.setdefault((hashlib.sha256(Path(file).read_bytes()).hexdigest(), problem), file)
        if twin != file:
            raise LogError(
                f"{file}: is the same to the last byte as {twin}; a copy would count double, and a model without "
                "randomness shows nothing new in a second run: give one of them"
            )


def _numbered(answers: pd.DataFrame) -> pd.DataFrame:
    """Runs numbered through where logs of one model repeat a run number."""
    if not answers.duplicated(["model", "problem", "run"]).any():
        return answers
    return answers.assign(run=answers.groupby(["model", "problem"], sort=False).cumcount())


def _files(path: Path, mapped: bool) -> Iterator[tuple[Path, Reader]]:
    if not path.exists():
        raise LogError(f"{path}: does not exist; give {KINDS}")
    if path.is_file():
        yield path, plain.read if mapped else _reader(path)
        return
    for own in (path / "answers.parquet", path / "05_variance" / "answers.parquet"):
        if own.is_file():
            yield own, plain.read
            return
    for file in _logs_in(path, mapped):
        yield file, plain.read if mapped else _reader(file)


def _logs_in(path: Path, mapped: bool) -> list[Path]:
    if mapped:
        found = {file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in plain.ENDINGS}
    else:
        found = {file for form in HARNESSES for file in path.rglob(form)}
        found = found or {file for file in path.rglob("*.json") if inspect_log.is_log(file)}
    if not found:
        raise LogError(f"{path}: holds no log that can be read; give {KINDS}")
    return sorted(found)


def _reader(path: Path) -> Reader:
    if path.suffix == ".eval" or (path.suffix == ".json" and inspect_log.is_log(path)):
        return inspect_log.read
    if path.name.startswith("details_") and path.suffix == ".parquet":
        return lighteval.read
    if path.name.endswith((".jsonl", ".jsonl.gz")) and lm_eval.is_log(path):
        return lm_eval.read
    return plain.read


__all__ = ["AnswersError", "Choice", "Log", "LogError", "read_logs"]
