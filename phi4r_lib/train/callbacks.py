"""What happens beside the training steps: metrics on disk, validation by sampling, the best checkpoint, progress.

Not here: the training loops (sft.py, grpo.py) and evaluation with intervals (phi4r_lib.measure).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from phi4r_lib.models.engine import Progress, Sample, SamplingSettings, as_messages
from phi4r_lib.models.fast.on_gpu import bf16_twin
from phi4r_lib.models.thinking import one_pair, parse_thinking
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.rows import json_line, read_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.shares import wilson
from phi4r_lib.problems.verify import Verdict, Verifiers, right_share, verify_samples
from phi4r_lib.train.ranks import gathered, on_first, wait, whole_weights
from phi4r_lib.train.session import seal
from phi4r_lib.train.settings import DpoSettings, GrpoSettings, SftSettings


class Journal:
    """A JSONL file of metrics, one row per line with `kind` ("train" or "validation") and `step`."""

    def __init__(self, path: Path):
        self.path = path

    def rows(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All rows so far, oldest first, or those of one kind; a line torn by a kill is left out."""
        if not self.path.exists():
            return []
        return [row for _, row in read_rows(self.path, torn=True) if kind in (None, row["kind"])]

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Appends one row."""
        with self.path.open("ab") as file:
            file.write(json_line({"kind": kind, "step": step, **values}))


class JournalCallback(TrainerCallback):
    """Writes what the trainer logs to the journal, reports steps done, and seals each checkpoint once it is whole.

    TRL's dozens of "group/name" figures are left out, and its count of tokens, which starts anew when a training is
    continued. The last step gets no checkpoint: the finished model follows at once, and a trainer that is resumed there
    would train on.
    """

    def __init__(self, journal: Journal, progress: Progress | None = None):
        self.journal, self.progress = journal, progress

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "train_runtime" not in logs and state.is_world_process_zero:
            named = {key: value for key, value in logs.items() if "/" not in key and key != "num_tokens"}
            values = {key: value for key, value in named.items() if isinstance(value, (int, float))}
            self.journal.write("train", state.global_step, values)

    def on_step_end(self, args, state, control, **kwargs):
        if self.progress:
            self.progress(state.global_step, state.max_steps)
        if state.global_step >= state.max_steps:
            control.should_save = False

    def on_save(self, args, state, control, **kwargs):
        wait()  # every process has written its part
        if state.is_world_process_zero:
            best = best_folder(self.journal)
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", best.name if best.is_dir() else None)


def best_row(journal: Journal) -> dict[str, Any]:
    """The validation of the highest accuracy, the earliest one among equals; step -1 where there is none."""
    none = {"step": -1, "accuracy": -1.0}
    return max(journal.rows("validation"), key=lambda row: (row["accuracy"], -row["step"]), default=none)


def best_folder(journal: Journal) -> Path:
    """Where the model of `best_row` is kept while training."""
    return kept_folder(journal, best_row(journal)["step"])


def kept_folder(journal: Journal, step: int) -> Path:
    """Where the model of a step is kept while training: named by its step, so that it is never another one's."""
    return journal.path.with_name(f"best-{step:05d}")


class ValidationCallback(TrainerCallback):
    """Samples the validation problems before the first step, every `every` steps and at the end.

    With `keep` "best" the model of the highest accuracy so far is kept (see `best_folder`), which is how a checkpoint is
    chosen without touching the benchmark; with "last" that of the last step. `vllm`, where it is set, samples in place of the
    model: completions of prompts (token ids) by all processes together; it draws new random numbers at every look.
    """

    vllm: Callable[[list[list[int]], SamplingSettings], list[list[int]]] | None = None

    def __init__(
        self,
        journal: Journal,
        tokenizer: PreTrainedTokenizerBase,
        problems: Sequence[Problem],
        sampling: SamplingSettings,
        every: int,
        system: str | None = None,
        keep: Literal["best", "last"] | None = None,
        verifiers: Verifiers | None = None,
    ):
        self.journal, self.tokenizer, self.problems, self.sampling = journal, tokenizer, list(problems), sampling
        self.every, self.system, self.keep, self.verifiers = every, system, keep, verifiers

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if state.global_step == 0:
            self._validate(model, 0)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self._validate(model, state.global_step, state.global_step == state.max_steps)

    def _validate(self, model: PreTrainedModel, step: int, last: bool = False) -> None:
        weights = whole_weights(model)
        with_vllm = self._answers(self.vllm) if self.vllm else None
        sampler = gathered(model, weights) if with_vllm is None else model

        def work() -> None:
            if with_vllm is not None:
                values = figures(self.problems, with_vllm, self.verifiers)
            else:
                values = validate(sampler, self.tokenizer, self.problems, self.sampling, self.system, self.verifiers)
            better = values["accuracy"] > best_row(self.journal)["accuracy"]
            if (self.keep == "best" and better) or (self.keep == "last" and last):
                save_model(model, self.tokenizer, kept_folder(self.journal, step), weights)
            self.journal.write("validation", step, values)

        on_first(work)

    def _answers(self, vllm: Callable[[list[list[int]], SamplingSettings], list[list[int]]]) -> list[list[Sample]]:
        """Answers to the validation problems by the sampler of a training; every process must call it."""
        from phi4r_lib.models.engines.transformers_engine import end_of_turn, hidden_tokens, prompt_tokens

        n, eos = self.sampling.n, end_of_turn(None, self.tokenizer)
        hidden = hidden_tokens(self.tokenizer, eos)
        asked = [prompt_tokens(self.tokenizer, problem.prompt, self.system) for problem in self.problems]
        written = vllm([ids for ids in asked for _ in range(n)], self.sampling)
        samples = [
            Sample(
                text=one_pair(self.tokenizer.decode([token for token in tokens if token not in hidden])),
                tokens=len(tokens),
                truncated=not tokens or tokens[-1] not in eos,
                index=place % n,
            )
            for place, tokens in enumerate(written)
        ]
        return [samples[first : first + n] for first in range(0, len(samples), n)]


