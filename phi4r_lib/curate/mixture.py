"""Which traces and prompts go into training, in which shares, and the files that training reads.

A share of the edge seeds is kept for GRPO. Of the others edge problems come first, then a settable share of consistent
hard ones and a few easy ones; originals and synthetic problems in balance; one SFT file per domain, so that each domain
can be tuned alone and the files added up later (report 3). Not here: whether a single trace is good (teach.py).
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from phi4r_lib.curate.teach import Lesson, TraceRow, conversation
from phi4r_lib.models.engine import as_messages

EXTREMES = (0.2, 0.95)  # shares of original problems below and above which we warn; ours
CLASSES = ("edge", "undecided", "hard", "easy")  # order in which seeds are taken


@dataclass(frozen=True)
class Mixture:
    """The chosen traces by origin, how many of each class they teach, and what to know about the balance.

    `for_rl` are the ids of problems that no trace teaches, because they are kept for GRPO.
    """

    original: list[TraceRow]
    synthetic: list[TraceRow]
    classes: dict[str, int]
    warnings: list[str] = field(default_factory=list)
    for_rl: frozenset[str] = frozenset()


def compose(
    lessons: Sequence[Lesson],
    traces: Sequence[TraceRow],
    *,
    size: int,
    original_share: float,
    hard_share: float,
    easy_share: float,
    rl_edge_share: float = 0.0,
    seed: int = 0,
) -> Mixture:
    """At most `size` kept traces, `original_share` of them of seeds, the rest of problems made from seeds.

    First a share `rl_edge_share` of the edge seeds is set aside for GRPO (`kept_for_rl`). Of the other seeds' traces at
    most `hard_share` belong to hard and `easy_share` to easy seeds; edge and undecided ones come
    first. Every problem gives one trace before any gives a second. Where one side runs short the other fills up, and a warning
    says so: seeds up to all of it (who has no rewriter has no made problems), made problems not beyond EXTREMES; shares of 0
    and 1 are kept exactly. Shares are of 1; the report asks for a
    balance and publishes no figures, these are ours. Raises ValueError for shares outside [0, 1].
    """
    if not all(0 <= share <= 1 for share in (original_share, hard_share, easy_share, rl_edge_share)):
        raise ValueError("original_share, hard_share, easy_share and rl_edge_share lie between 0 and 1")
    for_rl = kept_for_rl(lessons, rl_edge_share, seed)
    lessons = [lesson for lesson in lessons if lesson.id not in for_rl]
    kept = _by_problem(traces)
    seeds = [lesson for lesson in lessons if lesson.kind == "seed"]
    synthetic = _in_turns([one for one in lessons if one.kind != "seed"], kept, random.Random(seed))
    room = len(_by_class(seeds, kept, size, hard_share, easy_share, random.Random(seed)))
    count, rest = _counts(size, original_share, room, len(synthetic))
    original = _by_class(seeds, kept, count, hard_share, easy_share, random.Random(seed))
    decision = {lesson.id: lesson.decision for lesson in lessons}
    classes = Counter(decision[row.problem_id] for row in original)
    warnings = _warnings(len(original), rest, size, original_share)
    return Mixture(original, synthetic[:rest], dict(classes), warnings, for_rl)


def kept_for_rl(lessons: Sequence[Lesson], share: float, seed: int = 0) -> frozenset[str]:
    """Ids of a random `share` of the edge seeds, and of the problems that tell one of them again in other words.

    What SFT has shown with its solution is no longer a try of the model's own. Problems with other numbers are other
    problems and stay. Ours: the report filters seeds for both stages and does not say how it divides them.
    """
    edge = [lesson.id for lesson in lessons if lesson.kind == "seed" and lesson.decision == "edge"]
    chosen = set(random.Random(seed).sample(edge, round(share * len(edge))))
    again = {one.id for one in lessons if one.kind in ("rewrite", "paraphrase") and one.parent_id in chosen}
    return frozenset(chosen | again)


def _counts(size: int, share: float, original: int, synthetic: int) -> tuple[int, int]:
    """How many traces of seeds and of made problems, given how many there are of each."""
    low = share if share == 1 else min(EXTREMES[0], share)
    most = int(original / low) if low > 0 else synthetic
    total = min(size, original + synthetic, most)
    count = min(original, max(round(total * share), total - synthetic))
    return count, total - count


def _by_problem(traces: Iterable[TraceRow]) -> dict[str, list[TraceRow]]:
    kept: dict[str, list[TraceRow]] = defaultdict(list)
    for row in traces:
        if row.kept:
            kept[row.problem_id].append(row)
    return kept


def _in_turns(lessons: Sequence[Lesson], kept: Mapping[str, list[TraceRow]], rng: random.Random) -> list[TraceRow]:
    """Traces in random order of the problems, the first of each before the second of any."""
    order = rng.sample(list(lessons), len(lessons))
    most = max((len(kept.get(lesson.id, ())) for lesson in order), default=0)
    return [kept[lesson.id][turn] for turn in range(most) for lesson in order if turn < len(kept.get(lesson.id, ()))]


def _by_class(seeds, kept, size: int, hard_share: float, easy_share: float, rng: random.Random) -> list[TraceRow]:
    groups = {name: _in_turns([s for s in seeds if s.decision == name], kept, rng) for name in CLASSES}
    groups["edge"] += _in_turns([s for s in seeds if s.decision not in CLASSES], kept, rng)
    first = (groups["edge"] + groups["undecided"])[:size]
    limits = {"hard": hard_share, "easy": easy_share}
    # Shares are of what is chosen, so few edge traces leave room for few others: x = share (first + x + y) for both.
    rest = 1 - hard_share - easy_share
    whole = min(size, round(len(first) / rest)) if rest > 0 else size
    chosen = list(first)
    for name, share in limits.items():
        chosen += groups[name][: min(round(share * whole), max(0, size - len(chosen)))]
    return rng.sample(chosen, len(chosen))


def _warnings(original: int, synthetic: int, size: int, share: float) -> list[str]:
    found = []
    total, (low, high) = original + synthetic, EXTREMES
    actual = original / total if total else share
    if abs(actual - share) > 0.02:
        found.append(f"{actual:.0%} original problems instead of {share:.0%}: there are no more of the other kind")
    if actual <= low:
        found.append(f"only {actual:.0%} original problems: the student learns the rewriter's habits; add seeds")
    if actual >= high:
        found.append(f"{actual:.0%} original problems: hardly any synthetic ones, so little variety; add rewrites")
    if total < size:
        found.append(f"{total} traces instead of {size}: there are no more that the shares allow")
    return found


def sft_row(trace: TraceRow, lesson: Lesson, system: str | None) -> dict[str, Any]:
    """One training row: our system message, the bare problem, the trace, and the lineage of both."""
    return {
        "messages": conversation(lesson.prompt, trace.text.strip(), system),
        "id": trace.id,
        "domain": lesson.domain,
        "verifier": lesson.verifier,
        "parent_id": lesson.parent_id or lesson.id,
        "problem_id": lesson.id,
        "kind": lesson.kind,
        "decision": lesson.decision,
        "source": lesson.source,
        "licence": lesson.licence,
        "model": trace.model,
        "effort": trace.effort,
        "answer": lesson.answer,
        "vote_share": lesson.vote_share,
        "tokens": trace.tokens,
    }


def rl_rows(lessons: Sequence[Lesson], taught: Iterable[str], *, limit: int, system: str | None, seed: int = 0):
    """Prompts with proxy truth for GRPO, the first `limit`: edge before hard, not taught by SFT before taught; no easy.

    Same system message as SFT. `decision` is the class that the *base* gave the problem ("new" for made ones, whose
    parent's class is `parent_decision`); training has moved the edge since, so GRPO measures again. It also drops groups
    that are all right or all wrong, so hard prompts cost samples but do no harm. `overlap` marks prompts that SFT also saw.
    """
    taught = set(taught)
    usable = [lesson for lesson in lessons if lesson.answer is not None and lesson.decision != "easy"]
    order = random.Random(seed).sample(usable, len(usable))
    rank = {"edge": 0, "undecided": 1, "new": 1}
    order.sort(key=lambda lesson: (lesson.id in taught, rank.get(lesson.decision, 2)))
    decisions = {lesson.id: lesson.decision for lesson in lessons}
    return [_rl_row(one, system, one.id in taught, decisions.get(one.parent_id)) for one in order[:limit]]


def _rl_row(lesson: Lesson, system: str | None, overlap: bool, parent_decision: str | None) -> dict[str, Any]:
    lineage = {"parent_id": lesson.parent_id, "source": lesson.source, "licence": lesson.licence, "kind": lesson.kind}
    about = {"decision": lesson.decision, "parent_decision": parent_decision, "vote_share": lesson.vote_share}
    about["overlap"] = overlap
    check = {"answer_type": lesson.answer_type, "verifier": lesson.verifier, "meta": lesson.meta}
    prompt = as_messages(lesson.prompt, system)
    row = {"prompt": prompt, "answer": lesson.answer, "id": lesson.id, "domain": lesson.domain}
    return row | check | lineage | about


def where_used(lessons: Sequence[Lesson], taught: Iterable[str], prompts: Iterable[str]) -> pd.DataFrame:
    """Number of problems by source and class of the base (of made problems: their parent's), all, in SFT and in RL.

    `taught` and `prompts` are ids of problems; a class that nobody has is left out.
    """
    classes = {lesson.id: lesson.decision for lesson in lessons}
    table = pd.DataFrame(
        {
            "source": ["seed" if one.kind == "seed" else "made from" for one in lessons],
            "class": [one.decision if one.kind == "seed" else classes.get(one.parent_id, "other") for one in lessons],
            "problems": 1,
            "SFT": [one.id in taught for one in lessons],
            "RL": [one.id in prompts for one in lessons],
        }
    )
    order = {name: place for place, name in enumerate((*CLASSES, "other"))}
    counts = table.groupby(["source", "class"]).sum().astype(int)
    return counts.sort_index(level="class", key=lambda names: names.map(order)).sort_index(
        level="source", ascending=False, sort_remaining=False
    )
