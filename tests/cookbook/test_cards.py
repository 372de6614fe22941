"""What notebook 08 leaves behind: the profile is valid and names the right seeds, the cards hold what the run did."""

import json

import pytest

from phi4r_lib.cookbook.lessons import cards
from phi4r_lib.cookbook.lessons.checklist import Gate, Gates
from phi4r_lib.cookbook.lessons.domain_run import short
from phi4r_lib.cookbook.lessons.domain_seeds import Split, domain_seeds, example_file
from phi4r_lib.cookbook.run import open_run
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.problems.schema import Problem

OWN = {"domain": "rope", "source": "acme", "licence": "CC0", "answer": '[["count", 1]]', "verifier": "constraints"}


@pytest.fixture
def example(tmp_path):
    return open_run("smoke", tmp_path / "example")


@pytest.fixture
def own(tmp_path):
    """A run on two seeds of a team, with a verifier and settings of theirs."""
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"id": str(n), "prompt": f"p{n}", **OWN}) + "\n" for n in range(2)))
    changes = {"data.seeds": str(path), "data.map": {}, "data.gold": None, "verifiers.sql": {"kind": "sql", "rows": 9}}
    return open_run("smoke", tmp_path / "own", changes)


def test_the_example_stands_in_only_for_the_seeds_it_names(example, own):
    assert example_file(example) == "data/seeds/bounds.jsonl" and {p.domain for p in domain_seeds(example)} == {
        "bounds"
    }
    assert len(domain_seeds(example)) == example.profile.checklist.limit
    assert example_file(own) is None and [p.prompt for p in domain_seeds(own)] == ["p0", "p1"]


def test_the_filled_profile_is_a_profile_for_the_next_run(example, own):
    found = load_profile(cards.filled_profile(example, 40))
    assert (found.data.seeds, found.data.gold, found.grpo.steps) == ("data/seeds/bounds.jsonl", None, 40)
    assert found.grpo.learning_rate == short(example).learning_rate
    assert found.checklist.example is None and found.checklist.steps == example.profile.checklist.steps
    mine = load_profile(cards.filled_profile(own, 7))
    assert (
        mine.data.seeds == own.profile.data.seeds
        and mine.grpo.group == own.profile.grpo.group
        and mine.verifiers == {"sql": {"kind": "sql", "rows": 9}}
    )


def test_the_data_card_counts_sources_parts_and_what_was_dropped(example):
    rows = [Problem(id=str(n), prompt=f"p{n}", meta={"family": "ab"[n % 2]}, **OWN) for n in range(9)]
    parts = Split(rows[:4], rows[4:6], rows[6:8], [(rows[8], "the same prompt again")])
    made = Problem(id="made", prompt="new", **OWN | {"source": "maker"})
    text = cards.data_card(
        example, "rope", parts, {"0": "edge", "1": "hard"}, {"edge": rows[:1], "edge+made": [rows[0], made]}
    )
    page = text.read_text()
    for line in [
        "| acme | CC0 | 8 |", "| maker | CC0 | 1 |", "| constraints | 9 |", "| seeds for training | 4 | a 2, b 2 |",
        "| mix edge+made | 2 | a 1, rope 1 |", "| the same prompt again | 1 |", "| hard for the start model | 1 |",
    ]:  # fmt: skip
        assert line in page, line


def test_the_model_card_shows_every_gate(example, tmp_path):
    gates = Gates(example.profile.checklist)
    gates.all = [Gate(1, "domain", True, "9 | 9", "go on"), Gate(8, "scale", False, "no gain", "stop")]
    page = cards.model_card(example, tmp_path, "rope", gates, {"one run": 0.5}).read_text()
    assert (
        "| one run | 0.5 |" in page
        and "| 1 | domain | green | 9 / 9 |" in page
        and "| 8 | scale | red | no gain |" in page
    )
    assert "with GRPO:" in page


def test_the_model_card_of_a_way_that_ended_says_that_no_model_is_there(example, tmp_path):
    gates = Gates(example.profile.checklist)
    gates.edge({"hard": 9}, left=False)
    gates.rest()
    page = cards.model_card(example, tmp_path, "rope", gates, {"start": "03_sft/model"}, gates.decision()).read_text()
    assert "No model was trained: the way from `03_sft/model` ended at a gate" in page and "with GRPO" not in page
    assert (
        "Decision: stop here: gate 3 (edge) is red. Next: collect easier seeds, or" in page
        and "| 8 | scale | grey |" in page
    )


def test_the_filled_profile_extends_a_profile_of_ones_own_wherever_it_lies(tmp_path, monkeypatch):
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "seeds.jsonl").write_text(
        "".join(json.dumps({"id": f"{n}", "prompt": f"p{n}", **OWN}) + "\n" for n in "12")
    )
    (folder / "team.yaml").write_text("extends: smoke\ndata: {seeds: ./seeds.jsonl, gold: null}\ngrpo: {group: 5}\n")
    monkeypatch.chdir(folder)
    run = open_run("team.yaml", tmp_path / "out")
    assert len(domain_seeds(run)) == 2
    filled = cards.filled_profile(run, 9)
    monkeypatch.chdir(tmp_path)
    found = load_profile(filled)
    assert (found.grpo.group, found.grpo.steps, found.data.seeds) == (5, 9, str(folder / "seeds.jsonl"))
