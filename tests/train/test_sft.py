"""SFT: labels token by token, packing that does not leak, a small run that resumes."""

import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.packing import IGNORE, BlockCollator, encode_conversation, pack
from phi4r_lib.train.settings import SftSettings
from phi4r_lib.train.sft import prepare_model, run_sft


def conversation(a, b):
    return [
        {"role": "system", "content": "you are helpful"},
        {"role": "user", "content": f"what is {a} + {b} ?"},
        {"role": "assistant", "content": f"<think> {a} + {b} = {a + b} </think> \\boxed{{{a + b}}}"},
    ]


SETTINGS = SftSettings(
    passes=1.0,
    learning_rate=1e-3,
    batch_size=2,
    block=64,
    warmup_steps=1,
    weight_decay=1e-4,
    eval_every=2,
    eval_problems=2,
    eval_max_tokens=8,
)


@pytest.fixture
def prepared(base_dir):
    return prepare_model(base_dir, SETTINGS)


def test_labels_cover_the_assistant_turn_through_its_end(prepared):
    _, tokenizer = prepared
    ids, labels = encode_conversation(conversation(7, 5), tokenizer)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    start = tokens.index("<think>")
    assert tokens[start - 2 : start] == ["assistant", "<|im_sep|>"]
    assert labels[:start] == [IGNORE] * start
    assert labels[start:] == ids[start:]
    wanted = ["<think>", "7", "+", "5", "=", "12", "</think>", "\\boxed", "{", "12", "}", "<|im_end|>"]
    assert tokenizer.convert_ids_to_tokens(labels[start:]) == wanted


def test_nothing_is_learnt_after_the_end_of_turn(prepared):
    _, tokenizer = prepared
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>{%", "<|im_end|> and{%")
    ids, labels = encode_conversation(conversation(7, 5), tokenizer)
    assert ids[-1] == labels[-1] == tokenizer.eos_token_id


def test_a_template_without_end_of_turn_is_refused(prepared):
    _, tokenizer = prepared
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>", "")
    with pytest.raises(ValueError, match="end-of-turn"):
        encode_conversation(conversation(7, 5), tokenizer)
    with pytest.raises(ValueError, match="last message"):
        encode_conversation(conversation(7, 5)[:2], tokenizer)


@pytest.fixture
def packed(prepared):
    _, tokenizer = prepared
    pairs = [encode_conversation(conversation(a, 2 * a), tokenizer) for a in range(1, 8)]
    blocks = pack(pairs, 64)
    return pairs, blocks, BlockCollator(tokenizer.pad_token_id, 64)(list(blocks))


def test_packing_keeps_every_example_whole(packed):
    pairs, blocks, batch = packed
    found = []
    for row, ids, labels in zip(blocks, batch["input_ids"], batch["labels"], strict=True):
        start = 0
        for length in row["seq_lengths"]:
            found.append((ids[start : start + length].tolist(), labels[start : start + length].tolist()))
            start += length
        assert labels[start:].eq(IGNORE).all()
    assert len(blocks) < len(pairs) and sorted(found) == sorted(pairs)


def test_packed_examples_do_not_see_each_other(packed, prepared):
    _, blocks, batch = packed
    model = prepared[0].eval()
    assert any(len(row["seq_lengths"]) > 1 for row in blocks)
    with torch.no_grad():
        together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        for i, row in enumerate(blocks):
            start = 0
            for length in row["seq_lengths"]:
                alone = model(input_ids=batch["input_ids"][i : i + 1, start : start + length]).logits[0]
                torch.testing.assert_close(together[i, start : start + length], alone, rtol=1e-4, atol=1e-5)
                start += length


def test_first_token_of_a_packed_example_carries_no_loss(prepared):
    batch = BlockCollator(0, 6)([{"input_ids": [5, 6, 7, 8], "labels": [5, 6, 7, 8], "seq_lengths": [2, 2]}])
    assert batch["labels"].tolist() == [[IGNORE, 6, IGNORE, 8, IGNORE, IGNORE]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 0, 1]]


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "math.jsonl"
    file.write_text("".join(json.dumps({"id": f"r{a}", "messages": conversation(a, a)}) + "\n" for a in range(1, 17)))
    return file


PROBLEMS = [
    Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="test", licence="MIT")
    for a in (3, 4)
]


