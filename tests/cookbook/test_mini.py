"""Notebook 07's settings: what the stages become, the published profile, and the table of the stages."""

import numpy as np
import pandas as pd
import pytest

from phi4r_lib.cookbook.lessons.four_stages import constant_guess, ladder, switched
from phi4r_lib.cookbook.lessons.mini import Settings
from phi4r_lib.cookbook.settings.profile import load_profile, setting_notes
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.settings import DpoSettings


def test_the_published_profile_holds_the_published_values():
    profile = load_profile("phi4_mini")
    mini, dpo = profile.mini, profile.dpo
    stage = mini.mid_stage(profile.sft)
    assert (stage.block, stage.batch_size, stage.learning_rate, stage.passes) == (16_384, 128, 1e-5, 5)
    assert stage.warmup_steps == 0.1 and stage.packed and stage.double_rope
    stage = mini.hard_stage(profile.sft)
    assert (stage.block, stage.batch_size, stage.learning_rate, stage.passes) == (20_480, 128, 1e-5, 5)
    assert not stage.packed and not stage.double_rope
    assert (dpo.length, dpo.learning_rate, dpo.passes) == (16_384, 5e-7, 1)
    stage = mini.rl_stage(profile.grpo)
    assert (stage.max_tokens, stage.learning_rate, stage.reward) == (25_600, 5e-7, "sign")
    assert (stage.temperature, stage.cool_to, stage.cool_share, stage.rebalance) == (1.0, 0.6, 0.5, 0.5)
    assert profile.models.base.model == "microsoft/Phi-4-mini-instruct"


def test_the_defaults_are_the_published_values_too():
    profile = load_profile("phi4_mini")
    default = Settings()
    for name in ("mid_passes", "mid_batch", "mid_block", "mid_rate", "mid_warmup", "hard_passes", "hard_batch"):
        assert getattr(default, name) == getattr(profile.mini, name)
    assert default.rl_tokens == profile.mini.rl_tokens and default.rl_rate == profile.mini.rl_rate
    assert DpoSettings().learning_rate == profile.dpo.learning_rate


@pytest.mark.parametrize("name", ["cpu", "phi4_mini"])
def test_every_value_says_where_it_comes_from(name):
    notes = {key: note for key, note in setting_notes(name).items() if key.startswith(("mini.", "dpo."))}
    assert len(notes) > 20 and all("ours" in note or "mini 3" in note or "report" in note for note in notes.values())


def test_switches_off_and_limits_hold():
    profile = load_profile("cpu")
    plain = profile.mini.rl_stage(profile.grpo, rebalance=None, cool_to=None, steps=3)
    assert (plain.rebalance, plain.cool_to, plain.steps) == (None, None, 3)
    with pytest.raises(ValueError, match="cool_to"):
        profile.mini.rl_stage(profile.grpo, cool_to=-1.0)


def test_the_table_measures_each_stage_against_the_one_named():
    right = {"base": [0, 1, 0, 0], "one": [1, 1, 0, 1], "two": [1, 1, 1, 1]}
    rows = [
        {"model": model, "problem": f"p{p}", "run": run, "correct": bool(hits[p]), "grade": "right" if hits[p] else "wrong",
         "tokens": 10, "truncated": p == 0}
        for model, hits in right.items() for p in range(4) for run in range(2)
    ]  # fmt: skip
    table = ladder(pd.DataFrame(rows), {"one": "base", "two": "one"})
    assert table["accuracy"].tolist() == [0.25, 0.75, 1.0]
    assert np.isnan(table.loc["base", "gain"]) and table.loc["one", "gain"] == 0.5 and table.loc["two", "gain"] == 0.25
    assert table.loc["one", "gain low"] < 0.5 < table.loc["one", "gain high"] and (table["cut off"] == 0.25).all()


def test_what_a_switch_changes_is_paired_by_seed():
    rows = {("off", 1): 0.5, ("off", 2): 0.7, ("off", 3): 0.6, ("on", 1): 0.6, ("on", 2): 0.8, ("on", 3): 0.9}
    found = switched(pd.DataFrame({"spread": rows}).rename_axis(["arm", "seed"]), "off").loc["on", "spread"]
    half = 4.302653 * np.std([0.1, 0.1, 0.3], ddof=1) / 3**0.5
    assert found["change"] == pytest.approx(0.5 / 3)
    assert (found["low"], found["high"]) == pytest.approx((0.5 / 3 - half, 0.5 / 3 + half))


def test_the_best_constant_guess_is_right_as_often_as_the_most_frequent_answer():
    def one(number, level, answer):
        meta = {"family": "sums", "steps": level}
        return Problem(id=f"p-{number}", domain="math", prompt="?", answer=answer, source="t", licence="MIT", meta=meta)

    problems = [one(n, level, answer) for n, (level, answer) in enumerate([(1, "7"), (1, "7"), (1, "8"), (2, "5")])]
    assert constant_guess(problems).round(3).to_dict() == {("sums", 1): 0.667, ("sums", 2): 1.0}
    assert constant_guess(problems, numbers=[8]).round(3).to_dict() == {("sums", 1): 0.333, ("sums", 2): 0.0}
