"""What each figure shows, in a sentence made from its table: the alternative text for readers who cannot see it.

Takes the tables of figures.py (fractions of 1) and returns text. Not here: drawing.
"""

from __future__ import annotations

import math

import pandas as pd


def distributions(runs: pd.DataFrame) -> str:
    """Histogram of run accuracies: each model's mean and range."""
    parts = [
        f"{model} from {rows['accuracy'].min():.1%} to {rows['accuracy'].max():.1%}, mean {rows['accuracy'].mean():.1%}"
        for model, rows in runs.groupby("model", sort=False)
    ]
    return f"Histogram of the accuracy of single runs with a predicted curve over each hill: {'; '.join(parts)}."


def groups(table: pd.DataFrame, title: str) -> str:
    """Points with intervals by group: each model's first and last group."""
    parts = [
        f"{model} {rows['mean'].iloc[0]:.0%} ({rows['group'].iloc[0]}) to {rows['mean'].iloc[-1]:.0%} ({rows['group'].iloc[-1]})"
        for model, rows in table.groupby("model", sort=False)
    ]
    return f"Points with intervals. {title}: {'; '.join(parts)}."


def tokens(runs: pd.DataFrame) -> str:
    """Scatter of accuracy against tokens: each model's centre."""
    parts = [
        f"{model} {rows['accuracy'].mean():.0%} at {rows['tokens'].mean():.0f} tokens"
        for model, rows in runs.groupby("model", sort=False)
    ]
    return f"Scatter of accuracy against answer length, a cloud of runs per model: {'; '.join(parts)}."


def curves(table: pd.DataFrame, name: str, x: str, y: str, split: str = "model") -> str:
    """Lines: each one's value at both ends of x."""
    parts = [
        f"{key} from {rows[y].iloc[0]:.1%} at {rows[x].iloc[0]} to {rows[y].iloc[-1]:.1%} at {rows[x].iloc[-1]}"
        for key, rows in table.groupby(split, sort=False)
    ]
    return f"Lines. {name}: {'; '.join(parts)}."


def shares(table: pd.DataFrame) -> str:
    """Stacked bars: each model's share within problems."""
    within = (table["within"] / (table["within"] + table["between"])).clip(0, 1)
    parts = [f"{model} {share:.0%}" for model, share in zip(table["model"], within, strict=True)]
    return f"Stacked bars. Share of one answer's variance that lies within problems: {', '.join(parts)}; the rest lies between them."


def power(needed: pd.DataFrame) -> str:
    """Table of problems needed: its corners."""
    first, last = needed.columns[0], needed.columns[-1]
    runs = ["endless" if math.isinf(k) else f"{k:g}" for k in (needed.index[0], needed.index[-1])]
    return (
        f"Table of problems needed. {100 * first:g} points: {needed[first].iloc[0]:,.0f} with {runs[0]} run, "
        f"{needed[first].iloc[-1]:,.0f} with {runs[1]} runs; {100 * last:g} points: {needed[last].iloc[0]:,.0f} and {needed[last].iloc[-1]:,.0f}."
    )


def intervals(table: pd.DataFrame, title: str, low: str = "low", high: str = "high", label: str = "label") -> str:
    """Rows of estimates with intervals."""
    parts = [
        f"{name} {mean:.1%} ({ends[0]:.1%} to {ends[1]:.1%})"
        for name, mean, ends in zip(table[label], table["mean"], zip(table[low], table[high], strict=True), strict=True)
    ]
    return f"Rows of estimates with 95% intervals. {title}: {'; '.join(parts)}."
