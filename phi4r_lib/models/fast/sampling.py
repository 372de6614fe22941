"""What both ways of decoding share: requests, random numbers, and how a token is picked.

Not here: the loops (decoding.py on a CPU, slots.py on a GPU).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.generation import LogitsProcessorList, TopKLogitsWarper, TopPLogitsWarper

from phi4r_lib.models.engine import EngineError, SamplingSettings


@dataclass
class Request:
    """One prompt with its `count` samples numbered from `first`; `limit` is the most tokens a sample may get."""

    ids: list[int]
    first: int
    count: int
    limit: int
    outputs: dict[int, list[int]] = field(default_factory=dict)  # sample number -> completion tokens


def check_cache(model: PreTrainedModel) -> None:
    """Raises EngineError for a model that keeps anything but the keys and values of full attention."""
    config = model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None) or config.max_position_embeddings
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    plain = kinds <= {DynamicLayer} or window >= config.max_position_embeddings
    if not plain:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise EngineError(f"{type(model).__name__} keeps other state than full attention ({names}); use kind: vllm")


def picker(settings: SamplingSettings) -> Callable[[torch.Tensor, torch.Tensor | None, torch.Tensor], torch.Tensor]:
    """A function of logits (rows x vocabulary), each sample's row (None: its own) and uniform number to each sample's token."""
    if settings.temperature == 0:
        return lambda logits, row, uniform: logits.argmax(-1) if row is None else logits.argmax(-1)[row]
    filters = LogitsProcessorList()
    if settings.top_k:
        filters.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1:
        filters.append(TopPLogitsWarper(settings.top_p))

    def pick(logits: torch.Tensor, row: torch.Tensor | None, uniform: torch.Tensor) -> torch.Tensor:
        scores = logits.float() / settings.temperature
        scores = filters(None, scores) if filters else scores
        heap = scores.softmax(-1).cumsum(-1)  # the inverse of the distribution function, at a uniform number
        heap = heap if row is None else heap[row]
        found = torch.searchsorted(heap, uniform[:, None] * heap[:, -1:], right=True)
        return found[:, 0].clamp(max=logits.shape[1] - 1)

    return pick


def uniforms(fresh: Sequence[tuple[Request, int]], settings: SamplingSettings, streams) -> torch.Tensor:
    """The random numbers of each sample, (samples, tokens), from its own stream."""
    uniform = np.zeros((len(fresh), settings.max_tokens if settings.temperature else 1), dtype=np.float32)
    if settings.temperature:
        for number, (request, index) in enumerate(fresh):
            streams(request, index).random(out=uniform[number], dtype=np.float32)
    return torch.from_numpy(uniform * np.float32(1 - 2.0**-20))  # times the total it can then not round up to the total
