"""The one door for judging: its policy, names from profiles, and what a faulty verifier can and cannot do."""

import sys
import types

import pytest

from phi4r_lib.problems.answers import Grade, plurality
from phi4r_lib.problems.named import UnknownNameError
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import (
    NoEquality,
    UnfitVerifier,
    Verdict,
    VerifierUnavailable,
    check_defined,
    examples,
    final_answers,
    judge,
    open_verifiers,
    right_share,
    verify,
    verify_samples,
    vote,
)


def problem(answer="7", verifier="math", name="p", **more):
    about = {"domain": "test", "prompt": "?", "source": "test", "licence": "MIT"} | more
    return Problem(id=name, answer=answer, verifier=verifier, **about)


class Even:
    """Any even number is right; many are, so equality says nothing."""

    def __init__(self, least: int = 0):
        self.least, self.seen = least, []

    def extract(self, text):
        return text.split()[-1]

    def grade(self, answers, problems):
        self.seen += answers
        good = [int(answer) % 2 == 0 and int(answer) >= self.least for answer in answers]
        return [
            Verdict.right(a) if ok else Verdict.wrong(a, "odd", score=0.5) for a, ok in zip(answers, good, strict=True)
        ]

    def groups(self, answers, problems):
        return [None] * len(answers)


class Sample:
    def __init__(self, text="", truncated=False, error=None):
        self.text, self.truncated, self.error = text, truncated, error


@pytest.mark.parametrize(
    ("sample", "gold", "grade", "reason"),
    [
        (Sample(r"\boxed{7.0}"), "7", Grade.RIGHT, "right"),
        (Sample(r"\boxed{8}"), "7", Grade.WRONG, "not_equal"),
        (Sample("no idea"), "7", Grade.WRONG, "no_answer"),
        (Sample(r"\boxed{}"), "7", Grade.WRONG, "no_answer"),
        (Sample(r"\boxed{7}", truncated=True), "7", Grade.WRONG, "truncated"),
        (Sample(error="no route"), "7", Grade.FAILED, "fault: no route"),
        (Sample(r"\boxed{7}", error="no route"), "7", Grade.FAILED, "fault: no route"),
        (Sample(r"\boxed{7}"), None, Grade.FAILED, "no_gold"),
        (Sample(""), "  ", Grade.FAILED, "no_gold"),
    ],
)
def test_the_policy(sample, gold, grade, reason):
    (found,) = verify_samples([problem(gold)], [sample])
    assert found.grade is grade and found.reason.startswith(reason)
    assert found.score == (grade is Grade.RIGHT)
    assert found.conclusive == (grade is not Grade.FAILED and reason != "truncated")
    assert (found.answer is None) == (reason in ("no_answer", "truncated") or bool(sample.error) or not sample.text)


def test_a_rate_leaves_out_what_could_not_be_graded():
    texts = [r"\boxed{7}", r"\boxed{8}", "", r"\boxed{7}"]
    verdicts = verify([problem()] * 4, texts, errors=[None, None, "down", None], truncated=[False, False, False, True])
    assert right_share(verdicts) == pytest.approx(1 / 3)
    assert right_share(verdicts[2:3]) is None


