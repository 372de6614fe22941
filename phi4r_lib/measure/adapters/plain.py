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

from phi4r_lib.measure.adapters.faults import Choice, Log, LogError, table_rows, verdict
from phi4r_lib.measure.answer_table import GRADES, GROUPS
from phi4r_lib.problems.rows import ProblemFileError, parse_json

NEEDED = ("problem", "correct")
OPTIONAL = ("run", "model", "answer", "grade", "tokens", "truncated", "error", "seed", *GROUPS)
ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json")
NAMED_GROUPS = ("details",)  # where OpenCompass keeps the rows of a result


def read(path: Path, choice: Choice) -> Log:
    """Answers of one table; raises LogError naming the missing or unusable column, or the row whose verdict is unclear."""
    rows = _load(path)
    table = _spread(_mapped(rows, choice.map, path), path)
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise LogError(
            f"{path}: column {missing[0]!r} is missing; found {', '.join(map(str, [*rows[0]][:20]))}. A plain table has one "
            f"row per answer and needs {', '.join(NEEDED)}; say what they are called here with --map {missing[0]}=THEIRS"
        )
    notes = []
    if "run" not in table:
        table["run"] = table.groupby("problem", sort=False, dropna=False).cumcount()
        table["model"] = table["model"] if "model" in table else path.resolve().parent.name
        many = table["run"].max() + 1
        notes.append(f"{path.name}: no column run, so the rows of a problem are its runs ({many} here)")
    if "model" not in table:
        table["model"] = path.stem
    return Log(_checked(table, path), notes)


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
    for number, row in enumerate(rows, start=1):
        row = {name: value for name, value in row.items() if name in (*NEEDED, *OPTIONAL)}
        lists = {name: list(value) for name, value in row.items() if isinstance(value, (list, tuple, np.ndarray))}
        if "correct" not in lists:
            spread.append(row | {name: json.dumps(value, default=str) for name, value in lists.items()})
            continue
        many = len(lists["correct"])
        short = [f"{name} {len(value)}" for name, value in lists.items() if len(value) != many]
        if short:
            raise LogError(f"{path}: row {number}: lists of different lengths, correct {many} but {short[0]}")
        spread += [row | {"run": run} | {n: v[run] for n, v in lists.items()} for run in range(many)]
    return pd.DataFrame(spread)


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with columns of the right kind; raises LogError naming the column that only happens to bear our name."""
    table["correct"] = [verdict(value, f"{path}: row {row}") for row, value in enumerate(table["correct"], start=1)]
    for column, kind in KINDS.items():
        if column in table:
            table[column] = [
                _kind(value, *kind, column, f"{path}: row {i}") for i, value in enumerate(table[column], 1)
            ]
    if "grade" in table:
        clash = table[[g in ("right", "wrong", "none") and (g == "right") is not c for g, c in zip(table["grade"], table["correct"], strict=True)]]  # fmt: skip
        if len(clash):
            raise LogError(
                f"{path}: row {clash.index[0] + 1}: column 'grade' says {clash['grade'].iloc[0]!r} and `correct` "
                f"{clash['correct'].iloc[0]}; leave the column out with --map grade=-"
            )
    for column in ("problem", "model", "answer"):
        if column in table:
            table[column] = [None if _absent(value) else str(value) for value in table[column]]
    for column in ("year", "steps"):
        if column in table:
            numbers = pd.to_numeric(table[column], errors="coerce")
            table[column] = (
                table[column]
                if (numbers.isna() & table[column].notna()).any()
                else numbers.astype("Int64", errors="ignore")
            )
    if table["problem"].isna().any():
        raise LogError(f"{path}: row {int(table['problem'].isna().argmax()) + 1}: column 'problem' is empty")
    return table


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
    return content
