"""pass@k, pass^k, best and worst of k: worked values, brute force over subsets, unbiased variances, refusals."""

from itertools import combinations

import numpy as np
import pytest

from phi4r_lib.measure.passk import (
    pass_at_k,
    pass_at_k_variance,
    pass_curve,
    pass_hat_k,
    pass_hat_k_variance,
)


def test_worked_values():
    assert pass_at_k(10, 3, 5) == pytest.approx(0.9166667, abs=5e-8)
    assert pass_hat_k(10, 3, 2) == pytest.approx(0.0666667, abs=5e-8)
    assert pass_at_k(10, 5, 5) == pytest.approx(0.996032, abs=5e-7)
    assert pass_at_k(8, 1, 8) == 1.0
    right = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 1, 1]]).sum(axis=1)
    assert pass_at_k(5, right, 2).mean() == pytest.approx(0.95)
    assert pass_hat_k(5, right, 2).mean() == pytest.approx(0.45)


def test_worked_variances():
    assert pass_at_k_variance(10, 3, 2) == pytest.approx(0.0511111, abs=5e-8)
    assert pass_at_k_variance(10, 3, 5) == pytest.approx(0.0069444, abs=5e-8)
    assert pass_at_k_variance(10, 3, 1) == pytest.approx(0.0233333, abs=5e-8)
    assert pass_at_k_variance(10, 3, 1) == pytest.approx(0.3 * 0.7 / 9)


@pytest.mark.parametrize(
    ("n", "c", "k"), [(3, 2, 5), (5, 3, 10), (5, 6, 2), (5, -1, 2), (5, 2, 0), (0, 0, 1), (5, 2.5, 1)]
)
def test_undefined_raises(n, c, k):
    for estimator in (pass_at_k, pass_hat_k):
        with pytest.raises(ValueError):
            estimator(n, c, k)


def test_variance_needs_twice_k():
    with pytest.raises(ValueError, match="at least 6"):
        pass_at_k_variance(5, 2, 3)
    with pytest.raises(ValueError):
        pass_at_k_variance(np.array([10, 5]), np.array([1, 1]), 3)


@pytest.mark.parametrize("n", [1, 4, 7])
def test_equal_to_brute_force(n):
    for c in range(n + 1):
        answers = [1] * c + [0] * (n - c)
        for k in range(1, n + 1):
            subsets = list(combinations(answers, k))
            assert pass_at_k(n, c, k) == pytest.approx(np.mean([max(s) for s in subsets]))
            assert pass_hat_k(n, c, k) == pytest.approx(np.mean([min(s) for s in subsets]))


@pytest.mark.parametrize(("value", "variance"), [(pass_at_k, pass_at_k_variance), (pass_hat_k, pass_hat_k_variance)])
def test_mean_and_variance_are_unbiased_exactly(value, variance):
    from scipy.stats import binom

    n, p = 9, 0.35
    c = np.arange(n + 1)
    chance = binom.pmf(c, n, p)
    for k in (1, 2, 4):
        truth = 1 - (1 - p) ** k if value is pass_at_k else p**k
        estimates = value(np.full(n + 1, n), c, k)
        assert chance @ estimates == pytest.approx(truth)
        exact_variance = chance @ estimates**2 - truth**2
        assert chance @ variance(np.full(n + 1, n), c, k) == pytest.approx(exact_variance)


def test_curve_has_band_and_leaves_undefined_errors_open():
    c = np.array([0, 1, 3, 5, 8, 8])
    curve = pass_curve(8, c, [1, 2, 4, 8])
    assert curve.per_problem.shape == (6, 4)
    assert np.isfinite(curve.se_fixed[:3]).all() and np.isnan(curve.se_fixed[3])
    assert (np.diff(curve.band.mean) >= 0).all()
    assert (curve.band.low <= curve.band.mean).all() and (curve.band.mean <= curve.band.high).all()
    falling = pass_curve(8, c, [1, 2, 4], every=True)
    assert (np.diff(falling.band.mean) <= 0).all()
