"""Costs at equal error: counting by hand, mixtures that meet the error, intervals, bad input."""

import numpy as np
import pytest
from scipy import stats

from phi4r_lib.curate import stopping_costs as costs
from phi4r_lib.curate.quality import merits
from phi4r_lib.curate.stopping import BetaPrior, evaluate, fixed_plugin, one_sided, optimal, outcomes, posterior_stop

LO, HI = 0.3, 0.8


def test_policies_over_known_rates_agree_with_counting():
    samples, wrong = costs.over_rates(fixed_plugin(4, LO, HI), [0.0, 0.5, 0.5, 0.9], LO, HI)
    edge_wrong = 1 - stats.binom.pmf([2, 3], 4, 0.5).sum()
    assert samples == pytest.approx([4, 4, 4, 4])
    assert wrong == pytest.approx([0, edge_wrong, edge_wrong, stats.binom.cdf(3, 4, 0.9)])


@pytest.mark.parametrize("forced", [True, False])
def test_adaptive_policies_agree_with_the_evaluation_of_one_rate(forced):
    policy = posterior_stop(LO, HI, 0.1, 24, price=0.001, forced=forced)
    samples, wrong = costs.over_rates(policy, [0.1, 0.3, 0.55, 0.97], LO, HI)
    for rate, drawn, error in zip([0.1, 0.3, 0.55, 0.97], samples, wrong, strict=True):
        exact = evaluate(policy, LO, HI, rate)
        assert (drawn, error) == pytest.approx((exact.samples, exact.error))


def compared(policy, problems=200, **options):
    rates = stats.beta(0.5, 0.5).rvs(problems, random_state=1)
    tokens = np.full(problems, 3.0)
    return costs.at_equal_error(policy, rates, tokens, LO, HI, repeats=100, **options), rates


def test_all_rules_have_the_same_share_of_wrong_decisions():
    found, _ = compared(posterior_stop(LO, HI, 0.1, 64, price=0.002, forced=True))
    wrong = [row["wrong"].value for row in found.rows.values()]
    assert wrong == pytest.approx([wrong[0]] * 3)
    for row in found.rows.values():
        assert row["tokens"].value == pytest.approx(3 * row["answers"].value)
        assert row["answers"].low < row["answers"].value < row["answers"].high


def test_posterior_stopping_is_cheaper_than_fixed_and_near_the_optimum():
    found, _ = compared(posterior_stop(LO, HI, 0.1, 64, price=0.002, forced=True))
    assert found.ratios["answers, share of the fixed filter"].high < 0.75
    assert found.ratios["answers, share of the optimum"].value == pytest.approx(1, abs=0.15)


def test_a_fixed_filter_compared_with_itself_costs_no_less():
    found, _ = compared(fixed_plugin(20, LO, HI))
    assert 1 <= found.ratios["answers, share of the fixed filter"].value < 1.3  # a mixture of two sizes may be cheaper
    assert 1 <= len(found.sizes) <= 2


def test_an_error_that_no_fixed_filter_reaches_is_met_by_the_best_of_them():
    rates = [LO + 0.001] * 5  # just over the boundary: even 128 answers decide by chance
    policy = optimal(0.0, 0.01, 0.001, 8, BetaPrior(5, 5))
    found = costs.at_equal_error(np.where(policy == 2, 1, policy), rates, [1.0] * 5, LO, HI, repeats=10)
    assert found.rows["fixed filter"]["wrong"].value > found.rows["this rule"]["wrong"].value


def test_bad_input_is_refused():
    policy = fixed_plugin(4, LO, HI)
    for rates, tokens in (([], []), ([0.5], [1.0, 2.0])):
        with pytest.raises(ValueError, match="one pass rate"):
            costs.at_equal_error(policy, rates, tokens, LO, HI)


def test_merits_of_a_fixed_filter_are_those_of_the_binomial():
    rates = [0.1, 0.5, 0.5, 0.9]
    found = merits(fixed_plugin(4, LO, HI), rates, LO, HI)
    kept = [stats.binom.pmf([2, 3], 4, rate).sum() for rate in rates]
    assert found["answers"].value == 4
    assert found["recall"].value == pytest.approx(kept[1])
    assert found["precision"].value == pytest.approx(2 * kept[1] / sum(kept))
    gain = [abs(rate * (1 - rate) - LO * (1 - LO)) for rate in rates]
    assert found["regret"].value == pytest.approx(
        np.mean([gain[0] * kept[0], *[gain[1] * (1 - kept[1])] * 2, gain[3] * kept[3]])
    )


def test_a_one_sided_filter_keeps_the_hopeless_and_loses_some_of_the_middle():
    samples, shares = outcomes(one_sided(8, 0.625), [0.0, 0.5, 0.75])
    assert samples.tolist() == [8, 8, 8] and shares[0, 1] == 1
    assert shares[1:, 2] == pytest.approx(
        [0.145, 1 - 0.321], abs=0.001
    )  # .5 dropped in 14.5% of draws, .75 kept in 32%


def test_a_looser_limit_for_keeping_raises_the_recall_at_hardly_more_answers():
    rates = stats.beta(0.15, 0.5).rvs(400, random_state=2)
    prior, answers, recall = BetaPrior(0.15, 0.5), [], []
    for keep_error in (None, 0.2):
        found = merits(
            posterior_stop(0.1, 0.8, 0.05, 32, prior, 0.002, keep_error=keep_error, first=4), rates, 0.1, 0.8
        )
        answers.append(found["answers"].value)
        recall.append(found["recall"].value)
        assert found["precision"].value > 0.7
    assert recall[1] > recall[0] + 0.1 and answers[1] < answers[0] + 0.5
