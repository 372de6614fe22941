"""The length-aware reward of Phi-4-reasoning-plus, exactly, with every component in the open.

Report section 4: a correct answer earns 1.0 and less once it is very long, a wrong one costs 1.0 and less the longer
it was thought about; broken format overrides that term; repeated 5-grams cost extra. Lengths count completion tokens,
never characters. Whether an answer is correct is decided by `phi4r_lib.problems.verify`; training is in `grpo`.
Accuracy must not be read off these numbers: a right answer of 30,000 tokens totals less than 0.5.

The report's lengths belong to a model that writes ten thousand tokens. Scaled down by the limit alone they may touch no answer
of a small model at all; then the length term is dead. `fit_lengths` takes them from answers instead, and `branch_shares`
says how often each branch of the reward acts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from phi4r_lib.models.store import read_samples
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.shares import wilson
from phi4r_lib.problems.verify import Verifiers, verify
from phi4r_lib.train.settings import GrpoSettings, Precedence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 8  # answers of a kind from which a quantile of their lengths means something; ours
BRANCHES = {
    "right": "right, as short as paid in full",
    "right, long": "right, beyond l_pos: earns less",
    "wrong, short": "wrong, below l_neg: costs more",
    "wrong": "wrong, long enough to cost least",
    "bad_think": "broken think block",
    "no_end": "no end of turn",
}


class LengthReward(BaseModel):
    """The constants of the reward; the defaults are the report's, in completion tokens.

    `l_max` is the generation limit, `l_pos` the length up to which a right answer earns everything, `l_neg` the length
    from which a wrong answer costs least. `precedence` says which format override wins when both the end-of-turn
    token and a valid think block are missing: the report does not, think block first is ours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    l_max: int = Field(default=31_744, gt=0)
    l_pos: int = Field(default=25_600, ge=0)
    l_neg: int = Field(default=3_702, gt=0)
    no_end: float = -0.5  # accuracy term when the end-of-turn token is missing
    bad_think: float = -1.0  # accuracy term when the think block is missing, unclosed or doubled
    precedence: Precedence = "think_first"
    accuracy_weight: float = 8 / 13
    repetition_weight: float = 1 / 13
    length_term: bool = (
        True  # False: every right answer earns 1.0 and every wrong one costs 0.5, whatever its length (ours)
    )
    ngram: int = Field(default=5, ge=1)  # words per n-gram of the repetition term
    ngram_repeats: int = Field(default=5, ge=1)  # an n-gram is repeated when it occurs more often than this
    partial_credit: float = Field(
        default=0.0, ge=0, le=1
    )  # times a wrong answer's score, added to its term; 0: off; ours

    @model_validator(mode="after")
    def _ordered(self) -> LengthReward:
        if not self.l_pos < self.l_max:
            raise ValueError(f"l_pos ({self.l_pos}) must be below l_max ({self.l_max})")
        return self

    @classmethod
    def scaled(cls, context: int, **changes) -> LengthReward:
        """The same shape for a short context: all three lengths times context / 31,744, rounded (ours).

        `context` is the most completion tokens the model may write; `changes` are other fields to set. With 128
        tokens a right answer keeps everything up to 103 tokens and a wrong one costs least from 15 on.
        """
        paper = cls()
        ratio = context / paper.l_max
        lengths = {"l_pos": round(paper.l_pos * ratio), "l_neg": max(1, round(paper.l_neg * ratio))}
        return cls(**{"l_max": context, **lengths, **changes})


