"""Trainings per minute of a sweep: one process with all threads beside one process per core with one thread each.

    python benchmarks/sweep.py [--cells 8] [--cores 2]      (about two minutes on two cores)

The same cells in both forms: the tiny base is fine-tuned for some 60 steps and answers 60 problems twice, as a cell of notebook 06 is, only
shorter. Both forms pay for the start of their processes; the first cell of all is thrown away, so that files are warm for both. Prints cells
per minute, the ratio, and how far the scores of the two forms lie apart: sums are taken in another order with other threads.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phi4r_lib.cookbook.settings.home import home
from phi4r_lib.cookbook.sweeps.sweep import run_sweep, sweep_of
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import load_problems


def cells(folder: Path, seeds: int) -> dict[str, Any]:
    """A sweep of one arm, its rows written below the folder: each question repeated as a thought, then the answer."""
    problems = load_problems(home() / "data/benchmarks/contest.jsonl")
    texts = [f"<think> {p.prompt} </think> \\boxed{{{p.answer}}}" for p in problems]
    rows = (
        {"messages": [{"role": "user", "content": p.prompt}, {"role": "assistant", "content": text}]}
        for p, text in zip(problems, texts, strict=True)
    )
    write_rows(folder / "start" / "rows.jsonl", rows)
    common = {
        "files": ["rows.jsonl"],
        "tokens": 4500,
        "set": {"sft.passes": 6.0, "sft.batch_size": 2},
        "weights": False,
        "benchmarks": {"benchmark": "data/benchmarks/validation.jsonl"},
        "limit": 60,
        "runs": 2,
    }
    return {
        "name": "speed",
        "start": str(folder / "start"),
        "seeds": seeds,
        "equal": "everything",
        "common": common,
        "arms": {"plain": {}},
    }


def timed(raw: Mapping[str, Any], out: Path, processes: int, threads: int) -> tuple[float, pd.DataFrame]:
    """(cells per minute, table of the cells) of one form."""
    began = time.perf_counter()
    table = run_sweep(sweep_of(raw), out, processes=processes, threads=threads)
    return 60 * len(table) / (time.perf_counter() - began), table


def main() -> None:
    """Times both forms and prints them side by side."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cells", type=int, default=8, help="trainings per form")
    options.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        raw = cells(folder, args.cells)
        timed(raw | {"seeds": [0]}, folder / "warm", 1, args.cores)
        forms = {
            f"1 process x {args.cores} threads": (1, args.cores),
            f"{args.cores} processes x 1 thread": (args.cores, 1),
        }
        found = {name: timed(raw, folder / f"{n}", n, threads) for name, (n, threads) in forms.items()}
    rates = pd.Series({name: rate for name, (rate, _) in found.items()}, name="cells per minute")
    print(rates.round(1).to_string())
    scores = [table["accuracy_benchmark"] for _, table in found.values()]
    print(
        f"{rates.iloc[1] / rates.iloc[0]:.2f} times as many with one thread each; accuracy differs by at most {(scores[0] - scores[1]).abs().max():.3f}"
    )


if __name__ == "__main__":
    main()
