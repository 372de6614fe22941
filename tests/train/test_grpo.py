"""GRPO: group filter, micro-batches, and a small run of TRL's trainer that logs, resumes and chooses a checkpoint."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.shares import wilson
from phi4r_lib.problems.verify import Verdict
from phi4r_lib.train.callbacks import Journal, interval_over_problems, save_model
from phi4r_lib.train.fast_rollouts import split_groups
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.reward import reward_of
from phi4r_lib.train.rollouts import ClippedError, RewardFunction, checked_rewards, informative, step_figures
from phi4r_lib.train.settings import GrpoSettings, SftSettings
from phi4r_lib.train.sft import prepare_model, run_sft

SETTINGS = GrpoSettings(
    steps=4,
    prompts=4,
    group=4,
    micro_batches=2,
    learning_rate=1e-3,
    warmup_steps=1,
    beta=0.001,
    entropy=0.001,
    temperature=1.0,
    max_tokens=24,
    max_clipped=1.0,
    eval_every=2,
    eval_problems=2,
)
PROBLEMS = [
    Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="test", licence="MIT")
    for a in (1, 2)
]


def test_only_groups_with_right_and_wrong_answers_teach():
    correct = [True, True, False, False, True, False]
    assert informative(correct, 2) == [False, False, False, False, True, True]
    assert informative(correct, 3) == [True] * 6


@pytest.mark.parametrize(
    ("p", "group", "share"), [(0.1, 4, 0.344), (0.1, 8, 0.570), (0.1, 16, 0.815), (0.05, 8, 0.337)]
)
def test_share_of_informative_groups(p, group, share):
    # 1 - p^G - (1-p)^G by counting every outcome of a group, the known values of the edge filter's theory
    chance = 0.0
    for outcome in range(2**group):
        correct = [bool(outcome >> i & 1) for i in range(group)]
        chance += informative(correct, group)[0] * p ** sum(correct) * (1 - p) ** (group - sum(correct))
    assert chance == pytest.approx(share, abs=6e-4)


def batch(lengths, kept):
    width = max(lengths)
    mask = torch.tensor([[1] * n + [0] * (width - n) for n in lengths]) * torch.tensor(kept)[:, None]
    return {
        "prompt_ids": torch.arange(len(lengths) * 3).view(-1, 3),
        "prompt_mask": torch.tensor([[0, 1, 1]] * len(lengths)),
        "completion_ids": torch.arange(len(lengths) * width).view(-1, width),
        "completion_mask": mask,
        "advantages": torch.arange(len(lengths)).float(),
        "num_items_in_batch": mask.sum(),
    }


def test_micro_batches_hold_the_kept_groups_once_without_waste():
    whole = batch([9, 2, 5, 3, 8, 1], [1, 1, 0, 0, 1, 1])
    parts = split_groups(whole, 2, 2)
    assert [part["advantages"].tolist() for part in parts] == [[0, 1], [4, 5]]
    assert [part["completion_ids"].shape for part in parts] == [(2, 9), (2, 8)]
    assert all(part["prompt_ids"].shape == (2, 2) for part in parts)
    assert sum(int(part["completion_mask"].sum()) for part in parts) == int(whole["completion_mask"].sum())
    assert parts[1]["prompt_ids"].tolist() == [[13, 14], [16, 17]]


def test_micro_batches_of_nothing_are_masked_not_missing():
    parts = split_groups(batch([4, 2, 3, 3], [0, 0, 1, 1]), 2, 2)
    assert len(parts) == 2 and all(len(part["advantages"]) == 2 for part in parts)
    assert sum(int(part["completion_mask"].sum()) for part in parts) == 6
    nothing = split_groups(batch([4, 2], [0, 0]), 1, 2)
    assert sum(int(part["completion_mask"].sum()) for part in nothing) == 0


def test_more_micro_batches_than_groups_take_parts_of_groups():
    whole = batch([9, 2, 5, 3, 8, 1, 7, 7], [1, 1, 1, 1, 0, 0, 0, 0])
    parts = split_groups(whole, 4, 4)
    assert [part["advantages"].tolist() for part in parts] == [[0], [1], [2], [3]]
    assert [part["completion_ids"].shape for part in parts] == [(1, 9), (1, 2), (1, 5), (1, 3)]
    filled = split_groups(whole, 8, 4)  # a masked group fills up, so that every step has as many passes
    assert [part["advantages"].tolist() for part in filled] == [[0], [1], [2], [3], [4], [5], [6], [7]]
    assert sum(int(part["completion_mask"].sum()) for part in filled) == int(whole["completion_mask"].sum())
    assert len(split_groups(whole, 8, 4, drop=False)) == 8


def test_reward_lengths_follow_the_limit_unless_named():
    assert (reward_of(SETTINGS).l_max, reward_of(SETTINGS).l_pos) == (24, 19)
    named = reward_of(SETTINGS.model_copy(update={"reward_context": 100, "l_pos": 60}))
    assert (named.l_max, named.l_pos, named.l_neg) == (100, 60, 12)


@pytest.fixture(scope="module")
def trained(shared_base_dir, tmp_path_factory):
    """A model that has seen a few traces, so that some completions keep the format; nobody writes into its folder."""
    tmp_path = tmp_path_factory.mktemp("start")
    settings = SftSettings(
        passes=30, learning_rate=1e-2, batch_size=8, block=64, warmup_steps=5, weight_decay=0.0, eval_every=999,
        eval_problems=1, schedule="constant",
    )  # fmt: skip
    system = {"role": "system", "content": "you are helpful"}
    traces = tmp_path / "traces.jsonl"
    with traces.open("w") as file:
        for a in range(1, 9):
            for b in (a + 1, a + 1, 5):  # a third of the answers is wrong on purpose, so that groups are mixed
                text = f"<think> {a} + 1 = {b} </think> \\boxed{{{b}}}"
                user = {"role": "user", "content": f"what is {a} + 1 ?"}
                messages = [system, user, {"role": "assistant", "content": text}]
                file.write(json.dumps({"messages": messages}) + "\n")
    return run_sft(shared_base_dir, [traces], tmp_path / "sft", settings, device="cpu").model


@pytest.fixture
def start(trained, tmp_path):
    """That model, and prompts for it that a test may change."""
    system = {"role": "system", "content": "you are helpful"}
    prompts = tmp_path / "rl.jsonl"
    with prompts.open("w") as file:
        for a in range(1, 9):
            user = {"role": "user", "content": f"what is {a} + 1 ?"}
            file.write(json.dumps({"id": f"p{a}", "prompt": [system, user], "answer": str(a + 1)}) + "\n")
    return trained, prompts


def test_run_logs_resumes_and_chooses_a_checkpoint(start, tmp_path):
    model, prompts = start
    out = tmp_path / "grpo"

    class Killed(Exception):
        pass

    def kill(done, _):
        if done == 3:
            raise Killed

    common = {"validation": PROBLEMS, "system": "you are helpful", "device": "cpu"}
    with pytest.raises(Killed):
        run_grpo(model, prompts, out, SETTINGS, progress=kill, **common)
    report = run_grpo(model, prompts, out, SETTINGS, **common)
    assert report.resumed and report.steps == 4
    rows = [json.loads(line) for line in report.metrics.read_text().splitlines()]
    train = [row for row in rows if row["kind"] == "train"]
    assert [row["step"] for row in train] == [1, 2, 3, 4]
    for name in ("accuracy", "total", "accuracy_term", "repetition", "clipped", "kl", "entropy", "groups_informative"):
        assert all(math.isfinite(row[name]) for row in train), name
    checked = {row["step"]: row["accuracy"] for row in rows if row["kind"] == "validation"}
    assert list(checked) == [0, 2, 4]
    assert checked[report.chosen_step] == max(checked.values())
    table = pd.concat([pd.read_parquet(path) for path in report.rollouts])
    assert table.groupby("step").size().to_dict() == {1: 16, 2: 16, 3: 16, 4: 16}
    by_step = table.groupby("step")["correct"].mean()
    assert all(by_step[row["step"]] == pytest.approx(row["accuracy"]) for row in train)
    expected = 8 / 13 * table["accuracy_term"] + 1 / 13 * table["repetition"]
    pd.testing.assert_series_equal(table["total"], expected, check_names=False)
    of_group = table.reset_index(drop=True).groupby(np.arange(len(table)) // SETTINGS.group)["total"]
    push = (table["total"].to_numpy() - of_group.transform("mean")) / (of_group.transform("std") + 1e-4)  # ddof 1
    kept = table["kept"].to_numpy()
    assert table["advantage"].to_numpy()[kept] == pytest.approx(push[kept].to_numpy(), abs=1e-3)
    assert table["kept"].any() and f"step {report.chosen_step}" in (report.model / "README.md").read_text()
    AutoModelForCausalLM.from_pretrained(report.model)


def test_the_last_checkpoint_is_kept_when_asked_for(start, tmp_path):
    model, prompts = start
    settings = SETTINGS.model_copy(update={"steps": 2, "keep": "last"})
    report = run_grpo(model, prompts, tmp_path / "grpo", settings, validation=PROBLEMS, device="cpu")
    assert report.chosen_step == report.steps == 2
    assert "step 2 is the last one" in (report.model / "README.md").read_text()
    before, after = (load_file(folder / "model.safetensors") for folder in (model, report.model))
    assert any(not torch.equal(before[name], after[name]) for name in before)


def gradients(start, out, settings, monkeypatch):
    """Gradients of the first step, in float32, and the rollouts."""
    import trl

    from phi4r_lib.train import callbacks

    found, config = {}, trl.GRPOConfig
    monkeypatch.setattr(trl, "GRPOConfig", lambda **given: config(**given | {"bf16": False, "max_grad_norm": 0.0}))

    def keep(self, args, state, control, model=None, **kwargs):
        found.update({name: weight.grad.clone() for name, weight in model.named_parameters()})

    monkeypatch.setattr(callbacks.JournalCallback, "on_pre_optimizer_step", keep)
    report = run_grpo(start[0], start[1], out, settings, validation=PROBLEMS, device="cpu")
    monkeypatch.undo()
    return found, pd.concat([pd.read_parquet(path) for path in report.rollouts])


@pytest.mark.parametrize(("loss", "passes"), [("token", 2), ("sequence", 2), ("token", 16), ("sequence", 32)])
def test_the_fast_path_gives_the_gradients_of_trls_own_steps(start, tmp_path, monkeypatch, loss, passes):
    """Passes of whole groups, of half a group, of one completion; TRL's own steps have two passes."""
    from phi4r_lib.train.fast_rollouts import FastRolloutTrainer
    from phi4r_lib.train.rollouts import RolloutTrainer

    settings = SETTINGS.model_copy(update={"steps": 1, "loss": loss, "entropy": 0.0, "beta": 0.1, "prompts": 8})
    split = settings.model_copy(update={"micro_batches": passes})
    assert split.passes() == passes
    fast, table = gradients(start, tmp_path / "fast", split, monkeypatch)
    for name in ("_generate_single_turn", "_sampling_model"):  # the same completions, everything else TRL's
        monkeypatch.setattr(RolloutTrainer, name, getattr(FastRolloutTrainer, name), raising=False)
    plain, other = gradients(start, tmp_path / "plain", settings.model_copy(update={"fast": False}), monkeypatch)
    assert table["text"].tolist() == other["text"].tolist() and 0 < table["kept"].mean() < 1
    assert max(gradient.abs().max() for gradient in fast.values()) > 1e-4
    for name, gradient in fast.items():
        torch.testing.assert_close(gradient, plain[name], rtol=1e-3, atol=1e-5, msg=lambda text, name=name: name + text)


