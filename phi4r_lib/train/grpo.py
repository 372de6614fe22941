"""GRPO on problems with checkable answers, rewarded by the length-aware reward; the checkpoint is chosen on validation.

The report's stage (section 4) at any size, on TRL's GRPOTrainer: token-level or per-sequence loss, KL to the model the
training started from (the report prints the old policy there; TRL and most frameworks use the frozen reference),
entropy bonus, groups filtered on accuracy. Not here: the step itself (rollouts.py), the reward's formula (reward.py).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PrinterCallback

from phi4r_lib.models.engine import Progress, as_messages
from phi4r_lib.models.fast.on_gpu import bf16_activations, halve_frozen, steady_attention
from phi4r_lib.models.fitting import check_trainable
from phi4r_lib.models.thinking import THINK_OPEN
from phi4r_lib.problems.schema import Problem, problem_of
from phi4r_lib.problems.verify import Verifiers
from phi4r_lib.train.arguments import grpo_arguments, longest_prompt
from phi4r_lib.train.batching import fit_grpo
from phi4r_lib.train.callbacks import (
    Journal,
    JournalCallback,
    ValidationCallback,
    best_row,
    kept_folder,
    validation_sampling,
)
from phi4r_lib.train.launch import in_group
from phi4r_lib.train.ranks import on_first, processes
from phi4r_lib.train.reward import reward_of
from phi4r_lib.train.session import (
    Report,
    Session,
    inputs_of,
    no_telemetry,
    open_session,
    read_rows,
    training_device,
    write_card,
)
from phi4r_lib.train.settings import GrpoSettings
from phi4r_lib.train.stopping import train_heeding

if TYPE_CHECKING:
    from phi4r_lib.train.rollouts import OwnReward


@dataclass(frozen=True)
class GrpoReport(Report):
    """What a training run came to; `chosen_step` is the checkpoint that became `model` (0 is the starting model)."""

    model: Path
    metrics: Path
    rollouts: list[Path]
    steps: int
    chosen_step: int
    seconds: float
    resumed: bool


@in_group
def run_grpo(
    model_dir: Path | str,
    rl_file: Path | str,
    out: Path | str,
    settings: GrpoSettings,
    *,
    validation: Sequence[Problem],
    system: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    verifiers: Verifiers | None = None,
    reward: OwnReward | None = None,
) -> GrpoReport:
    """Trains with GRPO and writes out/model, out/metrics.jsonl, out/rollouts-*.parquet; a killed call is continued.

    A training that is finished is not repeated: its report is given again (see session.py). Until then it works in
    out/training, and whatever model lies in out/model stays.

    Args:
        model_dir: the SFT model (with think tokens).
        rl_file: JSONL rows with `prompt` (messages), `answer` (proxy truth), `id`, and what else a Problem has.
        validation: problems with gold answers, sampled every `eval_every` steps (the first `eval_problems`); the
            checkpoint with the highest accuracy becomes the model. Never give the benchmark here.
        system: message put before validation prompts; the rows of `rl_file` bring their own.
        progress: called with (steps done, steps in all).
        verifiers: who judges which problem, as in `problems.verify.verify`.
        reward: a reward function of your own in TRL's form instead of the length-aware one: called with `completions` (lists
            of messages), `completion_ids` and the rows' columns (`answer`, `id`), it gives one number per completion. Its
            source is part of what the training is; it runs in one process only.

    Raises:
        ValueError: rows or settings that cannot be trained with, with what to do.
        ClippedError: most completions of the first step hit the length limit.
    """
    from phi4r_lib.train.rollouts import RewardFunction, source_of
    from phi4r_lib.train.stabilisers import reward_kind, trainer_kind

    no_telemetry()
    started, out = time.perf_counter(), Path(out)
    tokenizer = AutoTokenizer.from_pretrained(model_dir, padding_side="left")
    rows, asked = _rows(Path(rl_file), settings)
    _check(model_dir, tokenizer, validation, settings)
    inputs = inputs_of(model_dir, [rl_file], validation, seed, system, verifiers)
    inputs |= {"reward": source_of(reward)} if reward else {}
    session = on_first(lambda: open_session(out, settings, inputs))
    if session.report:
        return _report(out, session.report)
    read = [*rows, *({"prompt": as_messages(one.prompt, system)} for one in validation if settings.vllm)]
    where, prompt = training_device(device), longest_prompt(read, tokenizer)
    settings = fit_grpo(AutoConfig.from_pretrained(model_dir), settings, prompt, where)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype="float32")
    journal = Journal(session.work / "metrics.jsonl")
    sampling = validation_sampling(settings, seed)
    problems = list(validation)[: settings.eval_problems]
    every = settings.eval_every
    watch = ValidationCallback(journal, tokenizer, problems, sampling, every, system, settings.keep, verifiers)
    trainer = trainer_kind(settings)(
        model=model,
        args=grpo_arguments(session.work, settings, seed, where, prompt),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[JournalCallback(journal, progress), watch],
        rewards=(RewardFunction if reward else reward_kind(settings))(
            reward_of(settings), [tokenizer.eos_token_id], asked, verifiers, reward
        ),
        filter_groups=settings.filter_groups,
        max_clipped=settings.max_clipped,
        max_mismatch=settings.sampler.max_mismatch,
        out=session.work,
        schedule_steps=settings.schedule_steps,
    )
    trainer.remove_callback(PrinterCallback)
    watch.vllm = trainer.sample_with_vllm if settings.vllm else None
    if where == "cuda":  # both alike: the reference differs from the policy by what was learnt, not by rounding
        for one in filter(None, (model, trainer.ref_model)):
            bf16_activations(one)
        if trainer.ref_model is not None and settings.launch.sharding == "ddp":
            halve_frozen(trainer.ref_model)
    with steady_attention(where):
        train_heeding(trainer, session.checkpoint)
    trainer.write_rollouts()
    facts = {
        "steps": trainer.state.global_step,
        "chosen_step": _chosen(journal, settings)["step"],
        "seconds": time.perf_counter() - started,
        "resumed": session.checkpoint is not None,
    }
    on_first(lambda: _finish(session, model_dir, settings, journal, facts))
    return _report(out, facts)


def _finish(session: Session, model_dir, settings: GrpoSettings, journal: Journal, facts: dict[str, Any]) -> None:
    """The chosen checkpoint becomes the model."""
    model = session.work / "model"
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(kept_folder(journal, facts["chosen_step"]), model)
    _card(model, model_dir, settings, journal, facts["steps"])
    session.finish(facts)


def _chosen(journal: Journal, settings: GrpoSettings) -> dict[str, Any]:
    """The validation of the checkpoint that becomes the model."""
    return journal.rows("validation")[-1] if settings.keep == "last" else best_row(journal)


def _report(out: Path, facts: Mapping[str, Any]) -> GrpoReport:
    rollouts = sorted(out.glob("rollouts-*.parquet"))
    return GrpoReport(model=out / "model", metrics=out / "metrics.jsonl", rollouts=rollouts, **facts)


def _rows(rl_file: Path, settings: GrpoSettings) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The rows that TRL needs, and the problem of each for the verifiers; `place` leads from one to the other.

    Rows that `choose_prompts` did not take are left out.
    """
    full = [row for row in read_rows([rl_file], "prompt") if row.get("taken", True)]
    keys = ("id", "prompt", "answer")
    rows = [{key: row.get(key) for key in keys} | {"place": place} for place, row in enumerate(full)]
    unanswered = [row["id"] for row in rows if not row["answer"]]
    if unanswered:
        raise ValueError(
            f"{rl_file}: {len(unanswered)} rows without an answer to check against, first: {unanswered[0]}"
        )
    if len(rows) < settings.prompts:
        raise ValueError(
            f"{rl_file} has {len(rows)} prompts, a step takes {settings.prompts}; lower grpo.prompts or keep more "
            "problems in notebooks 01 and 02"
        )
    return rows, [problem_of(row) for row in full]


