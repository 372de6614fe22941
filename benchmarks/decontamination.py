"""What decontamination finds, what it flags wrongly and how fast it is, beside the plain 8-gram rule.

Usage: python benchmarks/decontamination.py                                  the project's own worlds, and speed
       python benchmarks/decontamination.py --benchmark gsm8k_test.jsonl --paraphrases gsm8k_test_rephrased.jsonl \
              --negatives gsm8k_train.jsonl [--no-speed]                     real files: thresholds fitted on one half
       python benchmarks/decontamination.py --benchmark HumanEval.jsonl --negatives functions.jsonl \
              --rephrased python=humaneval_python.jsonl --rephrased js=humaneval_js.jsonl [--encoder all-MiniLM-L6-v2]   prose or code (rephrasings.py)
       options: [--items 60000] [--documents 8192] [--seed 0] [--recall 0.97] [--recall-given 0.92]
                [--worst-fpr 0.0015] [--show-false-positives]

Files are JSONL (or a JSON list) with a question, problem, prompt or text, and an answer that may end in "#### 18".
Paraphrases stand in the order of the benchmark. With paraphrases and negatives, three thresholds are fitted on even
rows and everything is reported on odd rows, always against the whole benchmark: `words` and `evidence` are those with
the fewest false positives among all whose recall surely (lower Wilson limit) reaches --recall for each attack and
--recall-given for the paraphrases given; `evidence_alone`, used where answers are missing, is the lowest with a
false-positive rate of at most --worst-fpr without answers. These rules were settled after both halves had been seen, so
the odd rows are not wholly untouched; fitted on odd rows instead, words is the same, evidence 0.35, and the even rows
then have a false-positive rate of .0021. Speed is processor time
of one core on random texts whose word order follows the given texts, without arguments on random words of a made-up
language of 20,000 words with natural frequencies, and on stories of our own worlds, the worst case: few templates, so
that every text resembles thousands of items (about 1,000 documents a second; memory stays flat there too). Measured on
one core with GSM8K test, its paraphrases and GSM8K train: 22,000 to 25,000 documents a second, 830 MiB in all.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import random
import resource
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import rephrasings
from attacks import ATTACKS, Attacked, Rate, attack, ngram_rule, rate
from question_files import Row, read_rows, refuse

from phi4r_lib.curate.decontaminate import DecontaminationSettings, Match, build_index, scan
from phi4r_lib.models.encoder import load_encoder
from phi4r_lib.worlds.make_data import random_story
from phi4r_lib.worlds.math_world import prompt

ROOT = Path(__file__).resolve().parents[1]
NEVER = {"words": 1.0, "containment": 1.0, "evidence": 1.0, "evidence_alone": 1.0}
LOOSE = {"words": {"words": 0.45, "containment": 0.45}, "numbers": {"evidence": 0.25, "evidence_alone": 0.25}}
GRID = {"words": np.arange(0.56, 0.86, 0.01), "evidence": np.arange(0.30, 0.46, 0.005)}  # all above the loose ones
ALONE = np.arange(0.40, 0.66, 0.01)
GIVEN, NO_ANSWERS = "paraphrases given", "without answers"


def columns(rows: list) -> tuple[list[str], list[str | None]]:
    """Texts and answers of rows or attacked items."""
    pairs = [(row.text, row.answer) if isinstance(row, Attacked) else row for row in rows]
    return [text for text, _ in pairs], [answer for _, answer in pairs]


def disguises(benchmark: list[Row], paraphrases: list[Row], seed: int) -> dict[str, list]:
    """Attack -> disguised items in benchmark order; the given paraphrases as one more attack."""
    made = {name: attack(name, *columns(benchmark), seed) for name in ATTACKS}
    return made | ({GIVEN: paraphrases} if paraphrases else {})


def scores(benchmark: list[Row], rows: list, own: bool) -> np.ndarray:
    """Best score of each row by (word rule, number rule), each rule alone; own: only against the item in its place."""
    best = np.zeros((len(rows), len(LOOSE)))
    for column, loose in enumerate(LOOSE.values()):
        index = build_index(*columns(benchmark), DecontaminationSettings(**NEVER | loose, matches_per_text=1000))
        for match in scan(index, *columns(rows)):
            if not own or match.train_index == match.eval_index:
                best[match.train_index, column] = max(best[match.train_index, column], match.score)
    return best


def flagged(best: np.ndarray, words: float, evidence: float) -> np.ndarray:
    """Which rows these two thresholds flag."""
    return (best[:, 0] >= words) | (best[:, 1] >= evidence)


def fit(benchmark: list[Row], made: dict[str, list], negatives: list[Row], args) -> DecontaminationSettings:
    """Thresholds chosen on even rows as the module docstring says; equal choices: most recall in all, then highest."""
    wrong = scores(benchmark, negatives, own=False)[::2]
    right = {name: scores(benchmark, rows, own=True)[::2] for name, rows in made.items()}
    goals = {name: args.recall_given if name == GIVEN else args.recall for name in made}
    ranked = []
    for pair in itertools.product(*GRID.values()):
        found = {name: rate(int(flagged(best, *pair).sum()), len(best)) for name, best in right.items()}
        if all(found[name].low >= goal for name, goal in goals.items()):
            total = round(sum(each.value for each in found.values()), 3)
            ranked.append((-int(flagged(wrong, *pair).sum()), total, sum(pair), pair))
    if not ranked:
        refuse("no thresholds reach these recalls on the even rows; ask less of --recall and --recall-given")
    words, evidence = max(ranked)[3]
    alone = scores(benchmark, [(text, None) for text, _ in negatives], own=False)[::2]
    fine = [float(least) for least in ALONE if flagged(alone, words, least).mean() <= args.worst_fpr]
    if not fine:
        refuse(
            f"without answers no threshold has a false-positive rate of {args.worst_fpr}; allow a larger --worst-fpr"
        )
    chosen = {"words": words, "evidence": evidence, "evidence_alone": min(fine)}
    return DecontaminationSettings(**{name: round(float(value), 3) for name, value in chosen.items()})


def show(value: Rate) -> str:
    """Rate with its Wilson interval."""
    return f"{value.value:.4f} [{value.low:.4f}, {value.high:.4f}]"


def table(benchmark: list[Row], made: dict[str, list], negatives: list[Row], settings, half: slice) -> list[Match]:
    """Prints recall by attack and false positives for both rules; returns the cascade's matches of the negatives."""
    index = build_index(*columns(benchmark), settings)
    rules = {
        "this cascade": lambda rows: list(scan(index, *columns(rows))),
        "plain 8-gram": lambda rows: ngram_rule(columns(rows)[0], columns(benchmark)[0]),
    }
    print(f"{'recall [95% Wilson interval]':32}" + "".join(f"{name:>26}" for name in rules))
    for name, rows in made.items():
        cells = []
        for rule in rules.values():
            own = {match.train_index for match in rule(rows) if match.train_index == match.eval_index}
            chosen = range(len(rows))[half]
            cells.append(rate(sum(row in own for row in chosen), len(chosen)))
        print(f"{name:32}" + "".join(f"{show(cell):>26}" for cell in cells))
    if GIVEN in made:
        _without_answers(benchmark, made[GIVEN], negatives, settings, half)
    found = {name: rule(negatives) for name, rule in rules.items()}
    chosen = set(range(len(negatives))[half])
    wrong = [rate(len({m.train_index for m in hits} & chosen), len(chosen)) for hits in found.values()]
    print(f"{'false positives on negatives':32}" + "".join(f"{show(cell):>26}" for cell in wrong))
    whole = [rate(len({m.train_index for m in hits}), len(negatives)) for hits in found.values()]
    print(f"{'the same on all negatives':32}" + "".join(f"{show(cell):>26}" for cell in whole))
    share = [rate(len({m.eval_index for m in hits}), len(benchmark)) for hits in found.values()]
    print(f"{'benchmark items hit by them':32}" + "".join(f"{show(cell):>26}" for cell in share))
    return found["this cascade"]


