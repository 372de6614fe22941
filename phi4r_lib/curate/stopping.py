"""When to stop sampling a problem: exact curtailment, posterior stopping, and the Bayes-optimal policy as yard-stick.

Every rule is a *policy*: an integer table `policy[n, s]` over states (n samples seen, s of them right) that holds
GO_ON or the position of a decision in DECISIONS. One table format means one exact evaluation (`evaluate`) for all.
Not here: who is sampled and what counts as right (edge.py), and rules that look across problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

DECISIONS = ("hard", "edge", "easy", "undecided")
HARD, EDGE, EASY, UNDECIDED = range(4)
GO_ON = -1


class BetaPrior(NamedTuple):
    """What pass rates are expected before the first sample; (0.5, 0.5) is Jeffreys' prior."""

    a: float = 0.5
    b: float = 0.5


def fit_prior(successes: Sequence[int], samples: Sequence[int] | int) -> BetaPrior:
    """Beta prior of a pilot by beta-binomial maximum likelihood (empirical Bayes; scipy.stats.betabinom).

    `successes` and `samples` are counts, one per problem (`samples` may be one number for all). Raises ValueError for
    fewer than two problems with samples. The result is kept within [0.05, 50], so that a pilot without any spread
    cannot produce a prior that no later sample could move.
    """
    s, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(samples, float))
    seen = n > 0
    if seen.sum() < 2:
        raise ValueError("fit_prior needs at least two problems with samples; raise the pilot or give a prior")
    s, n = s[seen], n[seen]

    def loss(log_ab: np.ndarray) -> float:
        return -float(stats.betabinom.logpmf(s, n, *np.exp(log_ab)).sum())

    bounds = [(np.log(0.05), np.log(50.0))] * 2
    best = optimize.minimize(loss, np.log([0.5, 0.5]), method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14})
    return BetaPrior(*np.exp(best.x).tolist())


def class_posterior(successes, samples, lo: float, hi: float, prior: BetaPrior = BetaPrior()) -> np.ndarray:  # noqa: B008
    """P(hard), P(edge), P(easy) given the counts, on the last axis; hard means p <= lo, easy means p >= hi.

    Counts broadcast; the posterior is Beta(a + successes, b + samples - successes), read off with scipy's betainc.
    """
    s, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(samples, float))
    a, b = prior.a + s, prior.b + n - s
    hard, easy = special.betainc(a, b, lo), special.betaincc(a, b, hi)
    return np.stack([hard, np.clip(1 - hard - easy, 0, 1), easy], axis=-1)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """All states up to `size` samples as (samples, successes) arrays of shape (size + 1, size + 1)."""
    return np.indices((size + 1, size + 1))


@lru_cache(maxsize=16)
def _chances(size: int, lo: float, hi: float, prior: BetaPrior) -> np.ndarray:
    """class_posterior of every state up to `size` samples, shape (size + 1, size + 1, 3); kept, because all rules ask."""
    n, s = _grid(size)
    chance = class_posterior(np.minimum(s, n), n, lo, hi, prior)
    chance.flags.writeable = False
    return chance


def _only_states(policy: np.ndarray) -> np.ndarray:
    """Blanks the half of the table with more successes than samples."""
    return np.where(np.tri(len(policy), dtype=bool), policy, GO_ON)


def fixed(size: int, decide: np.ndarray) -> np.ndarray:
    """Policy that draws `size` samples and then takes `decide[s]` (positions in DECISIONS, shape (size + 1,))."""
    policy = np.full((size + 1, size + 1), GO_ON)
    policy[size] = decide
    return policy


def fixed_plugin(size: int, lo: float, hi: float) -> np.ndarray:
    """The usual filter: `size` samples, then the bare ratio s/size against lo and hi."""
    rate = np.arange(size + 1) / size
    return fixed(size, np.where(rate <= lo, HARD, np.where(rate >= hi, EASY, EDGE)))


def one_sided(size: int, hi: float) -> np.ndarray:
    """A filter that only drops what is easy, more than `hi` right of `size` answers, and keeps the rest, hopeless or not.

    OLMo 3 does so before reinforcement learning, with 8 answers and .625.
    """
    return fixed(size, np.where(np.arange(size + 1) / size > hi, EASY, EDGE))


