"""A run on disk as one profile sees it: which folder, whose results hold, and where an artefact lies.

A run with other settings gets a folder of its own, named after the change, and reads what the change leaves alone from the run it varies.
Nothing of the earlier run is written. Not here: what results depend on (lineage.py), what a notebook calls (run.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from phi4r_lib.cookbook.folder import lineage, state
from phi4r_lib.cookbook.settings.home import UserError, home, resolve_out, shown
from phi4r_lib.cookbook.settings.stages import EVERY_MODEL, Stage, stages
from phi4r_lib.problems.rows import plain

LONGEST_NAME = 60  # characters of a change in a folder's name; longer ones end in a hash; ours


class RunFolder:
    """The run in `out`; `settings` are those of the profile as plain data, `varies` the run it is a variant of.

    What it says is true when it is made: make a new one after a notebook has run.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], varies: Path | None = None) -> None:
        self.out, self.settings = out, settings
        self.manifest = state.read_json(out / "run.json")
        named = self.manifest.get("varies")
        self.varies = varies or (resolve_out(named) if named else None)
        self.stages = stages(settings.get("notebooks") or ())
        self._holders: dict[str, Path] = {}

    def holder(self, number: str) -> Path:
        """The folder whose results of a stage count here: this one, or the varied run where its own still hold."""
        if number not in self._holders:
            self._holders[number] = self.out  # in a circle of needs the own folder counts
            begun = number in self.manifest.get("notebooks", {}) or any(self.out.glob(f"{number}_*"))
            held = (folder for folder in self.earlier() if not self._why_not(folder, number))
            self._holders[number] = self.out if begun else next(held, self.out)
        return self._holders[number]

    def earlier(self) -> Iterator[Path]:
        """The run that this one varies, the one that that one varies, and so on."""
        folder, seen = self.varies, {self.out}
        while folder and folder not in seen:
            yield folder
            seen.add(folder)
            named = state.read_json(folder / "run.json").get("varies")
            folder = resolve_out(named) if named else None

    def locate(self, name: str) -> Path:
        """Where an artefact such as "03_sft/model" lies; the path in this folder when it is nowhere."""
        return self.holder(name[:2]) / name

    def outdated(self, number: str) -> str | None:
        """Why a stage has to run, or None when results of it hold, here or in the varied run."""
        return self._why_not(self.holder(number), number)

    def changed(self, number: str) -> list[str]:
        """What has changed since a finished stage ran; [] for nothing, or when it has not finished."""
        record = self.record(number)
        finished = record.get("status") == "done" and state.results_file(self.holder(number), number)
        return self._changes(record, number) if finished else []

    def record(self, number: str) -> dict[str, Any]:
        """The entry of a stage in the run.json of its holder."""
        return state.read_json(self.holder(number) / "run.json").get("notebooks", {}).get(number, {})

    def _why_not(self, folder: Path, number: str) -> str | None:
        if state.results_file(folder, number) is None:
            return "no results yet"
        record = state.read_json(folder / "run.json").get("notebooks", {}).get(number, {})
        if record.get("status") != "done":
            return "not finished"
        broken = lineage.spoilt(folder / str(record.get("folder")), record.get("outputs") or {})
        return "; ".join([*self._changes(record, number), *broken]) or None

    def _changes(self, record: Mapping[str, Any], number: str) -> list[str]:
        if not record.get("lineage"):
            return ["phi4r itself changed (no lineage recorded)"]
        stage = self.stages.get(number)
        found = lineage.changes(record["lineage"], self.settings, stage, self.locate)
        if stage and EVERY_MODEL in stage.needs:
            new = sorted(set(self.model_names()) - set(record["lineage"]["inputs"]))
            found += [f"inputs changed ({', '.join(new)} came later)"] if new else []
        return found

    def missing(self, stage: Stage) -> list[str]:
        """Needs of a stage that are not there."""
        absent = [need for need in stage.needs if need != EVERY_MODEL and not self.locate(need).exists()]
        return absent + ([EVERY_MODEL] if EVERY_MODEL in stage.needs and not self.model_names() else [])

    def model_names(self) -> list[str]:
        """Every trained model of the run as an artefact, "03_sft/model", in the order of the stages, extra ones left out.

        A model is STAGE/model, or STAGE/PART/model where the stage numbers its parts ("07_mini/2_sft/model").
        """
        found = []
        folders = [self.out, *self.earlier()]
        for number in sorted({path.name[:2] for folder in folders for path in folder.glob("[0-9][0-9]_*")}):
            if number in self.stages and self.stages[number].extra:
                continue
            folder = self.holder(number)
            for place in (f"{number}_*/model", f"{number}_*/[0-9]_*/model"):
                found += [
                    str(path.relative_to(folder))
                    for path in sorted(folder.glob(place))
                    if (path / "config.json").is_file()
                ]
        return found


