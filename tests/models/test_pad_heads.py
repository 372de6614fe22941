"""Padded heads compute what the shipped models compute."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from phi4r_lib.models.engine import EngineError
from phi4r_lib.models.fast.pad_heads import pad_heads

MODELS = Path(__file__).resolve().parents[2] / "data" / "models"


@pytest.mark.parametrize("name", ["tiny-base", "tiny-teacher"])
def test_padded_heads_give_the_same_logits(name, tmp_path):
    old = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32)
    new = AutoModelForCausalLM.from_pretrained(pad_heads(MODELS / name, tmp_path), dtype=torch.float32)
    ids = torch.randint(0, old.config.vocab_size, (3, 60), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(old(ids).logits, new(ids).logits, atol=2e-4)
    assert new.config.head_dim == 32 and new.generation_config.eos_token_id == old.generation_config.eos_token_id


def test_longer_heads_cannot_be_padded(tmp_path):
    with pytest.raises(EngineError, match="cannot pad the heads"):
        pad_heads(MODELS / "tiny-base", tmp_path, head_dim=16)
