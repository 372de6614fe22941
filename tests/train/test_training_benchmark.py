"""The training benchmark runs both sides on the same rows and accounts for our step."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_both_sides_train_and_the_parts_are_named(tmp_path):
    spec = importlib.util.spec_from_file_location("training_benchmark", ROOT / "benchmarks" / "training.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    start, counts = bench.student(tmp_path), {"rows": 32, "prompts": 4, "steps": 2}
    rates = bench.sft_rates(start, tmp_path, counts)
    assert set(rates) == {"TRL, defaults", "ours"} and all(rate > 0 for rate in rates.values())
    steps, parts = bench.grpo_steps(start, tmp_path, counts)
    assert [len(seconds) for seconds in steps.values()] == [2, 2]
    assert set(parts) == {"sampling", "grading and reward", "reference model", "forward", "backward"}
    assert sum(parts.values()) < steps["ours"][1]  # the parts of the later steps, without overlap
