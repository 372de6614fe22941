"""Answers graded per second, beside math-verify called serially, and how often the two agree; one run, one ratio.

    python benchmarks/grading.py [--answers 4000] [FILE ...]

Without files it grades generated answers. FILE is JSON or JSONL with an answer field (`answer`, `Answer` or `gt`, GSM8K
solutions ending in "#### N" included); each gold is graded against itself, against respellings and against another
problem's gold, and model answers in a `pred` field are graded too. math-verify is called the usual way, parse and
verify with their default time limits, on at most --serial pairs of each set. Every pair is distinct, so nothing is
gained from remembered verdicts. Exits 1 when a verdict differs from math-verify's: on such answers it should not, while
on hostile ones it must (benchmarks/unequal.py).
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from math_verify import parse, verify

from phi4r_lib.problems.answers import Grade, extract_answer, grade

Pair = tuple[str, str]  # (answer, gold)


def generated(count: int, rng: random.Random) -> dict[str, list[Pair]]:
    """Distinct pairs in four kinds, about half of them right, in proportions of a numeric benchmark's answers."""
    kinds = {
        "integers": (0.7, lambda: _near(str(rng.randint(-99999, 99999)), rng)),
        "decimals": (0.1, lambda: _near(f"{rng.uniform(-999, 999):.{rng.randint(1, 4)}f}", rng)),
        "fractions": (0.1, lambda: _fraction(rng)),
        "formulas": (0.1, lambda: _formula(rng)),
    }
    return {name: _distinct(make, int(count * share)) for name, (share, make) in kinds.items()}


def _distinct(make, count: int) -> list[Pair]:
    pairs: dict[Pair, None] = {}
    while len(pairs) < count:
        pairs[make()] = None
    return list(pairs)


def _near(gold: str, rng: random.Random) -> Pair:
    right = rng.choice([gold, gold + ".0"] if "." not in gold else [gold, gold + "0"])
    return (right if rng.random() < 0.5 else str(rng.randint(-99999, 99999))), gold


def _fraction(rng: random.Random) -> Pair:
    top, bottom, scale = rng.randint(1, 999), rng.randint(2, 99), rng.randint(1, 5)
    gold = rf"\frac{{{top}}}{{{bottom}}}"
    right = rng.choice([f"{top * scale}/{bottom * scale}", rf"\dfrac{{{top * scale}}}{{{bottom * scale}}}"])
    return (right if rng.random() < 0.5 else f"{rng.randint(1, 999)}/{bottom}"), gold


def _formula(rng: random.Random) -> Pair:
    a, b, c = rng.randint(2, 99), rng.randint(2, 99), rng.randint(2, 9)
    gold, right, wrong = rng.choice(
        [
            (rf"{a} + {b}\sqrt{{{c}}}", rf"{b}\sqrt{{{c}}} + {a}", rf"{a} + {b + 1}\sqrt{{{c}}}"),
            (rf"\frac{{{a}\pi}}{{{b}}}", rf"{a}\pi/{b}", rf"\frac{{{a}\pi}}{{{b + 1}}}"),
            (rf"\left( {a}, {b} \right)", f"({a},{b})", f"({b},{a + b})"),
            (rf"{a}x + {b}", f"{b}+{a}x", f"{a}x - {b}"),
        ]
    )
    return (right if rng.random() < 0.5 else wrong), gold


def from_file(path: Path) -> list[Pair]:
    """Pairs from a file of problems; see the module docstring."""
    text = path.read_text(encoding="utf-8")
    rows = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines() if line]
    golds = [_gold(row) for row in rows]
    pairs = [(answer, gold) for gold in golds for answer in (gold, f" {gold}.0" if gold.isdigit() else f"${gold}$")]
    for shift in (1, 7):
        pairs += zip(golds[shift:] + golds[:shift], golds, strict=True)
    pairs += [(str(pred), gold) for row, gold in zip(rows, golds, strict=True) for pred in row.get("pred", [])]
    return list(dict.fromkeys(pair for pair in pairs if pair[0]))


