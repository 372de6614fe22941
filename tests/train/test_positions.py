"""Loss by position on long rows, with the old and the doubled RoPE base."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from phi4r_lib.train.positions import chain, loss_by_position, rope_arms
from phi4r_lib.train.settings import SftSettings

PAIRS = [([5, 6, 7], [-100, 6, 7]), ([8, 9], [-100, 9])]
SETTINGS = SftSettings(
    passes=1.0, learning_rate=1e-3, batch_size=2, block=64, warmup_steps=0, weight_decay=0.0, eval_every=1, eval_problems=1
)  # fmt: skip


def test_rows_are_whole_texts_of_one_length():
    rows = chain(PAIRS, 10, 3, seed=1)
    assert len(rows) == 3 and all(len(row["input_ids"]) == len(row["labels"]) == 10 for row in rows)
    assert all(row["seq_lengths"] == [10] for row in rows)  # one example: positions run on
    assert all(
        label in (-100, token) for row in rows for token, label in zip(row["input_ids"], row["labels"], strict=True)
    )
    assert chain(PAIRS, 10, 3, seed=1)["input_ids"] == rows["input_ids"] != chain(PAIRS, 10, 3, seed=2)["input_ids"]


def test_losses_are_those_of_the_model(base_dir):
    model = AutoModelForCausalLM.from_pretrained(base_dir)
    rows = chain(PAIRS, 10, 2)
    table = loss_by_position(model, rows, 4)
    assert table.shape == (2, 3) and table.columns.tolist() == [0, 4, 8]
    ids = torch.tensor([rows[0]["input_ids"]])
    with torch.no_grad():
        spread = model.eval()(input_ids=ids).logits[0].log_softmax(-1)
    by_hand = [-spread[i - 1, ids[0, i]].item() for i in range(1, 10)]
    assert table.iloc[0].tolist() == pytest.approx(
        [np.mean(by_hand[:3]), np.mean(by_hand[3:7]), np.mean(by_hand[7:])], abs=1e-5
    )


def test_both_bases_start_alike_and_are_compared_row_by_row(base_dir, tmp_path):
    rows = chain(PAIRS, 160, 4)  # the context is 128
    table = rope_arms(base_dir, rows, rows, SETTINGS, tmp_path, steps=2, width=40)
    assert table.index.get_level_values("when").unique().tolist() == ["before", "after"]
    assert table.loc["before"].index.tolist() == [0, 40, 80, 120]
    gap = table["doubled"] - table["as it was"]
    assert np.allclose(gap, table["difference"]) and (table["low"] <= gap).all() and (gap <= table["high"]).all()
    assert abs(gap.loc["before", 0]) < abs(gap.loc["before"]).max()  # near the start the angles hardly differ
    assert (table.loc["after", "doubled"] < table.loc["before", "doubled"]).all()
