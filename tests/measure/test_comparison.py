"""Paired comparison: worked values, exact tests against enumeration and scipy, coverage of edge cases, several models."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from phi4r_lib.measure.comparison import (
    bayesian_bootstrap,
    compare,
    equivalence,
    holm,
    mcnemar,
    newcombe,
    sign_flip,
)

D = np.array([0.25, 0.5, 0, -0.25, 0.75, 0.25, 0, 0.5])


def with_differences(d):
    """Two tables of four right-or-wrong runs whose problem means differ by d."""
    a, b = [], []
    for x in d:
        hits = round(4 * abs(x))
        some, none = [1] * hits + [0] * (4 - hits), [0] * 4
        a.append(some if x > 0 else none)
        b.append(none if x > 0 else some)
    return a, b


def test_sign_flip_values():
    assert sign_flip(D) == pytest.approx(0.125)
    assert sign_flip(D, one_sided=True) == pytest.approx(0.0625)


def test_compare_values():
    c = compare(*with_differences(D))
    assert c.difference == pytest.approx(D.mean())
    assert c.p_value == pytest.approx(0.125)
    assert c.p_t == pytest.approx(0.067583, abs=5e-7)
    assert (c.low, c.high) == pytest.approx(stats.ttest_1samp(D, 0).confidence_interval(0.95))
    assert c.better == 5 and c.worse == 1 and c.problems == 8
    assert c.low <= 0 <= c.high and c.mcnemar is None


def test_sign_flip_equals_enumeration():
    rng = np.random.default_rng(0)
    for _ in range(5):
        d = rng.integers(-6, 7, 9) / 12
        sums = np.array([np.dot(signs, d) for signs in product((-1, 1), repeat=9)])
        assert sign_flip(d) == pytest.approx(np.mean(np.abs(sums) >= abs(d.sum()) - 1e-12))
        assert sign_flip(d, one_sided=True) == pytest.approx(np.mean(sums >= d.sum() - 1e-12))


def test_sign_flip_without_common_denominator_is_sampled():
    d = np.random.default_rng(1).normal(0.3, 1, 40) * math.pi
    assert sign_flip(d, resamples=20_000) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.02)


def test_mcnemar_values():
    m = mcnemar(10, 3)
    assert m.exact == pytest.approx(0.0922852, abs=5e-8)
    assert m.mid_p == pytest.approx(0.0573730, abs=5e-8)
    assert m.one_sided == pytest.approx(0.0461426, abs=5e-8)
    assert mcnemar(0, 0).exact == 1 and mcnemar(0, 0).mid_p == 1 and mcnemar(4, 4).mid_p == 1
    with pytest.raises(ValueError):
        mcnemar(-1, 2)


def test_one_run_brings_mcnemar_and_newcombe():
    a = [1] * 48 + [0] * 2
    b = [1] * 36 + [0] * 12 + [1] * 2
    c = compare(a, b)
    assert c.mcnemar.only_a == 12 and c.mcnemar.only_b == 2
    assert c.p_value == pytest.approx(c.mcnemar.exact)
    assert c.newcombe == pytest.approx((0.0569296, 0.3404276), abs=5e-8)
    assert math.isnan(c.prediction_noise) and c.difference == pytest.approx(0.2)


def test_newcombe_corrects_a_positive_correlation_and_survives_extremes():
    n, both, neither = 50, 20, 20
    p, phi = 0.5, (20 * 20 - 25 - n / 2) / (25 * 25)
    z2 = stats.norm.ppf(0.975) ** 2
    half = math.sqrt(z2 * p * (1 - p) / n + z2**2 / (4 * n * n)) / (1 + z2 / n)
    expected = math.sqrt(2 * half**2 * (1 - phi))
    assert newcombe(both, 5, 5, neither) == pytest.approx((-expected, expected))
    assert newcombe(0, 10, 0, 0).high == 1
    low, high = newcombe(30, 0, 0, 0)
    assert low < 0 < high


def test_mirror_image():
    rng = np.random.default_rng(2)
    a, b = rng.random((30, 4)) < 0.6, rng.random((30, 6)) < 0.5
    c, r = compare(a, b), compare(b, a)
    assert c.difference == pytest.approx(-r.difference) and c.low == pytest.approx(-r.high)
    assert c.p_value == pytest.approx(r.p_value)
    assert c.probability_better == pytest.approx(1 - r.probability_better)
    assert c.worst == pytest.approx(c.difference) and c.best == pytest.approx(c.difference)


def test_noise_split_adds_up_and_is_unbiased():
    rng = np.random.default_rng(3)
    data, prediction = [], []
    for _ in range(300):
        p = rng.beta(0.5, 0.5, 40)
        q = np.clip(p - 0.1, 0, 1)
        c = compare(rng.random((40, 5)) < p[:, None], rng.random((40, 8)) < q[:, None], draws=10)
        assert c.se**2 * 40 == pytest.approx(c.data_noise + c.prediction_noise)
        data.append(c.data_noise)
        prediction.append(c.prediction_noise)
    many = rng.beta(0.5, 0.5, 400_000)
    less = np.clip(many - 0.1, 0, 1)
    assert np.mean(data) == pytest.approx(np.var(many - less), abs=0.001)
    assert np.mean(prediction) == pytest.approx(np.mean(many * (1 - many) / 5 + less * (1 - less) / 8), rel=0.02)


def test_missing_answers_are_bounded_in_the_difference():
    c = compare([[1, None], [1, 1], [0, 1]], [[0, 0], [None, 1], [0, 0]])
    assert c.missing == 2
    assert c.worst == pytest.approx((0.5 + 0 + 0.5) / 3) and c.best == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert c.worst <= c.difference <= c.best
    assert compare([[1, None], [1, 1]], [[0, 0], [1, 1]], missing="wrong").difference == 0.25


def test_equal_differences_everywhere_do_not_claim_certainty():
    c = compare([1] * 30, [1] * 30)
    assert c.difference == 0 and c.low < 0 < c.high and c.p_value == 1 and c.high < 0.15
    d = compare([[1, 1]] * 6, [[0, 1]] * 6)
    assert d.low < 0.5 < d.high and d.p_value == pytest.approx(2 / 64)


def test_families_are_the_units_when_given():
    a = np.repeat(np.array([[1.0], [0.0], [1.0], [1.0], [0.5]]), 4, axis=0)
    b = np.zeros((20, 1))
    families = np.repeat(["v", "w", "x", "y", "z"], 4)
    alone, grouped = compare(a, b), compare(a, b, clusters=families)
    assert grouped.se > alone.se and grouped.p_value == pytest.approx(2 / 16)
    assert grouped.high - grouped.low > alone.high - alone.low


def test_bayesian_bootstrap_agrees_with_the_normal_limit():
    d = np.random.default_rng(5).normal(0.05, 0.3, 200)
    expected = stats.norm.cdf(d.mean() / (d.std() / math.sqrt(200)))
    assert bayesian_bootstrap(d, draws=20_000) == pytest.approx(expected, abs=0.01)
    assert bayesian_bootstrap(np.zeros(5)) == 0.5


def test_equivalence():
    rng = np.random.default_rng(6)
    base = rng.random((300, 20)) < 0.7
    same = equivalence(base, rng.random((300, 20)) < 0.7, margin=0.05)
    assert same.equivalent and -0.05 < same.low < same.high < 0.05
    lower = rng.random((300, 20)) < 0.62
    assert not equivalence(base, lower, margin=0.05).equivalent
    few = equivalence([1, 1, 1], [1, 1, 1], margin=0.02)
    assert few.p_value > 0.9 and not few.equivalent
    with pytest.raises(ValueError):
        equivalence([1, 0], [1, 0], margin=0)


def test_equivalence_interval_and_verdict_agree():
    rng = np.random.default_rng(7)
    for _ in range(200):
        e = equivalence(rng.random((40, 4)) < 0.6, rng.random((40, 4)) < 0.6, margin=0.08)
        assert e.equivalent == (max(-e.low, e.high) < 0.08)


def test_holm_values():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]).size == 0


def test_test_keeps_its_level():
    rng = np.random.default_rng(9)
    hits = sum(
        compare(rng.random((30, 2)) < 0.5, rng.random((30, 2)) < 0.5, draws=10).p_value < 0.05 for _ in range(400)
    )
    assert hits / 400 < 0.075


@pytest.mark.parametrize(("a", "b"), [([1, 0], [1, 0, 1]), ([1], [0]), ([[None], [1]], [[1], [1]])])
def test_refusals(a, b):
    with pytest.raises(ValueError):
        compare(a, b)


def test_one_verdict_in_one_problem_does_not_spoil_the_split():
    c = compare([[1], [1, 0], [0, 1]], [[0, 0], [0, 1], [0, 0]])
    assert c.within_a == pytest.approx(0.5) and math.isfinite(c.data_noise)
