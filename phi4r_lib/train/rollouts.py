"""GRPO's step as the recipe wants it: sample, reward, drop groups that teach nothing, learn from the rest.

A thin layer over TRL's GRPOTrainer. Groups are filtered on accuracy, never on the shaped reward: a group that is all
wrong still has spread in its rewards, from length alone. Not here: settings, files and the run itself (grpo.py), the reward's
formula (reward.py), what makes a step fast (fast_rollouts.py).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from trl import GRPOTrainer
from trl.trainer.utils import RepeatSampler

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.rows import write_table
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers, verify
from phi4r_lib.train.callbacks import mean
from phi4r_lib.train.ranks import from_all
from phi4r_lib.train.reward import LengthReward, RewardParts, phi4_reward


class ClippedError(RuntimeError):
    """Too many completions hit the length limit at the first step; the message says what to change."""


class NumericsError(RuntimeError):
    """Sampler and trainer give the same tokens other probabilities; the message says how far apart they are."""


OwnReward = Callable[..., Sequence[float | None]]  # TRL's form: of completions and the columns of the prompts' rows


class RewardFunction:
    """TRL's reward function: totals of `phi4_reward`, with the parts of the last batch kept in `parts`.

    A completion that could not be graded gets None: TRL leaves it out of its group's mean and it teaches nothing. With
    `own`, a reward function in TRL's form, its values are the totals instead; verdicts, lengths and formats are still
    noted.
    """

    __name__ = "phi4_reward"

    def __init__(
        self,
        reward: LengthReward,
        eos: Sequence[int],
        problems: Sequence[Problem],
        verifiers: Verifiers | None = None,
        own: OwnReward | None = None,
    ):
        self.reward, self.eos, self.problems, self.verifiers = reward, set(eos), problems, verifiers
        self.own = own
        self.parts: list[RewardParts] = []
        self.texts: list[str] = []

    def __call__(self, prompts, completions, completion_ids, place, **kwargs) -> list[float | None]:
        self.texts = [completion[-1]["content"] for completion in completions]
        ended = [ids[-1] in self.eos for ids in completion_ids]
        asked = [self.problems[one] for one in place]
        verdicts = verify(asked, self.texts, self.verifiers, truncated=[not end for end in ended])
        rights = [None if v.grade is Grade.FAILED else v.correct for v in verdicts]
        self.parts = [
            phi4_reward(text, correct=right, n_tokens=len(ids), ended=end, reward=self.reward, score=verdict.score)
            for text, right, ids, end, verdict in zip(self.texts, rights, completion_ids, ended, verdicts, strict=True)
        ]
        if self.own:
            given = {"prompts": prompts, "completions": completions, "completion_ids": completion_ids, "place": place}
            totals = checked_rewards(self.own(**given, **kwargs), len(completions))
            self.parts = [part.model_copy(update={"total": t}) for part, t in zip(self.parts, totals, strict=True)]
        return [parts.total for parts in self.parts]


def checked_rewards(values: Sequence[float | None], count: int) -> list[float | None]:
    """The values of a reward function of one's own; raises ValueError for a wrong count and for what is no finite number."""
    found = [None if value is None else float(value) for value in values]
    if len(found) != count:
        raise ValueError(f"the reward function gave {len(found)} values for {count} completions; it must give one each")
    if any(value is not None and not math.isfinite(value) for value in found):
        raise ValueError("the reward function gave a value that is no finite number; None leaves a completion out")
    return found


