"""Verdicts for logged answers: the log's own metric, or the answers graded again where that gives the same metric.

A harness that samples a question several times logs one number for all its answers. Grading the answers again tells them
apart, and is believed only if it reproduces that number as the first answer's grade, their mean, their best or their
plurality's. Not here: reading files (one module per harness) and grading itself (problems/verify.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from phi4r_lib.measure.adapters.faults import LogError, is_verdict, pick, verdict
from phi4r_lib.problems.answers import final_answer
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verdict, judge, verifier_of, vote

PREFERRED = ("exact_match", "acc", "math_verify")
_SEVERAL = re.compile(r"(?:pass|maj|cons|best|any)(?:@|\^)(?:k:k=)?(\d+)", re.IGNORECASE)
COMPARES_ONE = ("exact_match",)  # metrics that take a list of answers for one text, and so log 0 for every list
DIFFERS = 0.01  # share of questions that may differ: graders disagree on single spellings


@dataclass(frozen=True)
class Logged:
    """One question of a log: its answers (none for a log-likelihood task), target and metrics, and how to name it.

    target is None where answers cannot be compared with it. listed: the metric was computed on the list of all answers.
    """

    problem: str
    where: str
    texts: Sequence[str | None]
    target: str | None
    metrics: dict[str, Any]
    tokens: Sequence[int] | None = None
    listed: bool = False
    asked: str = ""  # digest of how it was put, see faults.setting


def settle(rows: Sequence[Logged], wanted: str | None, path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of a table of answers, and notes on the metric taken and on what was graded again.

    One answer per question takes the logged 0/1 metric. Several are graded again, see the module; where that does not
    reproduce the metric, a 0/1 metric counts as one run and a share is refused. Raises LogError.
    """
    metric, notes = _metric(rows, wanted, path)
    if max(len(row.texts) for row in rows) < 2:
        return [_single(row, metric) for row in rows], notes
    graded = _graded(rows)
    found = None if graded is None else _reproduces(rows, graded, metric)
    if found is not None:
        notes.append(f"{path.name}: answers graded again; {found}")
        return [answer for row, parts in zip(rows, graded, strict=True) for answer in _several(row, parts)], notes
    if all(is_verdict(row.metrics.get(metric)) for row in rows):
        why = (
            "the answers cannot be graded again" if graded is None else "grading the answers again gives something else"
        )
        notes.append(f"{path.name}: logged {metric} taken, one run per question, since {why}")
        return [_single(row, metric) for row in rows], notes
    row = next(row for row in rows if not is_verdict(row.metrics.get(metric)))
    raise LogError(
        f"{row.where}: {metric} is {row.metrics.get(metric)} for {len(row.texts)} answers, and grading them again does not "
        "give that (programs, or another way to extract): log one verdict per answer, or choose a 0/1 metric with --metric"
    )


def _metric(rows: Sequence[Logged], wanted: str | None, path: Path) -> tuple[str, list[str]]:
    found = list(dict.fromkeys(name for row in rows for name in row.metrics))
    order = sorted(found, key=_rank)
    clear = [name for name in order if all(is_verdict(row.metrics.get(name)) for row in rows)]
    share = [name for name in order if all(_share(row.metrics.get(name)) is not None for row in rows)]
    repeated = max(len(row.texts) for row in rows) > 1
    alone = [name for name in order if not _of_several(name)]
    usable = [name for name in alone if name in clear] or [name for name in alone if name in share and repeated]
    name, notes = pick("metric", wanted, found, usable or clear or share, path)
    lacking = next((row for row in rows if name not in row.metrics and row.metrics), None)
    if lacking:
        raise LogError(
            f"{lacking.where}: has no {name}, it has {', '.join(lacking.metrics)}; are these two tasks in one file? "
            "Split them, or choose a metric that all rows have with --metric"
        )
    if not notes and name not in PREFERRED:
        notes = [f"{path.name}: metric {name} taken, 1 counts as right"]
    if name not in clear and not repeated:
        for row in rows:
            verdict(row.metrics.get(name), f"{row.where}, metric {name}")
    return name, notes


def _of_several(name: str) -> bool:
    """True for what a group of answers earns together: pass@4, maj@8, G-Pass@16; not for pass@1, however many samples."""
    found = _SEVERAL.search(name)
    return bool(found) and int(found[1]) > 1


