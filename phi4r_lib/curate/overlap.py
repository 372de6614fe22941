"""Two inverted indexes over a benchmark that find its few similar items for each text without comparing all pairs.

ShapeIndex: IDF-weighted containment of number-masked n-grams. NumberIndex: nearly equal multisets of numbers, with the
answer or without. Both are exact for their thresholds and answer in slices, because a text may resemble every item of
a benchmark made from a few templates. Not here: which hit counts as contamination (decontaminate.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from phi4r_lib.curate import fingerprints as fp

UNSEARCHED = 0.45  # of `least`: weight, in an item's most common n-grams, that is only looked at for candidates
TEXTS, PAIRS = 256, 20_000  # texts and candidates looked at together: bounds memory where all texts are alike


@dataclass(frozen=True)
class ShapeIndex:
    """Masked n-grams of a benchmark; items with the same set of n-grams share one shape.

    The most common n-grams of a shape, together at most `least * UNSEARCHED` of its weight, are left out of the inverted
    index: a text that holds a share `least` of the weight holds `least * (1 - UNSEARCHED)` of the rest, so no pair is
    missed, and phrases like "how many does" cost nothing.
    """

    n: int
    least: float
    items: np.ndarray  # those of all shapes end to end
    item_starts: np.ndarray
    grams: np.ndarray  # n-gram hashes of all shapes end to end, heaviest first within a shape
    weights: np.ndarray  # IDF, as a share of the shape's total
    starts: np.ndarray
    table: fp.KeyTable  # over the searched n-grams
    postings: sparse.csr_matrix  # row of the table x shape: weight
    numbers: list[dict[int, int]]  # item -> {number code: count}

    def contained(self, batch: fp.Batch, masked: np.ndarray, same_numbers: bool) -> Iterator[tuple[np.ndarray, ...]]:
        """Slices of (texts, items, share of the item's weight found in the text) wherever the share reaches `least`.

        same_numbers: also demand that one side's numbers all stand on the other side (no other instance of a template).
        """
        hashes, owners = fp.ngram_hashes(batch, masked, self.n)
        for texts, shapes in self._candidates(hashes, owners, len(batch)):
            shares = np.minimum(self._shares(hashes, owners, texts, shapes), 1.0)
            found = np.flatnonzero(shares >= self.least)
            many = self.item_starts[shapes[found] + 1] - self.item_starts[shapes[found]]
            for part in np.split(np.arange(len(found)), cuts(np.cumsum(many) // PAIRS)):
                pair = np.repeat(found[part], many[part])
                items = self.items[fp.ranges(self.item_starts[shapes[found[part]]], many[part])]
                if same_numbers:
                    keep = self._numbers_agree(batch, texts[pair], items)
                    pair, items = pair[keep], items[keep]
                yield texts[pair], items, shares[pair]

    def _numbers_agree(self, batch: fp.Batch, texts: np.ndarray, items: np.ndarray) -> np.ndarray:
        asked = sorted(set(texts.tolist()))
        counts = dict(zip(asked, _number_counts(batch, asked), strict=True))
        pairs = zip(texts.tolist(), items.tolist(), strict=True)
        return np.array([numbers_agree(counts[text], self.numbers[item]) for text, item in pairs], dtype=bool)

    def _candidates(
        self, hashes: np.ndarray, owners: np.ndarray, texts: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(text, shape) pairs that may reach `least`: all at once where they are few, else those of some texts."""
        where, row = self.table.rows(hashes)
        found = sparse.csr_matrix((np.ones(len(row)), (owners[where], row)), shape=(texts, len(self.table.keys)))
        found.data[:] = 1.0  # an n-gram counts once, however often it stands in the text
        rows, columns = [], []
        for first in range(0, texts, TEXTS):
            partial = (found[first : first + TEXTS] @ self.postings).tocoo()
            enough = partial.data >= self.least * (1 - UNSEARCHED) - 1e-6
            rows.append(partial.row[enough].astype(np.int64) + first)
            columns.append(partial.col[enough].astype(np.int64))
            if sum(map(len, rows)) >= PAIRS or first + TEXTS >= texts:
                yield np.concatenate(rows), np.concatenate(columns)
                rows, columns = [], []

    def _shares(self, hashes: np.ndarray, owners: np.ndarray, texts: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """Exact containment of each (text, shape) candidate."""
        if not len(texts):
            return np.zeros(0)
        wanted = np.zeros(int(owners.max()) + 1, dtype=bool)
        wanted[texts] = True
        keep = wanted[owners]
        present = fp.mix(hashes[keep] + owners[keep].astype(np.uint64) * fp.GOLDEN)
        table = fp.key_table(present)
        parts = np.array_split(np.arange(len(texts)), 1 + len(texts) // PAIRS)
        return np.concatenate([self._weights_found(table, texts[part], shapes[part]) for part in parts])

    def _weights_found(self, present: fp.KeyTable, texts: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """Weight of each shape's n-grams that its text has, given a table of (text, n-gram) pairs."""
        many = self.starts[shapes + 1] - self.starts[shapes]
        position = fp.ranges(self.starts[shapes], many)
        asked = fp.mix(self.grams[position] + np.repeat(texts, many).astype(np.uint64) * fp.GOLDEN)
        at = present.rows(asked)[0]
        weights = np.zeros(len(asked))
        weights[at] = self.weights[position[at]]
        return np.add.reduceat(weights, np.cumsum(many) - many)


def cuts(groups: np.ndarray) -> np.ndarray:
    """Where a new group begins, as np.split takes it."""
    return np.flatnonzero(np.diff(groups)) + 1


def _number_counts(batch: fp.Batch, texts: Iterable[int]) -> list[Counter[int]]:
    """{number code: count} of each of these texts."""
    telling = np.flatnonzero(fp.is_telling_number(batch.codes))
    codes, bounds = batch.codes[telling].tolist(), np.searchsorted(telling, batch.starts).tolist()
    return [Counter(codes[bounds[text] : bounds[text + 1]]) for text in texts]


def numbers_agree(one: dict[int, int], other: dict[int, int]) -> bool:
    """Whether all numbers of one side, with their counts, stand on the other side (either way round)."""
    small, large = (one, other) if sum(one.values()) <= sum(other.values()) else (other, one)
    return all(large.get(value, 0) >= count for value, count in small.items())


def shape_index(batch: fp.Batch, masked: np.ndarray, chosen: np.ndarray, n: int, least: float) -> ShapeIndex:
    """ShapeIndex of the chosen texts (bool per text) of a batch. Weights: log(1 + shapes / shapes with the n-gram)."""
    hashes, owners = fp.ngram_hashes(batch, masked, n)
    owners, hashes = _distinct(owners[chosen[owners]], hashes[chosen[owners]])
    items: list[list[int]] = []
    known: dict[bytes, int] = {}
    kept: list[np.ndarray] = []
    bounds = np.searchsorted(owners, np.arange(len(batch) + 1))
    for item in np.flatnonzero(chosen).tolist():
        grams = hashes[bounds[item] : bounds[item + 1]]
        if not len(grams):
            continue
        shape = known.setdefault(grams.tobytes(), len(items))
        if shape == len(items):
            items.append([])
            kept.append(grams)
        items[shape].append(item)
    numbers = _number_counts(batch, range(len(batch)))
    return _weighted(n, least, items, kept, numbers)


def _distinct(owners: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different pairs in order; four times faster than np.unique on two columns."""
    order = np.lexsort((hashes, owners))
    owners, hashes = owners[order], hashes[order]
    new = np.ones(len(owners), dtype=bool)
    new[1:] = (owners[1:] != owners[:-1]) | (hashes[1:] != hashes[:-1])
    return owners[new], hashes[new]


def _weighted(n: int, least: float, items: list[list[int]], kept: list[np.ndarray], numbers: list) -> ShapeIndex:
    grams = np.concatenate(kept) if kept else np.zeros(0, np.uint64)
    sizes = np.array([len(part) for part in kept], dtype=np.int64)
    starts = np.append(0, np.cumsum(sizes))
    shape = np.repeat(np.arange(len(kept)), sizes)
    _, inverse, frequency = np.unique(grams, return_inverse=True, return_counts=True)
    weights = np.log1p(len(kept) / frequency[inverse]) if len(kept) else np.zeros(0)
    order = np.lexsort((grams, -weights, shape))
    grams, weights = grams[order], weights[order]
    totals = np.bincount(shape, weights, minlength=len(kept))
    weights = weights / totals[shape]
    before = np.cumsum(weights) - weights - shape  # weight of the shape's heavier n-grams; each shape sums to one
    searched = np.flatnonzero(before <= 1 - least * UNSEARCHED + 1e-6)
    table = fp.key_table(grams[searched])
    row = table.rows(grams[searched])[1]
    size = (len(table.keys), max(1, len(kept)))
    postings = sparse.csr_matrix((weights[searched], (row, shape[searched])), shape=size)
    item_starts = np.append(0, np.cumsum([len(part) for part in items], dtype=np.int64))
    flat = np.array([item for part in items for item in part], dtype=np.int64)
    return ShapeIndex(n, least, flat, item_starts, grams, weights, starts, table, postings, numbers)


@dataclass(frozen=True)
class NumberIndex:
    """Number signatures of benchmark items, joined with their answers (or with 0 throughout: numbers alone)."""

    least: float  # Jaccard similarity of the multisets
    most: int
    missing: int
    table: fp.KeyTable
    items: np.ndarray  # item of each entry
    sizes: np.ndarray  # numbers in all of the item

    def similar(self, batch: fp.Batch, answers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Slices of (texts, items, Jaccard) of all pairs with the same answer key and Jaccard >= least, each pair once."""
        keys, owners, shared, counts = fp.number_keys(batch, self.most, self.missing)
        where, row = self.table.rows(fp.mix(keys ^ answers[owners]))
        owners, shared = owners[where], shared[where]
        many = self.table.starts[row + 1] - self.table.starts[row]
        group = np.cumsum(np.bincount(owners, many, len(batch))) // (8 * PAIRS)  # all of a text in one slice
        order = np.argsort(owners, kind="stable")
        for part in np.split(order, cuts(group[owners[order]])):
            entry = self.table.entries[fp.ranges(self.table.starts[row[part]], many[part])]
            part = np.repeat(part, many[part])
            yield self._near(owners[part], entry, shared[part], counts)

    def _near(self, texts: np.ndarray, entry: np.ndarray, shared: np.ndarray, counts: np.ndarray):
        """The pairs with Jaccard >= least, each with its best."""
        items, jaccard = self.items[entry], shared / (counts[texts] + self.sizes[entry] - shared)
        enough = np.flatnonzero(jaccard >= self.least)
        order = enough[np.lexsort((-jaccard[enough], items[enough], texts[enough]))]
        texts, items, jaccard = texts[order], items[order], jaccard[order]
        first = np.ones(len(texts), dtype=bool)
        first[1:] = (texts[1:] != texts[:-1]) | (items[1:] != items[:-1])
        return texts[first], items[first], jaccard[first]


def number_index(batch: fp.Batch, answers: np.ndarray, least: float, most: int, chosen: np.ndarray) -> NumberIndex:
    """NumberIndex of the chosen items. Exact for Jaccard >= least up to two numbers that differ on a side."""
    missing = 0 if least == 1 else 2 if least < 0.75 else 1
    keys, owners, _, counts = fp.number_keys(batch, most, missing)
    keep = np.isin(owners, chosen)
    table = fp.key_table(fp.mix(keys[keep] ^ answers[owners[keep]]))
    return NumberIndex(least, most, missing, table, owners[keep], counts[owners[keep]])
