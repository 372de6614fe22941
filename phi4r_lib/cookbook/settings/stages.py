"""What a notebook says about itself: its place, what it needs, its settings; read from the `phi4r` entry of its metadata.

    "metadata": {"phi4r": {"stage": "10_words", "needs": ["02_rewrite/traces.jsonl"], "settings": {"words": "acme.words:Settings"}}}

`stage` is the notebook's file name and its folder in a run; the two digits give its place. `needs` are artefacts of
earlier stages: a stage's folder, a file or folder in it, or "*/model" for the models of every stage. `sections` are the parts of the profile
that decide how much work it is. `settings` maps sections of its own to pydantic models. `packages` are those that it uses in processes of their
own (the kernel's are seen). `extra: true` says that the recipe does without it: `phi4r run` leaves it out, `phi4r run --all` and
`--only NN` run it, its models are none of "*/model", and a profile may lack its settings. A notebook is one file, in notebooks/ or in a folder that the profile's `notebooks` names.
Not here: running a stage (runner.py), whether its results still hold (lineage.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phi4r_lib.cookbook.settings.exercises import TAGS
from phi4r_lib.cookbook.settings.home import UserError, home, shown, typed
from phi4r_lib.problems.fingerprint import remembered
from phi4r_lib.problems.named import UnknownNameError, named_class

PARAMETERS = ("profile", "out", "overrides")
EVERY_MODEL = "*/model"  # a need: the models of all stages, those of later ones too when they are there
EXAMPLE = '"phi4r": {"stage": "10_words", "needs": ["02_rewrite/traces.jsonl"]}'


class Declaration(BaseModel):
    """The `phi4r` entry of a notebook's metadata; see the head of this module."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    stage: str = Field(pattern=r"^[0-9]{2}_\w+$")
    needs: list[str]
    sections: list[str] = []
    settings: dict[str, str] = {}
    packages: list[str] = []
    extra: bool = False


@dataclass(frozen=True)
class Stage:
    """One notebook of the recipe; `fault` says in words why it cannot run, None when it can."""

    path: Path
    declaration: Declaration | None
    fault: str | None = None

    @property
    def name(self) -> str:
        """Its folder in a run, `01_edge`."""
        return self.path.stem

    @property
    def number(self) -> str:
        """Its place, `01`."""
        return self.path.stem[:2]

    @property
    def needs(self) -> list[str]:
        """Artefacts of earlier stages that it reads."""
        return self.declaration.needs if self.declaration else []

    @property
    def sections(self) -> list[str]:
        """Sections of the profile that decide how much work it is, its own among them."""
        return [*self.declaration.sections, *self.declaration.settings] if self.declaration else []

    @property
    def extra(self) -> bool:
        """Whether the recipe does without it, so that only --all or its number runs it."""
        return bool(self.declaration and self.declaration.extra)


def stages(folders: Sequence[str] = ()) -> dict[str, Stage]:
    """{"01": Stage, ...} in order: the notebooks of the house and of further folders, copies left out.

    A further folder's notebook takes the place of one with the same name. Raises UserError for a folder that is not
    there and for two stages with one number; a notebook's own faults are in `Stage.fault`.
    """
    found: dict[str, Stage] = {}
    for folder in (home() / "notebooks", *(_existing(folder) for folder in folders)):
        for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
            stage = read(path)
            before = found.get(stage.number)
            if stage.declaration and stage.declaration.stage != path.stem:
                continue
            if before and before.name != stage.name:
                both = f"{shown(before.path)} and {shown(path)}"
                raise UserError(f"{both} have the same number; give one of them another (file name and stage)")
            found[stage.number] = stage
    return dict(sorted(found.items()))


def copies(folders: Sequence[str] = ()) -> list[Path]:
    """Notebooks that declare another stage than their name says: copies, which no run executes."""
    places = (home() / "notebooks", *(_existing(folder) for folder in folders))
    found = (read(path) for folder in places for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")))
    return [stage.path for stage in found if stage.declaration and stage.declaration.stage != stage.path.stem]


def _existing(folder: str) -> Path:
    path = home() / typed(folder)
    if not path.is_dir():
        raise UserError(
            f"folder of notebooks {folder} does not exist; correct `notebooks` in the profile, or --notebooks"
        )
    return path


@remembered
def read(path: Path) -> Stage:
    """The stage that a notebook file declares, or a Stage with a `fault`."""
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        entry = book["metadata"].get("phi4r")
        cells = book["cells"]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        return Stage(path, None, f"{shown(path)} is not a notebook ({error})")
    if not isinstance(entry, dict) or "needs" not in entry:
        return Stage(
            path, None, f"{shown(path)} declares no needs; add to the notebook's metadata {EXAMPLE}, [] for none"
        )
    try:
        declaration = Declaration(**entry)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(["metadata.phi4r", *map(str, fault["loc"])])
        return Stage(path, None, f"{shown(path)}: {where}: {fault['msg']}; it looks like {EXAMPLE}")
    return Stage(path, declaration, _late_needs(path, declaration) or _parameters(path, cells))


def _late_needs(path: Path, declaration: Declaration) -> str | None:
    others = [need for need in declaration.needs if need != EVERY_MODEL]
    wrong = [need for need in others if not re.match(r"[0-9]{2}_\w+(/|$)", need) or ".." in need]
    late = wrong or [need for need in others if need[:2] >= declaration.stage[:2]]
    return f"{shown(path)} needs {late[0]}, which is no artefact of an earlier stage" if late else None


def _parameters(path: Path, cells: Iterable[Any]) -> str | None:
    """What is wrong with the `parameters` cell, which has to set profile, out and overrides."""
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    source = "".join(tagged[0]["source"]) if tagged else ""
    names = {line.partition("=")[0].strip() for line in source.splitlines() if "=" in line}
    missing = ", ".join(sorted(set(PARAMETERS) - names))
    silent = "without it papermill would silently run the defaults"
    return f"{shown(path)}: no cell tagged 'parameters' sets {missing}; {silent}" if missing else None


def own_settings(folders: Sequence[str] = ()) -> dict[str, tuple[type[BaseModel], bool]]:
    """{section: (pydantic model, whether its notebook is extra)} of all stages.

    Raises UserError for a name that leads to no model, and for a section that two notebooks declare differently.
    """
    found: dict[str, tuple[type[BaseModel], bool]] = {}
    for stage in stages(folders).values():
        for section, name in (stage.declaration.settings if stage.declaration else {}).items():
            try:
                model = named_class(name, {}, "settings model")
            except UnknownNameError as error:
                raise UserError(f"{shown(stage.path)}: {error}") from None
            if not (isinstance(model, type) and issubclass(model, BaseModel)):
                raise UserError(f"{shown(stage.path)}: '{name}' is no pydantic model; settings are one")
            before, extra = found.setdefault(section, (model, stage.extra))
            found[section] = (model, extra and stage.extra)
            if before is not model:
                raise UserError(f"{shown(stage.path)}: section '{section}' is also another notebook's; rename it")
    return found


def code_of(path: Path, exercises: bool = True) -> list[str]:
    """Source of every code cell, outputs left out; without `exercises`, the reader's cells and their checks are left out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    skipped = frozenset() if exercises else TAGS
    return [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and skipped.isdisjoint(cell.get("metadata", {}).get("tags", []))
    ]
