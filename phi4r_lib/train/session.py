"""What both training stages need around the trainer: a device, resuming, reading rows, a model card.

Not here: the trainers themselves (sft.py, grpo.py).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from transformers.trainer_utils import get_last_checkpoint


def training_device(device: str) -> str:
    """ "cpu" or "cuda"; "auto" takes cuda when there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def read_rows(files: Iterable[Path], key: str) -> list[dict[str, Any]]:
    """Rows of JSONL files; raises ValueError naming file and line for a row without `key`."""
    rows = []
    for file in files:
        for number, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{file}, line {number}: not JSON ({error.msg})") from None
            if not isinstance(row, dict) or key not in row:
                raise ValueError(f"{file}, line {number}: field '{key}' is missing")
            rows.append(row)
    return rows


def resume_point(out: Path, settings: BaseModel, inputs: Mapping[str, Any]) -> str | None:
    """The last checkpoint of the same training in out/checkpoints, or None for a fresh start.

    The same training means the same settings and inputs; otherwise the old checkpoints, metrics and models go away,
    so that two trainings never mix.
    """
    mark = hashlib.sha256(json.dumps([settings.model_dump(), inputs], sort_keys=True, default=str).encode()).hexdigest()
    note = out / "training.json"
    same = note.exists() and json.loads(note.read_text(encoding="utf-8"))["mark"] == mark
    if not same:
        for name in ("checkpoints", "best", "model"):
            shutil.rmtree(out / name, ignore_errors=True)
        for old in (out / "metrics.jsonl", *out.glob("rollouts-*.parquet")):
            old.unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"mark": mark}) + "\n", encoding="utf-8")
    checkpoints = out / "checkpoints"
    return get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None


def digest(files: Iterable[Path]) -> str:
    """A fingerprint of the contents of files, or of all files in a folder."""
    sha = hashlib.sha256()
    for file in files:
        path = Path(file)
        for part in sorted(path.iterdir()) if path.is_dir() else [path]:
            if part.is_file():
                sha.update(part.name.encode() + part.read_bytes())
    return sha.hexdigest()


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
    path = folder / "README.md"
    path.write_text("\n".join(text), encoding="utf-8")
    return path
