"""Rows on disk: the one reader of data files and the one writer.

Read are JSONL (split at line feeds only), JSON arrays, CSV (with commas, or with the semicolons or tabs that spreadsheets
write), TSV and Parquet, text also with a byte order mark, CRLF ends or in gzip; everything else is refused by name. Not
here: what a row means (schema.py), how a file appears whole or not at all (whole.py), and tables of answers (measure).
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from phi4r_lib.problems.whole import PathLike, whole

MOST_DEPTH = 100  # levels of nesting in a row; ours, far below what recursive code downstream can walk
FOREIGN = {  # first bytes of what is refused
    b"\x28\xb5\x2f\xfd": "a zstd archive; unpack it first",
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save it as CSV",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zXZ": "an xz archive; unpack it first",
    b"ARROW1": "an Arrow file; save it as Parquet or JSONL",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"\s*+:?|\Z)|[\[\]{}]', re.DOTALL)


class OneLineError(ValueError):
    r"""An error whose message is one line, also where names or values of a file in it hold line breaks: they stand there as \n."""

    def __init__(self, message: object) -> None:
        super().__init__(r"\n".join(str(message).splitlines()))


class ProblemFileError(OneLineError):
    """A data file that cannot be used; the message names file, line and field and says what to do."""


class Place(NamedTuple):
    """Where a row stands: `str(place)` is "file:12" for a line, "file: row 12" where a file has no lines."""

    path: Path
    number: int  # from 1
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.unit} {self.number}" if self.unit else f"{self.path}:{self.number}"


def read_rows(path: PathLike, *, torn: bool = False) -> Iterator[tuple[Place, dict[str, Any]]]:
    """(place, row) for every object of a data file, one at a time; blank lines are skipped, an empty file gives none.

    JSON values stay as they are; CSV cells are text, empty ones None. `torn` drops a last line that a killed writer cut
    off. Raises ProblemFileError for anything that is no readable file of objects: a folder, a pipe, another format, bad
    UTF-8, bad JSON, a key given twice, a row nested deeper than MOST_DEPTH.
    """
    path = Path(path)
    with _opened(path) as file:
        kind = _kind(path, file)
        try:
            if kind == "parquet":
                yield from _parquet(path)
            elif kind in ("csv", "tsv"):
                yield from _csv(path, file, "\t" if kind == "tsv" else ",;\t")
            elif kind == "array":
                yield from _array(path, file)
            else:
                yield from _lines(path, file, torn)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ProblemFileError(f"{path}: is damaged gzip ({error}); fetch or pack it again") from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a regular file, unpacked where they are gzip."""
    try:
        if not path.is_file():  # before opening: a pipe would block for ever
            found = "is a folder" if path.is_dir() else "is a pipe or device" if path.exists() else "does not exist"
            raise ProblemFileError(f"{path}: {found}; give a file (JSONL, JSON array, CSV or Parquet)")
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            yield io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw  # type: ignore[arg-type]
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise ProblemFileError(f"{path}: cannot be read ({error.strerror or error})") from None


def _kind(path: Path, file: BinaryIO) -> str:
    try:
        head = file.peek(64)  # type: ignore[attr-defined]
    except (OSError, EOFError, zlib.error) as error:
        raise ProblemFileError(f"{path}: is damaged gzip ({error}); fetch or pack it again") from None
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise ProblemFileError(f"{path}: is {name}")
    if head.startswith(b"PAR1"):
        return "parquet"
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in (".csv", ".tsv"):
        return suffix[1:]
    return "array" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[") else "lines"


def _lines(path: Path, file: BinaryIO, torn: bool) -> Iterator[tuple[Place, dict[str, Any]]]:
    cut: ProblemFileError | None = None
    for number, raw in enumerate(file, start=1):
        raw = raw.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw.strip()
        if not raw:
            continue
        if cut:
            raise cut
        place = Place(path, number)
        try:
            row = parse_json(_decoded(raw, place), place)
            yield place, _object(row, place)
        except ProblemFileError as error:
            if not torn:
                raise (_spread(path) if raw.endswith((b"{", b"[", b",")) else None) or error from None
            cut = error  # only if nothing follows was it cut off


def _spread(path: Path) -> ProblemFileError | None:
    """The fault of a file that is one JSON object over several lines, as systems export their records."""
    try:
        inside = read_json(path)
    except ProblemFileError:
        return None
    lists = ", ".join(f"'{key}'" for key, value in inside.items() if isinstance(value, list))
    return ProblemFileError(
        f"{path}: is one JSON object over several lines; need an array of objects or one object per line"
        + (f": save its list {lists} as a file" if lists else "")
    )


def _decoded(raw: bytes, place: Place | Path) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemFileError(
            f"{place}: not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start + 1}); save the file as UTF-8"
        ) from None


def parse_json(text: str, where: object) -> Any:
    """The value of a JSON text; raises ProblemFileError that starts with `where` and names the field where it can."""
    if text.count("[") + text.count("{") > MOST_DEPTH and (field := _deep_field(text)) is not None:
        raise ProblemFileError(f"{where}: field '{field}': nested deeper than {MOST_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_float=_spelled)
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno} column {error.colno}"
        hint = "; need one object per line" if isinstance(where, Place) else ""
        if hint and Path(where.path.name.removesuffix(".gz")).suffix not in (".jsonl", ".json", ".ndjson"):
            hint += " (the name of a table ends in .csv, .tsv or .parquet)"
        raise ProblemFileError(f"{where}: not JSON ({error.msg} at {at}){hint}") from None
    except ValueError as error:
        fault = str(error) if "twice" in str(error) else f"field '{_huge_field(text)}': a number of too many digits"
        raise ProblemFileError(f"{where}: {fault}") from None


class Spelled(float):
    """A number that a float does not keep to its last digit; as text it is what the file says."""

    text: str

    def __str__(self) -> str:
        return self.text


def _spelled(text: str) -> float:
    value = float(text)
    if (len(text) <= 15 and "e" not in text.lower()) or not math.isfinite(value) or _kept(text, value):
        return value
    number = Spelled(value)
    number.text = text
    return number


def _kept(text: str, value: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(value))
    except InvalidOperation:  # an exponent beyond all bounds
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"field '{next(key for key in keys if keys.count(key) > 1)}' is given twice")
    return row


