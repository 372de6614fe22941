"""Where the repository is, how paths are shown, and the error that a user can mend. Everything in this room stands on it."""

from __future__ import annotations

import os
from pathlib import Path

import phi4r_lib


class UserError(ValueError):
    """A problem that the user can fix; the message says what is wrong and what to do."""


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


def shown(path: Path) -> str:
    """Path as a message shows it: relative to the repository where it lies inside."""
    return str(path.relative_to(home())) if path.is_relative_to(home()) else str(path)


def resolve_out(out: str | Path) -> Path:
    """Run folder; a relative one counts from the repository root, so that a notebook works from any directory."""
    path = Path(out).expanduser()
    return path if path.is_absolute() else home() / path
