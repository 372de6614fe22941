"""Supervised fine-tuning on teacher traces: token surgery, RoPE doubling, packing, TRL's SFTTrainer.

The report's stage of 8.3B unique tokens (section 3) at any size. Loss on the assistant's turn only, through its
end-of-turn token; accuracy and length are sampled on validation problems along the way (the report's figure 4).
Which rows to train on is decided in `phi4r_lib.curate`; reinforcement learning is grpo.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from phi4r_lib.models.engine import Progress
from phi4r_lib.models.fast.on_gpu import steady_attention
from phi4r_lib.models.fitting import check_trainable
from phi4r_lib.models.thinking import add_think_tokens, double_rope_base
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers
from phi4r_lib.train.callbacks import Journal, JournalCallback, ValidationCallback, save_model, validation_sampling
from phi4r_lib.train.launch import in_group
from phi4r_lib.train.packing import IGNORE, encode_conversation, pack, unpacked
from phi4r_lib.train.ranks import on_first, whole_weights
from phi4r_lib.train.session import (
    Report,
    inputs_of,
    no_telemetry,
    open_session,
    read_rows,
    training_device,
    write_card,
)
from phi4r_lib.train.settings import SftSettings
from phi4r_lib.train.sft_trainer import sft_trainer
from phi4r_lib.train.stopping import train_heeding


@dataclass(frozen=True)
class SftReport(Report):
    """What a training run came to; tokens are counted once, `passes` over them follow the settings."""

    model: Path
    metrics: Path
    rows: int
    too_long: int  # rows dropped because they do not fit a block
    tokens: int
    target_tokens: int  # tokens with loss
    blocks: int
    fill: float  # share of the blocks' places that hold tokens (unpacked: of rows as long as the longest)
    steps: int
    seconds: float
    resumed: bool


def check_base(
    model_dir: Path | str, settings: SftSettings, system: str | None = None
) -> tuple[PretrainedConfig, PreTrainedTokenizerBase]:
    """The config (RoPE base doubled where the settings say so) and tokenizer of a base; no weights are loaded.

    Raises ValueError in one sentence that says what to set, for a base that cannot be trained as it is.
    """
    config = AutoConfig.from_pretrained(model_dir)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    check_trainable(tokenizer, config, system)
    if settings.double_rope:
        double_rope_base(config)
    add_think_tokens(None, AutoTokenizer.from_pretrained(model_dir), names=settings.think_tokens)
    return config, tokenizer


def prepare_model(
    model_dir: Path | str, settings: SftSettings, system: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a base model in float32 with think tokens, and longer where the settings say so; errors as `check_base`."""
    config, tokenizer = check_base(model_dir, settings, system)
    model = AutoModelForCausalLM.from_pretrained(model_dir, config=config, dtype="float32")
    add_think_tokens(model, tokenizer, init=settings.think_init, names=settings.think_tokens)
    tokenizer.model_max_length = config.max_position_embeddings
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