def choose_folder(out: Path | None, profile: str, overrides: Mapping[str, Any]) -> tuple[Path, Path | None]:
    """(run folder, the run it varies or None) for a profile's name and nested overrides.

    Without overrides the folder is `out`, by default runs/PROFILE. With overrides it is one beside that, named after the
    change, so that a change never destroys; an `out` of your own that holds nothing yet, or a run with these very
    overrides, is taken as it is. Raises UserError when the folder is a file, holds another profile's run, or was made
    with overrides and none are given.
    """
    change = _change(overrides)
    default = home() / "runs" / profile
    folder = out or default
    _claim(folder, profile)
    made_with = _change(state.read_json(folder / "run.json").get("overrides") or {})
    used = any(folder.glob("[0-9][0-9]_*"))
    if change == made_with if used else not (change and folder == default):
        return folder, None
    if not change:
        raise UserError(
            f"{shown(folder)} was made with {' '.join(f'--set {quote(text)}' for text in as_text(made_with))}; "
            "say so again, or give another folder with --out"
        )
    variant = folder.with_name(f"{folder.name}+{name_of(change)}")
    _claim(variant, profile)
    return variant, folder if folder.is_dir() else None


def _change(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return plain({key: value for key, value in overrides.items() if key not in lineage.NO_RESULT})


def as_text(overrides: Mapping[str, Any]) -> list[str]:
    """Nested overrides as `--set` takes them: ["sft.passes=1", ...]."""
    flat = []
    for key, value in overrides.items():
        if isinstance(value, Mapping) and value:
            flat += [f"{key}.{text}" for text in as_text(value)]
        else:
            flat.append(f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    return flat


def name_of(change: Mapping[str, Any]) -> str:
    """A folder's name for a change: "sft.passes-1"; files by their names, and a hash where something is left out."""
    texts = as_text(change)
    short = "+".join(re.sub(r"[^\w.+-]+", "-", re.sub(r"[^=+]*/", "", text)).strip("-") for text in sorted(texts))
    plain = "+".join(sorted(text.replace("=", "-") for text in texts))
    if short == plain and len(short) <= LONGEST_NAME:
        return short
    return f"{short[:LONGEST_NAME].rstrip('-+.')}-{lineage.mark(dict(change))[:6]}"


def _claim(out: Path, profile: str) -> None:
    """Raises UserError when `out` cannot be a run folder of this profile: a file, or results of another profile."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{shown(out)} is a file; give a folder as out, for example runs/{profile}")
    foreign = [] if state.is_run(out) else state.foreign(out)
    if foreign:
        raise UserError(
            f"{shown(out)} is no run folder of phi4r and not empty ({foreign[0]} lies in it): nothing of yours is "
            f"overwritten; give a new folder, for example --out runs/{profile}"
        )
    owner = state.read_json(out / "run.json").get("profile", {}).get("name", profile)
    if owner != profile and any(out.glob("[0-9][0-9]_*/results.json")):
        raise UserError(
            f"{shown(out)} holds a run of profile '{owner}', not '{profile}'; "
            f"give another folder (for example runs/{profile}) or delete it"
        )
