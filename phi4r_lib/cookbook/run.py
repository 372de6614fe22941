"""A run as a notebook sees it: the validated profile, paths, artefacts of earlier notebooks, results.

A run is a folder; every file in it is written by one notebook and read by later ones. Works the same in JupyterLab,
under plain papermill and under `phi4r run`. Whatever a notebook reads through its Run is noted, so that later one can
say whether its results still hold. Not here: running notebooks in order (runner.py).
"""

from __future__ import annotations

import ast
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, cast

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.folder.lineage import Reads, Watched, lineage_of, outputs, reached
from phi4r_lib.cookbook.folder.run_folder import RunFolder, as_text, choose_folder
from phi4r_lib.cookbook.settings import profile as profiles
from phi4r_lib.cookbook.settings.home import UserError, home, resolve_out, show_in_one_line, shown
from phi4r_lib.cookbook.settings.problem_files import gather, problem_files
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.cookbook.settings.stages import PARAMETERS, code_of, stages
from phi4r_lib.models.engine import Engine, Progress, Sample, SamplingSettings, open_engine
from phi4r_lib.problems.answers import Plurality
from phi4r_lib.problems.named import UnknownNameError, named_class
from phi4r_lib.problems.rows import plain, read_rows, write_json, write_rows, write_table
from phi4r_lib.problems.schema import Problem, load_gold, load_problems, problem_of
from phi4r_lib.problems.verify import Verdict, Verifiers, check_defined, verify_samples, vote

if TYPE_CHECKING:
    import pandas as pd


# On a CPU, torch keeps compiled kernels for a thousand shapes. Training on texts of many lengths meets thousands, which
# takes gigabytes; with 16 a training step is as fast (ours, measured on the cpu profile).
SHAPE_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
# Nothing is reported to anybody unless the user asks for it by setting these to something else.
SILENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
# Bars of libraries ("Loading weights", "Map") would stay in a saved notebook; our own says what takes long.
NO_BARS = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}


class MissingArtefact(UserError):
    """A file of an earlier notebook, or of the repository, that is not there yet."""


