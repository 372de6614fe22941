"""A GRPO training looked at afterwards: figure 7 of the report, a to f, what the report says beside what is seen here, single groups.

Every statement is decided from the run's own numbers with an interval; where the interval holds 0 nothing is claimed. Not here:
other figures of training (curves.py).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phi4r_lib.train.curves import lines

WIDTH = 110  # characters per line
SAME, OTHER, UNSURE = "same here", "not here", "not decided here"
GREEN, RED, BLUE, ORANGE, GREY = "#009E73", "#D55E00", "#0072B2", "#E69F00", "0.45"  # Okabe-Ito


def figure7(train: pd.DataFrame, validation: pd.DataFrame, tight: pd.DataFrame | None = None) -> Figure:
    """Six panels against the step: validation accuracy, reward, length, length by outcome, clipped share, entropy.

    `train` and `validation` are tables of the journal, `tight` the train table of a run with a tight limit. Bars around the
    validation points are 95% intervals over problems.
    """
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    (accuracy, reward, length), (outcome, clipped, entropy) = axes
    low, high = validation["accuracy"] - validation["low"], validation["high"] - validation["accuracy"]
    accuracy.errorbar(validation.index, validation["accuracy"], yerr=[low, high], fmt="ko-", capsize=3)
    accuracy.set(title="a  Accuracy on validation", xlabel="step", ylabel="share right")
    names = {
        "total": "total",
        "accuracy_term": "accuracy term",
        "length_term": "before overrides",
        "repetition": "repetition",
    }
    lines(reward, train, names, "b  Reward and its parts", "mean", (BLUE, GREEN, ORANGE, GREY))
    lines(length, train, {"tokens": "all"}, "c  Length", "tokens", (BLUE,))
    lines(
        outcome,
        train,
        {"tokens_right": "right", "tokens_wrong": "wrong"},
        "d  Length by outcome",
        "tokens",
        (GREEN, RED),
    )
    lines(clipped, train, {"clipped": "this run"}, "e  Cut off at the limit", "share", (BLUE,))
    if tight is not None:
        clipped.plot(tight.index, tight["clipped"], "s--", ms=3, color=RED, label="tight limit")
    lines(entropy, train, {"entropy": "policy"}, "f  Entropy", "nats per token", (BLUE,))
    entropy.set(ylim=(0, None))
    for axis in (reward, outcome, clipped):
        axis.legend(fontsize=8)
    return figure


def change(table: pd.DataFrame, column: str, part: float = 1 / 3) -> tuple[float, float, float]:
    """Mean of a column over the last `part` of the steps minus the first, with a 95% interval (Welch, over steps; ours).

    Captures the chance by which steps drew their prompts. Raises ValueError with fewer than two steps on a side.
    """
    values = table[column].dropna()
    count = max(2, int(len(values) * part))
    if len(values) < 2 * count:
        raise ValueError(f"{column}: {len(values)} steps are too few to compare a beginning and an end")
    first, last = values.head(count), values.tail(count)
    return _interval(last.mean() - first.mean(), first.var(ddof=1) / count + last.var(ddof=1) / count, 2 * count - 2)


def growth(rollouts: pd.DataFrame, part: float = 1 / 3) -> pd.DataFrame:
    """How much longer right and wrong answers became, on the same prompts: rows right, wrong, and wrong - right.

    For each prompt with such answers in the first and in the last `part` of the steps: mean length late minus early, in
    tokens; then the mean over prompts with its 95% interval (t, over prompts). The same prompts on both sides, because
    later right answers belong to harder problems. Columns prompts, change, low, high (ours).
    """
    steps = rollouts["step"]
    cut = (steps.max() - steps.min() + 1) * part
    early, late = rollouts[steps < steps.min() + cut], rollouts[steps > steps.max() - cut]
    moved = {}
    for name, right in (("right", True), ("wrong", False)):
        mean = [half[half["correct"] == right].groupby("id")["n_tokens"].mean() for half in (early, late)]
        moved[name] = (mean[1] - mean[0]).dropna()
    moved["wrong - right"] = (moved["wrong"] - moved["right"]).dropna()
    return pd.DataFrame({name: mean_interval(values) for name, values in moved.items()}).T.rename_axis("answers")


def arms(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Lengths of two runs that drew the same prompts at the same steps: rows right, wrong, wrong - right; one minus other.

    Differences of mean tokens within (step, prompt), where both runs have such answers, over the later half of the common
    steps; the mean over pairs with its 95% interval. Captures sampling, not a second training seed (ours).
    """
    last = min(one["step"].max(), other["step"].max())
    first, found = (one["step"].min() + last) // 2, {}
    for name, right in (("right", True), ("wrong", False)):
        sides = [t[t["step"].between(first + 1, last) & (t["correct"] == right)] for t in (one, other)]
        means = [side.groupby(["step", "id"])["n_tokens"].mean() for side in sides]
        found[name] = (means[0] - means[1]).dropna()
    found["wrong - right"] = (found["wrong"] - found["right"]).dropna()
    return pd.DataFrame({name: mean_interval(values) for name, values in found.items()}).T.rename_axis("answers")


