"""Files that appear whole or not at all: the temporary file beside each, and what a killed writer leaves of it.

Not here: what is written (rows.py), and checkpoints and models, which are folders (train).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

PathLike = str | os.PathLike[str]
DEAD_AFTER = 7 * 24 * 3600  # seconds without a change; ours, a file here is written in minutes
_PARTIAL = re.compile(r"\..+\.([0-9a-f]{8}-)?[0-9]{1,7}\.partial", re.DOTALL)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(OSError):
    """There is no room for a file; nothing was replaced, and the same command goes on once there is room."""


@contextmanager
def whole(path: PathLike) -> Iterator[Path]:
    """The name of a temporary file beside `path`, which becomes `path` when the block ends and vanishes if it fails.

    So a reader sees the old file or the new one, complete on disk, and never a half. Makes the folder. Raises DiskFull
    where there is no room; an error of the system about the temporary file names `path`. `sweep` removes what a killed
    writer leaves.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{_here()}-{os.getpid()}.partial")  # two processes never share one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno in _FULL or "No space left" in str(error):
            raise DiskFull(
                errno.ENOSPC, "no room on the disk; free some and run the same command again", str(path)
            ) from None
        if error.errno and partial.name in str(error):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        raise
    finally:
        with suppress(OSError):  # where it could not be made, removing it fails, too
            partial.unlink(missing_ok=True)


def sweep(folder: PathLike, now: float) -> list[Path]:
    """Removes the temporary files that killed writers left in a folder and below; returns them.

    A writer on this machine is asked for by its process. Of one on another machine that shares the disk (or on this one
    before it was started anew) only the file's age speaks: it goes DEAD_AFTER seconds before `now`, the time of a file
    just written to the same disk, so that no other clock counts.
    """
    gone = []
    for parent, _, names in os.walk(folder):
        for name in filter(_PARTIAL.fullmatch, names):
            place, number = name.split(".")[-2].rpartition("-")[::2]
            partial = Path(parent, name)
            with suppress(OSError):  # another sweep was faster
                if not _lives(int(number)) if place == _here() else partial.stat().st_mtime < now - DEAD_AFTER:
                    partial.unlink()
                    gone.append(partial)
    return gone


@cache
def _here() -> str:
    """Where process numbers mean what they mean here: this host, since its start, in the numbering of this container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text("ascii"), os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _lives(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