def _deep_field(text: str) -> str | None:
    """The field of a row (or of a row of an array) in which a text is nested too deeply, None where it is not."""
    depth, field, level = 0, "", 2 if text.startswith("[") else 1
    for token in _TOKENS.finditer(text):
        mark = token.group()
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        if depth > MOST_DEPTH:
            return field
        if depth == level and mark.endswith(":"):
            field = mark.rstrip(": \t\r\n").strip('"')
    return None


def _huge_field(text: str) -> str:
    row = json.loads(text, parse_int=lambda digits: digits if len(digits) > 4000 else 0, strict=False)
    huge = [key for key, value in row.items() if len(str(value)) > 4000] if isinstance(row, dict) else []
    return huge[0] if huge else "row"


def _object(row: Any, place: Place) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ProblemFileError(f"{place}: expected a JSON object, found {type(row).__name__}")
    return row


def _array(path: Path, file: BinaryIO) -> Iterator[tuple[Place, dict[str, Any]]]:
    text = _decoded(file.read().removeprefix(b"\xef\xbb\xbf"), path)
    for number, row in enumerate(parse_json(text, path), start=1):
        place = Place(path, number, "item")
        yield place, _object(row, place)


def _csv(path: Path, file: BinaryIO, separators: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Rows of a table; of several separators the one that the first line holds most often, outside quotes."""
    try:
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        first = text.readline()
        separator = max(separators, key=re.sub(r'"[^"]*"', "", first).count)
        reader = csv.DictReader(itertools.chain([first], text), delimiter=separator, strict=True)
        names = reader.fieldnames or []
        if len(set(names)) < len(names):
            raise ProblemFileError(f"{path}:1: column {max(names, key=names.count)!r} is given twice")
        for row in reader:
            place = Place(path, reader.line_num)
            if None in row:
                raise ProblemFileError(f"{place}: more cells than the {len(names)} columns of the first line")
            yield place, {name: cell or None for name, cell in row.items()}
    except (csv.Error, UnicodeDecodeError) as error:
        raise ProblemFileError(f"{path}: cannot be read as CSV ({error}); save it as UTF-8 CSV, or as JSONL") from None


def _parquet(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    done = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
            for number, row in enumerate(batch.to_pylist(), start=done + 1):
                yield Place(path, number, "row"), row
            done += len(batch)
    except (pa.ArrowException, ValueError) as error:
        if isinstance(error, ProblemFileError):
            raise
        raise ProblemFileError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())})") from None


def read_json(path: PathLike) -> Any:
    """The value in a JSON file; raises ProblemFileError as `read_rows` does."""
    with _opened(Path(path)) as file:
        return parse_json(_decoded(file.read().removeprefix(b"\xef\xbb\xbf"), Path(path)), path)


def write_rows(path: PathLike, rows: Iterable[Any]) -> Path:
    """Writes mappings or pydantic models as JSONL, one at a time and atomically (see `whole`); returns the path."""
    with whole(path) as partial, partial.open("wb") as file:
        file.writelines(map(json_line, rows))
    return Path(path)


def write_json(path: PathLike, data: Any) -> Path:
    """Writes JSON atomically, indented; values as `plain` makes them; returns the path."""
    return write_text(path, json.dumps(plain(data), indent=1, ensure_ascii=False) + "\n")


def write_text(path: PathLike, text: str) -> Path:
    """Writes UTF-8 text atomically; returns the path."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_table(path: PathLike, table: Any) -> Path:
    """Writes a pandas or pyarrow table as Parquet, atomically; returns the path."""
    with whole(path) as partial:
        if hasattr(table, "to_parquet"):
            table.to_parquet(partial, index=False)
        else:
            import pyarrow.parquet as pq

            pq.write_table(table, partial)
    return Path(path)


def json_line(row: Any) -> bytes:
    """One row as a line of JSONL; half a surrogate pair, which UTF-8 cannot hold, stays as an escape."""
    data = row.model_dump() if hasattr(row, "model_dump") else row
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(plain(data), ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(plain(data)).encode() + b"\n"


def plain(value: Any) -> Any:
    """Value as JSON types: numpy numbers and arrays unpacked, sets as sorted lists, paths as text, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain, value), key=json.dumps)  # its own order differs from process to process
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