def validation_sampling(settings: SftSettings | DpoSettings | GrpoSettings, seed: int) -> SamplingSettings:
    """How validation problems are sampled while a model trains: one seed for every look; GRPO's limit is that of its rollouts."""
    return SamplingSettings(
        n=settings.eval_samples,
        temperature=settings.eval_temperature,
        max_tokens=settings.eval_max_tokens or settings.max_tokens,
        seed=seed,
    )


def validate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    problems: Sequence[Problem],
    sampling: SamplingSettings,
    system: str | None = None,
    verifiers: Verifiers | None = None,
) -> dict[str, float | None]:
    """Accuracy and lengths of a model on problems with gold answers, one seed for every call.

    Returns:
        accuracy (of the graded answers) with its interval over problems, low and high; valid (share with exactly one think block at the start) and truncated as
        fractions of 1; tokens, tokens_right, tokens_wrong as mean completion tokens (None where there are none);
        failed: answers that could not be graded. Raises ValueError where none could be.
    """
    from phi4r_lib.models.engines.transformers_engine import TransformersEngine

    training = model.training
    sampler = bf16_twin(model) if model.device.type == "cuda" and model.dtype == torch.float32 else model
    engine = TransformersEngine.from_model(sampler, tokenizer, name="validation")
    answers = engine.sample([as_messages(problem.prompt, system) for problem in problems], sampling)
    model.train(training)
    return figures(problems, answers, verifiers)


def figures(
    problems: Sequence[Problem], answers: Sequence[Sequence[Sample]], verifiers: Verifiers | None = None
) -> dict[str, float | None]:
    """The figures of `validate` for answers, equally many for every problem."""
    samples = [sample for group in answers for sample in group]
    asked = [problem for problem, group in zip(problems, answers, strict=True) for _ in group]
    verdicts = verify_samples(asked, samples, verifiers)
    return summarise(samples, verdicts) | interval_over_problems(verdicts, len(answers[0]))


def summarise(samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> dict[str, float | None]:
    """The figures of `validate` for samples with their verdicts."""
    accuracy, tokens = right_share(verdicts), {grade: [] for grade in Grade}
    if accuracy is None:
        raise ValueError(f"none of the {len(samples)} validation answers could be graded: {verdicts[0].reason}")
    for sample, verdict in zip(samples, verdicts, strict=True):
        tokens[verdict.grade].append(sample.tokens)
    return {
        "accuracy": accuracy,
        "tokens": mean([sample.tokens for sample in samples]),
        "tokens_right": mean(tokens[Grade.RIGHT]),
        "tokens_wrong": mean(tokens[Grade.WRONG]),
        "valid": mean([parse_thinking(sample.text).valid for sample in samples]),
        "truncated": mean([sample.truncated for sample in samples]),
        "failed": len(tokens[Grade.FAILED]),
    }


def interval_over_problems(verdicts: Sequence[Verdict], n: int) -> dict[str, float]:
    """`low` and `high` of the accuracy of `n` answers per problem, neighbours in `verdicts`: a 95% interval over problems.

    Answers to one problem are alike, so problems count and not answers: Wilson's interval with as many trials as would give
    the standard error over problems (a design effect; ours). Captures which problems were drawn and the sampling together.
    """
    groups = [
        [v.correct for v in verdicts[i : i + n] if v.grade is not Grade.FAILED] for i in range(0, len(verdicts), n)
    ]
    rates = [sum(group) / len(group) for group in groups if group]
    share, count = sum(rates) / len(rates), len(rates)
    spread = sum((rate - share) ** 2 for rate in rates) / max(count - 1, 1) / count
    trials = share * (1 - share) / spread if spread else count
    low, high = wilson(share * max(trials, 1), max(trials, 1))
    return {"low": low, "high": high}


def mean(values: Sequence[float]) -> float | None:
    """The mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: dict[str, torch.Tensor] | None = None,
) -> Path:
    """Writes model (safetensors; `weights` where its own are sharded) and tokenizer to a folder, whole or not at all."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, **{"state_dict": weights} if weights else {})
    tokenizer.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    return partial.replace(folder)
