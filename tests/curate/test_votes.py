"""Recorded answers: figures by hand, field names of foreign files, and rows that cannot be used."""

import json

import pytest

from phi4r_lib.curate.votes import Recorded, load_recorded, recorded_truths, vote_figures
from phi4r_lib.problems.schema import ProblemFileError

ROWS = [
    Recorded("all", "1/2", ["0.5", "\\frac{1}{2}", "1/2", "0.50"]),
    Recorded("most", "7", ["7", "7", "7", "8"]),
    Recorded("tied", "3", ["3", "3", "4", "4"]),
    Recorded("wrong", "9", ["2", "2", "2", None]),
]


def test_equal_answers_vote_together_and_ties_are_not_kept():
    truths = recorded_truths(ROWS, min_share=0.5)
    assert [(t.share, t.kind) for t in truths] == [
        (1.0, "plurality"),
        (0.75, "plurality"),
        (0.5, "none"),
        (0.75, "plurality"),
    ]
    assert truths[2].answer is None and "tied" in truths[2].reason


def test_figures_by_hand():
    found = vote_figures(ROWS, min_share=0.5)
    assert (found.single.value, found.single.n) == (9 / 16, 16)
    assert (found.any.value, found.any.n) == (3 / 4, 4)
    assert (found.kept.value, found.kept.n) == (2 / 3, 3)
    assert found.plurality.value == 3 / 4  # of a tie the answer that sorts first
    assert found.by_share["share"].tolist() == [0.5, 0.75, 1.0]
    assert found.by_share["precision"].tolist() == [1.0, 0.5, 1.0]
    assert found.by_share["precision_from"].tolist() == [0.75, 2 / 3, 1.0]


def test_nothing_kept_is_none():
    found = vote_figures([Recorded("a", "1", ["1", "2"])], min_share=0.9)
    assert found.kept is None and "kept" not in found.figures()


@pytest.mark.parametrize(("gold", "answers"), [("gold", "answers"), ("gt", "pred"), ("answer", "pred")])
def test_known_field_names(tmp_path, gold, answers):
    path = tmp_path / "votes.jsonl"
    path.write_text(json.dumps({"idx": 5, gold: 4, answers: ["4", "", None, 4]}) + "\n\n")
    assert load_recorded(path) == [Recorded("5", "4", ["4", None, None, "4"])]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "votes.jsonl:1: not JSON"),
        ("[1]", "votes.jsonl: item 1: expected a JSON object"),
        ('{"gold": "1"}', "votes.jsonl:1: needs one of the fields answers, pred; it has gold"),
        ('{"pred": ["1"]}', "votes.jsonl:1: needs one of the fields gold, gt, answer"),
        ('{"gold": "1", "pred": []}', "votes.jsonl:1: the answers must be a list"),
        ("", "votes.jsonl: no rows"),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path, line, message):
    path = tmp_path / "votes.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ProblemFileError, match=message):
        load_recorded(path)
