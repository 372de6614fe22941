"""Conversations as packed blocks of token ids, with labels on the assistant's turn only.

Packed examples do not see each other: positions restart with each example, and with restarted positions and no
attention mask transformers builds a block-diagonal mask. TRL's own padding-free packing does the same by laying the
whole batch out as one row, which without flash attention costs the square of the batch; blocks of a fixed length do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from phi4r_lib.models.fast.packed_attention import cuts
from phi4r_lib.models.thinking import THINK_OPEN, parse_thinking

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

IGNORE = -100  # label of a token that carries no loss


def encode_conversation(
    messages: Sequence[Mapping[str, str]], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[int]]:
    """Token ids and labels of one conversation: loss on the last assistant turn, its end-of-turn token included.

    Anything the chat template writes after that token (such as a line break) is cut off, so that nothing is learnt
    after the turn has ended. Source: report section 3.

    Returns:
        ids and labels of equal length; labels are the ids on the assistant's turn and -100 elsewhere.

    Raises:
        ValueError: the last message is not the assistant's, the template renders the prompt differently with and
            without an answer, pre-fills the think tag, takes the thought out of the answer, or no end-of-turn token
            follows the answer (the model would never learn to stop).
    """
    messages = [dict(message) for message in messages]
    if not messages or messages[-1]["role"] != "assistant":
        raise ValueError("the last message must be the assistant's")
    opened = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    if not whole.startswith(opened):
        raise ValueError("the chat template renders the prompt differently once an answer follows it")
    _check_thought(opened, whole[len(opened) :], messages[-1]["content"])
    prompt = tokenizer(opened, add_special_tokens=False)["input_ids"]
    answer = tokenizer(whole[len(opened) :], add_special_tokens=False)["input_ids"]
    if tokenizer.eos_token_id not in answer:
        raise ValueError(f"no end-of-turn token {tokenizer.eos_token!r} after the answer: check the chat template")
    answer = answer[: len(answer) - answer[::-1].index(tokenizer.eos_token_id)]
    return prompt + answer, [IGNORE] * len(prompt) + answer


def _check_thought(opened: str, answer: str, content: str) -> None:
    """Raises ValueError unless the thought of the content, all of it, is still there to be learnt."""
    if opened.rstrip().endswith(THINK_OPEN):
        raise ValueError(f"the chat template pre-fills {THINK_OPEN}; remove it from the end of the generation prompt")
    thought = parse_thinking(content).thought
    if thought and (thought not in answer or answer.count(THINK_OPEN) != content.count(THINK_OPEN)):
        raise ValueError(
            "the chat template removes the thinking from the answer or changes its tags, so it would not be learnt: take "
            "out what it does with <think> in the assistant's turns (chat_template.jinja)"
        )


def pack(pairs: Sequence[tuple[list[int], list[int]]], block: int) -> Dataset:
    """Packs (ids, labels) into blocks of at most `block` tokens, whole examples only (best fit decreasing, by TRL).

    Returns:
        A dataset with input_ids, labels and seq_lengths (the lengths of a block's examples).

    Raises:
        ValueError: an example is longer than a block: it would lose its end.
    """
    from datasets import Dataset
    from trl import pack_dataset

    longest = max(len(ids) for ids, _ in pairs)
    if longest > block:
        raise ValueError(f"an example of {longest} tokens does not fit a block of {block}; raise sft.block")
    rows = {"input_ids": [ids for ids, _ in pairs], "labels": [labels for _, labels in pairs]}
    return pack_dataset(Dataset.from_dict(rows), block, "bfd")


def unpacked(pairs: Sequence[tuple[list[int], list[int]]]) -> Dataset:
    """The same rows as `pack` gives, one example each, nothing joined."""
    from datasets import Dataset

    rows = {"input_ids": [ids for ids, _ in pairs], "labels": [labels for _, labels in pairs]}
    return Dataset.from_dict(rows | {"seq_lengths": [[len(ids)] for ids, _ in pairs]})


@dataclass
class BlockCollator:
    """A batch of packed blocks: input_ids, labels and position_ids of shape (blocks, block), no attention mask.

    Without `block` they are as long as the longest of the batch.

    The first token of each example carries no loss (nothing precedes it), and padding at a block's end forms an
    example of its own, so that nothing real attends to it or is followed by it.
    """

    pad_token_id: int
    block: int | None
    starts: bool = (
        False  # also give where examples start, for attention without a mask (models/fast/packed_attention.py)
    )

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        block = self.block or max(len(row["input_ids"]) for row in rows)
        shape = (len(rows), block)
        ids, labels = torch.full(shape, self.pad_token_id), torch.full(shape, IGNORE)
        positions = torch.zeros(shape, dtype=torch.long)
        every: list[int] = []
        for i, row in enumerate(rows):
            size = len(row["input_ids"])
            ids[i, :size] = torch.tensor(row["input_ids"])
            labels[i, :size] = torch.tensor(row["labels"])
            lengths = [*row["seq_lengths"], block - size]
            every += lengths
            positions[i] = torch.cat([torch.arange(length) for length in lengths])
            starts = torch.tensor(lengths).cumsum(0)[:-1]
            labels[i, [0, *starts[starts < block].tolist()]] = IGNORE
        batch = {"input_ids": ids, "labels": labels, "position_ids": positions}
        return batch | {"cu_seq_lens_q": cuts(every), "max_length_q": block} if self.starts else batch
