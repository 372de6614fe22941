"""What a run would do and what it has done, as lines: which notebooks, how much work, how long it took, what is out of date.

Not here: decisions about skipping (run_folder.py), the estimate of hours, cost and memory (outlook.py).
"""

from __future__ import annotations

from pathlib import Path

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.folder.run_folder import RunFolder
from phi4r_lib.cookbook.planning import outlook
from phi4r_lib.cookbook.running.runner import Target, at_work
from phi4r_lib.cookbook.settings.home import UserError, home, shown
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.cookbook.settings.stages import EVERY_MODEL, Stage
from phi4r_lib.problems.rows import plain


def lines(chosen: list[Stage], target: Target, costs_file: str | None = None, device: str | None = None) -> list[str]:
    """The plan as lines of text: each notebook with its action, its counts and the last recorded run; then hours, cost, memory."""
    costs, folder = recorded(target.out, target.profile.name), target.folder()
    text, running, total, unknown = [], [], 0.0, 0
    for stage in chosen:
        cost = costs.get(stage.number)
        action, runs = _action(stage, folder, running)
        if runs:
            running.append(stage.number)
            total, unknown = total + (cost[0] if cost else 0), unknown + (cost is None)
        text.append(f"{stage.name:<24} {action:<34} {expected(cost)}")
        if runs and counts(stage, target):
            text.append(f"{'':<24} {counts(stage, target)}")
    text.append(
        f"expected: {total / 60:.1f} minutes"
        + (f" and {unknown} notebook{'s' * (unknown > 1)} never recorded" if unknown else "")
    )
    found = outlook.estimator(target.profile, costs_file, device)
    seconds = {} if device else {number: cost[0] for number, cost in costs.items()}
    return [*text, *outlook.lines(found, set(running), seconds)]


def _action(stage: Stage, folder: RunFolder, running: list[str]) -> tuple[str, bool]:
    """What happens to a stage, and whether it may run; `running` are the stages before it that do."""
    reason = folder.outdated(stage.number)
    if reason:
        return f"run ({reason})", True
    before = [number for number in running if _stands_on(stage, number)]
    if before:
        return f"run if {' or '.join(before)} comes out otherwise", True
    holder = folder.holder(stage.number)
    return ("keep" if holder == folder.out else f"keep (from {shown(holder)})"), False


def _stands_on(stage: Stage, number: str) -> bool:
    """Whether a stage reads artefacts of the stage with this number."""
    return any(need[:2] == number or need == EVERY_MODEL for need in stage.needs)


def counts(stage: Stage, target: Target) -> str:
    """Whole-number settings of the stage's sections, `limit 600, max_samples 16, ...`."""
    texts = []
    for section in stage.sections:
        values = plain(getattr(target.profile, section, None) or {})
        texts += [f"{key} {value}" for key, value in values.items() if type(value) is int]
    return ", ".join(texts)


def expected(cost: tuple[float, float] | None) -> str:
    """`75 s, 812 MB the last time`, or that nothing was recorded."""
    return f"{cost[0]:.0f} s, {cost[1]:.0f} MB the last time" if cost else "no recorded run"


def recorded(out: Path, profile: str) -> dict[str, tuple[float, float]]:
    """{"01": (seconds, MB)} of the newest finished run of this profile, this folder's own first.

    A notebook that went on from kept work stands in only where none ran as a whole.
    """
    others = sorted((home() / "runs").glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    manifests = [state.read_json(file) for file in [out / "run.json", *others]]
    runs = [run.get("notebooks", {}) for run in manifests if run.get("profile", {}).get("name") == profile]
    costs: dict[str, tuple[float, float]] = {}
    for resumed in (False, True):
        for number, facts in (item for run in runs for item in run.items()):
            if facts.get("status") == "done" and "peak_mb" in facts and bool(facts.get("resumed")) == resumed:
                costs.setdefault(number, (facts["seconds"], facts["peak_mb"]))
    return costs


def opened(out: Path) -> RunFolder:
    """The run in a folder with the settings it would get now: its profile read again, or as it was when that is gone."""
    manifest = state.read_json(out / "run.json")
    try:
        profile = load_profile(manifest["source"], manifest.get("overrides"))
        return RunFolder(out, plain(profile))
    except (UserError, KeyError):
        return RunFolder(out, manifest.get("profile") or {})


def statuses(folder: RunFolder) -> dict[str, tuple[str, str]]:
    """{"01": (status in a word or two, remark)} of every stage and every recorded notebook.

    The remark says where results come from, what has changed since for it or for a stage it stands on, or the first line
    of a failure.
    """
    recorded_here = folder.manifest.get("notebooks", {})
    alive = any(facts.get("status") == "running" for facts in recorded_here.values()) and at_work(folder.out)
    found: dict[str, tuple[str, str]] = {}
    stale: list[str] = []
    for number in sorted({*folder.stages, *recorded_here}):
        facts, holder = folder.record(number), folder.holder(number)
        status = facts.get("status", "not run")
        status = "killed" if status == "running" and not alive else status
        notes = [f"from {shown(holder)}"] if holder != folder.out else []
        stage, changed = folder.stages.get(number), folder.changed(number)
        notes += [f"since then {change}" for change in changed]
        below = [one for one in stale if status == "done" and stage and _stands_on(stage, one)]
        notes += [f"stands on {', '.join(below)}, which changed since"] if below else []
        stale += [number] if changed or below else []
        notes += (facts.get("message") or "").splitlines()[:1]
        notes += ["went on from kept work"] if status == "done" and facts.get("resumed") else []
        notes += [stage.fault] if stage and stage.fault else []
        idle = stage and stage.extra and number not in folder.manifest.get("notebooks", {}) and holder == folder.out
        notes += [f"extra: --all or --only {number} runs it"] if idle else []
        found[number] = (status, "; ".join(notes))
    return found


def status_lines(out: Path) -> list[str]:
    """One line for each notebook of a run: status, seconds, memory, and what is to be said about it."""
    folder = opened(out)
    lines = []
    for number, (status, note) in statuses(folder).items():
        facts, stage = folder.record(number), folder.stages.get(number)
        name = stage.name if stage else facts.get("notebook") or number
        seconds = f"{facts['seconds']:7.0f} s" if "seconds" in facts else " " * 9
        memory = f"{facts['peak_mb']:6.0f} MB" if "peak_mb" in facts else " " * 9
        note = "; ".join(filter(None, [note, outlook.planned(folder.manifest, number)]))
        lines.append(f"{name:<24} {status:<12}{seconds} {memory}  {note}".rstrip())
    variants = [path.parent for path in sorted(out.parent.glob(f"{out.name}+*/run.json"))]
    return [*lines, *(f"varied by {shown(variant)}" for variant in variants)]
