"""The short-lived folder of a running notebook: its sockets, and the temporary files of everything it starts.

It goes away with the notebook. What a killed runner leaves is swept at the next start: a lock on the folder, which the
system lets go of when its holder dies, tells the living from the dead. Not here: what lies in the run folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "phi4r-run-"
LONGEST = 60  # characters of the place: a socket's whole path may have about 100


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new folder with `runtime` (sockets, for this user only) and `tmp` in it; others without a holder are removed."""
    place = _place()
    sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=".phi4r-", dir=place))
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder = folder.rename(place / (PREFIX + folder.name.removeprefix(".phi4r-")))
            folder.chmod(0o711)  # a program in the sandbox may run as another user
            (folder / "runtime").mkdir(mode=0o700)
            (folder / "tmp").mkdir(mode=0o711)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(place: Path) -> int:
    """Removes folders whose holder is dead, those of this user; returns how many."""
    removed = 0
    for folder in place.glob(PREFIX + "*"):
        with contextlib.suppress(OSError), (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _place() -> Path:
    """The system's folder for temporary files, or /tmp where that one's path is too long for sockets."""
    usual = Path(tempfile.gettempdir())
    short = len(str(usual)) <= LONGEST or not os.access("/tmp", os.W_OK)
    return usual if short else Path("/tmp")
