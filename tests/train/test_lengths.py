"""Where the reward's lengths come from, and which branch of it decides a completion."""

import pandas as pd
import pytest

from phi4r_lib.models.engine import Sample, SamplingSettings
from phi4r_lib.models.store import sample_to_store
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.reward import (
    LengthReward,
    branch,
    branch_shares,
    fit_lengths,
    judged,
    length_scaled_accuracy,
    reward_of,
)
from phi4r_lib.train.settings import GrpoSettings

SETTINGS = GrpoSettings(
    steps=1, prompts=4, group=4, learning_rate=1e-4, beta=0.0, entropy=0.0, temperature=1.0, max_tokens=128,
    eval_every=1, eval_problems=1, lengths="quantiles", right_quantile=0.75, wrong_quantile=0.5,
)  # fmt: skip


def test_quantiles_of_the_models_own_lengths():
    fitted = fit_lengths(SETTINGS, [20, 30, 40, 50, 60] * 2, [10, 30, 70] * 3)
    assert (fitted.l_pos, fitted.l_neg) == (50, 30)
    reward = reward_of(fitted)
    assert (reward.l_max, reward.l_pos, reward.l_neg) == (128, 50, 30)
    # 60 tokens, right: rho = 10/78, R = .5 + .25 (1 + cos(pi 10/78)); 10 tokens, wrong: rho = 1/3
    assert length_scaled_accuracy(True, 60, reward) == pytest.approx(0.979995, abs=1e-5)
    assert length_scaled_accuracy(False, 10, reward) == pytest.approx(-0.875)


def test_lengths_that_the_settings_name_stay():
    fitted = fit_lengths(SETTINGS.model_copy(update={"l_pos": 99}), [20, 30] * 4, [10, 30] * 4)
    assert (fitted.l_pos, fitted.l_neg) == (99, 20)
    scaled = SETTINGS.model_copy(update={"lengths": "scaled"})
    assert fit_lengths(scaled, [], []) is scaled
    assert fit_lengths(SETTINGS, [500] * 8, [1] * 8).l_pos == 127  # below the limit, whatever was measured


def test_too_few_answers_leave_the_lengths_scaled(capsys):
    fitted = fit_lengths(SETTINGS, [20] * 7, [30] * 50)
    assert fitted.lengths == "scaled" and reward_of(fitted) == LengthReward.scaled(128)
    assert capsys.readouterr().out.startswith("7 right and 50 wrong answers are too few")
    with pytest.raises(ValueError, match="fit_lengths"):
        reward_of(SETTINGS)  # nobody measured


def test_switched_off_no_length_counts():
    off = reward_of(SETTINGS.model_copy(update={"lengths": "off"}))
    assert {length_scaled_accuracy(True, n, off) for n in (0, 50, 128, 9999)} == {1.0}
    assert {length_scaled_accuracy(False, n, off) for n in (0, 5, 128)} == {-0.5}
    assert branch(False, 1, "ok", off) == "wrong" and branch(True, 128, "ok", off) == "right"


def test_shares_of_branches_add_up_and_leave_out_what_was_not_graded():
    reward = LengthReward(l_max=100, l_pos=50, l_neg=20)
    rows = [
        (True, 50, "ok"), (True, 51, "ok"), (False, 19, "ok"), (False, 20, "ok"),
        (True, 30, "bad_think"), (False, 100, "no_end"), (None, 30, "ok"), (True, 10, "ok"),
    ]  # fmt: skip
    table = branch_shares(pd.DataFrame(rows, columns=["correct", "n_tokens", "format"]), reward)
    assert table["completions"].tolist() == [2, 1, 1, 1, 1, 1]
    assert (
        table["share"].sum() == pytest.approx(1)
        and ((table["low"] < table["share"]) & (table["share"] < table["high"])).all()
    )


class Writes:
    """An engine that writes the same texts whatever it is asked."""

    name, seedable = "writes", True

    def __init__(self, *samples):
        self.samples = [sample.model_copy(update={"index": i}) for i, sample in enumerate(samples)]

    def sample(self, prompts, settings, progress=None):
        return [self.samples for _ in prompts]


def test_stored_samples_are_judged_as_rollouts(tmp_path):
    asked = [Problem(id="a", domain="math", prompt="1 + 1?", answer="2", source="test", licence="MIT")]
    engine = Writes(
        Sample(text="<think> 2 </think> \\boxed{2}", tokens=7),
        Sample(text="\\boxed{2}", tokens=3),
        Sample(text="<think> 1 + 1", tokens=5, truncated=True),
    )
    sample_to_store(engine, [("a", "1 + 1?"), ("b", "other")], SamplingSettings(n=3), tmp_path)
    table = judged(tmp_path, "writes", asked)
    assert table["format"].tolist() == ["ok", "bad_think", "bad_think"] and table["n_tokens"].tolist() == [7, 3, 5]
    assert table["correct"].tolist() == [True, True, False] and set(table["id"]) == {"a"}
    assert judged(tmp_path, "another model", asked).empty
