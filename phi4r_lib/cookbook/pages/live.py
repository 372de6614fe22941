"""A training that can be watched: curves that grow and a few fresh texts in one output, sparse lines in a batch log.

It reads what the training writes to its folder, so it shows a group of processes as well as one. Not here: the bar (progress.py).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi4r_lib.cookbook.pages.pictures import bundle
from phi4r_lib.cookbook.running.progress import in_notebook

if TYPE_CHECKING:
    import pandas as pd

TEXTS = 3  # completions that are shown


class LiveTraining:
    """Fits the `progress` argument of a training that writes to `folder`; call it with (steps done, steps in all).

    In a notebook one figure and one text renew themselves every `every_s` seconds; elsewhere a line is printed as often.
    """

    def __init__(self, label: str, folder: Path | str, every_s: float = 10.0, figure: bool = True) -> None:
        self.label, self.folder, self.every_s, self.figure = label, Path(folder), every_s, figure
        self.started = time.monotonic()
        self.last = float("-inf")
        self.handles: dict[str, Any] = {}

    def __call__(self, done: int, total: int) -> None:
        """Shows the state when it is time to, and always at the last step."""
        now = time.monotonic()
        if done < total and now - self.last < self.every_s:
            return
        self.last = now
        train, validation = self._tables()
        text = "\n".join([self._line(done, total, train, validation), *self._texts()])
        if not in_notebook():
            print(text.splitlines()[0], flush=True)
            return
        if self.figure:
            from phi4r_lib.train.curves import learning

            alt = f"{self.label}: loss, reward and accuracy after {done} of {total} steps, rollouts and validation."
            self._renew("figure", *bundle(learning(train, validation), alt))
        self._renew("text", {"text/plain": text}, {})

    def _line(self, done: int, total: int, train: pd.DataFrame, validation: pd.DataFrame) -> str:
        seconds = time.monotonic() - self.started
        found = [("loss", train, "loss"), ("reward", train, "total"), ("accuracy", train, "accuracy")]
        found.append(("validation", validation, "accuracy"))
        told = [f"{name} {table[key].iloc[-1]:.2f}" for name, table, key in found if key in table]
        return f"{self.label} {done}/{total}, {seconds:.0f} s" + ("; " + ", ".join(told) if told else "")

    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        from phi4r_lib.train.callbacks import Journal  # takes a second to import
        from phi4r_lib.train.curves import journal_table

        work = self.folder / "training"
        rows = Journal((work if work.is_dir() else self.folder) / "metrics.jsonl").rows()
        return journal_table(rows, "train"), journal_table(rows, "validation")

    def _texts(self) -> list[str]:
        """Some completions of the newest file of rollouts: they are written at every checkpoint."""
        import pandas as pd

        files = sorted(self.folder.glob("training/rollouts-*.parquet"))
        if not files:
            return []
        table = pd.read_parquet(files[-1]).tail(64).sample(TEXTS, random_state=len(files))
        marks = {True: "right", False: "wrong"}
        return [f"  step {r.step}, {marks.get(r.correct, 'not graded')}: {r.text[:160]}" for r in table.itertuples()]

    def _renew(self, name: str, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        from IPython.display import display

        if name not in self.handles:
            self.handles[name] = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self.handles[name].update(data, metadata=metadata, raw=True)
