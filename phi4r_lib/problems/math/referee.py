"""Worker processes that run math-verify and can be killed; started on first need, kept for later calls.

Each worker is a plain child process that speaks JSON lines over pipes (referee_worker.py), so it works from threads,
notebooks and reward functions, needs no `__main__` guard and inherits neither torch nor open GPUs.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

START_SECONDS = 120.0  # a worker imports sympy: under a second alone, longer on a busy machine


class Referee:
    """One child process; `ask` sends a pair, `read` collects what has come back."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("referee_worker.py")
        # -P keeps this folder off the child's import path; a session of its own keeps Ctrl-C in a notebook away
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.buffer = b""
        self.ready = False
        self.job: int | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self.allowed = (0.0, 0.0)  # CPU seconds and clock at which a late comparison is given up

    def ask(self, number: int, pair: tuple[str, str], relations: bool, timeout_s: float) -> None:
        message = json.dumps({"answer": pair[0], "gold": pair[1], "relations": relations, "seconds": timeout_s})
        self.job, self.deadline = number, time.monotonic() + timeout_s
        self.allowed = (self._cpu_seconds() + timeout_s, time.monotonic() + 2 * timeout_s)
        with contextlib.suppress(BrokenPipeError):  # it just died: its end of file is what `read` meets next
            os.write(self.process.stdin.fileno(), message.encode() + b"\n")

    def read(self) -> list[str]:
        """Whole lines that have arrived; raises EOFError when the process is gone."""
        chunk = os.read(self.process.stdout.fileno(), 1 << 16)
        if not chunk:
            raise EOFError
        *lines, self.buffer = (self.buffer + chunk).split(b"\n")
        return [line.decode() for line in lines]

    def late(self) -> bool:
        """Past its deadline; on a busy machine the deadline waits for CPU time not yet used, up to twice as long."""
        now = time.monotonic()
        if now < self.deadline:
            return False
        unused = self.allowed[0] - self._cpu_seconds()
        if unused > 0 and now < self.allowed[1]:
            self.deadline = min(now + max(unused, 0.05), self.allowed[1])
            return False
        return True

    def _cpu_seconds(self) -> float:
        """CPU seconds the process has used; infinite where /proc does not tell, so that only the clock counts."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return float("inf")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Bench:
    """The referees of this process, one call at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.referees: list[Referee] = []

    def compare(self, pairs: list[tuple[str, str]], timeout_s: float, workers: int, relations: bool) -> list[str]:
        verdicts: list[str | None] = [None] * len(pairs)
        waiting = deque(range(len(pairs)))
        with self.lock:
            try:
                while None in verdicts:
                    self._staff(min(workers, verdicts.count(None)))
                    for referee in self.referees:
                        if referee.ready and referee.job is None and waiting:
                            number = waiting.popleft()
                            referee.ask(number, pairs[number], relations, timeout_s)
                    self._collect(verdicts)
            except BaseException:  # Ctrl-C included: replies to half a call must not reach the next one
                self.close()
                raise
        return verdicts

    def _staff(self, wanted: int) -> None:
        for referee in [one for one in self.referees if one.job is None and one.process.poll() is not None]:
            self.referees.remove(referee)  # killed from outside while idle
            referee.kill()
        while len(self.referees) < wanted:
            self.referees.append(Referee())

    def _collect(self, verdicts: list[str | None]) -> None:
        """Waits for the next reply or deadline; a referee that is late or dead costs its pair a "failed"."""
        busy = [referee for referee in self.referees if referee.job is not None or not referee.ready]
        with selectors.DefaultSelector() as selector:
            for referee in busy:
                selector.register(referee.process.stdout, selectors.EVENT_READ, referee)
            first = min(referee.deadline for referee in busy)
            arrived = [key.data for key, _ in selector.select(max(0.0, first - time.monotonic()))]
        for referee in busy:
            try:
                lines = referee.read() if referee in arrived else []
            except EOFError:
                self._dismiss(referee, verdicts)
                continue
            for line in lines:
                self._note(referee, line, verdicts)
            if (referee.job is not None or not referee.ready) and referee.late():
                self._dismiss(referee, verdicts)

    def _note(self, referee: Referee, line: str, verdicts: list[str | None]) -> None:
        if not referee.ready:
            if line != "ready":
                raise RuntimeError(f"a grading process could not start: {line}")
            referee.ready = True
        elif referee.job is not None:
            verdicts[referee.job] = line
            referee.job = None

    def _dismiss(self, referee: Referee, verdicts: list[str | None]) -> None:
        self.referees.remove(referee)
        referee.kill()
        if not referee.ready:
            raise RuntimeError("a grading process ended before it was ready; try `import math_verify` in this Python")
        if referee.job is not None:
            verdicts[referee.job] = "failed"

    def close(self) -> None:
        while self.referees:
            self.referees.pop().kill()


_bench: Bench | None = None
_bench_lock = threading.Lock()


def compare_hard(
    pairs: list[tuple[str, str]], timeout_s: float, workers: int | None, relations: bool = False
) -> list[str]:
    """math-verify's verdict ("right", "wrong", "failed") for each (answer, gold).

    A pair that takes longer than timeout_s seconds (on a busy machine up to twice as long, until it had that much of the
    CPU), or takes its process down, is "failed". Raises RuntimeError when
    the processes cannot start.
    """
    most = workers or min(4, os.cpu_count() or 1)
    return _current().compare(pairs, timeout_s, most, relations)


def _current() -> Bench:
    global _bench
    with _bench_lock:
        if _bench is None:
            _bench = Bench()
            atexit.register(_bench.close)
            os.register_at_fork(after_in_child=_forget)
        return _bench


def _forget() -> None:
    """A forked child must not share its parent's pipes or a lock that some thread held."""
    global _bench, _bench_lock
    _bench, _bench_lock = None, threading.Lock()