class RewardParts(BaseModel):
    """One completion's reward with all that led to it; `total` = 8/13 `accuracy_term` + 1/13 `repetition`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    correct: bool | None  # the verifier's word, whatever the format; None: could not be graded
    n_tokens: int  # completion tokens
    length_term: float | None  # the cosine term before any override; None without a verdict, as the next and the total
    accuracy_term: float | None  # the same after the format overrides
    repetition: float  # 0 or negative, not clipped
    format: Literal["ok", "bad_think", "no_end"]  # which override decided the accuracy term
    total: float | None
    partial: float = 0.0  # what a wrong answer's score added to the accuracy term


def length_scaled_accuracy(correct: bool, n_tokens: int, reward: LengthReward | None = None) -> float:
    """The cosine-shaped accuracy term, between 1.0 and 0.5 if correct and between -1.0 and -0.5 if not.

    Correct: rho = min(1, max(L - l_pos, 0) / (l_max - l_pos)), R = 0.5 + 0.25 (1 + cos(pi rho)).
    Wrong: rho = min(1, L / l_neg), R = -0.5 - 0.25 (1 + cos(pi rho)). L counts completion tokens and is clamped, so
    the cosine never rises again. Without `reward.length_term` the two values are 1.0 and -0.5 (ours). Source: report
    section 4.

    Raises:
        ValueError: negative length.
    """
    reward = reward or LengthReward()
    if n_tokens < 0:
        raise ValueError(f"n_tokens counts completion tokens and cannot be {n_tokens}")
    if not reward.length_term:
        return 1.0 if correct else -0.5
    if correct:
        rho = min(1.0, max(n_tokens - reward.l_pos, 0) / (reward.l_max - reward.l_pos))
        return 0.5 + 0.25 * (1 + cos(pi * rho))
    rho = min(1.0, n_tokens / reward.l_neg)
    return -0.5 - 0.25 * (1 + cos(pi * rho))


def repetition_penalty(text: str, reward: LengthReward | None = None) -> float:
    """The repetition term over 5-grams of lower-cased, white-space separated words: 0 or negative, about -5 at worst.

    R = -max(a, b) with a = distinct 5-grams that occur more than 5 times / all 5-grams of the text, and b = highest
    count / (words / 5), where b counts only if the highest count reaches 5. A text of fewer than 5 words has no
    5-gram and costs nothing. Not clipped. Source: report section 4.
    """
    reward = reward or LengthReward()
    size, limit = reward.ngram, reward.ngram_repeats
    words = text.lower().split()
    counts = Counter(zip(*(words[i:] for i in range(size)), strict=False))
    if not counts:
        return 0.0
    spread = sum(count > limit for count in counts.values()) / counts.total()
    highest = max(counts.values())
    peak = highest / (len(words) / size) if highest >= limit else 0.0
    return -max(spread, peak) or 0.0  # "or": never a negative zero


def phi4_reward(
    text: str,
    *,
    correct: bool | None,
    n_tokens: int,
    ended: bool,
    reward: LengthReward | None = None,
    score: float = 0.0,
) -> RewardParts:
    """The whole reward of one completion.

    Args:
        text: the completion alone, think tags kept, without the prompt and its system message.
        correct: whether the final answer is right; a right answer in a broken format still gets the override. None where
            it could not be graded: there is no total then, whatever the format.
        n_tokens: completion tokens, the end-of-turn token included.
        ended: whether the completion ends with the end-of-turn token.
        reward: the constants; None means the report's.
        score: the verifier's partial credit for a wrong answer, 0 to 1. It counts only with `reward.partial_credit` above 0 and
            in an unbroken format, and never lifts a wrong answer to a right one's term, which is 0.5 at least (ours).

    Returns:
        Every component; `total` is at most 8/13. Source: report section 4; the precedence of the two overrides is a
        setting (see `LengthReward`).
    """
    reward = reward or LengthReward()
    broken = _broken_format(parse_thinking(text).valid, ended, reward.precedence)
    repetition = repetition_penalty(text, reward)
    length_term = accuracy_term = total = None
    partial = 0.0
    if correct is not None:
        length_term = length_scaled_accuracy(correct, n_tokens, reward)
        partial = reward.partial_credit * score if broken == "ok" and not correct else 0.0
        accuracy_term = {"ok": length_term + partial, "bad_think": reward.bad_think, "no_end": reward.no_end}[broken]
        total = reward.accuracy_weight * accuracy_term + reward.repetition_weight * repetition
    return RewardParts(
        correct=correct,
        n_tokens=n_tokens,
        length_term=length_term,
        accuracy_term=accuracy_term,
        repetition=repetition,
        format=broken,
        total=total,
        partial=partial,
    )


def _broken_format(think_valid: bool, ended: bool, precedence: Precedence) -> Literal["ok", "bad_think", "no_end"]:
    """Which override applies; a truncated completion inside its think block fails both checks."""
    if think_valid and ended:
        return "ok"
    if think_valid or (precedence == "end_first" and not ended):
        return "no_end"
    return "bad_think"


def reward_shape(reward: LengthReward) -> Figure:
    """A figure: the accuracy term against the completion's length, for right and wrong answers."""
    import matplotlib.pyplot as plt

    lengths = np.arange(0, round(1.05 * reward.l_max) + 1)
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    for correct, color in ((True, "#009E73"), (False, "#D55E00")):
        values = [length_scaled_accuracy(correct, int(n), reward) for n in lengths]
        axis.plot(lengths, values, color=color, label="right" if correct else "wrong")
    axis.axhline(reward.no_end, color="0.6", ls=":", label="no end of turn")
    axis.axhline(reward.bad_think, color="0.3", ls="--", lw=1, label="broken think block")
    marks = {"Lneg": reward.l_neg, "Lpos": reward.l_pos, "Lmax": reward.l_max}
    labels = [f"{name}\n{value:,}" for name, value in marks.items()]
    if abs(reward.l_pos - reward.l_neg) < 0.1 * reward.l_max:  # side by side they would overlap
        labels[1] = "\n\n" + labels[1]
    axis.set_xticks(list(marks.values()), labels)
    axis.set(xlabel="completion tokens", ylabel="accuracy term", title="What an answer earns by its length")
    axis.legend(loc="center right", fontsize=8)
    return figure


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


def judged(
    folder: Path | str, model: str, problems: Sequence[Problem], verifiers: Verifiers | None = None
) -> pd.DataFrame:
    """What a model's stored samples (models/store.py) say to these problems, as rollouts: id, correct, n_tokens, format.

    `correct` is missing where an answer could not be graded.
    """
    asked = {problem.id: problem for problem in problems}
    samples = read_samples(folder)
    found = samples[samples["key"].isin(asked) & (samples["model"] == model)]
    rows = [asked[key] for key in found["key"]]
    texts, cut = found["text"].tolist(), found["truncated"].tolist()
    verdicts = verify(rows, texts, verifiers, truncated=cut)
    right = [None if v.grade is Grade.FAILED else v.correct for v in verdicts]
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
