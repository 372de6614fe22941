"""A global batch over processes and passes, and the memory that decides it, against numbers worked by hand."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Phi3Config

from phi4r_lib.train.batching import Split, activation_bytes, parameters, processes, rows_that_fit, split, state_bytes

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
    assert state_bytes(PHI4) == pytest.approx(16 * 14.66e9 + 2 * 14.15e9, rel=1e-2)
    whole, selective, full = (activation_bytes(PHI4, kind) for kind in (False, "selective", True))
    assert full < selective < whole
    assert full == pytest.approx(
        40 * 2 * 5120 + activation_bytes(Phi3Config(**PHI4.to_dict() | {"num_hidden_layers": 1}), False)
    )


def test_a_cpu_takes_whole_batches_and_a_gpu_says_what_does_not_fit(monkeypatch):
    assert rows_that_fit(PHI4, 32_768, True, "cpu") > 1000

    class Card:
        total_memory = 80e9

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: Card())
    with pytest.raises(ValueError, match=r"does not fit this GPU: 262\.\d GB of weights"):
        rows_that_fit(PHI4, 32_768, True, "cuda")
    monkeypatch.setenv("WORLD_SIZE", "32")
    assert rows_that_fit(PHI4, 8192, True, "cuda", sharded=True) >= 1
