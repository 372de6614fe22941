"""The one error of all adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from phi4r_lib.measure.answer_table import AnswersError


class LogError(AnswersError):
    """A log that cannot be used; the message names the file and the row or field, and says what to do."""


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Objects of a JSONL file; raises LogError with the line of the first bad one."""
    rows = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    rows.append(json.loads(line))
                    if not isinstance(rows[-1], dict):
                        raise LogError(f"{path}:{number}: expected a JSON object, found {type(rows[-1]).__name__}")
    except (UnicodeDecodeError, OSError) as error:
        raise LogError(f"{path}: cannot be read as text ({error})") from None
    except json.JSONDecodeError as error:
        raise LogError(f"{path}:{number}: not JSON ({error.msg}); was the log cut off? Remove the last line") from None
    if not rows:
        raise LogError(f"{path}: is empty")
    return rows


def verdict(value: Any, where: str) -> bool | None:
    """Right or wrong from True, 1, "yes", "C" and their opposites; None stays None; anything else raises LogError."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    text = str(value).strip().lower()
    if text in ("true", "1", "1.0", "yes", "right", "c"):
        return True
    if text in ("false", "0", "0.0", "no", "wrong", "i", "n"):
        return False
    raise LogError(
        f"{where}: {value!r} is neither right nor wrong; the analysis needs 0/1 verdicts, so choose a threshold first"
    )
