"""Sweeps: cells kept and resumed, failing and killed cells, clear refusals, pairing of what is complete."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.settings.profile import UserError
from phi4r_lib.cookbook.sweeps.sweep import cells_of, finished, load_sweep, pass_rates, run_sweep, sweep_of, table

CELL = '''
import json, os, time
from pathlib import Path
import pandas as pd


def measure(cell):
    """A cell without training: says what it saw, and fails, dies or waits where its options ask for it."""
    log = cell.start.parent / "log"
    with log.open("a") as file:
        file.write(f"{cell.key} {os.getpid()}\\n")
    if cell.options.get("fail") == cell.seed:
        raise ValueError("no such rows")
    if cell.options.get("die") == cell.seed and not (cell.folder / "died").exists():
        (cell.folder / "died").touch()
        os.kill(os.getpid(), 9)
    time.sleep(cell.options.get("wait", 0))
    rate = cell.options.get("rate", 0.5) + 0.01 * cell.seed
    rates = [rate, rate / 2, rate / 4 + 0.001 * cell.seed**2]
    pd.DataFrame({"problem": ["a", "b", "c"], "rate": rates}).set_index("problem").to_parquet(cell.folder / "benchmark.parquet")
    return {"accuracy_benchmark": sum(rates) / 3}
'''


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep of two arms and three seeds whose cells only write files, and where it goes."""
    (tmp_path / "cell_module.py").write_text(CELL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    start = tmp_path / "start"
    (start / "01_edge").mkdir(parents=True)
    (start / "01_edge" / "results.json").write_text("{}")
    raw = {
        "name": "trial",
        "start": str(start),
        "cell": "cell_module:measure",
        "seeds": 3,
        "reference": "plain",
        "equal": "nothing",
        "common": {},
        "arms": {"plain": None, "better": {"rate": 0.6}},
    }
    return raw, tmp_path / "out"


def log_of(raw) -> Path:
    return Path(raw["start"]).parent / "log"


def calls(raw) -> list[str]:
    log = log_of(raw)
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_every_cell_runs_once_and_is_kept(sweep):
    raw, out = sweep
    found = run_sweep(sweep_of(raw), out, processes=2)
    assert set(found["state"]) == {"done"} and len(found) == 6
    assert sorted(calls(raw)) == sorted(f"{arm}-{seed}" for arm in raw["arms"] for seed in (1, 2, 3))
    heard = []
    run_sweep(sweep_of(raw), out, tell=lambda done, total, what: heard.append((done, total, what)))
    assert len(calls(raw)) == 6  # nothing ran again
    assert heard == [(6, 6, "6 of 6 cells kept")]


def test_only_what_changed_runs_again(sweep):
    raw, out = sweep
    run_sweep(sweep_of(raw), out)
    raw["arms"]["better"] = {"rate": 0.7}
    raw["seeds"] = 4
    run_sweep(sweep_of(raw), out)
    assert sorted(calls(raw)[6:]) == ["better-1", "better-2", "better-3", "better-4", "plain-4"]


def test_a_cell_runs_again_when_a_file_that_it_names_or_its_code_changed(sweep):
    raw, out = sweep
    raw["arms"]["better"]["files"] = ["01_edge/edge.jsonl"]
    rows = Path(raw["start"]) / "01_edge" / "edge.jsonl"
    rows.write_text('{"id": "a"}')
    run_sweep(sweep_of(raw), out)
    done = lambda: {cell.arm for cell in cells_of(sweep_of(raw), out) if finished(cell)}  # noqa: E731
    assert done() == {"plain", "better"}
    (Path(raw["start"]) / "01_edge" / "results.json").write_text('{"seconds": 1}')
    assert done() == {"plain", "better"}
    rows.write_text('{"id": "b"}')
    assert done() == {"plain"}
    module = out.parent / "cell_module.py"
    module.write_text("# a comment\n" + CELL)
    assert done() == {"plain"}
    module.write_text(CELL.replace("rate / 2", "rate / 3"))
    assert done() == set()


def test_an_average_waits_for_its_parts_and_changes_with_them(sweep):
    raw, out = sweep
    raw["arms"] = {"mean": {"average": ["slow", "plain"]}, "plain": {}, "slow": {"wait": 1.0}}
    run_sweep(sweep_of(raw), out, processes=2)
    order = calls(raw)
    for seed in (1, 2, 3):
        assert order.index(f"mean-{seed}") > max(order.index(f"slow-{seed}"), order.index(f"plain-{seed}"))
    raw["arms"]["slow"]["wait"] = 0.5
    undone = {cell.arm for cell in cells_of(sweep_of(raw), out) if finished(cell) is None}
    assert undone == {"slow", "mean"}


def test_a_failing_cell_is_written_down_and_the_others_go_on(sweep):
    raw, out = sweep
    raw["arms"]["bad"] = {"fail": 2}
    found = run_sweep(sweep_of(raw), out, processes=2)
    states = found.set_index(["arm", "seed"])["state"]
    assert states["bad", 2] == "failed" and (states.drop(("bad", 2)) == "done").all()
    assert "ValueError: no such rows" in found.set_index(["arm", "seed"])["reason"]["bad", 2]
    rates = pass_rates(sweep_of(raw), out)
    assert {arm: cells.shape for arm, cells in rates.items()} == {"plain": (2, 3), "better": (2, 3), "bad": (2, 3)}
    del raw["arms"]["bad"]["fail"]
    assert set(run_sweep(sweep_of(raw), out)["state"]) == {"done"}


def test_a_killed_cell_costs_only_itself_and_is_tried_again(sweep):
    raw, out = sweep
    raw["arms"]["better"]["die"] = 2
    found = run_sweep(sweep_of(raw), out, processes=1)
    states = found.set_index(["arm", "seed"])["state"]
    assert states["better", 2] == "failed" and (states.drop(("better", 2)) == "done").all()
    assert "process died" in found.set_index(["arm", "seed"])["reason"]["better", 2]
    before = len(calls(raw))
    assert set(run_sweep(sweep_of(raw), out)["state"]) == {"done"}
    assert calls(raw)[before:] == ["better-2"]


def test_a_killed_sweep_leaves_no_process_and_goes_on_where_it_stopped(sweep, tmp_path):
    raw, out = sweep
    raw["common"]["wait"] = 1.0
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps(raw))
    code = (
        "import sys, json; from pathlib import Path\n"
        "from phi4r_lib.cookbook.sweeps.sweep import run_sweep, sweep_of\n"
        "if __name__ == '__main__': run_sweep(sweep_of(json.load(open(sys.argv[1]))), Path(sys.argv[2]))\n"
    )
    script = tmp_path / "drive.py"
    script.write_text(code)
    driver = subprocess.Popen(
        [sys.executable, str(script), str(file), str(out)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    deadline = 0
    while len(calls(raw)) < 2 and deadline < 12_000:
        time.sleep(0.1)
        deadline += 1
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    worker = int(log_of(raw).read_text().splitlines()[-1].split()[1])
    for _ in range(6000):
        if not Path(f"/proc/{worker}").exists() and sys.platform == "linux":
            break
        time.sleep(0.1)
    assert sys.platform != "linux" or not Path(f"/proc/{worker}").exists()
    kept = sum(finished(cell) is not None for cell in cells_of(sweep_of(raw), out))
    assert kept >= 1
    before = len(calls(raw))
    assert set(run_sweep(sweep_of(raw), out, processes=2)["state"]) == {"done"}
    assert len(calls(raw)) - before == 6 - kept


def test_pass_rates_are_paired_by_seed_and_problem(sweep):
    raw, out = sweep
    run_sweep(sweep_of(raw), out)
    rates = pass_rates(sweep_of(raw), out)
    assert rates["plain"].shape == (3, 3)
    assert np.allclose(rates["plain"][:, 0], [0.51, 0.52, 0.53])
    assert np.allclose(rates["better"][:, 0] - rates["plain"][:, 0], 0.1)
    other = pd.DataFrame({"problem": ["a", "b", "x"], "rate": [0.1, 0.2, 0.3]}).set_index("problem")
    other.to_parquet(out / "cells" / "plain-2" / "benchmark.parquet")
    with pytest.raises(UserError, match="different problems"):
        pass_rates(sweep_of(raw), out)


def test_one_complete_seed_is_not_enough(sweep):
    raw, out = sweep
    raw["seeds"] = [5]
    run_sweep(sweep_of(raw), out)
    with pytest.raises(UserError, match="1 seeds are complete"):
        pass_rates(sweep_of(raw), out)
    assert table(sweep_of(raw), out)["state"].tolist() == ["done", "done"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": {}}, "arms"),
        ({"arms": {"../up": {}}}, "names a folder"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": "many"}, "seeds"),
        ({"reference": "nobody"}, "is no arm; arms are plain, better"),
        ({"name": "a/b"}, "name"),
        ({"colour": "red"}, "colour"),
        ({"start": "runs/does-not-exist"}, "does not exist; run the recipe first"),
        ({"arms": {"plain": {"set": {"sft.pases": 1}}}, "reference": None}, "did you mean 'sft.passes'"),
        ({"profile": "nothing"}, "unknown profile"),
    ],
)
def test_bad_sweeps_are_refused_before_anything_runs(sweep, change, message):
    raw, out = sweep
    with pytest.raises(UserError, match=message):
        cells_of(sweep_of(raw | change), out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tokenz": 4}, "arm 'b': 'tokenz'"),
        ({"files": ["nope.jsonl"]}, "nope.jsonl does not exist"),
        ({"grpo": True, "prompts": "no_prompts.jsonl"}, "no_prompts.jsonl does not exist"),
        ({"benchmarks": {"x": "no_contest.jsonl"}}, "no_contest.jsonl does not exist"),
    ],
)
def test_an_arm_that_cannot_train_is_found_before_another_one_trains(tmp_path, capsys, change, says):
    (tmp_path / "start").mkdir()
    for name in ("rows.jsonl", "contest.jsonl"):
        (tmp_path / "start" / name).write_text("{}\n")
    common = {"files": ["rows.jsonl"], "benchmarks": {"benchmark": "contest.jsonl"}}
    about = {"name": "odd", "start": str(tmp_path / "start"), "seeds": 2, "equal": "rows", "common": common}
    (tmp_path / "sweep.yaml").write_text(json.dumps(about | {"arms": {"a": {}, "b": change}}))
    assert main(["sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_file_that_is_no_sweep_is_named(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("name: x\n")
    with pytest.raises(UserError, match=r"s\.yaml: '(start|equal|arms|seeds)'"):
        load_sweep(file)


def test_shares_of_several_machines_make_the_whole_sweep_and_no_cell_twice(sweep):
    raw, out = sweep
    for number in (1, 2):
        run_sweep(sweep_of(raw), out, share=(number, 2))
    assert sorted(calls(raw)) == sorted(cell.key for cell in cells_of(sweep_of(raw), out))
    assert (run_sweep(sweep_of(raw), out)["state"] == "done").all() and len(calls(raw)) == 6


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_share_is_refused(text):
    from phi4r_lib.cookbook.sweeps.command import share_of

    assert share_of("2/8") == (2, 8)
    with pytest.raises(UserError, match="write it as I/N with I from 1 to N"):
        share_of(text)