def source_of(function: Callable) -> str:
    """What a function does, as text: its source where there is one, else its compiled code."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return repr((code.co_code, code.co_consts, code.co_names)) if code else repr(function)


def informative(correct: Sequence[float | None], group: int) -> list[bool]:
    """For each completion, whether its group of `group` neighbours has both right and wrong answers; None is neither.

    Wrong answers with partial credit differ from each other too: True and False may be numbers, 1 for right.
    """
    flags: list[bool] = []
    for start in range(0, len(correct), group):
        found = set(correct[start : start + group])
        flags += [len(found - {None}) > 1] * group
    return flags


class EpochSampler(RepeatSampler):
    """TRL's order of prompts, also when training is continued in a later pass over them.

    TRL draws each pass from where the last one left its generator; a resumed trainer would draw the first pass again.
    """

    def set_epoch(self, epoch: int) -> None:
        """Puts the generator where `epoch` passes leave it; the trainer calls this before each pass."""
        self.generator.manual_seed(self.seed)
        for _ in range(epoch):
            torch.randperm(self.num_samples, generator=self.generator)


class RolloutTrainer(GRPOTrainer):
    """GRPOTrainer with accuracy-filtered groups and the recipe's own metrics."""

    def __init__(
        self,
        *args,
        rewards: RewardFunction,
        filter_groups: bool,
        max_clipped: float,
        out: Path,
        max_mismatch: float = 0.2,
        schedule_steps: int | None = None,
        **kwargs,
    ):
        super().__init__(*args, reward_funcs=rewards, **kwargs)
        self.schedule_steps = schedule_steps
        self.rewards, self.filter_groups, self.max_clipped, self.out = rewards, filter_groups, max_clipped, out
        self.max_mismatch = max_mismatch
        self._table: list[pd.DataFrame] = []

    def _get_train_sampler(self, dataset=None):
        sampler = super()._get_train_sampler(dataset)
        names = ("data_source", "mini_repeat_count", "batch_size", "repeat_count", "shuffle", "seed")
        return EpochSampler(**{name: getattr(sampler, name) for name in names})

    def create_scheduler(self, num_training_steps, optimizer=None):
        """The learning rate's course over `schedule_steps`, so that a short run repeats the beginning of a long one."""
        return super().create_scheduler(self.schedule_steps or num_training_steps, optimizer)

    def _generate_and_score_completions(self, inputs):
        """TRL's samples, rewards and advantages; then masks take the groups out that teach nothing."""
        batch = super()._generate_and_score_completions(inputs)
        if self.model.training:
            self._compare_numbers(batch)
            keep = self._kept(len(inputs))
            self._record(inputs, batch, keep)
            batch["completion_mask"] = batch["completion_mask"] * keep[:, None]
            batch["num_items_in_batch"] = self.accelerator.gather(batch["completion_mask"].sum()).sum()
        return batch

    def sample_with_vllm(self, prompts: list[list[int]], settings: SamplingSettings) -> list[list[int]]:
        """One completion (token ids) of every prompt with the weights of now, shared out over the processes; all must call it."""
        vllm, each = self.vllm_generation, math.ceil(len(prompts) / self.accelerator.num_processes)
        padded = prompts + prompts[-1:] * (each * self.accelerator.num_processes - len(prompts))
        first, before = self.accelerator.process_index * each, (vllm.temperature, vllm.max_completion_length)
        if self.state.global_step != self._last_loaded_step:
            vllm.sync_weights()
            self._last_loaded_step = self.state.global_step
        vllm.temperature, vllm.max_completion_length = settings.temperature, settings.max_tokens
        try:
            _, written, *_ = vllm.generate(prompts=padded[first : first + each], images=None, num_generations=1)
        finally:
            vllm.temperature, vllm.max_completion_length = before
        return from_all([list(tokens) for tokens in written])[: len(prompts)]

    def _kept(self, size: int) -> torch.Tensor:
        correct = [parts.partial if parts.correct is False else parts.correct for parts in self.rewards.parts]
        flags = informative(correct, self.num_generations) if self.filter_groups else [True] * size
        graded = [flag and right is not None for flag, right in zip(flags, correct, strict=True)]
        return torch.tensor(graded, device=self.accelerator.device)

    def _compare_numbers(self, batch: dict[str, Any]) -> None:
        """Before the first update, and after the first sleep cycle: do sampler and trainer agree about the same tokens?"""
        gap = mean(from_all([value for value in [mismatch(batch)] if value is not None]))
        if gap is None:
            if getattr(self, "use_vllm", False) and self.state.global_step == 0:
                print("Sampler and trainer are not compared: grpo.sampler.importance is off.")
            return
        self._metrics["train"]["mismatch"].append(gap)
        if self.state.global_step < 2 and gap > self.max_mismatch:
            raise NumericsError(
                f"the sampler's log-probabilities differ from the trainer's by {gap:.3f} per token before step "
                f"{self.state.global_step + 1} (about 0.05 is rounding): other weights, chat template or precision; check "
                "grpo.sampler (sleep: false first), or raise grpo.sampler.max_mismatch"
            )

    def _record(self, inputs, batch, keep: torch.Tensor) -> None:
        """Logs the components of the reward of all processes and remembers every completion for the rollouts file."""
        mine = pd.DataFrame([part.model_dump() for part in self.rewards.parts])
        mine["correct"] = mine["correct"].astype("boolean")  # missing where an answer could not be graded
        mine.insert(0, "step", step := self.state.global_step + 1)
        mine.insert(1, "id", [row.get("id") for row in inputs])
        mine = mine.assign(text=self.rewards.texts, advantage=batch["advantages"].tolist(), kept=keep.tolist())
        self._table += from_all([mine])
        for name, value in step_figures(from_all(self.rewards.parts), self.num_generations).items():
            self._metrics["train"][name].append(float("nan") if value is None else value)
        clipped = mean(from_all([ids[-1] not in self.rewards.eos for ids in _completions(batch)]))
        self._metrics["train"]["clipped"].append(clipped)
        failed = sum(part.correct is None for part in self.rewards.parts)
        self._metrics["train"]["grading_failed"].append(sum(from_all([failed])))
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
            write_table(path, table)
        self._table = []


