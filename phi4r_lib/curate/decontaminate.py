"""Which training texts contain, repeat or paraphrase a benchmark item, and by which rule.

A cascade over fingerprints, cheapest first: equal text; a short item verbatim inside the text; IDF-weighted containment
of number-masked n-grams; the same numbers and answer with similar words; for prose and code the same things said in other
words, optionally with a sentence encoder; optionally a judge on the few pairs that come close. Apply it to seeds, to
rewrites and to traces, after rewriting. Texts stream through in batches, only the benchmark is held in memory. Not here:
thresholds (thresholds.py), attacks and their recall (benchmarks/attacks.py), duplicates inside one set (duplicates.py). The cascade is ours; Phi-4-reasoning states only that it decontaminated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from phi4r_lib.curate import fingerprints as fp
from phi4r_lib.curate.evidence import EvidenceIndex, evidence_indexes
from phi4r_lib.curate.overlap import PAIRS, NumberIndex, ShapeIndex, number_index, shape_index
from phi4r_lib.curate.thresholds import RULES, DecontaminationSettings, Match, Rule
from phi4r_lib.curate.wording import is_code
from phi4r_lib.models.encoder import Encoder

COLUMNS = 1 << 20  # width of the hashed TF-IDF space
Judge = Callable[[str, str], bool]


@dataclass(frozen=True)
class BenchmarkIndex:
    """Everything about the benchmark that a scan needs, built once. Items with equal masked n-grams share a shape."""

    settings: DecontaminationSettings
    texts: Sequence[str]
    codes: fp.TokenCodes = field(repr=False)
    lengths: np.ndarray  # tokens of each item
    answers: np.ndarray  # uint64 key per item, 0 where unknown
    exact: dict[int, list[int]]
    short: dict[int, tuple[fp.KeyTable, np.ndarray]]  # length -> table of whole items, item per entry
    shapes: ShapeIndex
    with_answer: NumberIndex
    without_answer: NumberIndex
    tfidf: TfidfTransformer
    vectors: sparse.csr_matrix
    least_words: np.ndarray  # threshold of the word rule for each item
    evidence: tuple[EvidenceIndex, ...]  # of prose and of code, where the benchmark has such items


def build_index(
    texts: Iterable[str],
    answers: Iterable[str | None] | None = None,
    settings: DecontaminationSettings | None = None,
    *,
    survivors: bool = False,
    encoder: Encoder | None = None,
) -> BenchmarkIndex:
    """Index of benchmark items for `scan`; about 2 kB per item.

    texts: the items' questions. answers: their gold answers, None where unknown. survivors: also find the pairs that
    come close, for a judge. encoder (texts -> unit vectors, see models/encoder.py): prose and code are compared by it too.
    Raises ValueError when there are none, texts are not strings or lengths differ.
    """
    settings = settings or DecontaminationSettings()
    texts = _checked(texts, "benchmark items")
    if not texts:
        raise ValueError("there are no benchmark items to decontaminate against; pass at least one text")
    keys = _answer_keys(answers, len(texts), "benchmark")
    codes = fp.TokenCodes(fp.vocabulary(texts))
    rows = [codes.of(text) for text in texts]
    batch = fp.encode(rows)
    masked = fp.mask_numbers(batch.codes)
    lengths = np.diff(batch.starts)
    exact: dict[int, list[int]] = {}
    for item, row in enumerate(rows):
        if row:
            exact.setdefault(hash(tuple(row)), []).append(item)
    counts = _term_counts(batch, masked, np.arange(len(batch)))
    evidence = evidence_indexes(texts, settings, encoder, survivors)
    least_words = np.full(len(texts), settings.words)
    for each in evidence:
        least_words[each.items] = max(settings.words, settings.reworded_words)
    tfidf = TfidfTransformer(sublinear_tf=True).fit(counts)
    lowest = settings.containment * (settings.survivors if survivors else 1.0)
    return BenchmarkIndex(
        settings, texts, codes, lengths, keys, exact, _short_items(batch, lengths, settings),
        shape_index(batch, fp.mask_names(batch.codes), lengths >= settings.short_words, settings.ngram, lowest),
        number_index(batch, keys, settings.numbers, settings.most_numbers, np.flatnonzero(keys)),
        number_index(batch, np.zeros_like(keys), settings.numbers_alone, settings.most_numbers, np.flatnonzero(lengths >= settings.short_words)),
        tfidf, tfidf.transform(counts), least_words, evidence,
    )  # fmt: skip


def _checked(texts: Iterable[str], what: str) -> list[str]:
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{what}: number {position} is {type(text).__name__}, expected text; pass the prompts")
    return texts


def _answer_keys(answers: Iterable[str | None] | None, size: int, what: str) -> np.ndarray:
    if answers is None:
        return np.zeros(size, np.uint64)
    keys = np.array([fp.answer_key(answer) for answer in answers], dtype=np.uint64)
    if len(keys) != size:
        raise ValueError(f"{what}: {len(keys)} answers for {size} texts; give one answer (or None) a text")
    return keys


def _term_counts(batch: fp.Batch, masked: np.ndarray, chosen: np.ndarray) -> sparse.csr_matrix:
    """Hashed counts of stems and pairs of stems for the chosen texts; unknown terms count too, unlike a vocabulary's."""
    row_of = np.full(len(batch), -1)
    row_of[chosen] = np.arange(len(chosen))
    keep = row_of[batch.owners] >= 0
    starts = np.append(0, np.cumsum(np.diff(batch.starts)[chosen]))
    part = fp.Batch(masked[keep], starts)
    singles, pairs = fp.ngram_hashes(part, part.codes, 1), fp.ngram_hashes(part, part.codes, 2)
    columns = (np.concatenate([singles[0], pairs[0]]) % np.uint64(COLUMNS)).astype(np.int64)
    rows = np.concatenate([singles[1], pairs[1]])
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(chosen), COLUMNS))


