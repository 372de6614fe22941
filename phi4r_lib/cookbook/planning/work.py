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
from phi4r_lib.cookbook.settings.home import home
from phi4r_lib.cookbook.settings.problem_files import problem_files
from phi4r_lib.cookbook.settings.sections import Edge, Profile
from phi4r_lib.curate.edge import LEAST_PILOT
from phi4r_lib.curate.edge_rows import EdgeRule
from phi4r_lib.curate.stopping import evaluate
from phi4r_lib.train.settings import GrpoSettings

# Shares that depend on what comes out, best, expected and worst; ours, expected ones near profile cpu's.
DECIDED = 0.2  # answers of one seed of many, from the pilot (0) to the most (1): 5.9 of 4 to 32, 4.7 of 4 to 12
SOLVED = (0.4, 0.6, 1.0)  # candidates that pass the checks of their wording, so that the teacher solves them: .56
TRIED = (0.25, 0.4, 1.0)  # candidates whose solutions agree, so that the base tries them: .36
SHOWN = 160  # completion tokens of an answer that notebook 04 shows


@dataclass(frozen=True)
class Work:
    """Answers of a model, rows of a fine-tuning or steps of GRPO.

    `limit`: completion tokens, or tokens of a row (0: as the traces are). `each`: answers that one reading of a prompt gives.
    `starts`: trainings that the rows or steps belong to.
    """

    stage: str
    what: str
    kind: Literal["answers", "sft", "grpo"]
    model: Literal["base", "teacher", "trained"]
    count: Span
    limit: int
    each: int = 1
    starts: int = 1


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
        from phi4r_lib.problems.rows import read_rows

        return sum(1 for _ in read_rows(file))  # whatever their fields are called
    with file.open("rb") as opened:
        return sum(1 for line in opened if line.strip())


def _taken(profile: Profile, key: str, limit: int | None) -> int:
    rows = rows_in(profile, key)
    return min(rows, limit or rows) if rows is not None else limit or 0


def _decided(stage: str, what: str, model: str, seeds: float, edge: Edge, most: int, limit: int) -> Iterator[Work]:
    """Answers until each of so many seeds is decided: a pilot from one reading of the prompt, then a few per round."""
    least = min(edge.pilot, most)
    yield Work(stage, f"{what}, pilot", "answers", model, exactly(seeds * least), limit, least)
    more = (0.0, seeds * _more(seeds, edge, most), seeds * (most - least))
    yield Work(stage, f"{what}, until decided", "answers", model, more, limit, edge.batch)


def _more(seeds: float, edge: Edge, most: int) -> float:
    """Expected answers of a seed after its pilot; few seeds fit no prior, and then the rule itself says how many it needs."""
    least = min(edge.pilot, most)
    if seeds >= LEAST_PILOT:
        return DECIDED * (most - least)
    doubts = edge.model_dump(include={"lo", "hi", "error", "keep_error", "price"})
    return evaluate(EdgeRule(max_samples=most, **doubts).policy(first=least), edge.lo, edge.hi).samples - least


def _edge(profile: Profile) -> Iterator[Work]:
    edge, seeds = profile.edge, _taken(profile, "seeds", profile.edge.limit)
    asked = exactly(seeds * edge.teacher_samples + edge.rubric_problems)
    few = edge.teacher_samples
    yield Work("01", "teacher's answers", "answers", "teacher", asked, edge.teacher_max_tokens, few)
    yield from _decided("01", "base's answers", "base", seeds, edge, edge.max_samples, edge.max_tokens)
    labelled = exactly(edge.label_problems * edge.label_samples)
    yield Work("01", "reference labels", "answers", "base", labelled, edge.max_tokens, edge.label_samples)


def _rewrite(profile: Profile) -> Iterator[Work]:
    make, teach = profile.rewrite, profile.teach
    opened = _taken(profile, "open_seeds", make.limit) * make.samples
    programs, requests = _taken(profile, "code_seeds", None), _taken(profile, "safety_seeds", None)
    told = opened + make.paraphrases + min(make.puzzles, programs) + make.programs
    varied = make.variants * make.variant_samples
    made = told + varied
    yield Work("02", "rewrites", "answers", "teacher", exactly(told), make.max_tokens)
    yield Work("02", "other numbers", "answers", "teacher", exactly(varied), make.max_tokens, make.variant_samples)
    solved = tuple(share * made * make.resolves for share in SOLVED)
    yield Work("02", "their solutions", "answers", "teacher", solved, teach.max_tokens, make.resolves)
    tried = tuple(share * made * make.easy_tries for share in TRIED)
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
    sft = profile.sft
    yield Work("03", "training rows", "sft", "trained", tuple(sft.passes * n for n in sft_rows(profile)), 0)
    # Two arms on long rows: training, and twice a forward pass, a third of that, over the rows that measure.
    if sft.rope_steps:
        long = 2 * (sft.rope_steps * sft.batch_size + 2 * sft.rope_rows / 3)
        yield Work("03", "RoPE arms", "sft", "trained", exactly(long), 2 * sft.block, starts=2)
    looked, guards = _looked(profile, sft.eval_problems), rows_in(profile, "guards") or 0
    for model in ("base", "trained"):  # side by side at the end
        yield Work("03", f"comparison: {model}", "answers", model, exactly(looked + guards), sft.eval_max_tokens)


