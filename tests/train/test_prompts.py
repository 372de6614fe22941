"""Choosing the prompts of GRPO by the chance that a group is mixed."""

import numpy as np
import pytest
from scipy import stats

from phi4r_lib.train.prompts import Evidence, choose_prompts, decision_table, expected_mixed, prior_behind
from phi4r_lib.train.settings import GrpoSettings

SETTINGS = GrpoSettings(
    steps=1, prompts=2, group=8, learning_rate=1e-4, beta=0.0, entropy=0.0, temperature=1.0, max_tokens=64,
    eval_every=1, eval_problems=1, take=3,
)  # fmt: skip
FOUND = {
    "easy": Evidence("easy", 12, 12), "even": Evidence("edge", 3, 6), "rare": Evidence("edge", 1, 6),
    "open": Evidence("undecided", 3, 4), "hard": Evidence("hard", 0, 12),
}  # fmt: skip
ROWS = [{"id": key, "prompt": []} for key in ("hard", "easy", "rare", "open", "even")]


@pytest.mark.parametrize(
    ("right", "judged", "group", "prior"), [(0, 0, 8, (1, 1)), (3, 6, 8, (0.5, 0.5)), (0, 12, 4, (0.7, 1.3))]
)
def test_chance_of_a_mixed_group_is_the_mean_over_the_posterior(right, judged, group, prior):
    p = np.linspace(0, 1, 200_001)[1:-1]
    weight = stats.beta(prior[0] + right, prior[1] + judged - right).pdf(p)
    by_sum = float((weight * (1 - p**group - (1 - p) ** group)).sum() / weight.sum())
    assert expected_mixed(right, judged, group, prior) == pytest.approx(by_sum, abs=2e-3)


def test_known_values():
    assert expected_mixed(0, 0, 8, (1, 1)) == pytest.approx(1 - 2 / 9)  # uniform: every count of right answers alike
    assert expected_mixed(500_000, 1_000_000, 8) == pytest.approx(1 - 2 / 2**8, abs=1e-4)
    assert expected_mixed(0, 5, 1) == 0  # a group of one is never mixed
    with pytest.raises(ValueError, match="3 of 2"):
        expected_mixed(3, 2, 8)


def test_the_most_informative_are_taken_and_every_row_says_why():
    chosen = choose_prompts(ROWS, FOUND, SETTINGS)
    assert [row["id"] for row in chosen if row["taken"]] == ["even", "open", "rare"]
    assert [row["mixed"] for row in chosen] == sorted((row["mixed"] for row in chosen), reverse=True)
    assert chosen[0]["sft_decision"] == "edge" and "3 of 6 answers right: edge" in chosen[0]["reason"]
    assert "place 1 of 5 by rule informative" in chosen[0]["reason"]


def test_the_other_rules():
    edge = choose_prompts(ROWS, FOUND, SETTINGS.model_copy(update={"select": "edge", "take": None}))
    assert [row["id"] for row in edge if row["taken"]] == ["even", "rare", "open"]
    every = choose_prompts(ROWS, FOUND, SETTINGS.model_copy(update={"select": "all", "take": None}))
    assert [row["id"] for row in every] == [row["id"] for row in ROWS] and all(row["taken"] for row in every)
    blind = choose_prompts(ROWS, {}, SETTINGS.model_copy(update={"select": "all", "take": None}))
    assert all(row["taken"] and row["sft_decision"] == "not measured" for row in blind)
    few = choose_prompts(ROWS, FOUND, SETTINGS.model_copy(update={"take": 1}))
    assert sum(row["taken"] for row in few) == 2  # a step needs two
    with pytest.raises(ValueError, match="1 prompts were not measured, first: new"):
        choose_prompts([*ROWS, {"id": "new"}], FOUND, SETTINGS)


def test_table_of_decisions_before_and_after():
    before = {"even": Evidence("hard", 0, 4), "rare": Evidence("hard", 0, 4), "easy": Evidence("edge", 2, 4)}
    table = decision_table(before, FOUND, 8, [(0.5, 0.5), (0.5, 0.5)])
    assert table.loc[("hard", "edge"), "prompts"] == 2 and table.loc[("new", "hard"), "mixed before"] == "-"
    assert table.loc[("all", "all"), "prompts"] == 5 and "to" in table.loc[("all", "all"), "mixed after"]


def test_the_prior_is_read_from_posterior_means():
    class Row:
        def __init__(self, right, judged):
            self.successes, self.samples = right, judged
            self.pass_rate = round((0.1 + right) / (0.1 + 0.43 + judged), 6) if judged else None

    assert prior_behind([Row(0, 4), Row(3, 7), Row(0, 0), Row(12, 12)]) == pytest.approx((0.1, 0.43), abs=1e-4)
    assert prior_behind([Row(0, 4), Row(0, 4)]) == (0.5, 0.5) == prior_behind([])


def test_nothing_measured_is_an_empty_table():
    table = decision_table({}, {}, 8, [(0.5, 0.5), (0.5, 0.5)])
    assert table.loc[("all", "all"), "prompts"] == 0 and table.loc[("all", "all"), "mixed after"] == "-"
