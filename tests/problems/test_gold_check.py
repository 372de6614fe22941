"""Golds judged by their own verifiers: the counts, the first that do not pass, and what nobody could try."""

from cheats import problem

from phi4r_lib.cookbook.cli import main
from phi4r_lib.problems.gold_check import GoldCheck
from phi4r_lib.problems.schema import save_problems
from phi4r_lib.problems.verify import VerifierUnavailable

ROWS = [
    problem("math", "12", "a"),
    problem("choice", "B", "b", choices=["x", "y"]),
    problem("choice", "C", "c", choices=["x", "y"]),
    problem("constraints", '[["sum", 3]]', "d", example="1, 2"),
    problem("constraints", '[["sum", 3]]', "e", example="1, 1"),
    problem("constraints", '[["sum", 3]]', "f"),
]


def test_golds_are_counted_by_verifier():
    check = GoldCheck()
    assert list(check.checking(ROWS)) == ROWS
    assert check.passed == {"math": 1, "choice": 1, "constraints": 1}
    assert check.refused == {"choice": 1, "constraints": 1} and len(check.first) == 2
    said = "\n".join(check.lines())
    assert "choice-c: failed, bad_check" in said and "constraints-e: wrong, failed_constraint" in said
    assert "gold not tried (1): verifier 'constraints': no example" in said


def test_a_verifier_that_is_not_there_is_said_and_stops_nothing():
    class Gone:
        def grade(self, answers, problems):
            raise VerifierUnavailable("install it")

    check = GoldCheck({"math": Gone()})
    assert len(list(check.checking(ROWS))) == 6 and check.passed["choice"] == 1
    assert any("install it" in line for line in check.lines())


def test_validate_says_which_golds_do_not_pass(tmp_path, capsys):
    assert main(["validate", str(save_problems(tmp_path / "good.jsonl", ROWS[:2]))]) == 0
    assert "1 of 1 answers pass their verifier 'choice'" in capsys.readouterr().out
    assert main(["validate", str(save_problems(tmp_path / "bad.jsonl", ROWS))]) == 2
    assert "choice-c" in capsys.readouterr().out
