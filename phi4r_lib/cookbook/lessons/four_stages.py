"""Questions and tables of notebook 07: rollouts and answers of the stages' models, gains with intervals, planning by level.

Not here: the stages themselves (phi4r_lib.train) and their settings (mini.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from scipy import stats

from phi4r_lib.curate.draws import draw
from phi4r_lib.measure import figures
from phi4r_lib.measure.intervals import t_interval
from phi4r_lib.measure.tables import by_group, comparisons, models_of, problem_table
from phi4r_lib.models.engine import Progress, Sample, SamplingSettings
from phi4r_lib.problems.schema import Problem, load_problems
from phi4r_lib.problems.verify import Verifiers, judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from phi4r_lib.cookbook.run import Run


def roll_out(run: Run, model: Path, rows: Sequence[Mapping[str, object]], progress: Progress) -> list[list[Sample]]:
    """`mini.rollouts` completions of a model to every question of `rows` (as in rl.jsonl), kept in 07_mini/rollouts."""
    counts = run.profile.mini
    rollout = run.sampling(n=counts.rollouts, temperature=1.0, max_tokens=counts.rl_tokens)
    student = run.engine("base", model)
    questions = [(row["id"], row["prompt"]) for row in rows]
    samples = draw(student, questions, rollout, run.folder("07_mini/rollouts"), progress)
    student.close()
    return samples


def ask(
    run: Run,
    models: Mapping[str, Path | str],
    problems: Sequence[Problem],
    runs: int,
    sampling: SamplingSettings,
    *,
    progress: Callable[[str], Progress],
    verifiers: Verifiers | None = None,
) -> pd.DataFrame:
    """Answers of every model to all problems, one row per model, problem and run; "base" is asked without the system message.

    verifiers: who judges, the profile's unless given.
    """
    found, folder = [], run.folder("07_mini/answers")
    for name, model in models.items():
        engine = run.engine("base", model, None if name == "base" else run.system())
        options = {"model": name, "verifiers": verifiers}
        found.append(run.evaluate(engine, problems, runs, sampling, folder, progress(name), **options))
        engine.close()
    return pd.concat(found, ignore_index=True)


def switched(measured: pd.DataFrame, reference: str) -> pd.DataFrame:
    """What each arm changes in each measure against the arm `reference`, paired by seed.

    Args:
        measured: one row per arm and seed (index levels arm, seed), one column per measure.

    Returns:
        Rows arm x measure with change, low and high: 95% intervals (t) over seeds, in the units of the measure.
    """
    rows = {}
    for arm in measured.index.unique("arm").drop(reference):
        for name, values in (measured.loc[arm] - measured.loc[reference]).items():
            mean, half = values.mean(), stats.t.ppf(0.975, len(values) - 1) * values.sem()
            rows[arm, name] = {"change": mean, "low": mean - half, "high": mean + half}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["arm", "measure"])


def ladder(answers: pd.DataFrame, against: Mapping[str, str]) -> pd.DataFrame:
    """One row per model: accuracy with its interval, the gain over the model that it is measured `against`, length and cuts.

    Intervals are at 95% over problems like these (t), of the gain paired; fractions of 1.
    """
    rows = {}
    gains = comparisons(answers, list(against.items()))
    for model in models_of(answers):
        table, mine = problem_table(answers, model), answers[answers["model"] == model]
        ends = t_interval(table["rate"])
        row = {"accuracy": table["rate"].mean(), "low": max(ends.low, 0.0), "high": min(ends.high, 1.0)}
        if model in against:
            gain = gains[f"{model} - {against[model]}"]
            row |= {"against": against[model], "gain": gain.difference, "gain low": gain.low, "gain high": gain.high}
        rows[model] = row | {"tokens": table["tokens"].mean(), "cut off": float(mine["truncated"].mean())}
    return pd.DataFrame.from_dict(rows, orient="index")


def gain_bars(gains: pd.DataFrame) -> Figure:
    """The gains of `ladder` with their intervals, in points, a row per model with something to be measured against."""
    labels = [f"{name} - {other}" for name, other in gains["against"].items()]
    ends = {"mean": gains["gain"], "low": gains["gain low"], "high": gains["gain high"]}
    return figures.intervals(pd.DataFrame({"label": labels} | ends), "What each stage adds, points")


def plans_of(file: Path, most: int | None = None) -> list[Problem]:
    """The planning problems of a file, of each stretch the same share, about `most` of them."""
    plans = load_problems(file)
    return plans[:: max(1, len(plans) // (most or len(plans)))]


def with_plan(answers: pd.DataFrame, plans: Sequence[Problem]) -> pd.DataFrame:
    """The answers to those problems that have a plan (`meta.feasible`)."""
    return answers[answers["problem"].isin([plan.id for plan in plans if plan.meta["feasible"]])]


def by_level(answers: pd.DataFrame, family: str) -> pd.DataFrame:
    """Accuracy of each model in one family by level, as `measure.tables.by_group` gives it."""
    return by_group(answers[answers["family"] == family], "steps")


def carried(answers: pd.DataFrame, against: Mapping[str, str]) -> pd.DataFrame:
    """What each model gains over the one it is measured `against`, by family: gain, low and high as in `ladder`."""
    rows = {}
    for family in answers["family"].unique():
        steps = ladder(answers[answers["family"] == family], against).dropna(subset=["gain"])
        for model, row in steps.iterrows():
            ends = (float(row[name]) for name in ("gain", "gain low", "gain high"))
            rows[family, f"{model} - {row['against']}"] = dict(zip(("gain", "low", "high"), ends, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["family", "pair"])


def constant_guess(
    problems: Sequence[Problem], verifiers: Verifiers | None = None, numbers: Sequence[int] = range(100)
) -> pd.Series:
    """What always giving the same number would get at best: share right per family and level (`meta.steps`), from 0 to 1.

    The number is chosen per level with the right answers known, so no honest guess does better.
    """
    pairs = [(problem, number) for problem in problems for number in numbers]
    verdicts = judge([problem for problem, _ in pairs], [str(number) for _, number in pairs], verifiers)
    rows = [
        {"family": problem.meta["family"], "steps": problem.meta["steps"], "number": number, "right": verdict.score}
        for (problem, number), verdict in zip(pairs, verdicts, strict=True)
    ]
    shares = pd.DataFrame(rows).groupby(["family", "steps", "number"])["right"].mean()
    return shares.groupby(["family", "steps"]).max()
