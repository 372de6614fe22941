"""The thinking format: read it, give a model the tokens for it, and make room for longer answers.

Phi-4-reasoning turns two unused placeholder tokens into `<think>` and `</think>` and doubles the RoPE base, so no
embedding is added and no weight changes shape (report, section 3). This module does those operations and parses
completions. Grading the solution is `phi4r_lib.problems.answers`; the reward for the format is `phi4r_lib.train.reward`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # torch and transformers take seconds to import; parsing text needs neither
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
PLACEHOLDERS = {"<|dummy_86|>": THINK_OPEN, "<|dummy_87|>": THINK_CLOSE}


@dataclass(frozen=True)
class Thinking:
    """A completion split into its thinking block and the text after it; `valid` says the format was kept."""

    thought: str
    solution: str
    valid: bool


def parse_thinking(text: str) -> Thinking:
    """Splits a completion into thought and solution.

    Valid means: the completion starts with `<think>` (white space before it is allowed) and holds exactly one
    `<think>` and one `</think>`. Give it the completion only: the system message may contain a think pair itself.
    An invalid completion is still split as far as it goes: the solution is the text after the last `</think>`,
    nothing for an unclosed block, and the whole text when there is no tag at all.
    Source: report section 4 (format checks of the reward); how to split invalid text is ours.
    """
    opens, closes = text.count(THINK_OPEN), text.count(THINK_CLOSE)
    valid = opens == 1 and closes == 1 and text.lstrip().startswith(THINK_OPEN)
    if closes:
        thought, _, solution = text.rpartition(THINK_CLOSE)
    elif opens:
        thought, solution = text, ""
    else:
        thought, solution = "", text
    return Thinking(thought.strip().removeprefix(THINK_OPEN).strip(), solution.strip(), valid)


def add_think_tokens(
    model: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerFast,
    *,
    init: Literal["mean", "keep"] = "mean",
) -> PreTrainedTokenizerFast:
    """Renames the placeholder tokens `<|dummy_86|>`, `<|dummy_87|>` to `<think>`, `</think>`, keeping their ids.

    The tokenizer is changed in place and also returned; the vocabulary keeps its size and no embedding is resized.
    The tokens become ordinary added tokens (special=False), so `decode(skip_special_tokens=True)` keeps them.
    A tokenizer that already has both think tokens is left alone, and so are the model's rows for them.

    Args:
        model: gets its input and output rows for the two ids set in place; None changes the tokenizer only.
        tokenizer: a fast tokenizer with the placeholders (the Phi-4 layout).
        init: "mean" sets both rows to the mean over the vocabulary, because the rows of unused placeholders were
            never trained (ours; the report does not say); "keep" leaves them.

    Raises:
        ValueError: the tokenizer is not a fast one, or has neither think tokens nor both placeholders.
    """
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ValueError("add_think_tokens needs a fast tokenizer (tokenizer.json); load it with use_fast=True")
    vocab = tokenizer.get_vocab()
    if THINK_OPEN in vocab and THINK_CLOSE in vocab:
        return tokenizer
    missing = [name for name in PLACEHOLDERS if name not in vocab]
    if missing:
        raise ValueError(f"the tokenizer has no {' and '.join(missing)}: it lacks Phi-4's unused placeholder tokens")
    ids = [vocab[name] for name in PLACEHOLDERS]
    _rename(tokenizer)
    if model is not None and init == "mean":
        _set_rows_to_mean(model, ids)
    return tokenizer


def double_rope_base(config: PretrainedConfig) -> PretrainedConfig:
    """Doubles the RoPE base and the context, in place and returned: Phi-4's theta 250,000 to 500,000, 16k to 32k.

    Call it on the configuration before the model is loaded with it (`from_pretrained(path, config=config)`): a model
    computes its rotary frequencies once, when it is built. Source: report section 3.

    Raises:
        ValueError: the configuration scales RoPE in another way (such as longrope), where doubling means nothing.
    """
    rope = dict(config.rope_parameters or {})
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"RoPE type {rope['rope_type']!r} brings its own long context; set double_rope to false")
    rope["rope_theta"] = 2 * rope.get("rope_theta", 10_000.0)
    config.rope_parameters = rope
    config.max_position_embeddings *= 2
    if hasattr(config, "original_max_position_embeddings"):
        # Phi-3's code compares lengths with this one; below the real context it would warn for nothing.
        config.original_max_position_embeddings = config.max_position_embeddings
    return config


def rope_wavelengths(config: PretrainedConfig) -> list[float]:
    """The wavelength in tokens of each rotary pair, shortest first: 2 pi theta^(2i/d), i = 0 .. d/2 - 1."""
    from math import pi

    rope = config.rope_parameters
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    dims = int(head * rope.get("partial_rotary_factor", 1.0))
    return [2 * pi * rope["rope_theta"] ** (2 * i / dims) for i in range(dims // 2)]


def _rename(tokenizer: PreTrainedTokenizerFast) -> None:
    """Edits the tokenizer's own JSON, the only place where the library lets an added token change its name."""
    from tokenizers import Tokenizer

    spec: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in spec["added_tokens"]:
        if token["content"] in PLACEHOLDERS:
            token.update(content=PLACEHOLDERS[token["content"]], special=False)
    vocab = spec["model"].get("vocab")
    if isinstance(vocab, dict):  # WordLevel and BPE repeat the added tokens here when they were trained with them
        spec["model"]["vocab"] = {PLACEHOLDERS.get(name, name): i for name, i in vocab.items()}
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(spec))
    kept = [t for t in getattr(tokenizer, "_extra_special_tokens", []) if str(t) not in PLACEHOLDERS]
    tokenizer._extra_special_tokens = kept


def _set_rows_to_mean(model: PreTrainedModel, ids: list[int]) -> None:
    """Sets the rows in both embeddings to the mean of the other rows (once, if the two are tied)."""
    import torch

    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            if layer is None:
                continue
            others = torch.ones(layer.weight.shape[0], dtype=torch.bool, device=layer.weight.device)
            others[ids] = False
            layer.weight[ids] = layer.weight[others].mean(dim=0)
