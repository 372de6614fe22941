"""What the checks of made problems are worth, measured by somebody who knows; nothing feeds back into the pipeline.

Not here: the checks themselves (rewrite.py, acceptance.py), and who knows (for our worlds: worlds/reading.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from phi4r_lib.curate.quality import Estimate, proportion
from phi4r_lib.curate.rewrite import FAULT, RewriteRow, printed
from phi4r_lib.problems.schema import Problem

STAGES = ("as written", "text checks passed", "kept")
Judge = Callable[[str, str, str | None, Problem, str | None], bool | None]


def by_gold(kind: str, _text: str, answer: str | None, _parent: Problem, gold: str | None) -> bool | None:
    """The judge where nobody knows more than gold answers: the parent's must stay. None for other numbers and what nobody solved."""
    unsolved = answer is None and kind != "program"
    return None if gold is None or kind == "numbers" or unsolved else answer == gold


def judged(
    rows: Sequence[RewriteRow], parents: Iterable[Problem], gold: Mapping[str, str], judge: Judge | None = None
) -> pd.DataFrame:
    """One line per candidate that the judge can judge: id, kind, faithful, reason (first words), and how far it came.

    `judge(kind, text, answer, parent, gold of the parent)` says whether a candidate is what its kind promises, None where
    it cannot know. `answer` is the one kept with the candidate, else that of its first solution, None where nobody solved
    it; of a program it is what the program prints. What does not parse is not faithful; what no engine wrote is left out. `stage` is the last of STAGES that
    it reached. Without a judge the gold answers are all that is known (`by_gold`).
    """
    judge = judge or by_gold
    known = {parent.id: parent for parent in parents}
    lines = []
    for row in (row for row in rows if row.parent_id in known and not row.reason.startswith(FAULT)):
        answer = printed(row) if row.kind == "program" else _answer(row)
        parsed = not row.reason.startswith("does not parse")
        faithful = parsed and judge(row.kind, row.prompt, answer, known[row.parent_id], gold.get(row.parent_id))
        stage = STAGES[2] if row.kept else STAGES[1] if row.answers else STAGES[0]
        lines.append((row.id, row.kind, faithful, "kept" if row.kept else row.reason.split(":")[0], stage))
    table = pd.DataFrame(lines, columns=["id", "kind", "faithful", "reason", "stage"])
    return table[table["faithful"].notna()].assign(faithful=lambda known: known["faithful"].astype(bool))


def _answer(row: RewriteRow) -> str | None:
    return row.answer if row.kept or not row.answers else row.answers[0] or "none"


def by_stage(table: pd.DataFrame) -> dict[str, dict[str, Estimate]]:
    """Kind -> stage -> share of faithful ones among the candidates that came so far (95% Wilson), from `judged`."""
    found: dict[str, dict[str, Estimate]] = {}
    for kind, some in table.groupby("kind", sort=False):
        for place, stage in enumerate(STAGES):
            far = some[some["stage"].map(STAGES.index) >= place]["faithful"]
            if len(far):
                found.setdefault(str(kind), {})[stage] = proportion(int(far.sum()), len(far))
    return found


def by_reason(table: pd.DataFrame) -> dict[str, Estimate]:
    """Reason -> share of *unfaithful* ones among the candidates that it removed (95% Wilson), all candidates first.

    A check is worth its price where this share is well above that of all candidates.
    """
    groups = {"all candidates": table} | dict(iter(table[table["reason"] != "kept"].groupby("reason", sort=False)))
    return {
        str(name): proportion(int((~some["faithful"]).sum()), len(some)) for name, some in groups.items() if len(some)
    }
