"""Near-duplicates inside one set of texts, removed with MinHash (datasketch), always the same way.

Not here: overlap with a benchmark (decontaminate.py), which needs rules that see paraphrases and number swaps.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasketch import MinHash, MinHashLSH

from phi4r_lib.curate.fingerprints import tokens

CROWD = 64  # kept texts per band that a new one is compared with; ours


@dataclass(frozen=True)
class Duplicate:
    """Text `removed` repeats the earlier text `kept`; similarity is the exact Jaccard overlap of their shingles."""

    removed: int
    kept: int
    similarity: float


@dataclass(frozen=True)
class Deduplication:
    """Indices kept, ascending, and one Duplicate for every index removed."""

    kept: list[int]
    removed: list[Duplicate]


def shingles(text: str, size: int) -> frozenset[str]:
    """Runs of `size` words of a text, case and punctuation ignored, numbers kept; shorter texts are one shingle."""
    words = tokens(text.lower())
    return frozenset(" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))) - {""}


def jaccard(one: frozenset, other: Collection[Any]) -> float:
    """Shared shingles as a fraction of all; 0 when both are empty. `other` holds each shingle once."""
    shared = len(one.intersection(other))
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0


def remove_duplicates(
    texts: Iterable[str], *, threshold: float = 0.8, shingle: int = 3, permutations: int = 128, seed: int = 0
) -> Deduplication:
    """Keeps the first of every group of near-duplicates.

    A text goes when its word shingles overlap those of an earlier kept text by `threshold` (Jaccard, 0 to 1) or more.
    MinHash proposes pairs, the exact overlap decides, so nothing below the threshold is ever removed; a pair at the
    threshold is proposed with a probability of about .8 to .99, texts with the same shingles always. Time grows as the
    number of texts: of a crowd that shares a band (one template told with thousands of numbers) the first CROWD are
    compared there, and a later one is met through its other bands. Texts without words are kept. Memory is about 2 kB a text of forty words. Raises ValueError for a threshold outside (0, 1] or texts that are no strings.
    """
    if not 0 < threshold <= 1 or shingle < 1:
        raise ValueError(f"need 0 < threshold <= 1 and shingle >= 1, not threshold {threshold} and shingle {shingle}")
    # One band less strict than asked: the exact check below removes what this lets through.
    bands = [*MinHashLSH(threshold=max(0.05, threshold - 0.1), num_perm=permutations).hashranges, (0, permutations)]
    template = MinHash(num_perm=permutations, seed=seed)
    found, seen = Deduplication([], []), _Kept(len(bands))
    for index, words in enumerate(_shingle_sets(texts, shingle)):
        values = array("q", {hash(word) for word in words})  # 8 bytes per shingle, where its text would take 80
        keys = _band_keys(words, template, bands) if words else []
        nearest = seen.nearest(values, keys) if words else None
        if nearest is not None and nearest[0] >= threshold:
            found.removed.append(Duplicate(index, nearest[1], nearest[0]))
        else:
            found.kept.append(index)
            if words:
                seen.add(index, values, keys)
    return found


def _shingle_sets(texts: Iterable[str], size: int) -> Iterator[frozenset[str]]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {position} is {type(text).__name__}, expected a string; pass the prompts")
        yield shingles(text, size)


def _band_keys(words: frozenset[str], template: MinHash, bands: Sequence[tuple[int, int]]) -> list[int]:
    """One hash per band of the MinHash signature; texts that share one are compared."""
    signature = template.copy()
    signature.update_batch([word.encode() for word in sorted(words)])
    return [hash(signature.hashvalues[first:last].tobytes()) for first, last in bands]


class _Kept:
    """The kept texts by band: a table of datasketch holds the same in ten times the memory."""

    def __init__(self, bands: int) -> None:
        self.values: dict[int, array] = {}
        self.tables: list[dict[int, int | list[int]]] = [{} for _ in range(bands)]

    def add(self, index: int, values: array, keys: Sequence[int]) -> None:
        self.values[index] = values
        for table, key in zip(self.tables, keys, strict=True):
            there = table.setdefault(key, index)
            if isinstance(there, list):
                if len(there) < CROWD:  # a crowd would cost the square of its size
                    there.append(index)
            elif there != index:
                table[key] = [there, index]

    def nearest(self, values: array, keys: Sequence[int]) -> tuple[float, int] | None:
        """The most similar kept text that shares a band: (similarity, index), the earliest of equals."""
        met = [found for table, key in zip(self.tables, keys, strict=True) if (found := table.get(key)) is not None]
        indices = sorted({index for found in met for index in (found if isinstance(found, list) else (found,))})
        if not indices:
            return None
        others = [self.values[index] for index in indices]
        lengths = np.array([len(other) for other in others])
        there = np.isin(np.frombuffer(b"".join(others), np.int64), np.frombuffer(values, np.int64))
        shared = np.add.reduceat(there.astype(np.int64), np.cumsum(lengths) - lengths)
        scores = shared / (len(values) + lengths - shared)  # as `jaccard`, of all at once
        best = int(scores.argmax())
        return float(scores[best]), indices[best]
