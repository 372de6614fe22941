"""How a global batch is split over processes and forward passes. Not here: starting the processes (launch.py).

Settings name what a step takes in all (blocks, prompts); how many processes there are and what fits the memory of one
decides the rest, and changes no loss beyond rounding.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig

from phi4r_lib.models.fast.packed_attention import can_attend_packed
from phi4r_lib.train.memory import (
    HEADROOM,
    advice,
    dpo_parts,
    fault,
    grpo_advice,
    grpo_parts,
    sft_parts,
    with_passes,
)
from phi4r_lib.train.ranks import from_all, processes
from phi4r_lib.train.settings import DpoSettings, GrpoSettings, SftSettings


@dataclass(frozen=True)
class Split:
    """`rows` of a forward pass, `passes` a step on each process; processes x passes x rows is the global batch."""

    rows: int
    passes: int


def split(batch: int, most: int, what: str) -> Split:
    """Splits `batch` rows of a step into the largest equal forward passes of at most `most` rows.

    Raises ValueError naming the setting `what` when the rows do not divide by the processes.
    """
    ranks = processes()
    if batch % ranks:
        raise ValueError(f"{what} is {batch} in all, which {ranks} processes cannot share equally: take a multiple")
    each = batch // ranks
    rows = max(size for size in range(1, min(each, max(most, 1)) + 1) if each % size == 0)
    return Split(rows, each // rows)


def rows_that_fit(config: PretrainedConfig, settings: SftSettings | DpoSettings, device: str) -> int:
    """Blocks (pairs of DPO) that one forward and backward pass can hold on this device; on a CPU all of them.

    Raises ValueError with the numbers where not one fits.
    """
    if device != "cuda":
        return 1 << 30
    total, one = _smallest_gpu(), settings.model_copy(update={"micro_batch": 1})
    tuning = isinstance(settings, SftSettings)
    if tuning and settings.attention == "auto" and not can_attend_packed(config, settings.block):
        one = one.model_copy(update={"attention": "sdpa"})
    parts = sft_parts(config, one, processes()) if tuning else dpo_parts(config, one, processes())
    reason = fault("fine-tuning" if tuning else "DPO", parts, total, advice(settings))
    if reason:
        raise ValueError(f"training does not fit this GPU: {reason}")
    each = parts["activations"] + parts.get("attention mask", 0)
    return 1 + int(total * HEADROOM - sum(parts.values())) // each


def fit_grpo(config: PretrainedConfig, settings: GrpoSettings, prompt: int, device: str) -> GrpoSettings:
    """The settings with as few forward passes per step as this GPU's memory allows; `prompt` is the longest one in tokens.

    Raises ValueError with the numbers where not even the smallest pass fits; on a CPU where vLLM is asked for what only GPUs have
    (TRL sends weights to a server over NCCL, vLLM's sleep frees GPU memory).
    """
    if device != "cuda":
        asked = {"server": settings.sampler.server, "sleep": settings.sampler.sleep}
        if settings.vllm and (wrong := [name for name, value in asked.items() if value]):
            raise ValueError(f"grpo.sampler.{wrong[0]} needs a GPU; leave it out here, or set grpo.vllm to false")
        return settings
    total = _smallest_gpu()
    settings = with_passes(config, settings, processes(), prompt, total)
    reason = fault("GRPO", grpo_parts(config, settings, processes(), prompt, total), total, grpo_advice(settings))
    if reason:
        raise ValueError(f"training does not fit this GPU: {reason}")
    return settings


def _smallest_gpu() -> int:
    """Bytes of memory of the smallest GPU of all processes: what they count out must be the same in each."""
    mine = int(os.environ.get("LOCAL_RANK", "0"))
    return min(from_all([torch.cuda.get_device_properties(mine).total_memory]))
