"""Continuous batching for local models: finished rows leave the batch, waiting rows take their place.

Samples of one prompt are read as one row for as long as they have written the same text: many samples of a small model
agree for long, and each text is then computed once. Built on the forward pass and the cache of transformers; `generate`
keeps finished rows in the batch, copies the whole cache at every token and knows no per-sample seeds, which costs small
models on a CPU half their speed and more. A GPU samples in slots.py. Not here: chat templates and text (engines/transformers_engine.py); beam search; caches other than
full attention.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.fast.attention import RoomyLayer, grouped_attention
from phi4r_lib.models.fast.on_gpu import as_sampler
from phi4r_lib.models.fast.sampling import Request, check_cache, picker, uniforms
from phi4r_lib.models.fast.slots import decode_in_slots

LEAVE = 0.15  # share of finished samples at which the batch is packed anew; ours, flat between 0.1 and 0.25
ROOM = 32  # columns set aside for new tokens whenever the cache is laid out anew; ours


@dataclass
class _Batch:
    """The samples being written, and one row of the cache for each text that some of them share.

    Rows are right-aligned in a cache of `width` columns. Rows beyond those in use stand free.
    """

    owners: list[tuple[Request, int]]  # of each sample
    row: torch.Tensor  # samples, the row that holds what the sample has read
    uniform: torch.Tensor  # samples x limit, the random numbers of each sample
    written: torch.Tensor  # samples x limit
    count: torch.Tensor  # samples, tokens written
    limit: torch.Tensor  # samples
    done: torch.Tensor  # samples, bool
    cache: DynamicCache
    mask: torch.Tensor  # rows x (width + room), 1 where a token is
    token: torch.Tensor  # rows, written but not yet read by the model
    position: torch.Tensor  # rows, of the last token that was read

    @property
    def width(self) -> int:
        return self.cache.get_seq_length()


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
    samples. Raises EngineError for models that keep other state than keys and values.
    """
    check_cache(model, max(len(request.ids) + request.limit for request in requests))
    if model.device.type == "cuda":
        decode_in_slots(model, requests, settings, eos=eos, streams=streams, batch_size=batch_size, on_done=on_done)
        return
    waiting = deque(
        (r, i) for r in sorted(requests, key=lambda r: len(r.ids)) for i in range(r.first, r.first + r.count)
    )
    stop = torch.tensor(list(eos), device=model.device)
    pick = picker(settings)
    batch: _Batch | None = None
    with as_sampler(model), grouped_attention(model):
        while waiting or batch is not None:
            live = len(batch.owners) if batch else 0
            fresh = [waiting.popleft() for _ in range(min(len(waiting), batch_size - live))]
            if fresh:
                batch = _join(batch, _prefill(model, fresh, settings, streams, pick, stop))
            _run(model, batch, pick, stop)
            finished = int(batch.done.sum())
            batch = _leave(batch)
            on_done(finished)


def _prefill(model, fresh, settings: SamplingSettings, streams, pick, stop) -> _Batch:
    """Reads the prompts, each once however many samples it gets, and writes the first token of every sample."""
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
    cache.layers = [RoomyLayer(layer.keys, layer.values, len(ids), width) for layer in cache.layers]
    row = torch.tensor([place[id(request)] for request, _ in fresh], device=device)
    batch = _Batch(
        owners=list(fresh),
        row=row,
        uniform=uniforms(fresh, settings, streams).to(device),
        written=torch.zeros(len(fresh), settings.max_tokens, dtype=torch.int32, device=device),
        count=torch.zeros_like(row),
        limit=torch.tensor([request.limit for request, _ in fresh], device=device),
        done=torch.zeros_like(row, dtype=torch.bool),
        cache=cache,
        mask=mask,
        token=torch.zeros_like(position[:, -1]),
        position=position[:, -1],
    )
    _write(batch, logits, pick, stop)
    return batch


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


def _write(batch: _Batch, logits: torch.Tensor, pick, stop: torch.Tensor) -> None:
    """Picks the next token of every sample, notes which are done and gives rows to the others."""
    live = (~batch.done).nonzero()[:, 0]
    column = batch.count[live]
    token = pick(logits, batch.row[live], batch.uniform[live, column.clamp(max=batch.uniform.shape[1] - 1)])
    batch.written[live, column] = token.int()
    batch.count[live] += 1
    done = torch.isin(token, stop) | (column + 1 >= batch.limit[live])
    batch.done[live] = done
    if not done.all():
        _part(batch, live[~done], token[~done])


