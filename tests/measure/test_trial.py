"""The three variance components and paired arms: worked values, simulation, refusals."""

import math

import numpy as np
import pytest

from phi4r_lib.measure.trial import compare_arms, compare_pairs, decompose_seeds, paired_difference, two_way_se


def simulate(rng, seeds, problems, runs, seed_sd, problem_sd, both_sd, run_sd):
    """Scores with known components, shape seeds x problems x runs (normal, so that the truth is exact)."""
    return (
        0.5
        + rng.normal(0, seed_sd, (seeds, 1, 1))
        + rng.normal(0, problem_sd, (1, problems, 1))
        + rng.normal(0, both_sd, (seeds, problems, 1))
        + rng.normal(0, run_sd, (seeds, problems, runs))
    )


def test_worked_by_hand():
    # Two seeds, two problems, two runs: cell means [[1, .5], [.5, 0]].
    correct = np.array([[[1, 1], [1, 0]], [[0, 1], [0, 0]]])
    found = decompose_seeds(correct)
    assert found.mean == 0.5
    assert found.run == pytest.approx(0.25)  # v = 0, .5, .5, 0
    # Seed means .75 and .25: MS_seed = 2 * .125 = .25; problems alike; nothing is left over.
    assert found.seed == pytest.approx(0.125)
    assert found.problem == pytest.approx(0.125)
    assert found.seed_problem == pytest.approx(-0.125)  # negative by chance, and left so
    assert found.se_recipe == pytest.approx(math.sqrt(0.25 / 4))
    assert found.se_population == pytest.approx(math.sqrt(0.5 / 4))
    assert found.se_models == pytest.approx(math.sqrt(0.25 / 8))


def test_components_are_unbiased_in_simulation():
    rng = np.random.default_rng(0)
    parts = [decompose_seeds(simulate(rng, 4, 30, 3, 0.05, 0.2, 0.1, 0.3)) for _ in range(600)]
    for name, truth in (("seed", 0.05**2), ("problem", 0.2**2), ("seed_problem", 0.1**2), ("run", 0.3**2)):
        values = np.array([getattr(part, name) for part in parts])
        assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(values.size), name


@pytest.mark.parametrize(
    ("error", "fixed"), [("se_population", ()), ("se_recipe", ("problem",)), ("se_models", ("problem", "seed", "both"))]
)
def test_each_standard_error_is_that_of_its_own_repetition(error, fixed):
    """Repeat with the named factors held fixed: the variance of the mean must be the mean squared standard error."""
    rng = np.random.default_rng(1)
    problem = rng.normal(0, 0.2, (1, 20, 1))
    seed, both = rng.normal(0, 0.06, (5, 1, 1)), rng.normal(0, 0.1, (5, 20, 1))
    means, squares = [], []
    for _ in range(1500):
        p = problem if "problem" in fixed else rng.normal(0, 0.2, (1, 20, 1))
        s = seed if "seed" in fixed else rng.normal(0, 0.06, (5, 1, 1))
        b = both if "both" in fixed else rng.normal(0, 0.1, (5, 20, 1))
        found = decompose_seeds(0.5 + p + s + b + rng.normal(0, 0.3, (5, 20, 4)))
        means.append(found.mean)
        squares.append(getattr(found, error) ** 2)
    assert np.mean(squares) == pytest.approx(np.var(means), rel=0.12)


def test_shares_follow_the_formula():
    rng = np.random.default_rng(2)
    found = decompose_seeds(simulate(rng, 6, 40, 5, 0.05, 0.2, 0.1, 0.3))
    shares = found.shares()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["problem"] > shares["training seed"] > 0
    total = found.seed / 6 + found.problem / 40 + found.seed_problem / 240 + found.run / 1200
    assert total == pytest.approx(found.se_population**2)


def test_two_seeds_pay_with_a_wide_interval():
    rng = np.random.default_rng(3)
    a, b = (simulate(rng, 2, 60, 4, 0.02, 0.2, 0.05, 0.3).mean(2) for _ in range(2))
    found = paired_difference(a, b)
    assert found.df == 1
    assert (found.high - found.low) / 2 == pytest.approx(12.7062 * found.se, rel=1e-4)


def test_paired_difference_covers_the_truth():
    rng = np.random.default_rng(4)
    hits, trials = 0, 400
    for _ in range(trials):
        problem = rng.normal(0, 0.2, (1, 40))
        reference = 0.4 + problem + rng.normal(0, 0.03, (8, 1)) + rng.normal(0, 0.1, (8, 40))
        arm = (
            reference + 0.03 + rng.normal(0, 0.02, (8, 1)) + rng.normal(0, 0.05, (1, 40)) + rng.normal(0, 0.1, (8, 40))
        )
        found = paired_difference(arm, reference)
        hits += found.low <= 0.03 <= found.high
    assert 0.93 <= hits / trials <= 1.0


