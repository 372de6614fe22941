"""README's "Bring your own": seeds, a verifier and a profile outside the package, through 01 to 05 and to the end of 08."""

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
# Many small passes over the few traces of a hundred seeds, so that the student writes the form and is sometimes right; and
# counts below those of smoke, for time. The toy seeds of other domains stay away, as in a team's own profile.
COUNTS = {
    "sft.passes": 8, "sft.batch_size": 2, "data.open_seeds": "null", "data.code_seeds": "null", "data.safety_seeds": "null",
    "edge.label_problems": 4, "edge.rubric_problems": 2, "grpo.arm_steps": 1, "grpo.own_steps": 1,
    "variance.limit": 12, "variance.runs": 2, "variance.majority_samples": 2, "variance.guard_runs": 1, "checklist.rounds": 1,
}  # fmt: skip

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


@pytest.fixture(scope="module")
def mine(stranger):
    """The stranger's run folder after all stages."""
    out = stranger[0] / "runs" / "mine"
    counts = (part for name, value in COUNTS.items() for part in ("--set", f"{name}={value}"))
    only = (part for number in STAGES for part in ("--only", number))
    done = phi4r(stranger, "run", "--profile", "own/guess.yaml", "--out", str(out), *counts, *only)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return out


def test_a_verifier_of_ones_own_runs_through_the_recipe(mine):
    assert all(list(mine.glob(f"{number}_*/results.json")) for number in STAGES)
    rows = [json.loads(line) for line in (mine / "02_rewrite" / "rl.jsonl").open(encoding="utf-8")]
    assert rows and {row.get("verifier") for row in rows} == {"nearly"}


def test_the_checklist_goes_to_its_end_with_a_model_trained_and_measured(mine):
    """The colours are those of a student of a few steps; that every gate is reached and a model stands there is not chance."""
    folder = mine / "08_your_domain"
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    reached = {gate["name"] for gate in results["gates"] if gate["colour"] != "grey"}
    assert len(results["gates"]) == 9 and reached >= {gate["name"] for gate in results["gates"]} - {"injection"}
    assert results["decision"]["verdict"] in ("promote", "refine", "stop") and results["decision"]["seeds"] == 2
    assert 0 <= results["headline"]["solved in most runs, after"] <= 1 and results["ended"] in (
        "rule",
        "rounds",
        "nothing",
    )
    assert list((folder / "model").glob("*.safetensors"))
    looks = [
        json.loads(line) for line in (folder / "trainings" / "merged-2000" / "metrics.jsonl").open(encoding="utf-8")
    ]
    assert sum("loss" in look for look in looks) >= 2
    mixed = [json.loads(line) for line in (folder / "mixes" / "0.jsonl").open(encoding="utf-8")]
    assert mixed and {row["verifier"] for row in mixed} == {"nearly"}


def test_the_cards_and_the_filled_profile_are_the_stranger_s(mine, stranger):
    folder = mine / "08_your_domain"
    card, data = ((folder / name).read_text(encoding="utf-8") for name in ("model/README.md", "DATA.md"))
    assert card.count("| 8 | scale | ") == 1 and "with GRPO:" in card
    parts = re.findall(r"\| seeds for \w+ \| (\d+) \|", data)
    assert len(parts) == 3 and seeds_of(stranger) - 10 <= sum(map(int, parts)) <= seeds_of(
        stranger
    )  # a prompt twice is dropped
    assert "| nearly | " in data and "| mine | mine | " in data
    assert load_profile(folder / "profile.yaml").verifiers == {"nearly": {"kind": "own.nearly:Nearly", "within": 1}}
