"""Runs the notebooks of a run in order, skips what is already done, and tells the truth about the rest.

A notebook has succeeded when its process ended with 0 and it wrote its results.json in this very execution; what
papermill's metadata says does not count. Not here: the process itself (execute.py, processes.py), the report page.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phi4r_lib.cookbook import processes, state
from phi4r_lib.cookbook.profile import UserError, home
from phi4r_lib.cookbook.run import PARAMETERS, shown
from phi4r_lib.cookbook.sections import Profile

Tell = Callable[["Notebook", dict[str, Any]], None]  # (notebook, {state, cell, cells, seconds, peak_mb, message})


@dataclass(frozen=True)
class Notebook:
    """One notebook of a plan; `skip` says why it need not run, None when it will."""

    number: str
    path: Path
    skip: str | None = None


@dataclass(frozen=True)
class Target:
    """What to run: profile as the notebooks get it (name or file), its validated form, run folder, overrides."""

    source: str
    profile: Profile
    out: Path
    overrides: Mapping[str, Any]


def choose(only: list[str] | None = None, start: str | None = None) -> list[Notebook]:
    """The notebooks to consider, in order; raises UserError for a number that does not exist."""
    files = state.notebook_files()
    if not files:
        raise UserError(f"no notebooks found in {home() / 'notebooks'}")
    for number in [*(only or []), *([start] if start else [])]:
        if number not in files:
            known = ", ".join(path.stem for path in files.values())
            raise UserError(f"there is no notebook '{number}'; notebooks are {known} (the two digits are enough)")
    picked = [n for n in files if (not only or n in only) and (not start or n >= start)]
    return [Notebook(number, files[number]) for number in picked]


def outdated(number: str, target: Target) -> str | None:
    """Why a notebook has to run, or None when its results still hold (notebook, settings and inputs unchanged)."""
    if state.results_file(target.out, number) is None:
        return "no results yet"
    record = state.read_json(target.out / "run.json").get("notebooks", {}).get(number, {})
    before = record.get("fingerprint")
    if record.get("status") != "done" or not before:
        return "not finished"
    now = state.fingerprint(number, target.profile, target.out)
    changed = [part for part in now if now[part] != before.get(part)]
    return f"{' and '.join(changed)} changed" if changed else None


def check(notebook: Path) -> None:
    """Raises UserError unless the notebook has a `parameters` cell that sets profile, out and overrides."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{shown(notebook)} is not a notebook ({error})") from None
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    source = "".join(tagged[0]["source"]) if tagged else ""
    names = {line.partition("=")[0].strip() for line in source.splitlines() if "=" in line}
    missing = set(PARAMETERS) - names
    if missing:
        raise UserError(
            f"{shown(notebook)}: no cell tagged 'parameters' sets {', '.join(sorted(missing))}; "
            "without it papermill would silently run the defaults"
        )


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Holds the run folder for one runner; raises UserError when another one is at work in it."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another `phi4r run` is at work in {shown(out)}; wait for it or use --out") from None
        yield


def at_work(out: Path) -> bool:
    """Whether a runner holds the run folder now; a status "running" without one was left by a killed runner."""
    try:
        with locked(out):
            return False
    except UserError:
        return True


def run_notebooks(notebooks: list[Notebook], target: Target, tell: Tell, force: bool = False) -> bool:
    """Runs the notebooks in order and stops at the first that fails; True when all are done."""
    for notebook in notebooks:
        check(notebook.path)
    with locked(target.out):
        for notebook in notebooks:
            reason = "forced" if force else outdated(notebook.number, target)
            if reason is None:
                tell(notebook, {"state": "kept"})
                continue
            if not run_one(notebook, target, tell):
                return False
    return True


def run_one(notebook: Notebook, target: Target, tell: Tell) -> bool:
    """Executes one notebook, records status, seconds and peak memory in run.json; True when it succeeded."""
    out, number = target.out, notebook.number
    (out / "notebooks").mkdir(exist_ok=True)
    stale = state.results_file(out, number)
    if stale:
        stale.replace(stale.with_name("results.previous.json"))
    state.update_notebook(out, number, notebook=notebook.path.name, status="running", started=_now(), message=None)
    began = time.perf_counter()
    try:
        code, peak, reason = _execute(notebook, target, tell, began)
    except KeyboardInterrupt:
        state.update_notebook(out, number, status="interrupted", seconds=round(time.perf_counter() - began, 1))
        raise
    facts = {"seconds": round(time.perf_counter() - began, 1), "peak_mb": round(peak), "exit_code": code}
    results = state.results_file(out, number)
    if code == 0 and results:
        mark = state.fingerprint(number, target.profile, out)
        facts |= {"status": "done", "folder": results.parent.name, "fingerprint": mark}
        results.with_name("results.previous.json").unlink(missing_ok=True)
    else:
        if code == 0:
            reason = "it ended without writing results.json (its last cell did not run; a sys.exit() does that)"
        facts |= {"status": "failed", "message": failure(executed(out, notebook), reason or f"exit code {code}")}
    state.update_notebook(out, number, **facts)
    tell(notebook, {"state": facts["status"], **facts})
    return facts["status"] == "done"


def executed(out: Path, notebook: Notebook) -> Path:
    """Where the executed copy of a notebook lies."""
    return out / "notebooks" / notebook.path.name


def _execute(notebook: Notebook, target: Target, tell: Tell, began: float) -> tuple[int, float, str | None]:
    """Exit code, peak memory in MB and the reason of a failure; no process of the notebook outlives this call."""
    # Socket files have a path limit of about 100 characters, so the runtime folder is a short one.
    scratch = Path(tempfile.mkdtemp(prefix="phi4r-"))
    job = None
    try:
        command = [sys.executable, "-m", "phi4r_lib.cookbook.execute", str(_job_file(scratch, notebook, target))]
        env = {"JUPYTER_RUNTIME_DIR": str(scratch), "TQDM_MININTERVAL": "5", "PHI4R_HOME": str(home())}
        job = processes.start(command, executed(target.out, notebook).with_suffix(".log"), home(), env)
        while job.process.poll() is None:
            progress = state.read_json(scratch / "progress.json")
            seconds = round(time.perf_counter() - began, 1)
            tell(notebook, {"state": "running", "seconds": seconds, "peak_mb": processes.measure(job), **progress})
            time.sleep(0.5)
        return job.process.returncode, job.peak_mb, state.read_json(scratch / "failure.json").get("reason")
    finally:
        if job:
            processes.reap(job)
        shutil.rmtree(scratch, ignore_errors=True)


def _job_file(scratch: Path, notebook: Notebook, target: Target) -> Path:
    return state.write_json(
        scratch / "job.json",
        {
            "notebook": notebook.path,
            "output": executed(target.out, notebook),
            "parameters": {"profile": target.source, "out": shown(target.out), "overrides": target.overrides},
            "cwd": home() / "notebooks",
            "progress": scratch / "progress.json",
            "failure": scratch / "failure.json",
        },
    )


def failure(notebook: Path, reason: str) -> str:
    """A few lines for people: the reason, and the cell that failed when the executed notebook shows one."""
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
