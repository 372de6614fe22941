"""Runs the notebooks of a run in order, skips what is already done, and tells the truth about the rest.

A notebook has succeeded when its process ended with 0 and it wrote its results.json in this very execution; what
papermill's metadata says does not count. Not here: the process itself (execute.py, processes.py), the report page.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.folder.lineage import notebook_mark, outputs
from phi4r_lib.cookbook.folder.run_folder import RunFolder
from phi4r_lib.cookbook.running import processes
from phi4r_lib.cookbook.running.budget import Budget
from phi4r_lib.cookbook.running.execute import NO_START
from phi4r_lib.cookbook.settings.home import Stopped, UserError, home, shown
from phi4r_lib.cookbook.settings.profile import nested
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.cookbook.settings.stages import EVERY_MODEL, Stage, copies, stages
from phi4r_lib.problems.rows import plain
from phi4r_lib.problems.whole import sweep

Tell = Callable[[Stage, dict[str, Any]], None]  # (stage, {state, cell, cells, seconds, peak_mb, message, where})


@dataclass(frozen=True)
class Target:
    """What to run: profile as the notebooks get it (name or file), its validated form, run folder, overrides.

    `varies` is the run that the overrides vary, whose artefacts may be read; None when there is none.
    """

    source: str
    profile: Profile
    out: Path
    overrides: Mapping[str, Any]
    varies: Path | None = None

    def folder(self) -> RunFolder:
        """The run folder as it is now."""
        return RunFolder(self.out, plain(self.profile), self.varies)


def choose(
    target: Target, only: list[str] | None = None, start: str | None = None, everything: bool = False
) -> list[Stage]:
    """The stages to consider, in order: extra ones with `everything`, or when `only` or `start` name one.

    Raises UserError for a number that does not exist, a faulty notebook, and one whose settings the profile lacks.
    """
    found = stages(target.profile.notebooks)
    if not found:
        raise UserError(f"no notebooks found in {home() / 'notebooks'}")
    for number in [*(only or []), *([start] if start else [])]:
        if number not in found:
            aside = [f"{shown(path)} is a copy: it declares another stage" for path in copies(target.profile.notebooks)]
            known = ", ".join(stage.name for stage in found.values())
            about = f"there is no notebook '{number}'; notebooks are {known} (the two digits are enough)"
            raise UserError("; ".join([about, *aside]))
    everything = everything or bool(only) or bool(start and found[start].extra)
    wanted = {number: stage for number, stage in found.items() if everything or not stage.extra}
    picked = [stage for n, stage in wanted.items() if (not only or n in only) and (not start or n >= start)]
    if not picked:
        raise UserError(f"--only {' '.join(only or [])} --from {start} leaves no notebook to run; give one of the two")
    for stage in picked:
        if stage.fault:
            raise UserError(stage.fault)
        for section in stage.declaration.settings if stage.declaration else ():
            if getattr(target.profile, section) is None:
                without = f"profile '{target.profile.name}' has no section '{section}', which {stage.name} needs"
                raise UserError(f"{without}; copy the one in notebooks/profiles/cpu.yaml and give it your counts")
    return picked


def left_out(target: Target, chosen: list[Stage]) -> str | None:
    """A line about the extra notebooks that are not among the chosen ones, or None."""
    names = [stage.name for stage in stages(target.profile.notebooks).values() if stage.extra and stage not in chosen]
    return f"further notebooks: {', '.join(names)} (--all runs them too, --only NN one of them)" if names else None


def check_needs(chosen: list[Stage], folder: RunFolder) -> None:
    """Raises UserError when a stage needs an artefact that is not there and that no earlier chosen stage will make."""
    made: set[str] = set()
    for stage in chosen:
        for need in folder.missing(stage):
            if need[:2] not in made and not (need == EVERY_MODEL and made):
                where = f"which is not in {shown(folder.out)}"
                first = (
                    "a stage that trains one"
                    if need == EVERY_MODEL
                    else f"{need[:2]} first (the same command with --only {need[:2]})"
                )
                raise UserError(f"{stage.name} needs {need}, {where}; run {first}")
        made.add(stage.number)


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Holds the run folder for one runner; raises UserError when another one is at work in it, at once.

    A shared disk that knows no locks gives none: then nothing keeps a second runner away, and a line says so.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            _hold(lock)
        except BlockingIOError:
            raise UserError(f"another `phi4r run` is at work in {shown(out)}; wait for it or use --out") from None
        except OSError as error:
            print(f"note: no lock on {shown(out)} ({error.strerror}): start no second run in it", file=sys.stderr)
        yield


def _hold(lock: IO[str]) -> None:
    """Takes the lock, with a second try after a moment: `phi4r status` shares it for the time of a look."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.1)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def at_work(out: Path) -> bool:
    """Whether a runner holds the run folder now; a status "running" without one was left by a killed runner. Writes nothing."""
    try:
        with (out / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock file, or a disk that knows no locks
        return False
    return False


def run_notebooks(
    chosen: list[Stage],
    target: Target,
    tell: Tell,
    force: bool = False,
    budget: Budget | None = None,
    begun: Callable[[Path], None] | None = None,
) -> bool:
    """Runs the stages in order and stops at the first that fails; True when all are done.

    A stage that measures every model runs again at the end when a later one has trained another. Raises Stopped when the
    budget is spent. `begun` is called with the run folder before the first stage.
    """
    check_needs(chosen, target.folder())
    again = [stage for stage in chosen[:-1] if EVERY_MODEL in stage.needs]
    with locked(target.out):
        processes.end_left(target.out)
        state.begin(target.out, target.source, nested(target.overrides), target.varies)
        sweep(target.out, now=(target.out / "run.json").stat().st_mtime)
        if begun:
            begun(target.out)
        for stage in chosen:
            if force:
                forget_training(target.out / stage.name)
            if (force or keep(stage, target, tell)) is not None and not run_one(stage, target, tell, budget):
                return False
        return all(
            target.folder().outdated(stage.number) is None or run_one(stage, target, tell, budget) for stage in again
        )


def forget_training(folder: Path) -> None:
    """Takes away the notes of finished trainings and cells, which would be taken as they are; a killed one still goes on."""
    for results in folder.glob("cells/*/results.json"):
        results.unlink()
    for note in folder.rglob("training.json"):
        with contextlib.suppress(UserError):  # a torn note of a killed training counts as none anyway
            if note.parent.name != "training" or state.read_json(note).get("report"):
                note.unlink()


def keep(stage: Stage, target: Target, tell: Tell) -> str | None:
    """Tells that a stage's results hold, here or in the varied run, and returns None; else returns why it has to run."""
    folder = target.folder()
    reason = folder.outdated(stage.number)
    if reason is None:
        holder = folder.holder(stage.number)
        tell(stage, {"state": "kept", "where": None if holder == target.out else shown(holder)})
    return reason


def run_one(notebook: Stage, target: Target, tell: Tell, budget: Budget | None = None) -> bool:
    """Executes one notebook, records status, seconds and peak memory in run.json; True when it succeeded."""
    out, number = target.out, notebook.number
    resumed = any(path.is_file() for folder in out.glob(f"{number}_*") for path in folder.rglob("*"))
    stale = state.results_file(out, number)
    if stale:
        stale.replace(stale.with_name("results.previous.json"))
    state.update_notebook(
        out,
        number,
        notebook=notebook.path.name,
        status="running",
        started=_now(),
        resumed=resumed,  # over work of an earlier call: what it takes now is less than the whole
        message=None,
        lineage=None,
        outputs=None,
    )
    (out / "notebooks").mkdir(exist_ok=True)
    began, before = time.perf_counter(), notebook_mark(notebook.path)
    try:
        code, peak, reason = _execute(notebook, target, tell, began, budget)
    except KeyboardInterrupt as stop:
        ended = {"status": "interrupted", "seconds": round(time.perf_counter() - began, 1)}
        state.update_notebook(out, number, **ended, message=stop.reason if isinstance(stop, Stopped) else None)
        raise
    facts = {"seconds": round(time.perf_counter() - began, 1), "peak_mb": round(peak), "exit_code": code}
    results = state.results_file(out, number)
    written = state.read_json(out / "run.json")["notebooks"][number].get("lineage")
    if code == 0 and results and written:
        # The notebook as it was when it started: one edited meanwhile has not run.
        lineage = written | {"notebook": {"cells": before}}
        facts |= {"status": "done", "folder": results.parent.name, "lineage": lineage}
        results.with_name("results.previous.json").unlink(missing_ok=True)
        facts["outputs"] = outputs(results.parent)
    else:
        if code == 0:
            reason = "it ended without writing results.json (its last cell did not run; a sys.exit() does that)"
        facts |= {"status": "failed", "message": failure(executed(out, notebook), reason or f"exit code {code}")}
    state.update_notebook(out, number, **facts)
    tell(notebook, {"state": facts["status"], **facts})
    return facts["status"] == "done"


def executed(out: Path, notebook: Stage) -> Path:
    """Where the executed copy of a notebook lies."""
    return out / "notebooks" / notebook.path.name


def _execute(
    notebook: Stage, target: Target, tell: Tell, began: float, budget: Budget | None = None
) -> tuple[int, float, str | None]:
    """Exit code, peak memory in MB and the reason of a failure; no process of the notebook outlives this call."""
    log = executed(target.out, notebook).with_suffix(".log")
    job = None
    with processes.scratch() as folder:
        job_file = _job_file(folder / "runtime", notebook, target)
        command = [sys.executable, "-m", "phi4r_lib.cookbook.running.execute", str(job_file), str(os.getpid())]
        env = {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "TMPDIR": str(folder / "tmp")}
        env |= {"TQDM_MININTERVAL": "5", "PHI4R_HOME": str(home())}
        env |= {"PYTHONPATH": absolute(os.environ["PYTHONPATH"])} if os.environ.get("PYTHONPATH") else {}
        try:
            job = processes.start(command, target.out, log, home(), env)
            while job.process.poll() is None:
                progress = state.read_json(folder / "runtime" / "progress.json")
                seconds = round(time.perf_counter() - began, 1)
                tell(notebook, {"state": "running", "seconds": seconds, "peak_mb": processes.measure(job), **progress})
                if budget:
                    budget.check(notebook.number, seconds)
                time.sleep(0.5)
            reason = state.read_json(folder / "runtime" / "failure.json").get("reason")
        except KeyboardInterrupt:
            if job:
                processes.ask_to_end(job, target.profile.deadlines.stop_seconds)
            raise
        finally:
            if job:
                processes.reap(job)
            if budget:
                budget.close(notebook.number, time.perf_counter() - began)
    if job.process.returncode and (not reason or NO_START in reason):
        reason = f"{reason or f'exit code {job.process.returncode}'}\n{last_words(log)}"
    return job.process.returncode, job.peak_mb, reason


def last_words(log: Path, lines: int = 3) -> str:
    """The end of a log: what a process said before it died, the kernel's own reason among it."""
    words = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    return "\n".join(line for line in [line.rstrip() for line in words if line.strip()][-lines:])


def absolute(search_path: str) -> str:
    """A PYTHONPATH whose entries mean the same from every working directory: notebooks run in another one."""
    return os.pathsep.join(str(Path(entry).expanduser().resolve()) for entry in search_path.split(os.pathsep) if entry)


def _job_file(runtime: Path, notebook: Stage, target: Target) -> Path:
    deadlines = target.profile.deadlines
    return state.write_json(
        runtime / "job.json",
        {
            "notebook": notebook.path,
            "output": executed(target.out, notebook),
            "parameters": {"profile": target.source, "out": shown(target.out), "overrides": target.overrides},
            "cwd": home() / "notebooks",
            "progress": runtime / "progress.json",
            "failure": runtime / "failure.json",
            "start_seconds": math.ceil(deadlines.start_seconds),
            "cell_seconds": deadlines.cell_hours and math.ceil(deadlines.cell_hours * 3600),
        },
    )


def failure(notebook: Path, reason: str) -> str:
    """A few lines for people: the reason, and the cell that failed when the executed notebook shows one."""
    if "deadlines." in reason:  # the cell shows an interrupt, or is one of an earlier execution
        return reason
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return reason
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                source = "".join(cell["source"]).strip().splitlines()
                shown_source = "\n".join(f"    {line}" for line in source[:8])
                return f"In [{cell.get('execution_count')}]: {output['ename']}: {output['evalue']}\n{shown_source}"
    return reason


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