def fixed_mode(size: int, lo: float, hi: float, prior: BetaPrior = BetaPrior()) -> np.ndarray:  # noqa: B008
    """`size` samples, then the class with the largest posterior."""
    return fixed(size, class_posterior(np.arange(size + 1), size, lo, hi, prior).argmax(-1))


def curtailed(size: int, least: int, most: int) -> np.ndarray:
    """The usual filter (edge if and only if least <= right answers of `size` <= most), decided as soon as that is sure.

    easy once s > most; hard once the failures exceed size - least; edge once both bounds are safe. (Curtailed
    sampling, standard in acceptance testing.)
    """
    if not 0 <= least <= most <= size:
        raise ValueError(f"need 0 <= least <= most <= size, got least={least}, most={most}, size={size}")
    n, s = _grid(size)
    policy = np.full(n.shape, GO_ON)
    policy[(s >= least) & (n - s >= size - most)] = EDGE
    policy[s > most] = EASY
    policy[n - s > size - least] = HARD
    return _only_states(policy)


def posterior_stop(
    lo: float,
    hi: float,
    error: float,
    max_samples: int,
    prior: BetaPrior = BetaPrior(),  # noqa: B008
    price: float = 0.0,
    forced: bool = False,
    keep_error: float | None = None,
    first: int = 0,
) -> np.ndarray:
    """Stops as soon as one class has posterior probability >= 1 - error, at the latest at max_samples.

    A decision is then wrong with probability at most `error` (over problems drawn from the prior); for the class "edge" that
    limit is `keep_error`, None the same. The first `first` answers are drawn before any look. With a `price` a
    problem is also given up as soon as the Bayes-optimal policy (`optimal`) finds that more samples are not worth that
    price each, in units of a wrong decision (this combination is ours). What is given up or still open at max_samples
    is "undecided", or, with `forced`, the class with the largest posterior.
    """
    chance = _chances(max_samples, lo, hi, BetaPrior(*prior))
    policy = np.where(chance.max(-1) >= 1 - limits(error, keep_error)[chance.argmax(-1)], chance.argmax(-1), GO_ON)
    if price > 0:
        ends = optimal(lo, hi, price, max_samples, prior) != GO_ON
    else:
        ends = np.arange(max_samples + 1)[:, None] == max_samples
    left = chance.argmax(-1) if forced else UNDECIDED
    policy = np.where((policy == GO_ON) & ends, left, policy)
    policy[: min(first, max_samples)] = GO_ON
    return _only_states(policy)


def limits(error: float, keep_error: float | None = None) -> np.ndarray:
    """The largest posterior probability of a wrong class for a decision, by position in DECISIONS: hard, edge, easy."""
    return np.array([error, error if keep_error is None else keep_error, error])


def in_batches(policy: np.ndarray, batch: int) -> np.ndarray:
    """The same policy looked at only after every `batch` samples (and at the end)."""
    size = len(policy) - 1
    looks = np.arange(size + 1)
    seen = (looks % batch == 0) | (looks == size)
    return np.where(seen[:, None], policy, GO_ON)


def samples_until_decision(policy: np.ndarray, samples: int, successes: int) -> int:
    """Fewest further samples after which the policy could stop: drawing that many at once wastes none (ours)."""
    size = len(policy) - 1
    for more in range(1, size - samples + 1):
        if (policy[samples + more, successes : successes + more + 1] != GO_ON).any():
            return more
    return 0


def optimal(
    lo: float,
    hi: float,
    cost: float,
    max_samples: int,
    prior: BetaPrior = BetaPrior(),  # noqa: B008
) -> np.ndarray:
    """Bayes-optimal policy for wrong decisions at price 1 and samples at price `cost` (backward induction).

    V(n, s) = min(1 - max_k P(k | n, s), cost + E V(n + 1, .)), on the lattice up to max_samples.
    """
    chance = _chances(max_samples, lo, hi, BetaPrior(*prior))
    return _backward(1 - chance.max(-1), chance.argmax(-1), cost, prior)


