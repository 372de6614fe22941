"""Figures are drawn from the data they are given."""

import json

import matplotlib

matplotlib.use("Agg")

import pandas as pd
import pytest

from phi4r_lib.train import curves, reward


@pytest.fixture
def rows():
    train = [
        {"kind": "train", "step": s, "loss": 1 / s, "accuracy": 0.1 * s, "total": 0.0, "kl": 0.01, "entropy": 0.5,
         "accuracy_term": -0.2, "length_term": -0.1, "repetition": 0.0, "tokens_right": 20.0, "tokens_wrong": 25.0,
         "groups_informative": 0.5, "groups_all_right": 0.2, "groups_all_wrong": 0.3, "clipped": 0.0, "bad_think": 0.0}
        for s in (1, 2, 3)
    ]  # fmt: skip
    checks = [{"kind": "validation", "step": s, "accuracy": 0.1 * s, "valid": 1.0, "tokens": 30} for s in (0, 3)]
    return [*checks[:1], *train, *checks[1:]]


def test_tables_hold_one_kind(rows):
    assert curves.journal_table(rows, "train").index.tolist() == [1, 2, 3]
    assert curves.journal_table(rows, "validation")["accuracy"].tolist() == pytest.approx([0, 0.3])


def test_a_table_is_read_from_the_file_that_a_report_names(rows, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"kind": "tra')  # torn by a kill
    assert curves.journal_table(path, "train").equals(curves.journal_table(rows, "train"))
    assert curves.journal_table(tmp_path / "none.jsonl", "train").empty


def test_figures_show_the_given_values(rows):
    train, checks = curves.journal_table(rows, "train"), curves.journal_table(rows, "validation")
    figure = curves.sft_progress(train, checks)
    assert figure.axes[1].lines[0].get_ydata().tolist() == checks["accuracy"].tolist()
    figure = curves.learning(train, checks)
    assert figure.axes[1].lines[0].get_ydata().tolist() == train["total"].tolist()
    assert figure.axes[2].lines[-1].get_ydata().tolist() == checks["accuracy"].tolist()
    nothing = curves.learning(curves.journal_table([], "train"), curves.journal_table([], "validation"))
    assert not any(axis.lines for axis in nothing.axes)  # before the first step
    assert reward.reward_shape(reward.LengthReward()).axes[0].lines[0].get_ydata().min() == 0.5
    close = reward.reward_shape(reward.LengthReward(l_max=128, l_pos=58, l_neg=63)).axes[0].get_xticklabels()
    assert [label.get_text() for label in close] == ["Lneg\n63", "\n\nLpos\n58", "Lmax\n128"]


def test_smoothing_keeps_the_ends():
    assert curves.smooth(pd.Series([1.0, 3.0]), 5).tolist() == [2.0, 2.0]