def test_no_arm_without_a_difference_is_called_better_too_often():
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(300):
        arms = {name: 0.5 + rng.normal(0, 0.03, (6, 1)) + rng.normal(0, 0.2, (6, 50)) for name in "abcde"}
        false += any(row.verdict != "within noise" for row in compare_arms(arms, "a"))
    assert false / 300 <= 0.08


def test_pairs_with_references_of_their_own_share_one_error_rate():
    rng = np.random.default_rng(3)
    arms = {name: rng.random((4, 30)) for name in "abcd"}
    pairs = {"a": (arms["a"], arms["b"]), "c": (arms["c"], arms["d"]), "short": (arms["a"][:2], arms["d"][:2])}
    found = {row.arm: row for row in compare_pairs(pairs)}
    alone = {name: paired_difference(*pair) for name, pair in pairs.items()}
    assert all(found[name].difference == alone[name].difference for name in pairs)
    first = min(alone, key=lambda name: alone[name].p_value)
    assert found[first].p_holm == pytest.approx(min(1, 3 * alone[first].p_value))
    assert found["short"].seeds == 2


def test_shares_can_be_asked_for_another_design():
    found = decompose_seeds(simulate(np.random.default_rng(4), 6, 40, 5, 0.1, 0.2, 0.1, 0.3))
    assert found.shares(6, 40, 5) == found.shares()
    assert found.shares(seeds=1)["training seed"] > found.shares()["training seed"]
    assert found.shares(runs=500)["run"] < found.shares()["run"]
    assert sum(found.shares(1, 240, 50).values()) == pytest.approx(1)


def test_a_clear_gain_is_found_and_named():
    rng = np.random.default_rng(6)
    reference = 0.4 + rng.normal(0, 0.02, (8, 1)) + rng.normal(0, 0.1, (8, 60))
    arms = {
        "random": reference,
        "edge": reference + 0.1 + rng.normal(0, 0.05, (8, 60)),
        "same": reference + 1e-3 * rng.normal(size=(8, 60)),
    }
    rows = {row.arm: row for row in compare_arms(arms, "random")}
    assert rows["edge"].verdict == "better" and rows["edge"].low > 0.05
    assert rows["same"].verdict == "within noise"
    assert rows["edge"].p_holm >= rows["edge"].p_value
    assert rows["edge"].mean == pytest.approx(arms["edge"].mean())


def test_two_way_error_matches_the_variance_of_the_mean():
    rng = np.random.default_rng(7)
    draws = [rng.normal(0, 0.05, (6, 1)) + rng.normal(0, 0.2, 30) + rng.normal(0, 0.3, (6, 30)) for _ in range(800)]
    squares = np.mean([two_way_se(cells) ** 2 for cells in draws])
    assert squares == pytest.approx(np.var([cells.mean() for cells in draws]), rel=0.2)


@pytest.mark.parametrize("shape", [(1, 5, 3), (3, 1, 3), (3, 5, 1), (3, 5)])
def test_one_of_anything_is_refused(shape):
    with pytest.raises(ValueError, match="at least two of each"):
        decompose_seeds(np.zeros(shape))


def test_the_same_scores_everywhere_are_named_and_never_a_difference():
    rng = np.random.default_rng(5)
    arm = rng.random((3, 20))
    same, other = compare_pairs({"copy": (arm, arm.copy()), "other": (arm + rng.random((3, 20)), arm)})
    assert (same.difference, same.low, same.high, same.p_holm, same.verdict) == (0.0, 0.0, 0.0, 1.0, "same scores")
    assert other.verdict == "better"


def test_bad_input_is_named():
    holes = np.ones((3, 4, 2))
    holes[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="missing"):
        decompose_seeds(holes)
    with pytest.raises(ValueError, match="one seeds x problems shape"):
        paired_difference(np.ones((3, 4)), np.ones((3, 5)))
    with pytest.raises(ValueError, match="arm 'all' differs from its reference by one amount"):
        paired_difference(np.ones((3, 4)), np.zeros((3, 4)), name="all")
    with pytest.raises(ValueError, match="no arm 'x'; arms are a, b"):
        compare_arms({"a": np.ones((2, 2)), "b": np.ones((2, 2))}, "x")
    with pytest.raises(ValueError, match="besides the reference"):
        compare_arms({"a": np.ones((2, 2))}, "a")
