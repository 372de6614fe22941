"""Which candidates become the prompts of GRPO: the edge of ability, measured again with the model that training starts from.

Fine-tuning moves the edge: what the base could not solve may be solved half the time now. A group teaches only if it holds right
and wrong answers, so what counts is the chance of that (ours; the report does not say how its 72,401 prompts were chosen).
Not here: sampling and deciding (curate/edge.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import betaln

from phi4r_lib.train.settings import GrpoSettings

ORDER = ("edge", "undecided", "hard", "easy")
JEFFREYS = (0.5, 0.5)


@dataclass(frozen=True)
class Evidence:
    """What is known of one prompt: the decision of the edge filter, and how many of its judged answers were right."""

    decision: str
    right: int
    judged: int


def expected_mixed(right: int, judged: int, group: int, prior: tuple[float, float] = JEFFREYS) -> float:
    """The chance that a group of `group` fresh answers holds right and wrong ones, after `right` of `judged` were right.

    The mean of 1 - p^G - (1 - p)^G over the Beta posterior of the pass rate p, in closed form: with Beta(a, b),
    1 - B(a + G, b) / B(a, b) - B(a, b + G) / B(a, b) (ours). Raises ValueError for counts that cannot be.
    """
    if not 0 <= right <= judged or group < 1:
        raise ValueError(f"need 0 <= right <= judged and a group of at least 1, got {right} of {judged}, group {group}")
    a, b = prior[0] + right, prior[1] + judged - right
    all_right, all_wrong = betaln(a + group, b) - betaln(a, b), betaln(a, b + group) - betaln(a, b)
    return float(max(0.0, 1 - np.exp(all_right) - np.exp(all_wrong)))


def prior_behind(rows: Iterable[Any]) -> tuple[float, float]:
    """The Beta prior behind rows with successes, samples and pass_rate, the posterior mean (a + right) / (a + b + judged).

    Notebook 01 fits that prior on its pilot; its rows carry only the means. Jeffreys' prior where they do not determine it.
    """
    known = np.array([(row.successes, row.samples, row.pass_rate) for row in rows if row.samples], float).reshape(-1, 3)
    right, judged, rate = known.T
    (a, b), _, rank, _ = np.linalg.lstsq(np.column_stack([1 - rate, -rate]), rate * judged - right, rcond=None)
    return (float(a), float(b)) if rank == 2 and min(a, b) > 0 else JEFFREYS


def choose_prompts(
    rows: Sequence[Mapping[str, Any]],
    found: Mapping[str, Evidence],
    settings: GrpoSettings,
    prior: tuple[float, float] = JEFFREYS,
) -> list[dict[str, Any]]:
    """All candidates with their decision, the chance of a mixed group, whether they are `taken`, and why; the best first.

    "informative" takes the `grpo.take` prompts of the highest chance, "edge" those that the filter calls edge, then
    undecided ones, "all" every one in its old order, measured or not. Never fewer than one step needs. Raises ValueError for a
    row without evidence where the rule needs it.
    """
    missing = [row["id"] for row in rows if row["id"] not in found]
    if missing and settings.select != "all":
        raise ValueError(f"{len(missing)} prompts were not measured, first: {missing[0]}; run find_edge on all of them")
    found = {row["id"]: found.get(row["id"], Evidence("not measured", 0, 0)) for row in rows}
    chance = {key: expected_mixed(one.right, one.judged, settings.group, prior) for key, one in found.items()}
    order = list(rows)
    if settings.select == "informative":
        order.sort(key=lambda row: -chance[row["id"]])
    elif settings.select == "edge":
        order.sort(key=lambda row: (_rank(found[row["id"]].decision), -chance[row["id"]]))
    usable = [row for row in order if settings.select != "edge" or _rank(found[row["id"]].decision) < 2]
    limit = max(min(settings.take or len(usable), len(usable)), min(settings.prompts, len(order)))
    return [
        dict(row)
        | _reasons(found[row["id"]], chance[row["id"]], place < limit, f"{place + 1} of {len(order)}", settings)
        for place, row in enumerate(order)
    ]


def _rank(decision: str) -> int:
    return ORDER.index(decision) if decision in ORDER else len(ORDER)


def _reasons(one: Evidence, chance: float, taken: bool, place: str, settings: GrpoSettings) -> dict[str, Any]:
    facts = (
        f"{one.right} of {one.judged} answers right: {one.decision}, a group of {settings.group} is mixed with chance"
    )
    about = {"sft_decision": one.decision, "successes": one.right, "samples": one.judged, "mixed": round(chance, 4)}
    return about | {"taken": taken, "reason": f"{facts} {chance:.2f}; place {place} by rule {settings.select}"}


def decision_table(
    before: Mapping[str, Evidence], after: Mapping[str, Evidence], group: int, priors: Sequence[tuple[float, float]]
) -> pd.DataFrame:
    """Per decision before x after: how many prompts, and the mean chance of a mixed group with each model, with 95% intervals.

    `before` may lack prompts (made after it was measured): their row is "new" and has no share before. The intervals
    capture which prompts fell into a cell (mean +/- 1.96 standard errors over prompts, inside 0 to 1; ours).
    """
    rows = []
    for key, one in after.items():
        old = before.get(key)
        mixed = expected_mixed(old.right, old.judged, group, priors[0]) if old and old.judged else None
        rows.append(
            (
                old.decision if old else "new",
                one.decision,
                mixed,
                expected_mixed(one.right, one.judged, group, priors[1]),
            )
        )
    table = pd.DataFrame(rows, columns=["before", "after", "mixed before", "mixed after"])
    parts = [(*key, part) for key, part in table.groupby(["before", "after"], sort=True)] + [("all", "all", table)]
    return pd.DataFrame(
        [
            {"before": old, "after": new, "prompts": len(part)}
            | {name: _with_interval(part[name].dropna()) for name in ("mixed before", "mixed after")}
            for old, new, part in parts
        ]
    ).set_index(["before", "after"])


def _with_interval(values: pd.Series) -> str:
    if len(values) < 2:
        return f"{values.iloc[0]:.2f}" if len(values) else "-"
    error = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    low, high = max(0.0, values.mean() - error), min(1.0, values.mean() + error)
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f})"
