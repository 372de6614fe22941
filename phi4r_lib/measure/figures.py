"""Figures of a variance analysis: each readable alone, safe for colour-blind readers, from tables of tables.py.

Every function returns a matplotlib Figure and never touches pyplot's global state; `save_figure` writes PNG and SVG.
Models differ by colour, marker and line style at once, so the figures also work in grey. Not here: any estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from phi4r_lib.measure import descriptions as describe
from phi4r_lib.problems.whole import whole

# Okabe-Ito colours, the usual palette for colour-blind readers, in an order of falling contrast
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
SCREEN_DPI = 90  # of the pictures that notebooks keep
FILE_DPI = 150


def save_figure(figure: Figure, folder: str | Path, name: str) -> Path:
    """Writes NAME.png and NAME.svg to the folder, its label as the description inside; returns the path of the PNG.

    The same figure gives the same files: no date stands in them, and names within the SVG come from its own name.
    """
    about = {"Description": str(figure.get_label())} if figure.get_label() else {}
    with whole(Path(folder, f"{name}.svg")) as partial, rc_context({"svg.hashsalt": name}):
        figure.savefig(partial, format="svg", metadata={"Date": None, **about})
    path = Path(folder, f"{name}.png")
    with whole(path) as partial:
        figure.savefig(partial, format="png", dpi=FILE_DPI, metadata=about)
    return path


def _canvas(title: str, height: float = 3.4) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.0, height), dpi=SCREEN_DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    axis = figure.add_subplot()
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    return figure, axis


def _saying(figure: Figure, text: str) -> Figure:
    """The figure with its alternative text as its label, where `save_figure` and notebooks look for it."""
    figure.set_label(text)
    return figure


def _style(index: int) -> dict[str, str]:
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def _percent(axis: Axes, *, x: bool = False, y: bool = False) -> None:
    if x:
        axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if y:
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _legend(figure: Figure, columns: int, size: float = 9) -> None:
    """Below the axes, where it covers no data whatever they are."""
    figure.legend(loc="outside lower center", frameon=False, fontsize=size, ncols=columns)


def run_distributions(runs: pd.DataFrame, predicted: pd.DataFrame) -> Figure:
    """Histogram of the run accuracies of each model with the predicted Poisson-binomial curve on top.

    Args:
        runs: columns model, run, accuracy (fractions of 1).
        predicted: columns model, accuracy, probability: the curve if the problems' pass rates were exactly as measured.
    """
    figure, axis = _canvas("Accuracy of single runs: bars measured, lines predicted from the problems' pass rates")
    step = np.diff(np.sort(predicted["accuracy"].unique())).min()
    width = step * max(1, round(0.01 / step))
    for index, (model, rows) in enumerate(runs.groupby("model", sort=False)):
        colour = _style(index)["color"]
        # half a step beside the attainable scores: an edge on a score would count it left or right by rounding
        edges = np.arange(rows["accuracy"].min() - step / 2, rows["accuracy"].max() + width, width)
        label = f"{model}: mean {rows['accuracy'].mean():.1%}"
        axis.hist(rows["accuracy"], bins=edges, color=colour, alpha=0.45, label=label)
        curve = predicted[predicted["model"] == model]
        expected = curve["probability"] * len(rows) * (width / step)
        seen = expected > 0.02
        axis.plot(curve["accuracy"][seen], expected[seen], color=colour, ls=LINES[index % len(LINES)], lw=2)
    axis.set(xlabel="accuracy of one run", ylabel="number of runs")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    _percent(axis, x=True)
    _legend(figure, len(runs["model"].unique()))
    return _saying(figure, describe.distributions(runs))


def group_accuracy(groups: pd.DataFrame, title: str, xlabel: str) -> Figure:
    """Accuracy by group (year, topic) for each model with 95% intervals.

    Args:
        groups: columns model, group, mean, low, high (fractions of 1), in plotting order.
    """
    figure, axis = _canvas(title)
    order = list(dict.fromkeys(groups["group"]))
    models = list(dict.fromkeys(groups["model"]))
    for index, model in enumerate(models):
        rows = groups[groups["model"] == model]
        place = np.array([order.index(group) for group in rows["group"]]) + (index - (len(models) - 1) / 2) * 0.2
        errors = np.clip([rows["mean"] - rows["low"], rows["high"] - rows["mean"]], 0, None)
        axis.errorbar(place, rows["mean"], errors, ls="none", capsize=2, ms=5, label=str(model), **_style(index))
    axis.set(xlabel=xlabel, ylabel="accuracy", ylim=(-0.03, 1.03))
    rotate = sum(len(str(group)) for group in order) > 60
    axis.set_xticks(
        range(len(order)), [str(g) for g in order], rotation=35 if rotate else 0, ha="right" if rotate else "center"
    )
    _percent(axis, y=True)
    _legend(figure, len(models))
    return _saying(figure, describe.groups(groups, title))


def accuracy_tokens(runs: pd.DataFrame) -> Figure:
    """One small dot per run (mean tokens, accuracy), one large mark per model at its mean.

    Args:
        runs: columns model, run, accuracy (fraction of 1), tokens (mean completion tokens of the run).
    """
    figure, axis = _canvas("Accuracy against answer length")
    for index, (model, rows) in enumerate(runs.groupby("model", sort=False)):
        style = _style(index)
        axis.scatter(rows["tokens"], rows["accuracy"], s=14, alpha=0.5, lw=0, **style)
        centre, label = (rows["tokens"].mean(), rows["accuracy"].mean()), f"{model}, mean of {len(rows)}"
        axis.scatter(*centre, s=70, edgecolor="black", zorder=3, label=label, **style)
    axis.set(xlabel="mean completion tokens of a run", ylabel="accuracy of the run")
    axis.set_xlim(left=0)
    _percent(axis, y=True)
    _legend(figure, len(runs["model"].unique()))
    return _saying(figure, describe.tokens(runs))


def of_five(table: pd.DataFrame, k: int = 5) -> Figure:
    """Worst, average, majority and best of k for each model, with 95% intervals over problems.

    Args:
        table: columns model, kind, mean, low, high (fractions of 1).
    """
    return group_accuracy(
        table.rename(columns={"kind": "group"}),
        f"The same answers, four ways to score {k} of them, 95% intervals over problems",
        f"what counts as right among {k} answers to a problem",
    )


def majority_curve(curve: pd.DataFrame, reference: tuple[str, float] | None = None) -> Figure:
    """majority@N against N for each model with 95% bands over problems; a line for the reference model's single answers.

    Args:
        curve: columns model, k, mean, low, high (fractions of 1).
        reference: name and pass@1 of a stronger model, or None.
    """
    figure, axis = _canvas("Majority vote over N answers, 95% bands over problems", height=3.7)
    for index, (model, rows) in enumerate(curve.groupby("model", sort=False)):
        style = _style(index)
        axis.plot(rows["k"], rows["mean"], ls=LINES[index % len(LINES)], label=f"{model}, majority@N", **style)
        axis.fill_between(rows["k"], rows["low"], rows["high"], color=style["color"], alpha=0.15, lw=0)
    if reference:
        axis.axhline(reference[1], color="black", lw=1.5, ls=(0, (6, 3)), label=f"{reference[0]}, one answer")
    ticks = sorted(curve["k"].unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(k) for k in ticks])
    axis.set(xlabel="N, answers that vote", ylabel="accuracy of the vote")
    _percent(axis, y=True)
    _legend(figure, 2)
    return _saying(figure, describe.curves(curve, "Accuracy of a majority vote over N answers", "k", "mean"))


def variance_shares(shares: pd.DataFrame) -> Figure:
    """Stacked bars: how much of one answer's variance lies within problems (luck) and between them (difficulty).

    Args:
        shares: columns model, within, between (variances of one answer; between may be slightly negative).
    """
    figure, axis = _canvas("Where the variance of one answer comes from", height=0.55 * len(shares) + 1.6)
    total = shares["within"] + shares["between"]
    within = (shares["within"] / total).clip(0, 1)
    place = np.arange(len(shares))[::-1]
    axis.barh(place, within, color=COLOURS[4], label="within a problem: luck of the draw, more runs remove it")
    axis.barh(
        place,
        1 - within,
        left=within,
        color=COLOURS[1],
        hatch="//",
        edgecolor="white",
        label="between problems: only more problems remove it",
    )
    plate = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    for y, share in zip(place, within, strict=True):
        for x, part in ((share / 2, share), ((1 + share) / 2, 1 - share)):
            axis.text(x, y, f"{part:.0%}", ha="center", va="center", fontsize=9, bbox=plate)
    axis.set_yticks(place, shares["model"])
    axis.set(xlim=(0, 1), xlabel="share of the variance")
    _percent(axis, x=True)
    _legend(figure, 1, 8)
    return _saying(figure, describe.shares(shares))


def width_by_runs(widths: pd.DataFrame) -> Figure:
    """Half width of the 95% interval for new problems against the number of runs, with the floor the problems set.

    Args:
        widths: columns model, runs, half_width, floor (fractions of 1).
    """
    figure, axis = _canvas("More runs narrow the interval only down to a floor")
    for index, (model, rows) in enumerate(widths.groupby("model", sort=False)):
        style = _style(index)
        axis.plot(rows["runs"], 100 * rows["half_width"], ls="-", ms=4, label=str(model), **style)
        axis.axhline(100 * rows["floor"].iloc[0], color=style["color"], lw=1, ls=":")
    axis.set_xscale("log", base=2)
    ticks = sorted(widths["runs"].unique())
    axis.set_xticks(ticks, [str(k) for k in ticks])
    axis.set(xlabel="runs (dotted: floor with endless runs)", ylabel="half width of the\n95% interval, points")
    axis.set_ylim(bottom=0)
    _legend(figure, len(widths["model"].unique()))
    return _saying(figure, describe.curves(widths, "Half width of the 95% interval against runs", "runs", "half_width"))


def misranking(errors: pd.DataFrame) -> Figure:
    """Probability that k runs of each model rank a pair the wrong way round, against k.

    Args:
        errors: columns pair, runs, p_wrong.
    """
    figure, axis = _canvas("How often a few runs put the weaker model first")
    for index, (pair, rows) in enumerate(errors.groupby("pair", sort=False)):
        axis.plot(rows["runs"], rows["p_wrong"], ls=LINES[index % len(LINES)], label=pair, **_style(index))
    ticks = sorted(errors["runs"].unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(k) for k in ticks])
    axis.axhline(0.05, color="black", lw=1, ls=":")
    axis.annotate("1 in 20", (ticks[-1], 0.05), fontsize=8, ha="right", va="bottom")
    axis.set(xlabel="runs averaged for each model", ylabel="chance of the wrong order")
    axis.set_ylim(bottom=-0.02 * max(0.05, errors["p_wrong"].max()))
    _percent(axis, y=True)
    _legend(figure, 2)
    return _saying(
        figure,
        describe.curves(errors, "Chance that averages of k runs put the weaker model first", "runs", "p_wrong", "pair"),
    )


def power_table(needed: pd.DataFrame, have: int | None = None) -> Figure:
    """Heat map of the number of problems needed, by runs per problem and size of the true difference.

    Args:
        needed: index runs (math.inf for endless), columns difference (fractions of 1), values problems.
        have: number of problems at hand; cells that it covers get a frame.
    """
    note = "" if have is None else f"; framed: the {have} here are enough"
    figure, axis = _canvas(f"Problems needed to see a difference (80% power){note}", height=0.42 * len(needed) + 1.5)
    axis.grid(False)
    values = needed.to_numpy(dtype=float)
    axis.imshow(np.log10(values), cmap="cividis_r", aspect="auto")
    middle = (np.log10(values).min() + np.log10(values).max()) / 2
    for (row, column), value in np.ndenumerate(values):
        dark = np.log10(value) > middle
        axis.text(
            column, row, f"{value:,.0f}", ha="center", va="center", color="white" if dark else "black", fontsize=9
        )
        if have is not None and value <= have:
            axis.add_patch(_frame(column, row))
    axis.set_xticks(range(needed.shape[1]), [f"{100 * size:g}" for size in needed.columns])
    axis.set_yticks(range(needed.shape[0]), ["endless" if np.isinf(k) else f"{k:g}" for k in needed.index])
    axis.set(xlabel="true difference between the models on problems like these, points", ylabel="runs per problem")
    return _saying(figure, describe.power(needed))


def _frame(column: int, row: int):
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, edgecolor=COLOURS[5], lw=2.5)


def intervals(table: pd.DataFrame, title: str, xlabel: str = "difference, first minus second, points") -> Figure:
    """Rows of estimates with 95% intervals and a line at zero.

    Args:
        table: columns label, mean, low, high (fractions of 1).
    """
    figure, axis = _canvas(title, height=0.45 * len(table) + 1.4)
    place = np.arange(len(table))[::-1]
    errors = 100 * np.array([table["mean"] - table["low"], table["high"] - table["mean"]]).clip(0)  # rounding
    axis.errorbar(100 * table["mean"], place, xerr=errors, ls="none", capsize=3, **_style(0))
    axis.axvline(0, color="black", lw=1)
    axis.set_yticks(place, table["label"])
    axis.set(xlabel=xlabel, ylim=(-0.6, len(table) - 0.4))
    return _saying(figure, describe.intervals(table, title))


def two_intervals(table: pd.DataFrame, title: str) -> Figure:
    """For each model the 95% interval for these problems (thick) inside the one for problems like these (thin).

    Args:
        table: columns model, mean, se_fixed, se_population and, if known, low_ and high_ of both (fractions of 1).
    """
    figure, axis = _canvas(title, height=0.45 * len(table) + 1.6)
    place = np.arange(len(table))[::-1]
    for kind, width, colour, label in (
        ("population", 1.5, COLOURS[1], "problems like these"),
        ("fixed", 5, COLOURS[0], "these problems only"),
    ):
        low, high = _ends(table, kind)
        axis.hlines(place, low, high, lw=width, color=colour, label=label)
    axis.scatter(table["mean"], place, color="black", zorder=5, s=18)
    axis.set_yticks(place, table["model"])
    axis.set(xlabel="accuracy with 95% intervals", ylim=(-0.6, len(table) - 0.4))
    _percent(axis, x=True)
    _legend(figure, 2, 8)
    low, high = _ends(table, "population")
    return _saying(figure, describe.intervals(table.assign(low=low, high=high), title, label="model"))


def _ends(table: pd.DataFrame, kind: str) -> tuple[pd.Series, pd.Series]:
    """Ends of an interval as the table has them, else the mean with 1.96 standard errors on each side, inside 0 to 1."""
    if f"low_{kind}" in table:
        return table[f"low_{kind}"], table[f"high_{kind}"]
    half = 1.96 * table[f"se_{kind}"]
    return (table["mean"] - half).clip(0, 1), (table["mean"] + half).clip(0, 1)


def save_all(figures: dict[str, Figure], folder: str | Path) -> Sequence[Path]:
    """Saves every named figure; returns the PNG paths in order."""
    return [save_figure(figure, folder, name) for name, figure in figures.items()]
