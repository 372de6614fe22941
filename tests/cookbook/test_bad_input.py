"""Bad input of every kind: one clear line, exit code 2, nothing started and nothing of the user's touched."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typed import JSON, phi4r

from phi4r_lib.cookbook.folder import lineage, state
from phi4r_lib.cookbook.running import runner
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.problems.sandbox import sandbox_problem
from phi4r_lib.problems.whole import DiskFull

PARTS = (
    "notebooks",
    "profile",
    "versions",
    "seeds",
    "overrides",
    "varies",
    "source",
    "opened",
    "git_commit",
    "made_by",
)
FACTS = ("status", "message", "seconds", "peak_mb", "folder", "notebook", "lineage", "outputs")
ODD = JSON | st.sampled_from(
    [None, "", "done", "running", "7", 7, -1.5, True, [], {}, ["a"], {"a": None}, {"settings": {}}]
)
LINEAGE = st.dictionaries(st.sampled_from(["notebook", "settings", "data", "inputs", "code", "packages"]), ODD)
FACT = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(FACTS, ODD) | {"status": st.just("done") | ODD, "lineage": LINEAGE}
)
RECORDS = st.dictionaries(st.sampled_from(["01", "05"]), JSON | FACT)
MANIFESTS = JSON | st.dictionaries(st.sampled_from(PARTS), JSON) | st.fixed_dictionaries({"notebooks": RECORDS})


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run", "--seeds", ""], "--seeds is empty"),
        (["run", "--out", ""], "--out is empty"),
        (["run", "--budget", ""], "--budget is empty"),
        (["plan", "--costs", " "], "--costs is empty"),
        (["plan", "--device", ""], "--device is empty"),
        (["run", "--notebooks", ""], "--notebooks is empty"),
        (["run", "--only", ""], "--only is empty"),
        (["plan", "--from", " "], "--from is empty"),
        (["status", "--out", ""], "--out is empty"),
        (["run", "--only", "01", "--from", "02"], "leaves no notebook to run"),
        (["run", "--set", "edge.limit="], "edge.limit=null"),
        (["run", "--set", "edge.limit=3", "--set", "edge.limit=4"], "given twice"),
        (["run", "--set", "edge.lo=0.9"], "lo (0.9) must be below hi"),
        (["run", "--set", "name=../../x"], "cannot be set"),
        (["run", "--set", "models=5"], "models"),
        (["run", "--set", "deadlines.cell_hours=0"], "deadlines.cell_hours"),
        (["run", "--only", "01,02"], "there is no notebook '01,02'"),
        (["plan", "--from", "00x"], "there is no notebook '00x'"),
        (["plan", "--pilot", "9" * 20], "at most 10,000"),
        (["run", "--seeds", "~no_such_user/seeds.jsonl"], "is no path that can be followed"),
        (["run", "--seeds", "circle"], "is no path that can be followed"),
        (["status", "--out", "circle"], "is no path that can be followed"),
        (["sweep", "circle"], "is no path that can be followed"),
        (["plan", "--set", "data.seeds=[]"], "data.seeds"),
        (["plan", "--set", "data.seeds=''"], "data.seeds"),
        (["plan", "--set", "data.benchmark=''"], "data.benchmark"),
        (["plan", "--set", "data.seeds={math: []}"], "data.seeds"),
        (["plan", "--set", "data.map={promt: text}"], "did you mean 'prompt'?"),
        (["plan", "--set", "decontaminate.against=['']"], "decontaminate.against"),
        (["plan", "--set", "prompts=''"], "prompts"),
        (["plan", "--set", "seed=4294967296"], "seed"),
        (["plan", "--set", "seed=1" + "0" * 20], "larger than any setting"),
        (["plan", "--set", "sft.passes=1e400"], "larger than any setting"),
        (["plan", "--set", "sft.passes=-1.0e+99"], "larger than any setting"),
        (["plan", "--set", 'prompts="\\ud800"'], "half of a surrogate pair"),
        (["plan", "--set", 'data.seeds="a\\0b.jsonl"'], "a NUL"),
        (["plan", "--set", "models.base.options={dtype: half}"], "dtype"),
        (["plan", "--set", "models.base.options={device: gpu}"], "device"),
        (["plan", "--set", "data.seeds=" + "a" * 5_000], "aaa..."),
        (["validate", "b" * 5_000], "bbb..."),
        (["plan", "--profile", "named.yaml"], "`name` is the file's own name"),
        (["variance", "log.csv", "--out", ""], "--out is empty"),
        (["variance", "log.csv", "--out", "data"], "holds other things than a variance report"),
        (["variance", "NAME="], "names no log"),
        (["variance", "=log.csv"], "names no log"),
        (["variance", ""], "names no log"),
        (["variance", "~no_such_user/log.csv"], "is no path that can be followed"),
        (["variance", "log.csv", "--metric", "acc"], "--metric acc: chooses in logs of lm-eval and lighteval"),
        (["variance", "log.csv", "--filter", "none"], "--filter none: chooses in logs of lm-eval"),
        (["variance", "log.csv", "--scorer", "match"], "--scorer match: chooses in logs of Inspect"),
        (["variance", "log.csv", "--metric", ""], "--metric is empty"),
        (["status", "--profile", "cpu.yml"], "profile file cpu.yml does not exist"),
        (["report", "--profile", "cpu.yml"], "profile file cpu.yml does not exist"),
        (["status", "--profile", "cpuu"], "Did you mean 'cpu'?"),
        (["status", "--out", "runs/cpu", "--profile", "cpu"], "--profile and --set choose nothing"),
        (["report", "--out", "runs/cpu", "--set", "edge.limit=3"], "--profile and --set choose nothing"),
        (["validate", "named.yaml", "--map", "prompt=q"], "is a profile"),
        (["validate", "named.yaml", "--profile", "cpu"], "is a profile"),
        (["run", "--all", "--only", "01"], "exclude each other"),
        (["run", "--only", "01", "--only", "1"], "--only 01 is given twice"),
        (["run", "--map", "prompt=question"], "with --seeds"),
        (["run", "--seeds", "data/seeds.jsonl", "--seeds", "data/seeds.jsonl"], "is given twice"),
        (["run", "--seeds", "data/seeds.jsonl", "--set", "data.seeds=x"], "say the same thing"),
        (["plan", "--seeds", "data/seeds.jsonl", "--set", "data={gold: x}"], "say the same thing"),
        (["run", "--notebooks", "data", "--set", "notebooks=[]"], "say the same thing"),
        (["plan", "--costs", "~no_such_user/costs.yaml"], "is no path that can be followed"),
        (["plan", "--costs", "null\0.yaml"], "null character"),
        (["plan", "--costs", "pipe"], "is no file"),
        (["plan", "--pilot", "p" * 5_000], "ppp..."),
        (["run", "--profile", "cpu", "--profile", "smoke"], "--profile is given twice"),
        (["plan", "--device", "H200", "--device", "H100"], "--device is given twice"),
        (["variance", "log.csv", "--out", "a", "--out", "b"], "--out is given twice"),
        (["run", "--seeds", "m\nx=data/seeds.jsonl"], "is no name of a domain"),
        (["run", "--seeds", "../x=data/seeds.jsonl"], "is no name of a domain"),
        (["plan", "--set", "sft.block=1"], "sft.block"),
        (["plan", "--set", "grpo.temperature=1e5"], "'grpo.temperature': 100,000 is more than it can mean"),
        (["plan", "--set", "edge.max_samples=1000000000"], "edge.max_samples"),
        (["plan", "--set", "edge.limit=999999999999999"], "edge.limit"),
        (["plan", "--set", "edge.pilot=64"], "edge.pilot (64) is above edge.max_samples (32)"),
    ],
)
def test_one_line_and_exit_code_2(house, capsys, args, says):
    house.notebook("01_edge.ipynb")
    house.notebook("02_rewrite.ipynb")
    (house.root / "circle").symlink_to("circle")
    os.mkfifo(house.root / "pipe")
    (house.root / "named.yaml").write_text("extends: cpu\nname: ../x\n")
    (house.root / "log.csv").write_text("problem,run,correct\n0,0,1\n0,1,0\n")
    before = sorted(house.root.rglob("*"))
    code, out, err = phi4r(capsys, *args)
    assert code == 2 and says in err and out == ""
    assert err.count("\n") <= 2 and len(err) < 1_000 and "Traceback" not in err
    assert sorted(house.root.rglob("*")) == before


@pytest.mark.parametrize("place", [".", "notebooks", "data", "mine"])
def test_no_folder_of_the_users_becomes_a_run_folder(house, capsys, place):
    house.notebook("01_edge.ipynb")
    (house.root / "mine").mkdir()
    (house.root / "mine/report.html").write_text("mine")
    (house.root / "mine/run.json").write_text('{"wandb": 1}')
    before = {path: path.read_bytes() for path in house.root.rglob("*") if path.is_file()}
    code, _, err = phi4r(capsys, "run", "--out", place)
    assert code == 2 and "no run folder of phi4r and not empty" in err
    assert {path: path.read_bytes() for path in house.root.rglob("*") if path.is_file()} == before
    assert phi4r(capsys, "report", "--out", "mine")[0] == 2


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(MANIFESTS)
def test_any_run_json_is_read_or_refused_with_a_word(house, capsys, data):
    house.notebook("01_edge.ipynb")
    out = house.root / "runs/cpu"
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text(json.dumps(data))
    for command in ("status", "plan", "report"):
        code, _, err = phi4r(capsys, command)
        assert code in (0, 2) and "Traceback" not in err
        assert code == 0 or err.startswith("phi4r: ")


@pytest.mark.parametrize("text", ["", "[" * 100_000, "9" * 5_000, '{"notebooks": ', '{"a": 1, "a": 2}', "\x00", "[]"])
def test_a_broken_run_json_is_named(house, capsys, text):
    house.notebook("01_edge.ipynb")
    (house.root / "runs/cpu").mkdir(parents=True)
    (house.root / "runs/cpu/run.json").write_text(text)
    for command in ("status", "report", "plan", "run"):
        code, _, err = phi4r(capsys, command)
        assert code == 2 and "run.json" in err and err.count("\n") == 1


def test_a_full_disk_says_what_to_do(house, capsys, monkeypatch):
    house.notebook("01_edge.ipynb")

    def full(*args, **kwargs):
        raise DiskFull(28, "no room on the disk", "runs/cpu/run.json")

    monkeypatch.setattr(state, "write_json", full)
    code, _, err = phi4r(capsys, "run")
    assert code == 1 and "the disk is full (runs/cpu/run.json)" in err and "same command" in err


@pytest.mark.skipif(sandbox_problem() is not None, reason="bubblewrap makes the small disk")
def test_a_run_on_a_really_full_disk_goes_on_once_there_is_room(house):
    """A disk of 6 MB, filled but for one; 01 writes little, 02 three megabytes. Room is made, and the same command ends it."""
    house.notebook("01_edge.ipynb", "run.folder('01_edge')", "run.write_results('01_edge', {'n': 1})")
    house.notebook(
        "02_rewrite.ipynb",
        "from phi4r_lib.problems.rows import write_text",
        "write_text(run.folder('02_rewrite') / 'rows.jsonl', 'x' * 3_000_000)",
        "run.write_results('02_rewrite', {'n': 2})",
    )
    command = f"{sys.executable} -m phi4r_lib.cookbook.cli"
    script = f"""
        head -c 5000000 /dev/zero > runs/filler
        {command} run; echo "first $?"
        rm runs/filler
        {command} run; echo "second $?"
        {command} status
    """
    (house.root / "runs").mkdir()
    disk = ["bwrap", "--dev-bind", "/", "/", "--size", "6000000", "--tmpfs", str(house.root / "runs")]
    told = subprocess.run([*disk, "bash", "-c", script], cwd=house.root, capture_output=True, text=True, timeout=1800)
    lines = told.stdout.splitlines()
    assert "first 1" in lines and "second 0" in lines, told.stdout + told.stderr
    first = "\n".join(lines[: lines.index("first 1")])
    assert "no room on the disk" in first and "same command" in first
    assert "Traceback" not in told.stderr
    second = lines[lines.index("first 1") : lines.index("second 0")]
    assert any("01_edge" in line and "kept" in line for line in second), told.stdout
    assert sum(" done " in line for line in lines[lines.index("second 0") :]) == 2


@pytest.mark.skipif(sandbox_problem() is not None, reason="bubblewrap makes the read-only place and the small disk")
@pytest.mark.parametrize(
    ("place", "says", "code"), [("read-only", "Read-only file system", 2), ("full", "the disk is full", 1)]
)
def test_a_place_that_takes_no_file_is_one_line_with_the_file_that_was_asked_for(house, place, says, code):
    """Commands that write, each on a disk that refuses; what only reads goes on."""
    out = house.root / "disk"
    state.begin(out / "run", "cpu", {}, None)
    (out / "variance").mkdir()
    rows = [f"m,{problem},{run},{(problem + run) % 2}" for problem in range(4) for run in range(2)]
    (house.root / "log.csv").write_text("\n".join(["model,problem,run,correct", *rows]))
    command = f"{sys.executable} -m phi4r_lib.cookbook.cli"
    script = f"""
        test {place} = read-only || {{ cp -r disk/* small; head -c 9000000 /dev/zero > small/filler; }}
        {command} status --out small/run; echo "status $?"
        {command} report --out small/run; echo "report $?"
        {command} variance log.csv --out small/variance; echo "variance $?"
    """
    small = house.root / "small"
    small.mkdir()
    disk = ["--ro-bind", str(out), str(small)] if place == "read-only" else ["--size", "2000000", "--tmpfs", str(small)]
    typed = ["bwrap", "--dev-bind", "/", "/", *disk, "bash", "-c", script]
    told = subprocess.run(typed, cwd=house.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    lines = told.splitlines()
    assert {"status 0", f"report {code}", f"variance {code}"} <= set(lines), told
    words = [line for line in lines if line.startswith("phi4r: ")]
    assert len(words) == 2 and all(says in line for line in words), told
    assert "small/run/report.html" in words[0] and "small/variance/results.json" in words[1]
    assert "Traceback" not in told and "partial" not in told


def test_a_neighbour_with_the_same_number_is_no_result(house):
    out = house.root / "runs/cpu"
    state.begin(out, "cpu", {}, None)
    state.update_notebook(out, "01", notebook="01_edge.ipynb", status="running")
    (out / "01_backup").mkdir()
    (out / "01_backup/results.json").write_text("{}")
    assert state.results_file(out, "01") is None


def test_files_that_are_gone_or_others_are_noticed(tmp_path):
    for name in ("results.json", "model/weights", ".lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    left = lineage.outputs(tmp_path)
    assert sorted(left) == ["model/weights", "results.json"] and lineage.spoilt(tmp_path, left) == []
    (tmp_path / "later").write_text("more")
    (tmp_path / ".lock").write_text("other")
    assert lineage.spoilt(tmp_path, left) == []
    (tmp_path / "results.json").write_text("on")
    assert lineage.spoilt(tmp_path, left) == ["its own files changed (results.json)"]
    (tmp_path / "model/weights").unlink()
    assert "model/weights" in lineage.spoilt(tmp_path, left)[0]


def test_only_and_from_that_exclude_each_other(house):
    house.notebook("01_edge.ipynb")
    house.notebook("02_rewrite.ipynb")
    target = runner.Target("cpu", load_profile("cpu"), house.root / "runs/cpu", {})
    with pytest.raises(UserError, match="no notebook to run"):
        runner.choose(target, ["01"], "02")
