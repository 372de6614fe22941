"""Settings of notebook 07: Phi-4-mini-reasoning's four stages on top of the recipe's `sft` and `grpo` sections.

The defaults are the published values (arXiv 2504.21233) where there are any. Stage 3 has a section of its own, `dpo`
(train/settings.py). Not here: the stages themselves (phi4r_lib.train), questions and tables
(four_stages.py).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from phi4r_lib.cookbook.settings.sections import Section
from phi4r_lib.train.settings import GrpoSettings, SftSettings

MOST = Field(default=None, ge=1)


class Settings(Section):
    """Counts and settings of the stages; lengths in tokens. What is not named here is as in `sft` and `grpo`."""

    control: int = Field(default=1_000, ge=1)  # longest traces, for the control
    control_passes: float = Field(default=5, gt=0)
    control_batch: int = Field(default=16, ge=1)  # examples per step
    mid_passes: float = Field(default=5, gt=0)
    mid_batch: int = Field(default=128, ge=1)  # packed blocks per step
    mid_block: int = Field(default=16_384, ge=16)
    mid_rate: float = Field(default=1e-5, gt=0)
    mid_warmup: float = Field(default=0.1, ge=0)  # below 1: share of the steps
    hard: int | None = MOST  # traces of the compact hard set; None: all of hard problems
    hard_passes: float = Field(default=5, gt=0)
    hard_batch: int = Field(default=128, ge=1)  # examples per step, nothing packed
    hard_length: int = Field(default=20_480, ge=16)
    hard_rate: float = Field(default=1e-5, gt=0)
    prompts: int | None = MOST  # questions that rollouts are sampled for, stages 3 and 4; None: all
    rollouts: int = Field(default=8, ge=2)  # completions per question
    pairs: int = Field(default=1, ge=1)  # most pairs per question
    rl_steps: int = Field(default=90, ge=1)
    rl_prompts: int = Field(default=64, ge=1)  # per step
    rl_group: int = Field(default=8, ge=2)  # completions per prompt
    rl_tokens: int = Field(default=25_600, ge=1)
    rl_rate: float = Field(default=5e-7, gt=0)
    uniform: float = Field(default=0.5, gt=0, le=1)  # share of prompts kept, those of most even lengths
    rebalance: float = Field(default=0.5, gt=0, le=1)  # groups with a larger share of right answers are dropped
    repeat: float = Field(default=0.25, ge=0, le=1)  # prompts with at most this share of right answers come twice
    cool_to: float = Field(default=0.6, gt=0)
    cool_share: float = Field(default=0.5, gt=0, le=1)  # of the steps
    arm_steps: int = Field(default=20, ge=1)  # steps of each short run that tries one stabiliser
    arm_seeds: int = Field(default=3, ge=2)  # short runs per stabiliser, each with a seed of its own
    problems: int | None = MOST  # benchmark problems per model; None: all
    runs: int = Field(default=50, ge=2)  # answers per problem and model
    plans: int | None = MOST  # planning problems per model; None: all
    plan_runs: int = Field(default=4, ge=1)  # answers per planning problem

    def control_stage(self, sft: SftSettings) -> SftSettings:
        """A few long traces, nothing packed."""
        change = {"passes": self.control_passes, "batch_size": self.control_batch, "packed": False}
        return _with(sft, change | {"learning_rate": self.mid_rate, "warmup_steps": self.mid_warmup})

    def mid_stage(self, sft: SftSettings) -> SftSettings:
        """Stage 1: packed."""
        change = {"passes": self.mid_passes, "batch_size": self.mid_batch, "block": self.mid_block}
        return _with(sft, change | {"learning_rate": self.mid_rate, "warmup_steps": self.mid_warmup})

    def hard_stage(self, sft: SftSettings) -> SftSettings:
        """Stage 2: one example per row; the context was doubled in stage 1."""
        change = {"passes": self.hard_passes, "batch_size": self.hard_batch, "block": self.hard_length, "packed": False}
        change |= {"learning_rate": self.hard_rate, "warmup_steps": self.mid_warmup}
        return _with(sft, change | {"double_rope": False})

    def rl_stage(self, grpo: GrpoSettings, **changes: Any) -> GrpoSettings:
        """Stage 4: +1 or -1, re-balanced and cooled; `changes` switch off what is to be measured."""
        change = {"steps": self.rl_steps, "prompts": self.rl_prompts, "group": self.rl_group, "lengths": "scaled"}
        change |= {"max_tokens": self.rl_tokens, "learning_rate": self.rl_rate, "reward": "sign"}
        change |= {"rebalance": self.rebalance, "cool_to": self.cool_to, "cool_share": self.cool_share}
        return _with(grpo, change | changes)


def _with(settings: Any, changes: dict[str, Any]) -> Any:
    """A validated copy: the settings' own limits hold for what changes."""
    return type(settings).model_validate(settings.model_dump() | changes)
