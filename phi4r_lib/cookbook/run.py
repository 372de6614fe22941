"""A run as a notebook sees it: the validated profile, paths, artefacts of earlier notebooks, results.

A run is a folder; every file in it is written by one notebook and read by later ones. Works the same in JupyterLab,
under plain papermill and under `phi4r run`. Not here: running notebooks in order (runner.py).
"""

from __future__ import annotations

import ast
import itertools
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi4r_lib.cookbook import state
from phi4r_lib.cookbook.profile import UserError, home, load_profile, setting_notes
from phi4r_lib.cookbook.sections import Files, Profile
from phi4r_lib.models.engine import Engine, open_engine
from phi4r_lib.problems.rows import plain
from phi4r_lib.problems.schema import Problem, ProblemFileError, load_gold, load_problems

if TYPE_CHECKING:
    import pandas as pd


PARAMETERS = ("profile", "out", "overrides")
# On a CPU, torch keeps compiled kernels for a thousand shapes. Training on texts of many lengths meets thousands, which
# takes gigabytes; with 16 a training step is as fast (ours, measured on the cpu profile).
SHAPE_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


class MissingArtefact(UserError):
    """A file of an earlier notebook, or of the repository, that is not there yet."""


@dataclass(frozen=True)
class Run:
    """An open run folder; made by `open_run`."""

    profile: Profile
    out: Path
    versions: dict[str, str]
    source: str  # profile name or file, for the notes of `table`
    started: float = field(default_factory=time.perf_counter)

    def folder(self, name: str) -> Path:
        """A folder of the run, created when absent."""
        path = self.out / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def need(self, name: str) -> Path:
        """Path of an artefact of an earlier notebook; raises MissingArtefact that names the notebook to run."""
        path = self.out / name
        if path.exists():
            return path
        number = name[:2]
        notebook = state.notebook_files().get(number)
        which = f"notebooks/{notebook.name}" if notebook else f"notebook {number}"
        command = f"phi4r run --profile {self.source} --only {number} --out {shown(self.out)}"
        raise MissingArtefact(f"{name} is missing in {shown(self.out)}; run {which} first (or: {command})")

    def path(self, name: str) -> Path:
        """Path of a file of the repository (or an absolute path); raises MissingArtefact when it is not there."""
        path = home() / name
        if not path.exists():
            raise MissingArtefact(
                f"{name} does not exist in {home()}; check the profile; `git checkout data` brings shipped files back"
            )
        return path

    def problems(self, key: str, limit: int | None = None, *, optional: bool = False) -> list[Problem]:
        """Problems of the files that `profile.data.<key>` names; `data.map` applies to seeds.

        `limit` takes that many of them, the first of every file in proportion to its size. An unset key raises
        MissingArtefact, or gives no problems when `optional`; the same id in two files raises ProblemFileError.
        """
        named = getattr(self.profile.data, key)
        if named is None and optional:
            return []
        if named is None:
            raise MissingArtefact(f"data.{key} is not set in profile '{self.profile.name}'; set it to a problems file")
        mapping = self.profile.data.map if key == "seeds" else {}
        files = [(self.path(name), domain) for name, domain in problem_files(named)]
        return gather([(path, load_problems(path, mapping or None, domain=domain)) for path, domain in files], limit)

    def gold(self, problems: Sequence[Problem]) -> dict[str, str]:
        """{id: true answer} of those problems of which it is known, for measuring only.

        What a problem carries itself comes first; the file `data.gold` may hold answers to other problems too.
        """
        own = {problem.id: problem.answer for problem in problems if problem.answer is not None}
        name = self.profile.data.gold
        return (load_gold(self.path(name), problems) if name else {}) | own

    def engine(self, name: str, model: str | os.PathLike[str] | None = None) -> Engine:
        """Opens the engine `profile.models.<name>`; `model` puts another model folder (of this run, say) in its place."""
        spec = getattr(self.profile.models, name)
        return open_engine(spec.model_copy(update={"model": str(model)}) if model else spec)

    def table(self, section: str) -> pd.DataFrame:
        """Settings of one profile section with their unit and origin, as a table to show in the notebook."""
        import pandas as pd

        notes = setting_notes(self.source)
        values = plain(getattr(self.profile, section))
        values = values if isinstance(values, dict) else {section: values}
        rows = [(key, value, notes.get(f"{section}.{key}", "default")) for key, value in values.items()]
        return pd.DataFrame(rows, columns=["setting", "value", "unit and origin"], dtype=object).set_index("setting")

    def write_results(self, folder: str, results: Mapping[str, Any]) -> Path:
        """Writes FOLDER/results.json atomically: the notebook's last act, and the proof that it succeeded.

        Adds the profile's name, the seed and the seconds since `open_run`. A key "headline" ({label: value}) is
        what the report shows first.
        """
        number, seconds = folder[:2], round(time.perf_counter() - self.started, 1)
        about = {"profile": self.profile.name, "seed": self.profile.seed, "seconds": seconds, "written": _now()}
        path = state.write_json(self.folder(folder) / "results.json", {**results, "run": about})
        mark = state.fingerprint(number, self.profile, self.out)
        state.update_notebook(self.out, number, folder=folder, status="done", seconds=seconds, fingerprint=mark)
        return path