def _backward(stop_cost: np.ndarray, decision: np.ndarray, cost: float, prior: BetaPrior) -> np.ndarray:
    size = len(stop_cost) - 1
    policy = np.full(stop_cost.shape, GO_ON)
    policy[size] = decision[size]
    value = stop_cost[size]
    for n in range(size - 1, -1, -1):
        s = np.arange(n + 1)
        up = (prior.a + s) / (prior.a + prior.b + n)
        go_on = cost + up * value[s + 1] + (1 - up) * value[s]
        stop = stop_cost[n, : n + 1] <= go_on
        policy[n, : n + 1] = np.where(stop, decision[n, : n + 1], GO_ON)
        value = np.where(stop, stop_cost[n, : n + 1], go_on)
    return policy


def reach(policy: np.ndarray, pass_rate: BetaPrior | float) -> np.ndarray:
    """Probability of ever being in each state, by exact path counting.

    `pass_rate` is one p for all problems or the Beta distribution it is drawn from (then each step uses the
    predictive probability (a + s) / (a + b + n), which is path counting times a ratio of beta functions).
    """
    size = len(policy) - 1
    chance = np.zeros(policy.shape)
    chance[0, 0] = 1.0
    for n in range(size):
        s = np.arange(n + 1)
        up = (
            (pass_rate.a + s) / (pass_rate.a + pass_rate.b + n)
            if isinstance(pass_rate, BetaPrior)
            else np.full(n + 1, float(pass_rate))
        )
        going = np.where(policy[n, : n + 1] == GO_ON, chance[n, : n + 1], 0.0)
        chance[n + 1, : n + 1] += going * (1 - up)
        chance[n + 1, 1 : n + 2] += going * up
    return chance


@dataclass(frozen=True)
class Evaluation:
    """Exact behaviour of a policy: expected samples, P(wrong decision), P(undecided), P(each of DECISIONS)."""

    samples: float
    error: float
    undecided: float
    shares: dict[str, float]


def evaluate(policy: np.ndarray, lo: float, hi: float, pass_rate: BetaPrior | float = BetaPrior()) -> Evaluation:  # noqa: B008
    """Expected samples and error of a policy, without simulation; `pass_rate` as in `reach`."""
    size = len(policy) - 1
    ends = np.where(policy == GO_ON, 0.0, reach(policy, pass_rate))
    if isinstance(pass_rate, BetaPrior):
        truth = _chances(size, lo, hi, pass_rate)
    else:
        truth = np.zeros((*policy.shape, 3)) + np.eye(3)[HARD if pass_rate <= lo else EASY if pass_rate >= hi else EDGE]
    right = np.take_along_axis(truth, np.clip(policy, 0, 2)[..., None], axis=-1)[..., 0]
    decided = np.where(policy == UNDECIDED, 0.0, ends)
    shares = {name: float(ends[policy == code].sum()) for code, name in enumerate(DECISIONS)}
    samples = float(ends.sum(axis=1) @ np.arange(size + 1))
    return Evaluation(samples, float((decided * (1 - right)).sum()), shares["undecided"], shares)


def classes(pass_rates: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Positions in DECISIONS of known pass rates: hard p <= lo, easy p >= hi, edge between."""
    return np.where(pass_rates <= lo, HARD, np.where(pass_rates >= hi, EASY, EDGE))


def outcomes(policy: np.ndarray, pass_rates: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Expected samples (problems,) and P(each of DECISIONS) (problems, 4) of a policy, by path counting."""
    p, back = np.unique(np.asarray(pass_rates, float), return_inverse=True)
    p, chance = p[:, None], np.ones((len(p), 1))
    samples, shares = np.zeros(len(p)), np.zeros((len(p), len(DECISIONS)))
    for n in range(len(policy)):
        row = policy[n, : n + 1]
        ends = np.where(row != GO_ON, chance, 0.0)
        samples += n * ends.sum(1)
        shares += np.stack([np.where(row == code, ends, 0.0).sum(1) for code in range(len(DECISIONS))], axis=1)
        going = chance - ends
        chance = np.pad(going * (1 - p), ((0, 0), (0, 1))) + np.pad(going * p, ((0, 0), (1, 0)))
    return samples[back], shares[back]
