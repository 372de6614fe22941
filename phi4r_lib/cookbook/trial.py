"""A sweep from inside a notebook: arms go in, one table, one set of pass rates and one comparison per arm come out.

Not here: cells and processes (sweep.py), the estimators (measure/trial.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from phi4r_lib.cookbook.run import Run
from phi4r_lib.cookbook.sections import Count, Section
from phi4r_lib.cookbook.sweep import Sweep, Tell, cells_of, pass_rates, run_sweep, sweep_of
from phi4r_lib.measure.tables import majority
from phi4r_lib.measure.trial import ArmDifference, compare_arms


class Settings(Section):
    """Notebook 06: how many seeds each trial gets, and how large its trainings are."""

    processes: int = Count  # cells at once
    tokens: int = Count  # training tokens per pass of a fine-tuning cell
    passes: float = Field(gt=0)
    batch_size: int = Count  # packed blocks per step
    learning_rate: float = Field(gt=0)
    edge_seeds: int = Field(ge=2)
    grpo_seeds: int = Field(ge=2)
    grpo_steps: int = Count
    grpo_prompts: int = Count  # prompts per step
    domain_seeds: int = Field(ge=2)
    domain_passes: list[float] = Field(min_length=1)
    ablation_seeds: int = Field(ge=2)
    explore_seeds: int = Field(ge=2)
    scale: int = Field(ge=2)  # how many times larger the second phase is
    scale_seeds: int = Field(ge=2)
    problems: int = Count  # benchmark problems per cell
    runs: int = Count  # answers per problem and cell
    gain: float = Field(gt=0)  # smallest worthwhile gain, a share of 1
    margin: float = Field(gt=0)  # loss that counts as none, a share of 1


@dataclass(frozen=True)
class Trial:
    """A finished trial: one row per cell, {arm: seeds x problems pass rates}, every arm against the reference."""

    sweep: Sweep
    out: Path
    cells: pd.DataFrame
    rates: dict[str, np.ndarray]
    comparisons: list[ArmDifference]

    def frame(self) -> pd.DataFrame:
        """Differences for figures.intervals: label, mean, low, high (fractions of 1), with p_holm and verdict."""
        return pd.DataFrame(
            {
                "label": one.arm,
                "mean": one.difference,
                "low": one.low,
                "high": one.high,
                "p_holm": one.p_holm,
                "verdict": one.verdict,
            }
            for one in self.comparisons
        )

    def means(self, column: str = "accuracy_benchmark") -> pd.Series:
        """Mean of one column of the cells by arm, in the order of the arms."""
        return self.cells.groupby("arm", sort=False)[column].mean().reindex(list(self.sweep.arms))

    def on(self, benchmark: str) -> dict[str, np.ndarray]:
        """Pass rates on another benchmark of the trial: {arm: seeds x problems}."""
        return pass_rates(self.sweep, self.out, benchmark)

    def answers(self, arm: str, benchmark: str = "benchmark") -> np.ndarray:
        """Verdicts of one arm as a seeds x problems x runs array, for measure.trial.decompose_seeds."""
        cells = [cell for cell in cells_of(self.sweep, self.out) if cell.arm == arm]
        tables = [pd.read_parquet(cell.folder / f"{benchmark}-answers.parquet") for cell in cells]
        return np.array(
            [table.pivot(index="problem", columns="run", values="correct").to_numpy(float) for table in tables]
        )

    def votes(self, arm: str, most: int = 16, benchmark: str = "benchmark") -> pd.Series:
        """Accuracy of majority voting over 1, 2, 4, ... answers of an arm's first model, indexed by tokens per problem."""
        cell = next(cell for cell in cells_of(self.sweep, self.out) if cell.arm == arm)
        table = pd.read_parquet(cell.folder / f"{benchmark}-answers.parquet")
        limit = min(most, table["run"].nunique())
        sizes = [2**power for power in range(limit.bit_length()) if 2**power <= limit]
        curve = majority(table, sizes)["mean"].to_numpy()
        return pd.Series(curve, index=[size * table["tokens"].mean() for size in sizes], name="majority")

    def sentences(self) -> str:
        """One line per arm: its score, the paired difference with its interval, and what follows."""
        reference = self.sweep.reference
        lines = [f"{reference}: {self.rates[reference].mean():.3f} (the reference)"] if reference else []
        for one in self.comparisons:
            points = f"{100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}] points"
            lines.append(
                f"{one.arm}: {one.mean:.3f}, {points}: {one.verdict} (Holm p {one.p_holm:.3f}, {one.seeds} seeds)"
            )
        return "\n".join(lines)


def run_trial(
    run: Run,
    name: str,
    arms: Mapping[str, Mapping[str, Any] | None],
    *,
    seeds: int | Sequence[int],
    equal: str,
    reference: str | None = None,
    common: Mapping[str, Any] | None = None,
    benchmark: str = "benchmark",
    processes: int = 1,
    tell: Tell = lambda *facts: None,
) -> Trial:
    """Runs the cells that are not there yet in the run's folder 06_trial/NAME and compares the arms.

    Raises UserError for arms that cannot run; a failed cell raises RuntimeError with its reason, the others are kept.
    """
    raw = {
        "name": name, "profile": run.source, "start": str(run.out), "reference": reference, "equal": equal,
        "seeds": seeds if isinstance(seeds, int) else list(seeds), "common": dict(common or {}), "arms": dict(arms),
    }  # fmt: skip
    sweep = sweep_of(raw, f"trial '{name}'")
    out = run.folder("06_trial") / name
    cells = run_sweep(sweep, out, processes=processes, tell=tell)
    failed = cells[cells["state"] != "done"]
    if len(failed):
        first = failed.iloc[0]
        raise RuntimeError(
            f"{len(failed)} cells of trial '{name}' failed; {first['arm']}-{first['seed']}: {first['reason']}"
        )
    rates = pass_rates(sweep, out, benchmark)
    return Trial(sweep, out, cells, rates, compare_arms(rates, reference) if reference else [])
