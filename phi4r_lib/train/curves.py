"""Figures of training: what the journal and the rollouts of a run show.

Every function takes plain data and returns a matplotlib figure. Figures of evaluation are `phi4r_lib.measure.figures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phi4r_lib.train.reward import LengthReward, length_scaled_accuracy


def journal_table(rows: Sequence[dict[str, Any]], kind: str) -> pd.DataFrame:
    """The journal's rows of one kind ("train" or "validation") as a table indexed by step."""
    return pd.DataFrame([row for row in rows if row["kind"] == kind]).set_index("step").drop(columns="kind")


def sft_progress(train: pd.DataFrame, validation: pd.DataFrame) -> Figure:
    """Loss, validation accuracy, and mean response length along training: the report's figure 4."""
    figure, (loss, accuracy, length) = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    loss.plot(train.index, train["loss"], color="0.7", lw=1)
    loss.plot(train.index, smooth(train["loss"]), color="tab:blue")
    loss.set(title="Loss on the assistant's turn", xlabel="step", ylabel="nats per token", ylim=(0, None))
    accuracy.plot(validation.index, validation["accuracy"], "o-", color="tab:green", label="right")
    accuracy.plot(validation.index, validation["valid"], "s--", color="tab:gray", label="think block in order")
    accuracy.set(title="Validation", xlabel="step", ylabel="share of answers", ylim=(0, 1.02))
    accuracy.legend()
    length.plot(validation.index, validation["tokens"], "o-", color="tab:orange")
    length.set(title="Mean response length", xlabel="step", ylabel="tokens", ylim=(0, None))
    return figure


def reward_shape(reward: LengthReward) -> Figure:
    """The accuracy term against the completion's length, for right and wrong answers."""
    lengths = np.arange(0, round(1.05 * reward.l_max) + 1)
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    for correct, color in ((True, "tab:green"), (False, "tab:red")):
        values = [length_scaled_accuracy(correct, int(n), reward) for n in lengths]
        axis.plot(lengths, values, color=color, label="right" if correct else "wrong")
    axis.axhline(reward.no_end, color="0.6", ls=":", label="no end of turn")
    axis.axhline(reward.bad_think, color="0.3", ls="--", lw=1, label="broken think block")
    marks = {"Lneg": reward.l_neg, "Lpos": reward.l_pos, "Lmax": reward.l_max}
    axis.set_xticks(list(marks.values()), [f"{name}\n{value:,}" for name, value in marks.items()])
    axis.set(xlabel="completion tokens", ylabel="accuracy term", title="What an answer earns by its length")
    axis.legend(loc="center right", fontsize=8)
    return figure


def reward_surface(reward: LengthReward, group: int = 8) -> Figure:
    """Advantage of a right answer of each length, in a group whose other answers have a typical length (ours).

    Rows are the number of right answers in the group, columns the length of the answer; the others are as long as
    half of l_pos. Shows that rarity counts far more than length.
    """
    lengths = np.linspace(1, reward.l_max, 60).astype(int)
    other = reward.l_pos // 2
    surface = np.array(
        [[_advantage(int(n), right, other, reward, group) for n in lengths] for right in range(1, group)]
    )
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    edges = (lengths[0], lengths[-1], 0.5, group - 0.5)
    image = axis.imshow(surface, origin="lower", aspect="auto", extent=edges, cmap="RdBu", vmin=-3, vmax=3)
    axis.set(xlabel="length of this right answer, tokens", ylabel=f"right answers of {group}", title="Its advantage")
    figure.colorbar(image, ax=axis, label="advantage, standard deviations")
    return figure


def _advantage(length: int, right: int, other: int, reward: LengthReward, group: int) -> float:
    mine = length_scaled_accuracy(True, length, reward)
    peers = [length_scaled_accuracy(True, other, reward)] * (right - 1)
    values = np.array([mine, *peers, *[length_scaled_accuracy(False, other, reward)] * (group - right)])
    return float((mine - values.mean()) / (values.std(ddof=1) + 1e-4))


def grpo_dynamics(train: pd.DataFrame, validation: pd.DataFrame) -> Figure:
    """Accuracy, reward components, lengths of right and wrong answers, groups, and KL with entropy along training."""
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    (accuracy, parts, length), (groups, clipped, policy) = axes
    _lines(accuracy, train, {"accuracy": "rollouts"}, "Accuracy", "share right")
    accuracy.plot(validation.index, validation["accuracy"], "ko-", label="validation")
    names = {"total": "total", "accuracy_term": "accuracy term", "length_term": "before overrides"}
    _lines(parts, train, names | {"repetition": "repetition"}, "Reward components", "mean")
    _lines(length, train, {"tokens_right": "right", "tokens_wrong": "wrong"}, "Length by outcome", "tokens")
    names = {"groups_informative": "mixed", "groups_all_right": "all right", "groups_all_wrong": "all wrong"}
    _lines(groups, train, names, "Groups", "share")
    names = {"clipped": "cut off", "bad_think": "broken think block"}
    _lines(clipped, train, names, "Format", "share of completions")
    _lines(policy, train, {"entropy": "entropy"}, "Policy", "entropy, nats")
    twin = policy.twinx()
    if "kl" in train:  # absent with beta = 0
        twin.plot(train.index, smooth(train["kl"]), color="tab:red", ls="--", label="KL (right axis)")
    twin.set(ylim=(0, None))
    policy.legend(handles=[*policy.lines[-1:], *twin.lines], fontsize=8)
    for axis in (accuracy, parts, length, groups, clipped):
        axis.legend(fontsize=8)
    return figure


def _lines(axis, table: pd.DataFrame, names: dict[str, str], title: str, unit: str) -> None:
    for column, label in names.items():
        if column in table:
            raw = axis.plot(table.index, table[column], lw=0.8, alpha=0.3)[0]
            axis.plot(table.index, smooth(table[column]), color=raw.get_color(), label=label)
    axis.set(title=title, xlabel="step", ylabel=unit)


def smooth(values: pd.Series, window: int = 5) -> pd.Series:
    """Centred mean over `window` steps, shorter at the ends."""
    return values.rolling(window, center=True, min_periods=1).mean()
