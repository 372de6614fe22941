"""Settings of the training stages: the `sft`, `grpo` and `dpo` sections of a profile.

Units and origins stand as comments in notebooks/profiles/*.yaml. Light to import on purpose: no torch here.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precedence = Literal["think_first", "end_first"]  # which format override of the reward wins where both apply
Count = Field(ge=1)
Length = Field(ge=16)  # tokens; no prompt, two think tags and an answer take fewer
# Both AdamW; the second keeps its two averages in one byte each (bitsandbytes; embeddings stay in four).
Optimizer = Literal["adamw", "adamw_8bit"]
# Where and how fast a training runs: no result depends on these beyond rounding, so that it can go on elsewhere.
PLACE = {"launch", "micro_batch", "micro_batches", "compile", "attention", "checkpointing", "report_to"}


class _Settings(BaseModel):
    """No unknown keys and no silent conversion, as everywhere in a profile."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LaunchSettings(_Settings):
    """Where training runs. Changes no result beyond rounding: batches are global and split over the processes."""

    processes: int | Literal["auto"] = "auto"  # per host; auto: one per GPU, one on a CPU
    hosts: int = Field(default=1, ge=1)
    sharding: Literal["ddp", "fsdp"] = "ddp"  # fsdp: weights, gradients and optimizer shared out (FSDP2)
    prefix: str | None = None  # what starts a command on every host; None: srun in a Slurm job
    address: str | None = None  # of the first host; None: this one
    port: int = Field(default=29_400, ge=1, le=65_535)


class _Training(_Settings):
    """A training that steps with an optimizer on one or more processes."""

    @model_validator(mode="after")
    def _whole_states(self) -> Self:
        if self.optimizer == "adamw_8bit" and self.launch.sharding == "fsdp":
            raise ValueError("optimizer adamw_8bit needs whole weights: with launch.sharding fsdp take adamw")
        return self


class SftSettings(_Training):
    """Supervised fine-tuning. Lengths count tokens, steps count optimizer steps."""

    passes: float = Field(gt=0)
    learning_rate: float = Field(gt=0)
    batch_size: int = Count  # packed blocks (or single examples) per step, all processes together
    packed: bool = (
        True  # several examples in one block; false: one example per row, each padded to the longest of its batch
    )
    micro_batch: int | None = Field(default=None, ge=1)  # most blocks per forward pass; None: what fits the memory
    block: int = Length
    warmup_steps: float = Field(ge=0)  # below 1: a share of all steps
    weight_decay: float = Field(ge=0)
    optimizer: Optimizer = "adamw"
    schedule: Literal["cosine", "constant", "linear"] = "cosine"
    limit: int | None = Field(default=None, ge=1)  # most training rows; None takes all
    double_rope: bool = True  # report 3
    rope_steps: int = Field(default=0, ge=0)  # steps on long rows in notebook 03's comparison of RoPE bases; 0: none
    rope_rows: int = Field(default=24, ge=2)  # long rows that it measures
    think_tokens: tuple[str, str] | None = None  # unused tokens to be renamed; None: Phi-4's two, else two are added
    think_init: Literal["mean", "keep"] = "mean"
    checkpointing: bool | Literal["selective"] = (
        False  # recompute activations to save memory; selective: all but products
    )
    attention: str = "auto"  # auto: packed_varlen on a GPU, sdpa on a CPU; or any name that transformers knows
    compile: bool = False  # compile the layers: half a minute once, then faster; GPU only
    launch: LaunchSettings = LaunchSettings()
    report_to: Literal["none", "trackio", "wandb", "mlflow", "tensorboard"] = "none"  # nothing leaves unasked
    eval_every: int = Count
    eval_problems: int = Count
    eval_samples: int = Field(default=1, ge=1)  # completions per validation problem
    eval_temperature: float = Field(default=0.8, ge=0)
    eval_max_tokens: int = Field(default=160, ge=1)


