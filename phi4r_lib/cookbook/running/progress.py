"""Progress of long work: a bar inside a notebook, and the live line of `phi4r run` in a terminal or a log.

One line that renews itself, or a line every few seconds where nothing can renew: never a flood. Not here: tables of what
was done (plan.py).
"""

from __future__ import annotations

import sys
import time
from typing import IO, Any

from phi4r_lib.cookbook.settings.stages import Stage


class ProgressBar:
    """Progress inside a notebook; fits every `progress` argument of the library: call it with (done, in all).

    `label [#####.....] 12/24, 34 s`; in Jupyter and papermill the line is renewed in place, so nothing floods."""

    def __init__(self, label: str, every_s: float = 5.0) -> None:
        self.label, self.every_s = label, every_s
        self.started = time.monotonic()
        self.last = float("-inf")
        self.handle: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Shows the state when it is time to, and always at the end."""
        now = time.monotonic()
        pause = 0.5 if in_notebook() else self.every_s
        if done < total and now - self.last < pause:
            return
        self.last = now
        filled = round(20 * done / max(total, 1))
        line = f"{self.label} [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}, {now - self.started:.0f} s"
        if in_notebook():
            self._renew(line)
        else:
            print(line, flush=True)

    def _renew(self, line: str) -> None:
        from IPython.display import display

        if self.handle is None:
            self.handle = display({"text/plain": line}, raw=True, display_id=True)
        else:
            self.handle.update({"text/plain": line}, raw=True)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code (IPython is not imported to find out)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


class Progress:
    """Prints what the runner tells; a terminal gets one line that is rewritten, a log one line every `every_s`."""

    def __init__(self, stream: IO[str] | None = None, every_s: float = 5.0) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.every_s = 0.5 if self.live else every_s
        self.last = float("-inf")  # the clock counts from boot: on a young machine it is small

    def __call__(self, notebook: Stage, facts: dict[str, Any]) -> None:
        """One report of the runner; see runner.Tell."""
        name = f"{notebook.path.stem:<24}"
        if facts["state"] == "running":
            now = time.monotonic()
            if now - self.last >= self.every_s:
                self.last = now
                self._line(f"{name} {running(facts)}", final=False)
        elif facts["state"] == "kept":
            where = f", from {facts['where']}" if facts.get("where") else ""
            self._line(f"{name} kept: results are up to date{where}", final=True)
        elif facts["state"] == "done":
            self._line(f"{name} done in {facts['seconds']:.0f} s, at most {facts['peak_mb']:.0f} MB", final=True)
        else:
            self._line(f"{name} FAILED after {facts['seconds']:.0f} s", final=True)
            print(indented(facts["message"]), file=self.stream, flush=True)

    def _line(self, text: str, final: bool) -> None:
        end = "\n" if final or not self.live else ""
        start = "\r\x1b[2K" if self.live else ""
        print(start + text, end=end, file=self.stream, flush=True)


def running(facts: dict[str, Any]) -> str:
    """`cell 12/50, 34 s, 610 MB` of a running notebook."""
    cell = f"cell {facts['cell'] + 1}/{facts['cells']}" if "cell" in facts else "starting"
    return f"{cell}, {facts['seconds']:.0f} s, {facts['peak_mb']:.0f} MB"


def indented(text: str) -> str:
    """Text moved two spaces to the right."""
    return "\n".join(f"  {line}" for line in text.splitlines())
