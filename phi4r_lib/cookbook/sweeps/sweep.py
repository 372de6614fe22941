"""Arms x seeds: the same training many times, each cell a folder of its own that is kept, resumed and never run twice.

A sweep is a small YAML file: what the arms change, what stays equal, which seeds. Cells run in worker processes, several at
once; a cell that fails is written down and the others go on. Not here: what a cell does (cells.py, or any function that
the file names), what the scores mean (measure/trial.py).
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.folder.lineage import code_mark, digest, reached
from phi4r_lib.cookbook.settings.home import UserError, home, resolve_out
from phi4r_lib.cookbook.settings.profile import load_profile, read_yaml
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.problems.fingerprint import fingerprint
from phi4r_lib.problems.named import named_class

CELLS = {"train": "phi4r_lib.cookbook.sweeps.cells:train"}
# What every training loads: seconds, once per sweep and not once per worker.
PRELOADED = ("datasets", "phi4r_lib.train.sft", "phi4r_lib.train.grpo", "phi4r_lib.measure.evaluate")


class Sweep(BaseModel):
    """One sweep file. An arm is what it changes: `set` holds profile settings, everything else goes to the cell.

    `common` holds for every arm; an arm's own entries win. `seeds` is a count (1, 2, ...) or a list. `start` names the run
    folder whose artefacts the cells read. `cell` is a name of CELLS or the import path of a function of one Cell. A cell is
    trained anew when its settings change, a file or folder that its options name, the base model, or the code behind it.
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

    @property
    def needs(self) -> set[str]:
        """Keys of the cells whose models it averages: they have to be done first."""
        return {f"{arm}-{self.seed}" for arm in self.options.get("average", ())}


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
    profiles: dict[str, Profile] = {}  # arms share most settings, and reading a profile takes its time
    for arm, chosen in options.items():
        try:
            if (key := fingerprint(chosen.get("set"))) not in profiles:
                profiles[key] = load_profile(sweep.profile, chosen.get("set"))
        except UserError as error:
            raise UserError(f"arm '{arm}': {error}") from None
    code = sorted(code_mark(path) for path in code_of_cells(sweep))
    marks = {
        arm: _mark(sweep, chosen, start, profiles[fingerprint(chosen.get("set"))], code)
        for arm, chosen in options.items()
    }
    for arm, chosen in options.items():  # an average changes with its parts
        marks[arm] += "".join(marks.get(part, part) for part in chosen.get("average", ()))
    about = [(seed, arm, out / "cells" / f"{arm}-{seed}") for seed in sweep.seeds for arm in options]
    return [
        Cell(sweep.name, arm, seed, folder, start, sweep.profile, options[arm], fingerprint(marks[arm], seed))
        for seed, arm, folder in about
    ]


def _merged(common: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**common, **change}
    if "set" in common and "set" in change:
        merged["set"] = {**common["set"], **change["set"]}
    return merged


def _mark(sweep: Sweep, options: Mapping[str, Any], start: Path, profile: Profile, code: Sequence[str]) -> str:
    """A fingerprint of all that decides the cells of an arm: settings, the files that its options name, models, code."""
    sections = {"sft", "grpo", "verifiers", "prompts"} if sweep.cell in CELLS else None
    settings = profile.model_dump(mode="json", include=sections)
    named = [profile.models.base.model, profile.prompts, profile.data.validation, *_texts(options)]
    inputs = {text: digest(path) for text in named for path in [place_of(start, text)] if path.exists()}
    return fingerprint(sweep.cell, settings, options, inputs, code)


def place_of(start: Path, name: str) -> Path:
    """A file or folder that an option names: below the start folder, else below the repository's root."""
    return start / name if (start / name).exists() else home() / name


def code_of_cells(sweep: Sweep) -> list[Path]:
    """Source files that the results of a sweep's cells come from."""
    return reached(CELLS.get(sweep.cell, sweep.cell).partition(":")[0])


def _texts(options: Any) -> list[str]:
    """Every text among the options, except those of `set`: some of them name files."""
    if isinstance(options, Mapping):
        return [text for key, value in options.items() if key != "set" for text in _texts(value)]
    if isinstance(options, (list, tuple)):
        return [text for value in options for text in _texts(value)]
    return [options] if isinstance(options, str) and options else []


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
    state.write_json(out / f"table-{sweep.name}.json", found.to_dict("records"))
    return found


def _execute(todo: Sequence[Cell], function: str, processes: int, threads: int):
    """Yields (cell, reason of failure or None); a process that dies takes only its own cells with it."""
    waiting = list(todo)
    while waiting:
        # Workers are forks of a server that only imports: quick to start, and no fork of a process with torch threads,
        # which would hang.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*PRELOADED, CELLS.get(function, function).partition(":")[0]])
        with ProcessPoolExecutor(processes, context, initializer=_worker, initargs=(threads,)) as pool:
            running: dict[Future, Cell] = {}
            try:
                while waiting or running:
                    while len(running) < processes and (cell := _next(waiting, running.values())):
                        waiting.remove(cell)
                        running[pool.submit(_one, cell, function)] = cell
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        fault = future.result()
                        yield running.pop(future), fault
            except BrokenProcessPool:
                for cell in running.values():
                    reason = "its process died (killed, or out of memory); the next call tries again"
                    state.write_json(cell.folder / "failure.json", {"reason": reason})
                    yield cell, reason


def _next(waiting: Sequence[Cell], running: Iterable[Cell]) -> Cell | None:
    """The first waiting cell that needs none of the unfinished ones."""
    unfinished = {cell.key for cell in (*waiting, *running)}
    return next((cell for cell in waiting if not cell.needs & unfinished), None)


def _worker(threads: int) -> None:
    """Once per worker process: its share of the cores, no progress bars, and an end when the sweep's process is gone."""
    import datasets
    import torch
    from transformers.utils import logging

    torch.set_num_threads(threads)
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    threading.Thread(target=_end_with_sweep, daemon=True).start()


def _end_with_sweep() -> None:
    sweep = multiprocessing.parent_process()
    if sweep is not None:
        sweep.join()
        os._exit(1)


def _one(cell: Cell, function: str) -> str | None:
    """Runs one cell in this process; None, or the reason why it failed."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    (cell.folder / "failure.json").unlink(missing_ok=True)
    began = time.monotonic()
    try:
        results = named_class(function, CELLS, "cell")(cell)
        about = {name: getattr(cell, name) for name in ("sweep", "arm", "seed", "mark")}
        about["seconds"] = round(time.monotonic() - began, 1)
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