def _short_items(batch: fp.Batch, lengths: np.ndarray, settings: DecontaminationSettings):
    """Items too short for n-gram statistics, by length; those under three tokens only ever match exactly."""
    tables = {}
    for length in range(3, settings.short_words):
        items = np.flatnonzero(lengths == length)
        if len(items):
            whole = np.concatenate([batch.codes[batch.starts[i] : batch.starts[i + 1]] for i in items])
            part = fp.Batch(whole, np.arange(len(items) + 1) * length)
            tables[length] = (fp.key_table(fp.ngram_hashes(part, whole, length)[0]), items)
    return tables


def find_contamination(
    train_texts: Iterable[str],
    eval_texts: Iterable[str],
    *,
    train_answers: Iterable[str | None] | None = None,
    eval_answers: Iterable[str | None] | None = None,
    settings: DecontaminationSettings | None = None,
    encoder: Encoder | None = None,
    judge: Judge | None = None,
) -> list[Match]:
    """All pairs of training text and benchmark item that count as contamination, by train index, best first.

    train_texts may be any iterable and is streamed; eval_texts are held in memory. Answers sharpen the paraphrase rule.
    encoder: as in `build_index`. judge (train text, item -> same problem?) sees only pairs that come close to a rule.
    One match per pair (the first rule that fires), at most settings.matches_per_text per training text. Empty texts match
    nothing. Raises ValueError for non-text input and for answer lists of another length. Method: ours.
    """
    index = build_index(eval_texts, eval_answers, settings, survivors=judge is not None, encoder=encoder)
    return list(scan(index, train_texts, train_answers, judge=judge))


