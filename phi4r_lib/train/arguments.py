"""Our settings as TRL's arguments: what its trainers are told alike, then GRPO's batch split, loss and vLLM for long completions.

Not here: what SFT and DPO alone take (sft_trainer.py, dpo.py), and the runs themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from transformers import PretrainedConfig, PreTrainedTokenizerBase, TrainingArguments

from phi4r_lib.train.batching import rows_that_fit, split
from phi4r_lib.train.ranks import processes
from phi4r_lib.train.settings import DpoSettings, GrpoSettings, SftSettings

if TYPE_CHECKING:
    from trl import GRPOConfig

T = TypeVar("T", bound=TrainingArguments)
WAIT = 7200  # seconds that processes wait for one that validates or writes


def common_arguments(
    settings: SftSettings | DpoSettings | GrpoSettings, work: Path | str, seed: int, device: str
) -> dict[str, Any]:
    """Arguments of TRL's configurations that mean the same for every training; checkpoints go to work/checkpoints."""
    return dict(
        output_dir=str(Path(work) / "checkpoints"),
        learning_rate=settings.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(settings.schedule, settings.schedule),
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        bf16=True,  # autocast: weights and optimizer stay in float32
        logging_steps=1,
        save_steps=settings.eval_every,
        seed=seed,
        ddp_timeout=WAIT,
        use_cpu=device == "cpu",
        dataloader_pin_memory=False,
        report_to=settings.report_to,
        disable_tqdm=True,
        **({"optim": settings.optimizer} if settings.optimizer != "adamw" else {}),
        **sharding(settings, device),
    )


def on_one_device(arguments: T) -> T:
    """TRL's arguments for a process that sees several GPUs and uses the first: otherwise its trainers refuse to begin."""
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def pass_arguments(
    config: PretrainedConfig, settings: SftSettings | DpoSettings, device: str, section: str
) -> dict[str, Any]:
    """Arguments for passes over rows, a step split over processes and forward passes by memory; errors as `split`."""
    fit = settings.micro_batch or rows_that_fit(config, settings, device)
    parts = split(settings.batch_size, fit, f"{section}.batch_size")
    return {
        "num_train_epochs": settings.passes,
        "per_device_train_batch_size": parts.rows,
        "gradient_accumulation_steps": parts.passes,
    }


def sharding(settings: SftSettings | GrpoSettings | DpoSettings, device: str) -> dict[str, Any]:
    """Arguments for weights, gradients and optimizer shared out over the processes (FSDP2), with sharded checkpoints."""
    if settings.launch.sharding == "ddp":
        return {}
    if device == "cpu":
        from phi4r_lib.train.gloo_shards import allow

        allow()
    return {"fsdp": True, "fsdp_config": {"version": 2, "state_dict_type": "SHARDED_STATE_DICT"}}


def grpo_arguments(
    work: Path, settings: GrpoSettings, seed: int, device: str, prompt: int, **changes: Any
) -> GRPOConfig:
    """TRL's arguments; `prompt` is the longest prompt in tokens, `changes` replace ours."""
    from trl import GRPOConfig

    passes = settings.passes(processes())
    ours = dict(
        max_steps=settings.steps,
        per_device_train_batch_size=settings.prompts * settings.group // passes // processes(),
        gradient_accumulation_steps=passes,
        num_generations=settings.group,
        max_completion_length=settings.max_tokens,
        temperature=settings.temperature,
        top_k=0,
        top_p=1.0,
        beta=settings.beta,
        use_bias_correction_kl=settings.bias_corrected_kl,
        entropy_coef=settings.entropy,
        epsilon=settings.clip,
        epsilon_high=settings.clip_high,
        loss_type={"token": "dapo", "sequence": "grpo"}[settings.loss],
        scale_rewards=settings.scale,
        gradient_checkpointing=settings.checkpointing,
    )
    shared = common_arguments(settings, work, seed, device)
    return on_one_device(GRPOConfig(**shared | ours | sampler_arguments(settings, prompt) | changes))


def sampler_arguments(settings: GrpoSettings, prompt: int) -> dict[str, Any]:
    """vLLM's share of the arguments; nothing of it where vLLM does not sample.

    TRL's defaults are for short completions: room for the model's whole context, and one importance ratio for a whole completion, a
    product that vanishes over thousands of tokens (see `SamplerSettings`).
    """
    if not settings.vllm:
        return {"use_vllm": False}
    ours = settings.sampler
    place = {"vllm_mode": "server", "vllm_server_base_url": ours.server} if ours.server else {"vllm_mode": "colocate"}
    ratio = {"vllm_importance_sampling_mode": ours.importance} if ours.importance != "off" else {}
    return {
        "use_vllm": True,
        **place,
        "vllm_max_model_length": ours.length or prompt + max(settings.max_tokens, settings.eval_max_tokens or 0),
        "vllm_gpu_memory_utilization": ours.memory,
        "vllm_enable_sleep_mode": ours.sleep,
        "vllm_tensor_parallel_size": ours.tensor_parallel,
        "vllm_importance_sampling_correction": ours.importance != "off",
        "vllm_importance_sampling_clip_max": ours.importance_cap,
        **ratio,
    }


def longest_prompt(rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the longest prompt through the chat template."""
    texts = [tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True) for row in rows]
    return max(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])
