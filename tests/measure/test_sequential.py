"""Anytime-valid evidence: worked values, and false alarms under constant peeking."""

import math

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import binom

from phi4r_lib.measure.intervals import clopper_pearson
from phi4r_lib.measure.sequential import confidence_sequence, mean_sequence, run_e_values


@pytest.mark.parametrize(
    ("s", "n", "low", "high"),
    [(8, 10, 0.353042, 0.989517), (24, 30, 0.531333, 0.955114), (80, 100, 0.651792, 0.907231)],
)
def test_confidence_sequence_values(s, n, low, high):
    assert confidence_sequence(s, n) == pytest.approx((low, high), abs=5e-7)


def test_confidence_sequence_at_the_edges():
    assert confidence_sequence(0, 0) == (0, 1)
    low, high = confidence_sequence(30, 30)
    assert high == 1 and 0.8 < low < clopper_pearson(30, 30).low
    assert confidence_sequence(0, 30) == pytest.approx((0, 1 - low))
    assert confidence_sequence(0, 1).high > 0.95
    for bad in ((-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)):
        with pytest.raises(ValueError):
            confidence_sequence(*bad)


def test_confidence_sequence_covers_at_every_look():
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(1000):
        answers = rng.random(400) < 0.8
        s, n = np.cumsum(answers), np.arange(1, 401)
        # 0.8 leaves the sequence exactly when the mixture likelihood ratio against it reaches 1/alpha
        ratio = betaln(1 + s, 1 + n - s) - s * math.log(0.8) - (n - s) * math.log(0.2)
        missed += ratio.max() >= math.log(20)
        at = int(ratio.argmax())
        low, high = confidence_sequence(int(s[at]), int(n[at]))
        assert (low <= 0.8 <= high) == (ratio[at] < math.log(20))
    assert missed / 1000 < 0.05


def test_run_e_values_keep_their_level_and_find_differences():
    rng = np.random.default_rng(2)
    p = rng.beta(0.5, 0.5, 30)
    q = rng.permutation(p)  # equal averages, unequal problems
    alarms = np.zeros(2)
    for _ in range(300):
        d = (rng.random((60, 30)) < p).mean(axis=1) - (rng.random((60, 30)) < q).mean(axis=1)
        alarms += [run_e_values(d).max() >= 20, run_e_values(d, problems=30).max() >= 20]
    assert (alarms / 300 < 0.06).all()
    d = (rng.random((60, 30)) < 0.8).mean(axis=1) - (rng.random((60, 30)) < 0.6).mean(axis=1)
    assert run_e_values(d)[-1] > 1000
    for bad in (lambda: run_e_values([0.5, 1.5]), lambda: run_e_values([0.5], problems=0)):
        with pytest.raises(ValueError):
            bad()


def test_independent_answers_sharpen_the_run_e_value():
    rng = np.random.default_rng(4)
    d = rng.binomial(240, 0.68, 12) / 240 - rng.binomial(240, 0.61, 12) / 240
    assert run_e_values(d, problems=240)[-1] > 20 > run_e_values(d)[-1]
    # closed form of one pair, and the fairness that makes it an e-value: two problems, every possible result weighed
    assert run_e_values([0.5], problems=2)[0] == pytest.approx(math.exp(0.25) / math.sqrt(2))
    right = binom.pmf(np.arange(3), 2, 0.5)
    values = [[run_e_values([(a - b) / 2], problems=2)[0] for b in range(3)] for a in range(3)]
    assert right @ np.array(values) @ right <= 1


def test_run_e_value_is_a_fair_bet():
    gains = np.array([-1.0, 1.0])
    first = [run_e_values([g])[0] for g in gains]
    assert np.mean(first) == pytest.approx(1)


def test_mean_sequence_covers_and_shrinks():
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(60):
        values = rng.beta(2, 1, 80)
        low, high = mean_sequence(values, grid=40)
        missed += not low <= 2 / 3 <= high
    assert missed <= 6
    short, long = mean_sequence(values[:20], grid=200), mean_sequence(values, grid=200)
    assert long.high - long.low < short.high - short.low
    assert mean_sequence([], grid=50) == (0, 1)
    ones = mean_sequence(np.ones(60))
    assert ones.high == 1 and 0.85 < ones.low < 1
    with pytest.raises(ValueError):
        mean_sequence([0.5, 2])
