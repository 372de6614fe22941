"""Our GRPO settings as TRL's arguments: batch split, loss, and vLLM set up for long completions.

Not here: the trainer (rollouts.py) and the run (grpo.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedTokenizerBase

from phi4r_lib.train.arguments import common_arguments
from phi4r_lib.train.ranks import processes
from phi4r_lib.train.settings import GrpoSettings

if TYPE_CHECKING:
    from trl import GRPOConfig


def grpo_arguments(
    work: Path, settings: GrpoSettings, seed: int, device: str, prompt: int, **changes: Any
) -> GRPOConfig:
    """TRL's arguments; `prompt` is the longest prompt in tokens, `changes` replace ours."""
    from trl import GRPOConfig

    ours = dict(
        max_steps=settings.steps,
        per_device_train_batch_size=settings.prompts * settings.group // settings.micro_batches // processes(),
        gradient_accumulation_steps=settings.micro_batches,
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
    return GRPOConfig(**shared | ours | sampler_arguments(settings, prompt) | changes)


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
        "vllm_max_model_length": ours.length or prompt + settings.max_tokens,
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
