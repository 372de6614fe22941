"""TRL's SFTTrainer on packed blocks, as the settings and the machine want it: batch split, attention, precision.

Not here: rows, files, validation and the run itself (sft.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback

from phi4r_lib.models.fast.attention import float32_attention
from phi4r_lib.models.fast.on_gpu import bf16_activations, compile_layers
from phi4r_lib.models.fast.packed_attention import PACKED, attend_packed, can_attend_packed
from phi4r_lib.train.arguments import common_arguments, on_one_device, pass_arguments
from phi4r_lib.train.packing import BlockCollator
from phi4r_lib.train.session import training_device
from phi4r_lib.train.settings import SftSettings

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import SFTTrainer


def sft_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    blocks: Dataset,
    work: Path,
    settings: SftSettings,
    *,
    seed: int = 0,
    device: str = "auto",
    callbacks: Sequence[TrainerCallback] = (),
    **changes: Any,
) -> SFTTrainer:
    """A trainer of `model` on blocks from `packing.pack`; checkpoints go to work/checkpoints.

    `changes` are arguments of TRL's SFTConfig that replace ours. Raises ValueError when a step cannot be split over the
    processes or one block does not fit the memory.
    """
    from trl import SFTTrainer

    where = training_device(device)
    packed = prepare_attention(model, settings, where)
    if where == "cuda":
        bf16_activations(model)
    if settings.compile and where == "cuda":
        compile_layers(model)
    trainer = (SFTTrainer if where == "cuda" else _in_float32(SFTTrainer))(
        model=model,
        args=_arguments(model, work, settings, seed, where, changes),
        train_dataset=blocks,
        processing_class=tokenizer,
        data_collator=BlockCollator(tokenizer.pad_token_id, settings.block if settings.packed else None, starts=packed),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _in_float32(kind: type[SFTTrainer]) -> type[SFTTrainer]:
    """The trainer with its attention in float32, everything else in bf16 as before: what a CPU is faster with."""

    class Float32Attention(kind):
        def training_step(self, model, *args, **kwargs):  # backward as well: checkpointing computes layers again there
            with float32_attention(self.accelerator.unwrap_model(model)):
                return super().training_step(model, *args, **kwargs)

    return Float32Attention


def prepare_attention(model: PreTrainedModel, settings: SftSettings, device: str) -> bool:
    """Sets the attention that the settings name; whether it tells packed examples apart by their starts."""
    name = settings.attention
    if name == "auto":
        name = PACKED if device == "cuda" and can_attend_packed(model.config, settings.block) else None
    if name == PACKED:
        attend_packed(model)
    elif name:
        model.set_attn_implementation(name)
    return name == PACKED


def _arguments(model, work: Path, settings: SftSettings, seed: int, device: str, changes: dict[str, Any]):
    from trl import SFTConfig

    ours = dict(
        max_length=settings.block,
        gradient_checkpointing=bool(settings.checkpointing),
        gradient_checkpointing_kwargs={"selective": True} if settings.checkpointing == "selective" else None,
        dataset_kwargs={"skip_prepare_dataset": True},  # packed here, block by block (see packing.py)
        remove_unused_columns=False,
    )
    shared = common_arguments(settings, work, seed, device) | pass_arguments(model.config, settings, device, "sft")
    return on_one_device(SFTConfig(**shared | ours | changes))