def _gold(row: dict) -> str:
    raw = next((row[field] for field in ("answer", "Answer", "gt") if field in row), None)
    if raw is None:
        raise SystemExit(f"no field answer, Answer or gt in a row with {sorted(row)}")
    return extract_answer(raw) or raw if isinstance(raw, str) else str(raw)


def serial(pairs: list[Pair]) -> list[bool]:
    """math-verify as its documentation calls it, one pair after the other."""
    return [verify(parse(rf"\boxed{{{gold}}}"), parse(rf"\boxed{{{answer}}}")) for answer, gold in pairs]


@dataclass
class Row:
    """One set: its pairs, our seconds, the pairs that math-verify graded, its seconds, and how many verdicts differ."""

    name: str
    pairs: int
    ours: float
    sample: int
    theirs: float
    differ: int

    def show(self, right: str) -> None:
        ratio = (self.pairs / self.ours) / (self.sample / self.theirs)
        print(
            f"{self.name:24s} {self.pairs:7d} {right:>6s} {self.pairs / self.ours:11,.0f}"
            f" {self.sample / self.theirs:11,.0f} {ratio:8.1f}x   {self.sample - self.differ}/{self.sample} agree"
        )


def measure(name: str, pairs: list[Pair], most_serial: int, workers: int | None) -> Row:
    """Grades a set both ways and prints its row and the pairs on which the verdicts differ."""
    start = time.perf_counter()
    ours = grade([answer for answer, _ in pairs], [gold for _, gold in pairs], workers=workers)
    our_seconds = time.perf_counter() - start
    sample = random.Random(0).sample(range(len(pairs)), min(most_serial, len(pairs)))
    start = time.perf_counter()
    theirs = serial([pairs[i] for i in sample])
    their_seconds = time.perf_counter() - start
    differ = [i for i, them in zip(sample, theirs, strict=True) if (ours[i] is Grade.RIGHT) != them]
    row = Row(name, len(pairs), our_seconds, len(sample), their_seconds, len(differ))
    row.show(f"{sum(verdict is Grade.RIGHT for verdict in ours) / len(pairs):.1%}")
    for i in differ[:20]:
        print(f"    differs: answer {pairs[i][0]!r}, gold {pairs[i][1]!r}: {ours[i].name} here")
    return row


def total(rows: list[Row]) -> Row:
    """All sets together; math-verify's seconds are scaled from its sample to the whole of each set."""
    pairs, seconds = sum(row.pairs for row in rows), sum(row.theirs * row.pairs / row.sample for row in rows)
    sample = sum(row.sample for row in rows)
    differ = sum(row.differ for row in rows)
    return Row("all", pairs, sum(row.ours for row in rows), sample, seconds * sample / pairs, differ)


def main() -> int:
    """Prints the table; exit code 1 when a verdict differs."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--answers", type=int, default=2000, help="generated answers in all")
    options.add_argument("--serial", type=int, default=2000, help="most pairs of a set for math-verify")
    options.add_argument("--workers", type=int, default=None)
    args = options.parse_args()
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    sets = {path.name: from_file(path) for path in args.files} or generated(args.answers, random.Random(0))
    serial([("1", "1")])  # imports and compiled patterns: not counted for math-verify
    start = time.perf_counter()
    grade([r"\cos 0"], ["1"], workers=args.workers)  # nor the start of the first worker for us
    print(f"first worker ready and one formula graded: {time.perf_counter() - start:.2f} s (once per process)\n")
    print(f"{'answers':24s} {'pairs':>7s} {'right':>6s} {'phi4r /s':>11s} {'serial /s':>11s} {'ratio':>9s}")
    rows = [measure(name, pairs, args.serial, args.workers) for name, pairs in sets.items()]
    total(rows).show("")
    return 1 if any(row.differ for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
