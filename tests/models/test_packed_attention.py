"""Attention by starts gives what the dense block mask gives, gradients included; padding and caches go the usual way."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.engines.transformers_engine import TransformersEngine
from phi4r_lib.models.fast.attention import float32_attention
from phi4r_lib.models.fast.packed_attention import CUTS, PACKED, attend_packed, can_attend_packed, cuts
from phi4r_lib.train.packing import BlockCollator

ROWS = [
    {"input_ids": list(range(5, 14)), "labels": list(range(5, 14)), "seq_lengths": [4, 5]},
    {"input_ids": list(range(20, 27)), "labels": list(range(20, 27)), "seq_lengths": [7]},
]


def loss_and_gradients(model, batch):
    model.zero_grad()
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return loss.detach(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


def test_cuts_name_every_example_and_fill_up():
    starts = cuts([4, 5, 1, 7])
    assert starts[:5].tolist() == [0, 4, 9, 10, 17] and len(starts) == CUTS and set(starts[5:].tolist()) == {17}
    assert starts.dtype == torch.int32 and len(cuts([1] * CUTS)) == 2 * CUTS


@pytest.mark.parametrize("given", [True, False], ids=["starts given", "starts read off positions"])
def test_loss_and_gradients_are_those_of_the_block_mask(base_dir, given):
    model = AutoModelForCausalLM.from_pretrained(base_dir)
    masked = loss_and_gradients(model, BlockCollator(0, 10)(ROWS))
    attend_packed(model)
    loss, gradients = loss_and_gradients(model, BlockCollator(0, 10, starts=given)(ROWS))
    torch.testing.assert_close(loss, masked[0])
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, masked[1][name], rtol=1e-4, atol=1e-6)


def test_padded_rows_are_masked_as_before(base_dir):
    model = AutoModelForCausalLM.from_pretrained(base_dir).eval()
    ids = torch.arange(5, 17).view(2, 6)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    before = model(ids, attention_mask=mask).logits
    attend_packed(model)
    torch.testing.assert_close(model(ids, attention_mask=mask).logits[mask.bool()], before[mask.bool()])


def test_a_model_in_training_still_samples(base_dir):
    tokenizer, settings = AutoTokenizer.from_pretrained(base_dir), SamplingSettings(n=2, max_tokens=9, seed=3)
    model = AutoModelForCausalLM.from_pretrained(base_dir)
    plain = TransformersEngine.from_model(model, tokenizer, name="a").sample(["what is 3 ?"], settings)
    attend_packed(model)
    packed = TransformersEngine.from_model(model, tokenizer, name="a").sample(["what is 3 ?"], settings)
    assert [s.text for s in packed[0]] == [s.text for s in plain[0]] and model.config._attn_implementation == PACKED


def test_models_with_windows_or_large_heads_keep_their_masks(base_dir):
    config = AutoModelForCausalLM.from_pretrained(base_dir).config
    assert can_attend_packed(config, 64)
    for change in ({"sliding_window": 32}, {"head_dim": 512}, {"layer_types": ["sliding_attention"] * 2}):
        other = type(config).from_dict(config.to_dict() | change)
        assert not can_attend_packed(other, 64)


def test_float32_attention_keeps_examples_apart_and_undoes_only_rounding(base_dir):
    model = AutoModelForCausalLM.from_pretrained(base_dir).eval()
    ids = torch.randint(5, 90, (2, 40), generator=torch.Generator().manual_seed(0))
    positions = torch.cat([torch.arange(n) for n in (11, 9, 20)]).expand(2, -1)
    inputs = {"input_ids": ids, "position_ids": positions, "use_cache": False}
    with torch.no_grad():
        exact = model(**inputs).logits
        alone = model(input_ids=ids[:, 11:20]).logits  # the second example by itself
        with float32_attention(model):
            torch.testing.assert_close(model(**inputs).logits, exact)
            torch.testing.assert_close(exact[:, 11:20], alone, rtol=1e-4, atol=1e-5)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = model(**inputs).logits.float()
            with float32_attention(model):
                inside = model(**inputs).logits.float()
    assert not torch.equal(inside, rounded) and (inside - exact).abs().max() < 0.05 * exact.abs().max()
    assert model.config._attn_implementation == "sdpa"
