"""GRPO's step as the recipe wants it: sample, reward, drop groups that teach nothing, learn from the rest.

A thin layer over TRL's GRPOTrainer. Groups are filtered on accuracy, never on the shaped reward: a group that is all
wrong still has spread in its rewards, from length alone. Dropped groups cost no forward pass, and the completions of a group
share one reading of their prompt (models/fast/shared_prompts.py). Not here: settings, files and the run itself (grpo.py), the reward's formula (reward.py).
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from trl import GRPOTrainer

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.fast.decoding import Request, decode
from phi4r_lib.models.fast.shared_prompts import IGNORE, LONGEST, branches, float32_attention, is_grouped, share_prompts
from phi4r_lib.problems.answers import Grade, extract_answer, grade
from phi4r_lib.train.callbacks import mean
from phi4r_lib.train.reward import LengthReward, RewardParts, phi4_reward


class ClippedError(RuntimeError):
    """Too many completions hit the length limit at the first step; the message says what to change."""


class RewardFunction:
    """TRL's reward function: totals of `phi4_reward`, with the parts of the last batch kept in `parts`."""

    __name__ = "phi4_reward"

    def __init__(self, reward: LengthReward, eos: Sequence[int]):
        self.reward, self.eos = reward, set(eos)
        self.parts: list[RewardParts] = []
        self.texts: list[str] = []
        self.failed = 0

    def __call__(self, prompts, completions, completion_ids, answer, **kwargs) -> list[float]:
        self.texts = [completion[-1]["content"] for completion in completions]
        grades = grade([extract_answer(text) for text in self.texts], list(answer))
        self.failed = sum(verdict is Grade.FAILED for verdict in grades)
        self.parts = [
            phi4_reward(
                text, correct=verdict is Grade.RIGHT, n_tokens=len(ids), ended=ids[-1] in self.eos, reward=self.reward
            )
            for text, verdict, ids in zip(self.texts, grades, completion_ids, strict=True)
        ]
        return [parts.total for parts in self.parts]


def informative(correct: Sequence[bool], group: int) -> list[bool]:
    """For each completion, whether its group of `group` neighbours has both right and wrong answers."""
    flags: list[bool] = []
    for start in range(0, len(correct), group):
        right = sum(correct[start : start + group])
        flags += [0 < right < group] * group
    return flags


