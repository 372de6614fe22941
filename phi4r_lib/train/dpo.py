"""Rollout DPO: right completions become more likely than wrong ones of the same question, measured from the starting model.

The third stage of Phi-4-mini-reasoning (arXiv 2504.21233) at any size, on TRL's DPOTrainer. For a pair of completions with
log-probabilities p (policy) and q (the frozen starting model) the loss is -log sigmoid(beta ((p - q) of the right one - (p - q) of
the wrong one)) (Rafailov et al., arXiv 2305.18290). Loss on the completions only, through their end-of-turn token, as in SFT.
Not here: where pairs come from (pairs.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import DPOTrainer

from phi4r_lib.models.engine import Progress
from phi4r_lib.models.fast.on_gpu import bf16_activations, steady_attention
from phi4r_lib.models.fitting import check_trainable
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers
from phi4r_lib.train.arguments import common_arguments, on_one_device, pass_arguments
from phi4r_lib.train.callbacks import Journal, JournalCallback, ValidationCallback, save_model, validation_sampling
from phi4r_lib.train.launch import in_group
from phi4r_lib.train.packing import IGNORE, encode_conversation
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
from phi4r_lib.train.settings import DpoSettings
from phi4r_lib.train.stopping import train_heeding

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
    from trl import DPOConfig

# TRL's names of what a step shows, and ours in the journal
SHOWN = {
    "rewards/margins": "margin",  # beta times the difference of the log-ratios
    "rewards/accuracies": "preferred",  # share of pairs whose margin is positive
    "logps/chosen": "logp_right",  # log-probability of the right completion, nats, mean over pairs
    "logps/rejected": "logp_wrong",
}


@dataclass(frozen=True)
class DpoReport(Report):
    """What a training run came to."""

    model: Path
    metrics: Path
    pairs: int
    too_long: int  # pairs dropped because one of the two fits neither dpo.length nor the model's context
    steps: int
    seconds: float
    resumed: bool


@in_group
def run_dpo(
    model_dir: Path | str,
    pairs_file: Path | str,
    out: Path | str,
    settings: DpoSettings,
    *,
    validation: Sequence[Problem] = (),
    system: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    verifiers: Verifiers | None = None,
) -> DpoReport:
    """Trains on pairs and writes out/model, out/metrics.jsonl; continues where a killed call stopped.

    A training that is finished is not repeated: its report is given again (see session.py). Until then it works in
    out/training, and whatever model lies in out/model stays.

    Args:
        model_dir: the model that wrote the completions; frozen, it is also the reference.
        pairs_file: JSONL rows with `prompt`, `chosen` and `rejected` (messages), as `build_pairs` makes them.
        validation: problems with gold answers, sampled every `eval_every` steps (the first `eval_problems`).
        system: message put before validation prompts; the pairs bring their own.
        progress: called with (steps done, steps in all).
        verifiers: who judges the validation answers, as in `problems.verify.verify`.

    Raises:
        ValueError: no pairs, or a row that cannot be trained on, with what to do.
    """
    no_telemetry()
    started, out = time.perf_counter(), Path(out)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    config = AutoConfig.from_pretrained(model_dir)
    check_trainable(tokenizer, config, system)
    context = getattr(config, "max_position_embeddings", settings.length)
    pairs, too_long = encode_pairs(Path(pairs_file), tokenizer, min(settings.length, context))
    inputs = inputs_of(model_dir, [pairs_file], validation, seed, system, verifiers)
    session = on_first(lambda: open_session(out, settings, inputs))
    if session.report:
        return _report(out, session.report)
    model, reference = (AutoModelForCausalLM.from_pretrained(model_dir, dtype="float32") for _ in range(2))
    journal = Journal(session.work / "metrics.jsonl")
    callbacks: list[TrainerCallback] = [JournalCallback(journal, progress)]
    if validation:
        watch = validation_sampling(settings, seed), settings.eval_every, system
        problems = list(validation)[: settings.eval_problems]
        callbacks.append(ValidationCallback(journal, tokenizer, problems, *watch, verifiers=verifiers))
    trainer = dpo_trainer(
        model, reference, tokenizer, pairs, session.work, settings, seed=seed, device=device, callbacks=callbacks
    )
    with steady_attention(training_device(device)):
        train_heeding(trainer, session.checkpoint)
    facts = {
        "pairs": len(pairs),
        "too_long": too_long,
        "steps": trainer.state.global_step,
        "seconds": time.perf_counter() - started,
        "resumed": session.checkpoint is not None,
    }
    weights = whole_weights(trainer.model)

    def finish() -> None:
        whole = trainer.accelerator.unwrap_model(trainer.model)
        folder = save_model(whole, tokenizer, session.work / "model", weights)
        _card(folder, model_dir, settings, journal, facts)
        session.finish(facts)

    on_first(finish)
    return _report(out, facts)


def encode_pairs(file: Path, tokenizer: PreTrainedTokenizerBase, length: int) -> tuple[Dataset, int]:
    """Token ids of every pair (prompt_ids, chosen_ids, rejected_ids), and how many were longer than `length` tokens.

    A completion ends with its end-of-turn token and nothing after it. Raises ValueError naming file and row.
    """
    rows = read_rows([file], "chosen")
    if not rows:
        raise ValueError(
            f"{file} holds no pairs: a pair needs a question with right and wrong completions; take more "
            "samples per question, or questions nearer to the edge of the model's ability"
        )
    encoded = [_encode(row, file, tokenizer) for row in rows]
    fitting = [pair for pair in encoded if _longest(pair) <= length]
    if not fitting:
        least = min(map(_longest, encoded))
        raise ValueError(
            f"{file}: no pair fits {length} tokens (dpo.length, or the model's context): the shortest has {least}"
        )
    return Dataset.from_list(fitting), len(rows) - len(fitting)


def _encode(row: Mapping[str, Any], file: Path, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    pair: dict[str, list[int]] = {}
    for name in ("chosen", "rejected"):
        try:
            ids, labels = encode_conversation([*row["prompt"], *row[name]], tokenizer)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file}, row {row.get('id', '?')}: a pair needs {error} as a list of messages") from None
        except ValueError as error:
            raise ValueError(f"{file}, row {row.get('id', '?')}, {name}: {error}") from None
        start = labels.count(IGNORE)
        pair |= {"prompt_ids": ids[:start], f"{name}_ids": ids[start:]}
    return pair


def _longest(pair: Mapping[str, Sequence[int]]) -> int:
    return len(pair["prompt_ids"]) + max(len(pair["chosen_ids"]), len(pair["rejected_ids"]))


class PairTrainer(DPOTrainer):
    """TRL's trainer on pairs that are encoded already, with its figures under names that the journal keeps."""

    def _prepare_dataset(self, dataset, processing_class, args, dataset_name):
        return dataset

    def log(self, logs, start_time=None):
        figures = self._metrics["train" if self.model.training else "eval"]
        ours = {
            name: sum(figures[theirs]) / len(figures[theirs]) for theirs, name in SHOWN.items() if theirs in figures
        }
        super().log(logs | ours, start_time)


