"""What kept Phi-4-mini-reasoning's reinforcement learning steady (arXiv 2504.21233): each a switch of its own in the settings.

Prompts whose answers are of like length (`screen_prompts`); re-balancing: hard prompts more often and none that is mostly right
(`screen_prompts`), all right answers and as many wrong ones of a group (`grpo.rebalance`); a temperature that falls over the first half (`grpo.cool_to`). With them
the plainest reward, +1 or -1 (`grpo.reward: sign`). Not here: the step itself (rollouts.py), the length-aware reward (reward.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from phi4r_lib.models.engine import Sample
from phi4r_lib.problems.schema import problem_of
from phi4r_lib.problems.verify import Verifiers, right_share, verify_samples
from phi4r_lib.train.fast_rollouts import FastRolloutTrainer
from phi4r_lib.train.rollouts import RewardFunction, RolloutTrainer
from phi4r_lib.train.settings import GrpoSettings


def screen_prompts(
    prompts: Sequence[Mapping[str, Any]],
    samples: Sequence[Sequence[Sample]],
    *,
    uniform: float | None = None,
    hard: float | None = None,
    most: float | None = None,
    verifiers: Verifiers | None = None,
) -> list[dict[str, Any]]:
    """The prompts that can teach, by what the model of today answers: those with right and wrong answers.

    Args:
        prompts: rows of rl.jsonl.
        samples: completions of each prompt, in the same order.
        uniform: keep this share of them, those whose lengths spread least; None keeps all.
        hard: prompts with at most this share of right answers appear twice; None: nobody does.
        most: prompts with a larger share of right answers are left out, before anything else; re-balancing would drop nearly all
            of their groups, and a step of such prompts only would have nothing to train on. None keeps them.
        verifiers: who judges, as in `problems.verify.verify`.

    Returns:
        The rows with `pass_rate` (right share) and `length_spread` (standard deviation of the tokens over their mean).
    """
    rows = []
    for prompt, group in zip(prompts, samples, strict=True):
        rate = right_share(verify_samples([problem_of(prompt)] * len(group), group, verifiers))
        if rate is not None and 0 < rate < 1 and (most is None or rate <= most):
            lengths = np.array([sample.tokens for sample in group], float)
            spread = float(lengths.std() / max(lengths.mean(), 1.0))
            rows.append(dict(prompt) | {"pass_rate": rate, "length_spread": spread})
    if uniform is not None:
        limit = sorted(row["length_spread"] for row in rows)[: max(1, round(uniform * len(rows)))]
        rows = [row for row in rows if limit and row["length_spread"] <= limit[-1]]
    return [row for row in rows for _ in range(2 if hard is not None and row["pass_rate"] <= hard else 1)]


def steadiness(rollouts: pd.DataFrame, group: int) -> dict[str, float]:
    """What the stabilisers are for, measured on a run's rollouts, means over groups (ours).

    `spread` (standard deviation of the tokens of a group over their mean), `informative` (share of groups with right and wrong
    answers), `used` (share of completions that trained), `accuracy`.
    """
    groups = rollouts.groupby(np.arange(len(rollouts)) // group)
    rate = groups["correct"].mean().astype(float)
    found = {
        "spread": groups["n_tokens"].std(ddof=0) / groups["n_tokens"].mean(),
        "informative": ((rate > 0) & (rate < 1)).astype(float),
        "used": groups["kept"].mean(),
        "accuracy": rate,
    }
    return {name: float(values.mean()) for name, values in found.items()}


def rebalanced(correct: Sequence[bool | None], group: int, threshold: float, rng: np.random.Generator) -> list[bool]:
    """Whether each completion stays: all right ones of a group and as many random wrong ones.

    A group goes whole where more than `threshold` of it is right. Advantages are those of the whole group, from before.
    """
    flags = [False] * len(correct)
    for start in range(0, len(correct), group):
        places = range(start, min(start + group, len(correct)))
        right = [place for place in places if correct[place]]
        wrong = [place for place in places if correct[place] is False]
        if right and len(right) <= threshold * (len(right) + len(wrong)):
            stay = rng.permutation(wrong)[: len(right)].tolist()
            flags = [flag or place in right or place in stay for place, flag in enumerate(flags)]
    return flags


def cooled(step: int, settings: GrpoSettings) -> float:
    """The sampling temperature of a step (from 0): down to `cool_to` in a straight line over `cool_share` of the steps."""
    if settings.cool_to is None:
        return settings.temperature
    share = min(1.0, step / max(1.0, settings.cool_share * settings.steps))
    return settings.temperature + share * (settings.cool_to - settings.temperature)


class SignReward(RewardFunction):
    """+1 for a right answer and -1 for a wrong one, whatever its length and form; the parts of the other reward are still noted."""

    def __call__(self, *args, **kwargs) -> list[float | None]:
        super().__call__(*args, **kwargs)
        totals = [None if part.correct is None else 1.0 if part.correct else -1.0 for part in self.parts]
        self.parts = [part.model_copy(update={"total": t}) for part, t in zip(self.parts, totals, strict=True)]
        return totals


class Steady:
    """What a trainer of rollouts does differently with `grpo.rebalance` and `grpo.cool_to`."""

    def __init__(self, *args, settings: GrpoSettings, **kwargs):
        super().__init__(*args, **kwargs)
        self.wanted = settings

    def _generate_and_score_completions(self, inputs):
        if self.model.training:
            self.temperature = cooled(self.state.global_step, self.wanted)
            # TRL makes only one of the two
            (self.vllm_generation if self.use_vllm else self.generation_config).temperature = self.temperature
        return super()._generate_and_score_completions(inputs)

    def _kept(self, size: int) -> torch.Tensor:
        keep = super()._kept(size)
        if self.wanted.rebalance is not None:
            rng = np.random.default_rng([self.args.seed, self.state.global_step, self.accelerator.process_index])
            correct = [part.correct for part in self.rewards.parts]
            keep &= torch.tensor(rebalanced(correct, self.num_generations, self.wanted.rebalance, rng)).to(keep.device)
        return keep

    def _get_per_token_logps_and_entropies(self, model, *args, **kwargs):
        """Of the distribution that was sampled from: TRL's head divides by the temperature of the first step only."""
        with sharpened(self.accelerator.unwrap_model(model), self.wanted.temperature / self.temperature):
            return super()._get_per_token_logps_and_entropies(model, *args, **kwargs)


@contextmanager
def sharpened(model: PreTrainedModel, factor: float) -> Iterator[None]:
    """The model with all its logits times `factor`."""

    def scale(module, given, output):
        output.last_hidden_state = output.last_hidden_state * factor
        return output

    handle = model.base_model.register_forward_hook(scale)
    try:
        yield
    finally:
        handle.remove()


class _SteadyFast(Steady, FastRolloutTrainer):
    pass


class _SteadyPlain(Steady, RolloutTrainer):
    pass


def trainer_kind(settings: GrpoSettings) -> Callable[..., RolloutTrainer]:
    """The trainer that the settings ask for, to be called with its arguments."""
    if settings.rebalance is None and settings.cool_to is None:
        return FastRolloutTrainer if settings.fast else RolloutTrainer
    return functools.partial(_SteadyFast if settings.fast else _SteadyPlain, settings=settings)


def reward_kind(settings: GrpoSettings) -> type[RewardFunction]:
    """The reward that the settings ask for."""
    return SignReward if settings.reward == "sign" else RewardFunction
