"""Extraction, grading and plurality: agreement with math-verify, hostile inputs, threads, and who starts processes."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hostile_answers import HOSTILE_GOLDS, HOSTILE_PAIRS, HOSTILE_TEXTS
from math_verify import parse, verify

from phi4r_lib.problems import answers as answers_module
from phi4r_lib.problems.answers import Conventions, Grade, extract_answer, grade, plurality
from phi4r_lib.problems.math import referee

RIGHT, WRONG, FAILED = Grade.RIGHT, Grade.WRONG, Grade.FAILED


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think> 7 + 5 = 12. </think> \\boxed{9}", "9"),
        ("so \\boxed{\\frac{1}{2}} is it", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\left\\{ x \\right.}", "\\left\\{ x \\right."),
        ("\\boxed{1}, no, \\boxed{ 2 }", "2"),
        ("$\\boxed 7$.", "7"),
        ("\\fbox{3}", "3"),
        ("\\boxedtext{3}", None),
        ("The answer is 3.5.", "3.5"),
        ("The final answer is $\\boxed{7}$. I hope it is correct.", "7"),
        ("The answer to the question is $12$", "12"),
        ("**Answer:** 42", "42"),
        ("Answer: 1\nAnswer: 2", "2"),
        ("She has 3 left.\n#### 1,080", "1,080"),
        ("#### 18<|im_end|>", "18"),
        ("The answer is 18 because 9 + 9 = 18", "18"),
        ("Answer: \\frac{3}{4}", "\\frac{3}{4}"),
        ("thought </think> Answer: 5", "5"),
        ("I do not know", None),
        ("The answer is 42!", "42"),
        ("The answer is $5!$", "5!"),
        ("The answer is (B) 42.", "B"),
        ("Answer: (B)", "B"),
        ("The answer is \\[ 5 \\]", "5"),
        ("The answer is $$\nx = 5\n$$\nI hope this helps.", "x = 5"),
        ("The answer is \\(5\\).", "5"),
        ("The final answer is 5;", "5"),
        ("so therefore 5", "5"),
        ("We add both. Thus, x = 7.", "x = 7"),
        ("Hence 3 apples were left. Then she bought more", None),
        ("therefore it rains", None),
        ("", None),
        (None, None),
    ],
)
def test_extract(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(("text", "answer"), HOSTILE_TEXTS)
def test_extract_from_hostile_texts(text, answer):
    assert extract_answer(text) == answer


ATTACKS = {
    "underscores": lambda size: "The answer is" + "_" * size,
    "blanks": lambda size: "The answer is" + " " * size + "5",
    "blanks behind": lambda size: "The answer is 5" + " " * size + "x",
    "line breaks": lambda size: "The answer is" + "\n" * size,
    "stars": lambda size: "answer" + "*_ " * size + "is 5",
    "tail tokens": lambda size: "The answer is 5" + "<|im_end|> " * size,
    "broken tail tokens": lambda size: "The answer is 5" + "<|im_end|> " * size + "x",
    "openings": lambda size: "The answer is 5 " + "<|" * size + "|>",
    "announced again": lambda size: "The answer " * size,
    "answers with blanks": lambda size: ("answer" + " " * 90) * (size // 90),
    "short words": lambda size: "answer" + " a" * size,
    "commas": lambda size: "Answer: " + "1," * size + " as",
    "blanks then a word": lambda size: "Answer: 5" + " " * size + "because",
    "displays": lambda size: "The answer is $$" + "\\[" * size,
    "boxes": lambda size: "\\boxed{" * size,
    "blanks in a box": lambda size: "\\boxed" + " " * size + "5",
    "conclusions": lambda size: "therefore 5, " * size,
    "dots": lambda size: "The answer is " + ". " * size,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_extraction_takes_work_in_proportion_to_the_text(attack):
    """Eight times the text takes about eight times the CPU; where the work grew with the square it would be 64."""

    def work(size):
        text, times = ATTACKS[attack](size), []
        for _ in range(3):
            start = time.process_time()
            extract_answer(text)
            times.append(time.process_time() - start)
        return min(times)

    assert min(work(32_000) / max(work(4_000), 1e-5) for _ in range(3)) < 32


PAIRS = [  # (answer, gold, verdict)
    ("5", "5", RIGHT),
    ("007", "7", RIGHT),
    ("5", "6", WRONG),
    ("-5", "5", WRONG),
    ("−5", "-5", RIGHT),
    ("1,080", "1080", RIGHT),
    ("12", "1,2", WRONG),
    ("145", "145.0", RIGHT),
    ("0.50", "1/2", RIGHT),
    ("0.333333", "\\frac{1}{3}", RIGHT),
    ("0.33333", "\\frac{1}{3}", WRONG),
    ("\\dfrac{2}{4}", "\\frac12", RIGHT),
    ("75", "0.75", WRONG),
    ("5.", "5", RIGHT),
    ("$5$", "5", RIGHT),
    ("\\$18.90", "18.90", RIGHT),
    ("18 dollars", "18", RIGHT),
    ("90", "90^\\circ", RIGHT),
    ("864", "864 \\mbox{ inches}^2", RIGHT),
    ("9\\%", "9", RIGHT),
    ("9\\%", "0.09", RIGHT),
    ("9\\%", "0.9", WRONG),
    ("2\\sqrt{2}", "\\sqrt{8}", RIGHT),
    ("\\pi/2", "\\frac{\\pi}{2}", RIGHT),
    ("3.14159", "\\pi", WRONG),
    ("1\\frac{4}{5}", "1.8", RIGHT),
    ("1+2x", "2x + 1", RIGHT),
    ("2x", "2y", WRONG),
    ("(x+1)^2", "x^2+2x+1", RIGHT),
    ("\\frac{x^2-1}{x-1}", "x+1", RIGHT),
    ("\\sin^2 x + \\cos^2 x", "1", RIGHT),
    ("6+5i", "6 - 5i", WRONG),
    ("(1, \\frac{4}{2})", "\\left( 1, 2 \\right)", RIGHT),
    ("(2, 1)", "(1, 2)", WRONG),
    ("-2, 1", "1,-2", RIGHT),
    ("[1, 2)", "(1, 2)", WRONG),
    ("x = 5", "5", RIGHT),
    ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 3 \\end{pmatrix}", WRONG),
    ("C", "\\text{(C)}", RIGHT),
    ("monday", "Monday", RIGHT),
    ("Friday", "Monday", WRONG),
    ("52_{8}", "52_8", RIGHT),
    ("52", "52_8", RIGHT),
    ("\\frac{104}{2}", "52_8", FAILED),
    ("\\text{even}", "52_8", WRONG),
    ("11,\\! 111", "(1, 6)", WRONG),
    ("5", "x=5", RIGHT),
    ("y = 2x + 3", "3 + 2x", RIGHT),
    ("3x = 6", "6", WRONG),
    ("6", "3x = 6", WRONG),
    ("x=5", "y=5", WRONG),
    ("x \\in [-2, 7]", "[-2, 7]", RIGHT),
    ("x \\in [-2, 7]", "7", WRONG),
    ("5 cm", "5", RIGHT),
    ("6", "6 m", RIGHT),
    ("\\cot x", "10", WRONG),
    ("\\cot x", "\\tan x", WRONG),
    ("\\text{(C)}", "288 \\pi", WRONG),
    ("\\text{east}", "1 \\pm \\sqrt{19}", WRONG),
    ("(2, \\infty)", "(2, 5)", WRONG),
    ("(2, \\infty)", "(\\frac{4}{2}, \\infty)", RIGHT),
]


def test_grades():
    grades = grade([answer for answer, _, _ in PAIRS], [gold for _, gold, _ in PAIRS])
    assert [(*pair[:2], found) for pair, found in zip(PAIRS, grades, strict=True)] == PAIRS


def test_verdicts_are_those_of_math_verify():
    ours_alone = {
        "5.",
        "monday",
        "18 dollars",
        "3x = 6",
        "\\frac{104}{2}",
    }  # a full stop and words are read more kindly here, equations not
    pairs = [pair for pair in PAIRS if pair[0] not in ours_alone]
    for answer, gold, verdict in pairs:
        theirs = verify(
            parse(f"\\boxed{{{gold}}}", parsing_timeout=None),
            parse(f"\\boxed{{{answer}}}", parsing_timeout=None),
            timeout_seconds=None,
        )
        assert (verdict is RIGHT) == theirs, (answer, gold)


def test_hostile_answers_neither_hang_nor_pass():
    answers, golds = [pair[0] for pair in HOSTILE_PAIRS], [pair[1] for pair in HOSTILE_PAIRS]
    grades = grade(answers, golds, timeout_s=0.5, workers=2)
    assert len(HOSTILE_PAIRS) >= 40
    assert [(str(a)[:50], g) for a, g, found in zip(answers, golds, grades, strict=True) if found is RIGHT] == []
    assert grade(["2\\sqrt{2}", "5"], ["\\sqrt{8}", "5"]) == [RIGHT, RIGHT]  # the graders still work


@pytest.mark.parametrize("answer", ["\\binom{1000000}{500000}", "\\Gamma(1000000)", "100000!", "\\prod_{n=1}^{10^9} n"])
def test_what_would_grow_too_large_is_not_even_tried(answer):
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers_module, "compare_hard", lambda pairs, *_: asked.extend(pairs) or ["failed"] * len(pairs))
        assert grade([answer], ["5"]) == [FAILED]
    assert not asked


def test_a_comparison_without_end_is_killed_at_its_limit():
    referee.compare_hard([("1", "1")], 5.0, 1)
    used = os.times().children_user
    assert referee.compare_hard([("9^{9^{9^{9}}}", "5")], 1.0, 1) == ["failed"]
    assert os.times().children_user - used < 60  # CPU seconds of the child, which has ended; with its start
    assert grade(["2\\cos 0"], ["2"]) == [RIGHT]


def test_unparsable_gold_is_never_right():
    assert set(grade(HOSTILE_GOLDS, HOSTILE_GOLDS, timeout_s=0.5)) == {FAILED}


def test_empty_answers_are_wrong():
    assert grade([None, "", "  "], ["5", "5", "5"]) == [WRONG] * 3


@pytest.mark.parametrize(
    ("settings", "answer", "gold", "verdict"),
    [
        ({"percent": "number"}, "10%", "10", RIGHT),
        ({"percent": "number"}, "10\\%", "0.1", WRONG),
        ({"percent": "fraction"}, "10%", "0.1", RIGHT),
        ({"percent": "fraction"}, "10%", "10", WRONG),
        ({"units": "match"}, "5 cm", "5 \\text{ cm}", RIGHT),
        ({"units": "match"}, "5 km", "5 \\text{ cm}", WRONG),
        ({"units": "match"}, "5", "5 \\text{ cm}", WRONG),
        ({"units": "match"}, "$5", "5", WRONG),
        ({"intervals": "endpoints"}, "[1, 2)", "(1, 2]", RIGHT),
        ({"intervals": "endpoints"}, "[1, 3)", "(1, 2]", WRONG),
        ({"relations_as_intervals": True}, "1 < x < 2", "(1, 2)", RIGHT),
        ({}, "1 < x < 2", "(1, 2)", WRONG),
        ({"thousands": "dot"}, "1.080", "1.08", WRONG),
        ({"thousands": "dot"}, "1.080,5", "1080,5", RIGHT),
        ({"thousands": "dot"}, "1080", "1.080,00 €", RIGHT),
        ({"thousands": "dot"}, "x = 21,5", "21.5", RIGHT),
        ({"thousands": "dot"}, "2,5 \\text{ cm}^2", "2.5 cm^2", RIGHT),
        ({"thousands": "dot"}, "21,5 %", "21.5%", RIGHT),
        ({"thousands": "dot"}, "\\{3,5\\}", "3.5", WRONG),
        ({"thousands": "dot"}, "(3,5)", "3.5", WRONG),
        ({"thousands": "dot"}, "3,5; 7", "3.5", WRONG),
        ({"thousands": "dot"}, "3,5", "35", WRONG),
        ({"thousands": "none"}, "1,080", "1080", WRONG),
        ({"thousands": "none"}, "1,080", "1, 80", RIGHT),
    ],
)
def test_conventions(settings, answer, gold, verdict):
    assert grade([answer], [gold], conventions=Conventions(**settings)) == [verdict]


def test_bad_arguments():
    with pytest.raises(ValueError, match="2 answers for 1 golds"):
        grade(["1", "2"], ["1"])
    with pytest.raises(ValueError, match="timeout_s"):
        grade(["1"], ["1"], timeout_s=0)
    with pytest.raises(TypeError, match="list"):
        grade([["1"]], ["1"])
    with pytest.raises(ValueError, match="percent"):
        Conventions(percent="maybe")


def test_graders_work_in_threads_and_stay():
    results = {}

    def work(number):
        results[number] = grade([f"{number}\\cos 0", "3"], [f"{number}", "4"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2, 6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results == {number: [RIGHT, WRONG] for number in range(2, 6)}
    before = {one.process.pid for one in referee._current().referees}
    grade(["7\\cos 0"], ["7"])
    assert before == {one.process.pid for one in referee._current().referees} != set()


def test_a_killed_grader_is_replaced():
    grade(["8\\cos 0"], ["8"])
    for one in referee._current().referees:
        one.process.kill()
        one.process.wait()
    assert grade(["9\\cos 0"], ["9"]) == [RIGHT]


SCRIPT = """
import os, sys
from phi4r_lib.problems.math import referee
from phi4r_lib.problems.answers import grade
print(grade(["5", "1,080", "1/2", "x"], ["5", "1080", "0.5", "3"])[0].name, referee._bench)
print(grade(["\\\\\\\\cos 0"], ["1"])[0].name)
pid = referee._bench.referees[0].process.pid
maps = open(f"/proc/{pid}/maps").read() if os.path.exists("/proc") else ""
print("torch" in maps, "torch" in sys.modules, "math_verify" in sys.modules)
child = os.fork()
if child == 0:
    ok = grade(["2 \\\\\\\\cos 0"], ["2"])[0].name == "RIGHT"
    os._exit(0 if ok and referee._bench.referees[0].process.pid != pid else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_lazy_processes_without_main_guard_without_torch_and_after_fork():
    done = subprocess.run([sys.executable, "-"], input=SCRIPT, capture_output=True, text=True, timeout=1800)
    assert done.stdout.splitlines() == ["RIGHT None", "RIGHT", "False False False", "0"], done.stderr


def test_graders_end_with_their_parent():
    script = (
        "import os; from phi4r_lib.problems.math import referee; from phi4r_lib.problems.answers import grade\n"
        "grade(['\\\\cos 0'], ['1']); print(*[r.process.pid for r in referee._bench.referees], flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=1800)
    pids = done.stdout.split()
    assert pids
    for _ in range(3000):
        if not any(_alive(pid) for pid in pids):
            return
        time.sleep(0.1)
    raise AssertionError("graders outlived a killed parent")


def _alive(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def test_plurality_groups_equal_answers():
    found = plurality(["1/2", "0.5", None, "3", "\\frac{2}{4}", "0.5", ""])
    assert (found.answer, found.votes, found.share, found.tied) == ("0.5", 4, 4 / 7, False)
    assert plurality(["2\\sqrt{2}", "\\sqrt{8}", "3"]).votes == 2


def test_plurality_ties_do_not_depend_on_order():
    for answers in (["10", "9", "x"], ["x", "9", "10"], ["9", "x", "10"]):
        found = plurality(answers)
        assert (found.answer, found.votes, found.tied) == ("9", 1, True)


def test_plurality_without_votes():
    for answers in ([], [None, None], ["", " "]):
        found = plurality(answers)
        assert (found.answer, found.votes, found.share, found.tied) == (None, 0, 0.0, False)
