"""What both training stages need around the trainer: a device, resuming, reading rows, a model card.

A training works in OUT/training and moves to OUT when it is finished: until then the model of an earlier training stays
where it is, and a finished training is never continued. Not here: the trainers themselves (sft.py, grpo.py).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ValidationError

from phi4r_lib.problems import rows
from phi4r_lib.problems.fingerprint import file_fingerprint, fingerprint
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers
from phi4r_lib.train.settings import PLACE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NOTE = "training.json"  # which training this is (mark) and, once it is finished, its report and files
SEAL = "whole.json"  # written last into a checkpoint: the size of every file in it, and the best model it needs
JOURNAL = "metrics.jsonl"


def training_device(device: str) -> str:
    """ "cpu" or "cuda"; "auto" takes cuda when there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def no_telemetry() -> None:
    """Keeps TRL from telling its makers that a trainer starts, unless HF_HUB_DISABLE_TELEMETRY is set (0 allows it)."""
    from huggingface_hub import constants

    if "HF_HUB_DISABLE_TELEMETRY" not in os.environ:  # read once, when the hub's client was imported
        constants.HF_HUB_DISABLE_TELEMETRY = True


def read_rows(files: Iterable[Path], key: str) -> list[dict[str, Any]]:
    """Rows of JSONL files; raises ValueError naming file and line for a row without `key`."""
    found = [(place, row) for file in files for place, row in rows.read_rows(file)]
    for place, row in found:
        if key not in row:
            raise ValueError(f"{place}: field '{key}' is missing")
    return [row for _, row in found]


class Note(BaseModel):
    """What stands in training.json and in the seal of a checkpoint; anything unreadable or torn counts as an empty one."""

    mark: str = ""
    report: dict[str, Any] | None = None
    names: list[str] = []  # results of a finished training, in its folder
    files: str = ""  # their digest
    best: str | None = None  # folder of the best model so far
    sizes: dict[str, int] = {}  # bytes of every file of a checkpoint


class Report:
    """What the report of every training can show of its journal, `metrics`."""

    metrics: Path

    def table(self, kind: str) -> pd.DataFrame:
        """The journal's rows of one kind, "train" or "validation", indexed by step."""
        from phi4r_lib.train.curves import journal_table

        return journal_table(self.metrics, kind)

    def progress(self) -> Figure:
        """Loss, accuracy and length along the training: the report's figure 4."""
        from phi4r_lib.train.curves import sft_progress

        return sft_progress(self.table("train"), self.table("validation"))


