"""A model that is sure of what it says."""

import pytest
import torch
from transformers import AutoModelForCausalLM


@pytest.fixture
def model(base_dir):
    model = AutoModelForCausalLM.from_pretrained(base_dir).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(8)  # sharp enough that rounding decides nothing
    return model
