"""Decoding with fixed shapes: every sample has a slot, and one step of all slots is one CUDA graph. What a GPU samples with.

A GPU wants few launches and the same shapes again, where a CPU wants few rows (decoding.py). So a slot is one row of the cache,
written from the left at its own column; a step reads one token of every slot, finished or not, and the host looks only every few
steps. Graphs are kept with the model, so that the next call, after an update of the weights in place, replays them. The numbers
are those of decoding.py up to rounding. Not here: models of several billion parameters, which vLLM serves better.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.fast.attention import grouped_attention
from phi4r_lib.models.fast.on_gpu import as_sampler
from phi4r_lib.models.fast.sampling import Request, picker, uniforms

LOOK = 8  # steps between two looks at which samples are done; ours
LEAVE = 0.15  # share of finished slots at which waiting samples take them; ours
WIDTH = 64  # the cache is read in widths that are multiples of this: fewer graphs or less reading; ours
PREFILL = 32_768  # most prompt tokens read in one forward pass; ours
SHARE = 0.5  # most of the free memory that the cache takes; ours
KEEP = 4 << 30  # bytes of cache that stay with the model between calls; ours
STATIC_ROPE = {"default", "linear", "llama3", "yarn"}  # position encodings that ask nothing of the host
_KEPT: WeakKeyDictionary[PreTrainedModel, Slots] = WeakKeyDictionary()


def decode_in_slots(
    model: PreTrainedModel,
    requests: Sequence[Request],
    settings: SamplingSettings,
    *,
    eos: Sequence[int],
    streams: Callable[[Request, int], np.random.Generator],
    batch_size: int,
    on_done: Callable[[int], None] = lambda finished: None,
) -> None:
    """Fills `outputs` of every request, as `decoding.decode` does; works on a CPU too, without graphs, for tests."""
    waiting = deque(
        (r, i) for r in sorted(requests, key=lambda r: len(r.ids)) for i in range(r.first, r.first + r.count)
    )
    if not waiting:
        return
    longest = max(len(request.ids) + request.limit for request in requests)
    with as_sampler(model), grouped_attention(model):
        slots = _slots(model, settings, eos, min(batch_size, len(waiting)), longest)
        while waiting or slots.live:
            if waiting and (not slots.live or len(slots.free) >= LEAVE * slots.rows):
                fresh = [waiting.popleft() for _ in range(min(len(waiting), len(slots.free)))]
                slots.fill(model, fresh, uniforms(fresh, settings, streams))
            slots.run(model, LOOK)
            on_done(slots.harvest())
            if not waiting:
                slots.shrink()
        if slots.bytes > KEEP or model.device.type != "cuda":
            _KEPT.pop(model, None)


def _slots(model, settings: SamplingSettings, eos: Sequence[int], samples: int, longest: int) -> Slots:
    """The slots that this model had, if they do for this call, else new ones."""
    width = -(-longest // WIDTH) * WIDTH
    places = tuple(weight.data_ptr() for weight in (next(model.parameters()), *list(model.parameters())[-1:]))
    key = (settings.temperature, settings.top_p, settings.top_k, tuple(eos), model.dtype, places)
    old = _KEPT.get(model)
    fits = old is not None and old.key == key and old.tokens >= settings.max_tokens and old.width >= width
    if fits and old.all_rows >= min(samples, _most_rows(model, width)):
        old.reset(samples)
        return old
    _KEPT.pop(model, None)
    del old
    rows = min(_power(samples), _most_rows(model, width))
    _KEPT[model] = Slots(model, picker(settings), eos, rows, width, settings.max_tokens, key)
    return _KEPT[model]


def _power(number: int) -> int:
    """The smallest power of two that is not smaller, 8 at least."""
    return 1 << max(3, (number - 1).bit_length())


def _most_rows(model, width: int) -> int:
    """Slots whose cache fits the share of memory set aside for it: a power of two."""
    if model.device.type != "cuda":
        return 1 << 20
    config = model.config.get_text_config(decoder=True)
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    row = 2 * config.num_hidden_layers * config.num_key_value_heads * size * width * model.dtype.itemsize
    return 1 << max(0, (int(torch.cuda.mem_get_info(model.device)[0] * SHARE) // row).bit_length() - 1)


class SlotLayer(DynamicLayer):
    """One layer's keys and values of all slots; a new token goes to its slot's own column."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, slot: torch.Tensor, column: torch.Tensor):
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.all_keys, self.all_values, self.slot, self.column = keys, values, slot, column
        self.show(*keys.shape[:3:2])

    def show(self, rows: int, width: int) -> None:
        """What attention sees: the first rows and columns."""
        self.keys, self.values = self.all_keys[:rows, :, :width], self.all_values[:rows, :, :width]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        place = (self.slot[: len(key_states)], slice(None), self.column[: len(key_states)])
        self.all_keys[place] = key_states[:, :, 0].to(self.dtype)  # under autocast they come in bf16
        self.all_values[place] = value_states[:, :, 0].to(self.dtype)
        return self.keys, self.values


