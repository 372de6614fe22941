"""Figure 7 and its statements are computed from the run, never assumed."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest

from phi4r_lib.train import review as fig


def journal(steps=12, slope=0.05, clipped=0.0, entropy=0.3):
    rng = np.random.default_rng(0)
    step = np.arange(1, steps + 1)
    columns = {
        "total": slope * step + rng.normal(0, 0.01, steps), "tokens": 50 - 10 * slope * step + rng.normal(0, 0.1, steps),
        "tokens_right": 40.0, "tokens_wrong": 60.0, "clipped": clipped, "entropy": entropy, "accuracy_term": 0.1,
        "length_term": 0.1, "repetition": 0.0,
    }  # fmt: skip
    return pd.DataFrame(columns, index=pd.Index(step, name="step"))


VALIDATION = pd.DataFrame({"accuracy": [0.5, 0.7], "low": [0.45, 0.65], "high": [0.55, 0.75]}, index=[0, 12])


def rollouts(grow_wrong=0.0, grow_right=0.0, prompts=6):
    rows = []
    for prompt in range(prompts):
        for step in range(1, 7):
            for right, base, grow in ((True, 40, grow_right), (False, 50, grow_wrong)):
                for jitter in (-1, 0, 1):
                    length = base + 5 * prompt + jitter * (prompt % 2) + grow * (step > 4) * (1 + 0.1 * prompt)
                    rows.append((step, f"p{prompt}", right, length))
    return pd.DataFrame(rows, columns=["step", "id", "correct", "n_tokens"])


def test_statements_follow_the_data():
    table = fig.statements(journal(), VALIDATION, rollouts(grow_wrong=8), None)
    assert table["verdict"].tolist() == [fig.SAME, fig.SAME, fig.OTHER, fig.SAME, fig.OTHER, fig.SAME]
    assert table.loc["a", "here"] == "0.50 to 0.70 (0.65 to 0.75)"
    shrinking = fig.statements(journal(slope=-0.05), VALIDATION[::-1], rollouts(grow_right=8), journal(clipped=0.4))
    assert shrinking.loc["b", "verdict"] == fig.OTHER and shrinking.loc["d", "verdict"] == fig.OTHER
    assert (
        "40% with the tight limit" in shrinking.loc["e", "here"]
        and "with the tight limit" in shrinking.loc["e", "verdict"]
    )


def test_growth_compares_the_same_prompts():
    table = rollouts(grow_wrong=8)
    late_only = pd.DataFrame([(6, "new", True, 500)] * 4, columns=table.columns)  # a long newcomer changes nothing
    for rows in (table, pd.concat([table, late_only])):
        found = fig.growth(rows)
        assert found.loc["wrong", "change"] == pytest.approx(8 * 1.25) and found.loc[
            "right", "change"
        ] == pytest.approx(0)
        assert found.loc["wrong - right", "low"] > 0


def test_arms_pair_step_and_prompt():
    table, longer = rollouts(), rollouts()
    longer.loc[~longer["correct"], "n_tokens"] += 3
    found = fig.arms(longer, table)
    assert found.loc["wrong", "change"] == pytest.approx(3) and found.loc["right", "change"] == pytest.approx(0)
    assert found.loc["wrong", "pairs"] == 6 * 3  # prompts x the later half of the steps


def test_nothing_is_claimed_from_too_little():
    assert fig.verdict(-0.1, 0.2, 1) == fig.UNSURE and fig.verdict(float("nan"), float("nan"), 1) == fig.UNSURE
    assert np.isnan(fig.mean_interval([3.0])["low"])
    with pytest.raises(ValueError, match="too few"):
        fig.change(journal(steps=3), "total")


def test_six_panels_show_the_given_values():
    figure = fig.figure7(journal(), VALIDATION, journal(clipped=0.4))
    assert [axis.get_title()[0] for axis in figure.axes] == list("abcdef")
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.5, 0.7]
    assert figure.axes[4].lines[-1].get_ydata()[0] == 0.4
