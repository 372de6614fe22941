"""What one process of a training group does for all: files, validation, decisions. Alone, a process is the first one.

Not here: how the processes are started (launch.py) and how a batch is shared (batching.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import distributed
from transformers import PreTrainedModel

R, T = TypeVar("R"), TypeVar("T")


def processes() -> int:
    """Processes of this training: WORLD_SIZE, which launchers set before torch.distributed is up; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process writes the files."""
    return int(os.environ.get("RANK", "0")) == 0


def on_first(work: Callable[[], R]) -> R:
    """Does `work` in the first process while the others wait, and gives its result, or raises its error, in all of them."""
    if processes() == 1:
        return work()
    outcome: list[Any] = [None, None]
    if is_first():
        try:
            outcome[0] = work()
        except Exception as error:
            outcome[1] = error
    distributed.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def from_all(rows: Sequence[T]) -> list[T]:
    """The rows of all processes, in their order, in every process."""
    if processes() == 1:
        return list(rows)
    parts: list[Any] = [None] * processes()
    distributed.all_gather_object(parts, list(rows))
    return [row for part in parts for row in part]


def wait() -> None:
    """Until every process is here."""
    if processes() > 1:
        distributed.barrier()


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether the weights are shared out over the processes (FSDP2)."""
    return any(isinstance(weight, distributed.tensor.DTensor) for weight in model.parameters())


def whole_weights(model: PreTrainedModel) -> dict[str, torch.Tensor] | None:
    """All weights on the CPU of the first process, where they are sharded; else None. Every process must call it."""
    if not is_sharded(model):
        return None
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def gathered(model: PreTrainedModel, weights: dict[str, torch.Tensor] | None) -> PreTrainedModel:
    """The model itself, or for sharded weights (`whole_weights` of it) a whole bf16 copy in the first process."""
    if weights is None or not is_first():
        return model
    from transformers import AutoModelForCausalLM

    copy = AutoModelForCausalLM.from_config(model.config, dtype=torch.bfloat16)
    copy.load_state_dict(weights, strict=not model.config.tie_word_embeddings)
    copy.generation_config = model.generation_config
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return copy.to(device).eval()
