"""What bubblewrap alone leaves open: memory over all processes, inner namespaces, odd sockets, the first process, stdin.

Everything runs as it is here and, where the tests run as root, once more as an ordinary user.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from phi4r_lib.problems import confine
from phi4r_lib.problems.sandbox import run_python, sandbox_problem

ROOT = Path(__file__).parents[2]
NOBODY = 65534
LIMITS = {"wall_s": 60.0, "cpu_s": 20.0, "memory_mb": 256, "scratch_mb": 2}
pytestmark = pytest.mark.skipif(sandbox_problem() is not None, reason=str(sandbox_problem()))

CALL = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
# Each prints "free" when it gets what it must not get.
ATTACKS = {
    "a user namespace": CALL + "if libc.unshare(0x10000000) == 0: print('free')",
    "a user and mount namespace": CALL + "if libc.unshare(0x10020000) == 0: print('free')",
    "a namespace through clone": CALL + "if libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) >= 0: print('free')",
    "a namespace through clone3": CALL
    + "import struct\na = ctypes.create_string_buffer(struct.pack('11Q', 0x10000000, *[0] * 10), 88)\nif libc.syscall(435, a, 88) >= 0: print('free')",
    "a file in memory": "import os\nos.memfd_create('x')\nprint('free')",
    "shared memory of system V": CALL + "if libc.shmget(0, 1 << 20, 0o1600) >= 0: print('free')",
    "a socket to the host": "import socket\nsocket.socket(socket.AF_VSOCK)\nprint('free')",
    "a socket to the kernel's ciphers": "import socket\nsocket.socket(38, socket.SOCK_SEQPACKET)\nprint('free')",
    "a socket to the routing tables": "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\nprint('free')",
    "a socket of a family unheard of": "import socket\nsocket.socket(99, socket.SOCK_RAW)\nprint('free')",
    "the first process, by ptrace": CALL + "if libc.ptrace(16, 1, 0, 0) == 0: print('free')",
    "the first process, by its memory": "open('/proc/1/mem', 'r+b')\nprint('free')",
    "the first process's root": "import os\nos.listdir('/proc/1/root')\nprint('free')",
    "the kernel's keys": CALL + "if libc.syscall(250, 0, -3, 1) >= 0: print('free')",
    "programs inside the kernel": CALL + "if libc.syscall(321, 0, 0, 0) >= 0 or ctypes.get_errno() != 1: print('free')",
    "rings of requests": CALL + "a = ctypes.create_string_buffer(120)\nif libc.syscall(425, 4, a) >= 0: print('free')",
    "a file of the host behind stdin": "import os\nif not os.readlink('/proc/self/fd/0').startswith('pipe:'): print('free')",
    "more file than scratch": "for n in range(8): open(f'/scratch/{n}', 'wb').write(b'a' * 1_000_000)\nprint('free')",
    "to uncover the first process": CALL + "if libc.umount2(b'/proc/1', 2) == 0: print('free')",
}
# What must still work behind the filter.
HARMLESS = {
    "threads": "import threading\nt = threading.Thread(target=print, args=['fine'])\nt.start()\nt.join()",
    "a child": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(\"fine\")'], capture_output=True, text=True).stdout)",
    "a fork": "import os\nif os.fork() == 0: os._exit(0)\nos.wait()\nprint('fine')",
    "a pair of sockets": "import socket\na, b = socket.socketpair()\na.send(b'fine')\nprint(b.recv(9).decode())",
    "an event loop": "import asyncio\nasyncio.run(asyncio.sleep(0))\nprint('fine')",
    "stdin by its name": "print(open('/dev/stdin').read())",
    "its own memory map": "print('fine' if open('/proc/self/maps').read() else '')",
}
GREEDY = """
import mmap, os, time
for n in range(6):
    if os.fork() == 0:
        block = KIND
        block[::4096] = b"x" * len(block[::4096])
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""
KINDS = {"their own": "bytearray(120 << 20)", "shared": "mmap.mmap(-1, 120 << 20)"}


