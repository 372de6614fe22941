"""Continuous batching for local models: finished rows leave the batch, waiting rows take their place.

Built on the forward pass and the cache of transformers; `generate` keeps finished rows in the batch, copies the whole
cache at every token and knows no per-sample seeds, which costs small models on a CPU half their speed and more.
Not here: chat templates and text (local.py); beam search; caches other than full attention.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.generation import LogitsProcessorList, TopKLogitsWarper, TopPLogitsWarper
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from phi4r_lib.models.engine import EngineError, SamplingSettings

LEAVE = 0.15  # share of finished rows at which the batch is packed anew; ours, flat between 0.1 and 0.25
ROOM = 32  # columns set aside for new tokens whenever the cache is laid out anew; ours


@dataclass
class Request:
    """One prompt with its `count` samples numbered from `first`; `limit` is the most tokens a sample may get."""

    ids: list[int]
    first: int
    count: int
    limit: int
    outputs: dict[int, list[int]] = field(default_factory=dict)  # sample number -> completion tokens


@dataclass
class _Rows:
    """The live batch: one row per sample being written, right-aligned in a cache of `width` columns."""

    owners: list[tuple[Request, int]]
    cache: DynamicCache
    mask: torch.Tensor  # rows x (width + room), 1 where a token is
    token: torch.Tensor  # rows, written but not yet read by the model
    position: torch.Tensor  # rows, of the last token that was read
    uniform: torch.Tensor  # rows x limit, the random numbers of each sample
    written: torch.Tensor  # rows x limit
    count: torch.Tensor  # rows, tokens written
    limit: torch.Tensor  # rows
    done: torch.Tensor  # rows, bool

    @property
    def width(self) -> int:
        return self.cache.get_seq_length()


class _RoomyLayer(DynamicLayer):
    """A cache layer with free columns at its end, so that a new token costs one column and not a copy of everything."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, width: int):
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.all_keys, self.all_values = keys, values
        self._show(width)

    def _show(self, width: int) -> None:
        self.keys, self.values = self.all_keys[:, :, :width], self.all_values[:, :, :width]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        start, stop = self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        self.all_keys[:, :, start:stop] = key_states
        self.all_values[:, :, start:stop] = value_states
        self._show(stop)
        return self.keys, self.values


def decode(
    model: PreTrainedModel,
    requests: Sequence[Request],
    settings: SamplingSettings,
    *,
    eos: Sequence[int],
    streams: Callable[[Request, int], np.random.Generator],
    batch_size: int,
    on_done: Callable[[int], None] = lambda finished: None,
) -> None:
    """Fills `outputs` of every request; a completion ends with its end-of-turn token or at `limit` tokens.

    `streams(request, index)` gives the random numbers of one sample, so that its text depends neither on the batch
    it sits in nor on how many samples are drawn (up to floating-point rounding). `on_done` gets counts of finished
    samples. Raises EngineError for models whose cache is not plain full attention.
    """
    _check_cache(model)
    waiting = deque(
        (r, i) for r in sorted(requests, key=lambda r: len(r.ids)) for i in range(r.first, r.first + r.count)
    )
    stop = torch.tensor(list(eos), device=model.device)
    pick = _picker(settings)
    rows: _Rows | None = None
    with torch.inference_mode(), _grouped_attention(model):
        while waiting or rows is not None:
            live = len(rows.owners) if rows else 0
            fresh = [waiting.popleft() for _ in range(min(len(waiting), batch_size - live))]
            if fresh:
                rows = _join(rows, _prefill(model, fresh, settings, streams, pick, stop))
            _run(model, rows, pick, stop)
            finished = int(rows.done.sum())
            rows = _leave(rows)
            on_done(finished)


def _check_cache(model: PreTrainedModel) -> None:
    config = model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None) or config.max_position_embeddings
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    plain = kinds <= {DynamicLayer} or window >= config.max_position_embeddings
    if not plain:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise EngineError(f"{type(model).__name__} keeps other state than full attention ({names}); use kind: vllm")


