"""What a table of answers comes to: results.json, the verdict in sentences, and the words that it needs.

Every sentence is built from numbers computed here from the answers; nothing is judged by hand. Not here: the estimators.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from phi4r_lib.measure.answer_table import model_result, of_model
from phi4r_lib.measure.comparison import Comparison, holm
from phi4r_lib.measure.intervals import wilson
from phi4r_lib.measure.power import advise
from phi4r_lib.measure.tables import comparisons, decompositions, models_of, paired, ranking_errors
from phi4r_lib.measure.variance import Decomposition, compare

LEVEL = 0.05
SENTENCES = {
    "t interval": "mean with a few standard errors on each side, a little wider because the variance itself is estimated",
    "bootstrap, BCa": "draws problems anew from those at hand and sees how the mean moves; BCa corrects the ends for lopsided data",
    "Wilson": "interval for the share of right answers in one run that stays sound near 0 and 1",
    "Clopper-Pearson": "the same, never too narrow, therefore often too wide",
    "Jeffreys, Beta(1,1)": "the Bayesian versions: what to believe about the share if every value was possible before",
    "clustered": "takes families of look-alike problems, not problems, as independent",
    "confidence sequence": "an interval that may be read after every new answer without losing its promise",
    "sign-flip test": "if A and B were equal, each problem's difference could as well have the other sign: how often does that beat what was seen?",
    "Holm": "raises several p-values so that all of them together mislead at most once in twenty",
    "McNemar, mid-p": "the sign-flip test for one run each, and its less timid version",
    "Newcombe": "the interval that goes with McNemar",
    "TOST": "two one-sided tests that together show a difference to be smaller than a margin",
    "e-value": "what a fair bet against 'both are equal' has won so far; it may be looked at after every run",
    "pass@k, majority@k": "whether a right answer is among k tries, or wins their vote",
    "Neyman": "shares out a budget of answers by how uncertain each problem is",
}


def results(answers: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What 05_variance/results.json holds: `models` and `comparisons` (a minus b, 95% intervals over problems)."""
    models = {str(model): model_result(answers, model) for model in answers["model"].unique()}
    comparisons = []
    for a, b in pairs:
        outcome = compare(*paired(answers, a, b), missing="wrong")
        numbers = {key: float(getattr(outcome, key)) for key in ("difference", "low", "high", "p_value")}
        comparisons.append({"a": a, "b": b} | numbers | {"probability_better": outcome.probability_better})
    return {"models": models, "comparisons": comparisons}


