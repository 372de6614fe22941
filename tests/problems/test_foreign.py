"""Other people's rows as problems: same names come along, every odd shape has a meaning or a clear refusal."""

import json
from collections import Counter

import pytest

from phi4r_lib.problems.schema import ProblemFileError, iter_problems, load_problems


def one(tmp_path, row, notes=None, **mapping):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (problem,) = iter_problems(path, mapping, notes=notes)
    return problem


def refused(tmp_path, row, **mapping):
    with pytest.raises(ProblemFileError) as caught:
        one(tmp_path, row, **mapping)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_same_named_fields_come_along_and_the_rest_is_kept(tmp_path):
    row = {"question": "1 + 1?", "answer": "2", "id": 5, "domain": "algebra", "license": "MIT", "level": 3}
    found = one(tmp_path, row, prompt="question")
    assert (found.id, found.prompt, found.answer, found.domain, found.licence) == ("5", "1 + 1?", "2", "algebra", "MIT")
    assert found.meta == {"level": 3} and found.source == "rows.jsonl"


def test_a_field_of_the_same_name_and_another_meaning_stays_in_meta(tmp_path):
    row = {"q": "1 + 1?", "domain": ["A", "B"], "answer_type": "Integer", "source": None, "meta": {"a": 1}, "id": [1]}
    found = one(tmp_path, row, prompt="q")
    assert (found.id, found.domain, found.answer_type, found.source) == ("rows-1", "math", "number", "rows.jsonl")
    assert found.meta == {"domain": ["A", "B"], "answer_type": "Integer", "source": None, "id": [1], "a": 1}


def test_constants_paths_and_numbered_ids(tmp_path):
    row = {"data": {"q": ["1 + 1?"]}, "final.answer": "2", "id": "same for all"}
    found = one(tmp_path, row, prompt="data.q.0", answer="final.answer", licence="=MIT", id="#")
    assert (found.id, found.prompt, found.answer, found.licence) == ("rows-1", "1 + 1?", "2", "MIT")
    assert found.meta == {"data": {"q": ["1 + 1?"]}, "id": "same for all"}
    chat = {"messages": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]}
    last = one(tmp_path, chat, prompt="messages.0.content", answer="messages.-1.content")
    assert (last.prompt, last.answer) == ("1 + 1?", "2")
    assert "is missing; found list of 2" in refused(tmp_path, chat, prompt="messages.-3.content")
    body = {"Body": "Ann has 2.", "Question": "How many?", "id+": 7}
    joined = one(tmp_path, body, prompt="Body+Question", id="id+")
    assert joined.prompt == "Ann has 2.\nHow many?" and joined.id == "7" and joined.meta == {}
    assert "field 'data.x' (mapped to 'prompt') is missing; found q" in refused(tmp_path, row, prompt="data.x")
    assert "did you mean 'prompt'" in refused(tmp_path, row, promt="q")
    (tmp_path / "two.jsonl").write_text('{"q": "x", "id": 1}\n{"q": "y", "id": 1}\n')
    with pytest.raises(ProblemFileError, match=r"already stands on line 1; --map id=# numbers the rows"):
        load_problems(tmp_path / "two.jsonl", {"prompt": "q"})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (2, "2"), (2.0, "2"), (0.5, "0.5"), (-3, "-3"), (10**30, str(10**30)), (["5"], "5"), ([5], "5"), ([], None),
        (None, None), ("n/a", None), (" NotFound ", None), ("", None), ("proof", None), ("x + 1", "x + 1"),
        ("First 3 + 4 = 7.\n#### 7", "7"), ("So it is \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"), (float("nan"), None),
    ],
)  # fmt: skip
def test_answers(tmp_path, answer, text):
    found = one(tmp_path, {"q": "?", "answer": answer}, prompt="q")
    assert found.answer == text
    assert found.answer_type == ("open" if answer == "proof" else "number")


