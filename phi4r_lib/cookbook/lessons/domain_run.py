"""The work between the gates of notebook 08: mixes trained with several seeds, rounds of made problems, held-out problems answered.

Everything lies in the run's folder 08_your_domain and a killed notebook goes on where it stopped: trainings are sessions
(train/session.py), answers lie in stores. Not here: what is decided on (checklist.py), the seeds (domain_seeds.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phi4r_lib.cookbook.lessons.domain_seeds import (
    Split,
    domain_seeds,
    example_file,
    family,
    lenient,
    split,
    unavailable,
)
from phi4r_lib.cookbook.run import Run
from phi4r_lib.cookbook.running.progress import ProgressBar
from phi4r_lib.curate.edge import EdgeReport, EdgeRule, find_edge
from phi4r_lib.measure.intervals import t_interval
from phi4r_lib.measure.promotion import gain_per_doubling
from phi4r_lib.measure.trial import ArmDifference, paired_difference
from phi4r_lib.models.engine import as_messages
from phi4r_lib.problems.gold_check import GoldCheck
from phi4r_lib.problems.named import named_class
from phi4r_lib.problems.rows import plain, read_rows, write_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.shares import wilson

FOLDER = "08_your_domain"


@dataclass(frozen=True)
class Training:
    """One short training: its mix, its seed, its model, accuracy on the choosing problems by step, seconds."""

    mix: str
    seed: int
    model: Path
    curve: pd.Series
    seconds: float


@dataclass(frozen=True)
class Round:
    """One mix, trained with several seeds and measured on the choosing problems.

    `answers` holds one table per training. `made` problems of `family` were added to the mix of the round `base`; `gain`,
    `on` and `rest` compare with that one over all problems, over those of the family and over the others; None: no interval.
    """

    number: int
    problems: list[Problem]
    trainings: list[Training]
    answers: list[pd.DataFrame]
    family: str = ""
    made: int = 0
    base: int | None = None
    gain: ArmDifference | None = None
    on: ArmDifference | None = None
    rest: ArmDifference | None = None

    @property
    def scores(self) -> np.ndarray:
        """Pass rates, shape (trainings, problems)."""
        return rates(self.answers)

    def families(self, before: pd.DataFrame | None = None) -> pd.DataFrame:
        """Pass rate per family over all trainings, with Wilson's interval over problems; the weakest family first.

        The answers of `before` add a column with that model's pass rates.
        """
        whole, rows = pd.concat(self.answers), {}
        for name, part in whole.groupby("family"):
            rate, count = part["correct"].mean(), part["problem"].nunique()
            low, high = wilson(round(rate * count), count)
            rows[name] = {"problems": count, "pass rate": rate, "low": low, "high": high}
        table = pd.DataFrame(rows).T.sort_values("pass rate").rename_axis("family").astype({"problems": int})
        return table if before is None else table.assign(before=before.groupby("family")["correct"].mean())

    def row(self) -> dict[str, Any]:
        """The round as one row of the table: what was added, score and gain with limits over training seeds, in shares of 1."""
        low, high = t_interval(self.scores.mean(axis=1))
        nan = dict.fromkeys(("difference", "seed_low", "seed_high"), np.nan)
        gain, on, rest = (vars(one) if one else nan for one in (self.gain, self.on, self.rest))
        return {
            "family": self.family, "made": self.made, "prompts": len(self.problems), "score": self.scores.mean(), "low": low,
            "high": high, "over round": self.base, "gain": gain["difference"], "gain low": gain["seed_low"],
            "gain high": gain["seed_high"], "on family": on["difference"], "on the rest": rest["difference"],
        }  # fmt: skip


class Domain:
    """A domain of one's own on its way through the checklist: seeds, edge, mixes, trainings and answers of one run.

    `start` is the model that is trained, `earlier` the file of GRPO rows of the domain before. Models answer with the
    recipe's system message. `parts` is there after `split`.
    """

    parts: Split

    def __init__(self, run: Run, start: Path, earlier: Path) -> None:
        self.run, self.start, self.earlier = run, start, earlier
        self.settings, self.verifiers = run.profile.checklist, run.profile.verifiers
        self.folder = run.folder(FOLDER)
        self.system = run.system()
        self.seeds = domain_seeds(run)
        self.name = self.seeds[0].domain
        self.guard = run.problems("validation")[: self.settings.guard]
        self._trained: dict[tuple[str, int], Training] = {}

    def missing(self) -> list[str]:
        """One sentence per verifier that is named but not there."""
        return unavailable(self.seeds, self.verifiers)

    def unreadable(self) -> int:
        """Number of seeds whose prompt has a token that the student's tokenizer does not know."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.start)
        unknown = tokenizer.unk_token_id
        return sum(unknown is not None and unknown in tokenizer(one.prompt)["input_ids"] for one in self.seeds)

    def check(self, problems: Sequence[Problem]) -> tuple[GoldCheck, list[str]]:
        """(every known right answer judged by its own verifier, ids of problems whose check lets nonsense pass)."""
        check = GoldCheck(self.verifiers)
        for _ in check.checking(problems):
            pass
        return check, lenient(problems, self.verifiers)

    def split(self, unfit: Sequence[str] = ()) -> Split:
        """The seeds split by family for training, choosing and measuring; `unfit` ids are left out (domain_seeds.split)."""
        self.parts = split(self.seeds, self.settings.held_out, self.run.profile.seed, unfit)
        return self.parts

    def family_counts(self) -> pd.DataFrame:
        """Number of seeds by family in each part."""
        names = {"training": self.parts.train, "choosing": self.parts.choose, "measuring": self.parts.measure}
        counts = {
            name: pd.Series([family(one) for one in some], dtype=str).value_counts() for name, some in names.items()
        }
        return pd.DataFrame(counts).fillna(0).astype(int)

    def edge(self, problems: Sequence[Problem], model: Path | None = None, label: str = "edge") -> EdgeReport:
        """Which problems a model (the start model) sometimes solves: the filter of notebook 01, on verdicts."""
        names = ("lo", "hi", "error", "max_samples", "pilot", "batch", "price")
        rule = EdgeRule(**{name: getattr(self.run.profile.edge, name) for name in names})
        sampling = self.run.sampling(temperature=1.0, max_tokens=self.settings.max_tokens)
        judged = {"settings": sampling, "verifiers": self.verifiers, "folder": self.folder / "edge"}
        engine = self.run.engine("base", model or self.start, self.system)
        try:
            return find_edge(problems, engine, rule, progress=ProgressBar(label), **judged)
        finally:
            engine.close()

    def edge_table(self, report: EdgeReport) -> pd.DataFrame:
        """One row per seed: family, decision, pass rate, and how many answers were judged and cut off."""
        columns = ("decision", "pass_rate", "samples", "truncated")
        rows = [[family(row), *(getattr(row, name) for name in columns)] for row in report.rows]
        return pd.DataFrame(rows, columns=["family", *columns])

    def train(self, mix: str, rows: Sequence[Any], count: int, steps: int | None = None) -> list[Training]:
        """`count` short trainings of a mix from the start model, one per training seed; a finished one is taken as it is.

        `rows` are problems, or rows for GRPO (see `merged`).
        """
        seeds = [self.settings.first_seed + number for number in range(count)]
        bar, rows = ProgressBar(f"mix {mix}"), [row if isinstance(row, dict) else self._row(row) for row in rows]
        for place, seed in enumerate(seeds, start=1):
            if (mix, seed) not in self._trained:
                self._trained[mix, seed] = self._train(mix, rows, seed, steps)
                bar(place, count)
        return [self._trained[mix, seed] for seed in seeds]

    def answers(self, model: Path, problems: Sequence[Problem], name: str, runs: int | None = None) -> pd.DataFrame:
        """Answers of independent runs of a model, as measure.evaluate gives them; kept in the run's folder under `name`."""
        chosen = {key: getattr(self.run.profile.variance, key) for key in ("temperature", "top_p", "top_k")}
        sampling = self.run.sampling(**chosen, max_tokens=self.settings.max_tokens)
        engine = self.run.engine("base", model, self.system)
        try:
            store = self.folder / "answers" / name
            return self.run.evaluate(engine, problems, runs or self.settings.runs, sampling, store, model=name)
        finally:
            engine.close()

    def ask(self, trainings: Sequence[Training], part: str) -> list[pd.DataFrame]:
        """Answers of several trainings to the same problems; `part` is "choose", "measure" or "guard"."""
        problems = self.guard if part == "guard" else getattr(self.parts, part)
        return [self.answers(one.model, problems, f"{part}-{one.mix}-{one.seed}") for one in trainings]

    def rates(self, trainings: Sequence[Training], part: str) -> np.ndarray:
        """Their pass rates, shape (trainings, problems)."""
        return rates(self.ask(trainings, part))

    def first_round(self, problems: Sequence[Problem]) -> Round:
        """Round 0: the mix without made problems."""
        trainings = self.train("0", problems, self.settings.trainings)
        return Round(0, list(problems), trainings, self.ask(trainings, "choose"))

    def make(self, best: Round, number: int) -> tuple[str, list[Problem]]:
        """(family, problems made for it that are at the edge of the round's first model), the weakest family first.

        A family none of whose made problems is at the edge is passed over; ("", []) where that holds for all of them.
        Raises ValueError for a maker whose problems fail their own verifier.
        """
        known = [*self.parts.train, *self.parts.choose, *self.parts.measure, *best.problems]
        for name in best.families().index:
            made = make_more(name, 2 * self.settings.made, self.run, known, self.parts.train, number)
            check, _ = self.check(made)
            if check.refused:
                raise ValueError(f"a made problem does not pass its own verifier: {check.first[0]}")
            found = self.edge(made, best.trainings[0].model, f"edge of made problems, {name}")
            usable: list[Problem] = [*found.kept()[: self.settings.made]]
            print(f"{name}: {found.counts()} -> {len(usable)} used")
            if usable:
                return name, usable
        return "", []

    def next_round(self, number: int, best: Round, name: str, made: Sequence[Problem]) -> Round:
        """The mix of round `best` with the problems `made` for a family, trained from the start with the same training seeds."""
        problems = [*best.problems, *made]
        trainings = self.train(str(number), problems, self.settings.trainings)
        tables = self.ask(trainings, "choose")
        new, old = rates(tables), best.scores
        mine = (tables[0].groupby("problem", sort=True)["family"].first() == name).to_numpy()
        found = [difference(new[:, some], old[:, some]) for some in (mine | True, mine, ~mine)]
        return Round(number, problems, trainings, tables, name, len(made), best.number, *found)

    def merged(self, problems: Sequence[Problem]) -> list[dict[str, Any]]:
        """Rows of a mix and of the earlier domain (see merge_rows)."""
        held = [*self.parts.choose, *self.parts.measure]
        return merge_rows([self._row(problem) for problem in problems], self.earlier, held)

    def estimate(self, trainings: Sequence[Training]) -> str:
        """What twice the steps would cost and bring, from the last doubling of these trainings' curves, in words.

        Raises ValueError where a curve has no look between its first and its last step.
        """
        looks = [int(step) for step in trainings[0].curve.index if step > 0]
        if len(looks) < 2:
            raise ValueError("the curves have one look after the start; give checklist.steps at least two")
        ends = [min(looks[:-1], key=lambda step: abs(step - looks[-1] / 2)), looks[-1]]
        scores = np.array([one.curve[ends] for one in trainings])
        slope = gain_per_doubling(ends, scores, self.settings.gain)
        minutes = sum(one.seconds for one in trainings) / len(trainings) / 60
        return (
            f"twice the steps ({2 * ends[1]}) take about {2 * minutes:.1f} minutes per training here; from step {ends[0]} to "
            f"{ends[1]} accuracy moved {100 * slope.per_doubling:+.1f} [{100 * slope.low:+.1f}, {100 * slope.high:+.1f}] points "
            "per doubling"
        )

    def _row(self, problem: Problem) -> dict[str, Any]:
        """A row for GRPO: the prompt as messages, what the verifier checks, and the lineage."""
        return {**plain(problem), "prompt": as_messages(problem.prompt, self.system)}

    def _train(self, mix: str, rows: Sequence[dict[str, Any]], seed: int, steps: int | None) -> Training:
        from phi4r_lib.train.grpo import run_grpo

        file = write_rows(self.folder / "mixes" / f"{mix}.jsonl", rows)
        options = {"system": self.system, "seed": self.run.profile.seed + seed, "verifiers": self.verifiers}
        out = self.folder / "trainings" / f"{mix}-{seed}"
        report = run_grpo(self.start, file, out, short(self.run, steps), validation=self.parts.choose, **options)
        return Training(mix, seed, report.model, report.table("validation")["accuracy"], report.seconds)


