"""Which benchmark items of prose or code a text says again in other words: evidence for and against, added up.

Shared features count for a pair, features of the item that the text lacks and features of the text that the item lacks count
against it, all in nats (wording.weight). A sentence encoder, where there is one, adds to that or takes from it. Long texts are
read in windows. Pairs that share too little to reach the least evidence are not looked at. Not here: the features (wording.py), the thresholds (thresholds.py), and word problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse

from phi4r_lib.curate import wording
from phi4r_lib.curate.gist import gist
from phi4r_lib.curate.thresholds import DecontaminationSettings
from phi4r_lib.curate.wording import Kind
from phi4r_lib.models.encoder import Encoder

READERS: dict[Kind, Callable[[str], list[str]]] = {"prose": wording.prose, "code": wording.code}
STRAY = 0.02
UNSEARCHED = 0.45  # of the weight that a pair must share at least: in an item's most common features, only added up for candidates
DENSE, PAIRS = 1 << 22, 20_000  # pairs of texts and items at a time
ROUNDING = 1e-9  # nats
# Recall at the shipped thresholds on public rephrasings, as benchmarks/decontamination.py --rephrased prints it (goal: .8).
MEASURED: dict[Kind, str] = {
    "prose": "0.75 of rephrased questions were found in tests, 0.64 where a passage is left out; the goal is 0.8 of each, "
    "which a sentence encoder reaches (decontaminate.encoder)",
    "code": "0.80 of functions that a language model rewrote in C were found in tests (0.72 and 0.85 of two halves), 0.82 to 0.95 "
    "in five other languages; the goal is 0.8 of each, a sentence encoder finds more (decontaminate.encoder)",
}
QUESTION = 4  # content words from which on the last line of a longer item counts as an item of its own


@dataclass(frozen=True)
class EvidenceRule:
    """A pair counts from `least` nats on: shared - missing x (only in the item) - extra x (only in the text).

    With an encoder that is less by `margin`, or shared - encoded_missing x (only in the item) + weight x (cosine - middle),
    whichever is more.
    """

    missing: float
    extra: float
    least: float
    margin: float
    encoded_missing: float
    weight: float
    middle: float


@dataclass(frozen=True)
class EvidenceIndex:
    """Items of one kind as weighted features. `items` maps each row of `weights` to the benchmark's item."""

    kind: Kind
    rule: EvidenceRule
    items: np.ndarray
    columns: dict[str, int]
    against: np.ndarray  # weight of each feature against a pair of which one side lacks it
    weights: sparse.csr_matrix  # rows x features
    totals: np.ndarray  # weight of each row against a pair
    benchmark: int  # rows, for the weight of features that no item has
    floor: float  # nats that `searched` and `enough` hold for
    searched: sparse.csr_matrix  # features x rows, without the most common features of each row
    unsearched: np.ndarray  # weight of those
    enough: np.ndarray  # weight of searched features that a pair of the row shares at least where it reaches the floor
    encoder: Encoder | None = None
    vectors: np.ndarray | None = None  # rows x dimensions, of length one

    def similar(
        self, texts: Sequence[str], least: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(text, item, evidence in nats, score) of all pairs with any evidence, and `least` nats of it.

        The score is the share of the weight of both that is shared, with an encoder the cosine.
        """
        owners, parts, found = self._read(texts)
        if self.encoder:
            return self._with_cosines(texts, owners, found, self._totals(parts), least)
        row, column, shared = self._shared(found, least)
        chosen, place = np.unique(row, return_inverse=True)
        totals = self._totals([parts[each] for each in chosen])[place]
        evidence = self._evidence(shared, self.totals[column], totals)
        keep = (evidence > 0) & (evidence >= least)
        row, column, shared, totals = row[keep], column[keep], shared[keep], totals[keep]
        union = np.maximum(shared, self.totals[column] + totals - shared)
        return owners[row], self.items[column], evidence[keep], shared / union

    def _shared(self, found: sparse.csr_matrix, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row of found, row of weights, weight shared) of all pairs that may have `least` nats of evidence."""
        if least < self.floor:
            shared = (found @ self.weights.T).tocoo()
            return shared.row, shared.col, shared.data
        row, column = self._candidates(found)
        parts = np.array_split(np.arange(len(row)), 1 + len(row) // PAIRS)
        sums = [found[row[part]].multiply(self.weights[column[part]]).sum(axis=1) for part in parts]
        return row, column, np.asarray(np.concatenate(sums)).ravel()

    def _candidates(self, found: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of (row of found, row of weights) among which all are whose evidence reaches the floor."""
        partial = (found @ self.searched).tocoo()
        near = partial.data >= self.enough[partial.col] - ROUNDING
        row, column, most = (
            partial.row[near],
            partial.col[near],
            partial.data[near] + self.unsearched[partial.col[near]],
        )
        reached = self._evidence(most, self.totals[column], (found @ self.against)[row]) >= self.floor - ROUNDING
        return row[reached], column[reached]

    def _evidence(self, shared: np.ndarray, item: np.ndarray, text: np.ndarray) -> np.ndarray:
        return shared - self.rule.missing * (item - shared) - self.rule.extra * (text - shared)

    def _with_cosines(
        self, texts: Sequence[str], owners: np.ndarray, found: sparse.csr_matrix, totals: np.ndarray, least: float
    ):
        """The same with an encoder, for which pairs without a common word count too; in parts of at most DENSE pairs."""
        vectors = self.encoder([gist(text, self.kind) for text in texts])
        parts = []
        for part in np.array_split(np.arange(len(owners)), 1 + len(owners) * len(self.totals) // DENSE):
            shared = (found[part] @ self.weights.T).toarray()
            cosines = vectors[owners[part]] @ self.vectors.T
            near = shared - self.rule.encoded_missing * (self.totals - shared)
            near += self.rule.weight * (cosines - self.rule.middle)
            words = self._evidence(shared, self.totals, totals[part, None]) - self.rule.margin
            evidence = np.maximum(near, words)
            row, column = np.nonzero((evidence > 0) & (evidence >= least))
            score = np.clip(cosines[row, column], 0.01, 1)
            parts.append((owners[part[row]], self.items[column], evidence[row, column], score))
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def _read(self, texts: Sequence[str]) -> tuple[np.ndarray, list[set[str]], sparse.csr_matrix]:
        """Windows of the texts: the text each belongs to, its features, and which of them the items have."""
        owners, parts = [], []
        for owner, text in enumerate(texts):
            found = windows(READERS[self.kind](text), wording.WINDOWS[self.kind])
            parts += found
            owners += [owner] * len(found)
        known = [[self.columns[feature] for feature in self.columns.keys() & part] for part in parts]
        starts = np.append(0, np.cumsum([len(columns) for columns in known], dtype=np.int64))
        columns = np.fromiter(chain.from_iterable(known), np.int64, starts[-1])
        shape = (len(parts), len(self.columns))
        return np.array(owners, int), parts, sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=shape)

    def _totals(self, parts: Sequence[set[str]]) -> np.ndarray:
        """What the features of each window weigh against a pair that lacks them."""
        kind, items, columns, against = self.kind, self.benchmark, self.columns, self.against.tolist()
        return np.array(
            [
                sum([against[columns[f]] if f in columns else wording.unmet(f, kind, items) for f in part])
                for part in parts
            ]
        )


def windows(features: list[str], size: int) -> list[set[str]]:
    """The features of a text, of a long one in windows of `size` that overlap by half."""
    if len(features) <= size:
        return [set(features)]
    return [set(features[start : start + size]) for start in range(0, len(features) - size // 2, size // 2)]


def evidence_index(
    texts: Sequence[str],
    kinds: Sequence[Kind],
    kind: Kind,
    rule: EvidenceRule,
    encoder: Encoder | None = None,
    floor: float | None = None,
) -> EvidenceIndex | None:
    """EvidenceIndex of the items of one kind, None when there are none; of passages with a question both count.

    floor: the least evidence that will be asked for, if not the rule's.
    """
    parts = [(item, part) for item, text in enumerate(texts) if kinds[item] == kind for part in _parts(text, kind)]
    parts = [(item, part, set(READERS[kind](part))) for item, part in parts]
    rows = [(item, features) for item, _, features in parts if features]
    if not rows:
        return None
    seen = Counter(feature for _, features in rows for feature in features)
    columns = {feature: place for place, feature in enumerate(seen)}
    weights = np.array([wording.weight(feature, kind, len(rows), seen[feature]) for feature in columns])
    places = [(row, columns[feature]) for row, (_, features) in enumerate(rows) for feature in sorted(features)]
    row, column = np.array(places, int).T
    matrix = sparse.csr_matrix((weights[column], (row, column)), shape=(len(rows), len(columns)))
    items = np.array([item for item, _ in rows], int)
    vectors = encoder([gist(part, kind) for _, part, features in parts if features]) if encoder else None
    against = weights * [wording.against(feature) for feature in columns]
    totals, floor = matrix.sign() @ against, rule.least if floor is None else floor
    return EvidenceIndex(
        kind, rule, items, columns, against, matrix, totals, len(rows),
        floor, *_searched(matrix, totals, rule, floor), encoder, vectors,
    )  # fmt: skip


def _searched(
    weights: sparse.csr_matrix, totals: np.ndarray, rule: EvidenceRule, floor: float
) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """The fields `searched`, `unsearched` and `enough` of an index.

    A pair shares weight s, and its text weighs at least s less what of the item's weight does not count against a pair. So
    evidence of at least the floor needs s >= (floor + missing x total - extra x (weight - total)) / (1 + missing). An item's
    lightest features, together at most UNSEARCHED of that, are left out of the search: the rest of s stands in the others.
    """
    spare = np.asarray(weights.sum(axis=1)).ravel() - totals
    needed = np.maximum(0, (floor + rule.missing * totals - rule.extra * spare) / (1 + rule.missing))
    row = np.repeat(np.arange(len(totals)), np.diff(weights.indptr))
    order = np.lexsort((weights.data, row))
    light = np.cumsum(weights.data[order])
    light -= np.append(0, light)[weights.indptr[:-1]][row]  # of the row alone; lexsort keeps the rows in order
    heavy = light > UNSEARCHED * needed[row]
    left, kept = order[~heavy], order[heavy]
    searched = sparse.csr_matrix((weights.data[kept], (weights.indices[kept], row[kept])), shape=weights.shape[::-1])
    unsearched = np.bincount(row[left], weights.data[left], len(totals))
    return searched, unsearched, needed - unsearched


def evidence_indexes(
    texts: Sequence[str],
    settings: DecontaminationSettings,
    encoder: Encoder | None = None,
    survivors: bool = False,
) -> tuple[EvidenceIndex, ...]:
    """The indexes of prose and code that the items need; none where templates are shared by construction.

    survivors: pairs that only come close will be asked for too.
    A kind that fewer than STRAY of the items seem to be of is a slip of `kind_of`, and would cost time for every text.
    """
    if settings.templates == "allow":
        return ()
    kinds = [wording.kind_of(text) for text in texts]
    one, encoded = settings, (settings.encoded_margin, settings.encoded_missing)
    prose = (
        one.prose_missing,
        one.prose_extra,
        one.prose_evidence,
        *encoded,
        one.prose_cosine_weight,
        one.prose_cosine,
    )
    code = (one.code_missing, one.code_extra, one.code_evidence, *encoded, one.code_cosine_weight, one.code_cosine)
    rules: dict[Kind, EvidenceRule] = {"prose": EvidenceRule(*prose), "code": EvidenceRule(*code)}
    found = [
        evidence_index(texts, kinds, kind, rule, encoder, rule.least * (settings.survivors if survivors else 1))
        for kind, rule in rules.items()
        if kinds.count(kind) > STRAY * len(kinds)
    ]
    return tuple(index for index in found if index is not None)


def uncovered(texts: Sequence[str], settings: DecontaminationSettings) -> dict[str, list[int]]:
    """Texts of which only verbatim copies, and no rephrasings, would be found: reason -> their places.

    Another script than the Latin one, fewer than two content words, or prose and code where templates are allowed.
    """
    found: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        kind = wording.kind_of(text)
        if kind == "other":
            found.setdefault("too short, or in another script than the Latin one", []).append(place)
        elif kind != "word problem" and settings.templates == "allow":
            found.setdefault(f"{kind}, which is not looked at where templates are allowed", []).append(place)
    return found


def weakly_covered(
    texts: Sequence[str], settings: DecontaminationSettings, encoded: bool = False
) -> dict[str, list[int]]:
    """Texts of a kind whose rephrasings are found less often than the goal of .8: reason with what was measured -> places.

    encoded: whether a sentence encoder is used, which finds more than that of every kind measured.
    """
    if encoded or settings.templates == "allow":
        return {}
    kinds = [wording.kind_of(text) for text in texts]
    places = {kind: [place for place, one in enumerate(kinds) if one == kind] for kind in MEASURED}
    return {f"{kind}: {MEASURED[kind]}": found for kind, found in places.items() if found}


def _parts(text: str, kind: Kind) -> list[str]:
    """The text, and of prose in several lines the question at its end too: rephrasings often leave the passage out."""
    lines = [line for line in text.splitlines() if line.strip()]
    if kind != "prose" or len(lines) < 2 or len(set(wording.prose(lines[-1]))) < QUESTION:
        return [text]
    return [text, lines[-1]]
