"""Arms x seeds: the same training many times, each cell a folder of its own that is kept, resumed and never run twice.

A sweep is a small YAML file: what the arms change, what stays equal, which seeds. Cells run in worker processes, several at
once; a cell that fails is written down and the others go on. Not here: what a cell does (cells.py, or any function that
the file names), what the scores mean (measure/trial.py).
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from phi4r_lib.cookbook import state
from phi4r_lib.cookbook.home import UserError, resolve_out
from phi4r_lib.cookbook.profile import load_profile, read_yaml
from phi4r_lib.problems.named import named_class

CELLS = {"train": "phi4r_lib.cookbook.cells:train"}


class Sweep(BaseModel):
    """One sweep file. An arm is what it changes: `set` holds profile settings, everything else goes to the cell.

    `common` holds for every arm; an arm's own entries win. `seeds` is a count (1, 2, ...) or a list. `start` names the run
    folder whose artefacts the cells read. `cell` is a name of CELLS or the import path of a function of one Cell.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    profile: str = "cpu"
    start: str
    cell: str = "train"
    seeds: list[int] = Field(min_length=1)
    reference: str | None = None
    equal: str = Field(min_length=1)  # what the arms have in common, in words: shown above the table
    common: dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, dict[str, Any]] = Field(min_length=1)

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        return list(range(1, value + 1)) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("arms", mode="before")
    @classmethod
    def _empty_arm(cls, value: Any) -> Any:
        return {name: arm or {} for name, arm in value.items()} if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Cell:
    """One training of a sweep: its arm and seed, its folder, the settings (`options`) and the run it starts from."""

    sweep: str
    arm: str
    seed: int
    folder: Path
    start: Path
    profile: str
    options: dict[str, Any]
    mark: str  # fingerprint of everything above that decides the result

    @property
    def key(self) -> str:
        """`ARM-SEED`, also the name of the folder."""
        return f"{self.arm}-{self.seed}"


def load_sweep(path: str | Path) -> Sweep:
    """The sweep in a YAML file; raises UserError naming file and field."""
    return sweep_of(read_yaml(Path(path)), str(path))


def sweep_of(raw: Mapping[str, Any], source: str = "sweep") -> Sweep:
    """A validated sweep from plain data; raises UserError that says which field is wrong."""
    try:
        sweep = Sweep.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{source}: '{'.'.join(map(str, first['loc']))}': {first['msg']}") from None
    for arm in sweep.arms:
        if not arm.replace("_", "").replace("-", "").replace(".", "").isalnum():
            raise UserError(f"{source}: arm '{arm}' names a folder: letters, digits, '.', '-' and '_' only")
    if sweep.reference is not None and sweep.reference not in sweep.arms:
        raise UserError(f"{source}: reference '{sweep.reference}' is no arm; arms are {', '.join(sweep.arms)}")
    return sweep


def cells_of(sweep: Sweep, out: Path) -> list[Cell]:
    """All cells, seed by seed, so that a sweep that is stopped has complete rows of arms first.

    Raises UserError for a start folder that is missing and for settings that the profile refuses, before anything runs.
    """
    start = resolve_out(sweep.start)
    if not start.is_dir():
        raise UserError(f"sweep '{sweep.name}' starts from {sweep.start}, which does not exist; run the recipe first")
    options = {arm: _merged(sweep.common, change) for arm, change in sweep.arms.items()}
    for arm, chosen in options.items():
        try:
            load_profile(sweep.profile, chosen.get("set"))
        except UserError as error:
            raise UserError(f"arm '{arm}': {error}") from None
    inputs = _inputs(start)
    return [
        Cell(sweep.name, arm, seed, out / "cells" / f"{arm}-{seed}", start, sweep.profile, chosen, mark)
        for seed in sweep.seeds
        for arm, chosen in options.items()
        for mark in [_mark(sweep, chosen, seed, inputs)]
    ]


def _merged(common: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**common, **change}
    if "set" in common and "set" in change:
        merged["set"] = {**common["set"], **change["set"]}
    return merged


def _inputs(start: Path) -> dict[str, str]:
    files = sorted(start.glob("0[1-4]_*/results.json"))
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _mark(sweep: Sweep, options: Mapping[str, Any], seed: int, inputs: Mapping[str, str]) -> str:
    profile = load_profile(sweep.profile, options.get("set")).model_dump(mode="json")
    content = [sweep.cell, profile, options, seed, inputs]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def finished(cell: Cell) -> dict[str, Any] | None:
    """The results of a cell that is done with these very settings, else None."""
    results = state.read_json(cell.folder / "results.json")
    return results if results.get("mark") == cell.mark else None


Tell = Callable[[int, int, str], None]  # (cells done, cells in all, what just happened and the time left)


