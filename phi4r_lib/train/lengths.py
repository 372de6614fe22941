"""Where the reward's lengths come from, and how often each of its branches acts.

The report's lengths belong to a model that writes ten thousand tokens. Scaled down by the limit alone they may touch no answer
of a small model at all; then the length term is dead. Not here: the reward's formula (reward.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.shares import wilson
from phi4r_lib.problems.verify import Verifiers, verify
from phi4r_lib.train.reward import LengthReward, phi4_reward
from phi4r_lib.train.settings import GrpoSettings

LEAST = 8  # answers of a kind from which a quantile of their lengths means something; ours
BRANCHES = {
    "right": "right, as short as paid in full",
    "right, long": "right, beyond l_pos: earns less",
    "wrong, short": "wrong, below l_neg: costs more",
    "wrong": "wrong, long enough to cost least",
    "bad_think": "broken think block",
    "no_end": "no end of turn",
}


def reward_of(settings: GrpoSettings) -> LengthReward:
    """The reward's constants: the report's, scaled to the completion limit, unless the settings name or switch off lengths.

    Raises ValueError for `lengths: quantiles` without lengths: `fit_lengths` measures them first.
    """
    given = {name: getattr(settings, name) for name in ("l_pos", "l_neg")}
    changes = {name: value for name, value in given.items() if value is not None}
    if settings.lengths == "quantiles" and len(changes) < 2:
        raise ValueError(
            "grpo.lengths: quantiles needs answers to measure; call fit_lengths(settings, right, wrong) first"
        )
    context = settings.reward_context or settings.max_tokens
    options = {"precedence": settings.precedence, "partial_credit": settings.partial_credit}
    options["length_term"] = settings.lengths != "off"
    return LengthReward.scaled(context, **options, **changes)


def fit_lengths(settings: GrpoSettings, right: Sequence[int], wrong: Sequence[int]) -> GrpoSettings:
    """The settings with l_pos and l_neg as `grpo.lengths` says; unchanged unless that is "quantiles" (ours).

    `right` and `wrong` are completion tokens of answers of the model that training starts from. l_pos becomes the
    `right_quantile` of the right ones, so that the rest of them earns less; l_neg the `wrong_quantile` of the wrong ones,
    so that this share of them costs more. Lengths that the settings name themselves stay. With fewer than LEAST answers of a
    kind nothing can be measured: then the lengths are scaled, and a line says so.
    """
    if settings.lengths != "quantiles":
        return settings
    if min(len(right), len(wrong)) < LEAST:
        print(
            f"{len(right)} right and {len(wrong)} wrong answers are too few to measure lengths; scaled ones are taken"
        )
        return settings.model_copy(update={"lengths": "scaled"})
    limit = settings.reward_context or settings.max_tokens
    l_pos = min(round(float(np.quantile(right, settings.right_quantile))), limit - 1)
    l_neg = max(1, round(float(np.quantile(wrong, settings.wrong_quantile))))
    named = {"l_pos": settings.l_pos, "l_neg": settings.l_neg}
    found = {name: value for name, value in {"l_pos": l_pos, "l_neg": l_neg}.items() if named[name] is None}
    return settings.model_copy(update=found)


def judged(samples: pd.DataFrame, problems: Sequence[Problem], verifiers: Verifiers | None = None) -> pd.DataFrame:
    """Stored samples (key, text, tokens, truncated) as rollouts: id, correct, n_tokens, format; other keys are left out.

    `correct` is missing where an answer could not be graded.
    """
    asked = {problem.id: problem for problem in problems}
    found = samples[samples["key"].isin(asked)]
    rows = [asked[key] for key in found["key"]]
    texts, cut = found["text"].tolist(), found["truncated"].tolist()
    verdicts = verify(rows, texts, verifiers, truncated=cut)
    right = [None if v.grade is Grade.FAILED else v.grade is Grade.RIGHT for v in verdicts]
    parts = [
        phi4_reward(text, correct=one, n_tokens=int(count), ended=not end)
        for text, one, count, end in zip(texts, right, found["tokens"], cut, strict=True)
    ]
    table = pd.DataFrame({"id": found["key"].tolist(), "correct": pd.array(right, dtype="boolean")})
    return table.assign(n_tokens=[part.n_tokens for part in parts], format=[part.format for part in parts])


def branch(correct: bool, n_tokens: int, broken: str, reward: LengthReward) -> str:
    """Which branch of the reward decides a completion's accuracy term, a key of BRANCHES; `broken` is `RewardParts.format`."""
    if broken != "ok":
        return broken
    if correct:
        return "right, long" if reward.length_term and n_tokens > reward.l_pos else "right"
    return "wrong, short" if reward.length_term and n_tokens < reward.l_neg else "wrong"


def branch_shares(rollouts: pd.DataFrame, reward: LengthReward) -> pd.DataFrame:
    """Share of completions that each branch decides, with a Wilson interval; answers that could not be graded are left out.

    `rollouts` has correct, n_tokens and format, one row per completion.
    """
    graded = rollouts[rollouts["correct"].notna()]
    columns = (graded["correct"], graded["n_tokens"], graded["format"])
    found = pd.Series([branch(bool(r), int(n), f, reward) for r, n, f in zip(*columns, strict=True)], dtype=object)
    counts = found.value_counts().reindex(list(BRANCHES), fill_value=0)
    rows = [{"completions": int(count), "share": count / max(len(graded), 1)} for count in counts]
    ends = [wilson(int(count), len(graded)) for count in counts] if len(graded) else []
    table = pd.DataFrame(rows, index=pd.Index(BRANCHES.values(), name="branch"))
    return table.assign(low=[end.low for end in ends], high=[end.high for end in ends]) if ends else table
