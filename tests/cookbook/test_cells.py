"""Cells: which rows an arm takes, how they look, and the mean of two models' weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from phi4r_lib.cookbook.settings.profile import UserError
from phi4r_lib.cookbook.sweeps.cells import (
    OTHER_SYSTEMS,
    Options,
    average_weights,
    choose,
    matches,
    train,
    training_rows,
)
from phi4r_lib.cookbook.sweeps.sweep import Cell
from phi4r_lib.problems.rows import write_rows

BENCHMARK = {"benchmark": "data/benchmarks/contest.jsonl"}
ROWS = [
    {
        "id": str(i),
        "decision": "edge" if i % 2 else "hard",
        "messages": [
            {"role": "system", "content": "Think."},
            {"role": "user", "content": f"question {i}"},
            {"role": "assistant", "content": f"<think> step {i} </think> \\boxed{{{i}}}"},
        ],
    }
    for i in range(20)
]


def words(messages):
    return sum(len(message["content"].split()) for message in messages)


def options(**changes):
    return Options(benchmarks=BENCHMARK, **changes)


def test_rows_follow_the_condition_and_the_budget():
    chosen = choose(ROWS, options(where={"decision": "edge"}, tokens=30), seed=1, size=words)
    assert chosen and all(row["decision"] == "edge" for row in chosen)
    used = sum(words(row["messages"]) for row in chosen)
    assert 30 - words(ROWS[0]["messages"]) < used <= 30
    assert len(choose(ROWS, options(rows=3), 1, words)) == 3


def test_the_seed_decides_which_rows_and_their_order():
    first, again, other = (choose(ROWS, options(rows=8), seed, words) for seed in (1, 1, 2))
    assert first == again != other


def test_an_arm_of_two_files_trains_on_the_rows_of_the_two_arms_of_one(tmp_path):
    write_rows(tmp_path / "a.jsonl", ROWS[:10])
    write_rows(tmp_path / "b.jsonl", ROWS[10:])
    ids = lambda **changes: [row["id"] for row in training_rows(cell(tmp_path), options(tokens=30, **changes), words)]  # noqa: E731
    a, b = ids(files=["a.jsonl"]), ids(files=["b.jsonl"])
    assert a and b and ids(files=["a.jsonl", "b.jsonl"], each=True) == a + b
    assert len(ids(files=["a.jsonl", "b.jsonl"])) <= max(len(a), len(b)) + 1  # one budget for both
    twice = ids(files=["a.jsonl", "b.jsonl"], each=True, repeat={"b.jsonl": 2})
    assert sorted(twice) == sorted(a + b + b)
    with pytest.raises(UserError, match=r"'repeat' names c\.jsonl"):
        ids(files=["a.jsonl"], repeat={"c.jsonl": 2})


def test_a_list_of_values_matches_any_of_them():
    assert matches({"a": 1, "b": 2}, {"a": [1, 3]}) and not matches({"a": 2}, {"a": [1, 3]})
    assert not matches({}, {"a": 1})


def test_arms_change_system_message_and_thoughts():
    roles = lambda row: [message["role"] for message in row["messages"]]  # noqa: E731
    bare = choose(ROWS, options(system="none"), 1, words)
    assert all(roles(row) == ["user", "assistant"] for row in bare)
    mixed = {row["messages"][0]["content"] for row in choose(ROWS, options(system="random"), 1, words)}
    assert "Think." not in mixed and len(mixed & set(OTHER_SYSTEMS)) >= 2
    direct = choose(ROWS, options(think=False), 1, words)
    assert all("think" not in row["messages"][-1]["content"] for row in direct)
    assert all(row["messages"][-1]["content"].startswith("\\boxed") for row in direct)
    assert "<think>" in ROWS[0]["messages"][-1]["content"]  # the pool itself stays as it is


def test_the_average_is_the_mean_of_every_weight(base_dir, tmp_path):
    folders = []
    for number in (0, 1):
        torch.manual_seed(number)
        model = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32)
        for weight in model.parameters():
            torch.nn.init.normal_(weight)
        folders.append(tmp_path / f"part{number}")
        model.save_pretrained(folders[-1])
    found = load_file(average_weights(folders, tmp_path / "mean") / "model.safetensors")
    parts = [load_file(folder / "model.safetensors") for folder in folders]
    assert found.keys() == parts[0].keys()
    assert all(torch.allclose(found[name], (parts[0][name] + parts[1][name]) / 2) for name in found)
    AutoModelForCausalLM.from_pretrained(tmp_path / "mean" / "model")
    with pytest.raises(UserError, match="needs its models first"):
        average_weights([tmp_path / "nowhere"], tmp_path / "other")


def cell(tmp_path, **changes):
    return Cell("s", "arm", 1, tmp_path / "arm-1", tmp_path, "cpu", {"benchmarks": BENCHMARK} | changes, "mark")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "arm 'arm': 'colour'"),
        ({"benchmarks": {}}, "arm 'arm': 'benchmarks'"),
        ({"model": "03_sft/model"}, "no model in"),
        ({"files": ["none.jsonl"]}, "none.jsonl does not exist; check `files`"),
        ({"sft": False, "grpo": True}, "needs `prompts`"),
    ],
)
def test_an_arm_that_cannot_train_says_why(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(cell(tmp_path, **changes))


def test_no_row_matches(tmp_path):
    Path(tmp_path / "rows.jsonl").write_text('{"decision": "edge", "messages": []}\n', encoding="utf-8")
    with pytest.raises(UserError, match="no training row matches"):
        train(cell(tmp_path, files=["rows.jsonl"], where={"decision": "hard"}))