def run_sweep(
    sweep: Sweep,
    out: Path,
    *,
    processes: int = 1,
    threads: int | None = None,
    tell: Tell = lambda *facts: None,
    share: tuple[int, int] = (1, 1),
) -> pd.DataFrame:
    """Runs the cells that are not done yet and returns the table of all cells (see `table`).

    Args:
        processes: cells at work at the same time. threads: of each of them; None shares the cores out evenly.
        tell: hears after every cell how many are done, with the time left.
        share: (i, n) runs every n-th cell from the i-th only, for n calls on as many machines with one disk.

    A cell that fails leaves failure.json with its reason; the others go on, and the next call tries it again.
    """
    cells = cells_of(sweep, out)[share[0] - 1 :: share[1]]
    todo = [cell for cell in cells if finished(cell) is None]
    tell(len(cells) - len(todo), len(cells), f"{len(cells) - len(todo)} of {len(cells)} cells kept")
    threads = threads or max(1, (os.cpu_count() or 1) // processes)
    began, done = time.monotonic(), len(cells) - len(todo)
    for cell, fault in _execute(todo, sweep.cell, processes, threads):
        done += 1
        left = (time.monotonic() - began) / (done - len(cells) + len(todo)) * (len(cells) - done)
        tell(done, len(cells), f"{cell.key}: {fault or 'done'}, about {left:.0f} s left")
    found = table(sweep, out)
    state.write_json(out / "table.json", found.to_dict("records"))
    return found


def _execute(todo: Sequence[Cell], function: str, processes: int, threads: int):
    """Yields (cell, reason of failure or None); a process that dies takes only its own cells with it."""
    waiting = list(todo)
    while waiting:
        context = multiprocessing.get_context("spawn")  # forks of a process with torch threads hang
        with ProcessPoolExecutor(processes, context, initializer=_worker, initargs=(threads, os.getpid())) as pool:
            running: dict[Future, Cell] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < processes:
                        running[pool.submit(_one, waiting[0], function)] = waiting[0]
                        waiting.pop(0)
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        fault = future.result()
                        yield running.pop(future), fault
            except BrokenProcessPool:
                for cell in running.values():
                    reason = "its process died (killed, or out of memory); the next call tries again"
                    state.write_json(cell.folder / "failure.json", {"reason": reason})
                    yield cell, reason


def _worker(threads: int, parent: int) -> None:
    """Once per worker process: its share of the cores, no telemetry, and an end when the parent is gone."""
    import datasets
    import torch
    from transformers.utils import logging

    from phi4r_lib.cookbook.processes import end_with_parent

    torch.set_num_threads(threads)
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    end_with_parent(parent)


def _one(cell: Cell, function: str) -> str | None:
    """Runs one cell in this process; None, or the reason why it failed."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    (cell.folder / "failure.json").unlink(missing_ok=True)
    began = time.monotonic()
    try:
        results = named_class(function, CELLS, "cell")(cell)
        about = {"arm": cell.arm, "seed": cell.seed, "mark": cell.mark, "seconds": round(time.monotonic() - began, 1)}
        state.write_json(cell.folder / "results.json", about | results)
        return None
    except Exception as error:  # whatever a cell raises is its result: the other cells go on
        reason = f"{type(error).__name__}: {error}"
        state.write_json(cell.folder / "failure.json", {"reason": reason, "trace": traceback.format_exc()})
        return reason


def table(sweep: Sweep, out: Path) -> pd.DataFrame:
    """One row per cell: arm, seed, state ("done", "failed", "not run"), the numbers of its results, and the reason."""
    rows = []
    for cell in cells_of(sweep, out):
        results = finished(cell)
        failure = state.read_json(cell.folder / "failure.json") if results is None else {}
        row: dict[str, Any] = {"arm": cell.arm, "seed": cell.seed}
        row["state"] = "done" if results else "failed" if failure else "not run"
        numbers = {key: value for key, value in (results or {}).items() if isinstance(value, (int, float))}
        rows.append(
            row | {key: value for key, value in numbers.items() if key != "seed"} | {"reason": failure.get("reason")}
        )
    return pd.DataFrame(rows)


def pass_rates(sweep: Sweep, out: Path, benchmark: str = "benchmark") -> dict[str, np.ndarray]:
    """{arm: seeds x problems array of pass rates} from the answers of the cells, for measure.trial.

    Only seeds that every arm has finished are used, so that everything stays paired. Raises UserError when fewer than two
    such seeds exist, or when cells answered different problems.
    """
    rates: dict[str, dict[int, pd.Series]] = {arm: {} for arm in sweep.arms}
    for cell in cells_of(sweep, out):
        if finished(cell):
            rates[cell.arm][cell.seed] = pd.read_parquet(cell.folder / f"{benchmark}.parquet")["rate"]
    shared = [seed for seed in sweep.seeds if all(seed in of_arm for of_arm in rates.values())]
    if len(shared) < 2:
        raise UserError(
            f"sweep '{sweep.name}': {len(shared)} seeds are complete in all arms; two are needed to compare"
        )
    frames = {arm: pd.DataFrame([of_arm[seed] for seed in shared]) for arm, of_arm in rates.items()}
    columns = next(iter(frames.values())).columns
    if any(not frame.columns.equals(columns) or frame.isna().to_numpy().any() for frame in frames.values()):
        raise UserError(f"sweep '{sweep.name}': cells answered different problems; remove the older ones in {out}")
    return {arm: frame.to_numpy() for arm, frame in frames.items()}
