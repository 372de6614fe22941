"""Where the repository is, how paths are shown, and the two ways in which work ends early: a mistake to mend, a stop in order.

Everything of the cookbook stands on it; it imports the standard library only, so that `phi4r` has it at once. Not here: the
checks that find mistakes, and who decides to stop (cli.py hears the signals, budget.py counts).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import phi4r_lib

BUDGET = 3  # exit codes of `phi4r`: --budget is spent,
ASKED = 75  # and SIGTERM: EX_TEMPFAIL of sysexits.h, "try again later", for batch systems that queue the job again
LONGEST = 300  # letters of a word in a message; ours
# The output is not in the page yet when this runs, and JupyterLab moves to the last cell when its queue has ended.
INTO_VIEW = """
for (const ms of [100, 1000]) setTimeout(() => element.closest('.jp-Cell')?.scrollIntoView({block: 'center'}), ms);
"""


class UserError(ValueError):
    """A problem that the user can fix; the message says what is wrong and what to do."""


class Stopped(KeyboardInterrupt):
    """The run ends in order: a training writes its checkpoint, whatever is there is kept, the same command goes on."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def spare_a_grammar() -> None:
    """Keeps jsonschema, which every reader of notebooks loads, from building a grammar of web addresses that none of them
    uses: a second of CPU in each process."""
    sys.modules.setdefault("rfc3987_syntax", None)


def short(text: str) -> str:
    """A message whose longest words (a name of thousands of letters) lose their middle."""
    words = (word if len(word) <= LONGEST else f"{word[:80]}...{word[-20:]}" for word in text.split(" "))
    return " ".join(words)


def home() -> Path:
    """Repository root: $PHI4R_HOME, else the folder that holds the package, else a parent of the working directory."""
    named = os.environ.get("PHI4R_HOME")
    if named and not (Path(named) / "notebooks" / "profiles").is_dir():
        raise UserError(f"PHI4R_HOME is {named}, which has no notebooks/profiles; point it at the repository")
    places = [Path(named)] if named else [Path(phi4r_lib.__file__).parents[1], Path.cwd(), *Path.cwd().parents]
    for place in places:
        if (place / "notebooks" / "profiles").is_dir():
            return place.resolve()
    raise UserError("no notebooks/profiles found; run inside the repository or set PHI4R_HOME to it")


def check_user() -> None:
    """Raises UserError where this user has no home folder, as in a container with a bare user number: Jupyter's libraries need one."""
    try:
        Path.home()
    except RuntimeError:
        raise UserError("this user has no home folder, which Jupyter needs; set HOME to a folder of yours") from None


def shown(path: Path) -> str:
    """Path as a message shows it: relative to the repository where it lies inside."""
    return str(path.relative_to(home())) if path.is_relative_to(home()) else str(path)


def real_path(text: str | Path) -> Path:
    """Full path of what was typed; UserError for links in a circle and for the home of a user who is none."""
    return typed(text, full=True)


def typed(text: str | Path, full: bool = False) -> Path:
    """What was typed as a path, ~ written out; UserError as `real_path`."""
    try:
        if "\0" in str(text):
            raise ValueError("it holds a null character")
        path = Path(text).expanduser()
        return path.resolve() if full else path
    except (RuntimeError, ValueError) as error:  # pathlib's words for the two
        raise UserError(f"{str(text)!r} is no path that can be followed: {error}") from None


def resolve_out(out: str | Path) -> Path:
    """Run folder; a relative one counts from the repository root, so that a notebook works from any directory."""
    path = typed(out)
    return path if path.is_absolute() else home() / path


def show_in_one_line() -> None:
    """Lets the notebook that calls this show every UserError as one line, in view even after "Run All"; elsewhere it does nothing."""
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
