"""Every verifier that ships: right answers pass, cheats do not, each with a reason; a verifier that lacks its tools is skipped."""

import runpy
import sys
from pathlib import Path

import pytest
from cheats import TASKS, code, problem

from phi4r_lib.problems import verify as door
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.gold_check import GoldCheck
from phi4r_lib.problems.verifiers.program import asked_of
from phi4r_lib.problems.verify import (
    NoEquality,
    VerifierUnavailable,
    examples,
    final_answers,
    judge,
    verifier_of,
    verify,
    vote,
)

# Limits for what is right, on any machine, and for cheats, some of which would never end.
LONG = {"program": {"cpu_s": 30.0, "workers": 2}, "coq": {"cpu_s": 75.0}, "sql": {"query_s": 60.0}}
SHORT = {"program": {"cpu_s": 2.0, "workers": 2}, "coq": {"cpu_s": 20.0}, "sql": {"query_s": 1.0}}


@pytest.fixture
def named(request):
    """The verifier of a test, with long limits, or a skip with what is missing."""
    name = request.param
    verifiers = {name: LONG[name]} if name in LONG else {}
    try:
        verifier_of(name, verifiers)
    except VerifierUnavailable as error:
        pytest.skip(str(error))
    return verifiers


PARTS = [pytest.param(name, task, id=task.problem.id) for name, tasks in TASKS.items() for task in tasks]


@pytest.mark.parametrize(("named", "task"), PARTS, indirect=["named"])
def test_right_answers_pass_and_cheats_do_not(named, task):
    rights = verify([task.problem] * len(task.rights), task.rights, named)
    assert {text: v.reason for text, v in zip(task.rights, rights, strict=True) if v.grade is not Grade.RIGHT} == {}
    short = {name: SHORT[name] for name in named}
    cheats = verify([task.problem] * len(task.cheats), task.cheats, short)
    assert [text for text, v in zip(task.cheats, cheats, strict=True) if v.grade is Grade.RIGHT] == []
    assert all(v.reason and v.score < 1 for v in cheats)
    # An answer that makes its verifier stumble would be left out of every rate, and so escape being wrong.
    escaped = [(text, v.reason) for text, v in zip(task.cheats, cheats, strict=True) if v.grade is Grade.FAILED]
    assert [one for one in escaped if one[1] != "not_comparable"] == []


@pytest.mark.parametrize(("named", "task"), PARTS, indirect=["named"])
def test_the_gold_passes_its_own_verifier(named, task):
    (gold,) = examples([task.problem], named)
    if gold is not None and task.rights:
        (verdict,) = judge([task.problem], [gold], named)
        assert verdict.grade is Grade.RIGHT, verdict.reason


@pytest.mark.parametrize(
    ("named", "answer"),
    [("choice", "Q"), ("numeric", "many"), ("json", "{"), ("constraints", "[]"), ("constraints", '[["no_rule"]]'),
     ("program", "[]"), ("program", "eJxpacked=="), ("program", '{"asserts": ["print(1)"]}'), ("sql", "SELECT x"),
     ("molecule", "no spec"), ("molecule", "sol_eval!:!x!:!y"), ("molecule", "product_eval!:!C(!:!y"), ("coq", "1 +")],
    indirect=["named"],
)  # fmt: skip
def test_a_check_that_cannot_be_read_fails_nobody(named, answer, request):
    name = request.node.callspec.params["named"]
    meta = {"schema": "CREATE TABLE t (a);"} if name == "sql" else {}
    text = {"program": "def f(): pass", "sql": "SELECT 1", "coq": "Definition proof := I."}.get(name, "1")
    (verdict,) = judge([problem(name, answer, "bad", **meta)], [text], named)
    assert verdict.grade is Grade.FAILED and verdict.reason.startswith("bad_check")


ODD = (
    "1e999", "1e-999", "-1e400", "1/0", "nan", "9" * 400 + "e999", "1e999 m", "1 m^9", "5 " + "m*" * 20 + "m", "\x00",
    "\ud800", "[[" * 5000, "{" * 60 + "}" * 60, "((((", "²", "½", "-" * 1000, '{"a": 1e999}', '"\\ud800"', "C%99", "1 dB",
    "SELECT '\x00'",
)  # fmt: skip


@pytest.mark.parametrize(("named", "task"), PARTS, indirect=["named"])
def test_odd_answers_are_wrong_and_stop_no_verifier(named, task, request):
    slow = request.node.callspec.params["named"] in ("coq", "program")
    verdicts = judge([task.problem] * len(ODD), ODD, named) if not slow else judge([task.problem], ["\ud800"], named)
    escaped = [(text, v.reason) for text, v in zip(ODD, verdicts, strict=False) if v.grade is not Grade.WRONG]
    assert [one for one in escaped if one[1] != "not_comparable"] == []


