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


def test_decimal_commas_are_pointed_out_until_the_profile_says_how_numbers_are_written(tmp_path, capsys):
    golds = ["21,50", "1.021,00", "1,021", "1,021,500", "7", "1, 2", "x + 1", "3.5"]
    rows = [problem("math", gold, f"g{n}") for n, gold in enumerate(golds)]
    check = GoldCheck()
    assert list(check.checking(rows)) == rows and [*check.remarks.values()] == [["math-g0", "math-g1"]]
    path = save_problems(tmp_path / "preise.jsonl", rows)
    assert main(["validate", str(path)]) == 0
    assert "2 answers such as that of math-g0 are read as two numbers" in capsys.readouterr().out
    (tmp_path / "de.yaml").write_text("extends: cpu\nverifiers: {math: {thousands: dot}}\n")
    assert main(["validate", str(path), "--profile", str(tmp_path / "de.yaml")]) == 0
    assert "two numbers" not in capsys.readouterr().out


def test_validate_says_in_one_line_what_is_wrong_with_a_verifier(tmp_path, capsys):
    path = save_problems(tmp_path / "rows.jsonl", [problem("mine", "12", "a")])
    (tmp_path / "p.yaml").write_text('extends: cpu\nverifiers: {mine: "numbers:Number"}\n')
    (tmp_path / "q.yaml").write_text('extends: cpu\nverifiers: {mine: "no_such_module:Mine"}\n')
    for more, words in (
        ([], "verifier 'mine', which nobody defined"),
        (["--profile", str(tmp_path / "p.yaml")], "has no method extract, grade, groups"),
        (["--profile", str(tmp_path / "q.yaml")], "has to be on PYTHONPATH"),
    ):
        assert main(["validate", str(path), *more]) == 2
        err = capsys.readouterr().err
        assert words in err and err.startswith(f"phi4r: {path}: ") and err.count("\n") == 1


def test_validate_says_which_golds_do_not_pass(tmp_path, capsys):
    assert main(["validate", str(save_problems(tmp_path / "good.jsonl", ROWS[:2]))]) == 0
    assert "1 of 1 answers pass their verifier 'choice'" in capsys.readouterr().out
    assert main(["validate", str(save_problems(tmp_path / "bad.jsonl", ROWS))]) == 2
    assert "choice-c" in capsys.readouterr().out
