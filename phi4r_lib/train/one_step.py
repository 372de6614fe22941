"""GRPO on one group that fits on a page: its tensors, and the loss that TRL computes for it.

For notebook 04, which writes the same loss by hand and compares. Not here: training (grpo.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from phi4r_lib.models.engine import Message
from phi4r_lib.train.arguments import grpo_arguments
from phi4r_lib.train.session import no_telemetry, training_device
from phi4r_lib.train.settings import GrpoSettings


def encode_group(
    messages: Sequence[Message], texts: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> dict[str, torch.Tensor]:
    """One prompt and its n completions as TRL holds them: prompt_ids (n, P), completion_ids (n, C), and their masks.

    Completions end with the end-of-turn token and are padded on the right; masks are 1 where a token counts.
    """
    prompt = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    first = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    written = [[*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for text in texts]
    width = max(map(len, written))
    padded = [ids + [tokenizer.pad_token_id] * (width - len(ids)) for ids in written]
    mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids in written]
    return {
        "prompt_ids": torch.tensor([first] * len(texts)),
        "prompt_mask": torch.ones(len(texts), len(first), dtype=torch.long),
        "completion_ids": torch.tensor(padded),
        "completion_mask": torch.tensor(mask),
    }


def trl_loss(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch: Mapping[str, torch.Tensor],
    settings: GrpoSettings,
    *,
    advantages: torch.Tensor,
    reference: torch.Tensor,
    old: torch.Tensor | None = None,
) -> float:
    """The loss of TRL's GRPOTrainer for one group from `encode_group`, in float32, with the recipe's settings.

    Args:
        advantages: one per completion.
        reference: log-probabilities (n, C) under the frozen starting model.
        old: log-probabilities (n, C) under the policy that wrote the completions; None: the model is still that policy.
    """
    from trl import GRPOTrainer

    no_telemetry()
    count = len(advantages)
    one = settings.model_copy(update={"prompts": 1, "group": count, "micro_batches": 1, "vllm": False})
    inputs = dict(batch) | {"advantages": advantages, "ref_per_token_logps": reference}
    inputs |= {"num_items_in_batch": batch["completion_mask"].sum()}
    inputs |= {} if old is None else {"old_per_token_logps": old}
    with tempfile.TemporaryDirectory() as folder:
        arguments = grpo_arguments(Path(folder), one, 0, training_device("cpu"), 1, bf16=False)
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=_nothing,
            args=arguments,
            train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": ""}]}]),
            processing_class=tokenizer,
        )
        model.eval()
        with torch.no_grad():
            return trainer._compute_loss(model, inputs).item()


def _nothing(completions, **columns) -> list[float]:
    return [0.0] * len(completions)