@dataclass(frozen=True)
class Run:
    """An open run folder; made by `open_run`. `profile` notes which sections are read."""

    profile: Profile
    out: Path
    versions: dict[str, str]
    source: str  # profile name or file, for the notes of `table`
    settings: dict[str, Any]  # the profile as plain data
    cells: dict[str, list[str]]  # code of every notebook when this one was opened
    reads: Reads = field(default_factory=Reads)
    started: float = field(default_factory=time.perf_counter)

    def folder(self, name: str) -> Path:
        """A folder of the run, created when absent."""
        path = self.out / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def need(self, name: str) -> Path:
        """Path of an artefact of an earlier notebook, here or in the run that this one varies.

        Says so when the artefact is older than its inputs. Raises MissingArtefact that names the notebook to run.
        """
        folder, number = RunFolder(self.out, self.settings), name[:2]
        path = folder.locate(name)
        if not path.exists():
            stage = folder.stages.get(number)
            which = shown(stage.path) if stage else f"notebook {number}"
            change = "".join(f" --set {quote(text)}" for text in as_text(folder.manifest.get("overrides") or {}))
            command = f"phi4r run --profile {self.source} --only {number}{change} --out {shown(self.out)}"
            raise MissingArtefact(f"{name} is missing in {shown(self.out)}; run {which} first (or: {command})")
        changed = folder.changed(number)
        if changed and name not in self.reads.inputs:
            print(f"note: {name} is older than what it comes from: {'; '.join(changed)}. `phi4r run` makes it anew.")
        self.reads.artefact(name, path)
        return path

    def models(self) -> dict[str, Path]:
        """{"sft": folder, "grpo": folder, ...}: every trained model of the run, in the order of the stages.

        A stage's only model has the name of the stage, one of several that of its part too (07_mini/2_sft: "mini_sft").
        Raises MissingArtefact when nothing is trained yet.
        """
        folder = RunFolder(self.out, self.settings)
        names = folder.model_names()
        if not names:
            stale = RunFolder(folder.varies, self.settings).changed("03") if folder.varies else []
            why = (
                f" (that of {shown(folder.varies)} is out of date: {'; '.join(stale)})"
                if folder.varies and stale
                else ""
            )
            raise MissingArtefact(f"{shown(self.out)} holds no trained model{why}; run notebooks/03_sft.ipynb first")
        bare = {
            name: "_".join(part.lstrip("0123456789").lstrip("_") for part in name.split("/")[:-1]) for name in names
        }
        return {bare[name]: self.need(name) for name in names}

    def path(self, name: str) -> Path:
        """Path of a file of the repository (or an absolute path); raises MissingArtefact when it is not there."""
        path = home() / name
        if not path.exists():
            raise MissingArtefact(
                f"{name} does not exist in {home()}; check the profile; `git checkout data` brings shipped files back"
            )
        self.reads.file(path)
        return path

    def system(self) -> str:
        """The system message that the recipe's models are trained and asked with: system.txt of the profile's prompts."""
        return (self.path(self.profile.prompts) / "system.txt").read_text(encoding="utf-8").strip()

    def problems(self, key: str, limit: int | None = None, *, optional: bool = False) -> list[Problem]:
        """Problems of the files that `profile.data.<key>` names; `data.map` applies to seeds.

        `limit` takes that many of them, the first of every file in proportion to its size. An unset key raises
        MissingArtefact, or gives no problems when `optional`; the same id in two files raises ProblemFileError, a verifier
        that nobody defined UserError.
        """
        named = getattr(self.profile.data, key)
        if named is None and optional:
            return []
        if named is None:
            raise MissingArtefact(f"data.{key} is not set in profile '{self.profile.name}'; set it to a problems file")
        mapping = self.profile.data.map if key == "seeds" else {}
        files = [(self.path(name), domain) for name, domain in problem_files(named)]
        found = gather([(path, load_problems(path, mapping or None, domain=domain)) for path, domain in files], limit)
        try:
            check_defined((problem.verifier for problem in found), self.profile.verifiers)
        except UnknownNameError as error:
            raise UserError(f"data.{key} of profile '{self.profile.name}': {error}") from None
        return found

    def problems_of(self, rows: Iterable[Mapping[str, Any]]) -> list[Problem]:
        """The problems behind rows whose prompts are messages, such as those of 02_rewrite/rl.jsonl."""
        return [problem_of(row) for row in rows]

    def gold(self, problems: Sequence[Problem]) -> dict[str, str]:
        """{id: true answer} of those problems of which it is known, for measuring only.

        What a problem carries itself comes first; the file `data.gold` may hold answers to other problems too.
        """
        own = {problem.id: problem.answer for problem in problems if problem.answer is not None}
        name = self.profile.data.gold
        return (load_gold(self.path(name), problems) if name else {}) | own

    def judge(self, name: str) -> Callable[..., Any] | None:
        """The function that `profile.data.judges` names for something only the maker of the data knows; None where none is named."""
        path = self.profile.data.judges.get(name)
        try:
            return named_class(path, {}, f"data.judges.{name}") if path else None
        except UnknownNameError as error:
            raise UserError(f"profile '{self.profile.name}': {error}") from None

    def engine(self, name: str, model: str | os.PathLike[str] | None = None, system: str | None = None) -> Engine:
        """Opens the engine `profile.models.<name>`; `model` puts another model folder (of this run, say) in its place.

        `system` is the system message of a model that was trained with one.
        """
        spec = getattr(self.profile.models, name)
        change = {key: value for key, value in (("model", model and str(model)), ("system", system)) if value}
        return open_engine(spec.model_copy(update=change) if change else spec)

    def sampling(self, **settings: Any) -> SamplingSettings:
        """How to sample: `n`, `temperature`, `max_tokens` and so on; the seed is the profile's unless it is given."""
        return SamplingSettings(**{"seed": self.profile.seed} | settings)

    def verify(self, problems: Sequence[Problem], samples: Sequence[Sample]) -> list[Verdict]:
        """Judges one sample per problem, each with the verifier that its problem names; see `problems.verify.verify`."""
        return verify_samples(problems, samples, self.profile.verifiers)

    def vote(self, answers: Sequence[str | None], problem: Problem | None = None) -> Plurality:
        """The most frequent answer, equal ones together as the problem's verifier sees it: as numbers where none is given."""
        sums = Problem(id="any", domain="math", prompt="?", source="ours", licence="none")
        return vote(problem or sums, answers, self.profile.verifiers)

    def evaluate(
        self,
        engine: Engine,
        problems: Sequence[Problem],
        runs: int,
        settings: SamplingSettings,
        folder: Path,
        progress: Progress | None = None,
        *,
        model: str | None = None,
        verifiers: Verifiers | None = None,
    ) -> pd.DataFrame:
        """Answers of `runs` independent runs over the problems, judged: one row per problem and run; see `measure.evaluate`.

        verifiers: who judges, the profile's unless given.
        """
        from phi4r_lib.measure.evaluate import evaluate

        self.reads.code |= set(reached("phi4r_lib.measure.evaluate"))
        judges = self.profile.verifiers if verifiers is None else verifiers
        return evaluate(engine, problems, runs, settings, folder, progress, model=model, verifiers=judges)

    def table(self, section: str) -> pd.DataFrame:
        """Settings of one profile section with their unit and origin, as a table to show in the notebook."""
        import pandas as pd

        notes = profiles.setting_notes(self.source)
        values = plain(getattr(self.profile, section))
        values = values if isinstance(values, dict) else {section: values}
        rows = [(key, value, notes.get(f"{section}.{key}", "default")) for key, value in values.items()]
        return pd.DataFrame(rows, columns=["setting", "value", "unit and origin"], dtype=object).set_index("setting")

    def rows(self, name: str | Path) -> list[dict[str, Any]]:
        """The rows of an artefact of the run, named as for `need`, or of any data file given as a path."""
        return list(self.each(name))

    def each(self, name: str | Path) -> Iterator[dict[str, Any]]:
        """As `rows`, one row at a time: for files larger than memory."""
        path = name if isinstance(name, Path) else self.need(name)
        return (row for _, row in read_rows(path))

    def write(self, name: str, data: Any) -> Path:
        """Writes an artefact of the run, such as "02_rewrite/rl.jsonl", atomically; returns its path.

        The ending says what `data` is: .jsonl rows, .parquet a table, .json anything else that JSON can hold.
        """
        path = self.folder(name.partition("/")[0]) / name.partition("/")[2]
        return {".jsonl": write_rows, ".parquet": write_table}.get(path.suffix, write_json)(path, data)

    def write_results(self, folder: str, results: Mapping[str, Any]) -> Path:
        """Writes FOLDER/results.json atomically: the notebook's last act, and the proof that it succeeded.

        Adds the profile's name, the seed and the seconds since `open_run`. A key "headline" ({label: value}) is
        what the report shows first.
        """
        number, seconds = folder[:2], round(time.perf_counter() - self.started, 1)
        about = {"profile": self.settings["name"], "seed": self.settings["seed"], "seconds": seconds, "written": _now()}
        path = state.write_json(self.folder(folder) / "results.json", {**results, "run": about})
        record = {"status": "done", "folder": folder, "seconds": seconds, "lineage": self.lineage(number)}
        state.update_notebook(self.out, number, **record, outputs=outputs(path.parent))
        return path

    def lineage(self, number: str) -> dict[str, dict[str, str]]:
        """What the results of a stage depend on, as noted up to now; its own artefacts are not among it."""
        stage = stages(self.settings["notebooks"]).get(number)
        packages = stage.declaration.packages if stage and stage.declaration else ()
        found = lineage_of(self.reads, self.settings, self.cells.get(number, []), packages)
        return found | {"inputs": {name: mark for name, mark in found["inputs"].items() if name[:2] != number}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def open_run(profile: str, out: str | os.PathLike[str], overrides: Any = None) -> Run:
    """Validates the profile with its overrides, creates the run folder and its run.json, returns the Run.

    `out` counts from the repository root unless absolute. Overrides that differ from those of the run in `out` lead to a
    folder beside it, named after the change, and say so. Raises ProfileError for a bad profile or override and
    UserError when the folder holds a run of another profile, so that two sizes never mix.
    """
    show_in_one_line()
    if not isinstance(out, (str, os.PathLike)) or not str(out):
        raise UserError(f"out must name a run folder such as 'runs/cpu', found {out!r}")
    # Plain progress bars are meant: they survive in stored notebooks, widgets do not.
    warnings.filterwarnings("ignore", message="IProgress not found")
    for name, value in {**dict.fromkeys(SHAPE_CACHES, "16"), **SILENT, **NO_BARS}.items():
        os.environ.setdefault(name, value)
    check_parameters()
    whole_tables()
    change = profiles.nested(overrides or {})
    validated = profiles.load_profile(profile, change)
    path, varies = choose_folder(resolve_out(out), validated.name, change)
    if varies:
        print(f"{', '.join(as_text(change))}: this run goes to {shown(path)} and varies {shown(varies)}.")
    versions = _record(path, validated, str(profile), change, varies)
    found = stages(validated.notebooks).items()
    cells = {number: code_of(stage.path, exercises=False) for number, stage in found if not stage.fault}
    reads = Reads()
    watched = cast(Profile, Watched(with_model_paths(validated), reads))
    return Run(watched, path, versions, str(profile), plain(validated), cells, reads)


def whole_tables() -> None:
    """Lets a notebook show tables with every column and the whole text of a cell; pandas cuts both by default."""
    if "IPython" in sys.modules:
        import pandas as pd

        pd.set_option("display.max_colwidth", None, "display.max_columns", None, "display.width", 160)


def _record(
    out: Path, profile: Profile, source: str, overrides: Mapping[str, Any], varies: Path | None
) -> dict[str, str]:
    """Writes what the run is into run.json; returns the versions."""
    state.begin(out, source, overrides, varies)
    manifest = state.read_json(out / "run.json")
    versions = state.versions()
    manifest |= {"profile": profile.model_dump(), "seeds": {"profile": profile.seed}, "versions": versions}
    manifest |= {"git_commit": state.git_commit(), "opened": _now()}
    state.write_json(out / "run.json", manifest)
    return versions


def with_model_paths(profile: Profile) -> Profile:
    """The profile with full paths for models that lie in the repository, so that the working directory does not matter."""
    specs = {}
    for name in type(profile.models).model_fields:
        spec = getattr(profile.models, name)
        if spec is None:
            continue
        path = home() / spec.model
        ours = path.is_file() if spec.kind == "recorded" else path.is_dir()
        specs[name] = spec.model_copy(update={"model": str(path)}) if ours else spec
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