@in_group
def run_sft(
    model_dir: Path | str,
    files: Sequence[Path | str],
    out: Path | str,
    settings: SftSettings,
    *,
    validation: Sequence[Problem] = (),
    system: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    verifiers: Verifiers | None = None,
) -> SftReport:
    """Trains on conversations and writes out/model, out/metrics.jsonl; continues where a killed call stopped.

    A training that is finished is not repeated: its report is given again (see session.py). Until then it works in
    out/training, and whatever model lies in out/model stays.

    Args:
        model_dir: the base model, with a chat template; think tokens as `add_think_tokens` finds or makes them.
        files: JSONL files of rows with `messages` that end with the assistant's turn.
        validation: problems with gold answers, sampled every `eval_every` steps (the first `eval_problems`).
        system: message put before validation prompts and before rows that have none.
        progress: called with (steps done, steps in all).
        verifiers: who judges the validation answers, as in `problems.verify.verify`.

    Raises:
        ValueError: a row that cannot be trained on, with what to do.
    """
    no_telemetry()
    started, out = time.perf_counter(), Path(out)
    check_base(model_dir, settings, system)  # first: a base that cannot be trained leaves everything as it is
    session = on_first(
        lambda: open_session(out, settings, inputs_of(model_dir, files, validation, seed, system, verifiers))
    )
    if session.report:
        return _report(out, session.report)
    model, tokenizer = prepare_model(model_dir, settings, system)
    rows = read_rows([Path(file) for file in files], "messages")
    pairs, too_long = _encode(rows, tokenizer, settings, system, seed)
    longest, context = max(len(ids) for ids, _ in pairs), model.config.max_position_embeddings
    if longest > context:
        raise ValueError(
            f"a training row of {longest} tokens is longer than the model's context of {context}; lower sft.block to "
            f"{context}, and longer rows are left out"
        )
    blocks = pack(pairs, settings.block) if settings.packed else unpacked(pairs)
    journal = Journal(session.work / "metrics.jsonl")
    callbacks: list[Any] = [JournalCallback(journal, progress)]
    if validation:
        sampling = validation_sampling(settings, seed)
        problems = list(validation)[: settings.eval_problems]
        watch = (problems, sampling, settings.eval_every, system)
        callbacks.append(ValidationCallback(journal, tokenizer, *watch, verifiers=verifiers))
    trainer = sft_trainer(
        model, tokenizer, blocks, session.work, settings, seed=seed, device=device, callbacks=callbacks
    )
    with steady_attention(training_device(device)):
        train_heeding(trainer, session.checkpoint)
    tokens = sum(len(ids) for ids, _ in pairs)
    facts = {
        "rows": len(pairs),
        "too_long": too_long,
        "tokens": tokens,
        "target_tokens": sum(label != IGNORE for _, labels in pairs for label in labels),
        "blocks": len(blocks),
        "fill": tokens / (len(blocks) * (settings.block if settings.packed else longest)),
        "steps": trainer.state.global_step,
        "seconds": time.perf_counter() - started,
        "resumed": session.checkpoint is not None,
    }
    weights = whole_weights(trainer.model)

    def finish() -> None:
        folder = save_model(trainer.accelerator.unwrap_model(trainer.model), tokenizer, session.work / "model", weights)
        _card(folder, _report(out, facts), model_dir, settings, journal, [Path(file).name for file in files])
        session.finish(facts)

    on_first(finish)
    return _report(out, facts)


def _report(out: Path, facts: Mapping[str, Any]) -> SftReport:
    return SftReport(model=out / "model", metrics=out / "metrics.jsonl", **facts)


def _encode(rows, tokenizer, settings: SftSettings, system: str | None, seed: int):
    """(ids, labels) of each row in random order, and how many rows were too long for a block."""
    random.Random(seed).shuffle(rows)
    pairs = []
    for row in rows[: settings.limit]:
        messages = row["messages"]
        if system and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": system}, *messages]
        try:
            pairs.append(encode_conversation(messages, tokenizer))
        except ValueError as error:
            raise ValueError(f"training row {row.get('id', '?')}: {error}") from None
    fitting = [pair for pair in pairs if len(pair[0]) <= settings.block]
    if not fitting:
        raise ValueError(f"no training row fits a block of {settings.block} tokens; raise sft.block or add rows")
    return fitting, len(pairs) - len(fitting)


def _card(
    folder: Path, report: SftReport, model_dir, settings: SftSettings, journal: Journal, names: list[str]
) -> None:
    ids = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(["<think>", "</think>"])
    lines = [
        f"Supervised fine-tuning of `{Path(model_dir).name}` on {report.rows:,} teacher traces from {', '.join(names)}.",
        f"{report.tokens:,} tokens, {report.target_tokens:,} with loss (assistant turn through its end), "
        f"{report.steps} steps.",
        f"Think tokens `<think>` and `</think>` have the ids {ids[0]} and {ids[1]}; "
        + ("the RoPE base and the context are doubled." if settings.double_rope else "RoPE is left as it was."),
    ]
    rows = journal.rows("validation")
    if rows:
        last = rows[-1]
        lines.append(
            f"Validation after step {last['step']}: accuracy {last['accuracy']:.1%} on {settings.eval_problems} problems "
            f"(temperature {settings.eval_temperature}), {last['tokens']:.0f} tokens per completion. Used to watch training."
        )
    write_card(folder, "SFT model", Path(model_dir).name, lines, settings)
