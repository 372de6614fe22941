"""What a problem is: one pydantic model, JSONL in and out, and errors that name file, line and field.

Not here: how answers are compared (answers.py) and how problems are made (the worlds).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

AnswerType = Literal["number", "expression", "text", "refusal", "open"]


class ProblemFileError(ValueError):
    """A problem file that cannot be used; the message names file, line and field and says what to do."""


class Problem(BaseModel):
    """One seed, rewrite or benchmark item with its lineage.

    `answer` is None for open seeds and wherever the gold answer is unknown or withheld. `parent_id` names the problem
    this one was rewritten from. `meta` holds anything else (family, steps, year, ...), JSON types only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    domain: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    answer: str | None = None
    answer_type: AnswerType = "number"
    source: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    parent_id: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)


def _problem(row: Any, where: str, mapping: Mapping[str, str]) -> Problem:
    if not isinstance(row, dict):
        raise ProblemFileError(f"{where}: expected a JSON object, found {type(row).__name__}")
    if mapping:
        row = map_fields(row, where, mapping)
    try:
        return Problem(**row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "row"
        known = ", ".join(Problem.model_fields)
        raise ProblemFileError(f"{where}: field '{field}': {first['msg']}. Fields of a problem: {known}.") from None


def map_fields(row: Mapping[str, Any], where: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    """Foreign row to problem fields: mapping is {our field: their field}, or {our field: "=constant"}.

    Fields that are not mapped go to `meta`, nothing is lost. Raises ProblemFileError when a mapped field is absent.
    """
    mapped: dict[str, Any] = {}
    for ours, theirs in mapping.items():
        if theirs.startswith("="):
            mapped[ours] = theirs[1:]
        elif theirs in row:
            mapped[ours] = row[theirs]
        else:
            raise ProblemFileError(f"{where}: field '{theirs}' (mapped to '{ours}') is missing; found {sorted(row)}")
    used = set(mapping.values())
    mapped.setdefault("meta", {key: value for key, value in row.items() if key not in used})
    return mapped


def load_problems(
    path: str | os.PathLike[str], mapping: Mapping[str, str] | None = None, *, domain: str | None = None
) -> list[Problem]:
    """Problems of a JSONL file, in order; `mapping` renames the fields of a foreign file (see `map_fields`).

    `domain` is the domain of rows that name none.

    With a mapping, a missing id becomes "<file stem>-<line>", source the file name, licence "unknown", domain "math".
    Raises ProblemFileError (file, line, field) for unreadable files, bad JSON, bad fields and repeated ids.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemFileError(f"{path}: cannot be read ({error}); give a UTF-8 JSONL file of problems") from None
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ProblemFileError(
                f"{where}: not JSON ({error.msg} at column {error.colno}); one object a line"
            ) from None
        full = _with_defaults(path, number, mapping) if mapping else {}
        if domain and isinstance(row, dict) and "domain" not in (mapping or {}):
            row, full = {"domain": domain} | row, (full | {"domain": "domain"} if full else {})
        problem = _problem(row, where, full)
        if problem.id in seen:
            raise ProblemFileError(f"{where}: field 'id': {problem.id!r} already stands on line {seen[problem.id]}")
        seen[problem.id] = number
        problems.append(problem)
    if not problems:
        raise ProblemFileError(f"{path}: holds no problems; expected one JSON object a line")
    return problems


def _with_defaults(path: Path, number: int, mapping: Mapping[str, str]) -> dict[str, str]:
    defaults = {"id": f"={path.stem}-{number}", "domain": "=math", "source": f"={path.name}", "licence": "=unknown"}
    return defaults | dict(mapping)


def save_problems(path: str | os.PathLike[str], problems: Iterable[Problem]) -> Path:
    """Writes one JSON object a line, atomically (temporary file, then rename); returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as out:
        for problem in problems:
            out.write(json.dumps(problem.model_dump(), ensure_ascii=False) + "\n")
    partial.replace(path)
    return path
