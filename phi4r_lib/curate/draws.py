"""Answers for prompts through the sample store, as lists: the one way in which curation asks a model anything."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from phi4r_lib.models.engine import Engine, Progress, Prompt, Sample, SamplingSettings
from phi4r_lib.models.store import sample_to_store

FIELDS = tuple(Sample.model_fields)


def draw(
    engine: Engine,
    prompts: Sequence[tuple[str, Prompt]],
    settings: SamplingSettings,
    folder: str | Path | None,
    progress: Progress | None = None,
) -> list[list[Sample]]:
    """Samples settings.first .. first + n - 1 of every (key, prompt), in order; `folder` None keeps nothing.

    Only samples that the folder does not hold yet are drawn (see models.store).
    """
    if not prompts:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        table = sample_to_store(engine, prompts, settings, folder or scratch, progress)
    samples: dict[str, list[Sample]] = {key: [] for key, _ in prompts}
    columns = [table[name].tolist() for name in FIELDS]  # whole columns: row by row pandas is a hundred times slower
    for key, *values in zip(table["key"].tolist(), *columns, strict=True):
        samples[key].append(Sample(**dict(zip(FIELDS, values, strict=True))))
    return [samples[key] for key, _ in prompts]
