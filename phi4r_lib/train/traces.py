"""Reading what a model wrote while it was trained: one group of completions after another, as plain text.

Not here: figures (curves.py, figure7.py).
"""

from __future__ import annotations

import textwrap

import pandas as pd

WIDTH = 110  # characters per line


def groups(rollouts: pd.DataFrame, group: int) -> list[pd.DataFrame]:
    """The completions of a run in groups, oldest first; each group answers one prompt."""
    return [rollouts.iloc[first : first + group] for first in range(0, len(rollouts), group)]


def show_group(rows: pd.DataFrame, question: str = "", answer: str | None = None) -> str:
    """One group as text, best advantage first: per completion its verdict, tokens, reward, advantage, and what it says."""
    head = f"step {rows['step'].iloc[0]}, {rows['id'].iloc[0]}"
    lines = [head + (f", answer {answer}" if answer else ""), *_wrapped(question)]
    for number, row in enumerate(rows.sort_values("advantage", ascending=False).itertuples(), start=1):
        lines.append(f"[{number}] {_verdict(row.correct)}, {row.n_tokens} tokens, {row.format}, {_numbers(row)}")
        lines += _wrapped(row.text, "    ")
    return "\n".join(lines)


def show_steps(rows: pd.DataFrame, number: int) -> str:
    """One completion of a group (numbered as in `show_group`), a sentence per line, with how its reward came about."""
    row = rows.sort_values("advantage", ascending=False).iloc[number - 1]
    parts = [f"8/13 x {row['accuracy_term']:+.3f} (length term {row['length_term']:+.3f}, format {row['format']})"]
    parts.append(f"1/13 x {row['repetition']:+.3f} (repetition)")
    text = row["text"].replace("</think>", "\n</think>").replace(". ", ".\n  ")
    mean, spread = rows["total"].mean(), rows["total"].std(ddof=1)
    place = (
        f"reward {row['total']:+.3f}, group mean {mean:+.3f}, spread {spread:.3f}: advantage {row['advantage']:+.2f}"
    )
    return "\n".join([text, "", " + ".join(parts), place])


def _verdict(correct) -> str:
    return "not graded" if pd.isna(correct) else "right" if correct else "wrong"


def _numbers(row) -> str:
    values = (("reward", row.total), ("advantage", row.advantage))
    return ", ".join(f"{name} {value:+.2f}" if pd.notna(value) else f"no {name}" for name, value in values)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) if text else []
