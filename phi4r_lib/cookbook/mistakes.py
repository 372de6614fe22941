"""How a mistake that the user can mend looks in a notebook: one line, without a traceback, and where the reader is.

After "Run All" JupyterLab shows the last cell, a screen or more below the cell that failed; the message scrolls itself into
view. Not here: the checks that find mistakes.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from phi4r_lib.cookbook.home import UserError

# The output is not in the page yet when this runs, and JupyterLab moves to the last cell when its queue has ended.
INTO_VIEW = """
for (const ms of [100, 1000]) setTimeout(() => element.closest('.jp-Cell')?.scrollIntoView({block: 'center'}), ms);
"""


def show_in_one_line() -> None:
    """Lets the notebook that calls this show every UserError as its message only, in view; elsewhere it does nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if getattr(shell, "kernel", None) is not None:
        shell.set_custom_exc((UserError,), _show)


def _show(shell: Any, kind: type, error: Exception, trace: TracebackType, tb_offset: int | None = None) -> list[str]:
    from IPython.display import Javascript, display

    lines = [f"{kind.__name__}: {error}"]
    shell._showtraceback(kind, error, lines)
    display(Javascript(INTO_VIEW))
    return lines
