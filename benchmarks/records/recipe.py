"""Keeps a finished run of the recipe and a pilot of its profile as records: what a plan said, and what the run took.

    make run && python benchmarks/records/recipe.py [--run runs/cpu] [--pilot 32]      (under a minute; nothing else should run beside it)

Writes `PROFILE-recipe.json` (seconds per notebook, as the run noted them) and `PROFILE-pilot.json` (a fresh pilot with the settings that
a plan counts with) into `benchmarks/records/`. Notebook 09 shows them side by side, and a test holds the plan against them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from phi4r_lib.cookbook.folder.state import read_json
from phi4r_lib.cookbook.planning.pilot import run_pilot
from phi4r_lib.cookbook.settings.home import home
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.problems.rows import write_json

# The settings that counts and lengths of a plan come from; without them a later profile would be held against this run.
COUNTED = (
    *(
        "edge.limit",
        "edge.label_problems",
        "edge.label_samples",
        "mixture.traces",
        "sft.passes",
        "grpo.steps",
        "grpo.prompts",
    ),
    *("grpo.group", "grpo.eval_every", "grpo.eval_problems", "grpo.eval_samples", "variance.runs"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=home() / "runs" / "cpu", help="the finished run folder")
    parser.add_argument("--pilot", type=int, default=32, help="prompts per model of the pilot")
    asked = parser.parse_args()
    noted = read_json(asked.run / "run.json")
    if not noted or any(one["status"] != "done" for one in noted["notebooks"].values()):
        parser.error(f"{asked.run} is no finished run: phi4r status {asked.run} says what is missing")
    profile = load_profile(noted["source"], noted["overrides"])
    records, what = home() / "benchmarks" / "records", {"rows": []}
    pilot = run_pilot(profile, asked.pilot)
    settings = {name: getattr(getattr(profile, name.split(".")[0]), name.split(".")[1]) for name in COUNTED}
    what |= {"device": f"CPU, {pilot.device}" if pilot.device == "cpu" else pilot.device, "settings": settings}
    command = f"phi4r plan --profile {profile.name} --pilot {asked.pilot}"
    write_json(records / f"{profile.name}-pilot.json", what | {"command": command, "pilot": pilot.model_dump()})
    took = {number: {key: one[key] for key in ("status", "seconds")} for number, one in noted["notebooks"].items()}
    facts = {"command": "make run", "commit": noted["git_commit"], "notebooks": took}
    write_json(records / f"{profile.name}-recipe.json", what | facts)
    print("\n".join(f"{number}  {one['seconds']:.0f} s" for number, one in took.items()))
    print(f"written: {profile.name}-pilot.json and {profile.name}-recipe.json in benchmarks/records")


if __name__ == "__main__":
    main()
