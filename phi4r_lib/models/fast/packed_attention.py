"""Attention within the examples of packed blocks, without a mask: what training on a GPU uses.

A dense block mask costs 1 GB per row of 32k tokens and the fast kernels refuse it. Here examples are told apart by where they
start, and torch's own variable-length attention does the rest (no extra package). On a CPU the same function goes example by
example, so that tests can compare it with the masked path. Not here: rows that are padded; they are masked as everywhere.
"""

from __future__ import annotations

import inspect

import torch
import torch.nn.functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface, PretrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PACKED = "packed_varlen"
CUTS = 64  # the list of starts is filled up to a multiple of this, so that shapes seldom change; ours
_ASKS = inspect.signature(varlen_attn).parameters  # torch 2.10 to 2.13 name causality and grouped heads differently
_CAUSAL = {"window_size": (-1, 0)} if "window_size" in _ASKS else {"is_causal": True}
_GROUPED = {"enable_gqa": True} if "enable_gqa" in _ASKS else {}


def attend_packed(model: PreTrainedModel) -> None:
    """Lets a model attend without masks from now on; calls bring `cu_seq_lens_q` and `max_length_q` (see `cuts`), or restart positions."""
    AttentionInterface.register(PACKED, _attend)
    AttentionMaskInterface.register(PACKED, _mask)
    model.set_attn_implementation(PACKED)


def can_attend_packed(config: PretrainedConfig, block: int) -> bool:
    """Whether the kernel knows the model: plain causal attention over whole blocks, heads of at most 256 values."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    window = getattr(config, "sliding_window", None) or block
    plain = set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
    return plain and size <= 256 and size % 8 == 0 and window >= block and not getattr(config, "attention_dropout", 0.0)


def cuts(lengths: list[int]) -> torch.Tensor:
    """Where examples of these lengths start and the last one ends, as int32; filled with empty examples (see CUTS)."""
    ends = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
    return F.pad(ends, (0, -len(ends) % CUTS), value=int(ends[-1]))


def _mask(*args, **kwargs):
    """No mask for whole rows without padding; the usual one otherwise."""
    if kwargs.get("attention_mask") is None and kwargs["q_length"] == kwargs["kv_length"]:
        return None
    return sdpa_mask(*args, **kwargs)


def _attend(
    module,
    query,
    key,
    value,
    attention_mask,
    scaling=None,
    dropout=0.0,
    cu_seq_lens_q=None,
    max_length_q=None,
    position_ids=None,
    **kwargs,
):
    """transformers' attention function: (rows, heads, length, size) to (rows, length, heads, size)."""
    rows, heads, length, size = query.shape
    if attention_mask is not None or key.shape[2] != length or length == 1:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
    if cu_seq_lens_q is None:
        cu_seq_lens_q, max_length_q = _cuts_of(position_ids, rows, length, query.device), length
    flat = [states.to(value.dtype).transpose(1, 2).reshape(rows * length, -1, size) for states in (query, key, value)]
    attend = _kernel if query.is_cuda else _one_by_one
    return attend(*flat, cu_seq_lens_q, max_length_q, scaling).view(rows, length, heads, size), None


def _cuts_of(position_ids, rows: int, length: int, device) -> torch.Tensor:
    """Starts of the examples read off their positions; every row starts one."""
    if position_ids is None:
        position_ids = torch.arange(length, device=device)[None]
    position_ids = position_ids.expand(rows, -1)
    starts = torch.ones_like(position_ids, dtype=torch.bool)
    starts[:, 1:] = position_ids.diff(dim=1) != 1
    return F.pad(starts.flatten().nonzero()[:, 0], (0, 1), value=rows * length).int()


def _kernel(query, key, value, starts, longest: int, scaling):
    scale = {"scale": scaling} if "scale" in _ASKS else {}  # else 1 / sqrt(size), as of nearly every model
    return varlen_attn(query, key, value, starts, starts, longest, longest, **scale, **_CAUSAL, **_GROUPED)


def _one_by_one(query, key, value, starts, longest: int, scaling):
    """The same without the kernel: each example alone."""
    parts = []
    for first, last in zip(starts.tolist(), starts.tolist()[1:], strict=False):
        if last > first:
            states = [tensor[first:last].transpose(0, 1)[None] for tensor in (query, key, value)]
            parts.append(F.scaled_dot_product_attention(*states, is_causal=True, scale=scaling, enable_gqa=True))
    return torch.cat([part[0].transpose(0, 1) for part in parts])