def test_run_writes_model_metrics_and_card(base_dir, rows, tmp_path):
    steps = []
    report = run_sft(
        base_dir,
        [rows],
        tmp_path / "out",
        SETTINGS,
        validation=PROBLEMS,
        device="cpu",
        progress=lambda done, all_: steps.append(done),
    )
    assert report.rows == 16 and report.too_long == 0 and steps[-1] == report.steps
    lines = [json.loads(line) for line in report.metrics.read_text().splitlines()]
    train = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in train] == list(range(1, report.steps + 1))
    assert train[-1]["loss"] < train[0]["loss"]
    checked = [line["step"] for line in lines if line["kind"] == "validation"]
    assert checked[0] == 0 and checked[-1] == report.steps and len(checked) == len(set(checked))
    assert AutoConfig.from_pretrained(report.model).rope_parameters["rope_theta"] == 500_000.0
    assert "<think>" in AutoTokenizer.from_pretrained(report.model).get_vocab()
    assert (report.model / "model.safetensors").exists() and "16 teacher traces" in (
        report.model / "README.md"
    ).read_text()


def test_attention_by_starts_trains_like_the_masked_one(base_dir, rows, tmp_path):
    losses = []
    for name in ("sdpa", "packed_varlen"):
        settings = SETTINGS.model_copy(update={"attention": name})
        report = run_sft(base_dir, [rows], tmp_path / name, settings, device="cpu")
        losses.append([json.loads(line)["loss"] for line in report.metrics.read_text().splitlines()])
    assert len(losses[0]) == 4 and losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_step_is_the_same_in_one_pass_or_several(base_dir, rows, tmp_path):
    losses = []
    for size in (1, 2, None):
        settings = SETTINGS.model_copy(update={"micro_batch": size})
        report = run_sft(base_dir, [rows], tmp_path / str(size), settings, device="cpu")
        losses.append([json.loads(line)["loss"] for line in report.metrics.read_text().splitlines()])
    assert losses[0] == pytest.approx(losses[2], rel=1e-3) and losses[1] == losses[2]


def test_a_killed_run_continues_and_repeats_nothing(base_dir, rows, tmp_path):
    class Killed(Exception):
        pass

    def kill(done, _):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        run_sft(base_dir, [rows], tmp_path / "a", SETTINGS, validation=PROBLEMS, device="cpu", progress=kill)
    report = run_sft(base_dir, [rows], tmp_path / "a", SETTINGS, validation=PROBLEMS, device="cpu")
    assert report.resumed
    straight = run_sft(base_dir, [rows], tmp_path / "b", SETTINGS, validation=PROBLEMS, device="cpu")
    lines = [json.loads(line) for line in report.metrics.read_text().splitlines()]
    assert [(r["kind"], r["step"]) for r in lines] == [
        (r["kind"], r["step"]) for r in map(json.loads, straight.metrics.read_text().splitlines())
    ]
    first, second = (AutoModelForCausalLM.from_pretrained(r.model) for r in (report, straight))
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(weight, second.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_bad_rows_are_named(base_dir, tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "r1"}\n')
    with pytest.raises(ValueError, match=r"bad.jsonl:1: field 'messages'"):
        run_sft(base_dir, [file], tmp_path / "out", SETTINGS, device="cpu")
    file.write_text(json.dumps({"id": "r1", "messages": conversation(1, 2)}) + "\n")
    with pytest.raises(ValueError, match=r"block of 8 tokens; raise sft.block"):
        run_sft(base_dir, [file], tmp_path / "out", SETTINGS.model_copy(update={"block": 8}), device="cpu")
