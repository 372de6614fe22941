"""A cache with room and an attention without copies, for models that write one token at a time (decoding.py).

With `attending`, the way to exchange the attention of a loaded model for a while (shared_prompts.py does it as well).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from phi4r_lib.models.fast.packed_attention import PACKED


class RoomyLayer(DynamicLayer):
    """A cache layer with free columns and rows: a new token costs one column, a text that parts from another one row."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, rows: int, width: int):
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.all_keys, self.all_values = keys, values
        self._show(rows, width)

    def _show(self, rows: int, width: int) -> None:
        self.keys, self.values = self.all_keys[:rows, :, :width], self.all_values[:rows, :, :width]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        rows, start, stop = len(key_states), self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        self.all_keys[:rows, :, start:stop] = key_states
        self.all_values[:rows, :, start:stop] = value_states
        self._show(rows, stop)
        return self.keys, self.values

    def copy_rows(self, source: torch.Tensor, target: torch.Tensor, rows: int) -> None:
        """Copies rows of the cache; `rows` are in use afterwards, and half as many more set aside if these are new."""
        width = self.keys.shape[2]
        if rows > len(self.all_keys):
            self.all_keys, self.all_values = (
                torch.cat([old, old.new_empty(rows + rows // 2 - len(old), *old.shape[1:])])
                for old in (self.all_keys, self.all_values)
            )
        self.all_keys[target, :, :width] = self.all_keys[source, :, :width]
        self.all_values[target, :, :width] = self.all_values[source, :, :width]
        self._show(rows, width)


@contextmanager
def attending(model: PreTrainedModel, name: str, attention: Callable) -> Iterator[None]:
    """Within: a model that uses sdpa (or packed blocks) attends through `attention`, registered as `name`; others stay as they are."""
    before = model.config._attn_implementation
    if before not in ("sdpa", PACKED):
        yield
        return
    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, sdpa_mask)
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def grouped_attention(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Within: one query token reads each key once for all query heads of its group, instead of copies per head."""
    return attending(model, "grouped_decode", _grouped)


def float32_attention(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Within: attention in float32 also under autocast, which a CPU does faster than masked attention in bf16."""
    return attending(model, "float32_sdpa", _float32)


def _float32(module, query, key, value, attention_mask, **kwargs):
    with torch.autocast("cpu", enabled=False):
        out, weights = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask, **kwargs
        )
    return out.to(query.dtype), weights


def _grouped(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    rows, heads, length, size = query.shape
    groups = key.shape[1]
    if length > 1 or groups == heads:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
    query = query.reshape(rows, groups, heads // groups, size)
    if attention_mask is not None:
        attention_mask = attention_mask.expand(rows, 1, heads // groups, attention_mask.shape[-1])
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling)
    return out.reshape(rows, 1, heads, size), None
