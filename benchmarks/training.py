"""SFT tokens per second and seconds per GRPO step, ours beside TRL's trainers with their defaults, on the same rows in one run.

    python benchmarks/training.py [--full] [--only sft grpo]      (toy counts: one or two minutes on two cores)

Both sides train the shipped tiny teacher on the CPU with the threads torch has. TRL's side is `SFTTrainer(model, train_dataset)` and
`GRPOTrainer(model, reward, train_dataset)` with nothing set but the counts and lengths that the comparison needs. Tokens are those of the rows, padding
not counted. GRPO's reward is the recipe's on both sides, and no group is dropped. Then where our step's time goes. The first step of a
process is shown apart: kernels are made then. `--full` takes the counts of the profile cpu.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.utils import logging as transformers_logging

ROOT = Path(__file__).resolve().parents[1]
TOY = {"rows": 64, "prompts": 4, "steps": 3}
FULL = {"rows": 512, "prompts": 32, "steps": 4}
GROUP, TOKENS, BLOCK = 8, 128, 256


class Clock(TrainerCallback):
    """Seconds of every step."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_train_begin(self, *args, **kwargs):
        self.at.append(time.perf_counter())

    def on_step_end(self, *args, **kwargs):
        self.at.append(time.perf_counter())

    @property
    def steps(self) -> list[float]:
        return [b - a for a, b in itertools.pairwise(self.at)]


def student(folder: Path) -> Path:
    """The tiny teacher with think tokens, as notebook 03 leaves a model."""
    from phi4r_lib.train.callbacks import save_model
    from phi4r_lib.train.settings import SftSettings
    from phi4r_lib.train.sft import prepare_model

    settings = SftSettings(
        passes=1.0, learning_rate=1.0, batch_size=1, block=16, warmup_steps=0, weight_decay=0.0, eval_every=1, eval_problems=1
    )  # fmt: skip
    return save_model(*prepare_model(ROOT / "data/models/tiny-teacher", settings), folder / "start")


def conversations(count: int) -> list[dict[str, Any]]:
    """Rows of question and a thought of about the question's length."""
    from phi4r_lib.problems.schema import load_problems

    problems = load_problems(ROOT / "data/benchmarks/contest.jsonl")
    chosen = [problems[i % len(problems)] for i in range(count)]
    return [
        {
            "messages": [
                {"role": "user", "content": p.prompt},
                {"role": "assistant", "content": f"<think> {p.prompt} </think> \\boxed{{{p.answer}}}"},
            ]
        }
        for p in chosen
    ]


def sft_rates(start: Path, folder: Path, counts: dict[str, int]) -> dict[str, float]:
    """Tokens per second of one pass over the rows, ours and TRL's, the first step left out."""
    from trl import SFTConfig, SFTTrainer

    from phi4r_lib.train.packing import encode_conversation, pack
    from phi4r_lib.train.settings import SftSettings
    from phi4r_lib.train.sft_trainer import sft_trainer

    tokenizer = AutoTokenizer.from_pretrained(start)
    coded = [(row, encode_conversation(row["messages"], tokenizer)) for row in conversations(counts["rows"])]
    rows, pairs = zip(*((row, pair) for row, pair in coded if len(pair[0]) <= BLOCK), strict=True)  # a row fits a block
    tokens = sum(len(ids) for ids, _ in pairs)
    settings = SftSettings(
        passes=1.0, learning_rate=1e-4, batch_size=8, block=BLOCK, warmup_steps=0, weight_decay=0.0, eval_every=10_000,
        eval_problems=1,
    )  # fmt: skip
    found = {}
    for name in ("TRL, defaults", "ours"):
        clock, model = Clock(), AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
        if name == "ours":
            work = folder / "sft"
            trainer = sft_trainer(model, tokenizer, pack(pairs, BLOCK), work, settings, device="cpu", callbacks=[clock])
        else:
            arguments = SFTConfig(
                output_dir=str(folder / "trl"), num_train_epochs=1, report_to="none", disable_tqdm=True, use_cpu=True
            )
            trainer = SFTTrainer(
                model, args=arguments, train_dataset=Dataset.from_list(list(rows)), processing_class=tokenizer
            )
            trainer.add_callback(clock)
        trainer.train()
        found[name] = tokens * (1 - 1 / len(clock.steps)) / sum(clock.steps[1:])
    return found


