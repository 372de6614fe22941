"""Does a model folder fit the recipe? Checked on its config and tokenizer, before weights are loaded or anything starts.

Bases differ from Phi-4: other think tokens, no padding token, other position codes, a template without system messages.
What cannot work is one sentence that says what to set. Not here: the changes themselves (thinking.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi4r_lib.models.thinking import THINK_OPEN

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


def check_answering(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Raises ValueError for a model that cannot answer a prompt: no chat template, a token without a row, other state."""
    check_state(config)
    if not tokenizer.chat_template:
        raise ValueError(
            "the tokenizer has no chat template: put a chat_template.jinja into the model's folder "
            "(the instruct model of the same family has one)"
        )
    rows = config.get_text_config(decoder=True).vocab_size
    most = max(tokenizer.get_vocab().values()) + 1
    if most > rows:
        raise ValueError(
            f"the tokenizer has {most - rows} tokens more than the model has rows ({most} against {rows}): resize the "
            "model's embeddings (model.resize_token_embeddings) or take the tokenizer that belongs to it"
        )


def check_state(config: PretrainedConfig) -> None:
    """Raises ValueError for a model that keeps other state than the keys and values of its tokens (Mamba and the like)."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    text = config.get_text_config(decoder=True)
    kinds = {type(layer) for layer in DynamicCache(config=text).layers}
    chunked = "chunked_attention" in (getattr(text, "layer_types", None) or ())
    if (
        chunked
        or not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}
        or not hasattr(text, "max_position_embeddings")
    ):
        raise ValueError(
            f"{config.model_type} keeps other state than keys and values of its tokens, which phi4r neither samples nor "
            "trains with transformers; take another base, or for sampling alone set its engine to kind: vllm"
        )


def check_trainable(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, system: str | None = None) -> None:
    """Raises ValueError for a model that SFT and GRPO cannot train as it is; an unset padding token becomes the end token.

    Nothing is padded with attention here, so the end token does no harm as padding.
    """
    check_answering(tokenizer, config)
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no end-of-turn token: set eos_token in tokenizer_config.json")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if opened_by_template(tokenizer):
        raise ValueError(
            f"the chat template pre-fills {THINK_OPEN}, so the completion never holds a whole think block: remove "
            f"{THINK_OPEN} from the end of its generation prompt (chat_template.jinja)"
        )
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    whole = _render(tokenizer, [{"role": "system", "content": system}, *talk] if system else talk)
    if tokenizer.eos_token not in whole.rpartition("!")[2]:
        raise ValueError(
            f"no end-of-turn token {tokenizer.eos_token!r} after the answer, the chat template ends it with "
            f"{whole.rpartition('!')[2][:40]!r}: set eos_token in tokenizer_config.json to the token that ends a turn"
        )


def opened_by_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """`<think>` where the chat template writes it into the prompt, so that the answer starts behind it; else ""."""
    text = _render(tokenizer, [{"role": "user", "content": "?"}], add_generation_prompt=True)
    return THINK_OPEN if text.rstrip().endswith(THINK_OPEN) else ""


def _render(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], **options: bool) -> str:
    """The messages through the chat template; ValueError that says which roles it refuses."""
    from jinja2.exceptions import TemplateError

    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, **options)
    except TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise ValueError(
            f"the chat template refuses the roles {roles} ({error}): give the model a chat_template.jinja that takes "
            "them, for instance with the system message put before the user's"
        ) from None
