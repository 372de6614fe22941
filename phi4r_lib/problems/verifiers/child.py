"""One child process that answers calls of an object's methods within limits, for libraries that a hostile answer can hang.

Calls and replies are JSON lines over pipes, so it works from threads, notebooks and reward functions. Processor time and
memory are limited by the kernel; a child that uses them up is killed and the next call starts another. Not here: programs that
nobody has read (sandbox.py), which need a sandbox and not only limits.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S = 120.0  # imports of a busy machine
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Said:
    """What a call gave, or the fault that ended it: "time", "memory" or "crash"."""

    value: Any = None
    fault: str = ""


class Child:
    """Calls methods of `kind` ("package.module:Class", no arguments) in a child; `cpu_s` seconds and `memory_mb` MiB per call.

    The clock is given four times as long as the processor, so that a busy machine changes no verdict.
    """

    def __init__(self, kind: str, *, cpu_s: float, memory_mb: int):
        if min(cpu_s, memory_mb) <= 0:
            raise ValueError("limits of a child process must be above zero")
        self.kind, self.cpu_s, self.memory_mb = kind, cpu_s, memory_mb
        self.lock, self.process, self.owner = threading.Lock(), None, 0

    def ask(self, method: str, *arguments: Any) -> Said:
        """One call. Raises RuntimeError where the child cannot start at all."""
        with self.lock:
            child = self._running()
            try:
                child.stdin.write(json.dumps([method, self.cpu_s, *arguments]).encode() + b"\n")
                child.stdin.flush()
                line = self._line(child, 4 * self.cpu_s + 1)
            except BrokenPipeError:
                line = b""
            except BaseException:  # Ctrl-C included: this reply must not be taken for that of the next call
                self._end()
                raise
            if line:
                value = json.loads(line)
                return Said(fault=value["fault"]) if "fault" in value else Said(value["value"])
            return Said(fault=self._end(late=line is None))

    def _running(self) -> subprocess.Popen:
        if self.owner != os.getpid():  # after a fork the parent's child is not ours
            self.process, self.owner = None, os.getpid()
        if self.process is None or self.process.poll() is not None:
            path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            command = [sys.executable, "-P", "-m", __name__, self.kind, str(self.memory_mb)]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True, env=os.environ | {"PYTHONPATH": path},
            )  # fmt: skip
            if self._line(self.process, START_S) != b"ready\n":
                self._end()
                raise RuntimeError(
                    f"a process for {self.kind} did not start; try to import what it needs in this Python"
                )
        return self.process

    def _line(self, child: subprocess.Popen, seconds: float) -> bytes | None:
        """The next line, b"" when the child is gone, None when it is late."""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            return child.stdout.readline() if selector.select(seconds) else None

    def _end(self, late: bool = True) -> str:
        """Ends the child; the fault that its end means."""
        child, self.process = self.process, None
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0 if late else 5)  # whoever closed its pipe is ending
        child.kill()
        ended = child.wait()
        child.stdin.close()
        child.stdout.close()
        return "time" if late or ended == -signal.SIGXCPU else "crash"


def serve(kind: str, memory_mb: int) -> None:
    """The child: serves calls until the pipe closes; only replies go to the real stdout, whatever libraries print."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = kind.partition(":")
    served = getattr(importlib.import_module(module), name)()
    resource.setrlimit(resource.RLIMIT_AS, (_size() + (memory_mb << 20), resource.getrlimit(resource.RLIMIT_AS)[1]))
    print("ready", file=replies)
    for line in sys.stdin:
        method, seconds, *arguments = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            reply = {"value": getattr(served, method)(*arguments)}
        except MemoryError:
            reply = {"fault": "memory"}
        except Exception as error:
            reply = {"fault": f"exception: {type(error).__name__}"}
        print(json.dumps(reply), file=replies)


def _size() -> int:
    """Address space in use, bytes; 0 where /proc does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return 0


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
