"""The GPU benchmark runs at toy size on a CPU, and what it cannot run is a row with the reason."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_toy_run_writes_a_whole_record(tmp_path):
    out = tmp_path / "record.json"
    parts = ["decode-135m", "sft-14b-width", "grpo"]
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
    assert figures["grpo", "profile cpu, no group dropped"]["seconds_step"] > 0
    reasons = {row["error"] for row in rows.values() if "error" in row}
    assert reasons == {"not run: it waits without end on a CPU", "not run: layers are compiled on a GPU only"}
    assert all(f"{part:<14} {way:<30}" in done.stdout for part, way in rows)


def test_a_part_that_dies_or_hangs_is_a_row(tmp_path):
    out = tmp_path / "record.json"
    command = [sys.executable, "benchmarks/gpu.py", "--toy", "--out", str(out), "--only", "grpo", "--limit", "5"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=1800).returncode == 0
    assert json.loads(out.read_text())["rows"] == [{"part": "grpo", "way": "-", "error": "not run: no time left"}]


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