def test_a_reward_of_ones_own_decides_what_is_paid(start, tmp_path):
    def short(completions, answer, **columns):
        assert len(answer) == len(completions) == len(columns["completion_ids"]) and answer[0].isdigit()
        return [-len(messages[-1]["content"]) / 100 for messages in completions]

    settings = SETTINGS.model_copy(update={"steps": 1, "filter_groups": False})
    common = {"validation": PROBLEMS, "device": "cpu"}
    report = run_grpo(start[0], start[1], tmp_path / "own", settings, reward=short, **common)
    table = pd.concat([pd.read_parquet(path) for path in report.rollouts])
    assert table["total"].tolist() == pytest.approx([-len(text) / 100 for text in table["text"]])
    assert table["correct"].any() and set(table["format"]) <= {"ok", "bad_think", "no_end"}  # still noted
    again = run_grpo(start[0], start[1], tmp_path / "own", settings, reward=short, **common)
    assert again.seconds == report.seconds  # the same reward: the finished training is taken
    other = run_grpo(
        start[0], start[1], tmp_path / "own", settings, reward=lambda completions, **_: [0.0] * 16, **common
    )
    assert other.seconds != report.seconds and pd.read_parquet(other.rollouts[0])["total"].eq(0).all()


def test_a_reward_that_gives_too_few_numbers_is_named():
    with pytest.raises(ValueError, match="2 values for 3 completions"):
        checked_rewards([1, 2], 3)
    with pytest.raises(ValueError, match="no finite number"):
        checked_rewards([float("nan")], 1)
    assert checked_rewards([True, None], 2) == [1.0, None]


