"""What `phi4r validate` says about a file: counts by domain, repeats, lengths, and what reading it changed."""

import json

from phi4r_lib.problems.census import Census
from phi4r_lib.problems.schema import Problem, iter_problems


def problem(number, prompt, **fields):
    return Problem(**{"id": f"p{number}", "domain": "math", "prompt": prompt, "source": "t", "licence": "MIT"} | fields)


def counted(problems):
    census = Census()
    assert [*census.counting(problems)] == problems
    return census


def test_counts_by_domain_and_lengths():
    prompts = ["x" * size for size in (1, 2, 3, 4, 100)]
    lines = counted(
        [problem(i, p, domain="code" if i else "math", answer="1" if i % 2 else None) for i, p in enumerate(prompts)]
    ).lines()
    assert lines[0] == "5 problems are valid; 2 with an answer"
    assert lines[1:3] == ["code: 4, 2 with an answer", "math: 1, 0 with an answer"]
    assert "1 to 100 characters, half at most 3" in lines[3] and lines[4] == "no prompt appears twice"


def test_repeats_are_named_and_other_answers_too():
    rows = [("What is 1+1?", "2"), ("Else", None), ("what  is 1+1? ", "2"), ("WHAT IS\n1+1?", "3"), ("Else", None)]
    census = counted([problem(i, prompt, answer=answer) for i, (prompt, answer) in enumerate(rows)])
    later, earlier = census.repeated()
    assert (later.tolist(), earlier.tolist()) == ([2, 3, 4], [0, 0, 1])
    said = census.lines()[2]
    assert "3 prompts repeat an earlier one (problem 3 repeats 1, 4 repeats 1, 5 repeats 2)" in said
    assert "1 of them with another answer (problem 4 against 1)" in said


def test_notes_of_the_reader_are_printed(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"q": f"{i}?", "answer": "proof"}) + "\n" for i in range(3)))
    census = Census()
    assert len([*census.counting(iter_problems(tmp_path / "a.jsonl", {"prompt": "q"}, notes=census.notes))]) == 3
    assert census.lines()[0] == "3 problems are valid; 0 with an answer; domain: math"
    assert census.lines()[-1] == "note: answers 'proof' count as none (3)"
