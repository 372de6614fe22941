"""Rephrased prose and code: recall of the whole cascade beside the plain 8-gram rule, per file; called by decontamination.py.

Each file holds rephrasings of the benchmark's items, in order; empty rows (a rephrasing that failed) are left out. The
least evidence is fitted on even rows (rephrasings do not enter: it is the lowest at which even negatives stay within the
rate asked for), everything is reported on odd rows, against the whole benchmark. Negatives that are an item word for word are no
negatives and left out. The synonyms of wording.py were written with
some pairs of both halves seen, so the odd rows are not wholly untouched. Tried and left out: cosines of a small sentence encoder
(all-MiniLM-L6-v2), which at one false positive in 1,235 functions find .21, .02 and .03 of the rewrites of HumanEval in Python,
JavaScript and C, and beside the evidence add nothing. Not here: word problems.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from attacks import ngram_rule, rate

from phi4r_lib.curate.decontaminate import build_index, scan
from phi4r_lib.curate.thresholds import DecontaminationSettings
from phi4r_lib.curate.wording import kind_of

FIT_SHARE = 0.9  # of the rate asked for: room for the half that is not seen


def fitted(benchmark: Sequence[str], negatives: Sequence[str], worst: float) -> DecontaminationSettings:
    """Settings with the least evidence per kind at which a share `worst` of the even negatives comes through."""
    settings = DecontaminationSettings()
    for evidence in build_index(benchmark, None, settings).evidence:
        code = evidence.kind == "code"
        even = [text for text in negatives[::2] if (kind_of(text) == "code") == code]
        if not even:
            continue
        texts, _, amounts, _ = evidence.similar(even)
        best = np.zeros(len(even))
        np.maximum.at(best, texts, amounts)
        at = np.sort(best)[::-1][int(worst * len(even))]
        settings = dataclasses.replace(settings, **{f"{evidence.kind}_evidence": round(float(at) + 0.05, 1)})
    return settings


def table(benchmark: Sequence[str], files: dict[str, Sequence[str]], negatives: Sequence[str], settings) -> list:
    """Prints recall per file and false positives on odd rows, cascade beside 8-gram rule; returns the matched negatives."""
    index = build_index(benchmark, None, settings)
    rules = {
        "this cascade": lambda texts: list(scan(index, texts)),
        "plain 8-gram": lambda texts: ngram_rule(texts, benchmark),
    }
    print(f"least evidence: prose {settings.prose_evidence}, code {settings.code_evidence}; odd rows")
    print(f"{'recall [95% Wilson interval]':40}" + "".join(f"{name:>28}" for name in rules))
    for name, texts in files.items():
        rows = [row for row in range(1, len(texts), 2) if texts[row].strip()]
        found = [{m.train_index for m in rule(texts) if m.train_index == m.eval_index} for rule in rules.values()]
        kinds = ", ".join(sorted({kind_of(texts[row]) for row in rows}))
        print(
            f"{f'{name} ({kinds})':40.40}"
            + "".join(f"{_show(len(hits.intersection(rows)), len(rows)):>28}" for hits in found)
        )
    odd = list(negatives[1::2])
    wrong = [rule(odd) for rule in rules.values()]
    cells = [_show(len({match.train_index for match in hits}), len(odd)) for hits in wrong]
    print(f"{f'false positives, {len(odd):,} negatives':40}" + "".join(f"{cell:>28}" for cell in cells))
    return [(match, odd[match.train_index], benchmark[match.eval_index]) for match in wrong[0]]


def _show(hits: int, total: int) -> str:
    found = rate(hits, total)
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def run(
    benchmark: Sequence[str], files: dict[str, Sequence[str]], negatives: Sequence[str], worst: float, show: bool
) -> None:
    """Both tables: thresholds fitted on even rows, and the library's own."""
    copies = {match.train_index for match in scan(build_index(benchmark), negatives) if match.rule == "exact"}
    negatives = [text for place, text in enumerate(negatives) if place not in copies]
    print(f"{len(copies)} negatives are an item word for word and left out")
    for what, settings in (
        ("fitted on even rows", fitted(benchmark, negatives, FIT_SHARE * worst)),
        ("the library's defaults", DecontaminationSettings()),
    ):
        print(f"\nrephrasings, thresholds {what}")
        wrong = table(benchmark, files, negatives, settings)
    for match, text, item in wrong if show else ():
        print(f"\n{match}\n  text: {text[:300]}\n  item: {item[:300]}")