class RolloutTrainer(GRPOTrainer):
    """GRPOTrainer with accuracy-filtered groups, shared prompts and the recipe's own metrics."""

    def __init__(self, *args, rewards: RewardFunction, filter_groups: bool, max_clipped: float, out: Path, **kwargs):
        super().__init__(*args, reward_funcs=rewards, **kwargs)
        self.rewards, self.filter_groups, self.max_clipped, self.out = rewards, filter_groups, max_clipped, out
        self._sampler: PreTrainedModel | None = None
        self._table: list[pd.DataFrame] = []

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        """Completions of neighbouring equal prompts share one reading of the prompt (models/fast/decoding.py); vLLM as in TRL."""
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)
        started = time.perf_counter()
        groups = [(list(ids), len(list(same))) for ids, same in itertools.groupby(prompt_ids)]
        limit = self.max_completion_length
        requests = [Request(ids, 0, count, limit) for ids, count in groups]
        stream = np.random.SeedSequence([self.args.seed, self.state.global_step, self.accelerator.process_index])
        streams = {id(r): np.random.default_rng(s) for r, s in zip(requests, stream.spawn(len(requests)), strict=True)}
        decode(
            self._sampling_model(),
            requests,
            SamplingSettings(n=1, temperature=self.temperature, max_tokens=limit, seed=None),
            eos=self.eos_token_ids,
            streams=lambda request, index: streams[id(request)],
            batch_size=512,
        )
        self._metrics["train"]["seconds_sampling"].append(time.perf_counter() - started)
        return [request.outputs[i] for request in requests for i in range(request.count)], None

    def _sampling_model(self) -> PreTrainedModel:
        """The policy, in bf16 where it trains in bf16: a copy whose weights are refreshed before each sampling."""
        policy = self.accelerator.unwrap_model(self.model_wrapped)
        if not self.args.bf16:
            return policy
        if self._sampler is None:
            config = copy.deepcopy(policy.config)
            self._sampler = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).to(policy.device).eval()
        with torch.no_grad():
            for mine, theirs in zip(self._sampler.parameters(), policy.parameters(), strict=True):
                mine.copy_(theirs)
        return self._sampler

    def _generate_and_score_completions(self, inputs):
        """TRL's samples, rewards and advantages; then the groups that teach, with the reference model run on them only."""
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        beta, self.beta = self.beta, 0.0  # TRL would run the reference model on dropped groups as well
        try:
            batch = super()._generate_and_score_completions(inputs)
        finally:
            self.beta = beta
        keep = self._kept(len(inputs))
        self._record(inputs, batch, keep)
        batch["completion_mask"] = batch["completion_mask"] * keep[:, None]
        batch["num_items_in_batch"] = self.accelerator.gather(batch["completion_mask"].sum()).sum()
        return batch

    def _kept(self, size: int) -> torch.Tensor:
        correct = [parts.correct for parts in self.rewards.parts]
        flags = informative(correct, self.num_generations) if self.filter_groups else [True] * size
        return torch.tensor(flags, device=self.accelerator.device)

    def _prepare_inputs(self, generation_batch):
        """One micro-batch of the groups kept in this step; TRL would shuffle the rows and so tear groups apart."""
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        count = self.args.steps_per_generation
        if self._step % (count * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            parts = split_groups(batch, count, self.num_generations)
            self._buffered_inputs = [self._with_reference(part) for part in parts]
        return self._buffered_inputs[self._step % count]

    def _with_reference(self, part: dict[str, Any]) -> dict[str, Any]:
        if self.beta:
            ids = torch.cat([part["prompt_ids"], part["completion_ids"]], dim=1)
            mask = torch.cat([part["prompt_mask"], part["completion_mask"]], dim=1)
            with torch.no_grad():
                part["ref_per_token_logps"], _, _ = self._get_per_token_logps_and_entropies(
                    self.ref_model, ids, mask, part["completion_ids"].size(1)
                )
        return part

    def _get_per_token_logps_and_entropies(self, model, input_ids, attention_mask, logits_to_keep, *args, **kwargs):
        """Log-probabilities (rows, C) and entropies of completions; groups share readings of their prompt."""
        split, group = input_ids.size(1) - logits_to_keep, branches(self.num_generations)
        prompt = input_ids[:, :split], attention_mask[:, :split]
        completion = input_ids[:, split:], attention_mask[:, split:]
        plain = self.accelerator.unwrap_model(model)
        dense = plain.config._attn_implementation in ("sdpa", "eager")
        if not dense or split + group * logits_to_keep > LONGEST or not is_grouped(*prompt, group):
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
        rows = share_prompts(*prompt, *completion, group)
        with self.accelerator.autocast(), float32_attention(plain):
            out = model(
                input_ids=rows.input_ids,
                attention_mask=rows.attention_mask,
                position_ids=rows.position_ids,
                shift_labels=rows.labels,
                fused_lm_head=True,
            )
        scored, places = rows.labels != IGNORE, completion[1].bool()
        back = [
            None if values is None else values.new_zeros(places.shape).masked_scatter(places, values[scored])
            for values in (out.log_probs, out.entropy)
        ]
        return (*back, None)

    def _record(self, inputs, batch, keep: torch.Tensor) -> None:
        """Logs the components of the reward and remembers every completion for the rollouts file."""
        parts, group = self.rewards.parts, self.num_generations
        step = self.state.global_step + 1
        clipped = mean([ids[-1] not in self.rewards.eos for ids in _completions(batch)])
        for name, value in step_figures(parts, group).items():
            self._metrics["train"][name].append(float("nan") if value is None else value)
        self._metrics["train"]["clipped"].append(clipped)
        self._metrics["train"]["grading_failed"].append(self.rewards.failed)
        table = pd.DataFrame([part.model_dump() for part in parts])
        table.insert(0, "step", step)
        table.insert(1, "id", [row.get("id") for row in inputs])
        table = table.assign(text=self.rewards.texts, advantage=batch["advantages"].tolist(), kept=keep.tolist())
        self._table.append(table)
        if step == 1 and clipped > self.max_clipped:
            raise ClippedError(
                f"{clipped:.0%} of the first step's completions hit the limit of {self.max_completion_length} tokens "
                "and earn no accuracy reward: raise grpo.max_tokens, train longer in notebook 03, or set "
                "grpo.max_clipped=1 to go on all the same"
            )

    def _save_checkpoint(self, model, trial):
        """Writes the rollouts since the last checkpoint, so that files and checkpoints always agree."""
        self.write_rollouts()
        super()._save_checkpoint(model, trial)

    def write_rollouts(self) -> None:
        """Completions since the last call as out/rollouts-FIRST-LAST.parquet (steps), written atomically."""
        if self._table and self.accelerator.is_main_process:
            table = pd.concat(self._table, ignore_index=True)
            path = self.out / f"rollouts-{table['step'].min():05d}-{table['step'].max():05d}.parquet"
            partial = path.with_suffix(".partial")
            table.to_parquet(partial, index=False)
            partial.replace(path)
        self._table = []


def step_figures(parts: Sequence[RewardParts], group: int) -> dict[str, float | None]:
    """What a step's rewards look like: means of every component, shares of formats and groups, lengths by outcome."""
    right = [part.n_tokens for part in parts if part.correct]
    wrong = [part.n_tokens for part in parts if not part.correct]
    groups = [sum(part.correct for part in parts[i : i + group]) for i in range(0, len(parts), group)]
    return {
        "accuracy": len(right) / len(parts),
        "total": mean([part.total for part in parts]),
        "accuracy_term": mean([part.accuracy_term for part in parts]),
        "length_term": mean([part.length_term for part in parts]),
        "repetition": mean([part.repetition for part in parts]),
        "bad_think": mean([part.format == "bad_think" for part in parts]),
        "no_end": mean([part.format == "no_end" for part in parts]),
        "tokens": mean([part.n_tokens for part in parts]),
        "tokens_right": mean(right),
        "tokens_wrong": mean(wrong),
        "groups_informative": mean([0 < count < group for count in groups]),
        "groups_all_right": mean([count == group for count in groups]),
        "groups_all_wrong": mean([count == 0 for count in groups]),
    }


def split_groups(batch: dict[str, Any], count: int, group: int) -> list[dict[str, Any]]:
    """`count` micro-batches of the groups whose masks are not empty, like sizes together, cut to their longest row.

    Rows keep their prompt at the right edge of the prompt block. Where fewer groups than micro-batches are left, masked
    groups fill up: they carry no loss, and the trainer's steps stay the same on every device.
    """
    rows = batch["advantages"].size(0)
    sizes = batch["completion_mask"].sum(1).view(-1, group).sum(1)
    kept = int((sizes > 0).sum())
    order = torch.argsort(sizes, descending=True)[: max(kept, count)]
    parts = []
    for groups in order.tensor_split(count):
        some = (groups[:, None] * group + torch.arange(group, device=groups.device)).flatten()
        part = {
            key: value[some] if isinstance(value, torch.Tensor) and value.dim() and value.size(0) == rows else value
            for key, value in batch.items()
        }
        prompt = max(int(part["prompt_mask"].sum(1).max()), 1)
        completion = max(int(part["completion_mask"].sum(1).max()), 1)
        for key in ("prompt_ids", "prompt_mask"):
            part[key] = part[key][:, -prompt:]
        for key in ("completion_ids", "completion_mask", "old_per_token_logps", "sampling_per_token_logps"):
            if key in part:
                part[key] = part[key][:, :completion]
        parts.append(part)
    return parts


def _completions(batch: dict[str, Any]) -> list[list[int]]:
    """Token ids of each completion without its padding."""
    lengths = batch["completion_mask"].sum(1).tolist()
    return [ids[:length] for ids, length in zip(batch["completion_ids"].tolist(), lengths, strict=True)]
