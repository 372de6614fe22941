"""maj@k: worked values, brute force over subsets, exact integers, refusals, and the jackknife error."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial

from phi4r_lib.measure.majority import maj_at_k, majority_band, majority_curve, majority_table


def brute_force(counts, correct, k):
    """Every subset of k votes, ties shared."""
    ballots = [answer for answer, votes in counts.items() for _ in range(votes)]
    score, subsets = Fraction(0), 0
    for subset in combinations(range(len(ballots)), k):
        tally = {}
        for index in subset:
            if ballots[index] is not None:
                tally[ballots[index]] = tally.get(ballots[index], 0) + 1
        top = max(tally.values(), default=0)
        winners = [answer for answer, votes in tally.items() if votes == top]
        score += Fraction(correct in winners, max(len(winners), 1))
        subsets += 1
    return score / subsets


def exact(counts, correct, k):
    """The same by whole-number counting of tallies, with dictionaries over (votes taken, ties)."""
    n, right = sum(counts.values()), counts.get(correct, 0)
    wrong = [votes for answer, votes in counts.items() if answer not in (None, correct)]
    total = Fraction(0)
    for m in range(1, right + 1):
        ways = {(0, 0): 1}
        for votes in wrong:
            grown = {}
            for (taken, ties), count in ways.items():
                for x in range(min(votes, m) + 1):
                    key = (taken + x, ties + (x == m))
                    grown[key] = grown.get(key, 0) + count * comb(votes, x)
            ways = grown
        for (taken, ties), count in ways.items():
            silent = k - m - taken
            if silent >= 0:
                total += Fraction(comb(right, m) * count * comb(counts.get(None, 0), silent), ties + 1)
    return total / comb(n, k)


@pytest.mark.parametrize(
    ("counts", "k", "value"),
    [
        ({"a": 4, "b": 3, "c": 3}, 5, 0.4761905),
        ({"a": 3, "b": 4, "c": 2, None: 1}, 4, 0.3214286),
        ({"a": 5, "b": 1, "c": 1, "d": 1, "e": 1, None: 1}, 5, 0.9206349),
        ({"a": 2, "b": 2}, 3, 0.5),
    ],
)
def test_worked_values(counts, k, value):
    assert maj_at_k(counts, "a", k) == pytest.approx(value, abs=5e-8)
    assert maj_at_k(counts, "a", k) == pytest.approx(float(brute_force(counts, "a", k)), abs=1e-12)


def test_all_votes_are_the_plain_plurality():
    assert maj_at_k({"a": 4, "b": 3, None: 9}, "a", 16) == pytest.approx(1)
    assert maj_at_k({"a": 3, "b": 4}, "a", 7) == pytest.approx(0)
    assert maj_at_k({"a": 3, "b": 3, "c": 3}, "a", 9) == pytest.approx(1 / 3)


def test_one_vote_is_the_pass_rate():
    assert maj_at_k({"a": 3, "b": 4, None: 3}, "a", 1) == pytest.approx(0.3)


def test_votes_can_hurt():
    curve = majority_curve({"a": 3, "b": 7}, "a")
    assert curve[0] == pytest.approx(0.3) and curve[-1] == 0 and curve[4] < curve[0]


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.integers(0, 4),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_equal_to_brute_force(wrong, right, silent):
    counts = {f"w{i}": votes for i, votes in enumerate(wrong)} | {"a": right, None: silent}
    n = sum(counts.values())
    if n == 0 or n > 10:
        return
    curve = majority_curve(counts, "a")
    for k in range(1, n + 1):
        assert curve[k - 1] == pytest.approx(float(brute_force(counts, "a", k)), abs=1e-12)


@pytest.mark.parametrize(
    "counts",
    [
        {"a": 20, "b": 19, "c": 12, "d": 5, "e": 3, None: 5},
        {"a": 5, None: 9} | {f"w{i}": 1 for i in range(50)},
        {"a": 12} | {f"w{i}": 4 for i in range(13)},
        {"a": 32, "b": 32},
    ],
)
def test_64_answers_equal_whole_number_counting(counts):
    curve = majority_curve(counts, "a")
    assert curve.shape == (64,)
    for k in (1, 2, 5, 16, 33, 63, 64):
        assert curve[k - 1] == pytest.approx(float(exact(counts, "a", k)), rel=1e-11, abs=1e-15)


def test_large_counts_keep_their_digits():
    counts = {"a": 200, "b": 180, "c": 20}
    assert maj_at_k(counts, "a", 101) == pytest.approx(float(exact(counts, "a", 101)), rel=1e-10)


def test_absent_answer_never_wins_and_unparsable_never_votes():
    assert maj_at_k({"b": 3}, "a", 2) == 0
    assert maj_at_k({None: 4}, "a", 4) == 0
    assert maj_at_k({"a": 1, None: 9}, "a", 10) == pytest.approx(1)


@pytest.mark.parametrize(
    ("counts", "correct", "k"),
    [
        ({"a": 2}, "a", 3),
        ({"a": 2}, "a", 0),
        ({"a": -1, "b": 3}, "a", 1),
        ({"a": 2}, None, 1),
        ({}, "a", 1),
        ({"a": 1.5}, "a", 1),
    ],
)
def test_undefined_raises(counts, correct, k):
    with pytest.raises(ValueError):
        maj_at_k(counts, correct, k)


def expectation(n, k, p):
    """Mean of the estimate from n votes, over every possible outcome of three answers and an unparsable one."""
    names = ("a", "b", "c", None)
    outcomes = [o for o in product(range(n + 1), repeat=4) if sum(o) == n]
    chances = multinomial(n, p).pmf(outcomes)
    return chances @ [maj_at_k(dict(zip(names, o, strict=True)), "a", k) for o in outcomes]


def test_unbiased_for_fresh_votes():
    p = [0.4, 0.3, 0.2, 0.1]
    for k in (2, 3):
        assert expectation(6, k, p) == pytest.approx(expectation(k, k, p))


def test_table_and_band():
    counts = [{"a": 4, "b": 2}, {"a": 1, "b": 3, None: 3}, {"a": 6}]
    table = majority_table(counts, ["a", "a", "a"], [1, 3, 6])
    assert table.shape == (3, 3)
    assert table[1, 1] == pytest.approx(maj_at_k(counts[1], "a", 3))
    band = majority_band(counts, ["a", "a", "a"], [1, 3, 6])
    assert (band.low <= band.mean).all()
    with pytest.raises(ValueError, match="fewest answers"):
        majority_table(counts, ["a", "a", "a"], [7])