def mismatch(batch: dict[str, Any]) -> float | None:
    """Mean |log-probability of the sampler - of the trainer| per completion token; None where the sampler gives none."""
    sampled, trained = batch.get("sampling_per_token_logps"), batch.get("old_per_token_logps")
    if sampled is None or trained is None:
        return None
    gap = ((sampled - trained).abs() * batch["completion_mask"]).sum() / batch["completion_mask"].sum().clamp(min=1)
    return float("inf") if gap.isnan() else gap.item()


def step_figures(parts: Sequence[RewardParts], group: int) -> dict[str, float | None]:
    """What a step's rewards look like: means of every component, shares of formats and groups, lengths by outcome.

    Accuracy, reward terms and groups count only completions that could be graded.
    """
    right = [part.n_tokens for part in parts if part.correct]
    wrong = [part.n_tokens for part in parts if part.correct is False]
    graded = [part for part in parts if part.correct is not None]
    groups = [{part.correct for part in parts[i : i + group]} - {None} for i in range(0, len(parts), group)]
    return {
        "accuracy": mean([part.correct for part in graded]),
        "total": mean([part.total for part in graded]),
        "accuracy_term": mean([part.accuracy_term for part in graded]),
        "length_term": mean([part.length_term for part in graded]),
        "repetition": mean([part.repetition for part in parts]),
        "bad_think": mean([part.format == "bad_think" for part in parts]),
        "no_end": mean([part.format == "no_end" for part in parts]),
        "tokens": mean([part.n_tokens for part in parts]),
        "tokens_right": mean(right),
        "tokens_wrong": mean(wrong),
        "groups_informative": mean([len(found) == 2 for found in groups]),
        "groups_all_right": mean([found == {True} for found in groups]),
        "groups_all_wrong": mean([found == {False} for found in groups]),
    }


def _completions(batch: dict[str, Any]) -> list[list[int]]:
    """Token ids of each completion without its padding."""
    lengths = batch["completion_mask"].sum(1).tolist()
    return [ids[:length] for ids, length in zip(batch["completion_ids"].tolist(), lengths, strict=True)]
