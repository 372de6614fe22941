"""What TRL's trainers are told alike: learning rate, precision, checkpoints, devices and processes.

Not here: what one trainer alone takes (sft_trainer.py, dpo.py, grpo_arguments.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from phi4r_lib.train.batching import rows_that_fit, split
from phi4r_lib.train.settings import DpoSettings, GrpoSettings, SftSettings

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
        **sharding(settings, device),
    )


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
    """Arguments for weights, gradients and optimizer shared out over the processes (FSDP2), with sharded checkpoints.

    Raises ValueError on a CPU, where accelerate knows replicas only.
    """
    if settings.launch.sharding == "ddp":
        return {}
    if device == "cpu":
        raise ValueError("launch.sharding: fsdp needs GPUs; on a CPU take ddp")
    return {"fsdp": True, "fsdp_config": {"version": 2, "state_dict_type": "SHARDED_STATE_DICT"}}
