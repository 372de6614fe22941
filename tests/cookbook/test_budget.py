"""A budget and a request to end stop a run in order: what exists is kept, the code says which it was, the same command goes on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.planning.plan import recorded, status_lines
from phi4r_lib.cookbook.running import budget
from phi4r_lib.cookbook.settings.home import BUDGET, Stopped, UserError

RESULTS = "run.write_results('{0}', {{'n': 1}})"
TRAIN = """
import json
from pathlib import Path
from phi4r_lib.train.settings import SftSettings
from phi4r_lib.train.sft import run_sft
facts = json.loads((Path(run.out).parents[1] / "job.json").read_text())
report = run_sft(facts["base"], [facts["traces"]], run.folder("03_train"), SftSettings(**facts["settings"]), device="cpu")
print("resumed", report.resumed, "steps", report.steps)
"""


@pytest.mark.parametrize(
    ("text", "limit"), [("90s", 90), ("2.5h", 9000), ("3 m", 180), ("1d", 86_400), ("40", 40), ("12.5 USD", 12.5)]
)
def test_times_and_money(text, limit):
    assert budget.parse(text, {"01": 0.5}, "USD").limit == limit


@pytest.mark.parametrize("text", ["", "h", "-3h", "0h", "3 EUR", "3hours", "nan", "1e3h"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(UserError, match="give a time such as 90m"):
        budget.parse(text, {"01": 0.5}, "USD")


def test_money_needs_a_price_and_counts_the_devices_of_each_stage():
    with pytest.raises(UserError, match="the price of this device is unknown"):
        budget.parse("40 USD", {"01": 0.1, "03": None}, "USD")
    ours = budget.parse("10", {"01": 0.5, "03": 2.0}, "USD")
    ours.check("01", 10)
    ours.close("01", 10)  # five spent
    ours.check("03", 2)
    with pytest.raises(Stopped, match="the budget of 10 USD is spent") as stop:
        ours.check("03", 2.5)
    assert stop.value.code == BUDGET == 3


def test_a_spent_budget_keeps_what_is_done_and_the_same_command_goes_on(house, capsys):
    """The budget is some times what a small notebook takes here, so that the slow one is at work when it is spent."""
    house.notebook("01_edge.ipynb", RESULTS.format("01_edge"))
    house.notebook(
        "02_slow.ipynb",
        "import os, time\nfrom pathlib import Path\nmark = run.folder('02_slow') / 'kept.txt'",
        "if not mark.exists():\n    mark.write_text('half')\n    time.sleep(600)",
        RESULTS.format("02_slow"),
    )
    began = time.monotonic()
    assert main(["run", "--only", "01"]) == 0
    spend = f"{5 * (time.monotonic() - began):.0f}s"
    assert main(["run", "--budget", spend]) == 3
    out = capsys.readouterr().out
    assert f"the budget of {spend} is spent; all that exists is kept, run the same command to go on from here" in out
    assert "report: " in out and (house.root / "runs/cpu/report.html").exists()
    lines = status_lines(house.root / "runs/cpu")
    assert "done" in lines[0] and "interrupted" in lines[1] and f"the budget of {spend} is spent" in lines[1]
    assert (house.root / "runs/cpu/02_slow/kept.txt").read_text() == "half"
    assert main(["run", "--budget", "1h"]) == 0
    assert "kept: results are up to date" in capsys.readouterr().out
    noted = json.loads((house.root / "runs/cpu/run.json").read_text())["notebooks"]
    assert noted["02"]["resumed"] and not noted["01"]["resumed"]
    assert "went on from kept work" in status_lines(house.root / "runs/cpu")[1]


def test_what_a_notebook_took_comes_from_a_whole_run_where_there_is_one(house):
    for name, seconds, resumed in (("old", 200.0, False), ("new", 20.0, True)):
        facts = {"status": "done", "seconds": seconds, "peak_mb": 9, "resumed": resumed}
        manifest = house.root / "runs" / name / "run.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"profile": {"name": "cpu"}, "notebooks": {"04": facts}}))
    out = house.root / "runs"
    assert recorded(out / "new", "cpu") == {"04": (200.0, 9)}
    (out / "old/run.json").unlink()
    assert recorded(out / "new", "cpu") == {"04": (20.0, 9)}


def test_a_wrong_budget_changes_nothing(house, capsys):
    house.notebook("01_edge.ipynb", RESULTS.format("01_edge"))
    assert main(["run", "--budget", "much"]) == 2
    assert "--budget 'much'" in capsys.readouterr().err and not (house.root / "runs").exists()


def test_status_and_report_show_what_was_planned(house, capsys):
    house.notebook("03_train.ipynb", RESULTS.format("03_train"))
    out = house.root / "runs/cpu"
    assert main(["run"]) == 0
    manifest = json.loads((out / "run.json").read_text())
    manifest["planned"]["03"] = {"seconds": [20, 30, 100], "money": None}
    (out / "run.json").write_text(json.dumps(manifest))
    assert "planned 20 / 30 / 100 s" in status_lines(out)[0]
    assert main(["report"]) == 0
    page = (out / "report.html").read_text()
    assert "planned: best / expected / worst" in page and page.count("20 / 30 / 100 s") == 1
    assert main(["run", "--force"]) == 0  # planned anew from the run before, where nothing else is known
    low, expected, high = json.loads((out / "run.json").read_text())["planned"]["03"]["seconds"]
    assert low == pytest.approx(expected / 1.5) and high == pytest.approx(expected * 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_asked_to_end_a_training_writes_its_checkpoint_and_goes_on(house, shared_base_dir, processes):
    """SIGTERM to `phi4r run`: code 75, a whole checkpoint after the running step, and the next call goes on from it."""
    job = {"base": str(shared_base_dir), "traces": str(house.root / "traces.jsonl")}
    launch = {"processes": processes}
    job["settings"] = {
        "passes": 60.0, "learning_rate": 1e-4, "batch_size": 2, "block": 64, "warmup_steps": 1, "weight_decay": 0.0,
        "eval_every": 100_000, "eval_problems": 1, "launch": launch,
    }  # fmt: skip
    (house.root / "job.json").write_text(json.dumps(job))
    write_traces(Path(job["traces"]))
    house.notebook("03_train.ipynb", TRAIN, RESULTS.format("03_train"))
    metrics = house.root / "runs/cpu/03_train/training/metrics.jsonl"
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", "run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert waited(lambda: metrics.is_file() and metrics.read_text().count("\n") > 20, 900)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 75 and "asked to end (SIGTERM); run the same command to go on from here" in errors
    (checkpoint,) = (house.root / "runs/cpu/03_train/training/checkpoints").glob("checkpoint-*")
    step = int(checkpoint.name.partition("-")[2])
    assert step > 20 and (checkpoint / "whole.json").exists()
    assert "interrupted" in status_lines(house.root / "runs/cpu")[0]
    job["settings"]["launch"] = {"processes": 1}  # where it trains is no part of what it is
    (house.root / "job.json").write_text(json.dumps(job))
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (house.root / "runs/cpu/notebooks/03_train.log").read_text()
    assert "resumed True" in log
    rows = [json.loads(line) for line in (house.root / "runs/cpu/03_train/metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if row["kind"] == "train"]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > step


def write_traces(file):
    with file.open("w") as out:
        for a in range(1, 17):
            text = f"<think> {a} + 1 = {a + 1} </think> \\boxed{{{a + 1}}}"
            user = {"role": "user", "content": f"what is {a} + 1 ?"}
            out.write(json.dumps({"id": f"r{a}", "messages": [user, {"role": "assistant", "content": text}]}) + "\n")


def waited(true, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until and not true():
        time.sleep(0.1)
    return true()
