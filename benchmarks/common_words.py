"""Rebuilds the tables of phi4r_lib/curate/common_words.py: in which share of texts each word of prose and of code stands.

Run: python benchmarks/common_words.py --prose mmlu_test.jsonl --code mbpp.jsonl --code algorithms.jsonl
Prints the two tables; paste them over PROSE and CODE. The shipped tables came from every second question of the MMLU test set
(fields `subject`, `question`; the two subjects that benchmarks/decontamination.py measures on are left out with
--without high_school_us_history --without sociology), and every second function of MBPP (field `code`) and of
TheAlgorithms/Python (one file's text in `code`). Files are JSONL, none is shipped or fetched.
"""

from __future__ import annotations

import argparse
import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from phi4r_lib.curate import wording
from phi4r_lib.curate.common_words import RARE
from phi4r_lib.problems.rows import read_rows

FIELDS = ("question", "prompt", "text", "code", "content")


def texts_of(files: Iterable[str | Path], without: Sequence[str] = ()) -> list[str]:
    """Every second text of each file, by the first of FIELDS that a row has; rows of the subjects `without` left out."""
    found = []
    for file in files:
        rows = [row for _, row in read_rows(file) if row.get("subject") not in without]
        found += [next(str(row[name]) for name in FIELDS if row.get(name)) for row in rows[::2]]
    return found


def shares(texts: Sequence[str], kind: str) -> dict[int, list[str]]:
    """{one in so many texts (a power of two): words}, down to the share of RARE; numbers and pairs are left out."""
    read = {"prose": wording.prose, "code": wording.code}[kind]
    seen = Counter(word for text in texts for word in set(read(text)) if " " not in word and word[0] not in '="#~')
    table: dict[int, list[str]] = {}
    for word, count in seen.items():
        step = 2 ** math.floor(math.log2(len(texts) / count))
        if step < 1 / RARE[kind]:
            table.setdefault(step, []).append(word)
    return {step: sorted(table[step]) for step in sorted(table)}


def as_code(name: str, table: dict[int, list[str]]) -> str:
    """The table as it stands in common_words.py."""
    lines = [f"{name} = {{"]
    for step, words in table.items():
        parts = textwrap.wrap(" ".join(words), 110)
        lines += [
            f"    {step}: (",
            *(f'        "{part}{" " if part is not parts[-1] else ""}"' for part in parts),
            "    ),",
        ]
    return "\n".join([*lines, "}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("prose", "code", "without"):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar="SUBJECT" if name == "without" else "FILE"
        )
    args = parser.parse_args()
    if not (args.prose or args.code):
        parser.error("give at least one file with --prose or --code")
    for kind, files in (("prose", args.prose), ("code", args.code)):
        if files:
            print(as_code(kind.upper(), shares(texts_of(files, args.without), kind)))


if __name__ == "__main__":
    main()
