"""Rollout DPO: pairs from rollouts, the loss of one pair by hand, a run that logs, resumes and names bad input."""

import json
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.models.engine import Sample
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.callbacks import Journal
from phi4r_lib.train.dpo import dpo_trainer, encode_pairs, run_dpo
from phi4r_lib.train.packing import IGNORE, encode_conversation
from phi4r_lib.train.pairs import build_pairs
from phi4r_lib.train.settings import DpoSettings, LaunchSettings

SETTINGS = DpoSettings(
    passes=3.0, learning_rate=5e-3, length=128, batch_size=4, eval_every=2, eval_problems=2, eval_max_tokens=16
)
PROBLEMS = [
    Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="test", licence="MIT")
    for a in (3, 4)
]


def prompt(a):
    return {"id": f"q{a}", "prompt": [{"role": "user", "content": f"what is {a} + 1 ?"}], "answer": str(a + 1)}


def sample(answer, thought="1 + 1 = 2 .", **changes):
    text = f"<think> {thought} </think> \\boxed{{{answer}}}"
    return Sample(**{"text": text, "tokens": len(text.split())} | changes)


def test_pairs_are_a_right_and_a_wrong_one_of_nearly_equal_length():
    group = [sample(2, tokens=9), sample(2, "so 2 .", tokens=30), sample(5, tokens=28), sample(6, tokens=60)]
    found = build_pairs([prompt(1)], [group], "m")
    (row,) = found.rows
    assert (row["tokens_chosen"], row["tokens_rejected"]) == (30, 28)
    assert row["id"] == "q1.pair0" and row["parent_id"] == "q1" and row["model"] == "m"
    assert row["chosen"][0]["content"] == group[1].text and row["rejected"][0]["content"] == group[2].text
    two = build_pairs([prompt(1)], [group], "m", most=5).rows
    assert [(one["tokens_chosen"], one["tokens_rejected"]) for one in two] == [(30, 28), (9, 60)]


def test_cut_off_broken_and_repeated_completions_pair_with_nothing():
    cut, broken = sample(5, truncated=True), Sample(text="\\boxed{2}", tokens=3)
    lost = Sample(text="", tokens=0, error="gone")
    groups = [[sample(2), cut], [broken, sample(5)], [sample(2), sample(2)], [sample(5), sample(5)], [lost, sample(2)]]
    found = build_pairs([prompt(1)] * 5, groups, "m")
    assert found.rows == [] and found.questions == 5
    assert (found.all_right, found.all_wrong, found.unpaired) == (2, 1, 2)


@pytest.fixture
def file(tmp_path):
    """Twelve questions, each with a right and a wrong answer."""
    path = tmp_path / "pairs.jsonl"
    groups = [[sample(a + 1, f"{a} + 1 = {a + 1} ."), sample(5, f"{a} + 1 = 5 .")] for a in range(6, 18)]
    rows = build_pairs([prompt(a) for a in range(6, 18)], groups, "m").rows
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def start(base_dir, tmp_path):
    """A model with think tokens."""
    from phi4r_lib.models.thinking import add_think_tokens
    from phi4r_lib.train.callbacks import save_model

    model, tokenizer = AutoModelForCausalLM.from_pretrained(base_dir), AutoTokenizer.from_pretrained(base_dir)
    add_think_tokens(model, tokenizer)
    return save_model(model, tokenizer, tmp_path / "start")


def log_probability(model, tokenizer, messages):
    """Of the assistant's turn, end of turn included, token by token."""
    ids, labels = encode_conversation(messages, tokenizer)
    with torch.no_grad():
        chances = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(chances[i - 1, label].item() for i, label in enumerate(labels) if label != IGNORE)


def test_the_loss_of_one_pair_is_that_of_the_formula(start, file, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(start)
    policy, reference = (AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32) for _ in range(2))
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    pair = json.loads(file.read_text().splitlines()[0])
    ratios = [
        log_probability(policy, tokenizer, pair["prompt"] + pair[name])
        - log_probability(reference, tokenizer, pair["prompt"] + pair[name])
        for name in ("chosen", "rejected")
    ]
    margin = 0.3 * (ratios[0] - ratios[1])
    assert abs(margin) > 0.01
    pairs, _ = encode_pairs(file, tokenizer, 128)
    settings = SETTINGS.model_copy(update={"beta": 0.3})
    trainer = dpo_trainer(policy, reference, tokenizer, pairs, tmp_path, settings, device="cpu", bf16=False)
    loss = trainer.compute_loss(policy, trainer.data_collator([pairs[0]]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-margin)), rel=1e-4)


