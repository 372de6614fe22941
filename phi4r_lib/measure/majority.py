"""maj@k under plurality voting, exactly: every subset of k answers counted, ties shared, unparsable answers silent.

The counting is one polynomial per problem, so that all k come at once; nothing is sampled. Not here: grouping answers by
mathematical equality (problems/answers.py), which has to happen before the votes are counted.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from scipy.special import comb

from phi4r_lib.measure.intervals import Band, simultaneous_band

Votes = Mapping[Hashable, int]
LARGEST = 1000  # C(1000, 500) is the last binomial of round size that a float holds


def maj_at_k(counts: Votes, correct: Hashable, k: int) -> float:
    """Probability that the right answer wins a plurality vote of k of the n answers of one problem, unbiased and exact.

    A tie for the first place counts as a fair draw among the tied answers. Answers under the key None (unparsable)
    take up places in the vote but never win; a vote with no parsable answer is lost.

    Args:
        counts: votes of each distinct answer. correct: key of the right answer; absent keys have no votes. k: votes.

    Returns:
        The mean over all C(n, k) subsets, a U-statistic (the formula is ours; see majority_curve).

    Raises:
        ValueError: k outside 1..n, negative or fractional counts, or correct=None.
    """
    total = sum(_checked(counts, correct).values())
    if int(k) != k or not 1 <= k <= total:
        raise ValueError(f"maj@{k} is undefined with {total} answers; needs 1 <= k <= n")
    return float(majority_curve(counts, correct)[int(k) - 1])


def majority_curve(counts: Votes, correct: Hashable) -> np.ndarray:
    """maj@k of one problem for k = 1..n, shape (n,); arguments and errors as maj_at_k.

    Let the right answer take m votes. Each wrong answer a then takes x <= m of its w_a votes, those with x = m tie. The
    generating polynomial is C(c,m) z^m prod_a (sum_{x<m} C(w_a,x) z^x + s C(w_a,m) z^m) (1+z)^u; a tie with t others is worth
    1/(t+1), the integral of s^t over [0, 1], taken exactly by Gauss-Legendre nodes. All terms are positive, so floats
    lose no digits. The coefficient of z^k over C(n, k), summed over m >= 1, is maj@k.
    """
    counts = _checked(counts, correct)
    n, right, silent = sum(counts.values()), counts.get(correct, 0), counts.get(None, 0)
    if n > LARGEST:
        raise ValueError(f"{n} answers per problem overflow the exact count; use at most {LARGEST}")
    if n == 0:
        raise ValueError("no answers: maj@k is undefined")
    wrong = [votes for answer, votes in counts.items() if answer is not None and answer != correct and votes]
    highest = max(wrong, default=0)
    won = np.zeros(n + 1)
    for votes in range(1, min(right, highest) + 1):
        _add(won, comb(right, votes) * _beaten(wrong, votes), votes)
    for votes in range(highest + 1, right + 1):  # no wrong answer can reach it: any choice of wrong votes will do
        _add(won, comb(right, votes) * _binomials(sum(wrong)), votes)
    won = np.convolve(won, _binomials(silent))[: n + 1]
    return np.clip(won[1:] / _binomials(n)[1:], 0.0, 1.0)


def _checked(counts: Votes, correct: Hashable) -> Votes:
    if correct is None:
        raise ValueError("correct=None: the right answer must be known to score a vote")
    if any(int(votes) != votes or votes < 0 for votes in counts.values()):
        raise ValueError("votes are counts: give whole numbers from 0")
    return {answer: int(votes) for answer, votes in counts.items()}


def _binomials(n: int) -> np.ndarray:
    return comb(n, np.arange(n + 1))


def _add(total: np.ndarray, terms: np.ndarray, shift: int) -> None:
    total[shift : shift + terms.size] += terms[: total.size - shift]


def _beaten(wrong: list[int], most: int) -> np.ndarray:
    """Ways to take j votes from the wrong answers, none above `most`, ties weighted by 1/(ties + 1); indexed by j."""
    ties = sum(votes >= most for votes in wrong)
    nodes, weights = np.polynomial.legendre.leggauss(ties // 2 + 1)
    share = (nodes + 1) / 2
    ways = np.ones((share.size, 1))
    for votes in wrong:
        ways = _times(ways, _taken(votes, most, share))
    return weights / 2 @ ways


def _taken(votes: int, most: int, share: np.ndarray) -> np.ndarray:
    taken = np.tile(_binomials(votes)[: most + 1], (share.size, 1))
    if votes >= most:
        taken[:, most] *= share
    return taken


def _times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    product = np.zeros((left.shape[0], left.shape[1] + right.shape[1] - 1))
    for power in range(right.shape[1]):
        product[:, power : power + left.shape[1]] += left * right[:, power : power + 1]
    return product


def majority_table(counts: Sequence[Votes], correct: Sequence[Hashable], ks: Sequence[int]) -> np.ndarray:
    """maj@k of each problem, shape problems x ks. Raises ValueError if any k exceeds the answers of any problem."""
    if len(counts) != len(correct):
        raise ValueError(f"{len(counts)} problems but {len(correct)} right answers")
    fewest = min(sum(votes.values()) for votes in counts)
    if min(ks) < 1 or max(ks) > fewest:
        raise ValueError(f"k must lie in 1..{fewest}, the fewest answers of a problem")
    columns = np.asarray(ks, dtype=int) - 1
    return np.stack([majority_curve(votes, gold)[columns] for votes, gold in zip(counts, correct, strict=True)])


def majority_band(
    counts: Sequence[Votes], correct: Sequence[Hashable], ks: Sequence[int], level: float = 0.95, seed: int = 0
) -> Band:
    """Mean maj@k over problems with a band over all ks at once, for problems like these (problem bootstrap)."""
    return simultaneous_band(majority_table(counts, correct, ks), level, seed=seed)
