"""The phi4r command as a user types it: exit codes, one clear message, nothing written on bad input."""

import os
import signal
import subprocess
import sys

import pytest
from typed import phi4r

ROW = '{"id": "a", "domain": "math", "prompt": "1+1?", "source": "test", "licence": "MIT"}\n'


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run", "--profile", "cpuu"], "Did you mean 'cpu'"),
        (["run", "--set", "edge.limt=3"], "did you mean 'edge.limit'"),
        (["run", "--set", "edge.limit=lots"], "valid integer"),
        (["run", "--set", "edge.limit"], "section.key=value"),
        (["run", "--only", "42"], "no notebook '42'"),
        (["run", "--from", "x"], "there is no notebook"),
        (["run", "--seeds", "nowhere.jsonl"], "nowhere.jsonl"),
        (["run", "--seeds", "bad.jsonl"], "bad.jsonl:2"),
        (["run", "--map", "prompt=question"], "--seeds"),
        (["run", "--seeds", "good.jsonl", "--seeds", "law=good.jsonl"], "domain with every file"),
        (["run", "--profile", "base"], "extends: base"),
        (["run", "--seeds", "good.jsonl", "--map", "prompt"], "ours=theirs"),
        (["run", "--seeds", "good.jsonl", "--map", "prompt=question"], "'question'"),
        (["run", "--out", "good.jsonl"], "is a file"),
        (["plan", "--profile", "cpuu"], "unknown profile"),
        (["status"], "phi4r run"),
        (["report", "--out", "nowhere"], "no run in"),
        (["validate", "bad.jsonl"], "bad.jsonl:2"),
        (["validate", "nowhere.yaml"], "does not exist"),
        (["frobnicate"], "invalid choice"),
        ([], "required"),
    ],
)
def test_user_errors_exit_2_with_one_message(house, capsys, args, says):
    house.notebook("01_edge.ipynb")
    (house.root / "good.jsonl").write_text(ROW)
    (house.root / "bad.jsonl").write_text(ROW + '{"id": "b"}\n')
    code, out, err = phi4r(capsys, *args)
    assert code == 2
    assert says in err and "Traceback" not in err and out == ""
    assert not (house.root / "runs").exists()


def test_a_command_called_from_a_program_leaves_that_program_s_signals_as_they_were(house, capsys):
    heard = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    for args in (["plan"], ["plan", "--only", "99"]):
        phi4r(capsys, *args)
        assert {name: signal.getsignal(name) for name in heard} == heard


@pytest.mark.parametrize("command", ["run", "report"])
def test_a_user_without_name_and_home_is_told_what_to_set(house, capsys, monkeypatch, command):
    """A container may run as any number; Jupyter's libraries end in a traceback where they find no home."""
    house.notebook("01_edge.ipynb")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 123_456)
    code, out, err = phi4r(capsys, command)
    assert code == 2 and "set HOME" in err and not out and not (house.root / "runs").exists()


def test_help_has_examples_and_exit_codes(capsys):
    code, out, _ = phi4r(capsys, "--help")
    assert code == 0 and "phi4r run --profile smoke" in out and "exit codes" in out


def test_help_of_run_keeps_the_lines_of_its_examples(capsys):
    code, out, _ = phi4r(capsys, "run", "--help")
    assert code == 0 and "\n  phi4r run --profile smoke " in out


def test_folder_that_cannot_be_written_is_one_message(house, capsys):
    house.notebook("01_edge.ipynb")
    code, _, err = phi4r(capsys, "run", "--out", "/proc/no/such/run")
    assert code == 2 and "check the path" in err and "Traceback" not in err


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_that_cannot_show_a_name_ends_no_command(house, encoding):
    rows = [f"mödel λ,{problem},{run},{(problem + run) % 2}" for problem in range(4) for run in range(2)]
    (house.root / "log.csv").write_text("\n".join(["model,problem,run,correct", *rows]), encoding="utf-8")
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", "variance", "log.csv", "--out", "out"]
    told = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True)
    assert told.returncode == 0 and b"del \\u03bb" in told.stdout, told.stderr
    assert "mödel λ" in (house.root / "out/verdict.txt").read_text(encoding="utf-8")