def test_completions_end_with_the_end_of_turn(start, file):
    tokenizer = AutoTokenizer.from_pretrained(start)
    pairs, too_long = encode_pairs(file, tokenizer, 128)
    assert too_long == 0 and len(pairs) == 12
    for pair in pairs:
        assert pair["chosen_ids"][-1] == pair["rejected_ids"][-1] == tokenizer.eos_token_id
        assert pair["chosen_ids"].count(tokenizer.eos_token_id) == 1
        assert tokenizer.decode(pair["prompt_ids"]).endswith("assistant <|im_sep|>")
    sizes = sorted(len(p["prompt_ids"]) + max(len(p["chosen_ids"]), len(p["rejected_ids"])) for p in pairs)
    assert encode_pairs(file, tokenizer, sizes[0])[1] == sum(size > sizes[0] for size in sizes)


def test_a_run_prefers_the_right_ones_and_writes_what_the_others_write(start, file, tmp_path):
    steps = []
    common = {"validation": PROBLEMS, "system": "you are helpful", "device": "cpu"}
    report = run_dpo(start, file, tmp_path / "out", SETTINGS, progress=lambda done, _: steps.append(done), **common)
    assert (report.pairs, report.too_long, report.steps, report.resumed) == (12, 0, 9, False) and steps[-1] == 9
    train = Journal(report.metrics).rows("train")
    assert [row["step"] for row in train] == list(range(1, 10))
    assert train[0]["loss"] == pytest.approx(math.log(2), abs=1e-6) and train[0]["margin"] == 0
    assert train[-1]["margin"] > 0.5 and train[-1]["preferred"] == 1 and train[-1]["loss"] < 0.5
    assert all(math.isfinite(row[name]) for row in train for name in ("logp_right", "logp_wrong", "learning_rate"))
    assert [row["step"] for row in Journal(report.metrics).rows("validation")] == [0, 2, 4, 6, 8, 9]
    assert "12 pairs" in (report.model / "README.md").read_text()
    AutoModelForCausalLM.from_pretrained(report.model)
    again = run_dpo(start, file, tmp_path / "out", SETTINGS, **common)
    assert again == report and not (tmp_path / "out" / "training").exists()


def test_bad_input_gets_one_clear_line(start, tmp_path):
    path = tmp_path / "pairs.jsonl"
    good = {"id": "p1", "prompt": prompt(1)["prompt"], "chosen": [{"role": "assistant", "content": "a"}]}

    def fails(text, match):
        path.write_text(text)
        with pytest.raises(ValueError, match=match) as caught:
            run_dpo(start, path, tmp_path / "out", SETTINGS, device="cpu")
        assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()

    fails("", r"pairs.jsonl holds no pairs: .* more samples per question")
    fails('{"id": "p1"}\n', r"pairs.jsonl:1: field 'chosen' is missing")
    fails(json.dumps(good), r"row p1: a pair needs 'rejected' as a list of messages")
    fails(json.dumps(good | {"rejected": [{"role": "user", "content": "b"}]}), r"row p1, rejected: the last message")
    fails(json.dumps(good | {"rejected": good["chosen"], "prompt": [{"role": "user", "content": "1 " * 200}]}),
          r"no pair fits 128 tokens")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_dpo_in_two_processes_is_that_of_one(start, file, tmp_path, sharding):
    common = {"validation": PROBLEMS, "system": "you are helpful", "device": "cpu"}
    settings = SETTINGS.model_copy(update={"passes": 1.0})
    groups = (LaunchSettings(processes=count, sharding=sharding) for count in (1, 2))
    one, two = (
        run_dpo(start, file, tmp_path / str(n), settings.model_copy(update={"launch": launch}), **common)
        for n, launch in enumerate(groups)
    )
    first, second = (Journal(report.metrics).rows("train") for report in (one, two))
    assert [row["step"] for row in first] == [row["step"] for row in second] == [1, 2, 3]
    for name in ("loss", "margin", "grad_norm"):
        assert [row[name] for row in first] == pytest.approx([row[name] for row in second], rel=2e-2, abs=1e-3), name
    assert (two.model / "model.safetensors").exists() and not list((tmp_path / "1/launch").glob("error-*"))
