"""Numbers beyond what a setting can mean, and settings that are at odds with each other."""

import pytest

from phi4r_lib.cookbook.settings.limits import at_odds, beyond
from phi4r_lib.cookbook.settings.profile import ProfileError, load_profile, profile_names

ALL = {f"{number:02}" for number in range(10)}


@pytest.mark.parametrize("name", profile_names())
def test_what_ships_is_within_its_limits(name):
    profile = load_profile(name)
    assert beyond(profile) is None and at_odds(profile, ALL) is None


@pytest.mark.parametrize(
    "setting",
    [
        "sft.learning_rate", "grpo.temperature", "grpo.max_tokens", "sft.block", "edge.limit", "variance.runs", "grpo.group",
        "sft.passes", "grpo.clip", "mini.rl_rate", "trial.gain", "checklist.margin", "dpo.length", "sft.eval_temperature",
    ],
)  # fmt: skip
def test_a_number_beyond_its_limit_is_named(setting):
    with pytest.raises(ProfileError, match=rf"'{setting}': 100,000,000,000 is more than it can mean"):
        load_profile("cpu", {setting: 10**11})


@pytest.mark.parametrize("setting", ["sft.block", "dpo.length", "mini.mid_block", "mini.hard_length"])
@pytest.mark.parametrize("value", [-1, 0, 1, 15])
def test_no_block_is_shorter_than_any_example(setting, value):
    with pytest.raises(ProfileError, match=setting):
        load_profile("cpu", {setting: value})


@pytest.mark.parametrize(
    ("change", "due", "says"),
    [
        ({"edge.pilot": 40}, "01", "edge.pilot (40) is above edge.max_samples (32)"),
        ({"sft.block": 32}, "02 03", "sft.block (32) holds less than a quarter of a trace"),
        ({"sft.block": 32}, "03", None),  # the traces are there: notebook 03 looks at them
        ({"grpo.steps": 3}, "04", "needs 4 at least"),
        ({"grpo.prompts": 30}, "04", "grpo.prompts (30) must be a multiple of grpo.micro_batches (4)"),
        ({"grpo.prompts": 30}, "03", None),
        ({"grpo.prompts": 30, "grpo.fast": False}, "04", None),  # 240 completions in four parts
        ({"grpo.take": 31}, "04", "grpo.take (31) is below grpo.prompts (32)"),
        ({"grpo.cool_to": 1.5}, "04", "grpo.cool_to (1.5) is above grpo.temperature (1.0)"),
    ],
)
def test_settings_at_odds_are_found_for_the_notebooks_that_run(change, due, says):
    found = at_odds(load_profile("cpu", change), set(due.split()))
    assert found is None if says is None else says in found
