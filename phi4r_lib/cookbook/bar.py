"""Progress of long work inside a notebook: one line that renews itself, or a line every few seconds in a log.

Fits every `progress` argument of the library: call it with (done, in all). Not here: the live line of `phi4r run`
(show.py).
"""

from __future__ import annotations

import sys
import time
from typing import Any


class ProgressBar:
    """`label [#####.....] 12/24, 34 s`; in Jupyter and papermill the line is renewed in place, so nothing floods."""

    def __init__(self, label: str, every_s: float = 5.0) -> None:
        self.label, self.every_s = label, every_s
        self.started = time.monotonic()
        self.last = float("-inf")
        self.handle: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Shows the state when it is time to, and always at the end."""
        now = time.monotonic()
        pause = 0.5 if _in_notebook() else self.every_s
        if done < total and now - self.last < pause:
            return
        self.last = now
        filled = round(20 * done / max(total, 1))
        line = f"{self.label} [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}, {now - self.started:.0f} s"
        if _in_notebook():
            self._renew(line)
        else:
            print(line, flush=True)

    def _renew(self, line: str) -> None:
        from IPython.display import display

        if self.handle is None:
            self.handle = display({"text/plain": line}, raw=True, display_id=True)
        else:
            self.handle.update({"text/plain": line}, raw=True)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code (IPython is not imported to find out)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None