def _without_answers(benchmark: list[Row], given: list[Row], negatives: list[Row], settings, half: slice) -> None:
    """Prints what the cascade finds of the paraphrases given, and flags wrongly, when no answers are known."""
    index = build_index(columns(benchmark)[0], None, settings)
    own = {match.train_index for match in scan(index, columns(given)[0]) if match.train_index == match.eval_index}
    wrong = {match.train_index for match in scan(index, columns(negatives)[0])}
    for what, found, rows in (("paraphrases given", own, given), ("false positives", wrong, negatives)):
        chosen = range(len(rows))[half]
        print(f"{what + ', ' + NO_ANSWERS:32}{show(rate(len(found.intersection(chosen)), len(chosen))):>26}")


def random_texts(texts: list[str], count: int, seed: int) -> list[str]:
    """Texts of 25 to 70 words in which every word follows the two before it as somewhere in the given texts."""
    rng = random.Random(seed)
    follow: dict[tuple[str, str], list[str]] = defaultdict(list)
    openings = []
    for words in map(str.split, texts):
        openings.append(words[:2])
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            follow[first, second].append(third)
    made = []
    for _ in range(count):
        words, length = list(rng.choice(openings)), rng.randint(25, 70)
        while len(words) < length:
            after = follow.get(tuple(words[-2:]))
            words += [rng.choice(after)] if after else rng.choice(openings)
        made.append(" ".join(words))
    return made