def test_verifiers_are_named_in_the_profile_and_problems_of_many_are_judged_together(tmp_path, monkeypatch):
    (tmp_path / "acme_tickets.py").write_text(
        "from phi4r_lib.problems.verify import Verdict\n"
        "class Verifier:\n"
        "    def __init__(self, prefix='T-'):\n"
        "        self.prefix = prefix\n"
        "    def extract(self, text):\n"
        "        return text.split()[-1]\n"
        "    def grade(self, answers, problems):\n"
        "        pairs = zip(answers, problems)\n"
        "        return [Verdict.right(a) if a == self.prefix + p.answer else Verdict.wrong(a, 'other') for a, p in pairs]\n"
        "    def groups(self, answers, problems):\n"
        "        return answers\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    named = {"ticket": "acme_tickets:Verifier", "bug": {"kind": "acme_tickets:Verifier", "prefix": "B-"}}
    problems = [problem("12", "ticket"), problem("12"), problem("12", "bug"), problem("12", "ticket")]
    texts = ["it is T-12", r"\boxed{12}", "it is B-12", "it is B-12"]
    assert [v.reason for v in verify(problems, texts, named)] == ["right", "right", "right", "other"]
    assert set(open_verifiers(named)) == {"ticket", "bug"}
    del sys.modules["acme_tickets"]


def test_a_row_of_data_cannot_name_a_class():
    with pytest.raises(UnknownNameError, match="nobody defined"):
        verify([problem(verifier="os:system")], ["x"])
    with pytest.raises(ValueError, match="prefix"):
        open_verifiers({"math": {"prefix": "T-"}})
    with pytest.raises(UnknownNameError, match="no_such_module"):
        open_verifiers({"ticket": "no_such_module:Verifier"})


def test_a_verifier_that_raises_costs_only_the_answer_that_caused_it():
    verdicts = judge([problem("x", "even")] * 5, ["2", "3", "four", "6", "6"], {"even": Even()})
    assert [v.grade.value for v in verdicts] == ["right", "wrong", "failed", "right", "right"]
    assert verdicts[2].reason.startswith("exception: ValueError")
    assert [v.score for v in verdicts] == [1.0, 0.5, 0.0, 1.0, 1.0]
    (found,) = verify([problem("x", "even")], [" "], {"even": Even()})  # extract raises: nothing to split
    assert found.grade is Grade.FAILED and found.reason.startswith("exception: IndexError")


def test_a_missing_package_or_a_wrong_number_of_verdicts_is_no_verdict():
    class Gone(Even):
        def grade(self, answers, problems):
            raise VerifierUnavailable("install it")

    class Short(Even):
        def grade(self, answers, problems):
            return []

    with pytest.raises(VerifierUnavailable, match="install it"):
        judge([problem("x", "v")], ["2"], {"v": Gone()})
    with pytest.raises(ValueError, match="0 verdicts for 1 answers"):
        judge([problem("x", "v")], ["2"], {"v": Short()})


class Own:
    """A verifier as a newcomer writes it, with one thing changed by each test."""

    def __init__(self, within=1):
        if within > 5:
            raise RuntimeError("within is at most 5")

    def extract(self, text):
        return text

    def grade(self, answers, problems):
        return [Verdict.right(answer) for answer in answers]

    def groups(self, answers, problems):
        return answers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"grade": lambda *_: [False]}, "grade gave bool, need Verdict.right"),
        ({"extract": lambda *_: 7}, "extract gave int, need text or None"),
    ],
)
def test_what_breaks_the_protocol_is_said_in_words(change, words):
    assert verify([problem("2", "own")], ["2"], {"own": Own()})[0].correct
    with pytest.raises(UnfitVerifier, match=words):
        verify([problem("2", "own")], ["2"], {"own": type("Odd", (Own,), change)()})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"within": 9}, "verifier Own cannot be opened: RuntimeError: within is at most 5"),
        ({"withinn": 2}, "unexpected keyword argument 'withinn'; its settings are the arguments of the class"),
        ({"kind": "numbers:Number"}, "verifier Number has no method extract, grade, groups; it needs"),
        ({"kind": "math", "percent": "maybe"}, "'percent': Input should be 'either'"),
    ],
)
def test_a_verifier_that_cannot_be_opened_says_why(spec, words, monkeypatch):
    monkeypatch.setitem(sys.modules, "acme_own", types.SimpleNamespace(Own=Own))
    with pytest.raises(UnfitVerifier, match=words):
        open_verifiers({"own": {"kind": "acme_own:Own", **spec}})


def test_a_known_right_answer_stands_in_meta_where_the_answer_holds_rules():
    class Odd(Own):
        def grade(self, answers, problems):
            return [Verdict.right(a) if int(a) % 2 else Verdict.wrong(a, "even") for a in answers]

    problems = [problem("odd", "odd", meta={"example": "7"}), problem("7", meta={"example": "no answer, a text"})]
    assert examples(problems, {"odd": Odd()}) == ["7", "7"]


def test_names_that_nobody_defined_are_found_before_anything_is_asked():
    problems = [problem("1"), problem("1", "mine")]
    check_defined((p.verifier for p in problems), {"mine": "acme_own:Own"})  # opens nothing
    with pytest.raises(UnknownNameError, match="verifier 'mine', which nobody defined"):
        check_defined(p.verifier for p in problems)


def test_a_profile_says_how_numbers_are_written():
    problems = [problem("1.021,50 €"), problem("1.021,50 €"), problem("21,00")]
    texts = [r"\boxed{1021.5}", r"\boxed{1,0215}", r"\boxed{21}"]
    assert [v.correct for v in verify(problems, texts)] == [False, False, False]
    german = {"math": {"thousands": "dot"}}
    assert [v.correct for v in verify(problems, texts, german)] == [True, False, True]
    assert vote(problems[0], ["21,5", "21.50", "22", "22"], german).tied


def test_equal_pairs_are_graded_once():
    even = Even()
    judge([one := problem("x", "even")] * 3 + [problem("x", "even", "q")], ["2", "2", "4", "2"], {"even": even})
    assert sorted(even.seen) == ["2", "2", "4"] and one.answer == "x"


@pytest.mark.parametrize(
    "answers",
    [
        ["1/2", "0.5", None, "3", "\\frac{2}{4}", "0.5", ""],
        ["7", "8", "8", "7"],
        ["2\\sqrt{2}", "\\sqrt{8}", "3"],
        ["10", "9", "nine"],
        [None, ""],
        [],
    ],
)
def test_the_vote_of_math_is_its_plurality(answers):
    assert vote(problem(None), answers) == plurality(answers)


def test_no_vote_without_equality():
    with pytest.raises(NoEquality, match="'even' has no equality"):
        vote(problem(None, "even"), ["2", "2"], {"even": Even()})
    assert vote(problem(None, "even"), [None, " "], {"even": Even()}).votes == 0


def test_truncated_and_failed_samples_never_vote():
    samples = [Sample(r"\boxed{7}"), Sample(r"\boxed{7}", truncated=True), Sample(error="down"), Sample("hm")]
    assert final_answers(problem(), samples) == ["7", None, None, None]