def grpo_steps(start: Path, folder: Path, counts: dict[str, int]) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of every GRPO step, ours and TRL's, and the seconds of the parts of our later steps."""
    from phi4r_lib.problems.schema import load_problems
    from phi4r_lib.train.grpo import run_grpo
    from phi4r_lib.train.settings import GrpoSettings

    problems = load_problems(ROOT / "data/benchmarks/validation.jsonl")
    rows = [{"id": p.id, "prompt": [{"role": "user", "content": p.prompt}], "answer": p.answer} for p in problems]
    file = folder / "rl.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = GrpoSettings(
        steps=counts["steps"], prompts=counts["prompts"], group=GROUP, micro_batches=4, learning_rate=1e-6, beta=0.001,
        entropy=0.001, temperature=1.0, max_tokens=TOKENS, max_clipped=1.0, filter_groups=False, eval_every=10_000,
        eval_problems=2,
    )  # fmt: skip
    plain = _plain(start, folder, rows, problems, settings)
    times = [time.perf_counter()]
    with timed() as parts:

        def told(done: int, every: int) -> None:
            times.append(time.perf_counter())
            if done == 1:
                parts.clear()  # the first step makes kernels

        run_grpo(start, file, folder / "ours", settings, validation=problems[:2], progress=told, device="cpu")
    ours = [b - a for a, b in itertools.pairwise(times)]
    return {"TRL, defaults": plain, "ours": ours}, {name: value / (len(ours) - 1) for name, value in parts.items()}


def _plain(start: Path, folder: Path, rows, problems, settings) -> list[float]:
    from trl import GRPOConfig, GRPOTrainer

    from phi4r_lib.train.reward import reward_of
    from phi4r_lib.train.rollouts import RewardFunction

    tokenizer, clock = AutoTokenizer.from_pretrained(start, padding_side="left"), Clock()
    arguments = GRPOConfig(
        output_dir=str(folder / "trl-grpo"), max_steps=settings.steps, num_generations=GROUP, report_to="none",
        per_device_train_batch_size=settings.prompts * GROUP, max_completion_length=TOKENS, disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    placed = [row | {"place": place} for place, row in enumerate(rows)]
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32),
        reward_funcs=RewardFunction(reward_of(settings), [tokenizer.eos_token_id], problems),
        args=arguments,
        train_dataset=Dataset.from_list(placed),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.train()
    return clock.steps


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Within: seconds of the parts of our GRPO step, added up."""
    from accelerate import Accelerator

    from phi4r_lib.train.fast_rollouts import FastRolloutTrainer
    from phi4r_lib.train.rollouts import RewardFunction

    places = {
        "sampling": (FastRolloutTrainer, "_generate_single_turn"),
        "grading and reward": (RewardFunction, "__call__"),
        "reference model": (FastRolloutTrainer, "_with_reference"),
        "forward": (FastRolloutTrainer, "_compute_loss"),
        "backward": (Accelerator, "backward"),
    }
    spent: dict[str, float] = {}
    before = {name: getattr(*place) for name, place in places.items()}
    for name, (owner, method) in places.items():
        setattr(owner, method, _watched(before[name], name, spent))
    try:
        yield spent
    finally:
        for name, (owner, method) in places.items():
            setattr(owner, method, before[name])


def _watched(function: Callable, name: str, spent: dict[str, float]) -> Callable:
    def run(*args, **kwargs):
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - started

    return run


def shown(steps: Sequence[float]) -> str:
    """The first step apart, the median of the others."""
    return f"{statistics.median(steps[1:]):.2f} s per step (first one {steps[0]:.2f} s)"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--full", action="store_true", help="the counts of the profile cpu")
    options.add_argument("--only", nargs="+", choices=("sft", "grpo"), default=["sft", "grpo"])
    given = options.parse_args()
    counts = FULL if given.full else TOY
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # as a notebook's run sets them
        os.environ.setdefault(name, "16")
    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, counts {counts}")
    with tempfile.TemporaryDirectory() as scratch:
        start = student(Path(scratch))
        if "sft" in given.only:
            rates = sft_rates(start, Path(scratch), counts)
            for name, rate in rates.items():
                print(f"SFT, {name}: {rate:,.0f} tokens/s")
            print(f"SFT: ours is {rates['ours'] / rates['TRL, defaults']:.1f} times as fast")
        if "grpo" in given.only:
            steps, parts = grpo_steps(start, Path(scratch), counts)
            for name, seconds in steps.items():
                print(f"GRPO, {name}: {shown(seconds)}")
            later = {name: statistics.median(seconds[1:]) for name, seconds in steps.items()}
            print(f"GRPO: ours is {later['TRL, defaults'] / later['ours']:.1f} times as fast")
            rest = statistics.mean(steps["ours"][1:]) - sum(parts.values())
            told = {**parts, "optimizer, logs and the rest": max(rest, 0.0)}
            print("where our step goes: " + ", ".join(f"{name} {value:.2f} s" for name, value in told.items()))


if __name__ == "__main__":
    main()