def dpo_trainer(
    model: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Dataset,
    work: Path | str,
    settings: DpoSettings,
    *,
    seed: int = 0,
    device: str = "auto",
    callbacks: Sequence[TrainerCallback] = (),
    **changes: Any,
) -> PairTrainer:
    """A trainer of `model` against the frozen `reference` on pairs from `encode_pairs`; checkpoints go to work/checkpoints.

    `changes` are arguments of TRL's DPOConfig that replace ours. Raises ValueError when a step cannot be split over the
    processes or one pair does not fit the memory.
    """
    where = training_device(device)
    if where == "cuda":
        bf16_activations(model)
        bf16_activations(reference)
    trainer = PairTrainer(
        model=model,
        ref_model=reference,
        args=_arguments(model, work, settings, seed, where, changes),
        train_dataset=pairs,
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(
    model, work: Path | str, settings: DpoSettings, seed: int, device: str, changes: dict[str, Any]
) -> DPOConfig:
    from trl import DPOConfig

    ours = dict(
        beta=settings.beta,
        max_length=None,  # nothing is cut off: longer pairs were left out
        gradient_checkpointing=settings.checkpointing,
    )
    shared = common_arguments(settings, work, seed, device) | pass_arguments(model.config, settings, device, "dpo")
    return on_one_device(DPOConfig(**shared | ours | changes))


def _report(out: Path, facts: Mapping[str, Any]) -> DpoReport:
    return DpoReport(model=out / "model", metrics=out / "metrics.jsonl", **facts)


def _card(folder: Path, model_dir, settings: DpoSettings, journal: Journal, facts: Mapping[str, Any]) -> None:
    lines = [
        f"Rollout DPO from `{Path(model_dir).name}`: {facts['pairs']} pairs of its own right and wrong completions."
    ]
    checks = journal.rows("validation")
    if checks:
        lines.append(f"Accuracy on {settings.eval_problems} validation problems: {checks[-1]['accuracy']:.1%}.")
    write_card(folder, "DPO model", Path(model_dir).name, lines, settings)
