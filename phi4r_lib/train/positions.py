"""How well a model predicts far from the beginning: loss by position, on rows longer than its old context.

What doubling the RoPE base is for shows only there. Not here: the doubling itself (models/thinking.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from datasets import Dataset
from scipy import stats
from transformers import AutoConfig, PreTrainedModel

from phi4r_lib.models.thinking import double_rope_base
from phi4r_lib.train.settings import SftSettings
from phi4r_lib.train.sft import prepare_model
from phi4r_lib.train.sft_trainer import sft_trainer

Pair = tuple[list[int], list[int]]  # token ids and labels


def chain(pairs: Sequence[Pair], length: int, count: int, seed: int = 0) -> Dataset:
    """`count` rows of exactly `length` tokens, each of several examples as one text: positions run on, earlier examples are seen.

    Examples are drawn at random and the last one is cut off; each keeps its labels. Columns as from `packing.pack`.
    """
    rng, rows = random.Random(seed), []
    for _ in range(count):
        ids, labels = [], []
        while len(ids) < length:
            more = rng.choice(pairs)
            ids, labels = ids + more[0], labels + more[1]
        rows.append({"input_ids": ids[:length], "labels": labels[:length], "seq_lengths": [length]})
    return Dataset.from_list(rows)


def loss_by_position(model: PreTrainedModel, rows: Dataset, width: int) -> pd.DataFrame:
    """Mean loss (nats per token, every token) of each row at the positions 0 .. width - 1, width .. 2 width - 1, and so on.

    Index: rows; columns: the first position of each bin.
    """
    training, parts = model.training, []
    model.eval()
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row["input_ids"]])
            spread = model(input_ids=ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
            loss = -spread.gather(1, ids[0, 1:, None])[:, 0]
            place = torch.arange(1, len(loss) + 1) // width * width
            parts.append(pd.Series(loss).groupby(place.numpy()).mean())
    model.train(training)
    return pd.DataFrame(parts).reset_index(drop=True)


def rope_arms(
    base: Path | str,
    train: Dataset,
    test: Dataset,
    settings: SftSettings,
    work: Path,
    *,
    steps: int,
    width: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Loss by position with the old and the doubled RoPE base, before and after `steps` steps on the long rows of `train`.

    Both start from the same weights and see the same rows in the same order. Index (when, position); columns `as it was`, `doubled`,
    and their `difference` (doubled - as it was) with a 95% interval over the rows of `test` (t, paired; captures which rows were drawn).
    """
    double_rope_base(AutoConfig.from_pretrained(base))  # a base that cannot be doubled is said before any work
    length, found = len(train[0]["input_ids"]), {}
    brief = {"block": length, "eval_every": 10**6, "warmup_steps": min(2, settings.warmup_steps)}
    for doubled in (False, True):
        model, tokenizer = prepare_model(base, settings.model_copy(update={"double_rope": doubled}))
        found["before", doubled] = loss_by_position(model, test, width)
        changes = {"max_steps": steps, "save_strategy": "no"}
        sft_trainer(
            model, tokenizer, train, work, settings.model_copy(update=brief), seed=seed, device="cpu", **changes
        ).train()
        found["after", doubled] = loss_by_position(model, test, width)
    pairs = {when: _paired(found[when, False], found[when, True]) for when in ("before", "after")}
    return pd.concat(pairs, names=["when", "position"])


def _paired(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    gap = other - one
    half = gap.std(ddof=1) / len(gap) ** 0.5 * stats.t.ppf(0.975, len(gap) - 1)
    columns = {"as it was": one.mean(), "doubled": other.mean(), "difference": gap.mean()}
    return pd.DataFrame(columns | {"low": gap.mean() - half, "high": gap.mean() + half})
