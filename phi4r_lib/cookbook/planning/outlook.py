"""The expected hours, cost and memory of a run as lines of text, and what a run took beside what was planned.

Not here: the counting (estimate.py), which notebooks would run (plan.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.planning.costs import Span, load_costs
from phi4r_lib.cookbook.planning.estimate import Estimator, Stage, shape_of, spans, total
from phi4r_lib.cookbook.planning.pilot import Pilot, kept
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.train.memory import HEADROOM, kv_bytes, parameters


def estimator(
    profile: Profile,
    costs_file: str | None = None,
    device: str | None = None,
    pilot: Mapping[str, Any] | None = None,
) -> Estimator:
    """The estimator of a profile with its kept pilot, or another `pilot` as a record holds it; a `device` asked for takes no
    pilot of another one."""
    costs = load_costs(costs_file, device)
    pilot = Pilot.model_validate(pilot) if pilot else kept(profile)
    pilot = None if device and pilot and device not in pilot.device else pilot
    return Estimator(profile, costs, pilot, asked=device is not None)


def lines(found: Estimator, chosen: set[str], recorded: Mapping[str, float]) -> list[str]:
    """Hours, GPU-hours and money of the stages `chosen`, with `recorded` seconds where nothing else is known; then memory."""
    stages = [stage for stage in found.stages() if stage.number in chosen]
    if not stages:
        return []
    text = [f"planned for {_where(found)}; best / expected / worst:"]
    for stage in stages:
        seen = recorded.get(stage.number)
        if stage.seconds is None and seen is not None:
            stage.seconds, stage.missing, stage.source = from_record(seen), [], "an earlier run"
            stage.money = _free(found)
        text.append(f"{stage.number}  {_hours(stage.seconds)}{_held(stage)}, {_money(stage, found)}{_source(stage)}")
    seconds, held, money = total(stages)
    if len(stages) > 1:
        whole = Stage("all", seconds, money=money)
        text.append(f"all {_hours(seconds)}{_gpu_hours(held)}, {_money(whole, found)}")
    text += [f"unknown: {what}" for what in dict.fromkeys(what for stage in stages for what in stage.missing)]
    return [*text, *memory_lines(found, chosen)]


def _free(found: Estimator) -> Span | None:
    return None if found.device else (0.0, 0.0, 0.0)


def from_record(seconds: float) -> Span:
    """What a stage that took so long before will take again: within a half more (ours)."""
    return (seconds / 1.5, seconds, seconds * 1.5)


def _where(found: Estimator) -> str:
    if found.pilot:
        return f"{found.pilot.device}, from a pilot of {max(a.count for a in found.pilot.answers.values())} answers"
    if found.on_cpu:
        return "this machine's CPU"
    return f"{found.gpus} x {found.costs.device}, counted (`--pilot N` measures)"


def _source(stage: Stage) -> str:
    return f" ({stage.source})" if stage.source == "an earlier run" else ""


def _span(values: Span) -> str:
    return " / ".join(f"{value:,.3g}" if value < 1000 else f"{value:,.0f}" for value in values)


def _hours(seconds: Span | None) -> str:
    if seconds is None:
        return "time unknown"
    unit, size = ("h", 3600) if seconds[1] >= 5400 else ("min", 60) if seconds[1] >= 90 else ("s", 1)
    return f"{_span(tuple(s / size for s in seconds))} {unit}"


def _held(stage: Stage) -> str:
    if not stage.gpus or stage.seconds is None:
        return ""
    held = tuple(s / 3600 * stage.gpus for s in stage.seconds)
    return f" on {stage.gpus} GPU{'s' if stage.gpus > 1 else ''}{_gpu_hours(held)}"


def _gpu_hours(held: Span | None) -> str:
    return f", {_span(held)} GPU-hours" if held and held[1] >= 0.1 else ""


def _money(stage: Stage, found: Estimator) -> str:
    if stage.money is not None:
        return f"{_span(stage.money)} {found.costs.currency}" if any(stage.money) else "no cost"
    return f"cost unknown (price of {found.costs.device})" if found.device and stage.seconds else "cost unknown"


def memory_lines(found: Estimator, chosen: set[str]) -> list[str]:
    """Memory of one training process with its parts, whether it fits, and what sampling takes."""
    text = []
    for number, (parts, why) in found.memory().items():
        if number not in chosen:
            continue
        listed = ", ".join(f"{name} {_bytes(size)}" for name, size in parts.items() if size)
        fits = (
            ""
            if not found.device
            else f"; DOES NOT FIT: {why[why.index('there are') :]}"
            if why
            else f"; fits {found.costs.device}"
        )
        text.append(f"{number}  memory of one process {_bytes(sum(parts.values()))}: {listed}{fits}")
    shape = shape_of(found.profile.models.base, found.costs)
    if shape is None:
        return [*text, f"memory unknown: size of {found.profile.models.base.model} (costs file: models)"]
    weights, each = 2 * parameters(shape)[0], kv_bytes(shape)
    text.append(f"sampling: {_bytes(weights)} of weights in bf16, {each / 1000:,.0f} kB of keys and values per token")
    if found.device:
        room = found.device.memory_gb * 1e9 * HEADROOM - weights
        limit = max(found.profile.grpo.max_tokens, found.profile.variance.max_tokens)
        answers = max(0, int(room // (limit * each)))
        text[-1] += f": {answers:,} full answers of {limit:,} tokens at once on one {found.costs.device}"
    return text


def _bytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.0f} MB"


def keep(out: Path, found: Estimator, recorded: Mapping[str, float]) -> None:
    """Writes what is expected of each stage into run.json; of an unknown one what an earlier run took."""
    planned = spans({stage.number: stage for stage in found.stages()})
    for number, seconds in recorded.items():
        if planned.get(number, {}).get("seconds") is None:
            planned[number] = {"seconds": from_record(seconds), "money": None}
    manifest = state.read_json(out / "run.json")
    state.write_json(out / "run.json", manifest | {"planned": planned})


def planned(manifest: Mapping[str, Any], number: str) -> str:
    """`planned 20 / 30 / 90 s` of a stage of a run, or "" where nothing was."""
    entry = manifest.get("planned", {}).get(number) or {}
    seconds = entry.get("seconds")
    return f"planned {_hours(tuple(seconds))}" if seconds else ""
