"""Processes of a notebook and their temporary folder: started together, measured together, and nothing left behind.

A Jupyter kernel puts itself into a session of its own, so killing a process group misses it and everything it
started (a vLLM server holding the GPU, for example). Every process of a job therefore carries the job's mark in its
environment, and `reap` ends all that carry it. What a killed runner leaves in the temporary folder is swept at the
next start: a lock on it, which the system lets go of when its holder dies, tells the living from the dead. Not here:
what the processes do, what lies in the run folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "PHI4R_JOB"  # one start of one notebook
RUN = "PHI4R_RUN"  # the run folder it works in
PREFIX = "phi4r-run-"
LONGEST = 60  # characters of the place: a socket's whole path may have about 100


@dataclass
class Job:
    """A started process with its mark; `peak_mb` is the highest memory seen so far, all its processes together."""

    process: subprocess.Popen[bytes]
    mark: str
    peak_mb: float = 0.0


def start(command: Sequence[str], run: Path, log: Path, cwd: Path, env: dict[str, str]) -> Job:
    """Starts a command in its own process group, marked as work in the folder `run`, with stdout and stderr in `log`."""
    mark = uuid.uuid4().hex
    marks = {MARK: mark, RUN: str(run)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env=os.environ | env | marks,
            start_new_session=True,
        )
    return Job(process, mark)


def measure(job: Job) -> float:
    """Updates and returns the peak memory in MB (resident, shared pages counted once per process)."""
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(job.process.pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    job.peak_mb = max(job.peak_mb, total / 1e6)
    return job.peak_mb


def marked(name: str, value: str) -> list[psutil.Process]:
    """All other living processes that carry the mark in their environment, whatever session or parent they have."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
    return found


def ask_to_end(job: Job, patience_s: float) -> None:
    """Asks the job's kernel to end (SIGTERM) and waits: a training writes a checkpoint first, anything else ends at once."""
    with contextlib.suppress(psutil.Error):
        kernels = psutil.Process(job.process.pid).children()
        for kernel in kernels:
            kernel.terminate()
        psutil.wait_procs(kernels, timeout=patience_s)


def reap(job: Job, grace_s: float = 3.0) -> int:
    """Ends every process of the job, politely and then by force; returns how many were still alive."""
    ended = end_marked(job.mark, grace_s)
    with contextlib.suppress(subprocess.TimeoutExpired):
        job.process.wait(timeout=grace_s)
    return ended


def end_marked(mark: str, grace_s: float = 3.0) -> int:
    """Ends every process that carries the job's mark, except the calling one; returns how many there were."""
    return _end(lambda: marked(MARK, mark), grace_s)


def end_left(run: Path, grace_s: float = 3.0) -> int:
    """Ends what an earlier call left at work in a run folder (its runner was killed); returns how many there were."""
    return _end(lambda: marked(RUN, str(run)), grace_s)


def _end(find: Callable[[], list[psutil.Process]], grace_s: float) -> int:
    alive = find()
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)
    _, stubborn = psutil.wait_procs(alive, timeout=grace_s)
    killed = [*stubborn, *find()]
    for process in killed:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(killed, timeout=grace_s)
    return len(alive)


def end_with_parent(parent: int, mark: str | None = None, every_s: float = 0.2) -> None:
    """Ends this process, after all that carry `mark`, as soon as it has another parent than `parent`.

    So nothing outlives a runner that was killed (kill -9, closed terminal), not even one that was killed before this
    call.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every_s)
        if mark:
            end_marked(mark)
        os._exit(1)

    if os.getppid() != parent:
        watch()
    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new folder with `runtime` (sockets, for this user only) and `tmp` in it; others without a holder are removed."""
    place = _place()
    sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=".phi4r-", dir=place))
    try:
        with (folder / "lock").open("w") as lock:
            with contextlib.suppress(OSError):  # a disk that knows no locks, where nothing is swept either
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