def _rank(name: str) -> tuple[bool, int]:
    """Metrics of one answer before those of several, in the order of PREFERRED, then of the log."""
    return _of_several(name), PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)


def _share(value: Any) -> float | None:
    """A metric as a number from 0 to 1, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= 1 else None


def _known(text: str | None) -> str | None:
    """The text, or None where it says nothing ("[invalid]" is lm-eval's word for no match)."""
    return None if text is None or text.strip() in ("", "[invalid]") else text.strip()


def _single(row: Logged, metric: str) -> dict[str, Any]:
    right = verdict(row.metrics.get(metric), f"{row.where}, metric {metric}")
    answer = _known(row.texts[0]) if len(row.texts) == 1 else None
    silent = len(row.texts) == 1 and answer is None and right is False
    found = "failed" if right is None else "right" if right else "none" if silent else "wrong"
    tokens = row.tokens[0] if row.tokens and len(row.texts) == 1 else None
    known = {"problem": row.problem, "asked": row.asked, "run": 0, "answer": answer}
    return known | {"correct": right, "grade": found, "tokens": tokens}


def _several(row: Logged, parts: Sequence[tuple[str | None, str]]) -> list[dict[str, Any]]:
    lengths = row.tokens or [None] * len(parts)
    return [
        {
            "problem": row.problem,
            "asked": row.asked,
            "run": run,
            "answer": answer,
            "correct": found == "right",
            "grade": found,
            "tokens": many,
        }
        for run, ((answer, found), many) in enumerate(zip(parts, lengths, strict=True))
    ]


def _graded(rows: Sequence[Logged]) -> list[list[tuple[str | None, str]]] | None:
    """(answer, grade) of every answer of every question, or None where a target is no text or a question has no answer."""
    if any(row.target is None or not row.texts for row in rows):
        return None
    extract = verifier_of("math").extract
    answers = [[extract(text or "") or _known(text) for text in row.texts] for row in rows]
    asked = [_problem(row) for row in rows]
    flat = [(problem, answer) for problem, many in zip(asked, answers, strict=True) for answer in many]
    verdicts = iter(judge([problem for problem, _ in flat], [answer for _, answer in flat]))
    return [[(answer, _name(answer, next(verdicts))) for answer in many] for many in answers]


def _problem(row: Logged) -> Problem:
    """The question as a problem of the default verifier: a target that ends in an answer counts by that answer."""
    target = final_answer(str(row.target))
    return Problem(id=row.problem, domain="log", prompt=row.problem, answer=target, source="log", licence="unknown")


def _name(answer: str | None, verdict: Verdict) -> str:
    return "none" if answer is None else verdict.grade.value


REDUCTIONS: dict[str, Callable[[list[tuple[str | None, str]]], float]] = {
    "the first answer's grade": lambda parts: float(parts[0][1] == "right"),
    "their mean": lambda parts: sum(found == "right" for _, found in parts) / len(parts),
    "the best answer's grade": lambda parts: float(any(found == "right" for _, found in parts)),
    "the plurality's grade": lambda parts: float(_plurality_right(parts)),
}


def _plurality_right(parts: list[tuple[str | None, str]]) -> bool:
    """Whether the most frequent answer is a right one; what it is compared with does not matter for the vote."""
    voted = vote(_VOTE, [answer for answer, _ in parts]).answer
    return voted is not None and any(answer == voted and found == "right" for answer, found in parts)


_VOTE = Problem(id="vote", domain="log", prompt="a logged question", source="log", licence="unknown")


def _reproduces(rows: Sequence[Logged], graded: list, metric: str) -> str | None:
    """How the grades give the logged metric, in words; None where they do not."""
    logged = pd.Series([_share(row.metrics.get(metric)) for row in rows], dtype=float)
    if metric in COMPARES_ONE and all(row.listed for row in rows) and (logged == 0).all():
        return f"the logged {metric} is 0 throughout, for it compared the list of answers with one text"
    off = {
        name: int((~((pd.Series([reduction(parts) for parts in graded]) - logged).abs() <= 1e-6)).sum())
        for name, reduction in REDUCTIONS.items()
    }
    fewest = min(off.values())
    if fewest > DIFFERS * len(rows):
        return None
    but = f" ({fewest} of {len(rows)} questions differ)" if fewest else ""
    return f"the logged {metric} is {' or '.join(name for name, many in off.items() if many == fewest)}{but}"