class DpoSettings(_Training):
    """Rollout DPO on right and wrong completions of one question. Lengths count tokens, steps count optimizer steps.

    The defaults are those of Phi-4-mini-reasoning's third stage (arXiv 2504.21233) where it names them; beta, batch and what
    follows are ours.
    """

    passes: float = Field(default=1.0, gt=0)
    learning_rate: float = Field(default=5e-7, gt=0)
    length: int = Field(default=16_384, ge=16)  # prompt and completion together; longer pairs are left out
    beta: float = Field(default=0.1, gt=0)  # how dear it is to move away from the starting model
    batch_size: int = Field(default=32, ge=1)  # pairs per step, all processes together
    micro_batch: int | None = Field(default=None, ge=1)  # most pairs per forward pass; None: what fits the memory
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    optimizer: Optimizer = "adamw"
    schedule: Literal["cosine", "constant", "linear"] = "cosine"
    checkpointing: bool = False
    launch: LaunchSettings = LaunchSettings()
    report_to: Literal["none", "trackio", "wandb", "mlflow", "tensorboard"] = "none"  # nothing leaves unasked
    eval_every: int = Field(default=50, ge=1)
    eval_problems: int = Field(default=60, ge=1)
    eval_samples: int = Field(default=1, ge=1)  # completions per validation problem
    eval_temperature: float = Field(default=0.8, ge=0)
    eval_max_tokens: int = Field(default=160, ge=1)


class SamplerSettings(_Settings):
    """vLLM as the sampler of GRPO (`grpo.vllm`). Lengths count tokens.

    The importance ratio corrects for what vLLM rounds differently. Over a whole completion it is a product: with 0.02 of spread
    per token it is below 0.01 at 31,744 tokens, so that long completions would teach nothing; per token it stays near 1.
    A server on other GPUs is started, for TRL 1.16, with `VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --weight-transfer-config
    '{"backend": "nccl"}' --logprobs-mode processed_logprobs --max-logprobs -1`.
    """

    server: str | None = None  # address of that server; None: vLLM works inside the training processes
    length: int | None = Field(
        default=None, ge=1
    )  # prompt and completion together; None: longest prompt + grpo.max_tokens
    memory: float = Field(default=0.3, gt=0, lt=1)  # share of a GPU's memory, weights included
    sleep: bool = False  # give the memory back while training; the numbers are checked after the first cycle
    tensor_parallel: int = Field(default=1, ge=1)  # GPUs per copy of the sampler
    importance: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask", "off"] = "token_truncate"
    importance_cap: float = Field(default=3.0, gt=0)
    max_mismatch: float = Field(
        default=0.2, gt=0
    )  # most mean |log-probability of sampler - trainer| of the first two steps