def test_a_short_run_repeats_the_beginning_of_a_long_one(start, tmp_path):
    common = {"validation": PROBLEMS, "device": "cpu"}
    long = run_grpo(*start, tmp_path / "long", SETTINGS, **common)
    brief = SETTINGS.model_copy(update={"steps": 2, "schedule_steps": SETTINGS.steps})
    short = run_grpo(*start, tmp_path / "short", brief, **common)
    rates = [[row["learning_rate"] for row in Journal(one.metrics).rows("train")] for one in (long, short)]
    assert rates[1] == rates[0][:2] and rates[0][2] < rates[0][1]
    texts = [pd.concat([pd.read_parquet(path) for path in one.rollouts]) for one in (long, short)]
    assert texts[1]["text"].tolist() == texts[0][texts[0]["step"] <= 2]["text"].tolist()


def test_prompts_that_were_not_taken_are_left_out(start, tmp_path):
    rows = [json.loads(line) for line in start[1].read_text().splitlines()]
    rows = [row | {"taken": number % 2 == 0} for number, row in enumerate(rows)]
    start[1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = SETTINGS.model_copy(update={"steps": 2})
    report = run_grpo(*start, tmp_path / "out", settings, validation=PROBLEMS, device="cpu")
    table = pd.concat([pd.read_parquet(path) for path in report.rollouts])
    assert set(table["id"]) == {row["id"] for row in rows if row["taken"]}


def test_validation_has_an_interval_over_problems():
    right, wrong = Verdict.right("1"), Verdict.wrong("1", "no")
    alike = interval_over_problems([right, right] * 8 + [wrong, wrong] * 8, 2)  # as good as 16 answers
    assert (alike["low"], alike["high"]) == pytest.approx(tuple(wilson(7.5, 15)), abs=1e-9)
    mixed = interval_over_problems(
        [right, wrong] * 16, 2
    )  # problems do not differ: nothing to be unsure of but their number
    assert mixed["low"] < 0.5 < mixed["high"]
    sure = interval_over_problems([right] * 20, 1)
    assert sure["high"] == 1 and 0.8 < sure["low"] < 0.9


def test_without_the_fast_path_trl_samples(start, tmp_path):
    settings = SETTINGS.model_copy(update={"steps": 1, "fast": False})
    report = run_grpo(start[0], start[1], tmp_path / "plain", settings, validation=PROBLEMS, device="cpu")
    rows = [json.loads(line) for line in report.metrics.read_text().splitlines()]
    (step,) = [row for row in rows if row["kind"] == "train"]
    assert math.isfinite(step["grad_norm"]) and "seconds_sampling" not in step


def test_most_completions_clipped_stops_with_advice(start, tmp_path):
    model, prompts = start
    settings = SETTINGS.model_copy(update={"max_tokens": 3, "max_clipped": 0.5})
    with pytest.raises(ClippedError, match=r"grpo\.max_tokens"):
        run_grpo(model, prompts, tmp_path / "grpo", settings, validation=PROBLEMS, device="cpu")


def test_unusable_inputs_are_named(base_dir, tmp_path):
    prompts = tmp_path / "rl.jsonl"
    row = {"id": "p1", "prompt": [{"role": "user", "content": "what is 1 + 1 ?"}], "answer": "2"}
    prompts.write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=r"grpo\.prompts"):
        run_grpo(base_dir, prompts, tmp_path / "o", SETTINGS, validation=PROBLEMS)
    prompts.write_text((json.dumps(row) + "\n") * 4)
    with pytest.raises(ValueError, match="run notebook 03"):
        run_grpo(base_dir, prompts, tmp_path / "o", SETTINGS, validation=PROBLEMS)
    prompts.write_text(json.dumps(row | {"answer": None}) + "\n")
    with pytest.raises(ValueError, match="without an answer"):
        run_grpo(base_dir, prompts, tmp_path / "o", SETTINGS, validation=PROBLEMS)


