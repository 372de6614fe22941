"""A Phi-3 model with its attention heads padded to a size that a fast kernel knows; what it computes stays the same.

vLLM's CPU attention takes heads of 32, 64, 80 and more values; the tiny models have 24. Not here: other architectures.
"""

from __future__ import annotations

from pathlib import Path

from phi4r_lib.models.engine import EngineError


def pad_heads(folder: str | Path, out: str | Path, head_dim: int = 32) -> Path:
    """Writes the model of `folder` to `out` with heads of `head_dim` values, the new ones zero; returns `out` (ours).

    Queries grow by sqrt(head_dim / old), which the smaller scale of longer heads takes back; rotary positions stay on
    the old values (`partial_rotary_factor`). Raises EngineError for other architectures and for heads that are longer.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, Phi3ForCausalLM

    old = AutoModelForCausalLM.from_pretrained(folder)
    config = old.config
    was = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if not isinstance(old, Phi3ForCausalLM) or was > head_dim:
        raise EngineError(f"cannot pad the heads of '{folder}' ({config.model_type}, {was} values) to {head_dim}")
    factor = config.rope_parameters.get("partial_rotary_factor", 1.0)
    new_config = type(config).from_dict(config.to_dict() | {"head_dim": head_dim})
    new_config.rope_parameters = config.rope_parameters | {"partial_rotary_factor": factor * was / head_dim}
    weights = old.state_dict()
    for name, weight in weights.items():
        if name.endswith("qkv_proj.weight"):
            weights[name] = _rows(weight, was, head_dim, config.num_attention_heads)
        elif name.endswith("o_proj.weight"):
            weights[name] = _spread(weight.T, was, head_dim).T.contiguous()
    new = Phi3ForCausalLM(new_config).to(old.dtype)
    new.load_state_dict(weights)
    new.generation_config = old.generation_config
    new.save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)
    return Path(out)


def _rows(weight, was: int, head_dim: int, heads: int):
    """The rows of queries, keys and values with zero rows behind each head; query rows scaled."""
    wide = _spread(weight, was, head_dim)
    wide[: heads * head_dim] *= (head_dim / was) ** 0.5
    return wide


def _spread(weight, was: int, head_dim: int):
    """(heads * was, width) as (heads * head_dim, width), zeros behind each head."""
    import torch

    blocks = weight.reshape(-1, was, weight.shape[1])
    empty = torch.zeros(len(blocks), head_dim - was, weight.shape[1], dtype=weight.dtype)
    return torch.cat([blocks, empty], 1).reshape(-1, weight.shape[1])
