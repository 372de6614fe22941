"""How a global batch is split over processes and forward passes. Not here: starting the processes (launch.py).

Settings name what a step takes in all (blocks, prompts); how many processes there are and what fits the memory of one
decides the rest, and changes no loss beyond rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PretrainedConfig

from phi4r_lib.train.ranks import processes

HEADROOM = 0.9  # share of a GPU's memory that training plans with; ours


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


def parameters(config: PretrainedConfig) -> tuple[int, int]:
    """(all weights, weights in matrix products per token) of a decoder with gated feed-forward layers (computed, ours)."""
    width, layers, vocabulary = config.hidden_size, config.num_hidden_layers, config.vocab_size
    size = getattr(config, "head_dim", None) or width // config.num_attention_heads
    heads = config.num_attention_heads + config.num_key_value_heads
    layer = 2 * width * size * heads + 3 * width * config.intermediate_size
    head = width * vocabulary
    shared = head if config.tie_word_embeddings else 2 * head
    return layers * (layer + 2 * width) + width + shared, layers * layer + head


def activation_bytes(config: PretrainedConfig, checkpointing: bool | str) -> int:
    """Bytes of activations that one token keeps for the backward pass, in bf16 (counted operation by operation, ours).

    Without checkpointing: two norms with their float32 copies, queries, keys, values before and after rotation, attention, gate, up,
    their product, and both branches' sums. "selective" keeps the results of matrix products only, True the layers' inputs only.
    """
    width, inner = config.hidden_size, config.intermediate_size
    size = getattr(config, "head_dim", None) or width // config.num_attention_heads
    heads = config.num_attention_heads + 2 * config.num_key_value_heads
    products = 2 * (size * heads + size * config.num_attention_heads + width + 2 * inner + width)
    whole = products + 2 * (2 * size * heads + 2 * inner + 4 * width) + 4 * 4 * width
    layers = config.num_hidden_layers
    if checkpointing == "selective":
        return layers * (products + 2 * width) + whole
    return layers * 2 * width + whole if checkpointing else layers * whole


def state_bytes(config: PretrainedConfig, ranks: int = 1) -> int:
    """Bytes of weights, gradients and AdamW's two moments in float32 and of the bf16 copy, on one of `ranks` sharded processes."""
    every, products = parameters(config)
    return 16 * every // ranks + 2 * products


def rows_that_fit(
    config: PretrainedConfig, tokens: int, checkpointing: bool | str, device: str, sharded: bool = False
) -> int:
    """Rows of `tokens` tokens that one forward and backward pass can hold on this device; on a CPU all of them.

    Raises ValueError with the numbers where not one fits.
    """
    if device != "cuda":
        return 1 << 30
    total = int(torch.cuda.get_device_properties(0).total_memory * HEADROOM)
    states = state_bytes(config, processes() if sharded else 1)
    row = tokens * activation_bytes(config, checkpointing)
    if states + row > total:
        raise ValueError(
            f"training does not fit this GPU: {states / 1e9:.1f} GB of weights, gradients and optimizer and {row / 1e9:.1f} GB "
            f"of activations per row of {tokens} tokens, of {total / 1e9:.1f} GB; use more processes with sharding: fsdp, "
            "checkpointing: true, or a shorter block"
        )
    return (total - states) // row
