"""Files of questions in the layouts that are common, for the benchmarks.

Not here: seeds for a run (phi4r_lib/problems), which are checked more strictly.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NoReturn

Row = tuple[str, str | None]


def refuse(message: str) -> NoReturn:
    """Ends with exit code 2, the code of all user errors."""
    print(message, file=sys.stderr)
    raise SystemExit(2)


def read_rows(path: str) -> list[Row]:
    """(question, answer) of each row of a JSONL or JSON file in one of the common layouts."""
    try:
        content = Path(path).read_text(encoding="utf-8")
        rows = json.loads(content) if content.lstrip().startswith("[") else [*map(json.loads, content.splitlines())]
        return [_row(row) for row in rows]
    except (OSError, ValueError, AttributeError) as error:
        refuse(f"{path}: cannot be read as rows of questions ({error}); give JSONL with a question or prompt field")


def _row(row: dict) -> Row:
    names = [name for name in ("prompt", "question", "problem", "text") if name in row]
    text = next((row[name] for name in names if row[name]), "" if names else None)
    if text is None and row.get("Body"):
        text = f"{row['Body']} {row.get('Question', '')}"
    if text is None:
        raise ValueError(f"no prompt, question, problem or text among {sorted(row)}")
    answer = row.get("answer", row.get("Answer"))
    if answer is None and "####" in text:
        text, answer = text.rsplit("####", 1)
        text = re.sub(r"^\s*Question:\s*|\s*Answer:\s*$", "", text.strip())
    return text, None if answer is None else str(answer).rsplit("####", 1)[-1].strip()
