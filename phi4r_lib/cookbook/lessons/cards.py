"""What notebook 08 leaves behind: a filled profile, a data card and a model card, all from what the run really did."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from phi4r_lib.cookbook.lessons.checklist import Gates
from phi4r_lib.cookbook.lessons.domain_run import FOLDER, short
from phi4r_lib.cookbook.lessons.domain_seeds import Split, example_file, family, licences
from phi4r_lib.cookbook.run import Run
from phi4r_lib.cookbook.settings.profile import load_profile, profile_path
from phi4r_lib.problems.rows import plain, write_text
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import VERIFIERS


def filled_profile(run: Run, steps: int) -> Path:
    """08_your_domain/profile.yaml: the run's profile with this domain's seeds, verifiers and the settings that were found.

    `steps` are those of the next, larger GRPO run. The file is loaded once, so it is valid. Raises ProfileError.
    """
    example, checklist = example_file(run), run.settings["checklist"]
    maker = checklist["example_maker"] if example else checklist["maker"]
    data = {"seeds": example, "map": {}} if example else {name: run.settings["data"][name] for name in ("seeds", "map")}
    grpo = plain(short(run))
    kept = ("prompts", "micro_batches", "learning_rate", "max_tokens", "group", "filter_groups")
    named = {
        name: spec
        for name, spec in run.settings["verifiers"].items()
        if name not in VERIFIERS or isinstance(spec, dict)
    }
    found = {
        "extends": _parent(run, run.folder(FOLDER)),
        "seed": run.settings["seed"],
        "data": data | {"gold": None},
        "grpo": {"steps": steps} | {name: grpo[name] for name in kept},
        "checklist": {**checklist, "example": None, "example_for": None, "example_maker": None, "maker": maker},
    }
    text = yaml.safe_dump(found | ({"verifiers": named} if named else {}), sort_keys=False, allow_unicode=True)
    head = "# Filled by notebook 08: this domain, and the settings of the next, larger run. Its decision is in results.json.\n"
    path = write_text(run.folder(FOLDER) / "profile.yaml", head + text)
    load_profile(path)
    return path


def _parent(run: Run, folder: Path) -> str:
    """The run's profile as `extends` takes it in a file of that folder: a shipped one by name, another by its path from there."""
    return os.path.relpath(profile_path(run.source), folder) if run.source.endswith((".yaml", ".yml")) else run.source


def data_card(
    run: Run, domain: str, parts: Split, classes: Mapping[str, str], mixes: Mapping[str, Sequence[Problem]]
) -> Path:
    """08_your_domain/DATA.md: sources and licences, lineage counts, what was dropped and why; counts are problems.

    `classes` is the edge decision of each training seed by id; `mixes` the problems of each mix in the order they were tried.
    """
    everything = {problem.id: problem for problem in [*parts.train, *parts.choose, *parts.measure]}
    everything |= {problem.id: problem for some in mixes.values() for problem in some}
    verifiers = Counter(problem.verifier for problem in everything.values())
    dropped = Counter(reason for _, reason in parts.dropped)
    dropped |= Counter(f"{name} for the start model" for name in classes.values() if name != "edge")
    lines = [
        f"# Data of the domain `{domain}`", "",
        "Made by notebook 08 of phi4r; every count below is of this run.", "",
        "## Sources and licences", "", *_table(("source", "licence", "problems"), [(*k, n) for k, n in licences(everything.values()).items()]),
        "", "## Who judges", "", *_table(("verifier", "problems"), verifiers.items()),
        "", "## From seeds to mixes", "",
        *_table(("part", "problems", "families"), [
            *((name, len(some), _families(some)) for name, some in (
                ("seeds for training", parts.train), ("seeds for choosing", parts.choose), ("seeds for measuring", parts.measure))),
            *((f"mix {name}", len(some), _families(some)) for name, some in mixes.items()),
        ]),
        "", "## Dropped, and why", "", *_table(("reason", "problems"), dropped.items()),
        "", "Seeds for choosing and for measuring are in no mix. Made problems repeat no prompt of a seed, held out or not.",
        *([] if example_file(run) else ["The start model may have met any of these seeds in notebooks 02 and 03 of this run."]), "",
    ]  # fmt: skip
    return write_text(run.folder(FOLDER) / "DATA.md", "\n".join(lines))


def model_card(
    run: Run, model: Path, domain: str, gates: Gates, figures: Mapping[str, Any], decision: str = ""
) -> Path:
    """README.md in the model's folder: what it is for, how it was trained and judged, its figures, every gate; returns the path.

    Where a gate closed the way no model is there, and the card says so.
    """
    settings = run.profile.checklist
    start = figures.get("start", "the fine-tuned model")
    made = (
        f"Trained by notebook 08 from `{start}` with GRPO: {settings.merged_steps} steps of {settings.prompts} prompts, "
        f"learning rate {settings.learning_rate:g}. No teacher was asked; the verifiers named in the data card judged each answer."
        if gates.open else f"No model was trained: the way from `{start}` ended at a gate, so this folder holds no weights."
    )  # fmt: skip
    lines = [
        "---", "library_name: transformers", "tags: [phi4r, reasoning]", "---", "",
        f"# A model for the domain `{domain}`", "",
        made, "", *([f"Decision: {decision}.", ""] if decision else []),
        "## Figures", "", *_table(("figure", "value"), figures.items()), "",
        "## Gates", "", *_table(("step", "gate", "colour", "reason"), [(g.step, g.name, g.colour, g.reason) for g in gates.all]), "",
        "## Use", "", "For problems of this domain, checked by its verifiers. It was chosen on held-out seeds and measured on others; nothing "
        "is known about other domains than those in the gates above. Its data: `DATA.md` beside this folder.", "",
    ]  # fmt: skip
    return write_text(model / "README.md", "\n".join(lines))


def _families(problems: Sequence[Problem]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(map(family, problems)).items())[:8])


def _table(head: Sequence[str], rows: Any) -> list[str]:
    """A Markdown table; a bar in a cell would end it."""
    cells = [[str(cell).replace("|", "/").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [list(head), ["---"] * len(head), *cells]]
