"""How much faster are many runs in one batched call than one run after another?

    python benchmarks/batched_runs.py [--runs 50] [--problems 30] [--model data/models/tiny-teacher]

Both ways draw the same answers with the same engine in the same process: first every run as its own pass over the
problems, as an evaluation loop does it, then all runs in one call, as measure/evaluate.py does it. The default is a test of
thirty problems, the size of one contest year. Prints seconds, tokens a second and the ratio; nothing is stored.
"""

from __future__ import annotations

import argparse
import time

from phi4r_lib.cookbook.profile import home
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.problems.schema import load_problems


def main() -> None:
    """Times both ways once and prints one line each and the ratio."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=50)
    options.add_argument("--problems", type=int, default=30)
    options.add_argument("--model", default="data/models/tiny-teacher")
    options.add_argument("--max-tokens", type=int, default=160)
    args = options.parse_args()
    problems = load_problems(home() / "data" / "benchmarks" / "contest.jsonl")[:: max(1, 240 // args.problems)]
    prompts = [problem.prompt for problem in problems][: args.problems]
    engine = open_engine({"model": str(home() / args.model)})
    settings = SamplingSettings(temperature=0.8, top_p=0.95, top_k=50, max_tokens=args.max_tokens, seed=0)
    engine.sample(prompts[:8], settings)  # the first call pays for start-up
    print(f"{len(prompts)} problems, {args.runs} runs, model {args.model}")
    alone = _timed("one run after another", lambda: _passes(engine, prompts, settings, args.runs))
    together = _timed(
        "all runs in one call", lambda: engine.sample(prompts, settings.model_copy(update={"n": args.runs}))
    )
    print(f"ratio {alone / together:.1f}")


def _passes(engine, prompts, settings, runs):
    return [
        samples for run in range(runs) for samples in engine.sample(prompts, settings.model_copy(update={"first": run}))
    ]


def _timed(label, work) -> float:
    started = time.perf_counter()
    answers = work()
    seconds = time.perf_counter() - started
    tokens = sum(sample.tokens for samples in answers for sample in samples)
    print(f"{label}: {seconds:.1f} s, {tokens:,} tokens, {tokens / seconds:,.0f} tokens/s", flush=True)
    return seconds


if __name__ == "__main__":
    main()