def test_what_was_changed_is_counted(tmp_path):
    notes = Counter()
    one(tmp_path, {"q": "?", "answer": "notfound"}, notes, prompt="q")
    solved = one(tmp_path, {"q": "?", "answer": "3 + 4\n#### 7"}, notes, prompt="q")
    one(tmp_path, {"q": "Which?", "options": ["1", "2"], "answer": "B"}, notes, prompt="q")
    assert solved.meta == {"solution": "3 + 4\n#### 7"}
    assert [*notes.values()] == [1, 1, 1]
    said = " ".join(notes)
    assert "'notfound' count as none" in said and "meta.solution" in said and "--map choices=options" in said


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["1", "2"], "2 answers"),
        ({"value": 1}, "found dict"),
        (True, "found bool"),
        ([{"a": 1}], "found dict"),
        (float("inf"), "no finite number"),  # what a JSON reader makes of 1e999
    ],
)
def test_answers_without_a_meaning_are_refused(tmp_path, answer, words):
    message = refused(tmp_path, {"q": "?", "answer": answer}, prompt="q")
    assert "rows.jsonl:1: field 'answer'" in message and words in message


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("3.14159265358979323846", "3.14159265358979323846"),
        ("2.00000000000000000001", "2.00000000000000000001"),
        ("1e-400", "1e-400"),
        ("1e-99999999999999999999", "1e-99999999999999999999"),
        ("0.3333333333333333", "0.3333333333333333"),
        ("0.10000000000000000", "0.1"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("2.0", "2"),
    ],
)
def test_a_number_with_more_digits_than_a_float_keeps_its_last_one(tmp_path, written, answer):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"q": "?", "id": {written}, "answer": {written}}}\n', encoding="utf-8")
    (found,) = load_problems(path, mapping={"prompt": "q", "id": "id", "answer": "answer"})
    assert (found.answer, found.id) == (answer, answer)


def test_what_another_verifier_compares_with_stays_as_it_is(tmp_path):
    row = {"q": "Write f.", "tests": [{"in": "1", "out": "2"}, {"in": "3", "out": "4"}], "gold": "#### 7"}
    assert json.loads(one(tmp_path, row, prompt="q", answer="tests", verifier="=code").answer) == row["tests"]
    assert one(tmp_path, row, prompt="q", answer="gold", verifier="=exact").answer == "#### 7"


def test_message_lists(tmp_path):
    user, system = {"role": "user", "content": "1 + 1?"}, {"role": "system", "content": "Be brief."}
    row = {"prompt": [user], "reward_model": {"ground_truth": "2"}}
    found = one(tmp_path, row, prompt="prompt", answer="reward_model.ground_truth")
    assert (found.prompt, found.answer) == ("1 + 1?", "2") and found.meta["reward_model"] == {"ground_truth": "2"}
    notes = Counter()
    assert one(tmp_path, {"prompt": [system, user]}, notes, prompt="prompt").meta == {"system": "Be brief."}
    assert "meta.system" in next(iter(notes))
    parts = [{"role": "user", "content": [{"type": "text", "text": "1 + 1?"}]}]
    assert one(tmp_path, {"prompt": parts}, prompt="prompt").prompt == "1 + 1?"
    several = refused(tmp_path, {"prompt": [user, {"role": "assistant", "content": "2"}, user]}, prompt="prompt")
    assert "one user turn, found ['user', 'assistant', 'user']" in several
    assert "pictures" in refused(
        tmp_path, {"prompt": [{"role": "user", "content": [{"type": "image"}]}]}, prompt="prompt"
    )
    assert "one user turn" in refused(tmp_path, {"prompt": ["1 + 1?"]}, prompt="prompt")


@pytest.mark.parametrize(
    ("choices", "answer", "shown", "right"),
    [
        (["1", "2"], "B", "A) 1\nB) 2", "B"),
        ([1, 2], 1, "A) 1\nB) 2", "B"),
        (["A) 1", "B) 2"], "B", "A) 1\nB) 2", "B"),
        (["red", "green"], "green", "A) red\nB) green", "B"),
        ({"text": ["1", "2"], "label": ["1", "2"]}, "2", "1) 1\n2) 2", "2"),
        ({"C": "1", "D": "2"}, "D", "C) 1\nD) 2", "D"),
    ],
)
def test_choices_reach_the_prompt(tmp_path, choices, answer, shown, right):
    found = one(tmp_path, {"q": "Which is even?", "choices": choices, "answer": answer}, prompt="q")
    assert found.prompt == f"Which is even?\n\n{shown}" and found.answer == right and found.answer_type == "text"


def test_choices_that_are_there_already_or_cannot_be(tmp_path):
    row = {"q": "Red or green?", "opts": ["Red", "green"], "answer": "green"}
    assert one(tmp_path, row, prompt="q", choices="opts").prompt == "Red or green?"
    assert "no position among 2" in refused(tmp_path, {"q": "?", "choices": ["x", "y"], "answer": 2}, prompt="q")
    assert "field 'choices'" in refused(tmp_path, {"q": "?", "choices": "x or y"}, prompt="q")
    assert "field 'choices'" in refused(tmp_path, {"q": "?", "choices": [["x"], ["y"]]}, prompt="q")
