"""What a check of an exercise says, and that a reader's answers change no result."""

import nbformat
import numpy as np
import pandas as pd
import pytest

from phi4r_lib.cookbook.folder.lineage import notebook_mark
from phi4r_lib.cookbook.settings.exercises import check


def said(capsys, *args, **options):
    check(1, *args, **options)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (3, 3),
        (0.1 + 0.2, 0.3),
        (np.float32(0.25), 0.25),
        ([1, 2.0], (1, 2)),
        (np.array([1, 2]), [1, 2]),
        (pd.Series([0.5, 1.0]), [0.5, 1.0]),
        ({"a": [1]}, {"a": (1,)}),
        ("edge", "edge"),
        (True, True),
        (5, lambda n: 4 < n < 6),
    ],
)
def test_right(answer, right, capsys):
    assert said(capsys, answer, right, because="Luck.") == "Exercise 1: right. Luck.\n"


@pytest.mark.parametrize(
    ("answer", "right"),
    [(3, 4), (0.3, 0.301), (True, 1), (None, 0), ([1], [1, 2]), ({"a": 1}, {"b": 1}), ("hard", "edge"), ([3], 3)],
)
def test_wrong(answer, right, capsys):
    assert said(capsys, answer, right, because="Luck.").startswith("Exercise 1: wrong.")


def test_the_empty_cell_is_not_yet_and_the_check_does_no_work(capsys):
    assert said(capsys, ..., lambda answer: 1 / 0).startswith("Exercise 1: not yet.")


def test_an_answer_that_the_check_cannot_use_is_wrong_and_says_why(capsys):
    assert "wrong" in (text := said(capsys, "six", lambda n: n < 6)) and "TypeError" in text
    assert said(capsys, lambda: 1 / 0, lambda f: f() == 1).startswith("Exercise 1: wrong.")


def test_rounding_is_allowed_as_far_as_the_check_says(capsys):
    assert "right" in said(capsys, 0.33, 1 / 3, within=0.01) and "wrong" in said(capsys, 0.3, 1 / 3, within=0.01)


def test_a_readers_answer_does_not_make_results_out_of_date(house):
    path = house.notebook("01_edge.ipynb", "x = 1", "answer_1 = ...", "check(1, answer_1, 2)")
    book = nbformat.read(path, as_version=4)
    for cell, tag in zip(book.cells[-2:], ("exercise", "check"), strict=True):
        cell.metadata["tags"] = [tag]
    nbformat.write(book, path)
    before = notebook_mark(path)
    book.cells[-2].source = "answer_1 = 2"
    nbformat.write(book, path)
    assert notebook_mark(path) == before
    book.cells[-3].source = "x = 2"
    nbformat.write(book, path)
    assert notebook_mark(path) != before
