"""Pairs for rollout DPO: one right and one wrong completion of the same question, both written by the model itself.

Phi-4-mini-reasoning's third stage learns from rollouts that other recipes throw away: the wrong ones. Not here: sampling them
(models.engine), the loss and the training (dpo.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phi4r_lib.models.engine import Sample, as_messages
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import problem_of
from phi4r_lib.problems.verify import Verifiers, verify_samples


@dataclass(frozen=True)
class Pairs:
    """Rows for `run_dpo`, and what became of the questions: all right, all wrong, or no usable answer to pair."""

    rows: list[dict[str, Any]]
    questions: int
    all_right: int
    all_wrong: int
    unpaired: int


def build_pairs(
    prompts: Sequence[Mapping[str, Any]],
    samples: Sequence[Sequence[Sample]],
    model: str,
    *,
    most: int = 1,
    verifiers: Verifiers | None = None,
) -> Pairs:
    """At most `most` pairs per question, each of a right and a wrong completion of nearly the same length.

    A right completion has its think block in order; a wrong one was graded wrong. Both ended by themselves: one that was cut off
    would teach that stopping is bad. No text appears in two pairs. Lengths as near as possible are ours: with them, length
    itself is no lesson.

    Args:
        prompts: rows of rl.jsonl (`prompt` as messages, `answer`, `id`).
        samples: the completions of each prompt, in the same order.
        model: who wrote them, for the lineage of every row.
        verifiers: who judges, as in `problems.verify.verify`.

    Returns:
        Rows with id, parent_id, prompt, chosen, rejected (messages), tokens_chosen, tokens_rejected, model and source.
    """
    asked = [problem_of(row) for row, group in zip(prompts, samples, strict=True) for _ in group]
    verdicts = iter(verify_samples(asked, [sample for group in samples for sample in group], verifiers))
    rows, counts = [], {"all_right": 0, "all_wrong": 0, "unpaired": 0}
    for row, group in zip(prompts, samples, strict=True):
        grades = [next(verdicts).grade for _ in group]
        found = _nearest(_usable(group, grades, Grade.RIGHT), _usable(group, grades, Grade.WRONG), most)
        rows += [_row(row, place, right, wrong, model) for place, (right, wrong) in enumerate(found)]
        if not found:
            kinds = set(grades) - {Grade.FAILED}
            counts[{(Grade.RIGHT,): "all_right", (Grade.WRONG,): "all_wrong"}.get(tuple(kinds), "unpaired")] += 1
    return Pairs(rows, len(prompts), **counts)


def _usable(group: Sequence[Sample], grades: Sequence[Grade], wanted: Grade) -> list[Sample]:
    """The first sample of every text with this grade that ended by itself; right ones think in order."""
    found: dict[str, Sample] = {}
    for sample, grade in zip(group, grades, strict=True):
        orderly = wanted is Grade.WRONG or parse_thinking(sample.text).valid
        if grade is wanted and not sample.truncated and sample.text.strip() and orderly:
            found.setdefault(sample.text, sample)
    return list(found.values())


def _nearest(rights: list[Sample], wrongs: list[Sample], most: int) -> list[tuple[Sample, Sample]]:
    """Pairs of least difference in length; ties by the order in which the samples came."""
    every = [(abs(r.tokens - w.tokens), i, j) for i, r in enumerate(rights) for j, w in enumerate(wrongs)]
    taken: list[tuple[int, int]] = []
    for _, i, j in sorted(every):
        if len(taken) < most and all(i != a and j != b for a, b in taken):
            taken.append((i, j))
    return [(rights[i], wrongs[j]) for i, j in taken]


def _row(row: Mapping[str, Any], place: int, right: Sample, wrong: Sample, model: str) -> dict[str, Any]:
    return {
        "id": f"{row['id']}.pair{place}",
        "parent_id": row["id"],
        "prompt": as_messages(row["prompt"]),
        "chosen": [{"role": "assistant", "content": right.text}],
        "rejected": [{"role": "assistant", "content": wrong.text}],
        "tokens_chosen": right.tokens,
        "tokens_rejected": wrong.tokens,
        "model": model,
        "source": row.get("source", "unknown"),
        "licence": row.get("licence", "unknown"),
    }
