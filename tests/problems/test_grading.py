"""Grading by kinds: what must be right, what must not, golds that equal themselves, and pairs that sympy says differ."""

import importlib
import sys
from pathlib import Path

import pytest
from answer_tables import FAILED, GOLDS, RIGHT, WRONG, pairs

from phi4r_lib.problems import answers
from phi4r_lib.problems.answers import Conventions, Grade, grade, plurality
from phi4r_lib.problems.math import single
from phi4r_lib.problems.math.compare import compare
from phi4r_lib.problems.math.court import Court


def graded(table, **settings):
    """{(answer, gold): verdict} of a table."""
    rows = pairs(table)
    return dict(zip(rows, grade(*zip(*rows, strict=True), **settings), strict=True))


def test_right_answers_are_not_refused():
    assert {pair: verdict for pair, verdict in graded(RIGHT).items() if verdict is not Grade.RIGHT} == {}


def test_wrong_answers_are_not_right():
    assert {pair: verdict for pair, verdict in graded(WRONG).items() if verdict is not Grade.WRONG} == {}


def test_what_cannot_be_decided_is_failed_and_not_right():
    assert set(graded(FAILED).values()) == {Grade.FAILED}


def test_the_exact_reader_is_worth_its_keep(monkeypatch):
    """With math-verify and plain numbers alone, right answers would be refused and wrong ones be right (problems/math)."""
    monkeypatch.setattr(single, "read", lambda text, *_: None)
    monkeypatch.setattr(answers, "_easy", answers._easy.__wrapped__)  # nothing that was remembered
    assert sum(verdict is not Grade.RIGHT for verdict in graded(RIGHT).values()) > 10
    assert sum(verdict is Grade.RIGHT for verdict in graded(WRONG).values()) > 10


@pytest.mark.parametrize("dressing", ["{}", " ${}$", "\\[ {} \\].", "\\boxed{{{}}}"])
def test_every_gold_equals_itself(dressing):
    golds = GOLDS.strip().splitlines()
    verdicts = grade([dressing.format(gold) for gold in golds], golds)
    assert [gold for gold, verdict in zip(golds, verdicts, strict=True) if verdict is not Grade.RIGHT] == []


def test_no_pair_that_sympy_says_is_unequal_is_right(monkeypatch):
    """A sample; `python benchmarks/unequal.py` takes 24,000."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    unequal = importlib.import_module("unequal")
    found = unequal.unequal_pairs(660, seed=7)
    assert len({pair.kind for pair in found}) == len(unequal.KINDS)
    verdicts = grade([pair.answer for pair in found], [pair.gold for pair in found])
    assert [pair for pair, verdict in zip(found, verdicts, strict=True) if verdict is Grade.RIGHT] == []


def test_other_notations_are_right_where_they_are_equal_and_only_there(monkeypatch):
    """A sample; `python benchmarks/notations.py` takes 12,000."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    notations = importlib.import_module("notations")
    found = notations.notation_pairs(600, seed=7)
    assert len({pair.kind for pair in found}) == len(notations.KINDS)
    verdicts = grade([pair.answer for pair in found], [pair.gold for pair in found])
    assert [pair for pair, one in zip(found, verdicts, strict=True) if (one is Grade.RIGHT) != pair.equal] == []


NESTED = {
    "functions": "\\sin(" * 60 + "x" + ")" * 60,
    "bars": "|" * 100 + "x" + "|" * 100,
    "powers of functions": "(1+\\sin" * 25 + "(x)" + ")^9" * 25,
    "roots": "\\sqrt{2+" * 60 + "3" + "}" * 60,
    "fractions": "1+\\frac{1}{x+" * 60 + "1" + "}" * 60,
    "sums of powers": "(((x+1)^{16})^{16})^{16}",
    "many roots": "(" + "+".join(f"\\sqrt{{{k}}}" for k in range(2, 40)) + ")^{10}",
    "large roots": "+".join(f"\\sqrt{{{10**18 + k}}}" for k in range(9, 45)),
    "large powers": "+".join(f"{k}^{{4000}}" for k in range(3, 90)),
    "factors": "".join(f"({letter}+1)" for letter in "abcdefghijklmnopqrstuvwxyz"),
    "derivatives": "d" + " " * 900 + "/",
}


@pytest.mark.parametrize("name", NESTED)
def test_no_formula_takes_this_process_long(name):
    """Counted in calls, not in seconds: what is not killable must be bounded before it starts."""
    calls = 0

    def count(frame, event, _):
        nonlocal calls
        calls += event == "call"
        assert calls < 2_000_000, "exact terms run away"

    court = Court(Conventions())
    sys.setprofile(count)
    try:
        for gold in ("5", "\\sin x + 1", NESTED[name] + "+1"):
            assert compare(NESTED[name], gold, court) != "right"
    finally:
        sys.setprofile(None)


def test_a_rounding_needs_six_places_and_a_number_that_no_decimal_spells():
    answers = ["0.333333", "0.33333", "0.666667", "0.666666", "1.414214", "1.000000", "0.1428571", "0.5000000"]
    golds = ["1/3", "1/3", "2/3", "2/3", "\\sqrt{2}", "1-\\frac{1}{3^{30}}", "0.142857", "\\frac{5000001}{10000000}"]
    wanted = [Grade.RIGHT, Grade.WRONG, Grade.RIGHT, Grade.WRONG, Grade.RIGHT, Grade.WRONG, Grade.WRONG, Grade.WRONG]
    assert grade(answers, golds) == wanted
    assert set(grade(answers, golds, conventions=Conventions(decimals="exact"))) == {Grade.WRONG}


def test_right_goes_both_ways_for_formulas():
    """A plurality must not depend on which spelling came first."""
    rows = [("2^{n+1}", "2 \\cdot 2^n"), ("\\frac{x}{2}", "0.5x"), ("(1, 2]", "( 1 , 2 ]"), ("y = 2x", "2x - y = 0")]
    for one, other in rows:
        assert grade([one, other], [other, one]) == [Grade.RIGHT] * 2
        assert plurality([one, other, "7"]).votes == 2
