"""Training rows and prompts to draw arms from: everything that notebooks 01 and 02 kept, with the class of each problem.

The recipe's own mixture (mixture.py) takes some of each class; a trial needs all of them, told apart, and also the rows
that a filter would have dropped. Not here: which arm takes what (cookbook/sweeps/cells.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from phi4r_lib.curate.draws import draw
from phi4r_lib.curate.edge import load_edge
from phi4r_lib.curate.mixture import sft_row
from phi4r_lib.curate.rewrite import RewriteRow
from phi4r_lib.curate.teach import Lesson, rewrite_lessons, seed_lessons
from phi4r_lib.curate.traces import TraceRow, traces_in
from phi4r_lib.models.engine import Engine, Progress, SamplingSettings, as_messages
from phi4r_lib.problems.rows import read_rows, write_rows
from phi4r_lib.problems.schema import Problem, problem_of, save_problems
from phi4r_lib.problems.verify import Verifiers, verify_samples

UNFILTERED = ("wrong answer", "no answer", "right", "same text", "surplus")  # reasons that say nothing about the form


@dataclass(frozen=True)
class Pool:
    """Files of rows or prompts, and a table of how many there are of each kind and class."""

    files: dict[str, Path]
    table: pd.DataFrame


def training_pool(edge: Path, rewrite: Path, out: Path, system: str | None) -> Pool:
    """One training row per mathematics problem, in five files below `out`.

    math.jsonl: seeds with their kept trace and `decision` of notebook 01. mixed.jsonl: these and the made problems.
    high.jsonl, medium.jsonl: the problems that were solved at both efforts. unfiltered.jsonl: the teacher's first well-formed trace of
    every problem in mixed.jsonl, right or wrong (`grade`). `edge` is the file or folder of notebook 01, `rewrite` the folder of 02.
    """
    file = edge if edge.is_file() else edge / "edge.jsonl"
    made = [RewriteRow.model_validate(row) for row in _rows(rewrite / "rewrites.jsonl")]
    lessons = {one.id: one for one in [*seed_lessons(load_edge(file)), *rewrite_lessons(made)] if one.domain == "math"}
    kept, first, high = _firsts(row for row in traces_in(rewrite / "traces.jsonl") if row.problem_id in lessons)
    chosen = {
        "math": [trace for key, trace in kept.items() if lessons[key].kind == "seed"],
        "mixed": list(kept.values()),
        "high": [trace for key, trace in high.items() if key in kept],
        "medium": [kept[key] for key in high if key in kept],
        "unfiltered": [first[key] for key in kept],
    }
    row = lambda trace: sft_row(trace, lessons[trace.problem_id], system) | {"grade": trace.grade}  # noqa: E731
    files = {name: write_rows(out / f"{name}.jsonl", map(row, some)) for name, some in chosen.items()}
    classes = {name: [lessons[trace.problem_id].decision for trace in some] for name, some in chosen.items()}
    counts = {name: pd.Series(some, dtype=object).value_counts() for name, some in classes.items()}
    return Pool(files, pd.DataFrame(counts).T.fillna(0).astype(int))


def _firsts(traces: Iterable[TraceRow]) -> tuple[dict[str, TraceRow], ...]:
    """By problem: the first kept trace, the first well-formed one, and the first of high effort that is not wrong."""
    kept, first, high = {}, {}, {}
    for trace in traces:
        medium = trace.effort == "medium"
        if medium and trace.kept:
            kept.setdefault(trace.problem_id, trace)
        if medium and trace.reason.startswith(UNFILTERED):
            first.setdefault(trace.problem_id, trace)
        if trace.effort == "high" and not trace.reason.startswith(("wrong", "no ")):
            high.setdefault(trace.problem_id, trace)
    return kept, first, high


def _rows(file: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(file)]


def prompt_pool(
    rl_file: Path,
    edge: Path,
    model: Engine,
    out: Path,
    system: str | None,
    *,
    limit: int | None = None,
    answers: int = 8,
    temperature: float = 1.0,
    max_tokens: int = 128,
    seed: int = 0,
    progress: Progress | None = None,
    verifiers: Verifiers | None = None,
) -> Pool:
    """Prompts for GRPO with the class that the *current* model gives them, as prompts.jsonl below `out`.

    The prompts of notebook 02 and the seeds with an answer, at most `limit` of them (drawn from `seed`), are answered `answers` times each; at most one in
    eight right is "hard", at least seven in eight "easy", the rest "edge" (a fixed rule, ours: cheap and the same for all).
    """
    file = edge if edge.is_file() else edge / "edge.jsonl"
    rows = _rows(rl_file)
    known = {row["id"] for row in rows}
    rows += [
        _prompt(one, system) for one in seed_lessons(load_edge(file)) if one.id not in known and one.domain == "math"
    ]
    rows = random.Random(seed).sample(rows, min(limit or len(rows), len(rows)))
    settings = SamplingSettings(n=answers, temperature=temperature, max_tokens=max_tokens, seed=seed)
    drawn = draw(model, [(row["id"], row["prompt"]) for row in rows], settings, out / "pass_rates", progress)
    rates = [_rate(row, samples, verifiers) for row, samples in zip(rows, drawn, strict=True)]
    classed = [row | {"pass_rate": rate, "class": _class(rate)} for row, rate in zip(rows, rates, strict=True)]
    path = write_rows(out / "prompts.jsonl", classed)
    table = pd.crosstab(
        pd.Series([row["decision"] for row in classed], name="before SFT"),
        pd.Series([row["class"] for row in classed], name="after SFT"),
    )
    return Pool({"prompts": path}, table)


def _prompt(lesson: Lesson, system: str | None) -> dict[str, Any]:
    names = (
        "id",
        "domain",
        "answer",
        "answer_type",
        "source",
        "licence",
        "parent_id",
        "kind",
        "decision",
        "vote_share",
        "verifier",
    )
    return {"prompt": as_messages(lesson.prompt, system)} | {name: getattr(lesson, name) for name in names}


def _rate(row: Mapping[str, Any], samples: Sequence[Any], verifiers: Verifiers | None) -> float:
    verdicts = verify_samples([problem_of(row)] * len(samples), samples, verifiers)
    return sum(verdict.correct for verdict in verdicts) / len(samples)


def _class(rate: float) -> str:
    return "hard" if rate <= 0.125 else "easy" if rate >= 0.875 else "edge"


def code_split(sft_file: Path, gold: Mapping[str, str], out: Path, *, test_share: float = 0.33, seed: int = 0) -> Pool:
    """Program rows split by problem: code.jsonl to train on and code_test.jsonl, problems with gold answers, to measure on.

    The shipped code benchmark holds a kind that nobody is trained on; a trial of domains needs one that can be learnt.
    """
    rows = _rows(sft_file)
    names = sorted({row["problem_id"] for row in rows if row["problem_id"] in gold})
    held = set(random.Random(seed).sample(names, round(test_share * len(names))))
    tests = {row["problem_id"]: row for row in rows if row["problem_id"] in held}
    problems = [
        Problem(
            id=name, domain="code", prompt=row["messages"][-2]["content"], answer=gold[name],
            source=row["source"], licence=row["licence"],
        )
        for name, row in sorted(tests.items())
    ]  # fmt: skip
    train = [row for row in rows if row["problem_id"] not in held]
    files = {"train": write_rows(out / "code.jsonl", train), "test": save_problems(out / "code_test.jsonl", problems)}
    return Pool(files, pd.DataFrame({"rows": [len(train)], "test problems": [len(problems)]}))
