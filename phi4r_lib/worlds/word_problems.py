"""What profile `smollm2` needs, made once: `python -m phi4r_lib.worlds.word_problems` (what `make smollm2` runs).

Problems come from reasoning-gym's generators, with real numbers and natural language: `gsm_symbolic` (school word problems
from a hundred templates) and `chain_sum` (short sums, so that the base has an edge). Its worked solutions are the recorded
teacher; the solution of a sum is written here. The model is SmolLM2-135M-Instruct (models/smollm2.py). Nothing is
downloaded. Not here: judging the answers, which the library's own verifier does.
"""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path
from typing import Any

from phi4r_lib.models.smollm2 import smollm2_folder
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import Problem

OUT = Path(__file__).parents[2] / "data" / "smollm2"
LICENCE = "Apache-2.0"
SPLITS = {"validation": (60, 1), "benchmark": (240, 2), "seeds": (1500, 3)}  # problems, and the generators' seed
SUMS = 0.4  # share of short sums; ours
Row = dict[str, Any]


def generate(size: int, seed: int, known: set[str]) -> list[tuple[Problem, str]]:
    """`size` (problem with its answer, worked solution) of both families, mixed; prompts in `known` are left out and added.

    Raises ImportError without reasoning-gym.
    """
    import reasoning_gym

    counts = {"chain_sum": round(size * SUMS)}
    counts["gsm_symbolic"] = size - counts["chain_sum"]
    easier = {"chain_sum": {"max_terms": 4, "max_digits": 2}}
    pairs = []
    for family, count in counts.items():
        rows = reasoning_gym.create_dataset(family, size=3 * count, seed=seed, **easier.get(family, {}))
        found = 0
        for row in rows:
            whole = re.fullmatch(r"-?\d+", str(row["answer"]))  # some answers are None or cut off
            if found < count and whole and row["question"] not in known:
                known.add(row["question"])
                found += 1
                pairs.append((problem(row, family, f"{family}-{seed}-{found}"), solution(row, family)))
    random.Random(seed).shuffle(pairs)
    return pairs


def problem(row: Row, family: str, name: str) -> Problem:
    """A generator's row as a problem; `meta` has its family and how many lines of the solution compute something."""
    steps = max(1, sum("=" in line for line in solution(row, family).splitlines()))
    kind = {"steps": min(steps, 8), "family": f"{family}/{min(steps, 8)} steps"}
    about = {"source": f"reasoning-gym {family}", "licence": LICENCE, "meta": kind}
    return Problem(id=name, domain="math", prompt=row["question"].strip(), answer=str(row["answer"]), **about)


def solution(row: Row, family: str) -> str:
    """The worked solution: the generator's own, or for a sum its partial sums, one per line."""
    if family != "chain_sum":
        return re.sub(r"\n*####.*$", "", row["metadata"]["answer_cot"], flags=re.DOTALL).strip()
    first, *rest = re.findall(r"[+-]|\d+", row["metadata"]["expression"].replace(" ", ""))
    total, lines = int(first), []
    for sign, number in zip(rest[::2], rest[1::2], strict=True):
        after = total + int(number) if sign == "+" else total - int(number)
        lines.append(f"{total} {sign} {number} = {after}")
        total = after
    return "\n".join(lines)


def write(out: Path) -> dict[str, int]:
    """Writes seeds, their gold answers, validation, benchmark and the recorded solutions; returns the counts of problems.

    Seeds carry no answer: the recorded teacher gives it, as everywhere in the recipe. No problem stands in two files. The
    teacher has solutions of all three, as a strong model would; training takes those of seeds only.
    """
    known: set[str] = set()
    counts, solved = {}, []
    for name, (size, seed) in SPLITS.items():
        pairs = generate(size, seed, known)
        solved += [{"prompt": one.prompt, "solution": text, "answer": one.answer} for one, text in pairs]
        bare = {"answer": None} if name == "seeds" else {}
        rows = (one.model_copy(update=bare).model_dump(exclude_none=True) for one, _ in pairs)
        write_rows(out / f"{name}.jsonl", rows)
        counts[name] = len(pairs)
        if name == "seeds":
            write_rows(out / "gold.jsonl", ({"id": one.id, "answer": one.answer} for one, _ in pairs))
    write_rows(out / "traces.jsonl", solved)
    return counts


def main() -> None:
    """Writes the problems and converts the model."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=OUT, help="folder (default: data/smollm2)")
    out = options.parse_args().out
    try:
        counts = write(out)
    except ImportError as error:
        raise SystemExit(f"reasoning-gym is not installed ({error}): pip install -e '.[gym]'") from None
    folder = smollm2_folder(out / "model")
    print(f"{', '.join(f'{count:,} {name}' for name, count in counts.items())} problems and {folder.name} in {out}")


if __name__ == "__main__":
    main()