def made_up_texts(count: int, seed: int) -> list[str]:
    """Texts of 25 to 70 words: 20,000 made-up words with frequency one over rank, every tenth word a number."""
    rng = random.Random(seed)
    words = [
        "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(1, 4)))
        for _ in range(20_000)
    ]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    lengths = [rng.randint(25, 70) for _ in range(count)]
    picked = [rng.choices(words, cum_weights=weights, k=length) for length in lengths]
    return [" ".join(str(rng.randint(2, 99)) if rng.random() < 0.1 else word for word in row) for row in picked]


def stories(split: str, count: int, seed: int) -> list[str]:
    """Different stories of two to four steps from the families of a split of our own worlds."""
    rng, made = random.Random(seed), {}
    while len(made) < count:
        made[prompt(random_story(split, rng.randint(2, 4), rng.randint(0, 2), rng), rng)] = None
    return list(made)


def speed_texts(source: list[Row], items: int, documents: int, seed: int):
    """(what, benchmark, documents): imitations of the two halves of source, else made-up words and our own stories."""
    if source:
        even, odd = ([text for text, _ in source[half::2]] for half in (0, 1))
        yield "texts like those given", random_texts(even, items, seed), random_texts(odd, documents, seed + 1)
        return
    both = made_up_texts(items + documents, seed)
    yield "made-up words", both[:items], both[items:]
    yield (
        "stories of few templates",
        stories("benchmark", items, seed),
        stories("train", min(documents, 1024), seed + 1),
    )


def speed(what: str, benchmark: list[str], texts: list[str], settings, seed: int) -> None:
    """Prints documents a second against the benchmark, beside the 8-gram rule, and the peak of memory."""
    rng, items, documents = random.Random(seed), len(benchmark), len(texts)
    answers = [str(rng.randint(1, 300)) for _ in range(items + documents)]
    start = time.process_time()
    index = build_index(benchmark, answers[:items], settings)
    print(
        f"\nspeed, {what}: {documents:,} documents, {np.mean([len(t.split()) for t in texts]):.0f} words each, {items:,} items"
    )
    print(f"index of the benchmark built in {time.process_time() - start:.1f} s of processor time")
    list(scan(index, texts[:1024], answers[items : items + 1024]))  # fills the cache of spellings
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.process_time()
    hits = len({match.train_index for match in scan(index, iter(texts), iter(answers[items:]))})
    _rate_line("this cascade", documents, time.process_time() - start, hits)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {before:.0f} MiB with the index, {after:.0f} MiB after the stream of documents")
    grams = {gram for text in benchmark for gram in _grams(text)}
    start = time.process_time()
    hits = sum(any(gram in grams for gram in _grams(text)) for text in texts)
    _rate_line("plain 8-gram rule", documents, time.process_time() - start, hits)


def _grams(text: str) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[start : start + 8]) for start in range(len(words) - 7)]


def _rate_line(name: str, documents: int, seconds: float, hits: int) -> None:
    speed_ = documents / seconds
    print(
        f"{name:20}{speed_:10,.0f} documents/s and core; 1.4 million seeds in {1.4e6 / speed_:5.0f} s; {hits} flagged"
    )