def _picker(settings: SamplingSettings) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    if settings.temperature == 0:
        return lambda logits, uniform: logits.argmax(-1)
    filters = LogitsProcessorList()
    if settings.top_k:
        filters.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1:
        filters.append(TopPLogitsWarper(settings.top_p))

    def pick(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        scores = (
            filters(None, logits.float() / settings.temperature) if filters else logits.float() / settings.temperature
        )
        heap = scores.softmax(-1).cumsum(-1)  # the inverse of the distribution function, at a uniform number
        found = torch.searchsorted(heap, uniform[:, None] * heap[:, -1:], right=True)
        return found[:, 0].clamp(max=logits.shape[1] - 1)

    return pick


def _prefill(model, fresh, settings: SamplingSettings, streams, pick, stop) -> _Rows:
    """Reads the prompts, each once however many samples it gets, and repeats their cache for the samples."""
    prompts = {id(request): request for request, _ in fresh}
    place = {key: number for number, key in enumerate(prompts)}
    width = max(len(request.ids) for request in prompts.values())
    device = model.device
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for number, request in enumerate(prompts.values()):  # left padding
        ids[number, width - len(request.ids) :] = torch.tensor(request.ids)
        mask[number, width - len(request.ids) :] = 1
    position = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    cache.layers = [DynamicLayer() for _ in cache.layers]
    ids, mask, position = ids.to(device), mask.to(device), position.to(device)
    logits = _forward(model, ids, mask, position, cache)
    which = torch.tensor([place[id(request)] for request, _ in fresh], device=device)
    cache.batch_select_indices(which)
    rows = _Rows(
        owners=list(fresh),
        cache=cache,
        mask=mask[which],
        token=which,
        position=position[which, -1],
        uniform=_uniforms(fresh, settings, streams).to(device),
        written=torch.zeros(len(fresh), settings.max_tokens, dtype=torch.int32, device=device),
        count=torch.zeros_like(which),
        limit=torch.tensor([request.limit for request, _ in fresh], device=device),
        done=torch.zeros_like(which, dtype=torch.bool),
    )
    _write(rows, logits[which], pick, stop)
    return rows


def _uniforms(fresh, settings: SamplingSettings, streams) -> torch.Tensor:
    uniform = np.zeros((len(fresh), settings.max_tokens if settings.temperature else 1), dtype=np.float32)
    if settings.temperature:
        for number, (request, index) in enumerate(fresh):
            streams(request, index).random(out=uniform[number], dtype=np.float32)
    return torch.from_numpy(uniform * np.float32(1 - 2.0**-20))  # times the total it can then not round up to the total


def _forward(model, ids, mask, position, cache) -> torch.Tensor:
    out = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=position,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return out.logits[:, -1]


def _write(rows: _Rows, logits: torch.Tensor, pick, stop: torch.Tensor) -> None:
    """Picks the next token of every row and notes which rows are done; done rows write behind their end."""
    number = torch.arange(len(rows.owners), device=logits.device)
    column = rows.count.clamp(max=rows.written.shape[1] - 1)
    rows.token = pick(logits, rows.uniform[number, column.clamp(max=rows.uniform.shape[1] - 1)])
    rows.written[number, column] = torch.where(rows.done, rows.written[number, column], rows.token.int())
    rows.count += ~rows.done
    rows.done |= torch.isin(rows.token, stop) | (rows.count >= rows.limit)


def _run(model, rows: _Rows, pick, stop: torch.Tensor) -> None:
    """Writes tokens until enough rows are done or the room in the cache is used up."""
    enough = max(1, int(LEAVE * len(rows.owners)))
    while int(rows.done.sum()) < enough and rows.width < rows.mask.shape[1]:
        rows.position = rows.position + 1
        seen = rows.mask[:, : rows.width + 1]
        _write(rows, _forward(model, rows.token[:, None], seen, rows.position[:, None], rows.cache), pick, stop)


def _leave(rows: _Rows) -> _Rows | None:
    """Hands the finished samples to their requests and keeps the other rows."""
    for row in rows.done.nonzero()[:, 0].tolist():
        request, index = rows.owners[row]
        request.outputs[index] = rows.written[row, : int(rows.count[row])].tolist()
    keep = (~rows.done).nonzero()[:, 0]
    return _lay_out([(rows, keep)]) if len(keep) else None


def _join(old: _Rows | None, new: _Rows) -> _Rows:
    both = [rows for rows in (old, new) if rows is not None]
    return _lay_out([(rows, torch.arange(len(rows.owners), device=rows.token.device)) for rows in both])


def _lay_out(parts: list[tuple[_Rows, torch.Tensor]]) -> _Rows:
    """The kept rows of each part in one batch: common padding cut off, right-aligned, with room for new tokens."""
    width = max(int(rows.position[keep].max()) + 1 for rows, keep in parts)
    kept = [rows for rows, _ in parts]

    def gather(name: str) -> torch.Tensor:
        return torch.cat([getattr(rows, name)[keep] for rows, keep in parts])

    left = gather("limit") - gather("count")
    room = min(ROOM, max(int(left.max()), 1))
    total = sum(len(keep) for _, keep in parts)
    mask = parts[0][0].mask.new_ones(total, width + room)
    start = 0
    for rows, keep in parts:
        take = min(rows.width, width)
        block = mask[start : start + len(keep)]
        block[:, : width - take] = 0
        block[:, width - take : width] = rows.mask[keep, rows.width - take : rows.width]
        start += len(keep)
    cache = kept[0].cache
    cache_layers = [_merge_layer(parts, layer, width, room, total) for layer in range(len(cache.layers))]
    merged = DynamicCache()
    merged.layers = cache_layers
    owners = [rows.owners[row] for rows, keep in parts for row in keep.tolist()]
    same = {name: gather(name) for name in ("token", "position", "uniform", "written", "count", "limit", "done")}
    return _Rows(owners=owners, cache=merged, mask=mask, **same)


def _merge_layer(parts, layer: int, width: int, room: int, total: int) -> _RoomyLayer:
    first = parts[0][0].cache.layers[layer]
    shape = (total, first.keys.shape[1], width + room)
    keys = first.keys.new_zeros(*shape, first.keys.shape[3])
    values = first.values.new_zeros(*shape, first.values.shape[3])
    start = 0
    for rows, keep in parts:
        take, old = min(rows.width, width), rows.cache.layers[layer]
        keys[start : start + len(keep), :, width - take : width] = old.keys[keep, :, rows.width - take :]
        values[start : start + len(keep), :, width - take : width] = old.values[keep, :, rows.width - take :]
        start += len(keep)
    return _RoomyLayer(keys, values, width)


@contextmanager
def _grouped_attention(model: PreTrainedModel):
    """Within: one query token reads each key once for all query heads of its group, instead of copies per head."""
    before = model.config._attn_implementation
    if before != "sdpa":
        yield
        return
    AttentionInterface.register("grouped_decode", _grouped)
    AttentionMaskInterface.register("grouped_decode", sdpa_mask)
    model.set_attn_implementation("grouped_decode")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


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
