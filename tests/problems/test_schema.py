"""Problem files: what loads, and that every fault is named with file, line and field."""

import json

import pytest
from datasets import load_dataset

from phi4r_lib.problems.schema import Problem, ProblemFileError, load_gold, load_problems, save_problems

ROW = {"id": "a", "domain": "math", "prompt": "1 + 1?", "answer": "2", "source": "ours", "licence": "MIT"}


def write(path, *lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_round_trip_keeps_every_field(tmp_path):
    problems = [
        Problem(**ROW, meta={"family": "sum", "steps": 1}),
        Problem(
            **ROW | {"id": "b", "answer": None, "prompt": "Zeigen Sie: π > 3 ✓"}, answer_type="open", parent_id="a"
        ),
    ]
    path = save_problems(tmp_path / "deep" / "seeds.jsonl", problems)
    assert load_problems(path) == problems
    assert [entry.name for entry in path.parent.iterdir()] == ["seeds.jsonl"]


def test_loads_with_datasets(tmp_path):
    problems = [Problem(**ROW | {"id": str(number)}, meta={"steps": number}) for number in range(3)]
    path = save_problems(tmp_path / "seeds.jsonl", problems)
    table = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert table["id"] == ["0", "1", "2"]
    assert [meta["steps"] for meta in table["meta"]] == [0, 1, 2]


def test_blank_lines_are_skipped(tmp_path):
    assert len(load_problems(write(tmp_path / "seeds.jsonl", "", ROW, "  ", ROW | {"id": "b"}, ""))) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({key: value for key, value in ROW.items() if key != "prompt"}, "field 'prompt'"),
        (ROW | {"id": "b", "answer": {"value": 2}}, "field 'answer': found dict"),
        (ROW | {"id": "b", "answer": ["2", "3"]}, "field 'answer': 2 answers"),
        (ROW | {"id": "b", "answer": True}, "field 'answer': found bool"),
        (ROW | {"id": "b", "prompt": " \n"}, "field 'prompt': is blank"),
        (ROW | {"id": "b\nc"}, "field 'id': 'b\\nc' is blank or holds a line break"),
        (ROW | {"domain": "../x"}, "field 'domain': '../x' is no name of a file"),
        (ROW | {"domain": "a\nb"}, "field 'domain'"),
        (ROW | {"domain": "d" * 101}, "field 'domain'"),
        (ROW | {"id": " "}, "field 'id'"),
        ('{"id": "b", "domain": "math", "prompt": "\\ud83d", "source": "s", "licence": "l"}', "field 'prompt'"),
        ('{"id": "b", "id": "c"}', "field 'id' is given twice"),
        (ROW | {"id": "b", "answer_type": "essay"}, "field 'answer_type'"),
        (ROW | {"id": "b", "colour": "red"}, "field 'colour'"),
        (ROW | {"id": "b", "meta": 3}, "field 'meta'"),
        (ROW | {"id": ""}, "field 'id'"),
        (ROW, "field 'id': 'a' already stands on line 1"),
        ('{"id": "b",', "not JSON"),
        ("[1, 2]", "expected a JSON object, found list"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, words):
    path = write(tmp_path / "seeds.jsonl", ROW, "", line)
    with pytest.raises(ProblemFileError) as caught:
        load_problems(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert words in str(caught.value)


def test_unusable_files_are_named(tmp_path):
    for path in (tmp_path / "absent.jsonl", tmp_path, write(tmp_path / "empty.jsonl", "")):
        with pytest.raises(ProblemFileError, match=str(path)):
            load_problems(path)
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(ProblemFileError, match="UTF-8"):
        load_problems(tmp_path / "latin.jsonl")


def test_numbers_and_lists_of_one_are_answers(tmp_path):
    answers = [2, 2.0, 2.5, 10**40, ["7"], [7], [], None, "", "N/A"]
    path = write(tmp_path / "seeds.jsonl", *(ROW | {"id": str(i), "answer": a} for i, a in enumerate(answers)))
    found = [problem.answer for problem in load_problems(path)]
    assert found == ["2", "2", "2.5", str(10**40), "7", "7", None, None, None, None]


def test_gold_of_other_problems_is_left_out(tmp_path):
    path = write(tmp_path / "gold.jsonl", {"id": "a", "answer": 7}, {"id": "z", "answer": "8"})
    assert load_gold(path) == {"a": "7", "z": "8"} and load_gold(path, [Problem(**ROW)]) == {"a": "7"}
    with pytest.raises(ProblemFileError, match=r"bad\.jsonl:1: need the fields id and answer; found id"):
        load_gold(write(tmp_path / "bad.jsonl", {"id": "a"}))