def own_worlds() -> tuple[list[Row], list[Row], list[Row]]:
    """Benchmark, seeds of disjoint families with their gold answers, and the leaks planted among them."""
    paths = {
        name: ROOT / "data" / name for name in ("benchmarks/contest.jsonl", "seeds/math.jsonl", "seeds/gold.jsonl")
    }
    try:
        rows = [[json.loads(line) for line in path.open(encoding="utf-8")] for path in paths.values()]
    except OSError as error:
        refuse(f"{error}; run in a clone with its data folder, or give --benchmark and --negatives")
    gold = {row["id"]: row["answer"] for row in rows[2]}
    seeds = [(row["prompt"], gold[row["id"]], "planted" in row["meta"]) for row in rows[1]]
    clean, planted = ([(text, answer) for text, answer, leak in seeds if leak == wanted] for wanted in (False, True))
    return [(row["prompt"], row["answer"]) for row in rows[0]], clean, planted


def main() -> None:
    """Parses the command line and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("benchmark", "paraphrases", "negatives"):
        parser.add_argument(f"--{name}")
    for name, default in {"items": 60_000, "documents": 8192, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in {"recall": 0.97, "recall-given": 0.92, "worst-fpr": 0.0015}.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--rephrased", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--encoder", metavar="FOLDER")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--show-false-positives", action="store_true")
    args = parser.parse_args()
    if args.benchmark and not args.negatives:
        parser.error("--benchmark needs --negatives: texts known not to overlap with it")
    if args.rephrased:
        if not args.benchmark:
            parser.error("--rephrased needs --benchmark: the items that were rephrased, in the same order")
        files = {
            name: columns(read_rows(path))[0] for name, _, path in (each.partition("=") for each in args.rephrased)
        }
        texts = [columns(read_rows(path))[0] for path in (args.benchmark, args.negatives)]
        encoder = load_encoder(args.encoder) if args.encoder else None
        rephrasings.run(texts[0], files, texts[1], args.worst_fpr, args.show_false_positives, encoder)
        return
    if args.benchmark:
        benchmark, negatives = read_rows(args.benchmark), read_rows(args.negatives)
        source = real_files(args, benchmark, negatives)
    else:
        source = worlds(args)
    if not args.no_speed:
        for what, items, documents in speed_texts(source, args.items, args.documents, args.seed):
            speed(what, items, documents, DecontaminationSettings(), args.seed)


def real_files(args, benchmark: list[Row], negatives: list[Row]) -> list[Row]:
    """Fits on even rows, reports on odd rows; returns the texts that the speed test imitates."""
    paraphrases = read_rows(args.paraphrases) if args.paraphrases else []
    if paraphrases and len(paraphrases) != len(benchmark):
        refuse(
            f"{args.paraphrases}: {len(paraphrases)} rows for {len(benchmark)} items; one per benchmark item, in order"
        )
    made = disguises(benchmark, paraphrases, args.seed)
    settings = fit(benchmark, made, negatives, args)
    defaults = DecontaminationSettings()
    for what, chosen in (("thresholds fitted on even rows", settings), ("the library's defaults", defaults)):
        print(
            f"\n{what}: words {chosen.words}, evidence {chosen.evidence}, without answers {chosen.evidence_alone}"
            + (
                ", exactly those fitted"
                if chosen is defaults == settings
                else f"; odd rows of {len(benchmark):,} items"
            )
        )
        if chosen is settings or defaults != settings:
            hits = table(benchmark, made, negatives, chosen, slice(1, None, 2))
    for match in hits if args.show_false_positives else ():
        text, item = negatives[match.train_index][0], benchmark[match.eval_index][0]
        print(f"\n{match}\n  text: {text}\n  item: {item}")
    return negatives + benchmark


def worlds(args) -> list[Row]:
    """Our own worlds: templates are shared on purpose, so other instances of a template are no contamination."""
    benchmark, clean, planted = own_worlds()
    settings = dataclasses.replace(DecontaminationSettings(), templates="allow")
    made = disguises(benchmark, [], args.seed)
    print(f"own worlds, templates: allow; {len(benchmark)} items, {len(clean)} seeds of other families")
    table(benchmark, made, clean, settings, slice(None))
    index = build_index(*columns(benchmark), settings)
    for what, rows in (("with answers", planted), ("without answers", [(text, None) for text, _ in planted])):
        found = len({match.train_index for match in scan(index, *columns(rows))})
        print(f"planted leaks found {what}: {found} of {len(planted)}")
    return []


if __name__ == "__main__":
    main()