def test_a_prefilled_think_tag_is_refused(base_dir, tmp_path):
    model, tokenizer = prepare_model(base_dir, SftSettings.model_construct(double_rope=True, think_init="mean"))
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant<|im_sep|>{%", "assistant<|im_sep|><think>{%")
    save_model(model, tokenizer, tmp_path / "model")
    prompts = tmp_path / "rl.jsonl"
    row = {"id": "p1", "prompt": [{"role": "user", "content": "what is 1 + 1 ?"}], "answer": "2"}
    prompts.write_text((json.dumps(row) + "\n") * 4)
    assert "<think>" in AutoTokenizer.from_pretrained(tmp_path / "model").chat_template
    with pytest.raises(ValueError, match="pre-fills"):
        run_grpo(tmp_path / "model", prompts, tmp_path / "o", SETTINGS, validation=PROBLEMS)


def test_figures_of_an_empty_side_are_missing_not_zero():
    from phi4r_lib.train.reward import phi4_reward

    wrong = [phi4_reward("<think>a</think>b", correct=False, n_tokens=n, ended=True) for n in (4, 6)]
    figures = step_figures(wrong, 2)
    assert figures["tokens_wrong"] == 5 and figures["tokens_right"] is None and figures["groups_all_wrong"] == 1


def test_what_could_not_be_graded_gets_no_reward_and_is_neither_right_nor_wrong():
    class Picky:
        def extract(self, text):
            return text.rpartition("</think>")[2].strip()

        def grade(self, answers, problems):
            made = {"yes": Verdict.right, "no": lambda a: Verdict.wrong(a, "no"), "?": lambda a: Verdict.failed(a, "?")}
            return [made[answer](answer) for answer in answers]

        def groups(self, answers, problems):
            return answers

    asked = [Problem(id="a", domain="d", prompt="q", answer="x", verifier="picky", source="s", licence="MIT")]
    rewards = RewardFunction(reward_of(SETTINGS), [1], asked, {"picky": Picky()})
    texts = [f"<think> t </think> {said}" for said in ("yes", "no", "?", "yes")]
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    ids = [[5, 1], [5, 1], [5, 1], [5, 5]]  # the last one ran into the limit: not right
    totals = rewards([], completions, ids, place=[0] * 4)
    assert totals[2] is None and totals[0] > 0 > totals[1]
    assert [part.correct for part in rewards.parts] == [True, False, None, False]
    figures = step_figures(rewards.parts, 4)
    assert figures["accuracy"] == pytest.approx(1 / 3) and figures["groups_informative"] == 1
    assert informative([True, None, None, True], 2) == [False] * 4


def test_sampler_and_trainer_are_compared_token_by_token():
    from phi4r_lib.train.rollouts import NumericsError, RolloutTrainer, mismatch

    batch = {
        "sampling_per_token_logps": torch.tensor([[-1.0, -2.0, -9.0], [-1.5, -1.0, -9.0]]),
        "old_per_token_logps": torch.tensor([[-1.1, -2.0, 0.0], [-1.0, -1.0, 0.0]]),
        "completion_mask": torch.tensor([[1, 1, 0], [1, 1, 0]]),
    }
    assert mismatch(batch) == pytest.approx(0.15) and mismatch({"completion_mask": None}) is None
    assert mismatch(batch | {"old_per_token_logps": torch.full((2, 3), math.nan)}) == math.inf
    trainer = RolloutTrainer.__new__(RolloutTrainer)
    trainer.state, trainer.max_mismatch = type("State", (), {"global_step": 0})(), 0.1
    trainer._metrics = {"train": {"mismatch": []}}
    with pytest.raises(NumericsError, match=r"differ from the trainer's by 0\.150 per token before step 1"):
        trainer._compare_numbers(batch)
    trainer.state.global_step = 1  # the first completions after a sleep cycle
    with pytest.raises(NumericsError, match=r"before step 2 .*sleep: false first"):
        trainer._compare_numbers(batch)
    trainer.state.global_step = 2  # later steps are logged, not stopped
    trainer._compare_numbers(batch)
    assert trainer._metrics["train"]["mismatch"] == pytest.approx([0.15, 0.15, 0.15])


def test_a_sampler_that_is_not_compared_says_so(capsys):
    from phi4r_lib.train.rollouts import RolloutTrainer

    trainer = RolloutTrainer.__new__(RolloutTrainer)
    trainer.state, trainer.use_vllm = type("State", (), {"global_step": 0})(), True
    trainer._compare_numbers({"completion_mask": torch.ones(1, 1)})
    assert "not compared: grpo.sampler.importance is off" in capsys.readouterr().out


def test_vllm_gets_room_for_prompt_and_completion_and_ratios_per_token():
    from phi4r_lib.train.arguments import sampler_arguments
    from phi4r_lib.train.settings import SamplerSettings

    assert sampler_arguments(SETTINGS, 100) == {"use_vllm": False}
    long = SETTINGS.model_copy(update={"vllm": True, "max_tokens": 31_744})
    found = sampler_arguments(long, 1024)
    assert found["vllm_max_model_length"] == 32_768 and found["vllm_mode"] == "colocate"
    assert found["vllm_importance_sampling_mode"] == "token_truncate" and found["vllm_importance_sampling_correction"]
    server = SamplerSettings(server="http://node2:8000", importance="off", length=4096)
    found = sampler_arguments(long.model_copy(update={"sampler": server}), 1024)
    assert found["vllm_mode"] == "server" and found["vllm_max_model_length"] == 4096
    assert not found["vllm_importance_sampling_correction"]


def test_partial_credit_of_a_verifier_reaches_the_reward_by_a_setting():
    """Three rules; of four answers one breaks none, one a third, one all: off by default, and then wrong is wrong."""
    rules = '[["count", 2], ["sum", 10], ["distinct"]]'
    asked = [
        Problem(id="a", domain="d", prompt="q", answer=rules, verifier="constraints", source="s", licence="MIT"),
    ]
    completions = [
        [{"role": "assistant", "content": f"<think> t </think> \\boxed{{{said}}}"}]
        for said in ("4, 6", "5, 5", "4, 4, 4", "1, 2")
    ]
    totals, kept = {}, {}
    for credit in (0.0, 0.5):
        rewards = RewardFunction(reward_of(SETTINGS.model_copy(update={"partial_credit": credit})), [1], asked)
        totals[credit] = rewards([], completions, [[5] * 20 + [1]] * 4, place=[0] * 4)
        assert [part.correct for part in rewards.parts] == [True, False, False, False]
        kept[credit] = informative([p.partial if p.correct is False else p.correct for p in rewards.parts[1:]], 3)
    off, on = totals[0.0], totals[0.5]
    assert off[0] == on[0] and off[1] == off[2] == off[3]
    assert on[1] - off[1] == pytest.approx(8 / 13 * 0.5 * 2 / 3) and on[3] == on[1] > on[2] >= off[2]
    assert kept == {0.0: [False] * 3, 0.5: [True] * 3}  # a group without a right answer teaches only with credit
