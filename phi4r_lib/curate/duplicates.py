"""Near-duplicates inside one set of texts, removed with MinHash (datasketch), always the same way.

Not here: overlap with a benchmark (decontaminate.py), which needs rules that see paraphrases and number swaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from datasketch import MinHash, MinHashLSH

from phi4r_lib.curate.fingerprints import tokens


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


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles as a fraction of all; 0 when both are empty."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def remove_duplicates(
    texts: Sequence[str], *, threshold: float = 0.8, shingle: int = 3, permutations: int = 128, seed: int = 0
) -> Deduplication:
    """Keeps the first of every group of near-duplicates.

    A text goes when its word shingles overlap those of an earlier kept text by `threshold` (Jaccard, 0 to 1) or more.
    MinHash proposes pairs, the exact overlap decides, so nothing below the threshold is ever removed; a pair at the
    threshold is proposed with probability of about one half, identical texts always. Texts without words are kept.
    Memory is about 2 kB a text. Raises ValueError for a threshold outside (0, 1] or texts that are not strings.
    """
    if not 0 < threshold <= 1 or shingle < 1:
        raise ValueError(f"need 0 < threshold <= 1 and shingle >= 1, not threshold {threshold} and shingle {shingle}")
    sets = list(_shingle_sets(texts, shingle))
    # One band less strict than asked: the exact check below removes what this lets through.
    lsh = MinHashLSH(threshold=max(0.05, threshold - 0.1), num_perm=permutations)
    kept: list[int] = []
    removed: list[Duplicate] = []
    seen: dict[frozenset[str], int] = {}
    template = MinHash(num_perm=permutations, seed=seed)
    for index, words in enumerate(sets):
        found = _nearest(words, sets, seen, lsh, template) if words else None
        if found is not None and found[0] >= threshold:
            removed.append(Duplicate(index, found[1], found[0]))
        else:
            kept.append(index)
            if words:
                seen[words] = index
                lsh.insert(index, _signature(words, template), check_duplication=False)
    return Deduplication(kept, removed)


def _shingle_sets(texts: Iterable[str], size: int) -> Iterable[frozenset[str]]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {position} is {type(text).__name__}, expected a string; pass the prompts")
        yield shingles(text, size)


def _signature(words: frozenset[str], template: MinHash) -> MinHash:
    signature = template.copy()
    signature.update_batch([word.encode() for word in sorted(words)])
    return signature


def _nearest(words, sets, seen, lsh, template) -> tuple[float, int] | None:
    """The most similar kept text: (similarity, index), the earliest of equals."""
    if words in seen:
        return 1.0, seen[words]
    candidates = lsh.query(_signature(words, template))
    return max(
        ((jaccard(words, sets[index]), index) for index in candidates), key=lambda x: (x[0], -x[1]), default=None
    )
