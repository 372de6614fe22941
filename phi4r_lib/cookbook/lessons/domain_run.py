"""The work between the gates of notebook 08: seeds split, mixes trained with several seeds, held-out problems answered.

Everything lies in the run's folder 08_your_domain and a killed notebook goes on where it stopped: trainings are sessions
(train/session.py), answers lie in stores. Not here: what is decided on (checklist.py).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from phi4r_lib.cookbook.lessons.checklist import Settings
from phi4r_lib.cookbook.run import Run
from phi4r_lib.curate.edge_rows import EdgeReport
from phi4r_lib.measure.evaluate import evaluate
from phi4r_lib.measure.promotion import gain_per_doubling
from phi4r_lib.measure.trial import ArmDifference, paired_difference
from phi4r_lib.models.engine import EngineSpec, SamplingSettings, as_messages, open_engine
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.gold_check import GoldCheck
from phi4r_lib.problems.named import named_class
from phi4r_lib.problems.rows import plain, read_rows, write_rows
from phi4r_lib.problems.schema import Problem, load_problems
from phi4r_lib.problems.shares import wilson
from phi4r_lib.problems.verify import Verifiers, VerifierUnavailable, judge, verifier_of, verify

FOLDER = "08_your_domain"
NONSENSE = ("I do not know", "?", "yes and no", "{}")  # texts that no check may pass


class Split(NamedTuple):
    """Seeds for training, for choosing and for measuring; `dropped` are (problem, reason)."""

    train: list[Problem]
    choose: list[Problem]
    measure: list[Problem]
    dropped: list[tuple[Problem, str]]


@dataclass(frozen=True)
class Training:
    """One short training: its mix, its seed, its model, accuracy on the choosing problems by step, seconds."""

    mix: str
    seed: int
    model: Path
    curve: pd.Series
    seconds: float


def example_file(run: Run) -> str | None:
    """The seeds of the example domain while the profile's seeds are those that it stands in for; None for a team's own."""
    settings = run.profile.checklist
    return settings.example if run.profile.data.seeds == settings.example_for else None


def domain_seeds(run: Run) -> list[Problem]:
    """The team's own seeds, or those of the example domain."""
    example, limit = example_file(run), run.profile.checklist.limit
    return load_problems(run.path(example))[:limit] if example else run.problems("seeds", limit)


def family(problem: Problem) -> str:
    """What kind of problem it is: `meta.family`, else its domain."""
    return str(problem.meta.get("family") or problem.domain)


def unavailable(problems: Iterable[Problem], verifiers: Verifiers | None) -> list[str]:
    """One sentence per verifier that is named but not there."""
    found = []
    for name in sorted({problem.verifier for problem in problems}):
        try:
            verifier_of(name, verifiers)
        except (VerifierUnavailable, ValueError) as error:
            found.append(str(error))
    return found


def unreadable(problems: Sequence[Problem], tokenizer: Any) -> int:
    """Prompts with a token that the tokenizer does not know."""
    unknown = tokenizer.unk_token_id
    return sum(unknown is not None and unknown in tokenizer(problem.prompt)["input_ids"] for problem in problems)


def gold_check(problems: Sequence[Problem], verifiers: Verifiers | None) -> GoldCheck:
    """Every known right answer judged by its own verifier."""
    check = GoldCheck(verifiers)
    for _ in check.checking(problems):
        pass
    return check


def lenient(problems: Sequence[Problem], verifiers: Verifiers | None) -> list[str]:
    """Ids of problems whose check lets nonsense pass; none where a verifier is not there to be asked."""
    pairs = [(problem, text) for problem in problems if problem.answer is not None for text in NONSENSE]
    if not pairs or unavailable(problems, verifiers):
        return []
    verdicts = verify(*map(list, zip(*pairs, strict=True)), verifiers)
    passed = [problem.id for (problem, _), v in zip(pairs, verdicts, strict=True) if v.grade is Grade.RIGHT]
    return list(dict.fromkeys(passed))


def split(problems: Sequence[Problem], held_out: float, seed: int, unfit: Iterable[str] = ()) -> Split:
    """Splits by family, `held_out` of each for choosing and as much for measuring; rewrites stay with what they came from.

    Dropped: `unfit` ids (of `gold_check` and `lenient`), problems without an answer to check against, prompts that stand
    there twice.
    """
    failing = set(unfit)
    kept, dropped, seen = [], [], set()
    for problem in problems:
        same = " ".join(problem.prompt.split()).casefold()
        reason = (
            "nothing to check against" if problem.answer is None
            else "its check does not tell right from wrong" if problem.id in failing
            else "the same prompt again" if same in seen
            else ""
        )  # fmt: skip
        seen.add(same)
        if reason:
            dropped.append((problem, reason))
        else:
            kept.append(problem)
    parts: list[list[Problem]] = [[], [], []]
    for name in sorted({family(problem) for problem in kept}):
        some = [problem for problem in kept if family(problem) == name]
        origins = sorted({problem.parent_id or problem.id for problem in some})
        random.Random(f"{seed} {name}").shuffle(origins)
        count = math.ceil(held_out * len(origins))
        where = {origin: 2 if place < count else 1 if place < 2 * count else 0 for place, origin in enumerate(origins)}
        for problem in some:
            parts[where[problem.parent_id or problem.id]].append(problem)
    return Split(*parts, dropped)


