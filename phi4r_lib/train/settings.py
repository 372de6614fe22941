"""Settings of the training stages: the `sft` and `grpo` sections of a profile.

Units and origins stand as comments in notebooks/profiles/*.yaml. Light to import on purpose: no torch here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from phi4r_lib.train.reward import Precedence

Count = Field(ge=1)


class _Settings(BaseModel):
    """No unknown keys and no silent conversion, as everywhere in a profile."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SftSettings(_Settings):
    """Supervised fine-tuning. Lengths count tokens, steps count optimizer steps."""

    passes: float = Field(gt=0)
    learning_rate: float = Field(gt=0)
    batch_size: int = Count  # packed blocks per step, all processes together
    micro_batch: int | None = Field(default=None, ge=1)  # most blocks per forward pass; None: what fits the memory
    block: int = Count
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    schedule: Literal["cosine", "constant", "linear"] = "cosine"
    limit: int | None = Field(default=None, ge=1)  # most training rows; None takes all
    double_rope: bool = True  # report 3
    think_tokens: tuple[str, str] | None = None  # unused tokens to be renamed; None: Phi-4's two, else two are added
    think_init: Literal["mean", "keep"] = "mean"
    checkpointing: bool | Literal["selective"] = (
        False  # recompute activations to save memory; selective: all but products
    )
    attention: str = "auto"  # auto: packed_varlen on a GPU, sdpa on a CPU; or any name that transformers knows
    compile: bool = False  # compile the layers: half a minute once, then faster; GPU only
    eval_every: int = Count
    eval_problems: int = Count
    eval_samples: int = Field(default=1, ge=1)  # completions a validation problem
    eval_temperature: float = Field(default=0.8, ge=0)
    eval_max_tokens: int = Field(default=160, ge=1)


class GrpoSettings(_Settings):
    """Reinforcement learning with the length-aware reward. Lengths count completion tokens."""

    steps: int = Count
    prompts: int = Count  # prompts a step, all devices together
    group: int = Field(ge=2)  # completions a prompt
    micro_batches: int = Field(default=4, ge=1)  # forward passes a step: more of them need less memory
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(default=10, ge=0)
    schedule: Literal["cosine", "constant", "linear"] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0)
    beta: float = Field(ge=0)  # weight of the KL term to the model the training started from
    entropy: float = Field(ge=0)  # weight of the entropy bonus
    clip: float = Field(default=0.2, gt=0)
    clip_high: float | None = Field(default=None, gt=0)  # None: the same as clip
    loss: Literal["token", "sequence"] = "token"
    scale: Literal["group", "batch", "none"] = "group"  # advantages divided by this standard deviation
    filter_groups: bool = True  # drop groups whose completions are all right or all wrong
    fast: bool = True  # our sampler and shared prompts; false: TRL's own steps, slower, with the same gradients
    temperature: float = Field(gt=0)
    max_tokens: int = Count
    reward_context: int | None = Field(default=None, ge=1)  # l_max of the reward; None: max_tokens
    l_pos: int | None = Field(default=None, ge=0)  # None: scaled from the report
    l_neg: int | None = Field(default=None, ge=1)  # None: scaled from the report
    precedence: Precedence = "think_first"
    max_clipped: float = Field(default=0.5, gt=0, le=1)  # more truncated completions at the first step: stop
    checkpointing: bool = False
    vllm: bool = False  # sample with vLLM inside the training process (GPU)
    eval_every: int = Count
    eval_problems: int = Count
    eval_samples: int = Field(default=1, ge=1)
    eval_temperature: float = Field(default=0.8, ge=0)
    eval_max_tokens: int | None = Field(default=None, ge=1)  # None: max_tokens
