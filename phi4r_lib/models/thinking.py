"""The thinking format: read it, give a model the tokens for it, and make room for longer answers.

Phi-4-reasoning turns two unused placeholder tokens into `<think>` and `</think>` and doubles the RoPE base, so no
embedding is added and no weight changes shape (report, section 3). This module does those operations, adds tokens where
a model has none to spare, and parses completions. Grading the solution is `phi4r_lib.problems.answers`; the reward for the format is `phi4r_lib.train.reward`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # torch and transformers take seconds to import; parsing text needs neither
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
PLACEHOLDERS = {"<|dummy_86|>": THINK_OPEN, "<|dummy_87|>": THINK_CLOSE}
WITHOUT_DOUBLING = "set sft.double_rope to false and sft.rope_steps to 0"


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


def one_pair(text: str, thought: str = "", *, ended: bool = True) -> str:
    """A completion with its thinking in one pair of tags, however the other side delivered it; ours.

    Servers hand the thought out apart (`thought`), drop the `<think>` that their template wrote into the prompt, or
    double a tag. Where `text` holds a thought of its own, that one counts. Without any thought the text stays as it is;
    so does a thought that was cut off (`ended` False and no solution): it gets no closing tag. Tags that the model
    itself wrote too often are left for `parse_thinking` to refuse.
    """
    text = re.sub(rf"^(\s*{THINK_OPEN})(?:\s*{THINK_OPEN})+", r"\1", text)
    text = re.sub(rf"({THINK_CLOSE})(?:\s*{THINK_CLOSE})+", r"\1", text)
    if THINK_CLOSE in text:
        return text if THINK_OPEN in text else THINK_OPEN + text
    thought = thought.replace(THINK_OPEN, "").replace(THINK_CLOSE, "")
    if not thought.strip():
        return text
    solution = text.lstrip().removeprefix(THINK_OPEN) if text.lstrip().startswith(THINK_OPEN) else text
    if not ended and not solution.strip():
        return THINK_OPEN + thought
    return f"{THINK_OPEN}{thought}{THINK_CLOSE}{solution}"


def add_think_tokens(
    model: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerFast,
    *,
    init: Literal["mean", "keep"] = "mean",
    names: Sequence[str] | None = None,
) -> PreTrainedTokenizerFast:
    """Gives the tokenizer `<think>` and `</think>`: two unused tokens under new names, or two new ones.

    The two are `names`, else Phi-4's placeholders `<|dummy_86|>` and `<|dummy_87|>`: they keep their ids, and no
    embedding is resized. Where nothing is named and there are no placeholders, two tokens are added, and the embeddings
    grow if they have no free rows. The tokens become ordinary added tokens (special=False), so
    `decode(skip_special_tokens=True)` keeps them. The tokenizer is changed in place and also returned; one that already
    has both think tokens is left alone, and so are the model's rows for them.

    Args:
        model: gets its input and output rows for the two ids set in place; None changes the tokenizer only.
        tokenizer: a fast tokenizer.
        init: "mean" sets both rows to the mean over the vocabulary, because the rows of unused placeholders were
            never trained (ours; the report does not say); "keep" leaves them.
        names: two unused tokens of this tokenizer, the opening one first (`sft.think_tokens`).

    Raises:
        ValueError: the tokenizer is not a fast one, has one think token only, or lacks a named token.
    """
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ValueError("add_think_tokens needs a fast tokenizer (tokenizer.json); load it with use_fast=True")
    vocab = tokenizer.get_vocab()
    tags = (THINK_OPEN, THINK_CLOSE)
    if all(tag in vocab for tag in tags):
        return tokenizer
    if any(tag in vocab for tag in tags):
        raise ValueError(
            f"the tokenizer has one of {THINK_OPEN} and {THINK_CLOSE} but not the other; it needs both or none"
        )
    places = tuple(names) if names else tuple(name for name in PLACEHOLDERS if name in vocab)
    if names or len(places) == 2:
        _check_names(places, vocab, tokenizer)
        _rename(tokenizer, dict(zip(places, tags, strict=True)))
    else:
        from tokenizers import AddedToken

        tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in tags])
    if model is not None:
        _make_rows(model, [tokenizer.get_vocab()[tag] for tag in tags], init)
    return tokenizer


def _check_names(names: Sequence[str], vocab: Mapping[str, int], tokenizer: PreTrainedTokenizerFast) -> None:
    """Raises ValueError unless the names are two tokens of the vocabulary that nothing else uses."""
    used = {
        str(token) for token in (tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token, tokenizer.unk_token)
    }
    missing = [name for name in names if name not in vocab]
    if missing or len(set(names)) != 2 or used & set(names):
        unused = [name for name in vocab if re.search(r"dummy|reserved|unused|extra_\d|placeholder|fim_", name)]
        hint = f"unused ones by their names: {', '.join(sorted(unused)[:4])}" if unused else "set it to null to add two"
        what = f"has no {' and '.join(missing)}" if missing else "needs two different tokens without another job"
        raise ValueError(f"sft.think_tokens {list(names)}: the tokenizer {what}; {hint}")


def double_rope_base(config: PretrainedConfig) -> PretrainedConfig:
    """Doubles the RoPE base and the context, in place and returned: Phi-4's theta 250,000 to 500,000, 16k to 32k.

    Call it on the configuration before the model is loaded with it (`from_pretrained(path, config=config)`): a model
    computes its rotary frequencies once, when it is built. Source: report section 3.

    Raises:
        ValueError: the configuration has no RoPE, several, or scales it in another way (such as longrope), where
            doubling means nothing.
    """
    rope = dict(getattr(config, "rope_parameters", None) or {})
    if not rope:
        raise ValueError(f"{config.model_type} has no RoPE whose base could be doubled; {WITHOUT_DOUBLING}")
    if any(isinstance(value, Mapping) for value in rope.values()):
        kinds = " and ".join(rope)
        raise ValueError(f"{config.model_type} has RoPE of its own for {kinds}; {WITHOUT_DOUBLING}")
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"RoPE type {rope['rope_type']!r} brings its own long context; {WITHOUT_DOUBLING}")
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


def _rename(tokenizer: PreTrainedTokenizerFast, names: Mapping[str, str]) -> None:
    """Edits the tokenizer's own JSON, the only place where the library lets a token change its name."""
    from tokenizers import Tokenizer

    ids = {names[old]: i for old, i in tokenizer.get_vocab().items() if old in names}
    spec: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    others = [token for token in spec["added_tokens"] if token["content"] not in names]
    added = [{"id": i, "content": name, **plain} for name, i in ids.items()]
    spec["added_tokens"] = sorted([*others, *added], key=lambda token: token["id"])
    vocab = spec["model"].get("vocab")
    if isinstance(vocab, dict):  # WordLevel and BPE repeat the added tokens here when they were trained with them
        spec["model"]["vocab"] = {names.get(name, name): i for name, i in vocab.items()}
    elif isinstance(vocab, list):  # Unigram: pairs of piece and score
        spec["model"]["vocab"] = [[names.get(name, name), score] for name, score in vocab]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(spec))
    kept = [t for t in getattr(tokenizer, "_extra_special_tokens", []) if str(t) not in names]
    tokenizer._extra_special_tokens = kept


def _make_rows(model: PreTrainedModel, ids: list[int], init: str) -> None:
    """Rows for the ids in both embeddings, new ones where there are too few; "mean": the mean of the other rows."""
    import torch

    if model.get_input_embeddings().weight.shape[0] <= max(ids):
        model.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    if init != "mean":
        return
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            if layer is None:
                continue
            others = torch.ones(layer.weight.shape[0], dtype=torch.bool, device=layer.weight.device)
            others[ids] = False
            layer.weight[ids] = layer.weight[others].mean(dim=0)
