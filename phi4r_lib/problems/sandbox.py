"""Runs short Python programs that nobody has read: bubblewrap around them, limits on everything they can use up.

Inside there is the standard library, an empty scratch folder in memory, no network, no other process and none of the
user's files. Not here: the filter of system calls and the memory cap (confine.py), languages other than Python.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from phi4r_lib.problems.confine import Memory, memory_cap, system_call_filter

Status = Literal["ok", "error", "timeout", "memory", "output"]

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONHASHSEED": "0"}
# Runs inside the sandbox, as the program's own process: limits first, then another user where we are root, because the
# kernel does not count root's processes; then the program. None of the three can be taken back.
_LAUNCHER = """
import json, os, resource, sys
limits, uid, path, strict = json.loads(sys.argv[1])
for name, soft, hard in limits:
    try:
        resource.setrlimit(getattr(resource, name), (soft, hard))
    except (ValueError, OSError, AttributeError):
        if strict:
            raise
if uid:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
with open(path, encoding="utf-8") as file:
    source = file.read()
sys.argv[:] = ["program.py"]
for name in ("limits", "uid", "path", "strict", "name", "soft", "hard", "file", "json", "resource", "os"):
    globals().pop(name, None)
exec(compile(source, "program.py", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
"""


class SandboxUnavailable(RuntimeError):
    """Untrusted programs cannot be contained on this machine; the message says what to install or allow."""


@dataclass(frozen=True)
class SandboxResult:
    """What a program did: its output (cut at the limit), how it ended, seconds by the clock, whether it was contained.

    status: "ok" exit code 0; "error" any other end; "timeout" wall_s or cpu_s used up; "memory" memory_mb used up;
    "output" more than max_output_bytes written. Only "ok" output should ever be graded.
    """

    stdout: str
    stderr: str
    status: Status
    returncode: int
    seconds: float
    sandboxed: bool


def run_python(
    code: str,
    stdin: str = "",
    *,
    wall_s: float = 5.0,
    cpu_s: float = 5.0,
    memory_mb: int = 512,
    max_output_bytes: int = 65_536,
    max_processes: int = 8,
    scratch_mb: int = 16,
    allow_unsandboxed: bool = False,
) -> SandboxResult:
    """Runs one Python program and returns its output and how it ended; never raises for what the program does.

    Args:
        code: the program; its standard library is this Python's.
        stdin: text on its standard input.
        wall_s, cpu_s: seconds by the clock, and of processor time per process (rounded up to a whole second).
        memory_mb: address space of each process, and memory of all of them together, MiB; beside it only scratch_mb.
        max_output_bytes: stdout and stderr, each.
        max_processes: processes and threads at a time (only enforced inside bubblewrap).
        scratch_mb: size of the scratch folder, MiB; nothing else can be written.
        allow_unsandboxed: True runs the program WITHOUT a sandbox where bubblewrap is missing: it can then read and
            delete your files and use the network; only the limits on time, memory and output still hold.

    Raises SandboxUnavailable without bubblewrap and without that permission, ValueError for limits below zero.
    """
    if min(wall_s, cpu_s, memory_mb, max_output_bytes, max_processes, scratch_mb) <= 0:
        raise ValueError("limits of a sandbox must be above zero")
    problem = sandbox_problem()
    if problem and not allow_unsandboxed:
        raise SandboxUnavailable(problem)
    limits = _limits(cpu_s, memory_mb, scratch_mb, None if problem else max_processes)
    with _files(code) as (folder, program), memory_cap((memory_mb + scratch_mb) << 20) as memory:
        command = _plain(program, limits) if problem else _contained(program, limits, scratch_mb)
        return _watch(command, folder, stdin, memory, wall_s, max_output_bytes, not problem)


def seconds_of(cpu_s: float) -> dict[str, float]:
    """Limits for `cpu_s` seconds of processor time: by the clock four times as many, so that a busy machine costs nobody a
    right answer, and still an end for what only waits."""
    return {"cpu_s": cpu_s, "wall_s": 4 * cpu_s}


def sandbox_problem() -> str | None:
    """Why untrusted programs cannot be contained here and what to do about it; None when they can."""
    path = shutil.which("bwrap")
    if path is None:
        return (
            "untrusted programs need bubblewrap, which is not installed: `apt-get install bubblewrap` (Debian, Ubuntu), "
            "`dnf install bubblewrap` (Fedora); Linux only. To run programs WITHOUT any protection for your files and "
            "network, pass allow_unsandboxed=True"
        )
    reason = _probe(path)
    if reason is None:
        return None
    return (
        f"bubblewrap is installed ({path}) but cannot make a sandbox here: {reason}. In a container, allow user "
        "namespaces (docker run --security-opt seccomp=unconfined --cap-add SYS_ADMIN); on Ubuntu 24.04 set sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0. To run programs WITHOUT any protection for your files and "
        "network, pass allow_unsandboxed=True"
    )


@lru_cache(maxsize=4)
def _probe(path: str) -> str | None:
    """Tries the real command once; None when it works, else bubblewrap's own words."""
    limits = _limits(5, 256, 1, 8)
    try:
        system_call_filter()
    except OSError as error:
        return str(error)
    with _files("print('contained')") as (folder, program), memory_cap(256 << 20) as memory:
        result = _watch([path, *_contained(program, limits, 1)[1:]], folder, "", memory, 60, 1000, True)
    if result.status == "ok" and result.stdout.strip() == "contained":
        return None
    return (result.stderr.strip() or result.status).splitlines()[-1]


@contextmanager
def _files(code: str) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="phi4r-sandbox-") as folder:
        program, work = Path(folder, "program.py"), Path(folder, "work")
        program.write_bytes(code.encode("utf-8", "replace"))
        program.chmod(0o644)
        work.mkdir()
        yield str(work), str(program)


def _limits(cpu_s: float, memory_mb: int, scratch_mb: int, processes: int | None) -> list[tuple[str, int, int]]:
    seconds, memory, size = math.ceil(cpu_s), memory_mb << 20, scratch_mb << 20
    limits = [
        ("RLIMIT_CPU", seconds, seconds + 1),  # the signal at the first can be caught, the kill at the second not
        ("RLIMIT_AS", memory, memory),
        ("RLIMIT_FSIZE", size, size),
        ("RLIMIT_NOFILE", 64, 64),
        ("RLIMIT_CORE", 0, 0),
    ]
    return limits if processes is None else [*limits, ("RLIMIT_NPROC", processes, processes)]


def _python(program: str, limits: list[tuple[str, int, int]], uid: int, strict: bool) -> list[str]:
    executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    return [executable, "-P", "-s", "-B", "-c", _LAUNCHER, json.dumps([limits, uid, program, strict])]


def _plain(program: str, limits: list[tuple[str, int, int]]) -> list[str]:
    return _python(program, limits, 0, strict=False)


def _contained(program: str, limits: list[tuple[str, int, int]], scratch_mb: int) -> list[str]:
    root = os.geteuid() == 0
    # root: an unused user number of its own for each run, so that the process limit counts this program alone
    uid = 200_000 + time.monotonic_ns() // 1000 % 1_000_000 if root else 0
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += (
        ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user"]
    )
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    # the first process, bubblewrap's own, has the program's user number where we are not root: out of sight
    command += [
        *_system_folders(),
        "--proc",
        "/proc",
        "--perms",
        "0555",
        "--tmpfs",
        "/proc/1",
        "--remount-ro",
        "/proc/1",
    ]
    command += ["--dev", "/dev", "--ro-bind", program, "/program.py"]
    command += ["--perms", "0777", "--size", str(scratch_mb << 20), "--tmpfs", "/scratch", "--chdir", "/scratch"]
    command += ["--setenv", "HOME", "/scratch", "--setenv", "TMPDIR", "/scratch", "--remount-ro", "/dev"]
    return [*command, "--remount-ro", "/", "--", *_python("/program.py", limits, uid, strict=True)]


def _system_folders() -> list[str]:
    """Read-only: the system's libraries and this Python, nothing from home folders."""
    command: list[str] = []
    for folder in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache"):
        if os.path.islink(folder):
            command += ["--symlink", os.readlink(folder), folder]
        elif os.path.exists(folder):
            command += ["--ro-bind", folder, folder]
    prefix = Path(os.path.realpath(sys.base_prefix))
    if prefix.is_relative_to("/usr"):
        return command
    for parent in [*reversed(prefix.parents)][1:]:  # readable for the unused user too, and empty
        command += ["--perms", "0755", "--dir", str(parent)]
    return [*command, "--ro-bind", str(prefix), str(prefix)]


def _watch(
    command: list[str], folder: str, stdin: str, memory: Memory, wall_s: float, most_bytes: int, sandboxed: bool
) -> SandboxResult:
    """Starts the command in a process group of its own, collects its output, and ends the whole group."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as rules:  # a file: read by bubblewrap, closed before the program starts
        if sandboxed:
            rules.write(system_call_filter())
            rules.seek(0)
            command = [command[0], "--seccomp", str(rules.fileno()), *command[1:]]
        reading, writing = os.pipe()
        os.fchmod(reading, 0o444)  # so that the program, which is another user, can open /dev/stdin as well
        process = subprocess.Popen(
            memory.within(command),
            stdin=reading,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_ENVIRONMENT | {"HOME": folder, "TMPDIR": folder},
            pass_fds=[rules.fileno()] if sandboxed else [],
            start_new_session=True,
        )
        process.stdin = os.fdopen(writing, "wb", 0)
        os.close(reading)
    try:
        given = stdin.encode("utf-8", "replace")
        cause, out, err = _collect(process, given, memory, start + wall_s, most_bytes)
    finally:
        _end(process)
    stdout, stderr = (bytes(data[:most_bytes]).decode("utf-8", "replace") for data in (out, err))
    status = cause or _status(process.returncode, stderr)
    return SandboxResult(stdout, stderr, status, process.returncode, time.monotonic() - start, sandboxed)


def _collect(
    process: subprocess.Popen, given: bytes, memory: Memory, deadline: float, most: int
) -> tuple[Status | None, bytearray, bytearray]:
    """Feeds and reads until the program has ended; children that hold its pipes open are not waited for."""
    data, looked = {process.stdout: bytearray(), process.stderr: bytearray()}, 0.0
    with selectors.DefaultSelector() as selector:
        for pipe in (*data, process.stdin):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_WRITE if pipe is process.stdin else selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            events = selector.select(0 if ended else 0.02) if selector.get_map() else []
            for key, _ in events:
                if key.fileobj is process.stdin:
                    given = _feed(selector, process.stdin, given)
                    continue
                chunk = os.read(key.fd, 1 << 16)
                data[key.fileobj] += chunk
                if not chunk:
                    selector.unregister(key.fileobj)
            if max(len(part) for part in data.values()) > most:
                return "output", *data.values()
            if time.monotonic() - looked > 0.02 or ended:
                looked = time.monotonic()
                if memory.spent(process.pid):
                    return "memory", *data.values()
            if ended and not any(key.fileobj in data for key, _ in events):
                return None, *data.values()
            if time.monotonic() > deadline:
                return "timeout", *data.values()
            if not ended and not selector.get_map():
                time.sleep(0.01)


def _feed(selector: selectors.BaseSelector, pipe, given: bytes) -> bytes:
    """Writes what the pipe takes now and returns the rest; closes it at the end, or when nobody reads it any more."""
    try:
        given = given[os.write(pipe.fileno(), given[: 1 << 16]) :] if given else b""
    except BrokenPipeError:
        given = b""
    if not given:
        selector.unregister(pipe)
        pipe.close()
    return given


def _end(process: subprocess.Popen) -> None:
    """Ends what is left of the group; inside bubblewrap everything dies with its first process."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            pipe.close()


def _status(code: int, stderr: str) -> Status:
    ended_by = -code if code < 0 else code - 128  # bubblewrap reports signal n as exit code 128 + n
    if code == 0:
        return "ok"
    if ended_by in (signal.SIGXCPU, signal.SIGKILL):
        return "timeout"
    return "memory" if stderr.rstrip().rpartition("\n")[2].startswith("MemoryError") else "error"
