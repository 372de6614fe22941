"""A plain table of answers: CSV, TSV, Parquet or JSONL with the columns problem, run, correct and, if known, more.

Also reads our own store, answers.parquet. Optional columns: model (else the file name), answer, grade, tokens, truncated,
error, seed, family, year. Not here: grading; a table without `correct` cannot be used.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from phi4r_lib.measure.adapters.faults import LogError, read_json_lines, verdict

NEEDED = ("problem", "run", "correct")


def read(path: Path) -> pd.DataFrame:
    """Answers of one table; raises LogError naming the missing column, or the row whose verdict cannot be read."""
    table = _load(path)
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise LogError(
            f"{path}: column {missing[0]!r} is missing; found {', '.join(map(str, table.columns))}. "
            f"A plain table needs {', '.join(NEEDED)}; model, answer, tokens, family and year are optional"
        )
    if table.empty:
        raise LogError(f"{path}: holds no rows")
    table["correct"] = [verdict(value, f"{path}: row {row}") for row, value in enumerate(table["correct"], start=1)]
    if "model" not in table:
        table["model"] = path.stem
    return table.assign(problem=table["problem"].astype(str))


def _load(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        if suffix in (".csv", ".tsv"):
            types = {"problem": str, "answer": str, "model": str}
            return pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",", dtype=types)
        if suffix in (".jsonl", ".ndjson"):
            return pd.DataFrame(read_json_lines(path))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowException, UnicodeDecodeError) as error:
        raise LogError(f"{path}: cannot be read as a table ({' '.join(str(error).split())})") from None
    raise LogError(f"{path}: unknown kind of file; a plain table ends in .csv, .tsv, .parquet or .jsonl")
