"""Real notebooks through real papermill: what must be true whatever a notebook does."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.planning.plan import status_lines
from phi4r_lib.cookbook.running import progress, runner
from phi4r_lib.cookbook.settings import stages
from phi4r_lib.cookbook.settings.profile import UserError, load_profile

RESULTS = "run.write_results('{}', {{'n': 1}})"


def target(house, **overrides):
    return runner.Target("cpu", load_profile("cpu", overrides), house.root / "runs/cpu", overrides)


def run(house, force=False, **overrides):
    """Runs all notebooks; returns (succeeded, {number: last state told})."""
    told, aim = {}, target(house, **overrides)
    done = runner.run_notebooks(runner.choose(aim), aim, lambda stage, facts: told.update({stage.number: facts}), force)
    return done, told


def outdated(house, number, **overrides):
    return target(house, **overrides).folder().outdated(number)


def record(house, number):
    return state.read_json(house.root / "runs/cpu/run.json")["notebooks"][number]


def test_run_resume_and_rerun_of_what_changed(house):
    edge = "run.folder('01_edge').joinpath('edge.jsonl').write_text(str(run.profile.edge.limit))"
    house.notebook("01_edge.ipynb", edge, RESULTS.format("01_edge"))
    house.notebook(
        "02_rewrite.ipynb",
        "print(run.need('01_edge/edge.jsonl'), run.profile.rewrite.limit); import time; time.sleep(1)",
        RESULTS.format("02_rewrite"),
        needs=("01_edge/edge.jsonl",),
    )
    done, told = run(house)
    assert done and [facts["state"] for facts in told.values()] == ["done", "done"]
    assert record(house, "01")["peak_mb"] > 20
    assert (house.root / "runs/cpu/notebooks/02_rewrite.ipynb").is_file()
    done, told = run(house)
    assert done and [facts["state"] for facts in told.values()] == ["kept", "kept"]
    assert outdated(house, "01", **{"rewrite.limit": 3}) is None
    assert outdated(house, "02", **{"rewrite.limit": 3}) == "settings changed (rewrite)"
    assert outdated(house, "02", **{"mixture.rl": 3, "edge.limit": 3}) is None
    earlier = house.root / "runs/cpu/01_edge/edge.jsonl"
    earlier.write_text("other")
    assert outdated(house, "02") == "inputs changed (01_edge/edge.jsonl)"
    assert "since then inputs changed (01_edge/edge.jsonl)" in status_lines(house.root / "runs/cpu")[1]
    (house.root / "runs/cpu/01_edge/results.json").unlink()
    assert outdated(house, "01") == "no results yet"


def test_status_says_that_an_earlier_stage_changed(house):
    """01 is edited after both ran: what 02 read is unchanged as yet, but it stands on results that no longer hold."""
    edge = "run.folder('01_edge').joinpath('edge.jsonl').write_text('rows')"
    house.notebook("01_edge.ipynb", edge, RESULTS.format("01_edge"))
    house.notebook(
        "02_rewrite.ipynb",
        "run.need('01_edge/edge.jsonl')",
        RESULTS.format("02_rewrite"),
        needs=("01_edge/edge.jsonl",),
    )
    assert run(house)[0]
    assert "stands on" not in "\n".join(status_lines(house.root / "runs/cpu"))
    house.notebook("01_edge.ipynb", "more = 1", edge, RESULTS.format("01_edge"))
    assert "stands on 01, which changed since" in status_lines(house.root / "runs/cpu")[1]


def test_a_notebook_edited_while_it_runs_is_not_done(house):
    """It edits itself as a reader would in JupyterLab, after its kernel has started."""
    path = house.root / "notebooks/01_edge.ipynb"
    edit = f"p = __import__('pathlib').Path({str(path)!r}); p.write_text(p.read_text().replace('answer = 1', 'answer = 2'))"
    house.notebook("01_edge.ipynb", edit, "answer = 1", RESULTS.format("01_edge"))
    assert run(house)[0]
    assert outdated(house, "01") == "notebook changed"


def test_a_stage_that_needs_what_no_one_makes_is_refused_before_anything_runs(house):
    house.notebook("01_edge.ipynb", RESULTS.format("01_edge"))
    house.notebook("03_sft.ipynb", RESULTS.format("03_sft"), needs=("01_edge/edge.jsonl", "02_rewrite/sft"))
    with pytest.raises(UserError, match="03_sft needs 02_rewrite/sft, which is not in runs/cpu"):
        run(house)
    assert not (house.root / "runs").exists()


def test_what_measures_every_model_runs_again_after_a_later_stage_has_trained_one(house):
    train = "import json; (run.folder('{0}/model') / 'config.json').write_text('{{}}')"
    measure = "run.write_results('05_variance', {'measured': list(run.models())})"
    house.notebook("03_sft.ipynb", train.format("03_sft"), RESULTS.format("03_sft"))
    house.notebook("05_variance.ipynb", measure, needs=("*/model",))
    house.notebook("07_mini.ipynb", train.format("07_mini/2_dpo"), RESULTS.format("07_mini"))
    assert run(house)[0]
    results = state.read_json(house.root / "runs/cpu/05_variance/results.json")
    assert results["measured"] == ["sft", "mini_dpo"]
    assert [facts["state"] for facts in run(house)[1].values()] == ["kept"] * 3


def test_killed_kernel_is_a_failure_and_old_results_do_not_count(house):
    house.notebook(
        "01_edge.ipynb", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", RESULTS.format("01_edge")
    )
    stale = house.root / "runs/cpu/01_edge/results.json"
    stale.parent.mkdir(parents=True)
    stale.write_text('{"n": 0}')
    done, told = run(house)
    assert not done
    assert told["01"]["state"] == "failed" and "memory" in told["01"]["message"]
    assert not stale.exists()
    assert stale.with_name("results.previous.json").read_text() == '{"n": 0}'


def test_quiet_exit_before_the_last_cell_is_a_failure(house):
    house.notebook("01_edge.ipynb", "import sys; sys.exit(0)", RESULTS.format("01_edge"))
    done, told = run(house)
    assert not done and told["01"]["state"] == "failed"
    assert record(house, "01")["status"] == "failed"


def test_failing_cell_is_shown_and_nothing_outlives_it(house):
    """One notebook: a detached child, file sockets instead of ports, a progress-bar flood, then an error."""
    house.notebook(
        "01_edge.ipynb",
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\nprint('child', child.pid)",
        "from ipykernel.connect import get_connection_info\nprint('transport', get_connection_info(unpack=True)['transport'])",
        "import time\nfrom tqdm import tqdm\nfor _ in tqdm(range(300)):\n    time.sleep(0.002)",
        "print('flushed before the crash')\n1 / 0",
    )
    house.notebook("02_rewrite.ipynb", RESULTS.format("02_rewrite"))
    done, told = run(house)
    assert not done and list(told) == ["01"]
    assert "ZeroDivisionError" in told["01"]["message"] and "1 / 0" in told["01"]["message"]
    log = (house.root / "runs/cpu/notebooks/01_edge.log").read_text()
    assert "transport ipc" in log and "flushed before the crash" in log
    assert log.count("it/s") < 10
    child = int(log.partition("child ")[2].split()[0])
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGKILL, -9)])
def test_however_the_runner_ends_nothing_is_left_and_status_is_true(house, sent, code):
    house.notebook("01_edge.ipynb", "import time; print('asleep'); time.sleep(600)")
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", "run"]
    log = house.root / "runs/cpu/notebooks/01_edge.log"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=house.heed_signals, **pipes) as process:
        assert waited(lambda: log.is_file() and "asleep" in log.read_text(), 900)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == code and "Traceback" not in errors
    assert waited(lambda: not left_behind(house), 600)
    assert ("killed" if code < 0 else "interrupted") in status_lines(house.root / "runs/cpu")[0]


def waited(true, seconds):
    """Whether something becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not true():
        time.sleep(0.2)
    return true()