def _looked(profile: Profile, most: int) -> int:
    """Validation problems of one evaluation."""
    problems = rows_in(profile, "validation")
    return most if problems is None else min(most, problems)


def sft_looks(profile: Profile, steps: float) -> Work:
    """Validation of a fine-tuning of `steps` steps: before the first, every few, and at the end."""
    sft = profile.sft
    answers = (math.ceil(steps / sft.eval_every) + 1) * _looked(profile, sft.eval_problems) * sft.eval_samples
    return Work("03", "validation", "answers", "trained", exactly(answers), sft.eval_max_tokens, sft.eval_samples)


def _grpo(profile: Profile) -> Iterator[Work]:
    grpo, limit = profile.grpo, profile.grpo.eval_max_tokens or profile.grpo.max_tokens
    if grpo.select != "all" or grpo.lengths == "quantiles":  # else nobody asks for how hard the candidates are
        rows, most = profile.mixture.rl, grpo.edge_samples
        yield from _decided("04", "candidates", "trained", rows, profile.edge, most, grpo.max_tokens)
    yield Work("04", "training steps", "grpo", "trained", exactly(grpo.steps), grpo.max_tokens)
    answers = (math.ceil(grpo.steps / grpo.eval_every) + 1) * _looked(profile, grpo.eval_problems) * grpo.eval_samples
    yield Work("04", "validation", "answers", "trained", exactly(answers), limit, grpo.eval_samples)
    # One group of four in the toy; two questions, told to three models, at the end.
    yield Work("04", "toy step", "grpo", "trained", exactly(4 / (grpo.prompts * grpo.group)), grpo.max_tokens)
    yield Work("04", "shown answers: base", "answers", "base", exactly(2), SHOWN)
    yield Work("04", "shown answers", "answers", "trained", exactly(4), SHOWN)
    steps, trainings = _short_runs(grpo)
    yield Work("04", "short runs", "grpo", "trained", exactly(steps), grpo.max_tokens, starts=trainings)
    looks = 2 * trainings * min(20, _looked(profile, grpo.eval_problems))  # the first and the last step of each
    yield Work("04", "validation of the short runs", "answers", "trained", exactly(looks), limit)


def _short_runs(grpo: GrpoSettings) -> tuple[float, int]:
    """Whole steps, and trainings, of the runs beside the long one: two whole arms, one and the reader's own with a quarter of the prompts."""
    part = max(grpo.micro_batches or 1, grpo.prompts // 4) / grpo.prompts
    arms = (1 + part) * grpo.arm_steps + max(2, grpo.arm_steps // 2) if grpo.arm_steps else 0.0
    return arms + part * grpo.own_steps, 3 * bool(grpo.arm_steps) + bool(grpo.own_steps)


def _variance(profile: Profile) -> Iterator[Work]:
    some, problems = profile.variance, _taken(profile, "benchmark", profile.variance.limit)
    limit, guards = some.max_tokens, (rows_in(profile, "guards") or 0) * some.guard_runs
    yield Work("05", "base, all runs", "answers", "base", exactly(problems * some.runs), limit, some.runs)
    # The last model draws for the majority curve too, and once more at another temperature.
    answers = problems * (2 * some.runs + max(some.runs, some.majority_samples))
    yield Work("05", "SFT and GRPO, all runs", "answers", "trained", exactly(answers), limit, some.runs)
    yield Work("05", "base, guards", "answers", "base", exactly(guards), limit, some.guard_runs)
    yield Work("05", "SFT and GRPO, guards", "answers", "trained", exactly(2 * guards), limit, some.guard_runs)
    few = some.teacher_runs
    yield Work("05", "teacher", "answers", "teacher", exactly(problems * few), limit, few)
