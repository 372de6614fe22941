"""`phi4r sweep FILE`: runs a sweep and prints one row per cell and every arm against the reference.

Not here: the cells and their processes (sweep.py), what a cell does (cells.py), the estimators (measure/trial.py).
"""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.settings.home import UserError, home, real_path, shown

EXAMPLES = """example of a sweep file:
  name: edge-or-random
  start: runs/cpu                  # a finished run whose files the cells read
  seeds: 8                         # or a list: [11, 12, 13]
  reference: random                # the other arms are compared with it
  equal: training tokens           # what the arms have in common, for the reader
  common:
    files: [02_rewrite/sft/math.jsonl]
    tokens: 4000                   # per pass
    set: {sft.passes: 10.0}        # any setting of the profile
    benchmarks: {benchmark: data/benchmarks/contest.jsonl}
  arms:
    random: {}
    edge: {where: {decision: edge}}

Cells that exist are kept; a cell that failed or was stopped is run again by the same command.
exit codes: 0 success; 1 a cell failed; 2 wrong use or bad input, nothing was run; 130 interrupted"""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the `sweep` command to the `phi4r` command line."""
    text = "train arms x seeds, several at once, and compare the arms in pairs"
    command = subparsers.add_parser("sweep", help=text, description=text, epilog=EXAMPLES)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("file", metavar="FILE", help="the sweep, a YAML file")
    command.add_argument("--out", help="folder of the cells (default: runs/sweeps/NAME)")
    command.add_argument(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        help="cells at once (default: one per core, the fastest for tiny models; fewer where memory is short)",
    )
    command.add_argument("--threads", type=int, help="threads of each cell (default: the cores shared out)")
    command.add_argument("--benchmark", help="which of the sweep's benchmarks to compare on (default: the first)")
    text = "run every N-th cell from the I-th only, for N calls on machines with one disk"
    command.add_argument("--share", metavar="I/N", default="1/1", help=text)
    return command


def share_of(text: str) -> tuple[int, int]:
    """ "2/8" as (2, 8); raises UserError for anything else."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--share {text!r}: write it as I/N with I from 1 to N, for example 2/8")
    return int(found[1]), int(found[2])


def run(args: argparse.Namespace) -> int:
    """`phi4r sweep`: 0 when every cell is done, 1 when one failed. Raises UserError before anything runs."""
    from phi4r_lib.cookbook.sweeps.cells import check_arms
    from phi4r_lib.cookbook.sweeps.sweep import cells_of, load_sweep, run_sweep

    if args.processes < 1 or (args.threads is not None and args.threads < 1):
        raise UserError("--processes and --threads must be at least 1")
    share = share_of(args.share)
    sweep = load_sweep(real_path(args.file))
    _comparable(sweep, args.benchmark)
    out = real_path(args.out) if args.out else home() / "runs" / "sweeps" / sweep.name
    print(f"sweep {sweep.name}: {len(sweep.arms)} arms x {len(sweep.seeds)} seeds, equal: {sweep.equal}; {shown(out)}")
    if sweep.cell == "train":
        check_arms(cells_of(sweep, out))
    found = run_sweep(
        sweep, out, processes=args.processes, threads=args.threads, share=share,
        tell=lambda done, total, what: print(f"[{done}/{total}] {what}", flush=True),
    )  # fmt: skip
    print(found.drop(columns=["reason"]).to_string(index=False))
    failed = found[found["state"] == "failed"]
    for row in failed.itertuples():
        print(f"{row.arm}-{row.seed} failed: {row.reason}")
    _compare(sweep, out, args.benchmark)
    return 1 if len(failed) else 0


def _comparable(sweep: Any, benchmark: str | None) -> None:
    """Raises UserError for a --benchmark that the sweep has not, or that nothing would be compared on."""
    known = list(sweep.common.get("benchmarks", {"benchmark": None}))
    if benchmark is not None and sweep.reference is None:
        raise UserError(f"--benchmark {benchmark}: {sweep.name} names no `reference`, so that nothing is compared")
    if benchmark is not None and benchmark not in known:
        raise UserError(f"--benchmark {benchmark}: {sweep.name} measures on {', '.join(known)}")


def _compare(sweep: Any, out: Path, benchmark: str | None) -> None:
    """Prints and writes every arm against the reference; says why where that is not possible."""
    from phi4r_lib.cookbook.sweeps.sweep import pass_rates
    from phi4r_lib.measure.trial import compare_arms

    if sweep.reference is None:
        return
    name = benchmark or next(iter(sweep.common.get("benchmarks", {"benchmark": None})))
    try:
        rows = compare_arms(pass_rates(sweep, out, name), sweep.reference)
    except (UserError, ValueError) as error:
        print(f"no comparison: {error}")
        return
    print(f"against {sweep.reference} on {name}, 95% intervals over seeds and problems, Holm over {len(rows)} arms:")
    for row in rows:
        points = f"{100 * row.difference:+.1f} [{100 * row.low:+.1f}, {100 * row.high:+.1f}] points"
        print(f"  {row.arm}: {row.mean:.3f}, {points}, p {row.p_holm:.3f}: {row.verdict}")
    comparisons = [asdict(row) for row in rows]
    state.write_json(out / "results.json", {"sweep": sweep.model_dump(), "benchmark": name, "comparisons": comparisons})
