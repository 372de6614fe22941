"""Decomposition: worked values, holes in the table, unbiasedness against simulation, and a published row re-read."""

import math

import numpy as np
import pytest

from phi4r_lib.measure.intervals import wilson
from phi4r_lib.measure.scores import read_scores
from phi4r_lib.measure.variance import decompose, reread

TOY = [[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0]]


def test_one_problem_within_variance():
    assert read_scores([[1] * 3 + [0] * 7, [1] * 10]).variances[0] == pytest.approx(7 / 30)


def test_toy_values():
    d = decompose(TOY)
    assert d.mean == 0.5
    assert d.within == pytest.approx(0.1666667, abs=5e-8)
    assert d.between == pytest.approx(0.1145833, abs=5e-8)
    assert d.within + 4 * d.between == pytest.approx(0.625)  # mean square between problems
    assert d.icc == pytest.approx(0.4074074, abs=5e-8)
    assert d.se_population == pytest.approx(0.1767767, abs=5e-8)
    assert d.se_fixed == pytest.approx(0.0912871, abs=5e-8)
    assert d.run_sd == pytest.approx(0.1825742, abs=5e-8)
    assert not d.negative_between and d.missing == 0 and d.worst == d.best == d.mean


def test_negative_between_is_reported_not_hidden():
    d = decompose([[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 1]])
    assert d.between == pytest.approx(-0.0555556, abs=5e-8)
    assert d.negative_between and d.icc < 0 and d.within_share > 1


def test_unbalanced_rows_need_no_padding_and_lose_nothing():
    d = decompose([[1, 1], [0, 1, 0, 1], [0, 0, 0]])
    assert d.mean == pytest.approx(0.5) and d.missing == 0 and d.runs == 3
    v, k = np.array([0, 1 / 3, 0]), np.array([2, 4, 3])
    assert d.se_fixed == pytest.approx(math.sqrt((v / k).sum()) / 3)
    assert d.between == pytest.approx(np.var([1, 0.5, 0], ddof=1) - (v / k).mean())


def test_missing_answers_are_counted_and_bounded():
    table = [[1, None, 1, 0], [float("nan"), 1, 0, 1]]
    d = decompose(table)
    assert d.missing == 2 and d.mean == pytest.approx(2 / 3)
    assert (d.worst, d.best) == (0.5, 0.75)
    assert decompose(table, missing="wrong").mean == 0.5
    assert decompose(table, missing="right").mean == 0.75


def test_a_problem_without_any_verdict_is_not_dropped():
    with pytest.raises(ValueError, match="no graded answer"):
        decompose([[None, None], [1, 0], [1, 1]])
    assert decompose([[None, None], [1, 0], [1, 1]], missing="wrong").mean == 0.5


def test_single_verdict_borrows_the_mean_variance():
    d = decompose([[1], [1, 0], [0, 0]])
    assert d.within == pytest.approx(np.mean([0.25, 0.5, 0.0]))


@pytest.mark.parametrize(
    "bad", [[[1], [0], [1]], [1, 0, 1], [[1, 0]], [], [[1, 2], [0, 1]], [["yes", "no"]], [[], [1, 0]], 5, None, "1001"]
)
def test_undefined_or_bad_input_raises(bad):
    with pytest.raises(ValueError):
        decompose(bad)


def test_estimates_are_unbiased_also_when_unbalanced():
    rng = np.random.default_rng(1)
    runs = np.array([2, 3, 4, 8, 5])
    found = []
    for _ in range(2000):
        p = rng.beta(0.5, 0.5, runs.size)
        found.append(decompose([list((rng.random(k) < q) * 1) for k, q in zip(runs, p, strict=True)]))
    # Beta(.5,.5): E[p(1-p)] = 1/8, Var(p) = 1/8
    assert np.mean([d.within for d in found]) == pytest.approx(0.125, abs=0.004)
    assert np.mean([d.between for d in found]) == pytest.approx(0.125, abs=0.006)
    spread = np.var([d.mean for d in found])
    assert np.mean([d.se_population**2 for d in found]) == pytest.approx(spread, rel=0.08)


def test_se_fixed_is_the_error_over_fresh_runs():
    rng = np.random.default_rng(2)
    p = rng.beta(0.5, 0.5, 30)
    answers = rng.random((2000, 30, 4)) < p[:, None]
    spread = answers.mean(axis=(1, 2)).std()
    assert math.sqrt(np.mean([decompose(a).se_fixed ** 2 for a in answers[:300]])) == pytest.approx(spread, rel=0.06)
    assert math.sqrt(np.mean([decompose(a).run_sd ** 2 for a in answers[:300]])) == pytest.approx(2 * spread, rel=0.06)


def test_interval_is_wider_about_problems_like_these():
    d = decompose(TOY)
    these, like_these = d.interval("these problems"), d.interval("problems like these")
    assert like_these.high - like_these.low > these.high - these.low
    with pytest.raises(ValueError, match="about"):
        d.interval("problems")


@pytest.mark.parametrize(
    ("mean", "sd", "share", "se_fixed", "se_population"),
    [
        (0.631, 0.063, 51, 0.9, 6.2),
        (0.780, 0.046, 37, 0.65, 6.0),
        (0.825, 0.049, 50, 0.69, 5.0),
        (0.704, 0.043, 27, 0.61, 7.2),
        (0.515, 0.058, 40, 0.82, 7.1),
    ],
)
def test_published_rows(mean, sd, share, se_fixed, se_population):
    d = reread(mean, sd, problems=30, runs=50)
    assert round(100 * d.within_share) == share
    assert 100 * d.se_fixed == pytest.approx(se_fixed, abs=0.0101 if se_fixed != 0.9 else 0.05)
    assert round(100 * d.se_population, 1) == se_population


def test_reread_agrees_with_decompose_on_the_same_data():
    rng = np.random.default_rng(3)
    answers = rng.random((400, 40)) < rng.beta(0.5, 0.5, 400)[:, None]
    full = decompose(answers)
    row = reread(full.mean, full.run_sd, 400, 40)
    assert row.between == pytest.approx(full.between, abs=0.005)
    assert row.se_population == pytest.approx(full.se_population, rel=0.02)


@pytest.mark.parametrize("bad", [(1.2, 0.1, 30, 50), (0.5, -0.1, 30, 50), (0.5, 0.1, 1, 50), (0.5, 0.1, 30, 0)])
def test_reread_refuses_nonsense(bad):
    with pytest.raises(ValueError):
        reread(*bad)


@pytest.mark.parametrize(
    ("right", "fixed", "like"), [(0, (0, 0.015754), (0, 0.113513)), (30, (0.984246, 1), (0.886487, 1))]
)
def test_all_runs_alike_still_leave_a_doubt(right, fixed, like):
    """30 problems, 8 runs, none or all right: Wilson over 240 verdicts, and over 30 problems as for a single run."""
    parts = decompose([[int(problem < right)] * 8 for problem in range(30)])
    assert parts.interval("these problems") == pytest.approx(fixed, abs=1e-6)
    assert parts.interval("problems like these") == pytest.approx(like, abs=1e-6)


def test_runs_that_agree_on_solved_and_unsolved_problems():
    parts = decompose([[1] * 8] * 15 + [[0] * 8] * 15)
    low, high = parts.interval("these problems")
    assert low == pytest.approx(0.5 * wilson(120, 120).low) and high == pytest.approx(1 - low)
