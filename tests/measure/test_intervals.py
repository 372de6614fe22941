"""Intervals: worked values, clusters, bands over a curve, refusals."""

import numpy as np
import pytest
from scipy import stats

from phi4r_lib.measure.intervals import (
    bca_interval,
    beta_uniform,
    clopper_pearson,
    cluster_robust,
    jeffreys,
    normal,
    simultaneous_band,
    t_interval,
    wilson,
)
from phi4r_lib.measure.variance import decompose


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        (wilson, 0.626943, 0.904949),
        (clopper_pearson, 0.614333, 0.922864),
        (beta_uniform, 0.625268, 0.904058),
        (jeffreys, 0.633387, 0.911933),
        (normal, 0.656864, 0.943136),
    ],
)
def test_24_of_30(method, low, high):
    assert method(24, 30) == pytest.approx((low, high), abs=5e-7)


def test_all_right_and_all_wrong():
    assert normal(30, 30) == (1, 1)
    assert wilson(30, 30) == pytest.approx((0.886487, 1), abs=5e-7)
    assert clopper_pearson(30, 30) == pytest.approx((0.884297, 1), abs=5e-7)
    assert clopper_pearson(0, 8).high == pytest.approx(0.369417, abs=5e-7)


@pytest.mark.parametrize("bad", [(1, 0), (-1, 5), (6, 5)])
def test_one_run_refusals(bad):
    for method in (wilson, clopper_pearson, jeffreys, beta_uniform, normal):
        with pytest.raises(ValueError):
            method(*bad)
    with pytest.raises(ValueError, match="level"):
        wilson(1, 2, level=95)


def test_t_interval_is_the_classical_one():
    means = np.array([0.2, 0.4, 0.9, 1.0, 0.0])
    assert t_interval(means) == pytest.approx(stats.ttest_1samp(means, 0).confidence_interval(0.95))


def test_bca_is_close_to_t_and_refuses_constants():
    means = np.random.default_rng(0).beta(2, 2, 60)
    assert bca_interval(means) == pytest.approx(t_interval(means), abs=0.01)
    with pytest.raises(ValueError, match="equal"):
        bca_interval([1.0, 1.0, 1.0])


def test_the_error_for_new_problems_holds_where_a_bootstrap_of_problems_and_runs_counts_runs_twice():
    """Variance of the mean of 30 problems x 4 runs, rates from Beta(.5, .5): theory, ours, the bootstrap that counts twice."""
    n, runs, rng = 30, 4, np.random.default_rng(1)
    theory = (0.125 + 0.125 / runs) / n
    ours, twice = np.zeros(300), np.zeros(300)
    for i in range(300):
        y = rng.random((n, runs)) < rng.beta(0.5, 0.5, n)[:, None]
        picks, cells = rng.integers(0, n, (100, n)), rng.integers(0, runs, (100, n, runs))
        ours[i] = decompose(y).se_population ** 2
        twice[i] = y[picks[:, :, None], cells].mean(axis=(1, 2)).var()
    assert ours.mean() == pytest.approx(theory, rel=0.03) and twice.mean() > 1.07 * theory


def test_cluster_values():
    scores = [1, 1, 0, 0, 0, 1, 1, 1, 0, 1]
    families = ["a"] * 3 + ["b"] * 2 + ["c"] * 2 + ["d"] * 3
    found = cluster_robust(scores, families)
    assert found.se == pytest.approx(0.1697056, abs=5e-8)
    assert found.se * np.sqrt(3 / 4) == pytest.approx(0.1469694, abs=5e-8)  # without the small-cluster correction
    assert np.std(scores, ddof=1) / np.sqrt(10) == pytest.approx(0.1632993, abs=5e-8)
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 3) * found.se)
    assert found.clusters == 4 and found.few


def test_each_problem_its_own_family_is_the_t_interval():
    means = np.random.default_rng(2).random(50)
    found = cluster_robust(means, range(50))
    assert (found.low, found.high) == pytest.approx(t_interval(means)) and not found.few


def test_cluster_refusals():
    with pytest.raises(ValueError, match="two families"):
        cluster_robust([1, 0], ["a", "a"])
    with pytest.raises(ValueError, match="one name per problem"):
        cluster_robust([1, 0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="missing"):
        cluster_robust([1, np.nan], ["a", "b"])


def test_band_covers_the_whole_curve():
    rng = np.random.default_rng(3)
    ks = np.arange(1, 9)
    truth = 1 - np.array([stats.beta.expect(lambda p, k=k: (1 - p) ** k, args=(1, 1)) for k in ks])
    inside = pointwise = 0
    for seed in range(150):
        p = rng.random(60)
        band = simultaneous_band(1 - (1 - p[:, None]) ** ks, seed=seed, resamples=400)
        inside += ((band.low <= truth) & (truth <= band.high)).all()
        half = stats.t.ppf(0.975, 59) * band.se
        pointwise += (np.abs(band.mean - truth) <= half).all()
    assert inside / 150 > 0.9
    assert inside >= pointwise


def test_band_of_a_flat_curve_and_refusals():
    band = simultaneous_band(np.ones((5, 3)))
    assert (band.high == 1).all()
    assert band.low == pytest.approx(
        wilson(5, 5, 1 - 0.05 / 3).low
    )  # five equal problems promise nothing about a sixth
    with pytest.raises(ValueError):
        simultaneous_band(np.ones((1, 3)))
    with pytest.raises(ValueError):
        simultaneous_band(np.array([[1, np.nan], [0, 1]]))


@pytest.mark.parametrize("n", [*range(1, 60), 199, 1000])
def test_ends_never_pass_the_share(n):
    for successes in {0, 1, n // 2, n - 1, n}:
        for method in (wilson, clopper_pearson, normal):
            low, high = method(successes, n)
            assert 0 <= low <= successes / n <= high <= 1


def test_equal_scores_leave_the_same_doubt_as_one_run():
    assert t_interval([0.0] * 30) == wilson(0, 30) and wilson(0, 30).high == pytest.approx(0.113513, abs=1e-6)
    assert t_interval([0.5] * 4) == wilson(2, 4)
    families = cluster_robust([1.0] * 6, ["a", "a", "b", "b", "c", "c"])
    assert (families.low, families.high) == wilson(3, 3)
