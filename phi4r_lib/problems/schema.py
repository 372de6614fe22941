"""What a problem is: one pydantic model, files in and out, and errors that name file, line and field.

Not here: reading rows (rows.py), other people's fields (foreign.py), how answers are compared (answers.py).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phi4r_lib.problems.foreign import answer_text, check_mapping, map_fields, no_answer
from phi4r_lib.problems.rows import Place, ProblemFileError, read_rows, write_rows

__all__ = ["Problem", "ProblemFileError", "iter_problems", "load_gold", "load_problems", "save_problems"]

AnswerType = Literal["number", "expression", "text", "refusal", "open"]


class Problem(BaseModel):
    """One seed, rewrite or benchmark item with its lineage.

    `answer` is what an answer is checked against: the right answer, or the tests or constraints that it has to pass. It is
    None for open seeds and wherever the gold answer is unknown or withheld. `verifier` names who checks (verify.py).
    `parent_id` names the problem this one was rewritten from. `meta` holds anything else (family, steps, year, ...), JSON types only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    domain: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    answer: str | None = None
    answer_type: AnswerType = "number"
    verifier: str = Field(default="math", min_length=1)
    source: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    parent_id: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)


SHARED = ("domain", "answer_type", "verifier", "source", "licence", "decision", "kind", "effort", "model")
Row = TypeVar("Row", bound=BaseModel)


def compact(row: Row) -> Row:
    """The same row in half the memory, which counts when there are millions: texts of SHARED fields, of which there are
    few different ones, and pydantic's set of given fields stand once for all rows."""
    given = vars(row)
    for name in SHARED:
        if type(value := given.get(name)) is str:
            given[name] = sys.intern(value)
    object.__setattr__(row, "__pydantic_fields_set__", _fields_of(type(row)))
    return row


@cache
def _fields_of(kind: type[BaseModel]) -> set[str]:
    return set(kind.model_fields)


def iter_problems(
    path: str | os.PathLike[str],
    mapping: Mapping[str, str] | None = None,
    *,
    domain: str | None = None,
    notes: Counter[str] | None = None,
) -> Iterator[Problem]:
    """Problems of a file (see `rows.read_rows`), one at a time; `mapping` is for foreign fields (see foreign.py).

    `domain` is that of rows that name none; `notes` counts what was changed or looks odd. Raises ProblemFileError (file, line, field) for unreadable files, bad
    JSON, bad fields and repeated ids, and for a file without problems.
    """
    notes = Counter() if notes is None else notes
    check_mapping(mapping or {}, Problem.model_fields)
    seen: dict[str, int] = {}
    for place, row in read_rows(path):
        own = {"domain": domain} | row if domain else row
        if mapping:
            fields = map_fields(row, place, mapping, Problem.model_fields, notes, domain or "math")
        else:
            fields = _own(own, place, notes)
        problem = _problem(fields, place)
        if problem.id in seen:
            hint = "; --map id=# numbers the rows instead" if mapping else ""
            raise ProblemFileError(
                f"{place}: field 'id': {problem.id!r} already stands on line {seen[problem.id]}{hint}"
            )
        seen[problem.id] = place.number
        yield problem
    if not seen:
        raise ProblemFileError(f"{path}: holds no problems; expected one JSON object per line")


def load_problems(
    path: str | os.PathLike[str], mapping: Mapping[str, str] | None = None, *, domain: str | None = None
) -> list[Problem]:
    """All problems of a file, in order; arguments and errors as for `iter_problems`."""
    return list(iter_problems(path, mapping, domain=domain))


def _own(row: dict[str, Any], place: Place, notes: Counter[str]) -> dict[str, Any]:
    """A row of our own fields, with the answer as text."""
    verifier = row.get("verifier", "math")
    if (answer := row.get("answer")) is None or (isinstance(answer, str) and not no_answer(answer)):
        return row
    text = answer_text(answer, place, verifier)
    if text is not None and verifier == "math" and no_answer(text):
        notes[f"answers {text.strip()!r} count as none"] += 1
        text = None
    return row | {"answer": text}


def _problem(row: dict[str, Any], place: Place) -> Problem:
    try:
        problem = compact(Problem(**row))
    except (ValidationError, TypeError) as error:
        raise ProblemFileError(f"{place}: {_fault(error, row)}") from None
    if not problem.prompt.strip():
        raise ProblemFileError(f"{place}: field 'prompt': is blank; remove the row or give it a question")
    if not problem.id.isprintable() or not problem.id.strip():
        raise ProblemFileError(
            f"{place}: field 'id': {problem.id!r} is blank or holds a line break or control character"
        )
    if not is_domain(problem.domain):
        raise ProblemFileError(f"{place}: field 'domain': {problem.domain[:50]!r} is no name of a file; {DOMAINS}")
    return problem


DOMAINS = "a run writes one for each domain: at most 100 letters, no slash, no line break, no dot in front"


@cache
def is_domain(name: str) -> bool:
    """Whether a domain can name a file, as it does in notebook 02: what it cannot name would be lost there."""
    return bool(name.strip()) and name.isprintable() and len(name) <= 100 and "/" not in name and name[0] != "."


def _fault(error: ValidationError | TypeError, row: Mapping[str, Any]) -> str:
    if not isinstance(error, ValidationError):
        return f"field names must be texts ({error})"
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "row"
    known = ", ".join(Problem.model_fields)
    hint = "; map the fields of another format with --map, for example --map prompt=question"
    hint += " (--map id=# numbers rows without an id)" if field == "id" else ""
    foreign = first["type"] in ("missing", "extra_forbidden")
    found = f"; found {', '.join(map(str, [*row][:12]))}" if first["type"] == "missing" else ""
    return f"field '{field}': {first['msg']}{found}. Fields of a problem: {known}{hint if foreign else ''}."


def save_problems(path: str | os.PathLike[str], problems: Iterable[Problem]) -> Path:
    """Writes one JSON object per line, atomically (see `whole.whole`); returns the path."""
    return write_rows(path, problems)


def load_gold(path: str | os.PathLike[str], of: Collection[Problem] | None = None) -> dict[str, str]:
    """{id: true answer} of a file with id and answer, for measuring only; `of` keeps the ids of these problems.

    Raises ProblemFileError naming file and line.
    """
    wanted = None if of is None else {problem.id for problem in of}
    gold: dict[str, str] = {}
    for place, row in read_rows(path):
        if "id" not in row or row.get("answer") is None:
            raise ProblemFileError(f"{place}: need the fields id and answer; found {', '.join(row) or 'none'}")
        if wanted is None or row["id"] in wanted:
            gold[str(row["id"])] = str(row["answer"])
    return gold


def problem_of(row: Mapping[str, Any]) -> Problem:
    """The problem behind a row whose prompt is messages (rl.jsonl, pools): its text is the last one."""
    known = {name: row[name] for name in Problem.model_fields if row.get(name) is not None}
    defaults = dict.fromkeys(("id", "domain", "source", "licence"), "unknown")
    return Problem(**defaults | known | {"prompt": row["prompt"][-1]["content"]})
