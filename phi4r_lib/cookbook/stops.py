"""How `phi4r` ends before its work is done, each way with an exit code of its own. Standard library only: it is there at once.

Not here: who decides to stop (cli.py hears the signals, budget.py counts).
"""

from __future__ import annotations

INTERRUPTED = 130  # Ctrl-C or a closed terminal
BUDGET = 3  # --budget is spent
ASKED = (
    75  # SIGTERM: "try again later" (EX_TEMPFAIL of sysexits.h), for batch systems that put a job back into the queue
)


class Stopped(KeyboardInterrupt):
    """The run ends in order: a training writes its checkpoint, whatever is there is kept, the same command goes on."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason
