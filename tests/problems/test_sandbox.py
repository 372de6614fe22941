"""Thirty hostile programs: what the limits stop everywhere, what only bubblewrap stops, and what is refused without it."""

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from phi4r_lib.problems import sandbox
from phi4r_lib.problems.sandbox import SandboxUnavailable, run_python, sandbox_problem

# a busy machine gets more time by the clock; no program here depends on how much
LIMITS = {"wall_s": 60.0, "cpu_s": 20.0, "memory_mb": 256, "max_output_bytes": 5000, "scratch_mb": 2}
contained = pytest.mark.skipif(sandbox_problem() is not None, reason=str(sandbox_problem()))


def run(code, stdin="", **changes):
    return run_python(code, stdin, **LIMITS | changes, allow_unsandboxed=sandbox_problem() is not None)


def test_a_program_reads_and_prints():
    result = run("import math, sys\nprint(math.comb(5, 2), input())\nprint('e', file=sys.stderr)\nexit()", "é x\n")
    assert (result.status, result.stdout, result.stderr, result.returncode) == ("ok", "10 é x\n", "e\n", 0)
    assert result.sandboxed == (sandbox_problem() is None)


def test_equal_programs_print_equal_sets():
    code = "print({str(n) for n in range(50)})"
    assert run(code).stdout == run(code).stdout


# What time, memory and output limits stop with or without bubblewrap.
USING_UP = [
    ("while True: pass", {"cpu_s": 1.0}, "timeout"),
    ("import signal\nsignal.signal(signal.SIGXCPU, lambda *_: None)\nwhile True: pass", {"cpu_s": 1.0}, "timeout"),
    ("import time; time.sleep(500)", {"wall_s": 2.0}, "timeout"),
    ("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(500)", {"wall_s": 2.0}, "timeout"),
    ("9 ** 9 ** 9", {"cpu_s": 1.0}, "timeout"),
    ("import re; re.match('(a+)+$', 'a' * 60 + 'b')", {"cpu_s": 1.0}, "timeout"),
    ("x = [0] * 10 ** 9", {}, "memory"),
    ("x = 'a'\nwhile True: x += x", {}, "memory"),
    ("b = bytearray(1 << 30)", {}, "memory"),
    ("while True: print('a' * 1000)", {}, "output"),
    ("import sys\nwhile True: sys.stderr.write('a' * 1000)", {}, "output"),
    ("import os\nwhile True: os.write(1, b'\\xff' * 1000)", {}, "output"),
    ("f = open('big', 'wb')\nwhile True: f.write(b'a' * 100_000)", {}, "error"),
    ("def f(): f()\nf()", {}, "error"),
    ("import ctypes; ctypes.string_at(0)", {}, "error"),
    ("import os; os.abort()", {}, "error"),
    ("raise SystemExit(3)", {}, "error"),
    ("x = '", {}, "error"),
    ("\x00", {}, "error"),
    ("import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40)); b = bytearray(1 << 30)", {}, None),
]

# What only bubblewrap stops: each prints "free" when it gets out.
GETTING_OUT = {
    "read the host's files": "open('/etc/passwd').read(); print('free')",
    "read a private file": "open('PRIVATE').read(); print('free')",
    "write beside the program": "open('/program.py', 'a').write('#'); print('free')",
    "write to the system": "open('/usr/free', 'w'); print('free')",
    "write to the root": "open('/free', 'w'); print('free')",
    "write to shared memory": "open('/dev/shm/free', 'w'); print('free')",
    "reach the network": "import socket; socket.create_connection(('1.1.1.1', 53), 5); print('free')",
    "reach this machine": "import socket; socket.create_connection(('127.0.0.1', PORT), 5); print('free')",
    "see other processes": "import os\nif os.path.exists('/proc/PID/stat') and len([p for p in os.listdir('/proc') if p.isdigit()]) > 3: print('free')",
    "kill other processes": "import os; os.kill(PID, 0); print('free')",
    "read the environment": "import os\nif 'PHI4R_SECRET' in os.environ: print('free')",
    "become root again": "import os; os.setuid(0); print('free')",
    "mount": "import ctypes\nif ctypes.CDLL(None).mount(b'none', b'/scratch', b'tmpfs', 0, None) == 0: print('free')",
}


@pytest.mark.parametrize(("code", "limits", "status"), USING_UP)
def test_programs_that_use_things_up(code, limits, status):
    result = run(code, **limits)
    assert result.status != "ok"
    assert status in (None, result.status), result
    assert max(len(result.stdout), len(result.stderr)) <= LIMITS["max_output_bytes"]


@contained
@pytest.mark.parametrize("what", GETTING_OUT)
def test_programs_that_try_to_get_out(what, monkeypatch, tmp_path):
    monkeypatch.setenv("PHI4R_SECRET", "1")
    (tmp_path / "private").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = GETTING_OUT[what].replace("PID", str(os.getpid())).replace("PORT", str(server.getsockname()[1]))
        code = code.replace("PRIVATE", str(tmp_path / "private"))
        result = run(code)
    assert "free" not in result.stdout
    assert Path("/free").exists() is Path("/usr/free").exists() is Path("/dev/shm/free").exists() is False


@contained
def test_a_fork_bomb_meets_the_process_limit():
    code = "import os, time\nn = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            time.sleep(30); os._exit(0)\n        n += 1\nexcept OSError:\n    print(n)"
    result = run(code, max_processes=6)
    assert result.status == "ok"
    assert int(result.stdout) <= 6


@contained
def test_nothing_survives_the_program():
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(300)\n    open('late', 'w')\nprint('done')"
    result = run(code)
    assert (result.status, result.stdout) == ("ok", "done\n")
    assert result.seconds < LIMITS["wall_s"]


@contained
def test_scratch_can_be_written_up_to_its_size():
    code = "import os\nopen('a', 'w').write('x' * 1000)\nprint(os.getcwd(), os.listdir())\nfor n in range(9): open(str(n), 'wb').write(b'a' * 500_000)"
    result = run(code)
    assert result.stdout == "/scratch ['a']\n"
    assert "No space left" in result.stderr


def test_children_that_hold_the_pipes_are_not_waited_for():
    result = run("import os, time\nif os.fork() == 0: time.sleep(300)\nelse: print('done')")
    assert (result.status, result.stdout) == ("ok", "done\n")


def test_without_bubblewrap_untrusted_programs_are_refused(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxUnavailable, match=r"apt-get install bubblewrap.*WITHOUT.*allow_unsandboxed=True"):
        run_python("print(1)")
    result = run_python("print(1)", allow_unsandboxed=True, wall_s=60)
    assert (result.status, result.stdout, result.sandboxed) == ("ok", "1\n", False)


def test_a_bubblewrap_that_does_not_work_is_noticed(monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(broken))
    with pytest.raises(SandboxUnavailable, match=r"installed .* cannot make a sandbox here: bwrap: No permissions"):
        run_python("print(1)")


def test_limits_must_be_positive():
    with pytest.raises(ValueError, match="above zero"):
        run_python("print(1)", wall_s=0)


def test_this_python_is_the_one_inside():
    assert run("import sys; print(sys.version)").stdout.strip() == sys.version
    assert sandbox._limits(0.2, 1, 1, None)[0] == ("RLIMIT_CPU", 1, 2)
