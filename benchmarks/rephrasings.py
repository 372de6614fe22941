"""Rephrased prose and code: recall of the whole cascade beside the plain 8-gram rule, per file; called by decontamination.py.

Each file holds rephrasings of the benchmark's items, in order; empty rows (a rephrasing that failed) are left out. Items and
negatives are halved by a checksum of their text. The least evidence is fitted on the first half of the negatives (rephrasings
do not enter: it is the lowest at which they stay within the rate asked for), everything is reported on the second half,
against the whole benchmark. Negatives that are an item word for word are no negatives and left out. Rephrasings that only
point to a passage which they leave out ("the text above") are counted in, and shown apart.

With --encoder FOLDER (models/encoder.py) a third column compares by vectors too. Not wholly untouched: the synonyms of wording.py
were written with some pairs of either half seen, weights of words were chosen by the recall of both, and false positives of both were read;
the shape of examples and the order of their values were chosen on the first half, where the missed pairs in Python and some in C were
read, two items in Rust, Go and Java; the least evidence for code was raised after the second half had been seen. Tried
and left out: pairs and triples of whole lists and the order inside one list (a third of the gain), less weight for pairs of words or
numbers that one side lacks (nothing), cosines of whole programs (useless: .21, .02 and .03 found), a vector's distance from an item's usual
neighbours (a point more, but needs a background text), evidence from descriptions alone (two points more by words, none beside vectors),
60 more synonyms for programs (a point less), expressions with their names taken out (half a point more); for prose stems cut to five, six
or seven letters, beginnings of stems or neighbouring words as further features, other weights for missing words (all nothing or less).
Not here: word problems.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import zlib
from collections.abc import Sequence

import numpy as np
from attacks import ngram_rule, rate

from phi4r_lib.curate.decontaminate import build_index, scan
from phi4r_lib.curate.thresholds import DecontaminationSettings
from phi4r_lib.curate.wording import kind_of

MIDDLES = np.arange(0.6, 0.9, 0.01)
FIT_SHARE = 0.9  # of the rate asked for: room for the half that is not seen
POINTING = re.compile(
    r"\b(?:above|passage|excerpt|extract|paragraph|text|quot\w*|aforementioned|mentioned|provided|described|this|these)\b",
    re.I,
)


def seen(text: str) -> bool:
    """Whether a text belongs to the half that thresholds are fitted on."""
    return zlib.crc32(text.encode()) % 2 == 0


def remembering(encoder):
    """The encoder, with every text encoded once."""
    known: dict[str, np.ndarray] = {}

    def encode(texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, encoder(new) if new else (), strict=True))
        return np.array([known[text] for text in texts])

    return encode


def fitted(benchmark: Sequence[str], negatives: Sequence[str], worst: float, encoder) -> DecontaminationSettings:
    """Settings with the least evidence (encoder: the lowest middle) at which `worst` of the seen negatives come through."""
    settings = DecontaminationSettings()
    for evidence in build_index(benchmark, None, settings, encoder=encoder).evidence:
        code = evidence.kind == "code"
        half = [text for text in negatives if seen(text) and (kind_of(text) == "code") == code]
        if not half:
            continue
        if encoder is None:
            at = np.sort(_best(evidence, half))[::-1][int(worst * len(half))]
            change = {f"{evidence.kind}_evidence": round(float(at) + 0.05, 1)}
        else:
            for middle in MIDDLES:
                rule = dataclasses.replace(evidence.rule, middle=float(middle))
                wrong = _best(dataclasses.replace(evidence, rule=rule), half) >= rule.least
                if wrong.sum() <= worst * len(half):
                    break
            change = {f"{evidence.kind}_cosine": round(float(middle), 2)}
        settings = dataclasses.replace(settings, **change)
    return settings


def _best(evidence, texts: Sequence[str]) -> np.ndarray:
    rows, _, amounts, _ = evidence.similar(texts)
    best = np.zeros(len(texts))
    np.maximum.at(best, rows, amounts)
    return best


def table(benchmark: Sequence[str], files: dict[str, Sequence[str]], negatives: Sequence[str], rules: dict) -> list:
    """Prints recall per file and false positives on the unseen half, one column per rule; returns the matches of each."""
    print(f"{'recall [95% Wilson interval]':40}" + "".join(f"{name:>28}" for name in rules))
    for name, texts in files.items():
        rows = [row for row, text in enumerate(texts) if text.strip() and not seen(benchmark[row])]
        found = [{m.train_index for m in rule(texts) if m.train_index == m.eval_index} for rule in rules.values()]
        kinds = ", ".join(sorted({kind_of(texts[row]) for row in rows}))
        _line(f"{name} ({kinds})", found, rows)
        if kinds != "code" and (alone := [row for row in rows if not POINTING.search(texts[row])]) != rows:
            _line("  without those that point elsewhere", found, alone)
    half = [text for text in negatives if not seen(text)]
    wrong = [list(rule(half)) for rule in rules.values()]
    _line(
        f"false positives, {len(half):,} negatives", [{m.train_index for m in hits} for hits in wrong], range(len(half))
    )
    return [[(match, half[match.train_index], benchmark[match.eval_index]) for match in hits] for hits in wrong]


def _line(name: str, found: list[set[int]], rows: Sequence[int]) -> None:
    cells = [rate(len(hits.intersection(rows)), len(rows)) for hits in found]
    print(f"{name:40.40}" + "".join(f"{f'{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]':>28}" for one in cells))


def run(
    benchmark: Sequence[str],
    files: dict[str, Sequence[str]],
    negatives: Sequence[str],
    worst: float,
    show: bool,
    encoder,
) -> None:
    """Both tables: thresholds fitted on the seen half, and the library's own."""
    copies = {match.train_index for match in scan(build_index(benchmark), negatives) if match.rule == "exact"}
    negatives = [text for place, text in enumerate(negatives) if place not in copies]
    print(f"{len(copies)} negatives are an item word for word and left out")
    encoders = {"this cascade": None} | ({"with the encoder": remembering(encoder)} if encoder else {})
    for what in ("fitted on the seen half", "the library's defaults"):
        print(f"\nrephrasings, thresholds {what}")
        rules = {}
        for name, one in encoders.items():
            settings = (
                fitted(benchmark, negatives, FIT_SHARE * worst, one) if "fit" in what else DecontaminationSettings()
            )
            print(f"{name}: " + ", ".join(f"{key} {getattr(settings, key)}" for key in SHOWN))
            index = build_index(benchmark, None, settings, encoder=one)
            rules[name] = functools.partial(scan, index)
        rules["plain 8-gram"] = lambda texts: ngram_rule(texts, benchmark)
        wrong = table(benchmark, files, negatives, rules)
    for match, text, item in wrong[len(encoders) - 1] if show else ():
        print(f"\n{match}\n  text: {text[-300:]}\n  item: {item[-300:]}")


SHOWN = ("prose_evidence", "code_evidence", "prose_cosine", "code_cosine")
