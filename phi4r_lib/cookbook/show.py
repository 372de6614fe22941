"""Progress lines and tables in the terminal: one live line a notebook, plain lines every few seconds in a log.

Not here: what is run (runner.py) and the HTML page (report.py).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import IO, Any

from phi4r_lib.cookbook import state
from phi4r_lib.cookbook.runner import Notebook, at_work


class Progress:
    """Prints what the runner tells; a terminal gets one line that is rewritten, a log one line every `every_s`."""

    def __init__(self, stream: IO[str] | None = None, every_s: float = 5.0) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.every_s = 0.5 if self.live else every_s
        self.last = float("-inf")  # the clock counts from boot: on a young machine it is small

    def __call__(self, notebook: Notebook, facts: dict[str, Any]) -> None:
        """One report of the runner; see runner.Tell."""
        name = f"{notebook.path.stem:<24}"
        if facts["state"] == "running":
            now = time.monotonic()
            if now - self.last >= self.every_s:
                self.last = now
                self._line(f"{name} {running(facts)}", final=False)
        elif facts["state"] == "kept":
            self._line(f"{name} kept: results are up to date", final=True)
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


def status_lines(out: Path) -> list[str]:
    """One line for each notebook of a run: status, seconds, memory, and the first line of a failure."""
    recorded = state.read_json(out / "run.json").get("notebooks", {})
    files = state.notebook_files()
    alive = at_work(out) if any(facts.get("status") == "running" for facts in recorded.values()) else False
    lines = []
    for number in sorted({*files, *recorded}):
        facts = recorded.get(number, {})
        name = files[number].stem if number in files else facts.get("notebook", number)
        status = facts.get("status", "not run")
        status = "killed" if status == "running" and not alive else status
        seconds = f"{facts['seconds']:7.0f} s" if "seconds" in facts else " " * 9
        memory = f"{facts['peak_mb']:6.0f} MB" if "peak_mb" in facts else " " * 9
        note = (facts.get("message") or "").partition("\n")[0]
        lines.append(f"{name:<24} {status:<12}{seconds} {memory}  {note}".rstrip())
    return lines
