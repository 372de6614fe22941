"""How much memory a training needs on one of its processes, in bytes, counted from the model's shape. Light: no torch here.

Formulas are counted operation by operation (ours); the largest parts are checked against measured runs (benchmarks/records).
Not here: splitting a batch (batching.py), hours and cost (cookbook/planning/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from phi4r_lib.train.settings import DpoSettings, GrpoSettings, LaunchSettings, SftSettings

HEADROOM = 0.9  # share of a device's memory that training plans with; ours
HEAD_CHUNK = 256  # tokens whose logits the fused LM head holds at a time, about TRL's own
WIDE = 4  # bytes of a float32
MASK = 3  # bytes of a pair of places in a padded row: whether one sees the other, and the same as a bf16 summand


class Shape(Protocol):
    """What is read of a model's configuration: transformers' own objects have it, and `Plain` below."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool


@dataclass(frozen=True)
class Plain:
    """A shape without transformers; `head_dim` None is width over heads."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool = False
    head_dim: int | None = None


def plain_shape(config: Mapping[str, Any]) -> Plain:
    """The shape in a config.json or a mapping with its names; raises KeyError for one that is missing."""
    known = {field.name for field in fields(Plain)}
    found = {name: config[name] for name in known if config.get(name) is not None}
    found.setdefault("num_key_value_heads", found.get("num_attention_heads"))
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"):
        if name not in found:
            raise KeyError(name)
    return Plain(**found)


def shape_in(folder: Path) -> Plain | None:
    """The shape of a model's folder, or None where its config.json does not tell it."""
    try:
        return plain_shape(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def head_size(shape: Shape) -> int:
    """Numbers in one attention head."""
    return getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads


def parameters(shape: Shape) -> tuple[int, int]:
    """(all weights, weights in matrix products per token) of a decoder with gated feed-forward layers (computed, ours)."""
    width, layers, vocabulary = shape.hidden_size, shape.num_hidden_layers, shape.vocab_size
    heads = shape.num_attention_heads + shape.num_key_value_heads
    layer = 2 * width * head_size(shape) * heads + 3 * width * shape.intermediate_size
    head = width * vocabulary
    shared = head if shape.tie_word_embeddings else 2 * head
    return layers * (layer + 2 * width) + width + shared, layers * layer + head


def activation_bytes(shape: Shape, checkpointing: bool | str) -> int:
    """Bytes of activations that one token keeps for the backward pass, in bf16 (counted operation by operation, ours).

    Without checkpointing: two norms with their float32 copies, queries, keys, values before and after rotation, attention, gate, up,
    their product, and both branches' sums. "selective" keeps the results of matrix products only (on one H200 it took less than
    this), True the layers' inputs only.
    """
    width, inner, size = shape.hidden_size, shape.intermediate_size, head_size(shape)
    heads = shape.num_attention_heads + 2 * shape.num_key_value_heads
    products = 2 * (size * heads + size * shape.num_attention_heads + width + 2 * inner + width)
    whole = products + 2 * (2 * size * heads + 2 * inner + 4 * width) + 4 * 4 * width
    layers = shape.num_hidden_layers
    if checkpointing == "selective":
        return layers * (products + 2 * width) + whole
    return layers * 2 * width + whole if checkpointing else layers * whole


def kv_bytes(shape: Shape) -> int:
    """Bytes of keys and values that one token leaves in a bf16 cache (scale of Phi-4: 205 kB)."""
    return 2 * shape.num_hidden_layers * shape.num_key_value_heads * head_size(shape) * 2


def group_of(launch: LaunchSettings, gpus: int | None = None) -> int:
    """Processes of a training: as the settings say, `gpus` per host where they say "auto" (one where None)."""
    each = launch.processes if launch.processes != "auto" else gpus or 1
    return each * launch.hosts


def sft_parts(shape: Shape, settings: SftSettings, ranks: int) -> dict[str, int]:
    """{what: bytes} on one of `ranks` processes of a fine-tuning; the rows of a forward pass are as few as can be: one."""
    rows = min(settings.micro_batch or 1, max(1, settings.batch_size // ranks))
    parts = _states(shape, settings, ranks) | _passes(shape, rows * settings.block, settings.checkpointing)
    masked = settings.attention in ("sdpa", "eager")  # "auto" tells packed examples apart by their starts
    return parts | ({"attention mask": MASK * rows * settings.block**2} if masked else {})


def dpo_parts(shape: Shape, settings: DpoSettings, ranks: int) -> dict[str, int]:
    """{what: bytes} on one of `ranks` processes of DPO: the reference model comes on top, a pair is two rows."""
    every, _ = parameters(shape)
    reference = WIDE * every // (ranks if settings.launch.sharding == "fsdp" else 1)
    pairs = min(settings.micro_batch or 1, max(1, settings.batch_size // ranks))
    states = _states(shape, settings, ranks) | {"reference model": reference}
    states |= _passes(shape, 2 * pairs * settings.length, settings.checkpointing)
    return states | {"attention mask": MASK * 2 * pairs * settings.length**2}


def grpo_parts(
    shape: Shape, settings: GrpoSettings, ranks: int, prompt: int = 0, device: int = 0, gpu: bool = True
) -> dict[str, int]:
    """{what: bytes} on one of `ranks` processes of GRPO; prompts of `prompt` tokens, all completions at the length limit.

    With vLLM inside the processes its share of the `device` counts (0: its weights and one full sequence); without vLLM the
    trainer's own cache, of one forward pass's completions or, with TRL's own steps, of all of them at once, and the bf16 copy that
    our fast steps sample with. On a GPU a whole reference model is in bf16.
    """
    every, _ = parameters(shape)
    shared = ranks if settings.launch.sharding == "fsdp" else 1
    rows = max(1, settings.prompts * settings.group // (settings.passes(ranks) * ranks))
    length = prompt + settings.max_tokens
    parts = _states(shape, settings, ranks)
    if settings.beta:
        parts["reference model"] = 2 * every if gpu and settings.launch.sharding == "ddp" else WIDE * every // shared
    parts |= _passes(shape, rows * length, settings.checkpointing) | {"attention mask": MASK * rows * length**2}
    if not settings.vllm:
        parts |= {"sampler's copy": 2 * every} if settings.fast else {}
        cached = rows if settings.fast else max(1, settings.prompts * settings.group // ranks)
        return parts | {"keys and values": cached * length * kv_bytes(shape)}
    if settings.sampler.server:
        return parts
    least = 2 * every // settings.sampler.tensor_parallel + length * kv_bytes(shape)
    return parts | {"vLLM": 0 if settings.sampler.sleep else max(least, int(settings.sampler.memory * device))}


def with_passes(shape: Shape, settings: GrpoSettings, ranks: int, prompt: int, device: int) -> GrpoSettings:
    """The settings with as few forward passes per step as fit a GPU of `device` bytes, the most where none fits; a set number stays."""
    if settings.micro_batches:
        return settings
    ways = [settings.model_copy(update={"micro_batches": count}) for count in settings.splits(ranks)]
    fits = (way for way in ways if not fault("", grpo_parts(shape, way, ranks, prompt, device), device, ""))
    return next(fits, ways[-1])


def _states(shape: Shape, settings: SftSettings | DpoSettings | GrpoSettings, ranks: int) -> dict[str, int]:
    """Weights and gradients in float32, and AdamW's two averages; the bf16 copy is of one layer and the head where weights are sharded.

    With adamw_8bit an average takes a byte, but for the embeddings.
    """
    every, products = parameters(shape)
    shared = ranks if settings.launch.sharding == "fsdp" else 1
    averages = 2 * WIDE * every // shared
    if settings.optimizer == "adamw_8bit":
        embeddings = shape.hidden_size * shape.vocab_size
        averages = 2 * (every - embeddings) + 2 * WIDE * embeddings
    copy = 2 * products
    if shared > 1:
        head = shape.hidden_size * shape.vocab_size
        copy = 2 * (2 * (products - head) // shape.num_hidden_layers + head)
    return {
        "weights": WIDE * every // shared,
        "gradients": WIDE * every // shared,
        "optimizer": averages,
        "bf16 copy": copy,
    }


def _passes(shape: Shape, tokens: int, checkpointing: bool | str) -> dict[str, int]:
    logits = WIDE * min(tokens, HEAD_CHUNK) * shape.vocab_size * 2
    return {"activations": tokens * activation_bytes(shape, checkpointing), "logits": logits}


def fault(what: str, parts: Mapping[str, int], device: int, advice: str) -> str | None:
    """Why a training does not fit a device of `device` bytes, with the numbers; None when it does."""
    need = sum(parts.values())
    if need <= device * HEADROOM:
        return None
    listed = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in parts.items() if size >= 5e7)
    return (
        f"{what} needs {need / 1e9:.1f} GB on each process ({listed} GB) and there are {device * HEADROOM / 1e9:.1f} GB "
        f"({HEADROOM:.0%} of {device / 1e9:.1f} GB); {advice}"
    )


def advice(settings: SftSettings | DpoSettings) -> str:
    """What makes a fine-tuning or DPO smaller, the cheapest first."""
    name, length = ("sft", "block") if isinstance(settings, SftSettings) else ("dpo", "length")
    ways = [] if settings.checkpointing is True else [f"set {name}.checkpointing: true"]
    ways += _smaller_states(settings, name)
    return ", ".join([*ways, f"take more processes ({name}.launch), or a shorter {name}.{length}"])


def grpo_advice(settings: GrpoSettings) -> str:
    """What makes GRPO smaller, the cheapest first."""
    ways = [] if settings.checkpointing else ["set grpo.checkpointing: true"]
    most = settings.splits()[-1]
    ways += [f"raise grpo.micro_batches (at most {most})"] if (settings.micro_batches or most) < most else []
    ways += [] if settings.vllm else ["set grpo.vllm: true"]
    ways += _smaller_states(settings, "grpo")
    return ", ".join([*ways, "take more processes (grpo.launch), or a lower grpo.max_tokens"])


def _smaller_states(settings: SftSettings | DpoSettings | GrpoSettings, name: str) -> list[str]:
    if settings.launch.sharding == "fsdp":
        return []
    ways = [] if settings.optimizer == "adamw_8bit" else [f"set {name}.optimizer: adamw_8bit"]
    return [*ways, f"set {name}.launch.sharding: fsdp"]