@dataclass(frozen=True)
class Session:
    """A training in the folder `out`; made by `open_session`.

    Exactly one of three: `report` holds the facts of a finished training, `checkpoint` is where a killed one goes on,
    or both are None and training starts from nothing.
    """

    out: Path
    mark: str
    report: dict[str, Any] | None = None
    checkpoint: Path | None = None

    @property
    def work(self) -> Path:
        """Where checkpoints, metrics and models of the unfinished training lie."""
        return self.out / "training"

    def finish(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """Declares the training in `work` finished and moves its model, metrics and rollouts to `out`."""
        names = [path.name for path in sorted(self.work.iterdir()) if _is_result(path.name)]
        files = digest(self.work / name for name in names)
        rows.write_json(self.work / NOTE, {"mark": self.mark, "report": dict(report), "names": names, "files": files})
        _move_finished(self.out)
        return dict(report)


def inputs_of(
    model_dir: Path | str,
    files: Iterable[Path | str],
    validation: Iterable[Problem],
    seed: int,
    system: str | None,
    verifiers: Verifiers | None = None,
) -> dict[str, Any]:
    """What a training's outcome depends on beside its settings; contents count, not where they lie."""
    problems = [problem.model_dump() for problem in validation]
    data = {"base": Path(model_dir).name, "data": digest([*files, model_dir]), "validation": problems}
    judges = {
        name: one if isinstance(one, str | Mapping) else str(type(one)) for name, one in (verifiers or {}).items()
    }
    return data | {"seed": seed, "system": system} | ({"verifiers": judges} if judges else {})


def open_session(out: Path | str, settings: BaseModel, inputs: Mapping[str, Any]) -> Session:
    """The state of a training in `out`: finished, to be continued, or from nothing (and it says which when it matters).

    It is the same training when settings (all but where it runs) and inputs are the same. Then a finished one is taken as it is, provided that
    its files are unchanged, and a killed one goes on at its last whole checkpoint; the unfinished work of any other
    training goes away, so that two never mix.
    """
    out = Path(out)
    mark = fingerprint(settings.model_dump(exclude=PLACE), inputs, length=64)
    session = Session(out, mark)
    _move_finished(out)
    note = _read(out / NOTE)
    if note.mark == mark and note.report is not None:
        if note.files == digest(out / name for name in note.names):
            print(f"This training was finished before; its model is taken as it is. Delete {NOTE} to train anew.")
            if not (session.work / NOTE).exists():  # left by a kill in the move; with a note it is another training's
                shutil.rmtree(session.work, ignore_errors=True)
            return Session(out, mark, report=note.report)
        print(f"The finished model in {out.name} was changed or deleted since; training starts from nothing.")
    if _read(session.work / NOTE).mark == mark:
        checkpoint = _last_whole(session.work)
        if checkpoint:
            shutil.copyfile(checkpoint / JOURNAL, session.work / JOURNAL)
            return Session(out, mark, checkpoint=checkpoint)
    _start(session)
    return session


def _start(session: Session) -> None:
    """An empty work folder with the note of this training; says so when unusable work was there."""
    if list(session.work.glob("checkpoints/*")):
        print("No checkpoint can be used (of another training, or cut off by a kill); training starts from nothing.")
    shutil.rmtree(session.work, ignore_errors=True)
    session.work.mkdir(parents=True)
    rows.write_json(session.work / NOTE, {"mark": session.mark})


def seal(checkpoint: Path, best: str | None) -> None:
    """Declares a checkpoint whole, with the journal as of now and the name of the best model; older ones go away."""
    work = checkpoint.parents[1]
    shutil.copyfile(work / JOURNAL, checkpoint / JOURNAL)
    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    for path in files:
        _to_disk(path)
    sizes = {str(path.relative_to(checkpoint)): path.stat().st_size for path in files}
    rows.write_json(checkpoint / SEAL, {"best": best, "sizes": sizes})
    for old in [*checkpoint.parent.glob("checkpoint-*"), *work.glob("best-*")]:
        if old not in (checkpoint, work / str(best)):
            shutil.rmtree(old)


def _last_whole(work: Path) -> Path | None:
    """The newest checkpoint with all its files in full length and the best model it needs."""
    sealed = [path.parent for path in work.glob(f"checkpoints/checkpoint-*/{SEAL}")]
    for path in sorted(sealed, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        note = _read(path / SEAL)
        sizes = {path / name: size for name, size in note.sizes.items()}
        whole = bool(sizes) and all(file.is_file() and file.stat().st_size == size for file, size in sizes.items())
        if whole and (note.best is None or (work / note.best).is_dir()):
            return path
    return None


def _move_finished(out: Path) -> None:
    """Moves a finished training from its work folder to `out`, over an earlier one; a killed move is completed."""
    work = out / "training"
    note = _read(work / NOTE)
    if note.report is None:
        return
    (out / NOTE).unlink(missing_ok=True)
    for old in [path for path in out.iterdir() if _is_result(path.name) and path.name not in note.names]:
        old.unlink()
    for name in note.names:
        if (work / name).is_dir():
            shutil.rmtree(out / name, ignore_errors=True)
        if (work / name).exists():
            (work / name).replace(out / name)
    (work / NOTE).replace(out / NOTE)
    shutil.rmtree(work)


def _is_result(name: str) -> bool:
    return name in ("model", JOURNAL) or (name.startswith("rollouts-") and name.endswith(".parquet"))


def _read(path: Path) -> Note:
    try:
        return Note.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Note()


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def digest(files: Iterable[Path | str]) -> str:
    """A fingerprint of the contents of files, or of all files in a folder; what is absent counts as absent."""
    return fingerprint([file_fingerprint(file) for file in files], length=64)


def write_card(folder: Path, title: str, base: str, lines: Iterable[str], settings: BaseModel) -> Path:
    """The model's README.md: what it is, what it was trained on and how, and what it is not for."""
    text = [
        "---",
        "license: mit",
        "library_name: transformers",
        f"base_model: {base}",
        "tags: [phi4r, reasoning]",
        "---",
        f"# {title}",
        "",
        *[f"- {line}" for line in lines],
        "",
        "Settings:",
        "```json",
        json.dumps(settings.model_dump(), indent=1),
        "```",
        "",
        "Load it with `AutoModelForCausalLM.from_pretrained` and the chat template of its tokenizer. Made to learn",
        "from: it answers the kinds of problems it was trained on and nothing else.",
        "",
    ]
    return rows.write_text(folder / "README.md", "\n".join(text))
