"""Notebook 04 killed through `phi4r run`, once at every boundary: the reader types the same command again, and nothing is lost or another."""

import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from test_runner import left_behind, waited

SFT = """
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.settings import SftSettings
from phi4r_lib.train.sft import run_sft
settings = SftSettings(
    passes=32, learning_rate=1e-2, batch_size=2, block=64, warmup_steps=1, weight_decay=1e-4, schedule="constant",
    eval_every=999, eval_problems=1, eval_max_tokens=24)
run_sft("{base}", ["{rows}"], run.folder("03_sft"), settings, device="cpu")
"""
# Ends the runner alone or everything at once, at the place that $KILL names; the kernel waits there for its end.
KILLER = """
import os, sys, time
from pathlib import Path
import psutil
asked, _, how = os.environ.get("KILL", "").rpartition("@")

def reach(place):
    if place == asked:
        executor = psutil.Process().parent()
        executor.parent().kill()
        if how == "all":
            executor.kill()
            psutil.Process().kill()
        time.sleep(900)

def heed(event, args):
    if event == "os.rename" or (event == "open" and args[1] == "w"):
        path = Path(os.fsdecode(args[1] if event == "os.rename" else args[0]))
        reach(f"{event} {path.parent.name}/{path.name}")

sys.addaudithook(heed)
"""
GRPO = """
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train import callbacks, grpo, rollouts
from phi4r_lib.train.settings import GrpoSettings
rewarded = 0

def paid(self, *args, reward=rollouts.RewardFunction.__call__, **kwargs):
    global rewarded
    rewarded += 1
    reach(f"reward {rewarded}")
    return reward(self, *args, **kwargs)

def written(self, kind, step, values, write=callbacks.Journal.write):
    write(self, kind, step, values)
    reach(f"{kind} {step}")

rollouts.RewardFunction.__call__, callbacks.Journal.write = paid, written
settings = GrpoSettings(
    steps=5, prompts=4, group=4, micro_batches=2, learning_rate=1e-3, warmup_steps=1, beta=0.001, entropy=0.001,
    temperature=1.0, max_tokens=24, max_clipped=1.0, eval_every=2, eval_problems=12)
checks = [Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="test", licence="MIT") for a in range(1, 13)]
reach("before")
report = grpo.run_grpo(run.need("03_sft/model"), "{rows}", run.folder("04_grpo"), settings, validation=checks, device="cpu")
reach("trained")
"""
RESULTS = "run.write_results('04_grpo', {'chosen': report.chosen_step, 'steps': report.steps}); reach('results')"
# Where a call ends; each goes on where the one before it came to. An event tells of a change of a file before it is made.
BOUNDARIES = (
    "before@all",
    "reward 1@runner",  # inside the first step
    "validation 2@all",
    "open checkpoint-2/trainer_state.json@runner",  # its weights are written, so it is there in part
    "reward 3@all",  # inside a step after a whole checkpoint
    "open checkpoint-4/trainer_state.json@all",
    "os.rename training/training.json@runner",  # the training's end is about to be noted,
    "os.rename 04_grpo/training.json@all",  # and its model has moved
    "trained@runner",
    "os.rename 04_grpo/results.json@all",  # written under its hidden name
    "results@runner",
)


def rows(folder):
    """Sums as traces and as prompts; a third of the traces is wrong, so that rollouts are mixed."""
    path = folder / "rows.jsonl"
    lines = []
    for a in range(1, 13):
        b = a + 1 if a % 3 else 5
        user = {"role": "user", "content": f"what is {a} + 1 ?"}
        reply = {"role": "assistant", "content": f"<think> {a} + 1 = {b} </think> \\boxed{{{b}}}"}
        lines.append({"id": f"r{a}", "messages": [user, reply], "prompt": [user], "answer": str(a + 1)})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def outcome(out):
    """Weights and texts of the model, journal and rollouts without their seconds, results; and every file's name."""
    folder = out / "04_grpo"
    model = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    journal = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in journal:
        row.pop("seconds_sampling", None), row.pop("step_time", None)
    table = [pd.read_parquet(path).to_json() for path in sorted(folder.glob("rollouts-*.parquet"))]
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return model, journal, table, {key: results[key] for key in ("chosen", "steps")}, names


@pytest.mark.slow
def test_a_training_killed_at_every_boundary_is_that_of_an_unkilled_run(house, shared_base_dir):
    data = rows(house.root)
    house.notebook(
        "03_sft.ipynb",
        SFT.replace("{base}", str(shared_base_dir)).replace("{rows}", str(data)),
        "run.write_results('03_sft', {})",
    )
    house.notebook("04_grpo.ipynb", KILLER, GRPO.replace("{rows}", str(data)), RESULTS, needs=("03_sft/model",))

    def call(out, kill=""):
        command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", "run", "--out", out]
        return subprocess.run(
            command, env=os.environ | {"KILL": kill, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
        )

    assert (whole := call("straight")).returncode == 0, whole.stdout + whole.stderr
    wanted = outcome(house.root / "straight")
    checked = [row["accuracy"] for row in wanted[1] if row["kind"] == "validation"]
    assert max(checked) > 0 and len(set(checked)) > 1, "nothing to choose, so that little would be compared"
    for boundary in BOUNDARIES:
        killed = call("killed", boundary)
        assert killed.returncode == -signal.SIGKILL, (boundary, killed.stdout, killed.stderr)
    last = call("killed")
    assert last.returncode == 0, last.stdout + last.stderr
    assert waited(lambda: not left_behind(house), 600)
    assert outcome(house.root / "killed") == wanted
    assert not list((house.root / "killed").rglob("*.partial"))
