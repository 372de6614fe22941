"""One fingerprint for data and one for files: the same content, the same digits, on every machine.

Not here: what a notebook or a training depends on (cookbook/folder/lineage.py, train/session.py).
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phi4r_lib.problems.rows import plain

SETTLED = 2_000_000_000  # nanoseconds, longer than the tick of any file system's clock; ours


def fingerprint(*parts: Any, length: int = 16) -> str:
    """A stable hash of JSON-like parts (see `rows.plain`), `length` hex digits of SHA-256."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def file_fingerprint(path: str | os.PathLike[str], length: int = 64) -> str:
    """A hash of a file's content, or of the names and contents of all files below a folder; "absent" for neither."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return fingerprint({str(file.relative_to(path)): file_fingerprint(file) for file in files}, length=length)
    if not path.is_file():
        return "absent"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:length]


def remembered(read: Callable[..., Any]) -> Callable[..., Any]:
    """`read(path, ...)` computed once while the file at `path` stays as it is: same place, size and times.

    A file that changed less than SETTLED ago is read each time, for a second change in the same tick would leave no trace.
    """
    cached = functools.lru_cache(maxsize=10_000)(lambda path, _stamp, *rest: read(path, *rest))

    @functools.wraps(read)
    def known(path: Path, *rest: Any) -> Any:
        stat = path.stat()
        stamp = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        fresh = time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) < SETTLED
        return read(path, *rest) if fresh else cached(path, stamp, *rest)

    return known
