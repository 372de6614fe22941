"""README's "Bring your own": seeds, a verifier and a profile outside the package, through 01 to 05 and 08 at smoke counts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Bring your own")[2].partition("\n## ")[0]
FILES = dict(re.findall(r"^```\w+ (own/\S+)\n(.*?)^```$", SECTION, flags=re.MULTILINE | re.DOTALL))
STAGES = ("01", "02", "03", "04", "05")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason="README has no section 'Bring your own' with files"),
]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A folder with README's files, the three seeds filled up with seventy others of theirs, and the environment to run in."""
    folder = tmp_path_factory.mktemp("stranger")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    seeds = folder / "own/guesses.jsonl"
    shown = [json.loads(line) for line in seeds.read_text().splitlines()]
    gold = {row["id"]: row["answer"] for row in map(json.loads, (ROOT / "data/seeds/gold.jsonl").open())}
    with seeds.open("a") as file:
        for row in [json.loads(line) for line in (ROOT / "data/seeds/math.jsonl").open()][:70]:
            own = {key: row[key] for key in ("id", "prompt", "meta")} | {"answer": gold[row["id"]]}
            file.write(json.dumps(shown[0] | own) + "\n")
    for name in ("data", "notebooks"):  # the repository's own, beside the stranger's files
        (folder / name).symlink_to(ROOT / name)
    return folder, os.environ | {"PYTHONPATH": os.pathsep.join([".", str(ROOT)]), "PHI4R_HOME": str(folder)}


def phi4r(stranger, *args):
    folder, env = stranger
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", *args]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=3600)


def test_the_section_is_short_enough_to_type():
    assert len(FILES["own/nearly.py"].splitlines()) <= 15 and len(FILES["own/guess.yaml"].splitlines()) <= 15


def test_validate_judges_every_answer(stranger):
    done = phi4r(stranger, "validate", "own/guesses.jsonl", "--profile", "own/guess.yaml")
    assert done.returncode == 0 and "73 of 73 answers pass their verifier 'nearly'" in done.stdout, done.stdout


def test_a_verifier_of_ones_own_runs_through_the_recipe_and_the_checklist(stranger):
    """The student of so small a run solves next to nothing, so only the first three gates of the checklist are looked at."""
    out = stranger[0] / "runs" / "mine"
    given = ("run", "--profile", "own/guess.yaml", "--seeds", "own/guesses.jsonl", "--out", str(out))
    done = phi4r(stranger, *given, *(part for number in STAGES for part in ("--only", number)))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert all(list(out.glob(f"{number}_*/results.json")) for number in STAGES)
    rows = [json.loads(line) for line in (out / "02_rewrite" / "rl.jsonl").open(encoding="utf-8")]
    assert rows and {row.get("verifier") for row in rows} == {"nearly"}
    phi4r(
        stranger, *given, "--only", "08"
    )  # how far it comes depends on a student of a few steps; its first gates do not
    said = (out / "notebooks" / "08_your_domain.ipynb").read_text(encoding="utf-8")
    assert "Gate 1, domain: GREEN. 73 seeds" in said and "judged by 'nearly'" in said
    assert "Gate 2, seeds: GREEN. 73 right answers pass, 0 do not" in said and "Gate 3, edge: " in said
