"""A verifier, an engine, a notebook with settings and a profile, all outside the package: README's files, run by its command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from phi4r_lib.cookbook.folder import state

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Change it")[2].partition("\n## ")[0]
FILES = dict(re.findall(r"^```\w+ (own/\S+)\n(.*?)^```$", SECTION, flags=re.MULTILINE | re.DOTALL))


@pytest.fixture
def own(house):
    """README's files in a house of their own."""
    for name, text in FILES.items():
        path = house.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return house


def phi4r(house, *args):
    search = os.pathsep.join([".", str(ROOT)])
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", *args]
    env = os.environ | {"PYTHONPATH": search}
    return subprocess.run(command, cwd=house.root, env=env, capture_output=True, text=True, timeout=1800)


def test_readme_shows_each_kind_of_change_in_at_most_fifteen_lines():
    kinds = {"own/mine.yaml", "own/tickets.py", "own/rules.py", "own/settings.py", "own/10_tickets.ipynb"}
    assert kinds <= set(FILES)
    assert {name: count for name, text in FILES.items() if (count := len(text.splitlines())) > 15} == {}


def test_they_run_through_the_command_and_a_change_of_any_of_them_counts(own):
    done = phi4r(own, "run", "--profile", "own/mine.yaml", "--only", "10")
    assert done.returncode == 0, done.stdout + done.stderr
    results = state.read_json(own.root / "runs/mine/10_tickets/results.json")
    assert (results["right"], results["answers"]) == (2, 4)
    plan = phi4r(own, "plan", "--profile", "own/mine.yaml", "--only", "10").stdout
    assert "keep" in plan and "run (" not in plan
    for name, old, new, says in [
        ("own/tickets.py", "or -1", "or -2", "code changed (own/tickets.py)"),
        ("own/rules.py", "tokens=1", "tokens=2", "code changed (own/rules.py)"),
        ("own/tickets.jsonl", "lamp", "window", "data changed (own/tickets.jsonl)"),
        ("own/mine.yaml", "samples: 2", "samples: 3", "settings changed (tickets)"),
        ("own/10_tickets.ipynb", "'answers'", "'given'", "notebook changed"),
    ]:
        path = own.root / name
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new))
        assert says in phi4r(own, "plan", "--profile", "own/mine.yaml", "--only", "10").stdout
        path.write_text(before)


def test_status_and_report_know_the_notebook(own):
    assert phi4r(own, "run", "--profile", "own/mine.yaml", "--only", "10").returncode == 0
    status = phi4r(own, "status", "--profile", "own/mine.yaml").stdout
    assert re.search(r"^10_tickets +done", status, flags=re.MULTILINE)
    page = (own.root / "runs/mine/report.html").read_text(encoding="utf-8")
    assert "10_tickets.html" in page and "<td>answers</td><td>4</td>" in page


def test_a_file_that_is_not_importable_is_named(own):
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", "run", "--profile", "own/mine.yaml", "--only", "10"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=own.root / "own", env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 2 and "PYTHONPATH" in done.stderr and "Traceback" not in done.stderr