def rates(tables: Sequence[pd.DataFrame]) -> np.ndarray:
    """Pass rates of several trainings on the same problems, shape (trainings, problems)."""
    return np.array([table.groupby("problem", sort=True)["correct"].mean().to_numpy(float) for table in tables])


def difference(arm: np.ndarray, reference: np.ndarray) -> ArmDifference | None:
    """`paired_difference` of two mixes; None where no interval can be had.

    That is with fewer than two problems, or where all trainings differ by one mean amount, such as 0 because each of them
    kept the start model: a spread of 0 says nothing about new trainings.
    """
    if arm.shape[1] < 2 or np.ptp((arm - reference).mean(axis=1)) < 1e-12:
        return None
    return paired_difference(arm, reference)


def make_more(name: str, count: int, run: Run, known: Sequence[Problem], seeds: Sequence[Problem], number: int):
    """`count` problems for one family: by the profile's maker, else its seeds again under other ids (more weight, nothing new).

    `known` are all problems whose prompts must not come again, held-out ones too; `number` is the round. A maker takes
    (family, count, seed, prompts).
    """
    settings = run.profile.checklist
    maker = settings.example_maker if example_file(run) else settings.maker
    if maker:
        make: Callable[..., list[Problem]] = named_class(maker, {}, "maker")
        return make(name, count, run.profile.seed + number, [problem.prompt for problem in known])
    own = [problem for problem in seeds if family(problem) == name] or list(seeds)
    again = [(f"+{number}.{place}", own[(place - 1) % len(own)]) for place in range(1, count + 1)]
    return [one.model_copy(update={"id": one.id + end, "parent_id": one.id}) for end, one in again]


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


def short(run: Run, steps: int | None = None) -> Any:
    """The profile's GRPO settings with the checklist's counts: few steps at a constant rate, so that curves can be compared."""
    settings = run.profile.checklist
    count = steps or settings.steps
    change = {
        "steps": count, "prompts": settings.prompts, "micro_batches": settings.micro_batches,
        "learning_rate": settings.learning_rate, "schedule": "constant", "warmup_steps": min(2, count - 1),
        "max_tokens": settings.max_tokens, "eval_max_tokens": None, "eval_every": max(1, count // 4), "eval_samples": 1,
        "lengths": "scaled", "max_clipped": 1.0,  # gate 3 has looked at the share of truncated answers
    }  # fmt: skip
    return run.profile.grpo.model_copy(update=change)