class Slots:
    """The state of all slots on the device, and the graphs that advance it."""

    def __init__(self, model, pick, eos: Sequence[int], rows: int, width: int, tokens: int, key: tuple):
        self.pick, self.key, self.width, self.tokens, self.all_rows = pick, key, width, tokens, rows
        device = model.device
        self.stop = torch.tensor(list(eos), device=device)
        self.slot = torch.arange(rows, device=device)
        self.token, self.position, self.count, self.limit = (torch.zeros_like(self.slot) for _ in range(4))
        self.done = torch.ones_like(self.slot, dtype=torch.bool)
        self.uniform = torch.zeros(rows, tokens, device=device)
        self.written = torch.zeros(rows, tokens, dtype=torch.int32, device=device)
        config = model.config.get_text_config(decoder=True)
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (rows, config.num_key_value_heads, width, size)
        self.cache = DynamicCache()
        self.cache.layers = [
            SlotLayer(*(torch.zeros(shape, dtype=model.dtype, device=device) for _ in "kv"), self.slot, self.position)
            for _ in range(config.num_hidden_layers)
        ]
        self.bytes = 2 * len(self.cache.layers) * self.cache.layers[0].all_keys.nbytes
        rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "unknown")
        self.graphed = device.type == "cuda" and rope in STATIC_ROPE
        self.graphs: dict[tuple[int, int], torch.cuda.CUDAGraph | None] = {}
        self.reset(rows)

    def reset(self, samples: int) -> None:
        """All slots free, as many in use as `samples` need."""
        self.rows = min(_power(samples), self.all_rows)
        self.owners: dict[int, tuple[Request, int]] = {}
        self.reach: dict[int, int] = {}  # slot -> an upper bound of its position, known without asking the device
        self.free = list(range(self.rows))
        self.done.fill_(True)

    @property
    def live(self) -> int:
        return len(self.owners)

    def fill(self, model: PreTrainedModel, fresh: Sequence[tuple[Request, int]], uniform: torch.Tensor) -> None:
        """Gives each new sample a free slot, with its prompt read up to the last token, which the next step reads."""
        taken = [self.free.pop() for _ in fresh]
        device = self.token.device
        slot = torch.tensor(taken, device=device)
        self.token[slot] = torch.tensor([request.ids[-1] for request, _ in fresh], device=device)
        self.position[slot] = torch.tensor([len(request.ids) - 1 for request, _ in fresh], device=device)
        self.limit[slot] = torch.tensor([request.limit for request, _ in fresh], device=device)
        self.count[slot] = 0
        self.done[slot] = False
        self.uniform[slot, : uniform.shape[1]] = uniform.to(device)
        users: dict[int, list[int]] = {}
        for number, (request, index) in zip(taken, fresh, strict=True):
            self.owners[number] = (request, index)
            self.reach[number] = len(request.ids) - 1
            users.setdefault(id(request), []).append(number)
        prompts = {id(request): request.ids[:-1] for request, _ in fresh if len(request.ids) > 1}
        for part in _parts(prompts):
            self._read(model, [prompts[key] for key in part], [users[key] for key in part])

    def _read(self, model: PreTrainedModel, prompts: list[list[int]], users: list[list[int]]) -> None:
        """Reads prompts once each and copies their keys and values to the slots of all their samples."""
        device, width = self.token.device, max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        for number, prompt in enumerate(prompts):  # padded on the right: nothing real looks there
            ids[number, : len(prompt)] = torch.tensor(prompt)
        cache = DynamicCache()
        cache.layers = [DynamicLayer() for _ in self.cache.layers]
        position = torch.arange(width, device=device).expand(len(prompts), -1)
        model(input_ids=ids.to(device), position_ids=position, past_key_values=cache, use_cache=True, logits_to_keep=1)
        target = torch.tensor([number for each in users for number in each], device=device)
        source = torch.tensor([place for place, each in enumerate(users) for _ in each], device=device)
        for mine, read in zip(self.cache.layers, cache.layers, strict=True):
            mine.all_keys[target, :, :width] = read.keys[source].to(mine.dtype)
            mine.all_values[target, :, :width] = read.values[source].to(mine.dtype)

    def run(self, model: PreTrainedModel, steps: int) -> None:
        """Writes `steps` tokens in every slot that is not done."""
        longest = max(self.reach.values()) + steps
        width = min(-(-longest // WIDTH) * WIDTH, self.width)
        for _ in range(steps):
            self._advance(model, width)
        for number in self.reach:
            self.reach[number] += steps

    def _advance(self, model: PreTrainedModel, width: int) -> None:
        """One step: as a graph from the second time on that this many slots and columns are used."""
        key = (self.rows, width)
        if not self.graphed or key not in self.graphs:
            self.graphs[key] = None  # the first time is the warm-up that a capture needs
            self._step(model, width)
            return
        if self.graphs[key] is None:
            self.graphs[key] = self._capture(model, width)
        self.graphs[key].replay() if self.graphed else self._step(model, width)

    def _capture(self, model: PreTrainedModel, width: int) -> torch.cuda.CUDAGraph | None:
        """The step as a graph; a model that cannot be captured goes on without."""
        graph = torch.cuda.CUDAGraph()
        pool = next((other.pool() for other in self.graphs.values() if other), None)
        try:
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                self._step(model, width)
        except RuntimeError:
            self.graphed = False
            return None
        return graph

    def _step(self, model: PreTrainedModel, width: int) -> None:
        """Reads the token of every slot, picks the next one and notes who is done; all on the device."""
        rows = slice(self.rows)
        for layer in self.cache.layers:
            layer.show(self.rows, width)
        position = self.position[rows, None]
        logits = model(
            input_ids=self.token[rows, None],
            attention_mask=(torch.arange(width, device=position.device) <= position)[:, None, None],
            position_ids=position,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        slot, count, done = self.slot[rows], self.count[rows], self.done[rows]
        column = count.clamp(max=self.tokens - 1)
        token = self.pick(logits, None, self.uniform[slot, column])
        self.written[slot, column] = torch.where(done, self.written[slot, column], token.int())
        count += ~done
        self.token[rows] = torch.where(done, self.token[rows], token)
        done |= torch.isin(token, self.stop) | (count >= self.limit[rows])
        self.position[rows] += ~done

    def harvest(self) -> int:
        """Hands finished samples to their requests and frees their slots; how many."""
        done = self.done[: self.rows].tolist()
        finished = [number for number in self.owners if done[number]]
        if finished:
            slot = torch.tensor(finished, device=self.token.device)
            texts, counts = self.written[slot].tolist(), self.count[slot].tolist()
            for number, tokens, count in zip(finished, texts, counts, strict=True):
                request, index = self.owners.pop(number)
                request.outputs[index] = tokens[:count]
                del self.reach[number]
            self.free += finished
        return len(finished)

    def shrink(self) -> None:
        """Moves what is left to the front when half of the slots would do."""
        rows = _power(len(self.owners))
        if not self.owners or rows > self.rows // 2:
            return
        old, count = sorted(self.owners), len(self.owners)
        slot = torch.tensor(old, device=self.token.device)
        for state in (self.token, self.position, self.count, self.limit, self.uniform, self.written):
            state[:count] = state[slot]
        self.done[:count], self.done[count:] = False, True
        for layer in self.cache.layers:
            layer.all_keys[:count], layer.all_values[:count] = layer.all_keys[slot], layer.all_values[slot]
        self.owners = {place: self.owners[number] for place, number in enumerate(old)}
        self.reach = {place: self.reach[number] for place, number in enumerate(old)}
        self.rows, self.free = rows, list(range(count, rows))


def _parts(prompts: dict[int, list[int]]) -> list[list[int]]:
    """Keys of the prompts in groups of about PREFILL tokens, like lengths together."""
    parts: list[list[int]] = [[]]
    for key in sorted(prompts, key=lambda key: len(prompts[key])):
        if parts[-1] and (len(parts[-1]) + 1) * len(prompts[key]) > PREFILL:
            parts.append([])
        parts[-1].append(key)
    return [part for part in parts if part]