def scan(
    index: BenchmarkIndex,
    texts: Iterable[str],
    answers: Iterable[str | None] | None = None,
    *,
    batch_size: int = 2048,
    judge: Judge | None = None,
) -> Iterator[Match]:
    """Matches of a stream of training texts against an index, in order; memory is bounded by one batch.

    Same meaning and errors as `find_contamination`; use it when one benchmark meets several training files.
    """
    texts, answers = iter(texts), None if answers is None else iter(answers)
    first = 0
    while block := list(islice(texts, batch_size)):
        block = _checked(block, f"training texts {first} to {first + len(block)}")
        known = None if answers is None else list(islice(answers, len(block)))
        keys = _answer_keys(known, len(block), f"training texts from {first}")
        yield from _scan_block(index, block, keys, first, judge)
        first += len(block)
    if answers is not None and next(answers, answers) is not answers:
        raise ValueError(f"there are more training answers than the {first} training texts; give one per text")


def _scan_block(index, block, keys, first, judge) -> Iterator[Match]:
    rows = [index.codes.of(text) for text in block]
    pairs: dict[tuple[int, int], tuple[Rule, float]] = {}
    for doc, row in enumerate(rows):
        for item in index.exact.get(hash(tuple(row)), ()) if row else ():
            pairs[doc, item] = ("exact", 1.0)
    batch, document = _windows(rows, index.settings.window)
    close: dict[tuple[int, int], float] = {}
    for window, item, rule, score in _rule_hits(index, batch, keys[document], judge is not None):
        doc = int(document[window])
        if rule is None:
            close[doc, item] = max(score, close.get((doc, item), 0.0))
        elif (doc, item) not in pairs or (pairs[doc, item][0] == rule and pairs[doc, item][1] < score):
            pairs[doc, item] = (rule, score)
    for doc, item, rule, score in _evidence_hits(index, block, judge is not None):
        if rule is None:
            close[doc, item] = max(score, close.get((doc, item), 0.0))
        else:
            pairs.setdefault((doc, item), (rule, score))
    for (doc, item), score in close.items() if judge else ():
        if (doc, item) not in pairs and judge(block[doc], index.texts[item]):
            pairs[doc, item] = ("judge", score)
    yield from _ordered(pairs, first, index.settings.matches_per_text)


def _evidence_hits(index: BenchmarkIndex, block: Sequence[str], close: bool):
    """(text, item, rule, score) of prose and code said again in other words; close: with rule None those that come near."""
    programs = [is_code(text) for text in block] if index.evidence else []
    for evidence in index.evidence:
        docs = np.array([doc for doc, code in enumerate(programs) if code == (evidence.kind == "code")], int)
        if not len(docs):
            continue
        lowest = evidence.rule.least * (index.settings.survivors if close else 1)
        texts, items, amounts, shares = evidence.similar([block[doc] for doc in docs], lowest)
        hit = amounts >= evidence.rule.least
        near = ~hit & close
        for name, places in ((evidence.kind, np.flatnonzero(hit)), (None, np.flatnonzero(near))):
            for place in places[np.argsort(-shares[places], kind="stable")]:
                yield int(docs[texts[place]]), int(items[place]), name, float(shares[place])


def _ordered(pairs, first: int, most: int) -> Iterator[Match]:
    ranked = sorted(pairs.items(), key=lambda entry: (entry[0][0], RULES.index(entry[1][0]), -entry[1][1], entry[0][1]))
    doc_before, taken = None, 0
    for (doc, item), (rule, score) in ranked:
        taken = taken + 1 if doc == doc_before else 1
        doc_before = doc
        if taken <= most:
            yield Match(first + doc, item, rule, float(score))