def edge_table(report: EdgeReport) -> pd.DataFrame:
    """One row per seed: family, decision, pass rate, and how many answers were judged and cut off."""
    columns = ("decision", "pass_rate", "samples", "truncated")
    rows = [[family(row), *(getattr(row, name) for name in columns)] for row in report.rows]
    return pd.DataFrame(rows, columns=["family", *columns])


def student(run: Run, model: Path | str) -> EngineSpec:
    """The engine of a trained model of this run, with the recipe's system message."""
    return run.profile.models.base.model_copy(update={"model": str(model), "system": system_of(run)})


def system_of(run: Run) -> str:
    """The recipe's system message."""
    return (run.path(run.profile.prompts) / "system.txt").read_text(encoding="utf-8").strip()


def answers(
    run: Run, model: Path | str, problems: Sequence[Problem], name: str, runs: int | None = None
) -> pd.DataFrame:
    """Answers of `runs` independent runs of a model over problems, as measure.evaluate gives them; kept in the run's folder."""
    settings = run.profile.checklist
    chosen = {key: getattr(run.profile.variance, key) for key in ("temperature", "top_p", "top_k")}
    sampling = SamplingSettings(**chosen, max_tokens=settings.max_tokens, seed=run.profile.seed)
    engine = open_engine(student(run, model))
    try:
        store = run.folder(FOLDER) / "answers" / name
        options = {"model": name, "verifiers": run.profile.verifiers}
        return evaluate(engine, problems, runs or settings.runs, sampling, store, **options)
    finally:
        engine.close()


def ask(run: Run, trainings: Sequence[Training], problems: Sequence[Problem], part: str) -> list[pd.DataFrame]:
    """Answers of several trainings to the same held-out problems; `part` names the store."""
    return [answers(run, one.model, problems, f"{part}-{one.mix}-{one.seed}") for one in trainings]


def rates(tables: Sequence[pd.DataFrame]) -> np.ndarray:
    """Pass rates of several trainings on the same problems, shape (trainings, problems)."""
    return np.array([table.groupby("problem", sort=True)["correct"].mean().to_numpy(float) for table in tables])


def difference(arm: np.ndarray, reference: np.ndarray, name: str) -> ArmDifference | None:
    """`paired_difference` of two mixes, None for fewer than two problems.

    Trainings that ended at the same checkpoint differ by nothing, which is no error here.
    """
    if arm.shape[1] < 2:
        return None
    if not np.array_equal(arm, reference):
        return paired_difference(arm, reference, name=name)
    mean, (seeds, problems) = float(arm.mean()), arm.shape
    zero = dict.fromkeys(("difference", "low", "high", "seed_low", "seed_high", "se"), 0.0)
    same = {"p_value": 1.0, "p_holm": 1.0, "verdict": "within noise", "df": min(arm.shape) - 1}
    return ArmDifference(arm=name, mean=mean, reference_mean=mean, seeds=seeds, problems=problems, **zero, **same)