def mean_interval(values: Sequence[float] | pd.Series) -> dict[str, float]:
    """Count, mean and 95% interval (t) of differences; an interval without ends (nan) for fewer than two."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return {"pairs": len(values), "change": values.mean() if len(values) else np.nan, "low": np.nan, "high": np.nan}
    mid, low, high = _interval(values.mean(), values.var(ddof=1) / len(values), len(values) - 1)
    return {"pairs": len(values), "change": mid, "low": low, "high": high}


def _interval(mid: float, variance: float, freedom: int) -> tuple[float, float, float]:
    from scipy.stats import t

    half = t.ppf(0.975, freedom) * np.sqrt(variance)
    return float(mid), float(mid - half), float(mid + half)


def statements(
    train: pd.DataFrame, validation: pd.DataFrame, rollouts: pd.DataFrame, tight: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per panel: what the report says, the figure here with its interval, and whether it is the same here.

    Source of the statements: report section 4, figure 7. "not decided here" where an interval holds 0.
    """
    rows = [_accuracy(validation), _moved("b", "reward rises", train, "total", 1, "{:+.2f}")]
    rows.append(_moved("c", "answers grow longer", train, "tokens", 1, "{:+.1f} tokens"))
    faster = growth(rollouts).loc["wrong - right"]
    text = f"wrong {faster['change']:+.1f} tokens more than right ({faster['low']:+.1f} to {faster['high']:+.1f})"
    text = text if faster["pairs"] > 1 else "too few prompts have both, early and late"
    rows.append(("d", "wrong answers grow faster than right ones", text, verdict(faster["low"], faster["high"], 1)))
    rows.append(_clipping(train, tight))
    rows.append(_entropy(train))
    return pd.DataFrame(rows, columns=["panel", "the report", "here", "verdict"]).set_index("panel")


def verdict(low: float, high: float, sign: int) -> str:
    """SAME when the interval lies on the side of `sign`, OTHER on the opposite side, UNSURE when it holds 0 or is unknown."""
    if low > 0 or high < 0:
        return SAME if (low > 0) == (sign > 0) else OTHER
    return UNSURE


def _accuracy(validation: pd.DataFrame) -> tuple[str, str, str, str]:
    first, best = validation.iloc[0], validation.loc[validation["accuracy"].idxmax()]
    text = f"{first['accuracy']:.2f} to {best['accuracy']:.2f} ({best['low']:.2f} to {best['high']:.2f})"
    apart = best["low"] > first["high"], best["accuracy"] > first["accuracy"] + 0.1
    same = SAME if any(apart) else UNSURE if best["accuracy"] > first["accuracy"] else OTHER
    return "a", "ten points more within 90 steps (AIME)", text, same


def _moved(panel: str, said: str, train: pd.DataFrame, column: str, sign: int, form: str) -> tuple[str, str, str, str]:
    mid, low, high = change(train, column)
    ends = " to ".join(form.split(" ")[0].format(end) for end in (low, high))
    return panel, said, f"{form.format(mid)} from the first third to the last ({ends})", verdict(low, high, sign)


def _clipping(train: pd.DataFrame, tight: pd.DataFrame | None) -> tuple[str, str, str, str]:
    own = train["clipped"].max()
    text, most = f"at most {own:.1%} of a step's answers", own
    if tight is not None:
        text += f"; {tight['clipped'].iloc[0]:.0%} with the tight limit"
        most = max(own, tight["clipped"].max())
    same = SAME if own >= 0.01 else f"{OTHER}; with the tight limit" if most >= 0.01 else OTHER
    return "e", "answers run into the limit, which caps the reward", text, same


def _entropy(train: pd.DataFrame) -> tuple[str, str, str, str]:
    third = max(1, len(train) // 3)
    first, last = train["entropy"].head(third).mean(), train["entropy"].tail(third).mean()
    text = f"{first:.2f} to {last:.2f} nats per token"
    return "f", "entropy stays healthy: above a tenth of its start, ours", text, SAME if last > 0.1 * first else OTHER


def groups(rollouts: pd.DataFrame, group: int) -> list[pd.DataFrame]:
    """The completions of a run in groups, oldest first; each group answers one prompt."""
    return [rollouts.iloc[first : first + group] for first in range(0, len(rollouts), group)]


def show_group(rows: pd.DataFrame, question: str = "", answer: str | None = None) -> str:
    """One group as text, best advantage first: per completion its verdict, tokens, reward, advantage, and what it says."""
    head = f"step {rows['step'].iloc[0]}, {rows['id'].iloc[0]}"
    lines = [head + (f", answer {answer}" if answer else ""), *_wrapped(question)]
    for number, row in enumerate(rows.sort_values("advantage", ascending=False).itertuples(), start=1):
        lines.append(f"[{number}] {_graded(row.correct)}, {row.n_tokens} tokens, {row.format}, {_numbers(row)}")
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


def _graded(correct) -> str:
    return "not graded" if pd.isna(correct) else "right" if correct else "wrong"


def _numbers(row) -> str:
    values = (("reward", row.total), ("advantage", row.advantage))
    return ", ".join(f"{name} {value:+.2f}" if pd.notna(value) else f"no {name}" for name, value in values)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) if text else []
