"""Groups as text: every number of the reward is there, and the best comes first."""

import pandas as pd

from phi4r_lib.train.review import groups, show_group, show_steps

ROWS = pd.DataFrame(
    {
        "step": 3, "id": "p1", "n_tokens": [9, 12], "correct": pd.array([False, True], dtype="boolean"),
        "length_term": [-0.5, 1.0], "accuracy_term": [-1.0, 1.0], "repetition": [0.0, -0.13], "format": ["bad_think", "ok"],
        "total": [-0.615, 0.605], "advantage": [-0.71, 0.71], "text": ["\\boxed{3}", "<think> 1 + 1 = 2. so. </think> \\boxed{2}"],
    }
)  # fmt: skip


def test_a_group_is_shown_best_first():
    text = show_group(ROWS, "How much is 1 + 1?", "2")
    assert text.splitlines()[:2] == ["step 3, p1, answer 2", "How much is 1 + 1?"]
    assert "[1] right, 12 tokens, ok, reward +0.60, advantage +0.71" in text
    assert text.index("[1] right") < text.index("[2] wrong, 9 tokens, bad_think")


def test_what_was_not_graded_says_so():
    open_ = ROWS.assign(correct=pd.array([pd.NA, True], dtype="boolean"), total=[float("nan"), 0.6])
    assert "not graded, 9 tokens, bad_think, no reward" in show_group(open_)


def test_one_completion_step_by_step_with_its_sum():
    text = show_steps(ROWS, 1)
    assert "8/13 x +1.000 (length term +1.000, format ok) + 1/13 x -0.130 (repetition)" in text
    assert "1 + 1 = 2.\n  so." in text and "group mean -0.005" in text and "advantage +0.71" in text


def test_groups_come_in_order():
    both = pd.concat([ROWS, ROWS.assign(id="p2")], ignore_index=True)
    assert [part["id"].iloc[0] for part in groups(both, 2)] == ["p1", "p2"]