def test_validate_accepts_good_files(house, capsys):
    (house.root / "good.jsonl").write_text(ROW)
    assert phi4r(capsys, "validate", "good.jsonl")[0] == 0
    (house.root / "mine.yaml").write_text("extends: cpu\n")
    assert phi4r(capsys, "validate", "mine.yaml")[0] == 0
    (house.root / "foreign.jsonl").write_text('{"question": "1+1?", "gold": "2"}\n')
    code, out, _ = phi4r(capsys, "validate", "foreign.jsonl", "--map", "prompt=question", "--map", "answer=gold")
    assert code == 0 and "1 with an answer" in out


def test_plan_says_what_would_run_and_writes_nothing(house, capsys):
    house.notebook("01_edge.ipynb", sections=["edge"])
    code, out, _ = phi4r(capsys, "plan", "--set", "edge.limit=33")
    assert code == 0 and "no results yet" in out and "limit 33" in out and "no recorded run" in out
    assert not (house.root / "runs").exists()


def test_run_status_report_and_failure(house, capsys):
    """A run from seeds of one's own, to the report; then a failing notebook gives exit code 1."""
    house.notebook(
        "01_edge.ipynb",
        "n = len(run.problems('seeds'))",
        "assert run.profile.data.gold is None, 'the shipped answers belong to the shipped seeds'",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.savefig(run.folder('01_edge/figures') / 'a_line.png')",
        "run.write_results('01_edge', {'seeds': n})",
    )
    (house.root / "own.jsonl").write_text('{"question": "<b>?"}\n{"question": "2?"}\n')
    args = ["run", "--seeds", "own.jsonl", "--map", "prompt=question", "--out", "runs/mine"]
    code, out, _ = phi4r(capsys, *args)
    assert code == 0 and "report: runs/mine/report.html" in out and "figures: runs/mine/01_edge/figures" in out
    page = (house.root / "runs/mine/report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "01_edge.html" in page and "<td>seeds</td><td>2</td>" in page
    code, out, _ = phi4r(capsys, "status", "--out", "runs/mine")
    assert code == 0 and "done" in out
    house.notebook("02_rewrite.ipynb", "run.need('01_edge/nothing.jsonl')", needs=("01_edge",))
    code, out, _ = phi4r(capsys, *args)
    assert code == 1 and "kept" in out and "run notebooks/01_edge.ipynb first" in out
    assert "FAILED" in out and "failed" in (house.root / "runs/mine/report.html").read_text(encoding="utf-8")


INTERRUPTING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it, as a shell's & does
class Garbage:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
class Interrupting:
    seen = False
    def find_spec(self, name, path=None, target=None):
        if name == {module!r} or self.seen and {module!r} == "the next one":
            self.seen = False
            {how}
        self.seen = self.seen or name == "phi4r_lib.cookbook.cli"
sys.meta_path.insert(0, Interrupting())
"""


@pytest.mark.parametrize(
    ("module", "how"),
    [
        ("the next one", "signal.raise_signal(signal.SIGINT)"),
        ("argparse", "signal.raise_signal(signal.SIGINT)"),
        ("pydantic", "Garbage()"),  # where Python shows an exception and forgets it
        ("phi4r_lib.cookbook.settings.profile", "signal.raise_signal(signal.SIGINT)"),
        ("phi4r_lib.problems.rows", "signal.raise_signal(signal.SIGINT)"),
    ],
)
def test_an_interrupt_while_modules_load_ends_in_one_line(tmp_path, module, how):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(module=module, how=how))
    done = typed_with(tmp_path, "plan")
    assert done.returncode == 130 and done.stderr == "\nphi4r: interrupted; run the same command to go on from here\n"


def typed_with(folder, *args):
    """The command in a process of its own that loads `folder`/sitecustomize.py first."""
    paths = os.pathsep.join([str(folder), *sys.path])
    command = [sys.executable, "-c", "import sys; from phi4r_lib.cookbook.cli import main; sys.exit(main())", *args]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})


def test_a_second_interrupt_while_the_command_ends_shows_no_traceback(tmp_path):
    """All is done by then: Python's own end, modules that clean up after themselves among it, would show where it stood."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(signal.raise_signal, signal.SIGINT)"
    )
    done = typed_with(tmp_path, "--help")
    assert "usage: phi4r" in done.stdout and done.stderr == ""


def test_a_run_ends_with_what_is_not_available_and_the_command_that_adds_it(house, capsys, monkeypatch):
    house.notebook("01_edge.ipynb", "run.write_results('01_edge', {})")
    monkeypatch.setenv("PATH", "")
    code, out, _ = phi4r(capsys, "run")
    assert code == 0
    assert out.splitlines()[-1].startswith("not available here: ") and "apt-get install bubblewrap" in out
