"""Answers for prompts through the sample store, as lists: the one way in which curation asks a model anything."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from phi4r_lib.models.engine import Engine, Progress, Prompt, Sample, SamplingSettings
from phi4r_lib.models.store import Store, samples_of

FIELDS = tuple(Sample.model_fields)
WINDOW = 16384  # samples asked for and held in memory at once: 400 MB of long thoughts; ours


@contextmanager
def open_store(folder: Store | str | Path | None) -> Iterator[Store]:
    """The store of a folder, one that is open already, or (None) one that is forgotten afterwards."""
    if isinstance(folder, Store):
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch, Store(folder or scratch) as store:
        yield store


def draw(
    engine: Engine,
    prompts: Sequence[tuple[str, Prompt]],
    settings: SamplingSettings,
    folder: Store | str | Path | None,
    progress: Progress | None = None,
) -> list[list[Sample]]:
    """Samples settings.first .. first + n - 1 of every (key, prompt), in order; `folder` None keeps nothing.

    Only samples that the folder does not hold yet are drawn (see models.store).
    """
    if not prompts:
        return []
    with open_store(folder) as store:
        table = store.draw(engine, prompts, settings, progress, columns=FIELDS)
    samples: dict[str, list[Sample]] = {key: [] for key, _ in prompts}
    for key, sample in zip(table["key"].to_pylist(), samples_of(table), strict=True):
        samples[key].append(sample)
    return [samples[key] for key, _ in prompts]


def draw_windows(
    engine: Engine,
    prompts: Sequence[tuple[str, Prompt]],
    settings: SamplingSettings,
    store: Store,
    progress: Progress | None = None,
) -> Iterator[list[Sample]]:
    """As `draw`, the samples of one prompt after the other; at most WINDOW of all samples are in memory at a time."""
    size, every = max(1, WINDOW // settings.n), len(prompts) * settings.n
    for start in range(0, len(prompts), size):

        def told(done: int, _: int, before: int = start * settings.n) -> None:
            progress(before + done, every)

        yield from draw(engine, prompts[start : start + size], settings, store, told if progress else None)
