"""The GPU benchmark runs at toy size on a CPU, and what it cannot run is a row with the reason."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = spec_from_file_location("gpu_benchmark", ROOT / "benchmarks/gpu.py")
benchmark = module_from_spec(SPEC)
SPEC.loader.exec_module(benchmark)


@pytest.mark.slow
def test_toy_run_writes_a_whole_record(tmp_path):
    out = tmp_path / "record.json"
    parts = ["decode-135m", "batching-135m", "sft-14b-width", "grpo", "grpo-1b"] + ["vllm-135m"] * (
        not find_spec("vllm")
    )
    command = [sys.executable, "benchmarks/gpu.py", "--toy", "--out", str(out), "--only", *parts, "--limit", "1700"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(out.read_text())
    assert record["toy"] and record["versions"]["torch"] and set(record["seconds"]) == set(parts)
    rows = {(row["part"], row["way"]): row for row in record["rows"]}
    figures = {key: row for key, row in rows.items() if "error" not in row}
    for key in (("decode-135m", "phi4r"), ("decode-135m", "generate"), ("sft-14b-width", "as it is")):
        assert figures[key]["tokens_per_second"] > 0
    assert figures["sft-14b-width", "selective checkpointing"]["loss_first"] == pytest.approx(
        figures["sft-14b-width", "as it is"]["loss_first"], rel=1e-2
    )
    for key in (("grpo", "profile cpu, no group dropped"), ("grpo-1b", "random, 8 x 8 x 512 tokens")):
        assert figures[key]["seconds_step"] > 0 and figures[key]["mfu_update"] > 0
    reasons = {row["error"] for row in rows.values() if "error" in row}
    reasons -= {"not run: vLLM is not installed"}
    assert reasons == {"not run: it waits without end on a CPU", "not run: layers are compiled on a GPU only"}
    assert all(f"{part:<14} {way:<30}" in done.stdout for part, way in rows)


def test_a_part_that_dies_or_hangs_is_a_row(tmp_path):
    out = tmp_path / "record.json"
    command = [sys.executable, "benchmarks/gpu.py", "--toy", "--out", str(out), "--only", "grpo", "--limit", "5"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=1800).returncode == 0
    assert json.loads(out.read_text())["rows"] == [{"part": "grpo", "way": "-", "error": "not run: no time left"}]


def test_one_call_names_every_part_also_those_that_are_calls_of_their_own(tmp_path):
    out = tmp_path / "record.json"
    command = [sys.executable, "benchmarks/gpu.py", "--toy", "--out", str(out), "--limit", "5"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=1800).returncode == 0
    said = {row["part"]: row["error"] for row in json.loads(out.read_text())["rows"]}
    assert set(said) == set(benchmark.LIMITS)
    for part, reason in said.items():
        alone = f"not run: ask for it alone, --only {part} --limit 590"
        assert reason == (alone if part in benchmark.APART else "not run: no time left")


def test_a_notebook_says_where_its_time_went(tmp_path):
    book = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["text"]}]}
    for took, lines in ((1.24, ["a\n", "b"]), (9.0, ["slow()"]), (None, ["c"]), (2.0, ["d"])):
        about = {"papermill": {"duration": took}} if took else {}
        book["cells"].append({"cell_type": "code", "metadata": about, "source": lines})
    file = tmp_path / "03.ipynb"
    file.write_text(json.dumps(book))
    assert benchmark._cells(file) == {
        "seconds_in_cells": 12.2,
        "longest_cells": [[9.0, "slow()"], [2.0, "d"], [1.2, "b"]],
    }
    assert benchmark._cells(tmp_path / "none.ipynb") == {}


def test_a_record_says_which_code_was_measured(tmp_path):
    """With .git the commit; a copy without it, even inside another repository, None; the mark of the sources is the same."""
    code = "import gpu; print(gpu.commit_here(), gpu.sources())"
    copy = tmp_path / "other" / "copy"
    copy.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path / "other")], check=True)
    for name in ("phi4r_lib", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "records"))
    run = {"capture_output": True, "text": True, "check": True}
    here, there = (
        subprocess.run([sys.executable, "-c", code], cwd=root / "benchmarks", **run).stdout.split()
        for root in (ROOT, copy)
    )
    assert there[0] == "None" and here[1] == there[1]
    top = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    assert here[0].partition("+")[0] == (top.stdout.strip() or "None")
    (copy / "phi4r_lib" / "new.py").write_text("")
    changed = subprocess.run([sys.executable, "-c", code], cwd=copy / "benchmarks", **run).stdout.split()
    assert changed[1] != there[1]


def test_figures_of_the_readme_stand_in_the_records():
    """Every token rate and MFU of README's GPU table comes from a kept record."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = [line for line in readme.partition("## On a GPU")[2].partition("\n## ")[0].splitlines() if line[:1] == "|"]
    records = [json.loads(file.read_text()) for file in sorted((ROOT / "benchmarks/records").glob("*.json"))]
    rows = [row for record in records for row in record["rows"] if "error" not in row]
    rates = {f"{row['tokens_per_second']:,}" for row in rows}
    shares = {f"{row['mfu']:.0%}" for row in rows if row.get("mfu")}
    figures = [line.split("|")[2] for line in table[2:]]
    found = re.findall(r"\d{2,3},\d{3}", " ".join(figures))
    assert len(found) >= 6 and set(found) <= rates
    assert set(re.findall(r"\d+%", " ".join(figures))) <= shares
    steps = [row["seconds_step"] for row in rows if row["part"] == "grpo"]
    assert any(f"{step:.2f} s" in figures[-1] for step in steps)