UNREADABLE = [
    ("molecule", "no spec", {}), ("molecule", "x!:!y!:!z", {"ideal": "C"}), ("constraints", '[["sum", "a"]]', {"example": 5}),
    ("program", "[1]", {"solution": 3}), ("sql", "SELECT 1", {"schema": 5}), ("numeric", "5 m", {"tolerance": "x"}),
    ("choice", "B", {"choices": 7}), ("json", "{}", {"schema": [1]}), ("coq", '{"statement": 5}', {"proof": 8}),
]  # fmt: skip


@pytest.mark.parametrize(("named", "answer", "meta"), UNREADABLE, ids=lambda one: str(one)[:20], indirect=["named"])
def test_a_row_that_cannot_be_read_is_named_and_stops_no_validation(named, answer, meta, request):
    name = request.node.callspec.params["named"]
    check = GoldCheck(named)
    assert len(list(check.checking([problem(name, answer, "bad", **meta)]))) == 1
    assert check.unfit == [f"{name}-bad"] and "failed" in check.first[0]


def test_a_number_as_example_is_its_text():
    row = problem("constraints", '[["sum", 5]]', "n", example=5)
    assert examples([row]) == ["5"] and judge([row], examples([row]))[0].grade is Grade.RIGHT


@pytest.mark.parametrize("named", ["program", "constraints", "coq"], indirect=True)
def test_many_right_answers_have_no_plurality(named, request):
    task = TASKS[request.node.callspec.params["named"]][0]
    samples = [type("S", (), {"text": text, "truncated": False, "error": None}) for text in task.rights]
    with pytest.raises(NoEquality, match="no equality"):
        vote(task.problem, final_answers(task.problem, samples, named), named)


@pytest.mark.parametrize(
    ("named", "answers", "winner", "votes"),
    [("choice", ["B", "(B)", "A or B", "A"], "B", 2), ("exact", ["a b", "a  b", "A b"], "a b", 2),
     ("numeric", ["1000 m", "1 km", "1.001 km", "2 km", "x"], "1 km", 3), ("json", ['{"a": 1, "b": 2}', '{"b":2,"a":1}', "[1]"], None, 2)],
    indirect=["named"],
)  # fmt: skip
def test_equal_answers_vote_together(named, answers, winner, votes, request):
    task = TASKS[request.node.callspec.params["named"]][0]
    found = vote(task.problem, answers, named)
    assert found.votes == votes and (winner is None or found.answer == winner)


def test_partial_credit_is_the_share_that_holds():
    task = TASKS["constraints"][0]
    (verdict,) = judge([task.problem], ["6, 6, 6, 6"])
    assert verdict.score == pytest.approx(3 / 4) and verdict.reason == "failed_constraint: ['distinct']"
    (verdict,) = judge([TASKS["json"][0].problem], ['{"name": "aaa", "age": 4, "ok": true}'])
    assert verdict.score == pytest.approx(2 / 3)


def test_the_benchmark_measures_what_is_there_and_names_what_is_not(monkeypatch, capsys):
    main = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "verifiers.py"))["main"]
    monkeypatch.setattr(
        sys, "argv", ["verifiers.py", "--seconds", "0.01", "--only", "choice", "--only", "molecule", "--only", "lean"]
    )
    monkeypatch.setitem(sys.modules, "rdkit", None)
    monkeypatch.delenv("LEAN_SERVER_URL", raising=False)
    door._opened.cache_clear()
    assert main() == 0
    said = capsys.readouterr().out
    door._opened.cache_clear()
    head, line = said.splitlines()[0], next(line for line in said.splitlines() if line.startswith("choice"))
    assert "cheats" in head and "false rights" in head and line.split()[-1] in ("0", "0.0")
    assert (
        "not measured: molecule: the verifier 'molecule' needs RDKit and exmol: pip install 'phi4r[verifiers]'" in said
    )
    assert "not measured: lean: the verifier 'lean' needs a Kimina Lean Server" in said


def test_names_that_an_assert_binds_itself_are_not_asked_of_the_answer():
    lines = [
        "assert f(2) == 4",
        "assert all(g(x) for x in [1])",
        "assert list(map(lambda y: h(y), [1])) == [1]",
        "assert math.pi (",
    ]
    assert asked_of(lines) == {"f", "g", "h"}


@pytest.mark.parametrize("named", ["program"], indirect=True)
def test_a_right_program_that_has_to_wait_is_not_late(named):
    """The limit is processor time: on a busy machine the clock runs on while a program waits for its turn."""
    asked = problem("program", '[{"input": "1", "output": "2"}]', "waits")
    waits = "import time\ntime.sleep(2.5)\nprint(int(input()) + 1)"
    idles = "import time\ntime.sleep(60)\nprint(2)"
    late, right = verify([asked] * 2, code("python", idles, waits), {"program": {"cpu_s": 1.0}})
    assert (right.grade, late.grade, late.reason) == (Grade.RIGHT, Grade.WRONG, "time")
