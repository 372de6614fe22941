"""What the checks of rewrites are worth, measured against the gold answers of their parents; nothing feeds back.

Not here: the checks themselves (rewrite.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from phi4r_lib.curate.quality import Estimate, proportion
from phi4r_lib.curate.rewrite import SAME_ANSWER, RewriteRow
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.verify import Verifiers, judge


def precision(
    rows: Sequence[RewriteRow], gold: Mapping[str, str], verifiers: Verifiers | None = None
) -> dict[str, Estimate]:
    """Share of candidates whose answer is the parent's gold, with 95% Wilson intervals: what the checks are worth.

    "unchecked" takes every candidate with the answer of its first solution (no question, no solution: wrong); "one
    answer" those whose solutions agreed, with the plurality; "kept" those that passed every check. Only kinds that must
    keep their parent's answer count, and only parents with gold; a group without any is left out.
    """
    known = [row for row in rows if row.kind in SAME_ANSWER and row.parent_id in gold]
    agreed = [row for row in known if row.answers and not row.reason.startswith("no ")]
    groups = {
        "unchecked": [(row.answers[0] if row.answers else None, row) for row in known],
        "one answer": [(row.answer, row) for row in agreed],
        "kept": [(row.answer, row) for row in known if row.kept],
    }
    found = {}
    for name, pairs in groups.items():
        if pairs:
            right = _against_gold([row for _, row in pairs], [answer for answer, _ in pairs], gold, verifiers)
            found[name] = proportion(sum(right), len(pairs))
    return found


def _against_gold(rows: Sequence[RewriteRow], answers, gold: Mapping[str, str], verifiers) -> list[bool]:
    asked = [row.model_copy(update={"answer": gold[row.parent_id]}) for row in rows]
    return [one.grade is Grade.RIGHT for one in judge(asked, answers, verifiers)]


def removals(
    rows: Sequence[RewriteRow], gold: Mapping[str, str], verifiers: Verifiers | None = None
) -> dict[str, Estimate]:
    """For each reason to drop a candidate: share of the dropped whose answer was not the parent's gold (Wilson).

    The counterpart of `precision`: a check is worth its price where this share is well above that of all candidates
    ("all candidates", the first entry). Same candidates as there; the answer is the plurality, else none (wrong).
    """
    known = [row for row in rows if row.kind in SAME_ANSWER and row.parent_id in gold]
    wrong = [not right for right in _against_gold(known, [row.answer for row in known], gold, verifiers)]
    groups: dict[str, list[bool]] = {"all candidates": wrong}
    for row, bad in zip(known, wrong, strict=True):
        if not row.kept:
            groups.setdefault(row.reason.split(":")[0], []).append(bad)
    return {name: proportion(sum(wrong), len(wrong)) for name, wrong in groups.items() if wrong}
