"""Attention of shared rows on a CPU: the prompt once, then each completion over the prompt and itself, and nothing that a mask hides.

A dense mask makes every completion of a row look at all the others and throw the result away; half of a GRPO update went there.
Numbers are those of the masked path, in float32 also under autocast, where masked bf16 attention is slower. Not here: how
rows are laid out (shared_prompts.py), GPUs (they take the mask).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from phi4r_lib.models.fast.attention import attending

CHUNKS = 2  # completions are attended in so many lots of like length, so that short ones are padded less; ours


@dataclass(frozen=True)
class Lot:
    """Completions of like length: their rows, the places of their tokens in all rows laid end to end, and what they see."""

    row: torch.Tensor  # completions
    place: torch.Tensor  # completions x length; padding repeats a place
    real: torch.Tensor  # completions x length, bool
    mask: torch.Tensor  # completions x 1 x length x (prompt + length), bool


@dataclass(frozen=True)
class Layout:
    """Where prompts and completions stand in shared rows; `prompt` is the length of the longest prompt."""

    prompt: int
    lots: list[Lot]


def layout_of(branch: torch.Tensor) -> Layout:
    """The layout of rows whose tokens carry the number of their completion (rows x length; 0 the prompt, -1 padding)."""
    length = branch.shape[1]
    numbers = torch.arange(1, max(int(branch.max()), 0) + 1)
    counts = (branch[:, :, None] == numbers).sum(1)  # rows x completions
    heads = (branch == 0).sum(1)
    starts = heads[:, None] + counts.cumsum(1) - counts
    row, number = (counts > 0).nonzero(as_tuple=True)
    order = torch.argsort(counts[row, number])
    prompt = int(heads.max())
    lots = []
    for some in order.tensor_split(min(CHUNKS, max(len(order), 1))):
        if len(some):
            size, start = counts[row[some], number[some]], starts[row[some], number[some]]
            step = torch.arange(int(size.max()))
            place = (start[:, None] + step).clamp(max=length - 1) + row[some][:, None] * length
            before = torch.arange(prompt) < heads[row[some]][:, None]  # what of the prompt is there
            sees = torch.cat(
                [before[:, None].expand(-1, len(step), -1), (step <= step[:, None]).expand(len(some), -1, -1)], dim=2
            )
            lots.append(Lot(row[some], place, step < size[:, None], sees[:, None]))
    return Layout(prompt, lots)


def branch_attention(model: PreTrainedModel, branch: torch.Tensor) -> AbstractContextManager[None]:
    """Within: forward passes over rows with these completion numbers attend part by part; for models with sdpa on a CPU."""
    layout = layout_of(branch)

    def attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
        with torch.autocast("cpu", enabled=False):
            out = _attend(query.float(), key.float(), value.float(), layout, scaling)
        return out.to(query.dtype), None

    return attending(model, "branch_sdpa", attend)


def _attend(query, key, value, layout: Layout, scale) -> torch.Tensor:
    """query (rows, heads, length, size), keys and values with fewer heads; the result is (rows, length, heads, size)."""
    rows, heads, length, size = query.shape
    kv, wide = key.shape[1], layout.prompt
    out = query.new_zeros(rows, length, heads, size)
    if wide:
        parts = (tensor[:, :, :wide] for tensor in (query, key, value))
        found = F.scaled_dot_product_attention(*parts, is_causal=True, scale=scale, enable_gqa=kv != heads)
        out = F.pad(found.transpose(1, 2), (0, 0, 0, 0, 0, length - wide))
    flat = [tensor.transpose(1, 2).reshape(rows * length, -1, size) for tensor in (query, key, value)]
    out = out.reshape(rows * length, heads, size)
    for lot in layout.lots:
        count, steps = lot.place.shape
        q, k, v = (tensor[lot.place].transpose(1, 2) for tensor in flat)  # completions, heads, steps, size
        # A prompt's keys get the sum of its completions' gradients. The backward pass of indexing lets threads add in any order,
        # so last bits differed from run to run; that of index_select adds in one order, and faster.
        k, v = (torch.cat([w[:, :, :wide].index_select(0, lot.row), own], 2) for w, own in ((key, k), (value, v)))
        q = q.reshape(count, kv, heads // kv * steps, size)  # the query heads of a group read their keys once
        mask = lot.mask.repeat(1, 1, heads // kv, 1)
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        found = found.reshape(count, heads, steps, size).transpose(1, 2)
        out = out.index_copy(0, lot.place[lot.real], found[lot.real])
    return out.reshape(rows, length, heads, size)
