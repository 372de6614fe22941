"""What all adapters share: the one error, the choice a user can make, rows of JSON, and what counts as a verdict."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from phi4r_lib.measure.answer_table import AnswersError
from phi4r_lib.models.engine import whole_characters
from phi4r_lib.problems.rows import ProblemFileError, read_rows


class LogError(AnswersError):
    """A log that cannot be used; the message names the file and the row or field, and says what to do."""


@dataclass(frozen=True)
class Choice:
    """Which part of a log counts: lm-eval's filter, the metric of lm-eval or lighteval, Inspect's scorer.

    None takes the first that can be used and names those ignored. map: our column -> theirs, a name, a dotted path
    (`metrics.acc`, `completion.-1.content`) or "-" for none; with a map every log is read as a plain table.
    """

    filter: str | None = None
    metric: str | None = None
    scorer: str | None = None
    map: Mapping[str, str] = field(default_factory=dict)


class Log(NamedTuple):
    """Answers of one log, one row per problem and run, and sentences about what was taken from it and what was not."""

    answers: pd.DataFrame
    notes: list[str]


def table_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a data file (problems/rows.py); raises LogError naming the line of the first bad one."""
    try:
        rows = [mended(row) for _, row in read_rows(path)]
    except ProblemFileError as error:
        raise LogError(
            f"{error}; was the log cut off? Remove the last line" if "not JSON" in str(error) else str(error)
        ) from None
    if not rows:
        raise LogError(f"{path}: holds no rows")
    return rows


def mended(value: Any) -> Any:
    """A value whose texts hold whole characters only (see models/engine.py): no file can hold half of one."""
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, dict):
        return {mended(key): mended(inner) for key, inner in value.items()}
    return [mended(inner) for inner in value] if isinstance(value, list) else value


def verdict(value: Any, where: str) -> bool | None:
    """Right or wrong from True, 1, "yes", "C" and their opposites; None stays None; anything else raises LogError."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip().lower()
    if text in ("", "nan", "none", "null"):
        return None
    if text in ("true", "yes", "right", "c", "correct") or _number(text) == 1:
        return True
    if text in ("false", "no", "wrong", "i", "n", "incorrect") or _number(text) == 0:
        return False
    raise LogError(
        f"{where}: {value!r} is neither right nor wrong; the analysis needs 0/1 verdicts, so choose a threshold first"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def is_verdict(value: Any) -> bool:
    """True for what `verdict` can read, None included."""
    try:
        verdict(value, "")
    except LogError:
        return False
    return True


def pick(
    kind: str, wanted: str | None, found: Iterable[str], usable: Sequence[str], path: Path
) -> tuple[str, list[str]]:
    """The filter, metric or scorer to take: the one wanted, else the first usable one, with a note on the rest.

    Raises LogError when the wanted one is not in the log, or when there is none at all.
    """
    found = list(dict.fromkeys(found))
    if wanted is not None and wanted not in found:
        raise LogError(f"{path}: has no {kind} {wanted!r}; it has {', '.join(found) or 'none'}")
    if not found:
        raise LogError(f"{path}: no {kind} is logged")
    taken = wanted if wanted is not None else (*usable, *found)[0]
    rest = [name for name in found if name != taken]
    return taken, [f"{path.name}: {kind} {taken} taken, {', '.join(rest)} ignored (--{kind} chooses)"] if rest else []


def setting(*parts: Any) -> str:
    """Digest of how a question was put (prompt, few-shot examples, sampling), to notice runs of two settings as one."""
    return sha256(json.dumps(parts, sort_keys=True, default=str))[:16]


def sha256(text: str) -> str:
    """Hex digest of a text, the way lm-eval hashes documents."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