class GrpoSettings(_Training):
    """Reinforcement learning with the length-aware reward. Lengths count completion tokens."""

    steps: int = Count
    schedule_steps: int | None = Field(default=None, ge=1)  # steps that the learning rate's course spans; None: `steps`
    select: Literal["informative", "edge", "all"] = "informative"  # which candidates become prompts (train/prompts.py)
    take: int | None = Field(default=None, ge=1)  # most prompts that are selected; None: all that the rule allows
    edge_samples: int = Field(default=12, ge=1)  # most answers of the fine-tuned model per candidate
    prompts: int = Count  # prompts per step, all devices together
    group: int = Field(ge=2)  # completions per prompt
    micro_batches: int | None = Field(
        default=None, ge=1
    )  # most forward passes per step and process: more need less memory; None: as few as fit a GPU, four on a CPU
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(default=10, ge=0)
    schedule: Literal["cosine", "constant", "linear"] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0)
    optimizer: Optimizer = "adamw"
    beta: float = Field(ge=0)  # weight of the KL term to the model the training started from
    entropy: float = Field(ge=0)  # weight of the entropy bonus
    clip: float = Field(default=0.2, gt=0)
    clip_high: float | None = Field(default=None, gt=0)  # None: the same as clip
    loss: Literal["token", "sequence"] = "token"
    scale: Literal["group", "batch", "none"] = "group"  # advantages divided by this standard deviation
    filter_groups: bool = True  # drop groups whose completions are all right or all wrong
    reward: Literal["length", "sign"] = "length"  # sign: +1 right, -1 wrong and nothing else (arXiv 2504.21233)
    rebalance: float | None = Field(
        default=None, gt=0, le=1
    )  # stabilisers.py: groups up to this share right; None: off
    cool_to: float | None = Field(default=None, gt=0)  # the temperature falls to this in a straight line; None: off
    cool_share: float = Field(default=0.5, gt=0, le=1)  # over this share of the steps
    fast: bool = True  # our sampler and shared prompts; false: TRL's own steps, slower, with the same gradients
    temperature: float = Field(gt=0)
    max_tokens: int = Count
    lengths: Literal["scaled", "quantiles", "off"] = "scaled"  # where l_pos and l_neg come from (train/reward.py)
    right_quantile: float = Field(default=0.75, gt=0, lt=1)  # "quantiles": l_pos, of the right answers' lengths
    wrong_quantile: float = Field(default=0.5, gt=0, lt=1)  # "quantiles": l_neg, of the wrong answers' lengths
    reward_context: int | None = Field(default=None, ge=1)  # l_max of the reward; None: max_tokens
    l_pos: int | None = Field(default=None, ge=0)  # completion tokens; None: as `lengths` says
    l_neg: int | None = Field(default=None, ge=1)  # completion tokens; None: as `lengths` says
    precedence: Precedence = "think_first"
    arm_steps: int = Field(
        default=0, ge=0
    )  # steps of the short runs that notebook 04 compares with the long one; 0: none
    own_steps: int = Field(default=0, ge=0)  # steps with a reward function of the reader's own in notebook 04; 0: none
    max_clipped: float = Field(default=0.5, gt=0, le=1)  # more truncated completions at the first step: stop
    partial_credit: float = Field(default=0.0, ge=0, le=1)  # weight of a wrong answer's score from its verifier; 0: off
    checkpointing: bool = False
    launch: LaunchSettings = LaunchSettings()
    vllm: bool = False  # sample with vLLM (GPU)
    sampler: SamplerSettings = SamplerSettings()
    bias_corrected_kl: bool = True  # KL weighted by the policy ratio, as TRL does since 1.10; false: plain
    report_to: Literal["none", "trackio", "wandb", "mlflow", "tensorboard"] = "none"  # nothing leaves unasked
    eval_every: int = Count
    eval_problems: int = Count
    eval_samples: int = Field(default=1, ge=1)
    eval_temperature: float = Field(default=0.8, ge=0)
    eval_max_tokens: int | None = Field(default=None, ge=1)  # None: max_tokens
    keep: Literal["best", "last"] = "best"  # which checkpoint becomes the model: best on validation, or the last

    def passes(self, processes: int = 1) -> int:
        """Forward passes per step on each of so many processes: `micro_batches`, or fewer where a process has less to share out.

        Where nothing is set: four (ours), or what `memory.with_passes` found for a GPU. Our fast steps share a prompt within a pass,
        so a pass gets whole groups, or equal parts of one.
        """
        return max(count for count in self.splits(processes) if count <= (self.micro_batches or 4))

    def splits(self, processes: int = 1) -> list[int]:
        """Numbers of forward passes that a step can have on each of so many processes: all of one size, down to one completion.

        With `fast` passes hold whole groups, or equal parts of one.
        """
        mine = max(1, self.prompts // processes)
        if not self.fast:
            return _divisors(mine * self.group)
        return [*_divisors(mine), *(mine * parts for parts in _divisors(self.group)[1:])]

    def uneven(self, processes: int = 1) -> str | None:
        """Why the prompts of a step do not fall into whole groups on so many processes; None where they do.

        Groups are filtered within a process, so each process gets whole ones.
        """
        if processes > 1:
            whole = self.prompts % processes == 0
            return None if whole else f"grpo.prompts ({self.prompts}) must be a multiple of the processes ({processes})"
        if self.micro_batches in (None, self.passes()):
            return None
        return (
            f"grpo.prompts ({self.prompts}) must be a multiple of grpo.micro_batches ({self.micro_batches}), so that each "
            "forward pass gets whole groups; with grpo.fast: false the completions of a step must be"
        )


def _divisors(number: int) -> list[int]:
    return [count for count in range(1, number + 1) if number % count == 0]
