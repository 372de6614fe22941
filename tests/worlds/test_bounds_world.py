"""The bounds world: the shipped seeds rebuild to the byte, every rule is right about its own story, made problems are new."""

import json
from collections import Counter
from pathlib import Path

import pytest

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import load_problems
from phi4r_lib.problems.verify import judge
from phi4r_lib.worlds import bounds_world as world

SHIPPED = Path(__file__).parents[2] / "data" / "seeds" / "bounds.jsonl"


def test_the_shipped_file_is_what_the_world_makes(tmp_path):
    path = write_rows(tmp_path / "bounds.jsonl", (row.model_dump() for row in world.seeds()))
    assert path.read_bytes() == SHIPPED.read_bytes()
    rows = load_problems(SHIPPED)
    assert Counter(row.meta["family"] for row in rows) == world.SHARES
    assert len({row.prompt for row in rows}) == len(rows)


def test_rules_follow_from_the_numbers_of_the_story():
    """Read back from the text: more than the first number, fewer than the second (or the only one)."""
    for row in world.seeds():
        numbers = [int(word) for word in row.prompt.split() if word.isdigit()]
        (_, low, high) = json.loads(row.answer)[1]
        family = row.meta["family"]
        least = 0 if family == "below" else numbers[0] + 1
        most = 99 if family == "above" else numbers[-1] - 1
        assert (low, high) == (least, most)
        assert family != "tight" or 2 <= high - low + 1 <= 4
        edges = judge([row] * 4, [str(low), str(high), str(low - 1), str(high + 1)])
        assert [v.grade for v in edges] == [Grade.RIGHT, Grade.RIGHT, Grade.WRONG, Grade.WRONG]


def test_made_problems_repeat_no_known_prompt():
    known = [row.prompt for row in world.seeds()]
    made = world.more("tight", 150, 0, known)
    prompts = {row.prompt for row in made}
    assert len(prompts) == 150 and not prompts & set(known)
    assert made == world.more("tight", 150, 0, known) != world.more("tight", 150, 1, known)
    with pytest.raises(KeyError):
        world.more("wide", 1, 0)
