"""Planning: worked values, exact misranking against enumeration and simulation, power against simulated tests."""

import math

import numpy as np
import pytest
from scipy import special, stats

from phi4r_lib.measure.power import (
    advise,
    neyman_ratio,
    p_misrank,
    p_misrank_summary,
    problems_needed,
    rank_probabilities,
    runs_needed,
    smallest_difference,
    standard_errors,
)


def test_problems_needed_values():
    assert problems_needed(0.03, 1 / 9, runs_a=math.inf) == 969
    assert problems_needed(0.03, 1 / 9, 1 / 6, 1 / 6) == 3876
    assert problems_needed(0.03, 1 / 9, 1 / 6, 1 / 6, runs_a=10) == 1260


def test_smallest_difference_values():
    assert smallest_difference(198, 10, 1 / 9, 1 / 6, 1 / 6) == pytest.approx(0.0757, abs=5e-5)
    found = smallest_difference(30, np.array([1, 8, 64]), 0.05, 0.12, 0.12)
    assert (100 * found).round(1).tolist() == [27.5, 14.5, 11.9]
    table = smallest_difference(np.array([[30], [120]]), np.array([1, 8, math.inf]), 0.05, 0.12, 0.12)
    assert table.shape == (2, 3) and (np.diff(table, axis=1) < 0).all()
    assert table[0] == pytest.approx(2 * table[1])


def test_runs_needed_values():
    assert runs_needed(0.05, 0.12, 0.12, 30) == 26
    assert runs_needed(0.05, 0.12, 0.12, 30, data_noise=0.05) == math.inf
    enough = runs_needed(0.05, 0.12, 0.12, 400, data_noise=0.05)
    assert smallest_difference(400, enough, 0.05, 0.12, 0.12) <= 0.05
    assert smallest_difference(400, enough - 1, 0.05, 0.12, 0.12) > 0.05


def test_negative_data_noise_counts_as_none():
    assert runs_needed(0.05, 0.12, 0.12, 30, data_noise=-0.01) == 26


@pytest.mark.parametrize("bad", [(0, 0.1, 0.1, 30), (0.05, -0.1, 0.1, 30), (0.05, 0.1, 0.1, 0), (1.5, 0.1, 0.1, 30)])
def test_runs_needed_refuses(bad):
    with pytest.raises(ValueError):
        runs_needed(*bad)


def test_other_refusals():
    for call in (
        lambda: problems_needed(0.05, 0.1, 0.1, 0.1, runs_a=0),
        lambda: smallest_difference(0, 1, 0.1, 0.1, 0.1),
        lambda: p_misrank([0.5], [0.5, 0.5]),
        lambda: p_misrank([1.5], [0.5]),
        lambda: p_misrank([0.5], [0.5], runs=0),
        lambda: p_misrank_summary(0.1, 0, 0),
        lambda: runs_needed(0.05, 0.1, 0.1, 30, power=1.0),
    ):
        with pytest.raises(ValueError):
            call()


def test_smallest_difference_agrees_with_simulation():
    least = smallest_difference(100, 4, 0.02, 0.15, 0.2)
    rng = np.random.default_rng(0)
    d = rng.normal(least, math.sqrt(0.02 + 0.15 / 4 + 0.2 / 4), (4000, 100))
    assert (stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.025)


def test_advice_says_when_no_runs_will_do():
    stuck = advise(0.05, 0.05, 0.12, 0.12, problems=30, runs=50)
    assert stuck.runs_these == 26 and math.isinf(stuck.runs_like_these)
    assert "no number of runs will do" in stuck.message and str(stuck.problems) in stuck.message
    assert stuck.floor < stuck.detectable and stuck.floor > 0.05
    assert problems_needed(0.05, 0.05, 0.12, 0.12, runs_a=50) == stuck.problems
    fine = advise(0.2, 0.05, 0.12, 0.12, problems=30, runs=4)
    assert fine.runs_like_these < math.inf and "no number" not in fine.message


def test_misrank_values():
    a, b = [0.9] * 20 + [0.5] * 10, [0.85] * 20 + [0.45] * 10
    below, tie, above = rank_probabilities(a, b)
    assert below == pytest.approx(0.2556847, abs=5e-8)
    assert tie == pytest.approx(0.1157978, abs=5e-8)
    assert below + tie + above == pytest.approx(1)
    assert p_misrank(a, b) == pytest.approx(0.2556847 + 0.1157978 / 2, abs=1e-7)


def test_misrank_summary_values():
    o3, plus = (0.825, 0.049), (0.780, 0.046)
    for runs, value, digits in ((1, 0.2516, 4), (5, 0.0672, 4), (50, 1e-6, 6)):
        assert round(p_misrank_summary(o3[0] - plus[0], o3[1], plus[1], runs), digits) == value
    assert round(p_misrank_summary(0.704 - 0.631, 0.043, 0.063), 3) == 0.169


def test_misrank_of_several_runs_is_the_exact_convolution():
    rng = np.random.default_rng(1)
    a, b = rng.random(6), rng.random(6)
    assert p_misrank(a, b, runs=3) == pytest.approx(p_misrank(np.tile(a, 3), np.tile(b, 3)))
    scores = (
        rng.binomial(1, np.tile(a, 3), (20_000, 18)).sum(axis=1),
        rng.binomial(1, np.tile(b, 3), (20_000, 18)).sum(axis=1),
    )
    simulated = (scores[0] < scores[1]).mean() + (scores[0] == scores[1]).mean() / 2
    assert p_misrank(a, b, runs=3) == pytest.approx(simulated, abs=0.012)
    assert p_misrank(a, a) == pytest.approx(0.5)


def test_misrank_small_tails_survive():
    a, b = np.full(240, 0.6), np.full(240, 0.5)
    exact = p_misrank(a, b, runs=16)
    normal = p_misrank_summary(0.1, math.sqrt(0.24 / 240), math.sqrt(0.25 / 240), 16)
    assert 0 < exact < 1e-15 and exact == pytest.approx(normal, rel=0.5)


@pytest.mark.parametrize(
    ("shape", "value"), [((1, 1), 0.925), ((0.5, 0.5), 0.811), ((0.3, 0.3), 0.680), ((0.2, 0.2), 0.559)]
)
def test_neyman_ratio_values(shape, value):
    rates = stats.beta(*shape).ppf((np.arange(200_000) + 0.5) / 200_000)
    assert round(neyman_ratio(rates), 3) == value
    a, b = shape
    exact = special.beta(a + 0.5, b + 0.5) ** 2 / (special.beta(a, b) * special.beta(a + 1, b + 1))
    assert round(exact, 3) == value


def test_neyman_ratio_without_doubt():
    assert neyman_ratio([0, 1, 1]) == 1


def test_standard_errors_have_a_floor():
    fixed, population = standard_errors(0.12, 0.1, 30, np.array([1, 10, 1e9]))
    assert fixed[-1] < 1e-5 and population[-1] == pytest.approx(math.sqrt(0.1 / 30))
    assert fixed[0] == pytest.approx(math.sqrt(0.12 / 30))
