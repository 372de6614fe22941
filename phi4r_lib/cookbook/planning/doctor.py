"""Checks of the machine before a run: what is there, what is missing, and what to do about it.

Not here: checks of a profile or a problems file (`phi4r validate`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import psutil

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.planning import preflight
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.problem_files import problem_files
from phi4r_lib.cookbook.settings.profile import home, load_profile
from phi4r_lib.cookbook.settings.stages import stages
from phi4r_lib.problems.verify import VERIFIERS, VerifierUnavailable, verifier_of

NEEDED_GB = 4.0
NEEDED_DISK_GB = 3.0


@dataclass(frozen=True)
class Finding:
    """One checked thing: ok, a warning (it works, but), or missing (a run would fail)."""

    level: Literal["ok", "warning", "missing"]
    text: str
    advice: str = ""


def python() -> Finding:
    """Python's version, and whether it is the tested one."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return Finding("ok", f"Python {version}")
    return Finding("warning", f"Python {version}", "tested with 3.11; `make run PYTHON=python3.11` uses that one")


def packages(constraints: Path) -> Finding:
    """Installed versions against the tested ones of constraints.txt."""
    if not constraints.is_file():
        return Finding("warning", "constraints.txt not found", "versions cannot be compared with the tested ones")
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", constraints.read_text(encoding="utf-8"), flags=re.MULTILINE)
    absent, other = [], []
    for name, tested in pins:
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if found.partition("+")[0] != tested.partition("+")[0]:
            other.append(f"{name} {found} (tested {tested})")
    if absent:
        return Finding("missing", f"not installed: {', '.join(absent)}", "pip install -e '.[dev]' -c constraints.txt")
    if other:
        return Finding("warning", f"other versions: {', '.join(other)}", "fine if the tests pass; else use constraints")
    return Finding("ok", f"{len(pins)} packages in the tested versions")


def memory() -> Finding:
    """Memory that is free now."""
    free = psutil.virtual_memory().available / 1e9
    if free >= NEEDED_GB:
        return Finding("ok", f"{free:.0f} GB of memory free")
    return Finding("warning", f"only {free:.1f} GB of memory free", f"the cpu profile wants {NEEDED_GB:.0f} GB")


def cores() -> Finding:
    """Cores that this process may use, and OMP_NUM_THREADS when it says something else."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads and threads != str(usable):
        return Finding("warning", f"{usable} cores, but OMP_NUM_THREADS is {threads}", "unset it for full speed")
    return Finding("ok", f"{usable} cores")


def disk() -> Finding:
    """Space where the run folders go."""
    free = shutil.disk_usage(home()).free / 1e9
    level = "ok" if free >= NEEDED_DISK_GB else "warning"
    return Finding(level, f"{free:.0f} GB of disk free", "" if level == "ok" else f"keep {NEEDED_DISK_GB:.0f} GB free")


def sandbox() -> Finding:
    """Bubblewrap, and whether the kernel lets it work."""
    if not shutil.which("bwrap"):
        return Finding(
            "warning",
            "bubblewrap is not installed",
            "programs of the code domain are not run without it: apt install bubblewrap",
        )
    probe = ["bwrap", "--ro-bind", "/", "/", "--unshare-net", "true"]
    if subprocess.run(probe, capture_output=True).returncode:
        return Finding("warning", "bubblewrap is installed but may not make namespaces here", "ask for user namespaces")
    return Finding("ok", "bubblewrap works")


def verifiers() -> Finding:
    """Which of the verifiers that ship can work here, and what the others lack; none of them is needed by the cpu profile."""
    absent = {}
    for name in VERIFIERS:
        try:
            verifier_of(name)
        except VerifierUnavailable as error:
            absent[name] = str(error)
    there = f"verifiers: {', '.join(name for name in VERIFIERS if name not in absent)}"
    if not absent:
        return Finding("ok", there)
    return Finding("ok", f"{there}; not here: {', '.join(absent)}", "; ".join(absent.values()))


def kernel() -> Finding:
    """The Jupyter kernel that runs the notebooks."""
    from jupyter_client.kernelspec import KernelSpecManager

    if "python3" in KernelSpecManager().find_kernel_specs():
        return Finding("ok", "Jupyter kernel 'python3'")
    return Finding("missing", "no Jupyter kernel 'python3'", "python -m ipykernel install --sys-prefix")


def files(profile_name: str = "cpu") -> list[Finding]:
    """Models, data and prompts of a profile."""
    profile = load_profile(profile_name)
    named = {key: value for key, value in profile.data.model_dump().items() if key not in ("map", "judges") and value}
    data = {f"data.{key}": file for key, value in named.items() for file, _ in problem_files(value)}
    models = {
        f"models.{key}": spec["model"]
        for key, spec in profile.models.model_dump().items()
        if spec and spec["kind"] in preflight.LOADED_HERE and preflight.is_path(spec["model"])
    }
    absent = [f"{key} ({name})" for key, name in data.items() if not (home() / name).exists()]
    gone = [f"{key} ({name})" for key, name in models.items() if not _is_there(home() / name)]
    found = []
    if absent:
        found.append(
            Finding(
                "missing",
                f"data files: {', '.join(absent)}",
                _from_where(absent) or "they ship with the repository: git checkout data",
            )
        )
    if gone:
        found.append(
            Finding(
                "missing",
                f"models: {', '.join(gone)}",
                _from_where(gone)
                or "`git checkout data/models` brings them back, `make models` trains them anew in about an hour",
            )
        )
    if not found:
        try:
            preflight.check(profile, [stage for stage in stages(profile.notebooks).values() if not stage.extra])
        except UserError as error:
            found.append(Finding("missing", str(error), f"then `phi4r doctor --profile {profile_name}` once more"))
    return found or [Finding("ok", f"models and data of profile '{profile_name}'")]


def _from_where(names: list[str]) -> str:
    """Who brings files that do not ship; "" for those that do."""
    if any(preflight.OWN in name for name in names):
        return f"the profile expects your own files there: put them into {preflight.OWN}, or name others in the profile"
    return "`make smollm2` makes them" if any("data/smollm2/" in name for name in names) else ""


def _is_there(place: Path) -> bool:
    """True for a folder with a model, or a file (of recorded answers)."""
    return place.is_file() or (place / "config.json").is_file()


def accelerator() -> Finding:
    """GPU, if torch sees one; the cpu profile needs none."""
    import torch

    if torch.cuda.is_available():
        return Finding("ok", f"GPU {torch.cuda.get_device_name(0)}")
    return Finding("ok", "no GPU (the cpu profile needs none)")


def findings(profile_name: str = "cpu") -> list[Finding]:
    """All checks, in the order in which they matter; models and data of the profile named."""
    constraints = home() / "constraints.txt"
    first = [python(), packages(constraints), memory(), cores(), disk(), sandbox()]
    if any(finding.level == "missing" for finding in first):
        return first + files(profile_name)
    return [*first, kernel(), verifiers(), *files(profile_name), accelerator()]


def main(profile_name: str = "cpu") -> int:
    """Prints the findings; 0 when a run can start, 1 when something is missing."""
    found = findings(profile_name)
    for finding in found:
        print(f"{finding.level:<8} {finding.text}" + (f"\n{'':<8} -> {finding.advice}" if finding.advice else ""))
    missing = sum(finding.level == "missing" for finding in found)
    print(
        f"{missing} problem{'s' if missing > 1 else ''} to fix before a run"
        if missing
        else f"ready: {state.versions()['python']}, `phi4r run{'' if profile_name == 'cpu' else f' --profile {profile_name}'}`"
    )
    return 1 if missing else 0
