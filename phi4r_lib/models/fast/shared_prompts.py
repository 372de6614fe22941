"""A group's completions scored in one row behind one copy of their prompt.

The completions of a GRPO group answer the same prompt, so eight separate rows read it eight times. Here a row is the
prompt followed by all completions as branches: each branch sees the prompt and itself and continues the prompt's
positions, which gives the same log-probabilities for fewer tokens (ours). Not here: the loss (rollouts.py).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from phi4r_lib.models.fast.branch_attention import branch_attention

IGNORE = -100
LONGEST = 4096  # tokens per shared row: its mask grows with the square
BRANCHES = 4  # completions per masked row at most: fewer read the prompt more often, more make the mask larger; ours


@dataclass(frozen=True)
class SharedRows:
    """Rows of shape (groups, length) and their mask (groups, 1, length, length); labels belong to the same position.

    `branch` numbers the completions of a row from 1; 0 is the prompt, -1 padding.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor
    branch: torch.Tensor

    def inputs(self) -> dict[str, Any]:
        """Arguments of a model whose LM head is fused: its output then has log-probabilities of the labels."""
        rows = {"input_ids": self.input_ids, "attention_mask": self.attention_mask, "position_ids": self.position_ids}
        return rows | {"shift_labels": self.labels, "fused_lm_head": True}


def share_prompts(
    prompt_ids: torch.Tensor,
    prompt_mask: torch.Tensor,
    completion_ids: torch.Tensor,
    completion_mask: torch.Tensor,
    group: int,
) -> SharedRows:
    """Rows of shape (n, P) and (n, C), `group` neighbours to a prompt, as n / group shared rows.

    The prompt's last token is repeated at the start of each branch, because it predicts the first token of each. So a
    branch is as long as its completion, and the label of a place is the token that follows it in its completion. Labels
    that are not -100, read row by row, stand in the order of `completion_mask`.
    """
    # Laid out on the host: these are fifteen small operations per completion, each a kernel and some of them a wait on a GPU.
    where, rows = prompt_ids.device, []
    prompt_ids, prompt_mask = prompt_ids.cpu(), prompt_mask.cpu()
    completion_ids, completion_mask = completion_ids.cpu(), completion_mask.cpu()
    for first in range(0, len(prompt_ids), group):
        prompt = prompt_ids[first][prompt_mask[first].bool()]
        members = range(first, first + group)
        rows.append(_row(prompt, [completion_ids[i][completion_mask[i].bool()] for i in members]))
    ids, positions, branches, labels = (list(column) for column in zip(*rows, strict=True))
    branch = pad_sequence(branches, batch_first=True, padding_value=-1).to(where)
    length = branch.shape[1]
    sees = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    sees &= torch.ones(length, length, dtype=torch.bool, device=branch.device).tril()
    return SharedRows(
        input_ids=pad_sequence(ids, batch_first=True).to(where),
        position_ids=pad_sequence(positions, batch_first=True).to(where),
        attention_mask=sees[:, None],
        labels=pad_sequence(labels, batch_first=True, padding_value=IGNORE).to(where),
        branch=branch,
    )


def _row(prompt: torch.Tensor, completions: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """ids, positions, branch numbers (0 is the prompt) and labels of one shared row."""
    head = len(prompt) - 1
    ids, positions = [prompt[:-1]], [torch.arange(head)]
    branches, labels = [torch.zeros_like(prompt[:-1])], [torch.full_like(prompt[:-1], IGNORE)]
    for number, tokens in enumerate(completions, start=1):
        if len(tokens):
            ids += [prompt[-1:], tokens[:-1]]
            positions.append(torch.arange(head, head + len(tokens)))
            branches.append(torch.full_like(tokens, number))
            labels.append(tokens)
    return torch.cat(ids), torch.cat(positions), torch.cat(branches), torch.cat(labels)


def branches(group: int, device: str = "cpu") -> int:
    """Completions that share a row: the whole group on a CPU, elsewhere its largest divisor up to 4."""
    return group if device == "cpu" else max(size for size in range(1, BRANCHES + 1) if group % size == 0)


def row_attention(model: PreTrainedModel, rows: SharedRows) -> AbstractContextManager[None]:
    """Within: the model attends to these rows as its device does it best; a GPU takes the mask as it is."""
    return branch_attention(model, rows.branch) if model.device.type == "cpu" else nullcontext()


def sees_all(model: PreTrainedModel, length: int) -> bool:
    """Whether every layer looks back over texts of this length: shared rows bring one mask for all layers, without windows."""
    config = model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    return length <= (getattr(config, "sliding_window", None) or length) and kinds <= {"sliding_attention"}


def is_grouped(prompt_ids: torch.Tensor, prompt_mask: torch.Tensor, group: int) -> bool:
    """Whether every `group` neighbouring rows have the same prompt."""
    if len(prompt_ids) % group:
        return False
    same = [tensor.view(-1, group, tensor.shape[1]) for tensor in (prompt_ids, prompt_mask)]
    return all(bool((tensor == tensor[:, :1]).all()) for tensor in same)