def _part(batch: _Batch, live: torch.Tensor, token: torch.Tensor) -> None:
    """Samples of one row that wrote different tokens part: one token keeps the row, each other one gets a copy of it."""
    base = int(token.max()) + 1
    texts, which = (batch.row[live] * base + token).unique(return_inverse=True)  # sorted, so by row
    source = texts // base
    moves = torch.zeros_like(source, dtype=torch.bool)
    moves[1:] = source[1:] == source[:-1]
    row = source.clone()
    if moves.any():
        needed = int(moves.sum())
        free = torch.ones_like(batch.token, dtype=torch.bool)
        free[source] = False
        more = torch.arange(len(free), len(free) + needed, device=free.device)
        row[moves] = torch.cat([free.nonzero()[:, 0], more])[:needed]
        _copy_rows(batch, source[moves], row[moves])
    batch.row[live] = row[which]
    batch.token[row] = texts % base


def _copy_rows(batch: _Batch, source: torch.Tensor, target: torch.Tensor) -> None:
    rows = max(len(batch.token), int(target.max()) + 1)
    for name in ("mask", "token", "position"):
        old = getattr(batch, name)
        new = torch.cat([old, old.new_zeros(rows - len(old), *old.shape[1:])])
        new[target] = new[source]
        setattr(batch, name, new)
    for layer in batch.cache.layers:
        layer.copy_rows(source, target, rows)


def _run(model, batch: _Batch, pick, stop: torch.Tensor) -> None:
    """Writes tokens until enough samples are done or the room in the cache is used up."""
    enough = max(1, int(LEAVE * len(batch.owners)))
    # Rows of finished samples are read on beside the others; a table of learned positions (GPT-2) has an end.
    last = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", 1 << 30) - 1
    while int(batch.done.sum()) < enough and batch.width < batch.mask.shape[1]:
        batch.position = (batch.position + 1).clamp(max=last)
        seen = batch.mask[:, : batch.width + 1]
        _write(batch, _forward(model, batch.token[:, None], seen, batch.position[:, None], batch.cache), pick, stop)


def _leave(batch: _Batch) -> _Batch | None:
    """Hands the finished samples to their requests and keeps the other samples."""
    for number in batch.done.nonzero()[:, 0].tolist():
        request, index = batch.owners[number]
        request.outputs[index] = batch.written[number, : int(batch.count[number])].tolist()
    keep = (~batch.done).nonzero()[:, 0]
    return _lay_out([(batch, keep)]) if len(keep) else None


def _join(old: _Batch | None, new: _Batch) -> _Batch:
    both = [batch for batch in (old, new) if batch is not None]
    return _lay_out([(batch, torch.arange(len(batch.owners), device=batch.token.device)) for batch in both])


def _lay_out(parts: list[tuple[_Batch, torch.Tensor]]) -> _Batch:
    """The kept samples of each part in one batch: free rows and common padding cut off, with room for new tokens."""
    kept = [(batch, keep, *batch.row[keep].unique(return_inverse=True)) for batch, keep in parts]
    width = max(int(batch.position[used].max()) + 1 for batch, _, used, _ in kept)
    left = max(int((batch.limit - batch.count)[keep].max()) for batch, keep, _, _ in kept)
    room = min(ROOM, max(left, 1))
    total = sum(len(used) for _, _, used, _ in kept)
    mask = kept[0][0].mask.new_ones(total, width + room)
    start, row = 0, []
    for batch, _, used, which in kept:
        take = min(batch.width, width)
        mask[start : start + len(used), : width - take] = 0
        mask[start : start + len(used), width - take : width] = batch.mask[used, batch.width - take : batch.width]
        row.append(start + which)
        start += len(used)
    cache = DynamicCache()
    cache.layers = [
        _merge_layer([(batch.cache.layers[number], used) for batch, _, used, _ in kept], width, room, total)
        for number in range(len(kept[0][0].cache.layers))
    ]
    samples = {
        name: torch.cat([getattr(batch, name)[keep] for batch, keep, _, _ in kept])
        for name in ("uniform", "written", "count", "limit", "done")
    }
    rows = {
        name: torch.cat([getattr(batch, name)[used] for batch, _, used, _ in kept]) for name in ("token", "position")
    }
    owners = [batch.owners[number] for batch, keep, _, _ in kept for number in keep.tolist()]
    return _Batch(owners=owners, row=torch.cat(row), cache=cache, mask=mask, **samples, **rows)


def _merge_layer(parts: list[tuple[RoomyLayer, torch.Tensor]], width: int, room: int, total: int) -> RoomyLayer:
    first = parts[0][0]
    shape = (total + total // 4, first.keys.shape[1], width + room)
    keys = first.keys.new_empty(*shape, first.keys.shape[3])
    values = first.values.new_empty(*shape, first.values.shape[3])
    start = 0
    for layer, used in parts:
        stop, old = start + len(used), layer.keys.shape[2]
        take = min(old, width)
        for new, before in ((keys, layer.keys), (values, layer.values)):
            new[start:stop, :, : width - take] = 0  # masked, but a weight of nothing times not-a-number is no number
            new[start:stop, :, width - take : width] = before[used, :, old - take :]
        start = stop
    return RoomyLayer(keys, values, total, width)
