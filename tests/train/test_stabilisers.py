"""The stabilisers of reinforcement learning: which prompts, which completions, which temperature; and the +1/-1 reward."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.models.engine import Sample
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.callbacks import Journal
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.settings import GrpoSettings, SftSettings
from phi4r_lib.train.sft import run_sft
from phi4r_lib.train.stabilisers import cooled, rebalanced, screen_prompts, sharpened, steadiness

SETTINGS = GrpoSettings(
    steps=4, prompts=4, group=8, micro_batches=2, learning_rate=1e-3, warmup_steps=1, beta=0.001, entropy=0.001,
    temperature=1.0, max_tokens=24, max_clipped=1.0, eval_every=2, eval_problems=2, reward="sign", rebalance=0.5,
    cool_to=0.6,
)  # fmt: skip
PROBLEMS = [
    Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="test", licence="MIT")
    for a in (1, 2)
]


def test_all_right_ones_stay_with_as_many_wrong_ones_and_easy_groups_go():
    rng = np.random.default_rng(0)
    correct = [True, True, False, False, False, False, False, None] + [True] * 5 + [False] * 3 + [False] * 8
    flags = rebalanced(correct, 8, 0.5, rng)
    assert flags[:2] == [True, True] and sum(flags[2:7]) == 2 and not flags[7]
    assert flags[8:] == [False] * 16
    chosen = {tuple(rebalanced(correct[:8], 8, 0.5, np.random.default_rng(seed))) for seed in range(20)}
    assert len(chosen) > 1 and tuple(flags[:8]) == tuple(rebalanced(correct[:8], 8, 0.5, np.random.default_rng(0)))
    assert sum(rebalanced(correct, 8, 1.0, rng)) == 4 + 8


def test_steadiness_by_hand():
    table = pd.DataFrame({"correct": [True, False, True, True], "kept": [True, True, False, False]})
    table = table.assign(correct=table["correct"].astype("boolean"), n_tokens=[10, 30, 20, 20])
    found = steadiness(table, 2)
    assert (found["spread"], found["informative"], found["used"], found["accuracy"]) == (0.25, 0.5, 0.5, 0.75)


def test_the_temperature_falls_over_the_first_half():
    settings = SETTINGS.model_copy(update={"steps": 40})
    assert [cooled(step, settings) for step in (0, 10, 20, 39)] == pytest.approx([1.0, 0.8, 0.6, 0.6])
    assert cooled(30, settings.model_copy(update={"cool_to": None})) == 1.0


def test_prompts_of_like_length_stay_and_hard_ones_come_twice():
    def group(right, *tokens):
        answers = [2] * right + [3] * (len(tokens) - right)
        return [Sample(text=f"\\boxed{{{a}}}", tokens=t) for a, t in zip(answers, tokens, strict=True)]

    prompts = [{"id": f"p{i}", "prompt": [{"role": "user", "content": "1 + 1"}], "answer": "2"} for i in range(5)]
    samples = [
        group(1, 10, 10, 11, 11), group(2, 5, 50, 5, 50), group(4, 9, 9, 9, 9), group(0, 9, 9, 9, 9), group(2, 9, 9, 8, 8)
    ]  # fmt: skip
    assert [row["id"] for row in screen_prompts(prompts, samples)] == ["p0", "p1", "p4"]
    steady = screen_prompts(prompts, samples, uniform=0.67, hard=0.25)
    assert [row["id"] for row in steady] == ["p0", "p0", "p4"]
    assert steady[0]["pass_rate"] == 0.25 and steady[0]["length_spread"] == pytest.approx(0.5 / 10.5)
    assert screen_prompts(prompts[2:4], samples[2:4], uniform=0.5) == []
    open_ones = screen_prompts(prompts, samples, most=0.25, uniform=1.0)
    assert [row["id"] for row in open_ones] == ["p0"]


def test_prompts_that_are_screened_for_it_keep_re_balancing_fed():
    """Of prompts that are mostly solved hardly a completion stays; of those below the threshold at screening, most groups train."""
    rng = np.random.default_rng(0)
    rates = rng.choice([0.25, 0.4, 0.8, 0.9], 400)
    seen, later = (rng.random((400, 8)) < rates[:, None] for _ in range(2))
    left = (seen.mean(1) > 0) & (seen.mean(1) <= 0.5)
    used = lambda groups: np.mean(rebalanced(groups.ravel().tolist(), 8, 0.5, rng))  # noqa: E731
    assert used(later[rates > 0.5]) < 0.05 < 0.4 < used(later[left])


def test_a_sharpened_model_gives_the_probabilities_of_the_lower_temperature(base_dir):
    model = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32).eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        plain = model(ids).logits
        with sharpened(model, 1 / 0.6):
            torch.testing.assert_close(model(ids).logits, plain / 0.6)
        torch.testing.assert_close(model(ids).logits, plain)


@pytest.fixture(scope="module")
def start(shared_base_dir, tmp_path_factory):
    """A model that answers sums, half of them wrongly, and prompts for it."""
    folder = tmp_path_factory.mktemp("steady")
    practice = SftSettings(
        passes=30, learning_rate=1e-2, batch_size=8, block=64, warmup_steps=5, weight_decay=0.0, eval_every=999,
        eval_problems=1, schedule="constant",
    )  # fmt: skip
    traces, prompts = folder / "traces.jsonl", folder / "rl.jsonl"
    asked = {a: {"role": "user", "content": f"what is {a} + 1 ?"} for a in range(1, 9)}
    with traces.open("w") as file:
        for a, user in asked.items():
            for b in (a + 1, 5, 7):
                reply = {"role": "assistant", "content": f"<think> {a} + 1 = {b} </think> \\boxed{{{b}}}"}
                file.write(json.dumps({"messages": [user, reply]}) + "\n")
    prompts.write_text(
        "".join(json.dumps({"id": f"p{a}", "prompt": [user], "answer": str(a + 1)}) + "\n" for a, user in asked.items())
    )
    return run_sft(shared_base_dir, [traces], folder / "sft", practice, device="cpu").model, prompts


@pytest.mark.parametrize("fast", [True, False])
def test_a_run_with_all_switches_on(start, tmp_path, fast):
    settings = SETTINGS.model_copy(update={"fast": fast})
    report = run_grpo(*start, tmp_path / "out", settings, validation=PROBLEMS, device="cpu")
    table = pd.concat([pd.read_parquet(path) for path in report.rollouts], ignore_index=True)
    assert set(table["total"]) == {-1.0, 1.0} and (table["total"].eq(1) == table["correct"]).all()
    groups = table.groupby(table.index // 8)
    right, kept = groups["correct"].sum(), groups["kept"].sum()
    assert kept.to_dict() == {place: 2 * n if 0 < n <= 4 else 0 for place, n in right.items()}
    assert (kept > 0).sum() >= 2 and groups["advantage"].sum().abs().max() < 1e-3
    assert len(Journal(report.metrics).rows("train")) == 4


def test_a_killed_run_with_all_switches_on_goes_on_the_same(start, tmp_path):
    class Killed(Exception):
        pass

    def kill(done, _):
        if done == 3:
            raise Killed

    common = {"validation": PROBLEMS, "device": "cpu"}
    with pytest.raises(Killed):
        run_grpo(*start, tmp_path / "a", SETTINGS, progress=kill, **common)
    reports = [run_grpo(*start, tmp_path / name, SETTINGS, **common) for name in "ab"]
    assert reports[0].resumed and not reports[1].resumed
    again, straight = (pd.concat([pd.read_parquet(path) for path in report.rollouts]) for report in reports)
    pd.testing.assert_frame_equal(again.reset_index(drop=True), straight.reset_index(drop=True))


def test_log_probabilities_are_those_of_the_temperature_sampled_at(start, tmp_path, monkeypatch):
    """The trainer's own figures for a cooled step against the plain model's logits over that temperature."""
    from phi4r_lib.train import stabilisers

    seen = []
    original = stabilisers.Steady._get_per_token_logps_and_entropies

    def look(self, model, ids, mask, keep, *args, **kwargs):
        out = original(self, model, ids, mask, keep, *args, **kwargs)
        if not seen:
            with torch.no_grad():
                logits = self.accelerator.unwrap_model(model)(ids, attention_mask=mask).logits[:, -keep - 1 : -1]
            chances = (logits.float() / self.temperature).log_softmax(-1)
            wanted = chances.gather(-1, ids[:, -keep:, None])[..., 0]
            used = mask[:, -keep:].bool()
            seen.append((self.temperature, (out[0] - wanted)[used].abs().max().item()))
        return out

    monkeypatch.setattr(stabilisers.Steady, "_get_per_token_logps_and_entropies", look)
    settings = SETTINGS.model_copy(update={"temperature": 1.0, "cool_to": 0.6, "cool_share": 0.01, "steps": 2})
    monkeypatch.setattr(stabilisers, "cooled", lambda step, settings: 0.6)
    run_grpo(*start, tmp_path / "out", settings, validation=PROBLEMS, device="cpu")
    ((temperature, gap),) = seen
    assert temperature == 0.6 and gap < 0.05  # bf16 against float32


def test_the_tokenizer_of_the_bench_knows_the_think_tokens(start):
    assert "<think>" in AutoTokenizer.from_pretrained(start[0]).get_vocab()
