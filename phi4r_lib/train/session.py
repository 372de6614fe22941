"""What both training stages need around the trainer: a device, resuming, reading rows, a model card.

Not here: the trainers themselves (sft.py, grpo.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from transformers.trainer_utils import get_last_checkpoint

from phi4r_lib.problems import rows
from phi4r_lib.problems.fingerprint import file_fingerprint, fingerprint


def training_device(device: str) -> str:
    """ "cpu" or "cuda"; "auto" takes cuda when there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def read_rows(files: Iterable[Path], key: str) -> list[dict[str, Any]]:
    """Rows of JSONL files; raises ValueError naming file and line for a row without `key`."""
    found = [(place, row) for file in files for place, row in rows.read_rows(file)]
    for place, row in found:
        if key not in row:
            raise ValueError(f"{place}: field '{key}' is missing")
    return [row for _, row in found]


def resume_point(out: Path, settings: BaseModel, inputs: Mapping[str, Any]) -> str | None:
    """The last checkpoint of the same training in out/checkpoints, or None for a fresh start.

    The same training means the same settings and inputs; otherwise the old checkpoints, metrics and models go away,
    so that two trainings never mix.
    """
    mark = fingerprint(settings.model_dump(), inputs, length=64)
    note = out / "training.json"
    same = note.exists() and rows.read_json(note)["mark"] == mark
    if not same:
        for name in ("checkpoints", "best", "model"):
            shutil.rmtree(out / name, ignore_errors=True)
        for old in (out / "metrics.jsonl", *out.glob("rollouts-*.parquet")):
            old.unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        rows.write_json(note, {"mark": mark})
    checkpoints = out / "checkpoints"
    return get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None


def digest(files: Iterable[Path]) -> str:
    """A fingerprint of the contents of files, or of all files in a folder."""
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
