"""Our speed path of a GRPO step: skip when learning; `grpo.fast: false` takes TRL's own steps, with the same gradients.

Completions come from our decoder (models/fast/decoding.py), dropped groups cost no forward pass, and the completions of a group share
one reading of their prompt (models/fast/shared_prompts.py). Not here: what a step computes (rollouts.py, TRL).
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.fast.decoding import Request, decode
from phi4r_lib.models.fast.on_gpu import bf16_twin
from phi4r_lib.models.fast.shared_prompts import (
    IGNORE,
    LONGEST,
    branches,
    is_grouped,
    row_attention,
    sees_all,
    share_prompts,
)
from phi4r_lib.train.rollouts import RolloutTrainer

# one value per completion token; the ratio has one column instead where it belongs to whole sequences
PER_TOKEN = {
    "completion_ids",
    "completion_mask",
    "old_per_token_logps",
    "sampling_per_token_logps",
    "importance_sampling_ratio",
}


class FastRolloutTrainer(RolloutTrainer):
    """RolloutTrainer with our sampler and shared prompts."""

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        """Completions of neighbouring equal prompts share one reading of the prompt (models/fast/decoding.py); vLLM as in TRL."""
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)
        started = time.perf_counter()
        groups = [(list(ids), len(list(same))) for ids, same in itertools.groupby(prompt_ids)]
        limit = self.max_completion_length
        requests = [Request(ids, 0, count, limit) for ids, count in groups]
        # streams belong to places in the whole step, so that the number of processes changes no completion
        rank, every = self.accelerator.process_index, self.accelerator.num_processes
        stream = np.random.SeedSequence([self.args.seed, self.state.global_step, 0]).spawn(len(requests) * every)
        mine = stream[rank * len(requests) :]
        streams = {id(r): np.random.default_rng(s) for r, s in zip(requests, mine, strict=False)}
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
        """The policy, in bf16 where it trains in bf16."""
        policy = self.accelerator.unwrap_model(self.model_wrapped)
        return bf16_twin(policy) if self.args.bf16 else policy

    def _generate_and_score_completions(self, inputs):
        """As before, without the reference model: it is run on the groups that are left."""
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        beta, self.beta = self.beta, 0.0
        try:
            return super()._generate_and_score_completions(inputs)
        finally:
            self.beta = beta

    def _prepare_inputs(self, generation_batch):
        """One micro-batch of the groups kept in this step; TRL would shuffle the rows and so tear groups apart."""
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        count = self.args.steps_per_generation
        if self._step % (count * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            # a mean over sequences counts the dropped ones too, a sum over tokens does not
            parts = split_groups(batch, count, self.num_generations, drop=self.loss_type == "dapo")
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
        split, group = input_ids.size(1) - logits_to_keep, branches(self.num_generations, input_ids.device.type)
        prompt = input_ids[:, :split], attention_mask[:, :split]
        completion = input_ids[:, split:], attention_mask[:, split:]
        plain = self.accelerator.unwrap_model(model)
        dense = plain.config._attn_implementation in ("sdpa", "eager") and sees_all(plain, input_ids.size(1))
        if not dense or split + group * logits_to_keep > LONGEST or not is_grouped(*prompt, group):
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
        rows = share_prompts(*prompt, *completion, group)
        with self.accelerator.autocast(), row_attention(plain, rows):
            out = model(**rows.inputs())
        scored, places = rows.labels != IGNORE, completion[1].bool()
        back = [
            None if values is None else values.new_zeros(places.shape).masked_scatter(places, values[scored])
            for values in (out.log_probs, out.entropy)
        ]
        return (*back, None)


def split_groups(batch: dict[str, Any], count: int, group: int, drop: bool = True) -> list[dict[str, Any]]:
    """`count` micro-batches of the groups whose masks are not empty, like sizes together, cut to their longest row.

    Rows keep their prompt at the right edge of the prompt block. Where fewer groups than micro-batches are left, masked
    groups fill up: they carry no loss, and the trainer's steps stay the same on every device. Without `drop` all groups stay.
    More micro-batches than groups in all take parts of groups.
    """
    rows = batch["advantages"].size(0)
    sizes = batch["completion_mask"].sum(1).view(-1, group).sum(1)
    kept = int((sizes > 0).sum())
    whole = count <= len(sizes)
    least = count if whole else -(-count // group)  # groups that give every micro-batch a row
    order = torch.argsort(sizes, descending=True)[: max(kept, least) if drop else None]
    taken = order[:, None] * group + torch.arange(group, device=order.device)
    parts = []
    for some in taken.tensor_split(count) if whole else taken.flatten().tensor_split(count):
        some = some.flatten()
        part = {
            key: value[some] if isinstance(value, torch.Tensor) and value.dim() and value.size(0) == rows else value
            for key, value in batch.items()
        }
        prompt = max(int(part["prompt_mask"].sum(1).max()), 1)
        completion = max(int(part["completion_mask"].sum(1).max()), 1)
        for key in ("prompt_ids", "prompt_mask"):
            part[key] = part[key][:, -prompt:]
        for key in PER_TOKEN & part.keys():
            part[key] = part[key][:, :completion]
        parts.append(part)
    return parts
