"""Where each stored sample lies: its key and its shard and row, about 30 bytes per sample, found by binary search.

Sorted runs of growing size are merged as they come (a log-structured index), so that adding n samples costs about
n log n in all and a look-up some searches per run. Not here: the samples themselves (store.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Group = tuple[str, str]  # (model, settings hash)
ENTRY = np.dtype(
    [
        ("prompt", np.uint64),
        ("group", np.int32),
        ("index", np.int32),
        ("answered", np.bool_),
        ("shard", np.int32),
        ("row", np.int32),
    ]
)


def numbers_of(hashes: Sequence[str]) -> np.ndarray:
    """Hashes of 16 hex digits as 64-bit numbers."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8").astype(np.uint64)


class KeyIndex:
    """Entries of ENTRY by prompt; of several with one key an answer wins over a fault, and later over earlier."""

    def __init__(self) -> None:
        self.groups: dict[Group, int] = {}
        # Each sorted by prompt, the older and larger first; the prompts once more alone, where a search is fast.
        self.runs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(
        self, shard: int, groups: Sequence[Group], prompts: np.ndarray, index: np.ndarray, faults: np.ndarray
    ) -> None:
        """The rows of one shard, in their order."""
        run = np.empty(len(prompts), ENTRY)
        run["group"] = [self.groups.setdefault(group, len(self.groups)) for group in groups]
        run["prompt"], run["index"], run["answered"] = prompts, index, ~faults
        run["shard"], run["row"] = shard, np.arange(len(prompts))
        self.runs.append(_sorted(run))
        while len(self.runs) > 1 and len(self.runs[-2][0]) <= 2 * len(self.runs[-1][0]):
            (_, later), (_, earlier) = self.runs.pop(), self.runs.pop()
            self.runs.append(_sorted(np.concatenate([earlier, later])))

    def find(self, group: Group, prompts: np.ndarray, wanted: range) -> tuple[np.ndarray, np.ndarray]:
        """(place in `prompts`, entry) of every stored sample with a number in `wanted`, by place, then number."""
        code = self.groups.get(group, -1)
        unique, places = np.unique(prompts, return_inverse=True)
        found = self._of(unique)
        found = found[(found["group"] == code) & (found["index"] >= wanted.start) & (found["index"] < wanted.stop)]
        found = _best(found)
        first, last = (np.searchsorted(found["prompt"], unique, side) for side in ("left", "right"))
        counts = (last - first)[places]
        ends = np.cumsum(counts)
        each = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        return np.repeat(np.arange(len(prompts)), counts), found[np.repeat(first[places], counts) + each]

    def held(self, group: Group, prompts: np.ndarray, wanted: range, *, faults: bool) -> np.ndarray:
        """Which samples are stored, as prompts x numbers; those with an error count when `faults`."""
        place, found = self.find(group, prompts, wanted)
        there = np.zeros((len(prompts), len(wanted)), bool)
        there[place, found["index"] - wanted.start] = True if faults else found["answered"]
        return there

    def of_prompts(self, model: str, prompts: np.ndarray) -> np.ndarray:
        """The entries of one model's samples of these prompts, under any settings."""
        codes = [code for (name, _), code in self.groups.items() if name == model]
        found = self._of(np.unique(prompts))
        return _best(found[np.isin(found["group"], codes)])

    def everything(self) -> np.ndarray:
        """One entry for every key, in the order in which they were written."""
        found = _best(np.concatenate([run for _, run in self.runs])) if self.runs else np.empty(0, ENTRY)
        return found[np.lexsort((found["row"], found["shard"]))]

    def _of(self, unique: np.ndarray) -> np.ndarray:
        """All entries of these (sorted) prompts."""
        parts = [np.empty(0, ENTRY)]
        for prompts, run in self.runs:
            first, last = (np.searchsorted(prompts, unique, side) for side in ("left", "right"))
            counts = last - first
            each = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            parts.append(run[np.repeat(first, counts) + each])
        return np.concatenate(parts)


def _sorted(run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    run = run[np.argsort(run["prompt"], kind="stable")]
    return np.ascontiguousarray(run["prompt"]), run


def _best(found: np.ndarray) -> np.ndarray:
    """One entry per key, by prompt, then number: the last answer, else the last fault."""
    order = np.lexsort(
        (found["row"], found["shard"], found["answered"], found["group"], found["index"], found["prompt"])
    )
    found = found[order]
    keys = [found["prompt"], found["index"], found["group"]]
    last = np.ones(len(found), bool)
    last[:-1] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return found[last]
