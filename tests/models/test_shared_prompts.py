"""Completions behind one shared prompt are scored exactly as alone."""

from contextlib import nullcontext

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from phi4r_lib.models.fast.shared_prompts import IGNORE, branches, is_grouped, row_attention, share_prompts


@pytest.fixture
def rows():
    """Two groups of three: prompts of 5 and 3 tokens left-padded, completions of 1 to 6 tokens."""
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(5, 90, (2, 5), generator=generator).repeat_interleave(3, 0)
    prompt_mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]).repeat_interleave(3, 0)
    completions = torch.randint(5, 90, (6, 6), generator=generator)
    lengths = torch.tensor([4, 1, 6, 2, 5, 3])
    completion_mask = (torch.arange(6) < lengths[:, None]).long()
    return prompts, prompt_mask, completions, completion_mask


def alone(model, prompt, completion):
    """Log-probabilities of a completion's tokens from a plain forward pass over prompt + completion."""
    ids = torch.cat([prompt, completion])[None]
    logits = model(input_ids=ids).logits[0].log_softmax(-1)
    return logits[len(prompt) - 1 : -1].gather(1, completion[:, None])[:, 0]


@pytest.mark.parametrize("way", [row_attention, lambda model, rows: nullcontext()], ids=["part by part", "masked"])
def test_log_probabilities_are_those_of_separate_rows(base_dir, rows, way):
    model = AutoModelForCausalLM.from_pretrained(base_dir).eval()
    prompts, prompt_mask, completions, completion_mask = rows
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    shared = share_prompts(*rows, 3)
    assert shared.input_ids.shape == (2, 4 + 11)  # prompt without its last token, then three branches
    with torch.no_grad():
        with way(model, shared):
            out = model(**shared.inputs())
        found = torch.zeros(6, 6).masked_scatter(completion_mask.bool(), out.log_probs[shared.labels != IGNORE])
        for i in range(6):
            tokens = completions[i][completion_mask[i].bool()]
            expected = alone(model, prompts[i][prompt_mask[i].bool()], tokens)
            torch.testing.assert_close(found[i, : len(tokens)], expected, rtol=1e-4, atol=1e-5)


def test_masked_completions_leave_no_trace(rows):
    prompts, prompt_mask, completions, completion_mask = rows
    completion_mask = completion_mask.clone()
    completion_mask[1] = 0
    shared = share_prompts(prompts, prompt_mask, completions, completion_mask, 3)
    assert int((shared.labels != IGNORE).sum()) == int(completion_mask.sum())
    assert shared.labels[shared.labels != IGNORE].tolist() == completions[completion_mask.bool()].tolist()


def test_rows_of_mixed_prompts_are_not_a_group(rows):
    prompts, prompt_mask, *_ = rows
    assert is_grouped(prompts, prompt_mask, 3) and not is_grouped(prompts, prompt_mask, 2)
    assert not is_grouped(prompts, prompt_mask, 4)
    other = prompts.clone()
    other[0, 1] += 1
    assert not is_grouped(other, prompt_mask, 3)


@pytest.mark.parametrize("way", [row_attention, lambda model, rows: nullcontext()], ids=["part by part", "masked"])
def test_gradients_are_those_of_separate_rows(base_dir, rows, way):
    model = AutoModelForCausalLM.from_pretrained(base_dir)
    prompts, prompt_mask, completions, completion_mask = rows
    weights = torch.arange(1.0, 7.0)  # as advantages: another one for each completion
    total = sum(
        weights[i] * alone(model, prompts[i][prompt_mask[i].bool()], completions[i][completion_mask[i].bool()]).sum()
        for i in range(6)
    )
    expected = torch.autograd.grad(total, model.parameters())
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    shared = share_prompts(*rows, 3)
    with way(model, shared):
        out = model(**shared.inputs())
    places = completion_mask.bool()
    found = out.log_probs.new_zeros(6, 6).masked_scatter(places, out.log_probs[shared.labels != IGNORE])
    for gradient, other in zip(
        torch.autograd.grad((weights[:, None] * found).sum(), model.parameters()), expected, strict=True
    ):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-4)


def test_a_cpu_shares_whole_groups_a_gpu_four_at_most():
    assert [branches(group, "cuda") for group in (1, 5, 6, 8, 16)] == [1, 1, 3, 4, 4]
    assert [branches(group) for group in (1, 5, 8, 16)] == [1, 5, 8, 16]


def test_attention_part_by_part_is_in_float32_and_only_within(base_dir, rows):
    model = AutoModelForCausalLM.from_pretrained(base_dir).eval()
    assert model.config._attn_implementation == "sdpa"
    shared = share_prompts(*rows, 3)
    inputs = {
        "input_ids": shared.input_ids,
        "position_ids": shared.position_ids,
        "attention_mask": shared.attention_mask,
    }
    exact = model(**inputs).logits
    real = shared.branch >= 0
    with row_attention(model, shared):
        torch.testing.assert_close(model(**inputs).logits[real], exact[real], rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(**inputs).logits.float()
        with row_attention(model, shared):
            assert model.config._attn_implementation == "branch_sdpa"
            inside = model(**inputs).logits.float()
    assert model.config._attn_implementation == "sdpa"
    assert not torch.equal(inside[real], rounded[real])
    assert (inside - exact)[real].abs().max() < 0.05 * exact.abs().max()


def test_empty_completions_and_prompts_of_one_token(base_dir):
    model = AutoModelForCausalLM.from_pretrained(base_dir).eval()
    prompts, mask = torch.tensor([[0, 0, 7]] * 2 + [[8, 9, 11]] * 2), torch.tensor([[0, 0, 1]] * 2 + [[1, 1, 1]] * 2)
    completions, lengths = torch.arange(20, 36).view(4, 4), torch.tensor([3, 0, 4, 1])
    shared = share_prompts(prompts, mask, completions, (torch.arange(4) < lengths[:, None]).long(), 2)
    inputs = {
        "input_ids": shared.input_ids,
        "position_ids": shared.position_ids,
        "attention_mask": shared.attention_mask,
    }
    with torch.no_grad():
        exact, real = model(**inputs).logits, shared.branch >= 0
        with row_attention(model, shared):
            torch.testing.assert_close(model(**inputs).logits[real], exact[real], rtol=1e-4, atol=1e-5)


def test_gradients_are_the_same_bits_whatever_the_threads_do(base_dir):
    # indexing by repeated rows gives a backward pass that threads add up in any order: 11 of 20 passes were others
    model, generator = AutoModelForCausalLM.from_pretrained(base_dir), torch.Generator().manual_seed(1)
    prompts = torch.randint(5, 90, (16, 120), generator=generator).repeat_interleave(8, 0)
    completions = torch.randint(5, 90, (128, 6), generator=generator)
    shared = share_prompts(prompts, torch.ones_like(prompts), completions, torch.ones_like(completions), 8)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with row_attention(model, shared):
            logits = model(
                input_ids=shared.input_ids, attention_mask=shared.attention_mask, position_ids=shared.position_ids
            ).logits
        loss = (logits.log_softmax(-1) * torch.randn(logits.shape, generator=generator)).sum()
        found = {gradient_bits(model, loss) for _ in range(20)}
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1


def gradient_bits(model, loss):
    """The bytes of all gradients of one backward pass."""
    model.zero_grad()
    loss.backward(retain_graph=True)
    return b"".join(weight.grad.numpy().tobytes() for weight in model.parameters())
