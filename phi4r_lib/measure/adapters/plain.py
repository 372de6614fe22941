"""A plain table of answers: CSV, TSV, Parquet, JSONL or JSON with the columns problem, correct and, if known, more.

Also reads our own store, answers.parquet, and other harnesses' rows through a map (verifiers, NeMo-Skills, Qwen2.5-Math,
OpenCompass). Optional columns: run, model, answer, grade, tokens, truncated, error, seed, family, year. A list in `correct`
is a run per entry; without `run` the rows of a problem are its runs. Not here: grading; a table without `correct` cannot
be used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phi4r_lib.measure.adapters.faults import Choice, Log, LogError, mended, table_rows, verdict
from phi4r_lib.measure.answer_table import GRADES, GROUPS
from phi4r_lib.problems.rows import ProblemFileError, parse_json

NEEDED = ("problem", "correct")
OPTIONAL = ("run", "model", "answer", "grade", "tokens", "truncated", "error", "seed", *GROUPS)
ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
NAMED_GROUPS = ("details",)  # where OpenCompass keeps the rows of a result


def read(path: Path, choice: Choice) -> Log:
    """Answers of one table; raises LogError naming the missing or unusable column, or the row whose verdict is unclear.

    Column `counted` says that the runs were counted here; a column `model` only where the table has one.
    """
    rows = _load(path)
    table = _spread(_mapped(rows, choice.map, path), path)
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise LogError(
            f"{path}: column {missing[0]!r} is missing; found {', '.join(map(str, [*rows[0]][:20]))}. A plain table has one "
            f"row per answer and needs {', '.join(NEEDED)}; say what they are called here with --map {missing[0]}=THEIRS"
        )
    table = _checked(table.assign(counted="run" not in table), path)
    if "run" in table:
        return Log(table, [])
    table["run"] = table.groupby([c for c in ("model", "problem") if c in table], sort=False).cumcount()
    many = table["run"].max() + 1
    return Log(table, [f"{path.name}: no column run, so the rows of a problem are its runs ({many} here)"])


def _mapped(rows: list[dict[str, Any]], mapping: Mapping[str, str], path: Path) -> list[dict[str, Any]]:
    unknown = [ours for ours in mapping if ours not in (*NEEDED, *OPTIONAL)]
    if unknown:
        raise LogError(f"--map {unknown[0]}=...: no such column; choose from {', '.join((*NEEDED, *OPTIONAL))}")
    taken = {ours: theirs for ours, theirs in mapping.items() if theirs != "-"}
    nowhere = [path_ for path_ in taken.values() if all(_at(row, path_) is None for row in rows)]
    if nowhere:
        raise LogError(f"{path}: no row has {nowhere[0]!r} (--map); a row has {', '.join(map(str, rows[0]))}")
    return [
        {name: value for name, value in row.items() if name not in mapping}
        | {ours: _at(row, theirs) for ours, theirs in taken.items()}
        for row in rows
    ]


def _at(row: Any, path: str) -> Any:
    """What stands under a name, or under a dotted path with numbers for places in lists; None where nothing does."""
    if isinstance(row, dict) and path in row:
        return row[path]
    head, _, rest = path.partition(".")
    if isinstance(row, dict) and head in row:
        inner = row[head]
    elif isinstance(row, (list, tuple, np.ndarray)) and head.lstrip("-").isdecimal():
        inner = row[int(head)] if -len(row) <= int(head) < len(row) else None
    else:
        return None
    return _at(inner, rest) if rest else inner


def _spread(rows: list[dict[str, Any]], path: Path) -> pd.DataFrame:
    """One row per answer: a list in `correct` is a run per entry, lists beside it are the answers' own values."""
    spread = []
    any_list = any(isinstance(row.get("correct"), (list, tuple, np.ndarray)) for row in rows)
    for number, row in enumerate(rows, start=1):
        row = {name: value for name, value in row.items() if name in (*NEEDED, *OPTIONAL)}
        lists = {name: list(value) for name, value in row.items() if isinstance(value, (list, tuple, np.ndarray))}
        if "correct" not in lists:
            spread.append(row | {name: json.dumps(value, default=str) for name, value in lists.items()})
            continue
        many = len(lists["correct"])
        if not many:
            raise LogError(f"{path}: row {number}: column 'correct' is an empty list, so this problem would be lost")
        short = [f"{name} {len(value)}" for name, value in lists.items() if len(value) != many]
        if short:
            raise LogError(f"{path}: row {number}: lists of different lengths, correct {many} but {short[0]}")
        spread += [row | {"run": run} | {n: v[run] for n, v in lists.items()} for run in range(many)]
    if any("run" in row for row in spread):
        spread = [{"run": 0 if any_list else None} | row for row in spread]
    return pd.DataFrame(spread)


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with columns of the right kind; raises LogError naming the column that only happens to bear our name."""
    table["correct"] = [verdict(value, f"{path}: row {row}") for row, value in enumerate(table["correct"], start=1)]
    if table["correct"].isna().all():
        raise LogError(
            f"{path}: column 'correct' is empty in every row; say what it is called here with --map correct=THEIRS"
        )
    for column in ("problem", "model", "answer"):
        if column in table:
            table[column] = [_text(value) for value in table[column]]
    for column, kind in KINDS.items():
        if column in table:
            table[column] = [
                _kind(value, *kind, column, f"{path}: row {i}") for i, value in enumerate(table[column], 1)
            ]
    if "grade" in table:
        clash = table[[not _absent(g) and (g == "right") != (c is True) for g, c in zip(table["grade"], table["correct"], strict=True)]]  # fmt: skip
        if len(clash):
            raise LogError(
                f"{path}: row {clash.index[0] + 1}: column 'grade' says {clash['grade'].iloc[0]!r} and `correct` "
                f"{clash['correct'].iloc[0]}; leave the column out with --map grade=-"
            )
    for column in GROUPS:
        if column in table:
            table[column] = _group(table[column])
    for column in ("problem", "model", "run"):
        if column in table and (empty := table[column].isna() | (table[column] == "")).any():
            raise LogError(f"{path}: row {int(empty.argmax()) + 1}: column {column!r} is empty")
    return table


def _group(column: pd.Series) -> pd.Series:
    """Whole numbers where all are, so that years sort; else texts."""
    numbers = pd.to_numeric(column, errors="coerce")
    clean = (numbers.notna() | column.isna()) & ~((numbers % 1 != 0) & numbers.notna()) & ~(numbers.abs() > 2**53)
    return numbers.astype("Int64") if clean.all() else pd.Series([_text(value) for value in column], dtype=object)


def _text(value: Any) -> str | None:
    if _absent(value):
        return None
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict) else str(value)


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _whole(value: Any) -> int:
    text = str(value).strip()
    number = int(text) if text.lstrip("+-").isdecimal() and len(text) < 30 else float(text)
    if number != int(number) or not -(2**63) <= number < 2**63:
        raise ValueError
    return int(number)


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "false", "0", "1", "0.0", "1.0", "yes", "no"):
        raise ValueError
    return text in ("true", "1", "1.0", "yes")


def _count(value: Any) -> float:
    number = float(value)
    if not 0 <= number < 2**53:
        raise ValueError
    return number


def _grade(value: Any) -> str:
    if value not in GRADES:
        raise ValueError
    return value


KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "run": (_whole, "a whole number"),
    "seed": (_whole, "a whole number below 2^63"),
    "truncated": (_flag, "true or false"),
    "tokens": (_count, "a count"),
    "grade": (_grade, f"one of {', '.join(GRADES)}"),
}


def _kind(value: Any, parse: Callable[[Any], Any], what: str, column: str, where: str) -> Any:
    if _absent(value):
        return None
    try:
        return parse(value)
    except (TypeError, ValueError, OverflowError):
        raise LogError(
            f"{where}: column {column!r} holds {value!r}, expected {what}; if it means something else, "
            f"leave it out with --map {column}=-"
        ) from None


def _load(path: Path) -> list[dict[str, Any]]:
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in ENDINGS:
        raise LogError(f"{path}: unknown kind of file; a plain table ends in {', '.join(ENDINGS)}")
    return _json(path) if suffix == ".json" else table_rows(path)


def _json(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON list, of an object of rows ({"0": {...}, ...}, the name as `key`), or of its part `details`."""
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"), path)
    except (ProblemFileError, OSError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: cannot be read as a table ({error})") from None
    for name in NAMED_GROUPS:
        if isinstance(content, dict) and isinstance(content.get(name), (list, dict)):
            content = content[name]
    if isinstance(content, dict):
        content = [{"key": name} | row for name, row in content.items() if isinstance(row, dict)]
    else:
        content = [{"key": str(place)} | row for place, row in enumerate(content) if isinstance(row, dict)]
    if not content:
        raise LogError(f"{path}: no rows found; a JSON table is a list of objects, or an object of objects")
    return mended(content)
