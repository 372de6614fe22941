"""Small tables behind the figures: what a table of answers says about runs, groups, votes, shares, widths and power.

Each function takes the answers (columns of answers.COLUMNS) and returns a DataFrame of a few rows, fractions of 1.
Not here: the estimators themselves (variance.py, power.py) and the drawing (figures.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, poisson_binom

from phi4r_lib.measure.answer_table import COLUMNS, AnswersError, of_model, verdicts
from phi4r_lib.measure.intervals import cluster_robust, t_interval
from phi4r_lib.measure.majority import majority_band, majority_table
from phi4r_lib.measure.passk import pass_at_k, pass_hat_k
from phi4r_lib.measure.power import p_misrank, problems_needed, standard_errors
from phi4r_lib.measure.variance import Comparison, Decomposition, compare, decompose
from phi4r_lib.problems.refusals import refusal_table
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers, examples, verifier_of

RIGHT = "the right answer"  # the key that all right answers vote under
Z95 = float(norm.ppf(0.975))
RUNS = (1, 2, 4, 8, 16, 32, 64)
DIFFERENCES = (0.01, 0.02, 0.03, 0.05, 0.10, 0.20)


def models_of(answers: pd.DataFrame) -> list[str]:
    """Model names in the order of their first row."""
    return [str(model) for model in answers["model"].unique()]


def run_table(answers: pd.DataFrame) -> pd.DataFrame:
    """One row per model and run: accuracy and mean completion tokens."""
    grouped = answers.groupby(["model", "run"], sort=False)
    return grouped.agg(accuracy=("correct", "mean"), tokens=("tokens", "mean")).reset_index()


def predicted_runs(answers: pd.DataFrame) -> pd.DataFrame:
    """Poisson-binomial distribution of one run's accuracy, taking each problem's measured pass rate as its true one.

    Columns model, accuracy, probability; one row per possible score.
    """
    frames = []
    for model in models_of(answers):
        rates = problem_table(answers, model)["rate"].to_numpy()
        scores = np.arange(len(rates) + 1)
        probability = poisson_binom.pmf(scores, np.clip(rates, 0, 1))
        frames.append(pd.DataFrame({"model": model, "accuracy": scores / len(rates), "probability": probability}))
    return pd.concat(frames, ignore_index=True)


def problem_table(answers: pd.DataFrame, model: str) -> pd.DataFrame:
    """One row per problem (index): runs, right, rate, mean tokens, and every further column of the answers (family, year)."""
    rows = of_model(answers, model)
    kept = {column: (column, "first") for column in rows if column not in COLUMNS}
    spec = {
        "runs": ("correct", "size"),
        "right": ("correct", "sum"),
        "rate": ("correct", "mean"),
        "tokens": ("tokens", "mean"),
    }
    return rows.groupby("problem").agg(**spec, **kept)


def by_group(answers: pd.DataFrame, group: str, cluster: str | None = None) -> pd.DataFrame:
    """Accuracy by group with 95% intervals over problems, clustered where a cluster column is given.

    Columns model, group, mean, low, high, problems. A group with one problem (or cluster) has no interval (NaN).
    """
    rows = []
    for model in models_of(answers):
        table = problem_table(answers, model)
        for name, part in table.groupby(group):
            low, high = _interval(part["rate"].to_numpy(), part[cluster].to_numpy() if cluster else None)
            rows.append(
                {
                    "model": model,
                    "group": name,
                    "mean": part["rate"].mean(),
                    "low": low,
                    "high": high,
                    "problems": len(part),
                }
            )
    return pd.DataFrame(rows)


def _interval(rates: np.ndarray, clusters: np.ndarray | None = None) -> tuple[float, float]:
    """95% interval of the mean over problems, inside [0, 1]; NaN where one problem or cluster leaves no spread to see."""
    if len(rates) < 2 or (clusters is not None and len(set(clusters)) < 2):
        return float("nan"), float("nan")
    found = t_interval(rates) if clusters is None else cluster_robust(rates, clusters)
    return float(max(found.low, 0.0)), float(min(found.high, 1.0))


def vote_counts(answers: pd.DataFrame, model: str) -> list[dict[str | None, int]]:
    """Votes of each problem, problems sorted: right answers under RIGHT, wrong ones under their number or text.

    Answers without text or not given at all count under None, which takes a place in the vote but never wins.
    """
    rows = of_model(answers, model).sort_values("problem")
    votes: dict[str, dict[str | None, int]] = {}
    for problem, answer, grade in zip(rows["problem"], rows["answer"], rows["grade"], strict=True):
        key = RIGHT if grade == "right" else _wrong_vote(answer)
        counts = votes.setdefault(problem, {})
        counts[key] = counts.get(key, 0) + 1
    return list(votes.values())


def _wrong_vote(answer: str | None) -> str | None:
    """Spelling of a wrong answer, so that 7, 7.0 and " 7" vote together; other forms vote by their text."""
    if answer is None or pd.isna(answer):
        return None
    text = str(answer).strip().replace(",", "")
    try:
        return repr(float(text))
    except ValueError:
        return text or None


def no_votes(problems: Sequence[Problem], verifiers: Verifiers | None = None) -> str:
    """Why answers to these problems cannot be voted on, or "" where they can.

    A problem's verifier is asked for the group of a known right answer; without a group its answers have no equality.
    """
    silent: Counter[str] = Counter()
    for problem, example in zip(problems, examples(problems, verifiers), strict=True):
        answer = example or problem.answer or ""
        silent[problem.verifier] += verifier_of(problem.verifier, verifiers).groups([answer], [problem])[0] is None
    named = [f"'{name}' ({count} of {len(problems)} problems)" for name, count in silent.items() if count]
    return f"answers have no equality for the verifier {', '.join(named)}, so they cannot be voted on" if named else ""


def majority(answers: pd.DataFrame, ks: Sequence[int] | None = None) -> pd.DataFrame:
    """Exact majority@k of each model with a 95% band over problems that holds for all k at once.

    Columns model, k, mean, low, high. Without `ks`: powers of two up to the fewest answers of a problem, and that number.
    """
    rows = []
    for model in models_of(answers):
        counts = vote_counts(answers, model)
        fewest = min(sum(votes.values()) for votes in counts)
        wanted = [k for k in (ks or (*RUNS, fewest)) if k <= fewest]
        wanted = sorted(set(wanted))
        band = majority_band(counts, [RIGHT] * len(counts), wanted)
        columns = {"k": wanted, "mean": band.mean, "low": band.low.clip(0, 1), "high": band.high.clip(0, 1)}
        rows.append(pd.DataFrame({"model": model} | columns))
    return pd.concat(rows, ignore_index=True)


def ways_to_score(answers: pd.DataFrame, k: int = 5, *, votes: bool = True) -> pd.DataFrame:
    """Worst, average, majority and best of k answers, unbiased, with 95% intervals over problems.

    Without `votes` no majority: answers that have no equality cannot be voted on (`no_votes`). Columns model, kind, mean, low, high. Raises ValueError where a problem has fewer than k answers.
    """
    rows = []
    for model in models_of(answers):
        table = problem_table(answers, model)
        n, c = table["runs"].to_numpy(), table["right"].to_numpy()
        values = {"worst": pass_hat_k(n, c, k), "average": c / n}
        if votes:
            counts = vote_counts(answers, model)
            values["majority"] = majority_table(counts, [RIGHT] * len(counts), [k])[:, 0]
        values["best"] = pass_at_k(n, c, k)
        for kind, value in values.items():
            low, high = _interval(value)
            rows.append({"model": model, "kind": kind, "mean": value.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def decompositions(answers: pd.DataFrame) -> dict[str, Decomposition]:
    """Variance split of every model with at least two runs; answers without a verdict count as wrong."""
    several = answers.groupby("model", sort=False)["run"].nunique()
    return {
        model: decompose(verdicts(answers, model), missing="wrong")
        for model in models_of(answers)
        if several[model] > 1
    }


def shares(parts: Mapping[str, Decomposition]) -> pd.DataFrame:
    """One row per model: mean, both standard errors and intervals, spread of one run, the two variances of one answer."""
    names = ("mean", "run_sd", "se_fixed", "se_population", "within", "between", "icc", "problems", "runs")
    rows = []
    for model, part in parts.items():
        fixed, like = part.interval("these problems"), part.interval("problems like these")
        ends = {
            "low_fixed": fixed.low,
            "high_fixed": fixed.high,
            "low_population": like.low,
            "high_population": like.high,
        }
        rows.append({"model": model} | {name: getattr(part, name) for name in names} | ends)
    return pd.DataFrame(rows)


def widths(parts: Mapping[str, Decomposition], runs: Sequence[int] = RUNS) -> pd.DataFrame:
    """Half width of the 95% interval for problems like these if each had so many runs, and its floor with endless runs.

    Columns model, runs, half_width, floor.
    """
    rows = []
    for model, part in parts.items():
        floor = Z95 * standard_errors(part.within, part.between, part.problems, np.inf)[1]
        halves = Z95 * standard_errors(part.within, part.between, part.problems, np.array(runs))[1]
        rows.append(pd.DataFrame({"model": model, "runs": runs, "half_width": halves, "floor": float(floor)}))
    return pd.concat(rows, ignore_index=True)


def paired(answers: pd.DataFrame, a: str, b: str) -> tuple[Any, Any]:
    """The two models' verdicts (see `verdicts`) over the problems that both answered, rows aligned.

    Raises AnswersError when they share no problem.
    """
    shared = shared_problems(answers, a, b)
    if not shared:
        raise AnswersError(f"{a!r} and {b!r} share no problem; a paired comparison needs the same benchmark")
    rows = answers[answers["problem"].isin(shared)]
    return verdicts(rows, a), verdicts(rows, b)


def shared_problems(answers: pd.DataFrame, a: str, b: str) -> set[str]:
    """Problems that both models answered."""
    return set(of_model(answers, a)["problem"]) & set(of_model(answers, b)["problem"])


def comparisons(
    answers: pd.DataFrame, pairs: Sequence[tuple[str, str]], cluster: str | None = None
) -> dict[str, Comparison]:
    """Paired comparison of each pair (a, b), a minus b, keyed "a - b"; clustered by family where `cluster` names a column.

    Answers without a verdict count as wrong. With a single family the problems themselves stay the independent units.
    """
    found = {}
    for a, b in pairs:
        left, right = paired(answers, a, b)
        groups = None
        if cluster:
            rows = (
                answers[answers["problem"].isin(shared_problems(answers, a, b))]
                .drop_duplicates("problem")
                .sort_values("problem")
            )
            groups = rows[cluster].tolist() if rows[cluster].nunique() > 1 else None
        found[f"{a} - {b}"] = compare(left, right, missing="wrong", clusters=groups)
    return found


def ranking_errors(answers: pd.DataFrame, pairs: Sequence[tuple[str, str]], runs: Sequence[int] = RUNS) -> pd.DataFrame:
    """Probability that k runs of each rank a pair (better, worse) the wrong way round on these problems, exactly.

    Columns pair, runs, p_wrong; takes the measured pass rates as the true ones.
    """
    rows = []
    for pair in pairs:
        shared = answers[answers["problem"].isin(shared_problems(answers, *pair))]
        rates = [problem_table(shared, model)["rate"].to_numpy() for model in pair]
        better, worse = sorted(rates, key=np.mean, reverse=True)
        label = " against ".join(pair)
        rows += [{"pair": label, "runs": k, "p_wrong": p_misrank(better, worse, k)} for k in runs]
    return pd.DataFrame(rows)


def power_grid(
    data_noise: float,
    within_a: float,
    within_b: float,
    runs: Sequence[float] = (*RUNS, np.inf),
    differences: Sequence[float] = DIFFERENCES,
) -> pd.DataFrame:
    """Problems needed (80% power, 5% level) for claims about problems like these: rows runs, columns true differences.

    The last row stands for endless runs: a benchmark with fewer problems cannot show that difference at all.
    """
    cells = [
        [problems_needed(size, data_noise, within_a, within_b, runs_a=count) for size in differences] for count in runs
    ]
    return pd.DataFrame(cells, index=pd.Index(runs, name="runs"), columns=pd.Index(differences, name="difference"))


def guards(
    answers: pd.DataFrame | None, requests: Sequence[Problem], replies: Mapping[str, Sequence[Sequence[str]]]
) -> pd.DataFrame:
    """What a model must not lose, indexed by what was measured and model: share, low, high (95%), items.

    Args:
        answers: to problems of other domains, None where there are none: the share right per domain.
        requests, replies: as `refusals.refusal_table` takes them: the share refused of harmful and harmless ones.
    """
    parts = [pd.DataFrame(columns=["model", "measured", "share", "low", "high", "items"]).astype(object)]
    if answers is not None:
        domains = answers.assign(measured=answers["family"].str.split("/").str[0] + ": right")
        names = {"group": "measured", "mean": "share", "problems": "items"}
        parts.append(by_group(domains, "measured").rename(columns=names))
    if replies:
        refused = refusal_table(requests, replies).rename(columns={"refused": "share", "requests": "items"})
        parts.append(refused.assign(measured=refused.pop("kind") + ": refused"))
    return pd.concat(parts).set_index(["measured", "model"]).sort_index(sort_remaining=False).astype(float)
