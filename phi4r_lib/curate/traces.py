"""One worked solution with its lineage, small enough for millions: its text lies on disk until somebody reads it.

A row takes 300 bytes of memory, where its text would take thousands. Not here: which traces are kept (teach.py).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from phi4r_lib.problems.rows import read_rows

LENGTH = 8  # bytes in front of a text that say how long it is


class Shelf:
    """Texts in a file without a name, which is gone with the last row that reads from it, or with the process.

    It lies on the disk of `folder`, or where temporary files lie when nothing may be written there.
    """

    def __init__(self, folder: str | Path) -> None:
        there = os.access(folder, os.W_OK)
        self._file = tempfile.TemporaryFile(dir=folder if there else None)  # noqa: SIM115 - open as long as rows read
        self._end, self._written = 0, 0

    def __del__(self) -> None:
        self._file.close()

    def put(self, text: str) -> int:
        """Lays a text down; returns the place to `get` it from."""
        data = text.encode("utf-8", "surrogatepass")
        place = self._end
        self._end += self._file.write(len(data).to_bytes(LENGTH, "little") + data)
        return place

    def get(self, place: int) -> str:
        """The text at a place."""
        if self._written < self._end:
            self._file.flush()
            self._written = self._end
        size = int.from_bytes(self._bytes(place, LENGTH), "little")
        return self._bytes(place + LENGTH, size).decode("utf-8", "surrogatepass")

    def _bytes(self, place: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, place)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Facts:
    id: str
    problem_id: str
    domain: str
    found: str | None = None
    truth: str | None = None
    verifier: str = "math"
    grade: Literal["right", "wrong", "failed"] | None = None  # values of answers.Grade
    why: str = ""
    effort: str
    model: str
    settings: dict[str, Any]
    index: int
    tokens: int
    truncated: bool = False
    error: str | None = None
    kept: bool = False
    reason: str = ""


class TraceRow(_Facts):
    """One candidate trace with its lineage, kept or dropped with the `reason`.

    `id` names it, `problem_id` its problem, `text` is the completion (think tags kept; with a `shelf` the place where it lies),
    `found` the answer in it, `truth` what it was compared with by the problem's `verifier`, with the verdict in `grade`
    and `why`. `tokens` are completion tokens, `model` and `settings` made it, at this `effort`.
    """

    __slots__ = ("_shelf", "_text")
    __hash__ = None  # type: ignore[assignment] - settings are a dict

    def __init__(self, *, text: str | int, shelf: Shelf | None = None, **facts: Any) -> None:
        super().__init__(**facts)
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_shelf", shelf)

    @property
    def text(self) -> str:
        """The completion, read from the disk each time where it lies there."""
        return self._shelf.get(self._text) if self._shelf else self._text

    @property
    def open(self) -> bool:
        """Still in the running: neither kept nor dropped."""
        return not self.kept and not self.reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TraceRow) and self.model_dump() == other.model_dump()

    def model_copy(self, *, update: Mapping[str, Any]) -> TraceRow:
        """The same row with some fields changed; a text on disk is not copied."""
        facts = {name: getattr(self, name) for name in FACTS}
        return TraceRow(**{"text": self._text, "shelf": self._shelf} | facts | dict(update))

    def model_dump(self) -> dict[str, Any]:
        """All fields as a line of traces.jsonl holds them, the text among them."""
        return {name: getattr(self, name) for name in COLUMNS}


FACTS = tuple(field.name for field in fields(_Facts))
COLUMNS = (*FACTS[:3], "text", *FACTS[3:])


def traces_in(file: str | Path) -> Iterator[TraceRow]:
    """The rows of a traces.jsonl, one at a time; texts are laid on a shelf beside it, and what many rows say stands in memory once."""
    shelf, known = Shelf(Path(file).parent), {}
    for _, row in read_rows(file):
        once = {
            name: sys.intern(value) for name, value in row.items() if type(value) is str and name not in ("id", "text")
        }
        once["settings"] = known.setdefault(json.dumps(row["settings"], sort_keys=True), row["settings"])
        yield TraceRow(**row | once | {"text": shelf.put(row["text"]), "shelf": shelf})
