"""A global batch over processes and passes, and the memory that decides it, against numbers worked by hand."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, Phi3Config

from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.train import batching
from phi4r_lib.train.batching import Split, fit_grpo, processes, rows_that_fit, split
from phi4r_lib.train.memory import (
    Plain,
    activation_bytes,
    dpo_parts,
    grpo_parts,
    kv_bytes,
    parameters,
    plain_shape,
    sft_parts,
    with_passes,
)
from phi4r_lib.train.settings import DpoSettings, GrpoSettings, LaunchSettings, SamplerSettings, SftSettings

PHI4 = Phi3Config(
    vocab_size=100_352, hidden_size=5120, intermediate_size=17_920, num_hidden_layers=40, num_attention_heads=40,
    num_key_value_heads=10, pad_token_id=0, bos_token_id=None, eos_token_id=1,
)  # fmt: skip


def test_processes_come_from_the_launcher(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert processes() == 1
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert processes() == 8


def test_a_step_takes_the_same_rows_however_it_is_split(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert split(32, 100, "x") == Split(32, 1) and split(32, 5, "x") == Split(4, 8) and split(6, 0, "x") == Split(1, 6)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert split(32, 100, "x") == Split(4, 1) and split(32, 3, "x") == Split(2, 2)
    with pytest.raises(ValueError, match=r"sft.batch_size is 12 in all, which 8 processes cannot share"):
        split(12, 4, "sft.batch_size")


def test_parameters_of_phi4_are_the_published_ones(base_dir):
    every, products = parameters(PHI4)
    assert every == pytest.approx(14.66e9, rel=1e-3)  # arXiv 2412.08905: 14B
    assert products == every - 100_352 * 5120 - (2 * 40 + 1) * 5120  # neither embedding nor norms are products
    model = AutoModelForCausalLM.from_pretrained(base_dir)
    assert parameters(model.config)[0] == sum(weight.numel() for weight in model.parameters())


def test_memory_of_phi4():
    states = sft_parts(PHI4, SFT, 1)
    assert sum(states[part] for part in ("weights", "gradients", "optimizer")) == pytest.approx(16 * 14.66e9, rel=1e-2)
    whole, selective, full = (activation_bytes(PHI4, kind) for kind in (False, "selective", True))
    assert full < selective < whole
    assert full == pytest.approx(
        40 * 2 * 5120 + activation_bytes(Phi3Config(**PHI4.to_dict() | {"num_hidden_layers": 1}), False)
    )


class Card:
    total_memory = 80e9


SFT = SftSettings(
    passes=2.0, learning_rate=1e-5, batch_size=32, block=32_768, warmup_steps=0, weight_decay=0.0, eval_every=1,
    eval_problems=1, checkpointing=True,
)  # fmt: skip
GRPO = GrpoSettings(
    steps=90, prompts=64, group=8, learning_rate=5e-8, beta=0.001, entropy=0.001, temperature=1.0, max_tokens=31_744,
    eval_every=10, eval_problems=60, checkpointing=True, fast=False,
)  # fmt: skip
SHARED = LaunchSettings(processes=8, hosts=4, sharding="fsdp")


def test_a_cpu_takes_whole_batches_and_a_gpu_says_what_does_not_fit(monkeypatch):
    assert rows_that_fit(PHI4, SFT, "cpu") > 1000
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: Card())
    monkeypatch.setenv("WORLD_SIZE", "1")
    need = (
        r"needs 2\d\d\.\d GB on each process \(weights 58\.6, gradients 58\.6, optimizer 117\.3, .*there are 72\.0 GB"
    )
    with pytest.raises(ValueError, match=rf"does not fit this GPU: fine-tuning {need}.*set sft.launch.sharding: fsdp"):
        rows_that_fit(PHI4, SFT, "cuda")
    with pytest.raises(ValueError, match=r"GRPO needs .*reference model 29\.3.*raise grpo.micro_batches"):
        fit_grpo(PHI4, GRPO.model_copy(update={"micro_batches": 4, "vllm": True}), 1024, "cuda")
    dpo = DpoSettings(checkpointing=True)
    with pytest.raises(ValueError, match=r"DPO needs .*reference model 58\.6.*a shorter dpo\.length"):
        rows_that_fit(PHI4, dpo, "cuda")
    monkeypatch.setenv("WORLD_SIZE", "32")
    monkeypatch.setattr(batching, "from_all", list)  # 32 cards of one size
    assert rows_that_fit(PHI4, dpo.model_copy(update={"launch": SHARED}), "cuda") >= 1
    assert rows_that_fit(PHI4, SFT.model_copy(update={"launch": SHARED}), "cuda") >= 1
    for settings in (SFT, SFT.model_copy(update={"attention": "sdpa"}), dpo.model_copy(update={"length": 32_768})):
        settings = settings.model_copy(update={"launch": SHARED})
        rows, most = rows_that_fit(PHI4, settings, "cuda"), settings.model_copy(update={"batch_size": 32 * 99})
        for some, fits in ((rows, True), (rows + 1, False)):
            count = sft_parts if isinstance(settings, SftSettings) else dpo_parts
            assert (sum(count(PHI4, most.model_copy(update={"micro_batch": some}), 32).values()) <= 72e9) == fits
    shared = GRPO.model_copy(update={"launch": SHARED, "vllm": True, "micro_batches": 16})
    fit_grpo(PHI4, shared.model_copy(update={"sampler": SamplerSettings(sleep=True)}), 1024, "cuda")


def test_a_step_of_grpo_falls_into_whole_groups_on_any_number_of_processes():
    """32 prompts of eight: 32 passes of one group alone, of a quarter of one on each of four; what cannot be shared is said."""
    fast = GRPO.model_copy(update={"fast": True, "prompts": 32, "micro_batches": 32})
    assert fast.splits() == [1, 2, 4, 8, 16, 32, 64, 128, 256] and fast.splits(32) == [1, 2, 4, 8]
    assert GRPO.splits(64)[-1] == 8 and fast.splits(64) == [1, 2, 4, 8]  # too many processes: said below
    assert [fast.passes(count) for count in (1, 2, 8, 32)] == [32, 32, 32, 8]
    assert [fast.uneven(count) for count in (1, 2, 8, 32)] == [None] * 4
    assert [fast.model_copy(update={"micro_batches": 4}).passes(count) for count in (1, 2, 8, 16)] == [4, 4, 4, 4]
    assert GRPO.model_copy(update={"micro_batches": 16}).passes(32) == 16  # two prompts, sixteen completions each
    assert fast.uneven(5) == "grpo.prompts (32) must be a multiple of the processes (5)"
    assert "grpo.micro_batches (3)" in fast.model_copy(update={"micro_batches": 3}).uneven()


def test_a_gpu_takes_as_few_passes_as_its_memory_holds(monkeypatch):
    """A model of 1.5B: the larger card makes fewer passes, one more than needed would not fit, and a set number stays."""
    cards = iter([80e9, 80e9, 140e9, 20e9])
    monkeypatch.setattr(batching, "_smallest_gpu", lambda: int(next(cards)))
    monkeypatch.setenv("WORLD_SIZE", "1")
    shape = Plain(1536, 28, 12, 2, 8960, 151_936, True)
    asked = GRPO.model_copy(update={"fast": True, "prompts": 32, "max_tokens": 8192, "vllm": True, "beta": 0.0})
    asked = asked.model_copy(update={"sampler": SamplerSettings(sleep=True)})
    assert asked.micro_batches is None
    assert fit_grpo(shape, asked.model_copy(update={"micro_batches": 32}), 1024, "cuda").micro_batches == 32
    small, large = (fit_grpo(shape, asked, 1024, "cuda") for _ in range(2))
    for found, card in ((small, 80e9), (large, 140e9)):
        fewer = found.model_copy(update={"micro_batches": found.passes() // 2})
        assert sum(grpo_parts(shape, found, 1, 1024).values()) <= 0.9 * card
        assert sum(grpo_parts(shape, fewer, 1, 1024).values()) > 0.9 * card
    assert small.passes() == 2 * large.passes()
    with pytest.raises(ValueError, match=r"there are 18\.0 GB.*set grpo\.optimizer: adamw_8bit"):
        fit_grpo(shape, asked, 1024, "cuda")
    here = asked.model_copy(update={"vllm": False})
    assert fit_grpo(shape, here, 1024, "cpu") == here and here.passes() == 4


# Phi-4-mini's shape, and two of other families as their config.json has them
UP_TO_4B = {
    "0.5B": Plain(896, 24, 14, 2, 4864, 151_936, True),
    "1.7B": Plain(2048, 24, 32, 32, 8192, 49_152, True),
    "3.8B": Plain(3072, 32, 24, 8, 8192, 200_064, True),
    "4.0B": Plain(2560, 36, 32, 8, 9728, 151_936, True, 128),
}


@pytest.mark.parametrize("name", UP_TO_4B)
def test_profile_gpu_holds_a_model_of_4b_on_one_card(name):
    """As its first line and the README say: fine-tuning and GRPO in 90% of 80 GB, prompts of 1,024 tokens."""
    profile, shape = load_profile("gpu"), UP_TO_4B[name]
    every, _ = parameters(shape)
    assert f"{every / 1e9:.1f}B" == name
    grpo = with_passes(shape, profile.grpo, 1, 1024, int(80e9))
    for parts in (sft_parts(shape, profile.sft, 1), grpo_parts(shape, grpo, 1, 1024, int(80e9))):
        assert sum(parts.values()) <= 72e9


def test_averages_of_one_byte_are_for_whole_weights():
    """4B: 32.2 GB of averages in float32; in a byte each 7.3 GB, and 3.1 GB for the embeddings in float32."""
    shape = UP_TO_4B["4.0B"]
    wide, narrow = (
        sft_parts(shape, SFT.model_copy(update={"optimizer": name}), 1)["optimizer"] for name in ("adamw", "adamw_8bit")
    )
    assert (wide / 1e9, narrow / 1e9) == pytest.approx((32.2, 7.26 + 3.11), abs=0.05)
    with pytest.raises(ValidationError, match="adamw_8bit needs whole weights"):
        DpoSettings(optimizer="adamw_8bit", launch=SHARED)


@pytest.mark.parametrize("asked", [{"sleep": True}, {"server": "http://localhost:8000"}])
def test_what_only_a_gpu_has_is_refused_on_a_cpu(asked):
    config = GRPO.model_copy(update={"vllm": True, "sampler": SamplerSettings(**asked)})
    with pytest.raises(ValueError, match=rf"grpo\.sampler\.{next(iter(asked))} needs a GPU"):
        fit_grpo(PHI4, config, 1024, "cpu")
    fit_grpo(PHI4, config.model_copy(update={"vllm": False}), 1024, "cpu")


def test_parts_by_hand():
    """Phi-4 on one process of 32: 16 N / 32 bytes of states, 205 kB of keys and values for a token, 40 inputs of layers."""
    assert kv_bytes(PHI4) == 2 * 40 * 10 * 128 * 2 == 204_800
    parts = sft_parts(PHI4, SFT.model_copy(update={"launch": SHARED}), 32)
    states = sum(parts[name] for name in ("weights", "gradients", "optimizer"))
    assert states == pytest.approx(16 * 14.66e9 / 32, rel=1e-3)
    assert parts["activations"] == 32_768 * activation_bytes(PHI4, True)
    one = GRPO.model_copy(update={"micro_batches": 512})
    alone = grpo_parts(PHI4, one, 1, 1024)
    assert alone["keys and values"] == 512 * (31_744 + 1024) * 204_800  # TRL's own steps write all at once
    assert alone["attention mask"] == 32_768**2 * 3  # one padded row
    fast = grpo_parts(PHI4, one.model_copy(update={"fast": True, "micro_batches": 64}), 1, 1024)
    assert fast["keys and values"] == 8 * (31_744 + 1024) * 204_800
    assert "reference model" not in grpo_parts(PHI4, GRPO.model_copy(update={"beta": 0.0}), 1)
    shards = GRPO.model_copy(update={"launch": SHARED, "micro_batches": 2, "fast": True})
    assert grpo_parts(PHI4, shards, 32, 1024)["sampler's copy"] == pytest.approx(2 * 14.66e9, rel=1e-3)
    assert "sampler's copy" not in grpo_parts(PHI4, shards.model_copy(update={"vllm": True}), 32, 1024)
    here, there = (grpo_parts(PHI4, GRPO, 1, 1024, gpu=gpu)["reference model"] for gpu in (False, True))
    assert here == 2 * there == pytest.approx(4 * 14.66e9, rel=1e-3)
    alone = LaunchSettings(sharding="fsdp")  # as when one process goes on: its reference is no plain model to be halved
    one_shard = grpo_parts(PHI4, GRPO.model_copy(update={"launch": alone}), 1, 1024)
    assert one_shard["reference model"] == here
    inside = GRPO.model_copy(update={"vllm": True, "sampler": SamplerSettings(memory=0.4)})
    assert grpo_parts(PHI4, inside, 8, 1024, int(100e9))["vLLM"] == pytest.approx(40e9)


def test_measured_training_on_a_gpu_needs_what_is_counted():
    """benchmarks/records/nvidia-h200.json, peak memory of fine-tuning: within a third, and never much less."""
    record = json.loads((Path(__file__).parents[2] / "benchmarks/records/nvidia-h200.json").read_text())
    shapes = {
        "sft-1b": (2048, 22, 32, 4, 5632, 32_000, False),
        "sft-14b-width": (5120, 4, 40, 10, 17_920, 100_352, False),
        "sft-135m": (576, 30, 9, 3, 1536, 49_152, True),
    }
    names = (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
        "vocab_size", "tie_word_embeddings",
    )  # fmt: skip
    ways = {"as it is": False, "selective checkpointing": "selective"}
    seen = 0
    for row in record["rows"]:
        if row["part"] in shapes and row["way"] in ways:
            shape = plain_shape(dict(zip(names, shapes[row["part"]], strict=True)))
            change = {"block": row["block"], "micro_batch": row["blocks"], "checkpointing": ways[row["way"]]}
            parts = sft_parts(shape, SFT.model_copy(update=change), 1)
            ratio = sum(parts.values()) / 1e9 / row["memory_gb"]
            most = 1.34 if ways[row["way"]] is False else 5  # selective kept hardly more than the layers' inputs there
            assert 0.75 < ratio < most, (row["part"], row["way"], ratio)
            seen += 1
    assert seen == 6