def _check(model_dir, tokenizer, validation: Sequence[Problem], settings: GrpoSettings) -> None:
    if THINK_OPEN not in tokenizer.get_vocab():
        raise ValueError("the model has no think tokens, so every completion would break the format; run notebook 03")
    if not validation:
        raise ValueError("GRPO needs validation problems to choose its checkpoint")
    if fault := settings.uneven(processes()):
        raise ValueError(fault)
    check_trainable(tokenizer, AutoConfig.from_pretrained(model_dir))


def _card(folder: Path, model_dir, settings: GrpoSettings, journal: Journal, steps: int) -> None:
    chosen = _chosen(journal, settings)
    looks = f"the best of {len(journal.rows('validation'))} looks, so an optimistic figure"
    why = "is the last one" if settings.keep == "last" else "was chosen"
    lines = [
        f"GRPO from `{Path(model_dir).name}`: {steps} steps of {settings.prompts} prompts x {settings.group} "
        "completions, length-aware reward.",
        f"The checkpoint of step {chosen['step']} {why}; accuracy {chosen['accuracy']:.1%} on {settings.eval_problems} "
        f"validation problems: {'no choice was made' if settings.keep == 'last' else looks}.",
    ]
    write_card(folder, "GRPO model", Path(model_dir).name, lines, settings)