def ordinary(code: str, stdin: str = "", **changes) -> dict:
    """The sandbox's result when an ordinary user runs it; skips where that user finds no Python to run it with."""
    script = "import json, sys\nfrom phi4r_lib.problems.sandbox import run_python\ncode, stdin, limits = json.load(sys.stdin)\nprint(json.dumps(vars(run_python(code, stdin, **limits))))"
    places = [str(ROOT), str(Path(find_spec("pyseccomp").origin).parent)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(places), "PYTHONDONTWRITEBYTECODE": "1"}
    words = ""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [python, "-c", script],
                input=json.dumps([code, stdin, LIMITS | changes]),
                capture_output=True,
                text=True,
                cwd="/",
                env=environment,
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
            )
        except OSError as error:
            words = str(error)
            continue
        if done.returncode == 0:
            return json.loads(done.stdout)
        words = done.stderr.strip().rpartition("\n")[2]
    pytest.skip(f"an ordinary user cannot run the sandbox here: {words}")


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="these tests run as an ordinary user already")


@pytest.mark.parametrize("what", ATTACKS)
def test_nothing_is_got(what):
    assert "free" not in run_python(ATTACKS[what], "fine", **LIMITS).stdout


@as_root
@pytest.mark.parametrize("what", ATTACKS)
def test_an_ordinary_users_program_gets_nothing(what):
    assert "free" not in ordinary(ATTACKS[what], "fine")["stdout"]


@pytest.mark.parametrize("what", HARMLESS)
def test_harmless_programs_work(what):
    result = run_python(HARMLESS[what], "fine", **LIMITS)
    assert (result.status, result.stdout.strip()) == ("ok", "fine"), result


@as_root
@pytest.mark.parametrize("what", HARMLESS)
def test_harmless_programs_of_an_ordinary_user_work(what):
    result = ordinary(HARMLESS[what], "fine")
    assert (result["status"], result["stdout"].strip()) == ("ok", "fine"), result


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_capped_over_all_processes(kind, counted, monkeypatch):
    if counted:
        monkeypatch.setattr(confine, "_make_cgroup", lambda cap: None)
    result = run_python(GREEDY.replace("KIND", KINDS[kind]), **LIMITS)
    assert result.status == "memory"


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_an_ordinary_users_processes_is_capped(kind):
    assert ordinary(GREEDY.replace("KIND", KINDS[kind]))["status"] == "memory"


@pytest.mark.parametrize("counted", [False, True])
def test_memory_below_the_cap_is_left_alone(counted, monkeypatch):
    if counted:
        monkeypatch.setattr(confine, "_make_cgroup", lambda cap: None)
    result = run_python(
        "b = bytearray(150 << 20)\nb[::4096] = b'x' * len(b[::4096])\nimport time; time.sleep(0.2)\nprint(len(b))",
        **LIMITS,
    )
    assert (result.status, result.stdout) == ("ok", f"{150 << 20}\n")


def test_no_cgroup_is_left_behind(monkeypatch):
    made, make = [], confine._make_cgroup  # only those of this process: another one's sandboxes come and go beside it
    monkeypatch.setattr(confine, "_make_cgroup", lambda cap: made.append(make(cap)) or made[-1])
    for program in ("print(1)", "import os\nif os.fork(): raise SystemExit\nimport time\ntime.sleep(60)"):
        run_python(program, **LIMITS)
    assert len(made) == 2 and [folder for folder in made if folder and folder.exists()] == []


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
def test_stdin_of_any_size_is_read_or_left_unread(size):
    text = "x" * size
    assert run_python("import sys\nprint(len(sys.stdin.read()))", text, **LIMITS).stdout == f"{size}\n"
    assert run_python("print('done')", text, **LIMITS).stdout == "done\n"
    assert run_python("import sys\nsys.stdin.close()\nprint('done')", text, **LIMITS).stdout == "done\n"


def test_without_libseccomp_programs_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    confine.system_call_filter.cache_clear()
    with pytest.raises(OSError, match="apt-get install libseccomp2"):
        confine.system_call_filter()
    monkeypatch.undo()
    assert confine.system_call_filter()
