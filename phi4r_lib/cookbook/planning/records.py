"""The measured runs that are kept in benchmarks/records, as tables. Not here: measuring (benchmarks/gpu.py, pilot.py)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi4r_lib.cookbook.settings.home import UserError, home
from phi4r_lib.problems.rows import read_json

if TYPE_CHECKING:
    import pandas as pd

PARTS = {"training": "sft", "sampling": "decode", "reinforcement": "grpo"}


def record(name: str) -> dict[str, Any]:
    """One kept record by its name, such as "nvidia-h200"; raises UserError that lists those there are."""
    folder = home() / "benchmarks" / "records"
    if not (folder / f"{name}.json").is_file():
        known = ", ".join(path.stem for path in sorted(folder.glob("*.json")))
        raise UserError(f"no record {name!r} in benchmarks/records; there are {known}")
    return read_json(folder / f"{name}.json")


def measured(kind: str) -> pd.DataFrame:
    """All kept rows of one kind ("training", "sampling", "reinforcement") with their device; what failed has a reason in `error`."""
    import pandas as pd

    folder: Path = home() / "benchmarks" / "records"
    found = [(path.stem, read_json(path)) for path in sorted(folder.glob("*.json"))]
    rows = [{"record": name, "device": one["device"], **row} for name, one in found for row in one["rows"]]
    return pd.DataFrame([row for row in rows if row["part"].startswith(PARTS[kind])])