def verdict(answers: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What may be concluded from a table of answers, one sentence or two per entry, most important first.

    Args:
        answers: columns of answers.COLUMNS, at least two runs per problem for the statements about runs.
        pairs: (a, b) to judge; p-values are corrected for all of them together (Holm).

    Returns:
        Sentences about scores, each pair, what to run next, and the quality of the data.
    """
    parts = decompositions(answers)
    found = comparisons(answers, pairs)
    adjusted = holm([comparison.p_value for comparison in found.values()])
    scored = [
        score_sentence(model, parts[model]) if model in parts else single_sentence(answers, model)
        for model in models_of(answers)
    ]
    judged = []
    for (a, b), comparison, p in zip(pairs, found.values(), adjusted, strict=True):
        judged.append(pair_sentence(a, b, comparison, float(p)))
        all_of = max(of_model(answers, model)["problem"].nunique() for model in (a, b))
        if comparison.problems < all_of:
            judged.append(
                f"The difference of {a} and {b} is over the {comparison.problems} problems that both answered."
            )
        if a in parts and b in parts:
            wrong = float(ranking_errors(answers, [(a, b)], runs=(1,))["p_wrong"].iloc[0])
            judged.append(next_sentence(a, b, comparison, float(p), parts[a], parts[b], wrong))
        else:
            judged.append(f"Next for {a} and {b}: at least two runs of each; one run shows nothing of its own luck.")
    return scored + judged + data_sentences(answers, parts)


def single_sentence(answers: pd.DataFrame, model: str) -> str:
    """Score of a model with one run, with Wilson's interval for problems like these."""
    right = of_model(answers, model)["correct"]
    return (
        f"{model} solves {right.mean():.1%} of {len(right)} problems in its only run; on new problems like these expect "
        f"{_range(wilson(int(right.sum()), len(right)))} (95% interval of one run)."
    )


def score_sentence(model: str, part: Decomposition) -> str:
    """Score of one model with both intervals and the spread of single runs."""
    fixed, like = part.interval("these problems"), part.interval("problems like these")
    return (
        f"{model} solves {part.mean:.1%} of these {part.problems} problems (95% interval {_range(fixed)}); on new problems "
        f"like these expect {_range(like)}. Single runs scatter by {100 * part.run_sd:.1f} points (standard deviation)."
    )


def pair_sentence(a: str, b: str, found: Comparison, p_holm: float) -> str:
    """Whether the difference of a pair is established for problems like these, on these only, or not at all."""
    gap = f"{a} minus {b} is {_signed(found.difference)} points (95% interval {_signed(found.low)} to {_signed(found.high)}"
    gap += f"; {_p(p_holm)} after correction for all pairs)"
    if is_established(found, p_holm):
        ahead, behind = (a, b) if found.difference > 0 else (b, a)
        return f"Established: {ahead} is better than {behind} on problems like these. {gap}."
    z = (
        abs(found.difference) / math.sqrt(found.prediction_noise / found.problems)
        if found.prediction_noise > 0
        else math.nan
    )
    if z > 1.96:
        ahead = a if found.difference > 0 else b
        return f"Established for these {found.problems} problems only: {ahead} scores higher here, but {gap} allows the opposite on new problems."
    return f"Not established: {gap}. This shows neither a difference nor equality."


def is_established(found: Comparison, p_holm: float) -> bool:
    """True if the corrected test and the interval for problems like these both exclude equality."""
    return p_holm < LEVEL and not found.low <= 0 <= found.high


def next_sentence(
    a: str, b: str, found: Comparison, p_holm: float, part_a: Decomposition, part_b: Decomposition, wrong: float
) -> str:
    """What to run next for a pair: nothing, more runs, or more problems; and how often one run would mislead.

    `wrong` is that chance, as `tables.ranking_errors` gives it.
    """
    if found.difference == 0:
        return (
            f"Next for {a} and {b}: the scores are equal; decide which difference would matter, then plan for that one."
        )
    single = f"One run of each would rank {a} and {b} the wrong way round {_share(wrong)}"
    if is_established(found, p_holm):
        return f"{single}; nothing more is needed for this pair."
    runs = max(1, round(min(part_a.runs, part_b.runs)))
    plan = advise(found.difference, found.data_noise, part_a.within, part_b.within, problems=found.problems, runs=runs)
    return f"{single}. Next, if a difference of this size matters: {plan.message}"


def data_sentences(answers: pd.DataFrame, parts: Mapping[str, Decomposition]) -> list[str]:
    """What the data leave open: answers without a verdict, texts without an answer, truncation, seeds, odd variances."""
    sentences = []
    for model in models_of(answers):
        rows, part = of_model(answers, model), parts.get(model)
        counts = rows.groupby("problem").size()
        if counts.min() < counts.max():
            few = int((counts < counts.max()).sum())
            sentences.append(
                f"{model}: {few} of {len(counts)} problems have fewer than {counts.max()} runs; every problem counts the same."
            )
        lost = rows["grade"].isin(("lost", "failed")).sum()
        if lost:
            best = (rows["grade"].isin(("lost", "failed", "right"))).groupby(rows["problem"]).mean().mean()
            sentences.append(
                f"{model}: {lost} answers have no verdict and count as wrong; if all were right the score would be {best:.1%}."
            )
        none = (rows["grade"] == "none").mean()
        if none > 0.02:
            sentences.append(f"{model}: {none:.1%} of its texts state no answer that can be read; they count as wrong.")
        cut = rows["truncated"].astype("boolean").fillna(False).mean()
        if cut > 0.02:
            sentences.append(
                f"{model}: {cut:.1%} of its answers were cut at the token limit; a higher limit may raise the score."
            )
        if part and part.negative_between:
            sentences.append(
                f"{model}: problems differ less than chance alone would make them (negative variance between problems); read its interval for new problems with care."
            )
        if rows["seed"].isna().all():
            sentences.append(f"{model}: no seed is recorded, so these runs cannot be repeated exactly.")
    return sentences


def _range(interval: Sequence[float]) -> str:
    return f"{100 * interval[0]:.1f}% to {100 * interval[1]:.1f}%"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.2g}"


def _share(chance: float) -> str:
    if chance < 0.001:
        return "less than once in a thousand tries"
    return f"{chance:.1%} of the time"


def glossary() -> pd.DataFrame:
    """The methods of a variance analysis by name, each in one sentence."""
    return pd.Series(SENTENCES, name="in one sentence").rename_axis("name").to_frame()
