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
from phi4r_lib.models.fitting import check_state


@dataclass
class Request:
    """One prompt with its `count` samples numbered from `first`; `limit` is the most tokens a sample may get."""

    ids: list[int]
    first: int
    count: int
    limit: int
    outputs: dict[int, list[int]] = field(default_factory=dict)  # sample number -> completion tokens


def check_cache(model: PreTrainedModel, longest: int) -> None:
    """Raises ValueError for a model that keeps other state than keys and values, EngineError for texts beyond a window.

    Keys and values of all tokens are kept, so a sliding window is only a mask: the one of transformers on a CPU; with fixed shapes on
    a GPU (slots.py) texts, `longest` tokens at most, have to fit into the window.
    """
    check_state(model.config)
    config = model.config.get_text_config(decoder=True)
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    window = getattr(config, "sliding_window", None)
    if model.device.type == "cuda" and window and kinds != {DynamicLayer} and longest > window:
        raise EngineError(
            f"texts of up to {longest} tokens do not fit the model's sliding window of {window} on this GPU: lower "
            "max_tokens, or set its engine to kind: vllm"
        )


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