def _windows(rows: list[list[int]], size: int) -> tuple[fp.Batch, np.ndarray]:
    """Long texts as overlapping windows, so that a long trace does not contain an item merely by its length."""
    if all(len(row) <= size for row in rows):
        return fp.encode(rows), np.arange(len(rows))
    parts, document = [], []
    for doc, row in enumerate(rows):
        step = size - size // 4
        for start in range(0, max(1, len(row) - size // 4), step):
            parts.append(row[start : start + size])
            document.append(doc)
    return fp.encode(parts), np.array(document)


def _rule_hits(index: BenchmarkIndex, batch: fp.Batch, keys: np.ndarray, close: bool):
    """(window, item, rule, score) of the array rules; close: with rule None also the pairs that only come close."""
    masked = fp.mask_numbers(batch.codes)
    for length, (table, items) in index.short.items():
        hashes, owners = fp.ngram_hashes(batch, batch.codes, length)
        where, entry = table.look_up(hashes)
        for window, item in zip(owners[where].tolist(), items[entry].tolist(), strict=True):
            yield window, item, "short", 1.0
    for rule, windows, items, scores, hit, near in chain(
        _word_hits(index, batch, masked), _number_hits(index, batch, masked, keys)
    ):
        best = _best(windows, items, scores, np.flatnonzero(hit), index.settings.matches_per_text)
        for name, places in ((rule, best), (None, np.flatnonzero(near & ~hit) if close else best[:0])):
            for place in places:
                yield int(windows[place]), int(items[place]), name, float(min(1.0, scores[place]))


def _best(windows: np.ndarray, items: np.ndarray, scores: np.ndarray, hits: np.ndarray, most: int) -> np.ndarray:
    """Those hits that can be among a text's `most` best: the rest would only fill memory."""
    hits = hits[np.lexsort((items[hits], -scores[hits], windows[hits]))]
    return hits[np.arange(len(hits)) - np.searchsorted(windows[hits], windows[hits]) < most]


def _word_hits(index: BenchmarkIndex, batch: fp.Batch, masked: np.ndarray):
    """The words of an item stand in the text: containment and cosine together, or containment alone when it is high."""
    settings, lengths = index.settings, np.diff(batch.starts)
    named = fp.mask_names(batch.codes)
    for windows, items, shares in index.shapes.contained(batch, named, same_numbers=settings.templates == "allow"):
        means = (shares + _cosines(index, batch, masked, windows, items)) / 2
        far_longer = lengths[windows] >= 2 * index.lengths[items]  # there the cosine says little
        scores = np.where((shares >= settings.containment_alone) & far_longer, shares, means)
        least = index.least_words[items]
        hit = (shares >= settings.containment) & (scores >= least)
        yield "containment", windows, items, scores, hit, scores >= least * settings.survivors


def _number_hits(index: BenchmarkIndex, batch: fp.Batch, masked: np.ndarray, keys: np.ndarray):
    """The same numbers with similar words: a paraphrase. Stricter where the answers cannot be compared."""
    settings, weight = index.settings, index.settings.numbers_weight
    rules = [(index.with_answer, keys, settings.evidence)]
    if not (keys.all() and index.answers.all()):
        rules.append((index.without_answer, np.zeros_like(keys), settings.evidence_alone))
    for numbers, looked_up, least in rules:
        for windows, items, jaccard in numbers.similar(batch, looked_up):
            keep = jaccard == 1 if settings.templates == "allow" else np.ones(len(items), dtype=bool)
            if numbers is index.without_answer:  # different known answers are different questions
                keep &= (keys[windows] == 0) | (index.answers[items] == 0)
            windows, items, jaccard = windows[keep], items[keep], jaccard[keep]
            scores = (1 - weight) * _cosines(index, batch, masked, windows, items) + weight * jaccard
            yield "numbers", windows, items, scores, scores >= least, scores >= least * settings.survivors


def _cosines(index: BenchmarkIndex, batch: fp.Batch, masked: np.ndarray, windows, items) -> np.ndarray:
    """TF-IDF cosine of each (window, item) pair; only the windows in question are vectorised."""
    if not len(windows):
        return np.zeros(0)
    chosen, row = np.unique(windows, return_inverse=True)
    vectors = index.tfidf.transform(_term_counts(batch, masked, chosen))
    parts = np.array_split(np.arange(len(items)), 1 + len(items) // PAIRS)
    sums = [vectors[row[part]].multiply(index.vectors[items[part]]).sum(axis=1) for part in parts]
    return np.asarray(np.concatenate(sums)).ravel()
