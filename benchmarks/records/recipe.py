"""Keeps a finished run of the recipe and a pilot of its profile as records: what a plan said, and what the run took.

    phi4r run --out runs/quiet && python benchmarks/records/recipe.py --run runs/quiet [--pilot 32]

Nothing else should run beside either; the pilot takes half a minute. The run must be one from an empty folder: notebooks that went
on from kept work took less time than the whole, and are refused.

Writes `PROFILE-recipe.json` (seconds per notebook of the recipe, as the run noted them) and `PROFILE-pilot.json` (a fresh pilot with
the settings that a plan counts with) into `benchmarks/records/`. Notebook 09 shows them side by side, and a test holds the plan against them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from phi4r_lib.cookbook.folder.state import read_json
from phi4r_lib.cookbook.planning.costs import load_costs
from phi4r_lib.cookbook.planning.estimate import Estimator
from phi4r_lib.cookbook.planning.pilot import run_pilot
from phi4r_lib.cookbook.settings.home import home
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.problems.rows import write_json

# The settings that counts and lengths of a plan come from; without them a later profile would be held against this run.
COUNTED = {
    "edge": ("limit", "label_problems", "label_samples"),
    "rewrite": ("variants", "variant_samples"),
    "mixture": ("traces", "rl"),
    "sft": ("passes", "rope_steps"),
    "grpo": (
        "steps",
        "prompts",
        "group",
        "edge_samples",
        "arm_steps",
        "own_steps",
        "eval_every",
        "eval_problems",
        "eval_samples",
    ),
    "variance": ("runs",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=home() / "runs" / "cpu", help="the finished run folder")
    parser.add_argument("--pilot", type=int, default=32, help="prompts per model of the pilot")
    asked = parser.parse_args()
    noted = read_json(asked.run / "run.json")
    took = {number: noted.get("notebooks", {}).get(number, {}) for number in ("00", "01", "02", "03", "04", "05")}
    if any(one.get("status") != "done" for one in took.values()):
        parser.error(f"{asked.run} is no finished run: phi4r status {asked.run} says what is missing")
    if resumed := [number for number, one in took.items() if one.get("resumed") and number != "00"]:
        parser.error(f"{', '.join(resumed)} went on from kept work in {asked.run}: make a run in an empty folder")
    profile = load_profile(noted["source"], noted["overrides"])
    records, what = home() / "benchmarks" / "records", {"rows": []}
    pilot = run_pilot(profile, asked.pilot)
    settings = {f"{part}.{key}": getattr(getattr(profile, part), key) for part, keys in COUNTED.items() for key in keys}
    what |= {
        "device": f"CPU, {torch.get_num_threads()} threads" if pilot.device == "cpu" else pilot.device,
        "settings": settings,
    }
    command = f"phi4r plan --profile {profile.name} --pilot {asked.pilot}"
    write_json(records / f"{profile.name}-pilot.json", what | {"command": command, "pilot": pilot.model_dump()})
    seconds = {number: {key: one[key] for key in ("status", "seconds")} for number, one in took.items()}
    facts = {"command": "make run", "commit": noted["git_commit"], "notebooks": seconds}
    write_json(records / f"{profile.name}-recipe.json", what | facts)
    planned = {one.number: one.seconds[1] for one in Estimator(profile, load_costs(), pilot).stages()}
    for number, one in seconds.items():
        print(f"{number}  {one['seconds']:.0f} s" + (f", planned {planned[number]:.0f} s" if number in planned else ""))
    print(f"written: {profile.name}-pilot.json and {profile.name}-recipe.json in benchmarks/records")


if __name__ == "__main__":
    main()
