"""Trials from a notebook: cells shared between trials, settings of the run handed on, one name for one training."""

from pathlib import Path

import pandas as pd
import pytest

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.lessons.trial import refuse_other_trainings, run_trial, sweep_in
from phi4r_lib.cookbook.run import open_run
from phi4r_lib.cookbook.running.runner import forget_training
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.sweeps.sweep import cells_of, run_sweep, sweep_of
from phi4r_lib.problems.rows import write_rows

BASE = Path(__file__).parents[2] / "data" / "models" / "tiny-base" / "config.json"
COMMON = {
    "sft": False,
    "benchmarks": {"benchmark": "data/benchmarks/contest.jsonl"},
    "limit": 12,
    "runs": 2,
    "max_tokens": 12,
}
ARMS = {"cool": {"temperature": 0.2}, "warm": {"temperature": 1.5}}  # the base itself, asked at two temperatures


@pytest.mark.skipif(not BASE.is_file(), reason="the tiny models are missing")
@pytest.mark.slow
def test_a_training_has_the_same_result_alone_and_beside_another(tmp_path):
    """Weights and answers to the bit: with one thread each, the number of processes is a matter of speed only."""
    rows = [
        [{"role": "user", "content": f"Ann has {n} pens."}, {"role": "assistant", "content": f"<think> {n} </think> \\boxed{{{n}}}"}]
        for n in range(1, 41)
    ]  # fmt: skip
    write_rows(tmp_path / "start" / "rows.jsonl", ({"messages": messages} for messages in rows))
    common = COMMON | {"sft": True, "files": ["rows.jsonl"], "set": {"sft.passes": 2.0, "sft.block": 64}}
    about = {"name": "same", "start": str(tmp_path / "start"), "profile": "smoke", "equal": "all", "seeds": 2}
    sweep = sweep_of(about | {"common": common, "arms": {"plain": {}}})
    for name, processes in (("alone", 1), ("beside", 2)):
        assert set(run_sweep(sweep, tmp_path / name, processes=processes, threads=1)["state"]) == {"done"}
    for seed in (1, 2):
        alone, beside = (tmp_path / name / "cells" / f"plain-{seed}" for name in ("alone", "beside"))
        assert (alone / "model/model.safetensors").read_bytes() == (beside / "model/model.safetensors").read_bytes()
        answers = [pd.read_parquet(folder / "benchmark-answers.parquet") for folder in (alone, beside)]
        pd.testing.assert_frame_equal(*answers)


@pytest.mark.skipif(not BASE.is_file(), reason="the tiny models are missing")
def test_trials_share_cells_and_refuse_another_training_of_the_same_name(tmp_path):
    run = open_run("smoke", tmp_path / "run", {"sft.block": 128})
    heard = []
    first = run_trial(run, "one", ARMS, seeds=2, reference="cool", equal="the model", common=COMMON)
    assert [row.arm for row in first.comparisons] == ["warm"] and first.answers("warm").shape == (2, 12, 2)
    assert sorted(path.name for path in (run.out / "06_trial" / "cells").iterdir()) == [
        "cool-1", "cool-2", "warm-1", "warm-2"
    ]  # fmt: skip
    assert {path.name for path in run.reads.code} >= {"cells.py", "sft.py", "grpo.py", "evaluate.py"}
    arms = {"cool": ARMS["cool"], "hot": {"temperature": 2.0}}
    tell = lambda done, total, what: heard.append((done, total, what))  # noqa: E731
    second = run_trial(run, "two", arms, seeds=2, reference="cool", equal="the model", common=COMMON, tell=tell)
    assert heard[0] == (2, 4, "2 of 4 cells kept")
    assert (second.rates["cool"] == first.rates["cool"]).all()
    for line, words in zip(second.sentences().splitlines(), ("cool: ", "hot: "), strict=True):
        assert line.startswith(words)
    with pytest.raises(UserError, match="trial 'one' trained an arm 'warm' with other settings; give the arm of trial"):
        run_trial(run, "two", {"warm": {}}, seeds=2, equal="the model", common=COMMON)
    results = state.read_json(run.out / "06_trial" / "cells" / "warm-1" / "results.json")
    assert results["sweep"] == "one"  # what was there is untouched
    plain = open_run("smoke", tmp_path / "plain", {})
    marks = [mark_of(one, tmp_path / "elsewhere") for one in (run, plain)]
    assert marks[0] != marks[1]  # settings of the run reach its cells
    refuse_other_trainings(first.sweep, run.out / "06_trial")
    forget_training(run.out / "06_trial")  # as --force does
    assert not list((run.out / "06_trial").glob("cells/*/results.json"))


def mark_of(run, out):
    return cells_of(sweep_in(run, "one", {"arms": ARMS, "seeds": 2, "equal": "the model", "common": COMMON}), out)[
        0
    ].mark
