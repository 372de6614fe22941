"""Stopping rules: printed values of the methods notes, exactness against brute force, and curtailment as a property."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from phi4r_lib.curate import stopping as rules
from phi4r_lib.curate.stopping import EDGE, GO_ON, HARD, UNDECIDED, BetaPrior, evaluate

LO, HI = 0.125, 0.875
FLAT = BetaPrior(1, 1)


def follow(policy, stream):
    """Decision and number of samples when a policy reads a stream of 0 and 1."""
    right = 0
    for n in range(len(policy)):
        if policy[n, right] != GO_ON:
            return int(policy[n, right]), n
        right += stream[n]
    raise AssertionError("a policy must stop by its last row")


@pytest.mark.parametrize(
    ("size", "least", "most", "expected"),
    [
        (8, 1, 7, (4.44, 5.28, 5.95, 5.70)),
        (16, 1, 15, (5.76, 7.96, 9.81, 9.13)),
        (10, 1, 9, (4.86, 6.05, 7.00, 6.65)),
        (16, 2, 14, (9.06, 10.75, 11.91, 11.48)),
        (32, 1, 3, (11.8, 13.5, 14.7, 18.9)),
        (64, 7, 57, (34.2, 41.7, 46.5, 44.7)),
    ],
)
def test_expected_samples_of_curtailed_rules(size, least, most, expected):
    policy = rules.curtailed(size, least, most)
    digits = 2 if size <= 16 else 1
    for prior, samples in zip(((1, 1), (0.5, 0.5), (0.3, 0.3), (0.3, 0.6)), expected, strict=True):
        found = evaluate(policy, LO, HI, BetaPrior(*prior)).samples
        assert found == pytest.approx(samples, abs=0.51 * 10**-digits)


@st.composite
def fixed_rule_and_stream(draw):
    size = draw(st.integers(1, 40))
    least = draw(st.integers(0, size))
    most = draw(st.integers(least, size))
    stream = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    return size, least, most, stream, draw(st.integers(1, 9))


def fixed_counts(size, least, most):
    """The rule that looks once, at the end: edge from `least` to `most` right answers."""
    s = np.arange(size + 1)
    return rules.fixed(size, np.where(s < least, HARD, np.where(s > most, rules.EASY, EDGE)))


@settings(max_examples=300, deadline=None)
@given(fixed_rule_and_stream())
def test_curtailment_never_changes_a_decision(case):
    size, least, most, stream, batch = case
    full, _ = follow(fixed_counts(size, least, most), stream)
    early, used = follow(rules.curtailed(size, least, most), stream)
    batched, batched_used = follow(rules.in_batches(rules.curtailed(size, least, most), batch), stream)
    assert early == batched == full
    assert used <= batched_used <= size
    assert batched_used - used < batch


def test_curtailment_stops_at_the_first_moment_possible():
    size, least, most = 7, 2, 4
    policy = rules.curtailed(size, least, most)
    for stream in itertools.product((0, 1), repeat=size):
        decision, used = follow(policy, stream)
        possible = {
            follow(fixed_counts(size, least, most), (*stream[: used - 1], *rest))[0]
            for rest in itertools.product((0, 1), repeat=size - used + 1)
        }
        assert len(possible) > 1, f"{stream} was sure of {decision} one sample earlier"


@pytest.mark.parametrize(
    ("size", "plugin", "mode"), [(8, 0.200, 0.175), (16, 0.135, 0.126), (32, 0.093, 0.0895), (64, 0.0645, 0.0634)]
)
def test_frontier_of_fixed_rules(size, plugin, mode):
    assert evaluate(rules.fixed_plugin(size, LO, HI), LO, HI).error == pytest.approx(plugin, abs=5.1e-4)
    assert evaluate(rules.fixed_mode(size, LO, HI), LO, HI).error == pytest.approx(mode, abs=5.1e-4)


@pytest.mark.parametrize(
    ("error", "samples", "total"), [(0.10, 15.5, 0.0923), (0.05, 24.2, 0.0705), (0.02, 31.2, 0.0653)]
)
def test_frontier_of_posterior_stopping(error, samples, total):
    found = evaluate(rules.posterior_stop(LO, HI, error, 64, forced=True), LO, HI)
    assert found.samples == pytest.approx(samples, abs=0.05)
    assert found.error == pytest.approx(total, abs=5.1e-5)
    honest = evaluate(rules.posterior_stop(LO, HI, error, 64), LO, HI)
    assert honest.samples == pytest.approx(found.samples)
    assert honest.error <= error * (1 - honest.undecided)  # decisions keep the promise, the rest says so
    assert honest.undecided > 0


@pytest.mark.parametrize(
    ("cost", "samples", "error"),
    [(0.01, 7.9, 0.133), (0.005, 13.4, 0.0938), (0.002, 20.3, 0.0727), (0.0005, 27.4, 0.0650)],
)
def test_frontier_of_the_optimal_policy(cost, samples, error):
    found = evaluate(rules.optimal(LO, HI, cost, 64), LO, HI)
    assert found.samples == pytest.approx(samples, abs=0.05)
    assert found.error == pytest.approx(error, abs=5e-4)


def test_optimal_beats_every_other_rule_at_its_own_price():
    def price(policy):
        found = evaluate(policy, LO, HI)
        return found.error + 0.005 * found.samples

    best = price(rules.optimal(LO, HI, 0.005, 64))
    others = [rules.fixed_mode(n, LO, HI) for n in (4, 8, 16, 32)]
    others += [rules.posterior_stop(LO, HI, error, 64, forced=True) for error in (0.2, 0.1, 0.05)]
    assert all(best < price(other) for other in others)


@pytest.mark.parametrize(("batch", "samples"), [(1, 15.5), (2, 16.1), (4, 19.5), (8, 23.9)])
def test_cost_of_batches(batch, samples):
    policy = rules.in_batches(rules.posterior_stop(LO, HI, 0.1, 64, forced=True), batch)
    assert evaluate(policy, LO, HI).samples == pytest.approx(samples, abs=0.05)


@pytest.mark.parametrize(
    ("prior", "error", "zeros"),
    [
        ((1, 1), 0.1, 17),
        ((1, 1), 0.05, 22),
        ((1, 1), 0.01, 34),
        ((0.5, 0.5), 0.1, 10),
        ((0.5, 0.5), 0.05, 15),
        ((0.5, 0.5), 0.01, 25),
    ],
)
def test_zeros_needed_to_call_a_problem_hard(prior, error, zeros):
    policy = rules.posterior_stop(LO, HI, error, 64, BetaPrior(*prior))
    assert policy[zeros, 0] == HARD
    assert (policy[:zeros, 0] == GO_ON).all()


def test_none_of_eight_does_not_mean_unsolvable():
    assert rules.class_posterior(0, 8, 0.1, 0.9, FLAT)[0] == pytest.approx(0.613, abs=5e-4)
    assert stats.binomtest(0, 8).proportion_ci(method="exact").high == pytest.approx(0.369, abs=5e-4)


def test_a_true_rate_of_one_in_twenty_often_passes_a_bare_threshold():
    kept = 1 - evaluate(rules.fixed_plugin(8, 0.1, 0.9), 0.1, 0.9, 0.05).shares["hard"]
    assert kept == pytest.approx(0.34, abs=5e-3)


def test_prior_fitted_on_a_pilot():
    prior = rules.fit_prior([0, 0, 0, 1, 2, 4, 5, 7, 8, 8, 8, 8], 8)
    assert prior == pytest.approx((0.27294, 0.23312), abs=5e-6)
    shrunk = [(prior.a + s) / (prior.a + prior.b + 8) for s in (0, 8)]
    assert shrunk == pytest.approx([0.0321, 0.9726], abs=5e-5)


def test_prior_needs_samples_and_stays_movable():
    with pytest.raises(ValueError, match="two problems"):
        rules.fit_prior([3], [8])
    with pytest.raises(ValueError, match="two problems"):
        rules.fit_prior([0, 1], [0, 4])
    same = rules.fit_prior([8] * 50, 8)
    assert all(0.04 < value < 51 for value in same)
    uneven = rules.fit_prior([0, 1, 2, 8, 3], [4, 2, 8, 8, 4])
    assert uneven.a > 0 and uneven.b > 0


def test_exact_evaluation_agrees_with_enumeration():
    policy = rules.posterior_stop(0.2, 0.7, 0.2, 9, BetaPrior(0.8, 1.3))
    for p in (0.0, 0.15, 0.5, 0.9):
        samples = error = 0.0
        truth = HARD if p <= 0.2 else EDGE if p < 0.7 else rules.EASY
        for stream in itertools.product((0, 1), repeat=9):
            chance = p ** sum(stream) * (1 - p) ** (9 - sum(stream))
            decision, used = follow(policy, stream)
            samples += chance * used
            error += chance * (decision not in (truth, UNDECIDED))
        found = evaluate(policy, 0.2, 0.7, p)
        assert found.samples == pytest.approx(samples)
        assert found.error == pytest.approx(error, abs=1e-12)
        assert sum(found.shares.values()) == pytest.approx(1)


def test_evaluation_under_a_prior_is_the_mean_over_rates():
    prior = BetaPrior(0.7, 1.6)
    policy = rules.posterior_stop(LO, HI, 0.1, 20, prior)
    mean = stats.beta(*prior).expect(lambda p: evaluate(policy, LO, HI, float(p)).samples)
    assert evaluate(policy, LO, HI, prior).samples == pytest.approx(mean, rel=1e-4)


def test_samples_until_decision_looks_no_further_than_needed():
    policy = rules.posterior_stop(LO, HI, 0.05, 64, FLAT)
    more = rules.samples_until_decision(policy, 0, 0)
    assert (policy[:more] == GO_ON).all()
    assert (policy[more, : more + 1] != GO_ON).any()
    assert rules.samples_until_decision(policy, 64, 5) == 0


def test_bad_rules_are_refused():
    with pytest.raises(ValueError, match="least"):
        rules.curtailed(8, 5, 4)
