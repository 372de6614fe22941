"""Figures of training: what the journal and the rollouts of a run show.

Every function takes plain data and returns a matplotlib figure. Figures of evaluation are `phi4r_lib.measure.figures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from phi4r_lib.problems.rows import read_rows


def journal_table(journal: Path | Sequence[dict[str, Any]], kind: str) -> pd.DataFrame:
    """The rows of one kind ("train" or "validation") of a training's journal, as a table indexed by step; empty where there are none.

    `journal` is the `metrics` of a training's report, or rows that were read already.
    """
    if isinstance(journal, Path):  # a line torn by a kill is left out
        journal = [row for _, row in read_rows(journal, torn=True)] if journal.exists() else []
    found = [row for row in journal if row["kind"] == kind]
    return (
        pd.DataFrame(found or None, columns=None if found else ["step", "kind"]).set_index("step").drop(columns="kind")
    )


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


def learning(train: pd.DataFrame, validation: pd.DataFrame) -> Figure:
    """Three small panels for a run that is still going on: loss, reward, accuracy; either table may be empty."""
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    for axis, column in zip(figure.subplots(1, 3), ("loss", "total", "accuracy"), strict=True):
        if column in train:
            lines(axis, train, {column: "rollouts"}, column, "", ("#0072B2",))
        if column in validation:
            axis.plot(validation.index, validation[column], "ko-", ms=3, label="validation")
            axis.legend(fontsize=7)
        axis.set(title={"total": "reward"}.get(column, column), xlabel="step")
    return figure


def lines(axis, table: pd.DataFrame, names: dict[str, str], title: str, unit: str, colours: Sequence[str] = ()) -> None:
    """Each named column as a thin line of single steps and a thick moving mean."""
    for number, (column, label) in enumerate(names.items()):
        if column in table:
            colour = colours[number] if colours else None
            raw = axis.plot(table.index, table[column], lw=0.8, alpha=0.3, color=colour)[0]
            axis.plot(table.index, smooth(table[column]), color=raw.get_color(), label=label)
    axis.set(title=title, xlabel="step", ylabel=unit)


def smooth(values: pd.Series, window: int = 5) -> pd.Series:
    """Centred mean over `window` steps, shorter at the ends."""
    return values.rolling(window, center=True, min_periods=1).mean()
