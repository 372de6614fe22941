"""Runs side by side, kernels that do not start or never end, and what is left of runs that were killed."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.running import processes, runner
from phi4r_lib.cookbook.running.processes import PREFIX, scratch, sweep
from phi4r_lib.cookbook.settings.profile import load_profile

CLI = [sys.executable, "-m", "phi4r_lib.cookbook.cli"]
RESULTS = "run.write_results('01_edge', {'n': 1})"
UNSHARE = ["unshare", "--mount", "sh", "-c"]


def run(house, **overrides):
    """Runs all notebooks; returns (succeeded, message of the first failure)."""
    told = {}
    target = runner.Target("cpu", load_profile("cpu", overrides), house.root / "runs/cpu", overrides)
    done = runner.run_notebooks(runner.choose(target), target, lambda book, facts: told.update(facts))
    return done, told.get("message")


def start(*args, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*CLI, "run", *args], **pipes, **options)


def waited(true, seconds=600):
    """Whether something becomes true in time; the limit is for a machine that hangs."""
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(true())


def test_four_runs_that_start_together_in_one_checkout(house):
    """Each notebook waits for the kernels of all, so they are sure to live at the same time."""
    house.notebook(
        "01_edge.ipynb",
        "import pathlib, time\nhere = run.out.parent\n(here / f'{run.out.name}.up').touch()\n"
        "while len(list(here.glob('*.up'))) < 4:\n    time.sleep(0.1)",
        RESULTS,
    )
    four = [start("--out", f"runs/{name}") for name in "abcd"]
    printed = [process.communicate(timeout=3600)[0] for process in four]
    assert [process.returncode for process in four] == [0, 0, 0, 0], printed
    assert sorted(path.name for path in (house.root / "notebooks").iterdir()) == ["01_edge.ipynb", "profiles"]


def _can_unshare():
    probe = [*UNSHARE, "mount --bind /tmp /tmp && mount -o remount,ro,bind /tmp"]
    return shutil.which("unshare") and subprocess.run(probe, capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_unshare(), reason="needs root, to mount the checkout read-only")
def test_a_read_only_checkout_runs_into_a_folder_elsewhere(house, tmp_path_factory):
    out = tmp_path_factory.mktemp("elsewhere") / "run"
    house.notebook("01_edge.ipynb", RESULTS)
    mounted = f"mount --bind {house.root} {house.root} && mount -o remount,ro,bind {house.root} && exec"
    done = subprocess.run(
        [*UNSHARE, f"{mounted} {' '.join(CLI)} run --out {out}"], capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run([*UNSHARE, f"{mounted} {' '.join(CLI)} run"], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 2 and "Read-only" in done.stderr and "Traceback" not in done.stderr


def _kernel_that(house, monkeypatch, source):
    """Puts a module of that source in the place of ipykernel's launcher."""
    (house.root / "ipykernel_launcher.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(house.root), os.environ.get("PYTHONPATH", "")]))
    house.notebook("01_edge.ipynb", RESULTS)


def test_the_kernels_own_reason_is_shown(house, monkeypatch):
    _kernel_that(house, monkeypatch, "raise OSError(30, 'made to fail', '/some/socket')\n")
    done, message = run(house)
    assert not done
    assert "kernel did not start" in message and "made to fail: '/some/socket'" in message


def test_a_start_that_never_ends_has_a_deadline(house, monkeypatch):
    _kernel_that(house, monkeypatch, "import time\ntime.sleep(600)\n")
    done, message = run(house, **{"deadlines.start_seconds": 2})
    assert not done and "kernel did not start" in message and "deadlines.start_seconds" in message


def test_a_cell_that_never_ends_has_a_deadline(house):
    house.notebook("01_edge.ipynb", "import time\ntime.sleep(600)", RESULTS)
    done, message = run(house, **{"deadlines.cell_hours": 0.0005})
    assert not done and "ran longer than" in message and "deadlines.cell_hours" in message


def _executors(house):
    """Processes that execute a notebook of this house."""
    return [p for p in psutil.process_iter() if _environment(p).get(processes.RUN) == str(house.root / "runs/cpu")]


def _environment(process):
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def test_an_executor_whose_runner_is_killed_at_once_does_nothing(house):
    """The runner gets a real SIGKILL as soon as its executor exists, long before that has loaded anything."""
    house.notebook("01_edge.ipynb", "run.folder('01_edge').joinpath('rows').open('a').write('x')", RESULTS)
    with start() as process:
        assert waited(lambda: _executors(house))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=600)
    assert waited(lambda: not _executors(house))
    assert not (house.root / "runs/cpu/01_edge").exists()
    done, message = run(house)
    assert done, message
    assert (house.root / "runs/cpu/01_edge/rows").read_text() == "x"


def test_a_new_call_ends_what_an_old_one_left_in_the_folder(house):
    out = house.root / "runs/cpu"
    left = subprocess.Popen(["sleep", "600"], env=os.environ | {processes.RUN: str(out)}, start_new_session=True)
    other = subprocess.Popen(["sleep", "600"], env=os.environ | {processes.RUN: str(out) + "2"})
    house.notebook("01_edge.ipynb", f"import os\nopen('/proc/{left.pid}/stat').read().split()[2]", RESULTS)
    try:
        run(house)
        assert left.poll() is not None and other.poll() is None
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


@pytest.fixture
def place():
    """A folder for temporary files with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        yield Path(folder)


def test_hang_up_ends_a_run_in_order(house, place):
    house.notebook("01_edge.ipynb", "import time; print('asleep'); time.sleep(600)")
    log = house.root / "runs/cpu/notebooks/01_edge.log"
    with start(env=os.environ | {"TMPDIR": str(place)}, preexec_fn=house.heed_signals) as process:
        assert waited(lambda: log.is_file() and "asleep" in log.read_text())
        assert len(list(place.glob(PREFIX + "*"))) == 1
        process.send_signal(signal.SIGHUP)
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == 130 and "Traceback" not in printed
    assert not list(place.glob(PREFIX + "*"))
    assert state.read_json(house.root / "runs/cpu/run.json")["notebooks"]["01"]["status"] == "interrupted"


def test_folders_of_the_dead_are_swept_and_those_of_the_living_stay(place, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(place))
    dead, alive = place / f"{PREFIX}dead", place / f"{PREFIX}alive"
    for folder in (dead, alive):
        (folder / "tmp").mkdir(parents=True)
        (folder / "lock").touch()
    (place / "someone-elses").mkdir()
    with (alive / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with scratch() as mine:
            assert not dead.exists() and alive.exists() and mine.is_dir()
            assert sweep(place) == 0 and mine.is_dir()
    assert sorted(path.name for path in place.iterdir()) == [alive.name, "someone-elses"]


def test_on_a_disk_without_locks_nothing_is_taken_for_dead(place, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setattr("fcntl.flock", none)
    with scratch() as one, scratch() as other:
        assert sweep(place) == 0 and one.is_dir() and other.is_dir()
    assert list(place.iterdir()) == []


def test_a_long_place_for_temporary_files_leaves_sockets_short_paths(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with scratch() as folder:
        assert len(str(folder / "runtime" / "12345678-5")) < 100
