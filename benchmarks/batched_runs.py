"""How much faster are many runs in one batched call than one pass after another?

    python benchmarks/batched_runs.py [--runs 50] [--problems 30] [--passes 2] [--model data/models/tiny-teacher] [--temperature 0.8]

One run is one pass over the problems; thirty is the size of one contest year. The batched call reads a prompt once, and what several
answers of it have in common so far, so what it saves grows with how sure the model is of its text. Three ways to make a pass, and one to make all:
`generate` of transformers with the usual batch of 8 (`--batch`), `generate` with the whole benchmark as one batch, our engine called
once per pass, and our engine called once for all runs, as measure/evaluate.py does it. Single passes cost the same every time, so only a
few are timed. Everything runs in one process, the ways take turns, and rates are completion tokens per second of CPU time and of wall
time: on a busy machine only the first can be compared. Prints the rates and the ratios to the batched call; nothing is stored.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from phi4r_lib.cookbook.settings.profile import home
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.models.engines.transformers_engine import TransformersEngine, prompt_tokens
from phi4r_lib.problems.schema import load_problems


def with_generate(engine: TransformersEngine, prompts: list[str], settings: SamplingSettings, batch: int) -> int:
    """One pass with `generate` and the same sampling settings, batches in the order of the problems; completion tokens."""
    options = settings.model_dump(include={"temperature", "top_p", "top_k"}) | {"max_new_tokens": settings.max_tokens}
    ids, total = [prompt_tokens(engine.tokenizer, prompt, None) for prompt in prompts], 0
    for start in range(0, len(ids), batch):
        padded = engine.tokenizer.pad(
            {"input_ids": ids[start : start + batch]}, padding_side="left", return_tensors="pt"
        )
        with torch.inference_mode():
            out = engine.model.generate(**padded, do_sample=True, **options)[:, padded["input_ids"].shape[1] :]
        ended = torch.isin(out, torch.tensor(engine.eos))
        total += int(torch.where(ended.any(1), ended.int().argmax(1) + 1, out.shape[1]).sum())
    return total


def with_engine(engine: TransformersEngine, prompts: list[str], settings: SamplingSettings) -> int:
    """settings.n runs in one call of our engine; completion tokens."""
    return sum(sample.tokens for samples in engine.sample(prompts, settings) for sample in samples)


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """(completion tokens, CPU seconds, wall seconds) of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    tokens = work()
    return tokens, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Times the ways in turn and prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=50)
    options.add_argument("--problems", type=int, default=30)
    options.add_argument("--passes", type=int, default=2, help="timed passes of each one-pass way")
    options.add_argument("--batch", type=int, default=8, help="batch of the usual loop with generate")
    options.add_argument("--model", default="data/models/tiny-teacher")
    options.add_argument("--temperature", type=float, default=0.8)
    options.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    args = options.parse_args()
    problems = load_problems(home() / "data" / "benchmarks" / "contest.jsonl")
    prompts = [problem.prompt for problem in problems[:: max(1, len(problems) // args.problems)]][: args.problems]
    engine = open_engine({"model": str(home() / args.model), "options": {"dtype": args.dtype}})
    settings = SamplingSettings(temperature=args.temperature, top_p=0.95, top_k=50, max_tokens=160, seed=0)
    every = settings.model_copy(update={"n": args.runs})
    ways: dict[str, Callable[[], int]] = {
        f"a pass with generate, batch {args.batch}": lambda: with_generate(engine, prompts, settings, args.batch),
        f"a pass with generate, batch {len(prompts)}": lambda: with_generate(engine, prompts, settings, len(prompts)),
        "a pass with this engine": lambda: with_engine(engine, prompts, settings),
    }
    together = f"all {args.runs} runs in one call"
    print(
        f"{len(prompts)} problems, {args.runs} runs, model {args.model}, temperature {args.temperature}, {args.dtype}",
        flush=True,
    )
    with_engine(engine, prompts[:8], settings), with_generate(engine, prompts[:8], settings, 8)  # start-up costs
    found = {name: [] for name in [*ways, together]}
    for _ in range(args.passes):
        for name, work in ways.items():
            found[name].append(timed(work))
    found[together].append(timed(lambda: with_engine(engine, prompts, every)))
    rates = {
        name: [sum(row[0] for row in rows) / sum(row[i] for row in rows) for i in (1, 2)]
        for name, rows in found.items()
    }
    for name, (cpu, wall) in rates.items():
        times = " and ".join(f"{best / rate:.1f}" for best, rate in zip(rates[together], (cpu, wall), strict=True))
        note = "" if name == together else f"; the batched call is {times} times as fast"
        print(f"{name:32} {cpu:7,.0f} tokens a CPU second, {wall:7,.0f} a second{note}")


if __name__ == "__main__":
    main()