def by_family(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Pass rate per family over all tables, with Wilson's interval over problems; the weakest family first."""
    whole = pd.concat(tables)
    rows = {}
    for name, part in whole.groupby("family"):
        rate, count = part["correct"].mean(), part["problem"].nunique()
        low, high = wilson(round(rate * count), count)
        rows[name] = {"problems": count, "pass rate": rate, "low": low, "high": high}
    table = pd.DataFrame(rows).T.sort_values("pass rate").rename_axis("family")
    return table.astype({"problems": int})


def passes(problem: Problem, rules: str, answers: Sequence[str]) -> list[bool]:
    """Whether answers would be right if the problem had other rules as its `answer`."""
    other = problem.model_copy(update={"answer": rules})
    return [verdict.grade is Grade.RIGHT for verdict in judge([other] * len(answers), answers)]


def solved_once(run: Run, training: Training, problems: Sequence[Problem], runs: int) -> int:
    """How many problems a training solves in at least one of some runs."""
    if not problems:
        return 0
    return int(answers(run, training.model, problems, "once", runs).groupby("problem")["correct"].any().sum())


def make_more(name: str, count: int, run: Run, known: Sequence[Problem], seeds: Sequence[Problem]) -> list[Problem]:
    """`count` problems for one family: by the profile's maker, else its seeds again under other ids (more weight, nothing new).

    `known` are all problems whose prompts must not come again, held-out ones too. A maker takes (family, count, seed, prompts).
    """
    settings = run.profile.checklist
    maker = settings.example_maker if example_file(run) else settings.maker
    if maker:
        make: Callable[..., list[Problem]] = named_class(maker, {}, "maker")
        return make(name, count, run.profile.seed, [problem.prompt for problem in known])
    own = [problem for problem in seeds if family(problem) == name] or list(seeds)
    again = [own[place % len(own)] for place in range(count)]
    return [one.model_copy(update={"id": f"{one.id}+{n}", "parent_id": one.id}) for n, one in enumerate(again, start=1)]


def mix_rows(problems: Sequence[Problem], system: str) -> list[dict[str, Any]]:
    """Rows for GRPO: the prompt as messages, what the verifier checks, and the lineage."""
    return [{**plain(problem), "prompt": as_messages(problem.prompt, system)} for problem in problems]


def merge_rows(own: Sequence[dict[str, Any]], earlier: Path, held: Sequence[Problem]) -> list[dict[str, Any]]:
    """All of this domain's rows, one row of the file `earlier` after every second of them as long as there are any.

    Left out of that file: rows of this domain, and rows that are, or were made from, a held-out problem.
    """
    named = {problem.id for problem in held} | {problem.parent_id for problem in held} - {None}
    domains = {row["domain"] for row in own}
    rest = iter(
        row
        for _, row in read_rows(earlier)
        if row.get("domain") not in domains and not {row["id"], row.get("parent_id")} & named
    )
    found = []
    for place, row in enumerate(own, start=1):
        found += [row, *([other] if place % 2 == 0 and (other := next(rest, None)) else [])]
    return found


def train_mix(
    run: Run,
    mix: str,
    rows: Sequence[dict[str, Any]],
    start: Path,
    choose: Sequence[Problem],
    seed: int,
    steps: int | None = None,
) -> Training:
    """One short GRPO training of a mix from the start model; a finished one is taken as it is."""
    from phi4r_lib.train.callbacks import Journal
    from phi4r_lib.train.grpo import run_grpo

    settings, folder = run.profile.checklist, run.folder(FOLDER)
    file = write_rows(folder / "mixes" / f"{mix}.jsonl", rows)
    options = {"system": system_of(run), "seed": run.profile.seed + seed, "verifiers": run.profile.verifiers}
    out = folder / "trainings" / f"{mix}-{seed}"
    report = run_grpo(start, file, out, short(run, settings, steps), validation=choose, **options)
    looks = pd.DataFrame(Journal(report.metrics).rows("validation"))
    curve = looks.set_index("step")["accuracy"]
    return Training(mix, seed, report.model, curve, report.seconds)


def short(run: Run, settings: Settings, steps: int | None = None) -> Any:
    """The profile's GRPO settings with the checklist's counts: few steps at a constant rate, so that curves can be compared."""
    count = steps or settings.steps
    change = {
        "steps": count, "prompts": settings.prompts, "micro_batches": settings.micro_batches,
        "learning_rate": settings.learning_rate, "schedule": "constant", "warmup_steps": min(2, count - 1),
        "max_tokens": settings.max_tokens, "eval_max_tokens": None, "eval_every": max(1, count // 4), "eval_samples": 1,
        "lengths": "scaled", "max_clipped": 1.0,  # gate 3 has looked at the share of truncated answers
    }  # fmt: skip
    return run.profile.grpo.model_copy(update=change)


def majority(table: pd.DataFrame) -> pd.Series:
    """Whether more than half of the runs solve a problem, by problem: defined for every verifier, equality or none."""
    return table.groupby("problem", sort=True)["correct"].mean() > 0.5


def licences(problems: Iterable[Problem]) -> Counter[tuple[str, str]]:
    """Number of problems by (source, licence)."""
    return Counter((problem.source, problem.licence) for problem in problems)


def last_doubling(trainings: Sequence[Training]) -> tuple[list[int], np.ndarray]:
    """(two steps, one about half the other; accuracy there, trainings x 2) of curves that share their steps.

    Raises ValueError where a curve has no look between its first and its last step.
    """
    curves = [one.curve for one in trainings]
    looks = [int(step) for step in curves[0].index if step > 0]
    if len(looks) < 2:
        raise ValueError("the curves have one look after the start; give checklist.steps at least two")
    middle = min(looks[:-1], key=lambda step: abs(step - looks[-1] / 2))
    return [middle, looks[-1]], np.array([[curve[middle], curve[looks[-1]]] for curve in curves])


def estimate(trainings: Sequence[Training], gain: float) -> str:
    """What twice the steps would cost and bring, from the last doubling of these trainings' curves, in words."""
    (middle, last), scores = last_doubling(trainings)
    slope = gain_per_doubling([middle, last], scores, gain)
    minutes = sum(one.seconds for one in trainings) / len(trainings) / 60
    return (
        f"twice the steps ({2 * last}) take about {2 * minutes:.1f} minutes per training here; from step {middle} to {last} "
        f"accuracy moved {100 * slope.per_doubling:+.1f} [{100 * slope.low:+.1f}, {100 * slope.high:+.1f}] points per doubling"
    )