def problem_files(named: Files) -> list[tuple[str, str | None]]:
    """[(file, domain of rows that name none)] of a `data` entry: a file, a list of files, or {domain: file or list}."""
    if isinstance(named, dict):
        return [(file, domain) for domain, files in named.items() for file, _ in problem_files(files)]
    return [(file, None) for file in ([named] if isinstance(named, str) else named)]


def gather(files: list[tuple[Path, list[Problem]]], limit: int | None) -> list[Problem]:
    """The problems of several files in order, `limit` of them in proportion to the files' sizes."""
    seen: dict[str, Path] = {}
    for path, problems in files:
        for problem in problems:
            if problem.id in seen:
                raise ProblemFileError(f"{path}: id {problem.id!r} is also in {seen[problem.id]}; ids name one problem")
        seen |= {problem.id: path for problem in problems}
    total = sum(len(problems) for _, problems in files)
    if limit is None or limit >= total:
        return [problem for _, problems in files for problem in problems]
    ends = list(itertools.accumulate(len(problems) for _, problems in files))
    upto = [limit * end // total for end in ends]
    counts = [end - before for before, end in zip([0, *upto], upto, strict=False)]
    return [problem for (_, problems), count in zip(files, counts, strict=True) for problem in problems[:count]]


def shown(path: Path) -> str:
    """Path as a message shows it: relative to the repository where it lies inside."""
    return str(path.relative_to(home())) if path.is_relative_to(home()) else str(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def open_run(profile: str, out: str | os.PathLike[str], overrides: Any = None) -> Run:
    """Validates the profile with its overrides, creates the run folder and its run.json, returns the Run.

    `out` counts from the repository root unless absolute. Raises ProfileError for a bad profile or override and
    UserError when the folder holds a run of another profile, so that two sizes never mix.
    """
    if not isinstance(out, (str, os.PathLike)) or not str(out):
        raise UserError(f"out must name a run folder such as 'runs/cpu', found {out!r}")
    # Plain progress bars are meant: they survive in stored notebooks, widgets do not.
    warnings.filterwarnings("ignore", message="IProgress not found")
    for cache in SHAPE_CACHES:
        os.environ.setdefault(cache, "16")
    check_parameters()
    validated = load_profile(profile, overrides)
    path = state.resolve_out(out)
    claim(path, validated)
    path.mkdir(parents=True, exist_ok=True)
    manifest = state.read_json(path / "run.json")
    manifest |= {
        "profile": validated.model_dump(),
        "seeds": {"profile": validated.seed},
        "versions": state.versions(),
        "git_commit": state.git_commit(),
        "opened": _now(),
    }
    state.write_json(path / "run.json", manifest)
    return Run(with_model_paths(validated), path, manifest["versions"], str(profile))


def with_model_paths(profile: Profile) -> Profile:
    """The profile with full paths for models that lie in the repository, so that the working directory does not matter."""
    specs = {}
    for name in type(profile.models).model_fields:
        spec = getattr(profile.models, name)
        if spec is None:
            continue
        path = home() / spec.model
        specs[name] = spec.model_copy(update={"model": str(path)}) if path.is_dir() else spec
    return profile.model_copy(update={"models": profile.models.model_copy(update=specs)})


def check_parameters(shell: Any = None) -> None:
    """Raises UserError when papermill set a name that no notebook reads, or when the notebook overwrote what it set.

    Papermill itself says nothing in either case and runs the defaults (a mistyped name; no `parameters` tag).
    """
    ipython = sys.modules.get("IPython")
    shell = shell or (ipython.get_ipython() if ipython else None)
    cells = shell.user_ns.get("In", []) if shell else []
    for source in (cell for cell in cells if cell.startswith("# Parameters\n")):
        for statement in ast.parse(source).body:
            if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
                continue
            name, value = statement.targets[0].id, ast.literal_eval(statement.value)
            if name not in PARAMETERS:
                raise UserError(f"unknown parameter '{name}'; a notebook takes {', '.join(PARAMETERS)}")
            if shell.user_ns.get(name) != value:
                raise UserError(
                    f"parameter '{name}' was set to {value!r} but then overwritten; tag the parameters cell"
                )


def claim(out: Path, profile: Profile) -> None:
    """Raises UserError when `out` cannot be a run folder of this profile: a file, or results of another profile."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{shown(out)} is a file; give a folder as out, for example runs/{profile.name}")
    owner = state.read_json(out / "run.json").get("profile", {}).get("name", profile.name)
    if owner != profile.name and any(out.glob("[0-9][0-9]_*/results.json")):
        raise UserError(
            f"{shown(out)} holds a run of profile '{owner}', not '{profile.name}'; "
            f"give another folder (for example runs/{profile.name}) or delete it"
        )
