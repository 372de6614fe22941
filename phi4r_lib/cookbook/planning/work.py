"""How much work the stages of a profile are: answers, training steps, tokens; counted from its settings and files.

Where a count depends on what comes out (answers until a seed is decided), it is a span of best, expected and worst.
Not here: how long a unit takes (estimate.py). Stages other than 01 to 05 are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from phi4r_lib.cookbook.planning.costs import Span
from phi4r_lib.cookbook.run import problem_files
from phi4r_lib.cookbook.settings.home import home
from phi4r_lib.cookbook.settings.sections import Profile

DECIDED = (
    0.2  # expected answers of a seed, from the pilot (0) to the most (1); measured with profile cpu: 5.9 of 4 to 32
)


@dataclass(frozen=True)
class Work:
    """Answers of a model, or steps of a training. `limit`: completion tokens; `each`: answers that one reading of a prompt gives."""

    stage: str
    what: str
    kind: Literal["answers", "sft", "grpo"]
    model: Literal["base", "teacher", "trained"]
    count: Span
    limit: int
    each: int = 1


def exactly(count: float) -> Span:
    """A count that depends on nothing."""
    return (count, count, count)


def work_of(profile: Profile) -> list[Work]:
    """All that the stages 01 to 05 ask of models; a count that no file tells is left out (see `unknown`)."""
    stages = (_edge, _rewrite, _sft, _grpo, _variance)
    return [one for stage in stages for one in stage(profile) if one.count[2] > 0]


def unknown(profile: Profile) -> dict[str, str]:
    """{"data.seeds": "01", ...}: files without which the work of a stage cannot be counted, because they are not there."""
    limits = {"seeds": profile.edge.limit, "benchmark": profile.variance.limit}
    stages = {"seeds": "01", "benchmark": "05"}
    return {f"data.{key}": stages[key] for key, most in limits.items() if rows_in(profile, key) is None and not most}


def rows_in(profile: Profile, key: str) -> int | None:
    """Problems in the files of `data.<key>`: 0 for an unset key, None where a file is not there."""
    named = getattr(profile.data, key)
    files = [home() / name for name, _ in problem_files(named)] if named else []
    return None if any(not file.is_file() for file in files) else sum(map(_lines, files))


def _lines(file: Path) -> int:
    if file.suffix == ".parquet":
        from pyarrow.parquet import ParquetFile

        return ParquetFile(file).metadata.num_rows
    if file.suffix != ".jsonl":
        from phi4r_lib.problems.schema import iter_problems

        return sum(1 for _ in iter_problems(file))
    with file.open("rb") as opened:
        return sum(1 for line in opened if line.strip())


def _taken(profile: Profile, key: str, limit: int | None) -> int:
    rows = rows_in(profile, key)
    return min(rows, limit or rows) if rows is not None else limit or 0


def _edge(profile: Profile) -> Iterator[Work]:
    edge, seeds = profile.edge, _taken(profile, "seeds", profile.edge.limit)
    least, most = min(edge.pilot, edge.max_samples), edge.max_samples
    each = (least, least + DECIDED * (most - least), most)
    asked = exactly(seeds * edge.teacher_samples + edge.rubric_problems)
    few = edge.teacher_samples
    yield Work("01", "teacher's answers", "answers", "teacher", asked, edge.teacher_max_tokens, few)
    drawn = tuple(seeds * answers for answers in each)
    yield Work("01", "base's answers", "answers", "base", drawn, edge.max_tokens, edge.batch)
    labelled = exactly(edge.label_problems * edge.label_samples)
    yield Work("01", "reference labels", "answers", "base", labelled, edge.max_tokens, edge.label_samples)


def _rewrite(profile: Profile) -> Iterator[Work]:
    make, teach = profile.rewrite, profile.teach
    opened = _taken(profile, "open_seeds", make.limit) * make.samples
    programs, requests = _taken(profile, "code_seeds", None), _taken(profile, "safety_seeds", None)
    made = opened + make.paraphrases + make.variants + min(make.puzzles, programs) + make.programs
    yield Work("02", "rewrites", "answers", "teacher", exactly(made), make.max_tokens)
    solved = (0.5 * made * make.resolves, 0.9 * made * make.resolves, made * make.resolves)
    yield Work("02", "their solutions", "answers", "teacher", solved, teach.max_tokens, make.resolves)
    tried = tuple(count / make.resolves * make.easy_tries for count in solved)
    yield Work("02", "direct answers", "answers", "base", tried, profile.edge.max_tokens, make.easy_tries)
    asked = exactly((programs + 2 * requests) * teach.samples)
    yield Work("02", "code and safety", "answers", "teacher", asked, teach.high_max_tokens, teach.samples)
    yield Work("02", "high effort", "answers", "teacher", exactly(teach.high_effort), teach.high_max_tokens)


def sft_rows(profile: Profile) -> Span:
    """Training rows: the mixture's traces, and up to `teach.keep` traces of every code and safety seed."""
    others = _taken(profile, "code_seeds", None) + _taken(profile, "safety_seeds", None)
    traces = profile.mixture.traces
    rows = (traces, traces + others, traces + others * profile.teach.keep)
    most = profile.sft.limit
    return tuple(min(row, most) if most else row for row in rows)


def _sft(profile: Profile) -> Iterator[Work]:
    yield Work("03", "training rows", "sft", "trained", tuple(profile.sft.passes * n for n in sft_rows(profile)), 0)


def sft_looks(profile: Profile, steps: float) -> Work:
    """Validation of a fine-tuning of `steps` steps: before the first, every few, and at the end."""
    sft, problems = profile.sft, rows_in(profile, "validation")
    asked = sft.eval_problems if problems is None else min(sft.eval_problems, problems)
    answers = (math.ceil(steps / sft.eval_every) + 1) * asked * sft.eval_samples
    return Work("03", "validation", "answers", "trained", exactly(answers), sft.eval_max_tokens, sft.eval_samples)


def _grpo(profile: Profile) -> Iterator[Work]:
    grpo = profile.grpo
    yield Work("04", "training steps", "grpo", "trained", exactly(grpo.steps), grpo.max_tokens)
    answers = (math.ceil(grpo.steps / grpo.eval_every) + 1) * grpo.eval_problems * grpo.eval_samples
    limit = grpo.eval_max_tokens or grpo.max_tokens
    yield Work("04", "validation", "answers", "trained", exactly(answers), limit, grpo.eval_samples)


def _variance(profile: Profile) -> Iterator[Work]:
    some, problems = profile.variance, _taken(profile, "benchmark", profile.variance.limit)
    yield Work("05", "base, all runs", "answers", "base", exactly(problems * some.runs), some.max_tokens, some.runs)
    answers = problems * (some.runs + max(some.runs, some.majority_samples))
    yield Work("05", "SFT and GRPO, all runs", "answers", "trained", exactly(answers), some.max_tokens, some.runs)
    yield Work(
        "05", "teacher", "answers", "teacher", exactly(problems * some.teacher_runs), some.max_tokens, some.teacher_runs
    )
