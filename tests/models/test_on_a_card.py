"""The paths that only a GPU takes, on a card that is pretended: no tensor is left on the other device, and who waits how often."""

import contextlib
from collections import Counter

import numpy as np
import pytest
import torch
from pretended_card import CARD, OnCard, card
from trl.trainer.utils import add_fused_lm_head

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.fast import slots
from phi4r_lib.models.fast.decoding import decode
from phi4r_lib.models.fast.on_gpu import bf16_twin
from phi4r_lib.models.fast.packed_attention import attend_packed, cuts
from phi4r_lib.models.fast.sampling import Request
from phi4r_lib.models.fast.shared_prompts import IGNORE, branches, is_grouped, row_attention, share_prompts
from phi4r_lib.train.fast_rollouts import split_groups
from phi4r_lib.train.packing import BlockCollator

PROMPTS = [[3], [5, 6, 7, 8, 9, 10, 11], [4, 9], list(range(5, 25)), [12, 13, 14]]


def sampled(model, settings):
    requests = [Request(ids, 0, 6, 40) for ids in PROMPTS]
    streams = lambda request, index: np.random.default_rng([4, len(request.ids), index])  # noqa: E731
    decode(model, requests, settings, eos=[2, 40], streams=streams, batch_size=64)
    return [request.outputs for request in requests]


class Graph:
    """In place of a CUDA graph: a replay is the step once more, and what a capture refuses is an error."""

    def __init__(self, replay):
        self.replay = replay


@pytest.mark.parametrize("filters", [{"temperature": 0}, {}, {"top_k": 5, "top_p": 0.8}], ids=str)
def test_a_step_of_decoding_never_waits_and_the_texts_are_those_of_a_cpu(model, monkeypatch, filters):
    """So that a step can be captured as a graph; the host looks once every few steps, whatever the number of tokens."""
    settings = SamplingSettings(max_tokens=40, seed=4, **filters)
    expected = sampled(model, settings)
    counts, step = Counter(), slots.Slots._step

    def watched(self, model, width):
        before = waits.copy()
        step(self, model, width)
        assert waits == before, waits - before
        counts["steps"] += 1

    def captured(self, model, width):
        counts["captures"] += 1
        return Graph(lambda: self._step(model, width))

    monkeypatch.setattr(slots.Slots, "_step", watched)
    monkeypatch.setattr(slots.Slots, "_capture", captured)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (80 << 30, 80 << 30))
    with card(model) as waits:
        assert model.device == CARD
        assert sampled(model, settings) == expected
    longest = max(len(tokens) for outputs in expected for tokens in outputs.values())
    looks = -(-longest // slots.LOOK)
    assert counts["steps"] <= (looks + 1) * slots.LOOK and 0 < counts["captures"] <= 4
    assert sum(waits.values()) <= 3 * (looks + 1), waits  # who is done, and of those their texts and lengths


def a_group(count, on_card):
    """`count` groups of four: prompts of 5 tokens, completions of 1 to 6."""
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(5, 90, (count, 5), generator=generator).repeat_interleave(4, 0)
    completions = torch.randint(5, 90, (4 * count, 6), generator=generator)
    mask = (torch.arange(6) < torch.randint(1, 7, (4 * count, 1), generator=generator)).long()
    parts = prompts, torch.ones_like(prompts), completions, mask
    return [part.to("cuda") for part in parts] if on_card else list(parts)


def scored(model, parts):
    """Log-probabilities of the completions as a GRPO step computes them on this device."""
    device, mask = parts[0].device.type, parts[3].bool()
    assert is_grouped(parts[0], parts[1], 4) and branches(4, device) == 4
    rows = share_prompts(*parts, 4)
    assert all(value.device == parts[0].device for value in vars(rows).values())
    with row_attention(model, rows) if device == "cpu" else contextlib.nullcontext(), torch.no_grad():
        out = model(**rows.inputs())
    return out.log_probs.new_zeros(mask.shape).masked_scatter(mask, out.log_probs[rows.labels != IGNORE])


def test_scoring_completions_waits_as_often_for_many_as_for_few(model):
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    expected, found = scored(model, a_group(2, False)), {}
    with card(model) as waits:
        for count in (2, 8):
            before = waits.copy()
            values = scored(model, a_group(count, True))
            found[count] = sum((waits - before).values())
            if count == 2:
                torch.testing.assert_close(values.as_subclass(torch.Tensor), expected, rtol=1e-4, atol=1e-5)
    assert found[2] == found[8] <= 8, found  # two looks at the prompts, four parts to the host, one boolean index


def test_micro_batches_stay_on_the_card():
    with card() as waits:
        prompts, prompt_mask, completions, mask = a_group(8, True)
        batch = {
            "prompt_ids": prompts,
            "prompt_mask": prompt_mask,
            "completion_ids": completions,
            "completion_mask": mask,
        }
        parts = split_groups(batch | {"advantages": torch.zeros(32, device="cuda")}, 4, 4)
        assert len(parts) == 4 and all(isinstance(value, OnCard) for part in parts for value in part.values())
    assert sum(waits.values()) <= 1 + 2 * 4


def test_the_loss_of_packed_blocks_waits_once_whatever_their_number(model, monkeypatch):
    """The kernel gets bf16 or what the model computes in, the starts of all examples, and nothing from the other device."""
    from phi4r_lib.models.fast import packed_attention

    rows = [{"input_ids": list(range(5, 14)), "labels": list(range(5, 14)), "seq_lengths": [4, 5]}]
    batch = BlockCollator(0, 10, starts=True)(rows)
    attend_packed(model)
    expected = model(**batch, use_cache=False).loss
    asked = []

    def kernel(query, key, value, starts, longest, scaling):
        assert query.device == key.device == value.device == starts.device == CARD
        assert query.dtype == key.dtype == value.dtype and starts.dtype == torch.int32
        asked.append(longest)
        plain = [one.as_subclass(torch.Tensor) for one in (query, key, value, starts)]
        return packed_attention._one_by_one(*plain, longest, scaling).as_subclass(OnCard)

    monkeypatch.setattr(packed_attention, "_kernel", kernel)
    with card(model) as waits:
        here = {name: one.to("cuda") if isinstance(one, torch.Tensor) else one for name, one in batch.items()}
        loss = model(**here, use_cache=False).loss
        assert sum(waits.values()) <= 1, waits  # transformers looks whether positions restart
    assert asked == [10] * model.config.num_hidden_layers
    torch.testing.assert_close(loss.as_subclass(torch.Tensor), expected)


def test_the_twin_that_samples_is_the_model_in_bf16(model):
    twin = bf16_twin(model)
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    assert bf16_twin(model) is twin and twin.dtype == torch.bfloat16 and twin.config._attn_implementation == "sdpa"
    assert torch.equal(twin.lm_head.weight, model.lm_head.weight.bfloat16())


def test_the_kernel_for_packed_blocks_takes_what_it_is_given():
    """torch's own account of its variable-length attention: keywords, types and shapes, without a GPU."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    from phi4r_lib.models.fast.packed_attention import _kernel

    starts = cuts([4, 5, 1, 6])
    with FakeTensorMode(allow_non_fake_inputs=True):
        query = torch.empty(16, 8, 32, dtype=torch.bfloat16, device="cuda")
        key, value = (torch.empty(16, 2, 32, dtype=torch.bfloat16, device="cuda") for _ in range(2))
        out = _kernel(query, key, value, torch.empty(len(starts), dtype=torch.int32, device="cuda"), 16, 32**-0.5)
        assert out.shape == query.shape and out.dtype == query.dtype and out.device.type == "cuda"