def left_behind(house):
    """Processes of this house that still live."""
    return [p for p in psutil.process_iter() if _home_of(p) == str(house.root) and p.pid != os.getpid()]


def _home_of(process):
    try:
        return process.environ().get("PHI4R_HOME")
    except (psutil.Error, OSError):
        return None


@pytest.mark.parametrize(
    ("parameters", "tag", "missing"),
    [
        ('profil = "cpu"\nout = "runs/cpu"\noverrides = {}', "parameters", "profile"),
        ('profile = "cpu"\nout = "runs/cpu"\noverrides = {}', "parameter", "out, overrides, profile"),
    ],
)
def test_notebook_that_would_run_its_defaults_is_refused(house, parameters, tag, missing):
    house.notebook("01_edge.ipynb", RESULTS.format("01_edge"), parameters=parameters, tag=tag)
    with pytest.raises(UserError, match=missing):
        run(house)
    assert not (house.root / "runs").exists()


def test_defaults_that_contain_an_equals_sign_are_seen(house):
    parameters = 'profile = "cpu"\nout = "runs/a=b"\noverrides = {"data.map": {"answer_type": "=number"}}'
    assert stages.read(house.notebook("01_edge.ipynb", parameters=parameters)).fault is None


def test_one_runner_at_a_time(house):
    house.notebook("01_edge.ipynb")
    with runner.locked(house.root / "runs/cpu"), pytest.raises(UserError, match="another `phi4r run`"):
        run(house)


def test_a_look_at_a_run_writes_nothing_and_keeps_nobody_away(house):
    import fcntl

    out = house.root / "runs/cpu"
    assert not runner.at_work(out) and not out.exists()
    with runner.locked(out):
        assert runner.at_work(out)
    assert not runner.at_work(out)
    with (out / ".lock").open() as other:  # another look at the same moment
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not runner.at_work(out)


def test_unknown_notebook_is_named(house):
    house.notebook("01_edge.ipynb")
    with pytest.raises(UserError, match="01_edge"):
        runner.choose(target(house), only=["07"])


def test_plain_log_gets_a_line_every_few_seconds_not_a_flood(house, capsys):
    tell = progress.Progress(every_s=1000)
    book = stages.read(house.notebook("01_edge.ipynb"))
    for cell in range(50):
        tell(book, {"state": "running", "cell": cell, "cells": 50, "seconds": 1.0, "peak_mb": 2.0})
    tell(book, {"state": "done", "seconds": 3.0, "peak_mb": 4.0})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "cell 1/50" in lines[0] and "done in 3 s" in lines[1]


def test_a_disk_without_locks_holds_nobody_up(house, monkeypatch, capsys):
    import errno

    from phi4r_lib.cookbook.running import runner

    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(runner.fcntl, "flock", none)
    with runner.locked(house.root / "runs/cpu"):
        assert "note: no lock on runs/cpu (No locks available): start no second run in it" in capsys.readouterr().err
