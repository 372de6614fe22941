"""The benchmarks that training must not contain, as notebook 02 meets them: open them once, then ask of every stage's texts.

Not here: the cascade itself (decontaminate.py) and near-duplicates among any texts (duplicates.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from phi4r_lib.curate.decontaminate import BenchmarkIndex, build_index, scan
from phi4r_lib.curate.duplicates import remove_duplicates
from phi4r_lib.curate.evidence import uncovered, weakly_covered
from phi4r_lib.curate.thresholds import DecontaminationSettings
from phi4r_lib.models.encoder import load_encoder
from phi4r_lib.problems.schema import Problem, load_problems

BLOCK = 2048  # texts in memory at once; ours


@dataclass(frozen=True)
class Screen:
    """The items of all benchmarks with their index."""

    items: list[Problem]
    index: BenchmarkIndex
    settings: DecontaminationSettings
    encoded: bool = False  # whether a sentence encoder compares prose and code

    def met(self, texts: Iterable[tuple[str, str, str | None]], stage: str) -> list[dict[str, Any]]:
        """One row for every (id, text, answer) that meets a benchmark item: the best rule, its score, the item.

        The texts stream through, some thousand at a time.
        """
        texts, found = iter(texts), []
        while block := list(islice(texts, BLOCK)):
            found += self._met(block, stage)
        return found

    def _met(self, block: Sequence[tuple[str, str, str | None]], stage: str) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        for match in scan(self.index, [text for _, text, _ in block], [answer for *_, answer in block]):
            item, (name, text, _) = self.items[match.eval_index], block[match.train_index]
            row = {"id": name, "stage": stage, "rule": match.rule, "score": round(match.score, 4)}
            row |= {"item": item.id, "text": text, "item_text": item.prompt}
            found.setdefault(match.train_index, row)  # the first match of a text is its best
        return list(found.values())

    def blind(self, rows: Sequence[Problem]) -> dict[str, list[str]]:
        """Reason -> ids of the rows whose rewordings are not looked for, or are found less often than they should."""
        texts = [row.prompt for row in rows]
        found = uncovered(texts, self.settings) | weakly_covered(texts, self.settings, self.encoded)
        return {reason: [rows[place].id for place in places] for reason, places in found.items()}


def open_screen(files: Iterable[str | Path], encoder: str | Path | None = None, **settings: Any) -> Screen:
    """The benchmarks in these files; `settings` as in DecontaminationSettings, encoder: the folder of a sentence encoder."""
    items, chosen = [item for file in files for item in load_problems(file)], DecontaminationSettings(**settings)
    texts, answers = [one.prompt for one in items], [one.answer for one in items]
    encode = load_encoder(encoder) if encoder else None
    return Screen(items, build_index(texts, answers, chosen, encoder=encode), chosen, encode is not None)


def repeating(items: Sequence[tuple[str, str]], threshold: float, stage: str, seed: int = 0) -> list[dict[str, Any]]:
    """One row for every (id, text) that is a near-duplicate of an earlier one, which `item` names."""
    found = remove_duplicates([text for _, text in items], threshold=threshold, seed=seed).removed
    return [
        {
            "id": items[one.removed][0], "stage": stage, "rule": "near-duplicate", "score": round(one.similarity, 4),
            "item": items[one.kept][0], "text": items[one.removed][1], "item_text": items[one.kept][1],
        }
        for one in found
    ]  # fmt: skip
