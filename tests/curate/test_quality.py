"""Quality figures of truth and filter: checked values, brute force, and undefined cases."""

import itertools

import numpy as np
import pytest
from scipy import stats

from phi4r_lib.curate import quality
from phi4r_lib.curate.truth import Truth
from phi4r_lib.problems.schema import Problem


@pytest.mark.parametrize(("rate", "expected"), [(0.1, (0.344, 0.570, 0.815)), (0.05, (0.186, 0.337, 0.560))])
def test_chance_of_an_informative_group(rate, expected):
    assert [quality.informative(rate, group) for group in (4, 8, 16)] == pytest.approx(expected, abs=5.2e-4)


def test_error_bars_are_never_negative():
    """All or none right at any size, and means whose resamples differ from them by rounding only."""
    sizes = [quality.proportion(successes, n) for n in range(1, 120) for successes in (0, n)]
    means = [quality.mean([0.1] * n) for n in (3, 7, 30)]
    assert all(one.low <= one.value <= one.high for one in [*sizes, *means])


def test_zero_variance_counts_all_groups():
    answers = [1, 1, 1, 1, 0, 1, 0]
    groups = list(itertools.combinations(answers, 3))
    share = sum(len(set(group)) == 1 for group in groups) / len(groups)
    assert quality.zero_variance([5], 7, 3)[0] == pytest.approx(share)
    assert quality.zero_variance([0, 7], 7, 3) == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="more samples"):
        quality.zero_variance([1], 4, 8)


def test_zero_variance_is_unbiased():
    counts = np.arange(13)
    chance = stats.binom.pmf(counts, 12, 0.3)
    assert chance @ quality.zero_variance(counts, 12, 4) == pytest.approx(1 - quality.informative(0.3, 4))


def test_precision_by_vote_share():
    table = quality.precision_by_share([0.5, 0.5, 0.75, 1.0, 1.0, 1.0], [False, True, True, True, True, True])
    assert table["share"].tolist() == [0.5, 0.75, 1.0]
    assert table["precision"].tolist() == pytest.approx([0.5, 1.0, 1.0])
    assert table["kept"].tolist() == [6, 4, 3]
    assert table["precision_from"].tolist() == pytest.approx([5 / 6, 1.0, 1.0])
    assert (table["low"] < table["precision"]).all() and (table["high"] >= table["precision"]).all()


def test_truth_is_graded_against_gold():
    def voted(name, answer, kind="plurality"):
        return Truth(name, answer, kind, "", voted=answer, votes=3, share=0.75)

    truths = [voted("a", "7.0"), voted("b", "8", "none"), Truth("c", None, "none", ""), voted("d", "1")]
    about = {"domain": "math", "prompt": "?", "source": "test", "licence": "MIT"}
    problems = [Problem(id=truth.id, **about) for truth in truths]
    table = quality.truth_grades(truths, {"a": "7", "b": "9", "c": "1"}, problems)
    assert table[["id", "right", "kept"]].values.tolist() == [["a", True, True], ["b", False, False]]


def test_filter_quality_by_hand():
    decisions = ["edge", "edge", "hard", "easy", "undecided", "edge"]
    rates = [0.5, 0.4, 0.02, 0.98, 0.2, None]
    found = quality.filter_quality(decisions, rates, [50, 40, 30, 99, 20, 1], 100, 0.1, 0.8)
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(2 / 4)
    assert found.decided_error.value == pytest.approx(2 / 5)
    assert found.undecided.value == pytest.approx(1 / 6)
    assert found.confusion.loc["hard", "edge"] == 1
    assert found.confusion.loc["edge"].tolist() == [1, 2, 0]
    lost = (0.3 * 0.7 - 0.09) + (0.2 * 0.8 - 0.09) + (0.09 - 0.01 * 0.99)
    assert found.regret.value == pytest.approx(lost / 6)
    assert found.zero_variance_kept.n == 3
    assert "precision" in found.table().index


def test_undefined_figures_are_none_not_zero():
    found = quality.filter_quality(["hard", "hard"], [0.0, 0.0], [0, 1], 10, 0.2, 0.8, group=4)
    assert found.precision is None and found.recall is None and found.rank is None
    with pytest.raises(ValueError, match="undefined"):
        quality.proportion(0, 0)
    with pytest.raises(ValueError, match="same problems"):
        quality.filter_quality(["hard"], [0.0], [0, 1], 10, 0.2, 0.8)


def test_spearman_with_interval():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    found = quality.spearman(x, x + rng.normal(size=60))
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(stats.spearmanr(x, x + 0).statistic * found.value)
    assert quality.spearman([1, 1, 1], [1, 2, 3]) is None


def test_confusion_as_shares_of_each_decision():
    table = quality.confusion(["hard"] * 4 + ["edge"], ["hard", "hard", "hard", "edge", "edge"])
    shares = quality.confusion_shares(table)
    assert list(shares.index) == ["hard", "edge"]
    assert vars(shares.loc["hard", "hard"]) == vars(quality.proportion(3, 4))
    assert vars(shares.loc["edge", "easy"]) == vars(quality.proportion(0, 1))


def test_mean_over_problems_lies_in_its_interval():
    found = quality.mean([1, 2, 3, 10])
    assert (found.value, found.n) == (4, 4)
    assert 1 <= found.low < 4 < found.high <= 10
    assert quality.mean([]) is None
