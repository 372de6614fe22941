"""Additivity as an equivalence test: worked value, both errors in simulation, refusals."""

import numpy as np
import pytest

from phi4r_lib.measure.trial import additivity, interactions, tost


def test_worked_value():
    found = tost(0.006, 0.007, 0.02)
    assert found.p_value == pytest.approx(0.02275, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((-0.0055, 0.0175), abs=5e-5)
    assert found.additive


def test_verdict_is_the_interval_inside_the_margin():
    for estimate in (-0.03, -0.012, 0.0, 0.009, 0.018):
        for df in (3, float("inf")):
            t = tost(estimate, 0.006, 0.02, df=df)
            assert t.additive == (max(-t.low, t.high) < 0.02)


def cells(rng, interaction, seeds=8, problems=400):
    problem = rng.normal(0, 0.1, problems)
    noise = lambda: rng.normal(0, 0.01, (seeds, 1)) + rng.normal(0, 0.2, (seeds, problems))  # noqa: E731
    base = 0.4 + problem + rng.normal(0, 0.02, (seeds, 1))
    return base + noise(), base + 0.1 + noise(), base + 0.2 + noise(), base + 0.3 + interaction + noise()


def test_additive_gains_are_found_and_a_margin_sized_interaction_is_not():
    rng = np.random.default_rng(0)
    additive = [additivity(*cells(rng, 0.0), margin=0.05).additive for _ in range(100)]
    at_margin = [additivity(*cells(rng, 0.05), margin=0.05).additive for _ in range(300)]
    assert np.mean(additive) > 0.8
    assert np.mean(at_margin) < 0.08


def test_both_factors_enter_the_error():
    rng = np.random.default_rng(1)
    seeds, problems, found, means = 6, 60, [], []
    for _ in range(300):
        i = rng.normal(0, 0.05, (seeds, 1)) + rng.normal(0, 0.2, problems) + rng.normal(0, 0.3, (seeds, problems))
        zero = np.zeros_like(i)
        result = additivity(zero, zero, zero, i, margin=0.1)
        found.append(result.se**2)
        means.append(result.interaction)
    assert np.mean(found) == pytest.approx(np.var(means), rel=0.2)


def test_one_score_a_seed_is_a_paired_t_test():
    i = np.array([0.01, 0.02, -0.01, 0.0])
    zero = np.zeros(4)
    found = additivity(zero, zero, zero, i)
    assert found.interaction == pytest.approx(i.mean())
    assert found.se == pytest.approx(i.std(ddof=1) / 2) and found.df == 3


def test_interaction_sign():
    assert interactions([0.4], [0.5], [0.6], [0.65])[0] == pytest.approx(-0.05)


@pytest.mark.parametrize(
    "bad",
    [
        ([0.1], [0.2], [0.3], [0.4]),
        ([0.1, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1]),
        ([0.1, np.nan], [0.1, 0.2], [0.1, 0.2], [0.1, 0.3]),
        ([0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]),
    ],
)
def test_refusals(bad):
    with pytest.raises(ValueError):
        additivity(*bad)
    with pytest.raises(ValueError):
        tost(0.0, 0.01, 0)
