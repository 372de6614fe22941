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

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.run import Run
from phi4r_lib.cookbook.settings.home import UserError, shown
from phi4r_lib.cookbook.settings.sections import Count, Section
from phi4r_lib.cookbook.sweeps.sweep import Sweep, Tell, cells_of, code_of_cells, pass_rates, run_sweep, sweep_of
from phi4r_lib.measure.trial import ArmDifference, compare_arms, sentence

Seeds = Field(ge=2)


class Settings(Section):
    """Notebook 06: how many seeds each trial gets, and how large its trainings are."""

    processes: int = Count  # cells at once
    threads: int = Count  # of each of them
    tokens: int = Count  # training tokens per pass of a fine-tuning cell
    passes: float = Field(gt=0)
    short_passes: float = Field(gt=0)  # the second, shorter budget of the first trial
    batch_size: int = Count  # packed blocks per step
    learning_rate: float = Field(gt=0)
    edge_seeds: int = Seeds
    prompts: int = Count  # prompts for GRPO that the fine-tuned model rates
    grpo_seeds: int = Seeds
    grpo_steps: int = Count
    grpo_prompts: int = Count  # prompts per step
    grpo_learning_rate: float = Field(gt=0)
    domain_seeds: int = Seeds
    domain_tokens: int = Count  # training tokens per pass and domain
    domain_passes: list[int] = Field(min_length=1)  # multiples of the first
    ablation_seeds: int = Seeds
    votes: int = Field(ge=2)  # answers per problem for majority voting
    first_look: int = Seeds  # seeds before the rule decides for the first time
    explore_seeds: int = Seeds  # most seeds of a short run
    scale: int = Field(ge=2)  # how many times larger the second phase is
    scale_seeds: int = Seeds
    problems: int = Field(ge=2)  # benchmark problems per cell
    runs: int = Field(ge=2)  # answers per problem and cell
    gain: float = Field(gt=0)  # smallest worthwhile gain, a fraction of 1
    margin: float = Field(gt=0)  # interaction that counts as none, a fraction of 1
    guard_margin: float = Field(
        gt=0
    )  # largest loss on a guarded domain that the rule for scaling allows, a fraction of 1


@dataclass(frozen=True)
class Trial:
    """A finished trial: one row per cell, {arm: seeds x problems pass rates}, every arm against the reference."""

    sweep: Sweep
    out: Path
    cells: pd.DataFrame
    rates: dict[str, np.ndarray]
    comparisons: list[ArmDifference]

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

    def sentences(self) -> str:
        """A line for the reference and one per other arm, as measure.trial.sentence has it."""
        reference = self.sweep.reference
        lines = [f"{reference}: {self.rates[reference].mean():.3f} (the reference)"] if reference else []
        return "\n".join([*lines, *map(sentence, self.comparisons)])


def refuse_other_trainings(sweep: Sweep, out: Path) -> None:
    """Raises UserError where another trial has a cell of the same name with other settings: it would be overwritten."""
    for cell in cells_of(sweep, out):
        kept = state.read_json(cell.folder / "results.json")
        if kept and kept.get("sweep") != sweep.name and kept.get("mark") != cell.mark:
            other = f"trial '{kept.get('sweep')}' trained an arm '{cell.arm}' with other settings"
            raise UserError(
                f"{other}; give the arm of trial '{sweep.name}' another name, or remove {shown(cell.folder)}"
            )


def sweep_in(run: Run, name: str, facts: Mapping[str, Any]) -> Sweep:
    """The sweep of a trial: its cells read this run's artefacts, with its profile and its overrides."""
    own = state.read_json(run.out / "run.json").get("overrides") or {}
    common = {**facts["common"], "set": own | facts["common"].get("set", {})}
    about = {"name": name, "profile": run.source, "start": str(run.out), "common": common}
    return sweep_of({**facts, **about}, f"trial '{name}'")


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
    threads: int = 1,
    tell: Tell = lambda *facts: None,
) -> Trial:
    """Runs the cells that are not there yet in the run's folder 06_trial/cells and compares the arms.

    All trials of a run share that folder: arms of one name are one training, made once. `tell` hears after every cell. With one
    thread per cell, scores do not depend on how many cells run at once.
    Raises UserError for arms that cannot run, or that another trial trained otherwise under the same name; a failed cell
    raises RuntimeError with its reason, the others are kept.
    """
    count = seeds if isinstance(seeds, int) else list(seeds)
    facts = {"seeds": count, "reference": reference, "equal": equal, "common": common or {}, "arms": dict(arms)}
    sweep = sweep_in(run, name, facts)
    out = run.folder("06_trial")
    run.reads.code |= set(code_of_cells(sweep))
    refuse_other_trainings(sweep, out)
    cells = run_sweep(sweep, out, processes=processes, threads=threads, tell=tell)
    failed = cells[cells["state"] != "done"]
    if len(failed):
        first = failed.iloc[0]
        raise RuntimeError(
            f"{len(failed)} cells of trial '{name}' failed; {first['arm']}-{first['seed']}: {first['reason']}"
        )
    rates = pass_rates(sweep, out, benchmark)
    return Trial(sweep, out, cells, rates, compare_arms(rates, reference) if reference else [])
