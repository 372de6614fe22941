"""The reward against the checked values of the recipe."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from phi4r_lib.train.reward import LengthReward, length_scaled_accuracy, phi4_reward, repetition_penalty

GOOD = "<think> 7 + 5 = 12 </think> \\boxed{12}"


@pytest.mark.parametrize(
    ("tokens", "value"),
    [
        (0, 1.0),
        (25_600, 1.0),
        (26_000, 0.99479),
        (27_000, 0.93863),
        (28_672, 0.75),
        (30_000, 0.592988),
        (31_000, 0.51787),
        (31_744, 0.5),
        (40_000, 0.5),  # clamped: the cosine must not rise again
    ],
)
def test_correct_values(tokens, value):
    assert length_scaled_accuracy(True, tokens) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("tokens", "value"),
    [
        (0, -1.0),
        (500, -0.97783),
        (1_000, -0.915255),
        (1_851, -0.75),
        (3_000, -0.54307),
        (3_702, -0.5),
        (31_744, -0.5),
    ],
)
def test_wrong_values(tokens, value):
    assert length_scaled_accuracy(False, tokens) == pytest.approx(value, abs=1e-5)


@given(st.integers(0, 60_000), st.integers(0, 5_000))
def test_monotone_and_bounded(tokens, more):
    assert 0.5 <= length_scaled_accuracy(True, tokens + more) <= length_scaled_accuracy(True, tokens) <= 1
    assert -1 <= length_scaled_accuracy(False, tokens) <= length_scaled_accuracy(False, tokens + more) <= -0.5


def test_a_negative_length_is_refused():
    with pytest.raises(ValueError, match="-1"):
        length_scaled_accuracy(True, -1)


def test_total_is_eight_thirteenths_at_most():
    parts = phi4_reward(GOOD, correct=True, n_tokens=10, ended=True)
    assert (parts.accuracy_term, parts.repetition, parts.format) == (1.0, 0.0, "ok")
    assert parts.total == pytest.approx(8 / 13)


def test_shaped_reward_does_not_tell_accuracy():
    # The trap: "total > 0.5 means right" fails for right answers beyond about 28.2k tokens.
    below = [n for n in range(25_600, 31_745) if phi4_reward(GOOD, correct=True, n_tokens=n, ended=True).total <= 0.5]
    assert below[0] == pytest.approx(28_200, abs=100)


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("text", ["\\boxed{12}", "<think> 7 + 5", "<think>a</think><think>b</think> 12", ""])
def test_bad_think_block_overrides_even_a_right_answer(text, correct):
    parts = phi4_reward(text, correct=correct, n_tokens=20, ended=True)
    assert (parts.accuracy_term, parts.format) == (-1.0, "bad_think")
    assert parts.correct is correct and parts.length_term == length_scaled_accuracy(correct, 20)
    assert parts.total == pytest.approx(-8 / 13)


def test_missing_end_overrides():
    parts = phi4_reward(GOOD, correct=True, n_tokens=20, ended=False)
    assert (parts.accuracy_term, parts.format) == (-0.5, "no_end")


def test_precedence_is_a_setting():
    text = "<think> 7 + 5"
    assert phi4_reward(text, correct=False, n_tokens=9, ended=False).accuracy_term == -1.0
    end_first = LengthReward(precedence="end_first")
    assert phi4_reward(text, correct=False, n_tokens=9, ended=False, reward=end_first).accuracy_term == -0.5
    assert phi4_reward(text, correct=False, n_tokens=9, ended=True, reward=end_first).accuracy_term == -1.0


def test_system_message_with_a_think_pair_is_not_the_completion():
    system = "write <think> thought </think> solution. "
    assert phi4_reward(GOOD, correct=True, n_tokens=9, ended=True).format == "ok"
    assert phi4_reward(system + GOOD, correct=True, n_tokens=9, ended=True).format == "bad_think"


def words(n):
    return " ".join(f"w{i}" for i in range(n))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.0),
        ("a b c d", 0.0),  # shorter than one 5-gram: no division by zero
        (words(200), 0.0),
        ("x y z v w " * 4, 0.0),  # the 5-gram occurs 4 times: below both limits
        ("x y z v w " * 5, -5 / (25 / 5)),  # reaches 5: b = 1, a = 0 since nothing occurs more than 5 times
        ("a " * 10, -6 / (10 / 5)),  # 6 equal 5-grams in 10 words: a = 1/6, b = 3
        ("a " * 1_000, -996 / 200),  # about -5 at worst, not clipped
        ("A a " * 5, -6 / (10 / 5)),  # case does not matter
    ],
)
def test_repetition_values(text, value):
    assert repetition_penalty(text) == pytest.approx(value)
    assert math.copysign(1, repetition_penalty("a b")) == 1


def test_share_of_repeated_ngrams_counts_when_it_is_larger():
    # 40 blocks of 5 fixed words, each followed by 40 distinct ones: b = 40 / (1800 / 5), a = 1 / 1796.
    text = " ".join("x y z v w " + " ".join(f"u{i}_{j}" for j in range(40)) for i in range(40))
    assert repetition_penalty(text) == pytest.approx(-40 / (1_800 / 5))
    many = "x y z v w p q r s t " * 6  # 10 distinct 5-grams, 6 of them 6 times and 4 of them 5 times, in 56
    assert repetition_penalty(many) == pytest.approx(-max(6 / 56, 6 / 12))


def test_overrides_replace_only_the_accuracy_term():
    text = "a " * 10
    parts = phi4_reward(text, correct=True, n_tokens=10, ended=True)
    assert parts.total == pytest.approx(8 / 13 * -1.0 + 1 / 13 * -3.0)


def test_scaled_keeps_the_shape():
    short = LengthReward.scaled(128)
    assert (short.l_max, short.l_pos, short.l_neg) == (128, 103, 15)
    assert LengthReward.scaled(31_744) == LengthReward()
    for share in (0.2, 0.5, 0.85, 0.95):
        long_value = length_scaled_accuracy(True, round(share * 31_744))
        assert length_scaled_accuracy(True, round(share * 128), short) == pytest.approx(long_value, abs=0.03)
    assert LengthReward.scaled(100, l_neg=40).l_neg == 40


def test_impossible_constants_are_refused():
    with pytest.raises(ValidationError, match="below l_max"):
        LengthReward(l_max=100, l_pos=100)
    with pytest.raises(ValidationError):
        LengthReward(lmax=100)


def test_partial_credit_is_off_unless_named_and_never_reaches_a_right_answer():
    off = phi4_reward(GOOD, correct=False, n_tokens=20, ended=True, score=0.9)
    assert off.accuracy_term == off.length_term == length_scaled_accuracy(False, 20) and off.partial == 0
    credit = LengthReward(partial_credit=1.0)
    terms = [
        phi4_reward(GOOD, correct=False, n_tokens=9_999, ended=True, score=s, reward=credit).accuracy_term
        for s in (0, 0.5, 0.99)
    ]
    assert terms == pytest.approx([-0.5, 0.0, 0.49])
    late = phi4_reward(GOOD, correct=True, n_tokens=40_000, ended=True, score=1.0, reward=credit)
    assert late.accuracy_term == 0.5 > max(terms) and late.partial == 0
    broken = phi4_reward("no thought", correct=False, n_tokens=20, ended=True, score=0.9, reward=credit)
    assert broken.accuracy_term == -1.0 and broken.partial == 0
    with pytest.raises(ValueError, match="partial_credit"):
        LengthReward(partial_credit=1.5)
