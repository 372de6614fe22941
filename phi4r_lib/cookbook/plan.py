"""What a run would do before it does it: which notebooks, how many model answers, and how long the last run took.

Not here: decisions about skipping (runner.outdated); costs are recorded ones, never guesses.
"""

from __future__ import annotations

from phi4r_lib.cookbook import state
from phi4r_lib.cookbook.profile import home
from phi4r_lib.cookbook.run import shown
from phi4r_lib.cookbook.runner import Notebook, Target, outdated

# The settings that decide how much work a notebook is, shown with their values.
COUNTS = {
    "01": "edge",
    "02": "rewrite",
    "03": "sft",
    "04": "grpo",
    "05": "variance",
}


def lines(notebooks: list[Notebook], target: Target) -> list[str]:
    """The plan as lines of text: each notebook with its action, its counts and the cost of the last recorded run."""
    costs = recorded(target)
    text = [f"profile {target.profile.name}, run folder {shown(target.out)}"]
    total, unknown = 0.0, 0
    for notebook in notebooks:
        reason = outdated(notebook.number, target)
        cost = costs.get(notebook.number)
        if reason:
            total, unknown = total + (cost[0] if cost else 0), unknown + (cost is None)
        action = f"run ({reason})" if reason else "keep"
        text.append(f"{notebook.path.stem:<24} {action:<34} {expected(cost)}")
        if reason and counts(notebook.number, target):
            text.append(f"{'':<24} {counts(notebook.number, target)}")
    text.append(f"expected: {total / 60:.1f} minutes" + (f" and {unknown} notebooks never recorded" if unknown else ""))
    return text


def counts(number: str, target: Target) -> str:
    """Whole-number settings of the notebook's own section, `limit 600, max_samples 16, ...`."""
    section = COUNTS.get(number)
    values = getattr(target.profile, section).model_dump() if section else {}
    whole = {key: value for key, value in values.items() if isinstance(value, int) and not isinstance(value, bool)}
    return ", ".join(f"{key} {value}" for key, value in whole.items())


def expected(cost: tuple[float, float] | None) -> str:
    """`75 s, 812 MB the last time`, or that nothing was recorded."""
    return f"{cost[0]:.0f} s, {cost[1]:.0f} MB the last time" if cost else "no recorded run"


def recorded(target: Target) -> dict[str, tuple[float, float]]:
    """{"01": (seconds, MB)} of the newest finished run of this profile, this folder's own first."""
    costs: dict[str, tuple[float, float]] = {}
    others = sorted((home() / "runs").glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for file in [target.out / "run.json", *others]:
        run = state.read_json(file)
        if run.get("profile", {}).get("name") != target.profile.name:
            continue
        for number, facts in run["notebooks"].items() if "notebooks" in run else ():
            if facts.get("status") == "done" and "peak_mb" in facts:
                costs.setdefault(number, (facts["seconds"], facts["peak_mb"]))
    return costs
