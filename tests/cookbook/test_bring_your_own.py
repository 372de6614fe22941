"""README's "Bring your own": seeds, a verifier and a profile outside the package, through 01 to 05 and 08 at smoke counts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from phi4r_lib.cookbook.settings.profile import load_profile

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Bring your own")[2].partition("\n## ")[0]
FILES = dict(re.findall(r"^```\w+ (own/\S+)\n(.*?)^```$", SECTION, flags=re.MULTILINE | re.DOTALL))
STAGES = ("01", "02", "03", "04", "05", "08")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason="README has no section 'Bring your own' with files"),
]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A folder outside the repository with README's files and about a hundred seeds, and the environment to run in."""
    folder = tmp_path_factory.mktemp("stranger")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "own/more.py"], cwd=folder, check=True)
    return folder, os.environ | {"PYTHONPATH": os.pathsep.join([".", str(ROOT)])}


def seeds_of(stranger):
    """How many seeds the stranger has."""
    return len((stranger[0] / "own/guesses.jsonl").read_text(encoding="utf-8").splitlines())


def phi4r(stranger, *args):
    folder, env = stranger
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", *args]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=3600)


def test_the_section_is_short_enough_to_type():
    assert len(FILES["own/nearly.py"].splitlines()) <= 15 and len(FILES["own/guess.yaml"].splitlines()) <= 15


def test_validate_judges_every_answer(stranger):
    done = phi4r(stranger, "validate", "own/guesses.jsonl", "--profile", "own/guess.yaml")
    count = seeds_of(stranger)
    assert done.returncode == 0 and f"{count} of {count} answers pass their verifier 'nearly'" in done.stdout, (
        done.stdout
    )


def test_a_verifier_of_ones_own_runs_through_the_recipe_and_the_checklist(stranger):
    """How far the checklist comes depends on a student of a few steps; that it ends with a decision and its cards does not."""
    out = stranger[0] / "runs" / "mine"
    given = ("run", "--profile", "own/guess.yaml", "--seeds", "own/guesses.jsonl", "--out", str(out))
    done = phi4r(stranger, *given, *(part for number in STAGES for part in ("--only", number)))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert all(list(out.glob(f"{number}_*/results.json")) for number in STAGES)
    rows = [json.loads(line) for line in (out / "02_rewrite" / "rl.jsonl").open(encoding="utf-8")]
    assert rows and {row.get("verifier") for row in rows} == {"nearly"}
    checklist_is_whole(out / "08_your_domain", seeds_of(stranger))


def checklist_is_whole(folder, seeds):
    """Nine gates of which the first two are green, a decision in words, both cards, and a profile for the next run."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    colours = {gate["name"]: gate["colour"] for gate in results["gates"]}
    assert len(colours) == 9 and colours["domain"] == colours["seeds"] == "green", results["gates"]
    assert ("grey" in colours.values()) == results["headline"]["decision"].startswith("stop here: gate 3")
    assert (folder / "model" / "README.md").read_text(encoding="utf-8").count("| 8 | scale | ") == 1
    parts = re.findall(r"\| seeds for \w+ \| (\d+) \|", (folder / "DATA.md").read_text(encoding="utf-8"))
    assert len(parts) == 3 and seeds - 10 <= sum(map(int, parts)) <= seeds  # a prompt twice is dropped
    assert "| nearly | " in (folder / "DATA.md").read_text(encoding="utf-8")
    assert load_profile(folder / "profile.yaml").verifiers == {"nearly": {"kind": "own.nearly:Nearly", "within": 1}}
