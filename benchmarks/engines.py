"""Generated tokens per second of the engines and of `generate`, on a tiny model: `python benchmarks/engines.py`.

Prints wall and CPU rates, because a busy machine only changes the first; of vLLM and Ray only wall rates, since they
work in other processes. `ratio` is the wall rate over that of the first row. Rows of vLLM and
Ray need their extras: `.venv-engines/bin/python benchmarks/engines.py` after `make test-engines`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from batched_runs import with_generate

from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.models.engines.transformers_engine import TransformersEngine

ROOT = Path(__file__).resolve().parents[1]


def measured(run: Callable[[], int]) -> dict[str, float]:
    """Tokens, tokens per second of wall time and of CPU time of one run, after a warm-up."""
    run()
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = run()
    return {
        "tokens": tokens,
        "tokens_per_second": round(tokens / (time.perf_counter() - wall)),
        "tokens_per_cpu_second": round(tokens / (time.process_time() - cpu)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(ROOT / "data/models/tiny-teacher"))
    parser.add_argument("--problems", default=str(ROOT / "data/benchmarks/validation.jsonl"))
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 512])
    options = parser.parse_args()
    lines = Path(options.problems).read_text(encoding="utf-8").splitlines()[: options.prompts]
    prompts = [json.loads(line)["prompt"] for line in lines]
    settings = SamplingSettings(n=options.n, max_tokens=options.max_tokens)

    by_length = [prompt for prompt in sorted(prompts, key=len) for _ in range(options.n)]  # less padding in a batch

    def ours(engine: TransformersEngine) -> int:
        return sum(sample.tokens for row in engine.sample(prompts, settings) for sample in row)

    first = 0.0

    def show(label: str, figures: dict[str, float]) -> None:
        nonlocal first
        first = first or figures["tokens_per_second"]
        print(f"{label:31}", figures | {"ratio": round(figures["tokens_per_second"] / first, 2)}, flush=True)

    for dtype in ("float32", "bfloat16"):
        for batch in options.batch:
            engine = open_engine({"model": options.model, "options": {"dtype": dtype, "batch_size": batch}})
            show(f"phi4r     {dtype:9} batch {batch:4}", measured(lambda e=engine: ours(e)))
            theirs = measured(lambda e=engine, b=batch: with_generate(e, by_length, settings, b))
            show(f"generate  {dtype:9} batch {batch:4}", theirs)
    others = {"vllm": {"dtype": "float32", "kv_cache_gb": 1}, "ray": {"workers": 2}}
    for kind, given in others.items():
        if find_spec(kind) is None:
            print(f"{kind:31} skipped: not installed (`make test-engines` installs it into .venv-engines)")
            continue
        engine = open_engine({"kind": kind, "model": options.model, "options": given})
        figures = measured(lambda e=engine: ours(e))
        show(kind, {name: value for name, value in figures.items() if name != "tokens_per_cpu_second"})
        engine.close()


if __name__ == "__main__":
    main()
