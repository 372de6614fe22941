"""Teacher traces by rejection sampling: which worked solutions a student may read.

A trace is kept only if it ended, has exactly one think pair, reaches the proxy truth, does not repeat itself and says
nothing of the teacher's guidelines; of several good ones the best by length. Answers that the teacher gave for the proxy
truth are traces already, so nothing is sampled twice. Not here: which problems, and the training files (mixture.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from phi4r_lib.curate.acceptance import false_steps, leaks, reckons, repeated_share
from phi4r_lib.curate.draws import draw_windows, open_store
from phi4r_lib.curate.edge import EdgeRow, iter_edge
from phi4r_lib.curate.quality import Estimate, proportion
from phi4r_lib.curate.rewrite import RewriteRow
from phi4r_lib.curate.traces import Shelf, TraceRow
from phi4r_lib.curate.truth import Truth, find_truth
from phi4r_lib.models.engine import Engine, Message, Progress, Prompt, SamplingSettings, as_messages
from phi4r_lib.models.index import numbers_of
from phi4r_lib.models.store import Store, prompt_hash, read_samples
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.schema import Problem, compact
from phi4r_lib.problems.verify import Verdict, Verifiers, judge, verify

Prefer = Literal["shortest", "median", "longest"]
LESSONS = 4096  # problems whose stored answers are read at once; ours


class Lesson(Problem):
    """A problem to be taught: `answer` is its proxy truth (None for safety requests), `vote_share` the votes behind it.

    `decision` is the class of notebook 01, or "new" for a problem made here; `kind` is "seed" or the kind of rewrite.
    """

    vote_share: float = 1.0
    decision: str = "new"
    kind: str = "seed"


def seed_lessons(rows: Iterable[EdgeRow]) -> list[Lesson]:
    """The seeds of notebook 01 that have a proxy truth."""
    return [_lesson(r, r.vote_share, r.decision) for r in rows if r.answer is not None]


def edge_lessons(file: str | Path) -> list[Lesson]:
    """The lessons of an edge.jsonl, edge seeds first, then undecided, hard and easy ones."""
    rank = ("edge", "undecided", "hard", "easy")
    return sorted(seed_lessons(iter_edge(file)), key=lambda lesson: rank.index(lesson.decision))


def truth_lessons(problems: Sequence[Problem], truths: Sequence[Truth]) -> list[Lesson]:
    """Problems with the truths found for them (`truth.find_truth`), those without a truth left out."""
    pairs = zip(problems, truths, strict=True)
    return [
        _lesson(p.model_copy(update={"answer": t.answer}), t.share, "new") for p, t in pairs if t.answer is not None
    ]


def solved_lessons(
    problems: Sequence[Problem], teacher: Engine, settings: SamplingSettings, **options: Any
) -> list[Lesson]:
    """Problems with the plurality of `settings.n` solutions as their answer; `options` as for `truth.find_truth`."""
    return truth_lessons(problems, find_truth(problems, teacher, settings, **options))


def rewrite_lessons(rows: Iterable[RewriteRow]) -> list[Lesson]:
    """The rewrites that were kept."""
    return [_lesson(row, row.vote_share, "new", row.kind) for row in rows if row.kept]


def _lesson(problem: Problem, share: float, decision: str, kind: str = "seed") -> Lesson:
    fields = {name: getattr(problem, name) for name in Problem.model_fields}
    return compact(Lesson(**fields, vote_share=share, decision=decision, kind=kind))


def stored_traces(
    lessons: Sequence[Lesson],
    teacher: Engine,
    folder: str | Path,
    effort: str = "medium",
    verifiers: Verifiers | None = None,
) -> list[TraceRow]:
    """The teacher's answers to these problems that a folder of samples already holds, by problem and number.

    Only answers to the bare prompt by this very model (name, weights, system message) count; whatever their settings.
    Their texts stay on the disk of `folder` (see traces.Shelf).
    """
    made: list[TraceRow] = []
    read, shelf = cache(json.loads), Shelf(folder)
    with Store(folder, write=False) as store:
        for start in range(0, len(lessons), LESSONS):  # so many lessons' texts at a time, whatever the folder holds
            pairs = _stored(lessons[start : start + LESSONS], teacher.name, store)
            for (lesson, row), verdict in zip(pairs, _verdicts(pairs, verifiers), strict=True):
                settings, name = read(row["settings"]), _name(row)
                made.append(_trace(lesson, row, effort, teacher.name, settings, name, verdict, shelf))
    return made


def _stored(lessons: Sequence[Lesson], model: str, store: Store) -> list[tuple[Lesson, dict[str, Any]]]:
    digests = [prompt_hash(lesson.prompt) for lesson in lessons]
    rows = store.rows(store.index.of_prompts(model, numbers_of(digests))).to_pylist()
    by_prompt: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["settings_hash"], row["index"])):
        by_prompt.setdefault(row["prompt_hash"], []).append(row)
    return [(lesson, row) for lesson, one in zip(lessons, digests, strict=True) for row in by_prompt.get(one, ())]


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['settings_hash'][:4]}-{row['index']}"


def _verdicts(pairs: Sequence[tuple[Lesson, Mapping[str, Any]]], verifiers: Verifiers | None) -> list[Verdict]:
    columns = {name: [sample[name] for _, sample in pairs] for name in ("text", "truncated", "error")}
    cut, errors = columns["truncated"], columns["error"]
    return verify([lesson for lesson, _ in pairs], columns["text"], verifiers, truncated=cut, errors=errors)


def _trace(
    lesson: Lesson,
    sample: Mapping[str, Any],
    effort: str,
    model: str,
    settings: dict,
    name: str,
    verdict: Verdict,
    shelf: Shelf | None,
) -> TraceRow:
    return TraceRow(
        id=f"{lesson.id}.{effort}.{name}", problem_id=lesson.id, domain=lesson.domain,
        text=shelf.put(sample["text"]) if shelf else sample["text"], shelf=shelf,
        found=verdict.answer, truth=lesson.answer, verifier=lesson.verifier, grade=verdict.grade.value, why=verdict.reason,
        effort=effort, model=model, settings=settings, index=sample["index"], tokens=sample["tokens"],
        truncated=sample["truncated"], error=sample["error"],
    )  # fmt: skip


def fresh_traces(
    lessons: Sequence[Lesson],
    teacher: Engine,
    settings: SamplingSettings,
    *,
    effort: str = "medium",
    system: str | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    verifiers: Verifiers | None = None,
) -> list[TraceRow]:
    """settings.n new traces per problem; `system` goes to the teacher only: an effort level, or guidelines.

    `settings.max_tokens` is the length budget of the effort level. `folder` keeps the samples (see models.store), and the
    texts stay on its disk; None keeps them in memory.
    """
    asked: list[tuple[str, Prompt]] = [(lesson.id, as_messages(lesson.prompt, system)) for lesson in lessons]
    about = settings.model_dump(exclude={"n", "first"}) | ({"system": system} if system else {})
    made, shelf = [], Shelf(folder) if folder else None
    with open_store(folder) as store:
        answers = draw_windows(teacher, asked, settings, store, progress)
        pairs = (
            (lesson, sample.model_dump()) for lesson, many in zip(lessons, answers, strict=True) for sample in many
        )
        while some := list(islice(pairs, LESSONS)):
            for (lesson, sample), verdict in zip(some, _verdicts(some, verifiers), strict=True):
                name = str(sample["index"])
                made.append(_trace(lesson, sample, effort, teacher.name, about, name, verdict, shelf))
    return made


def reject(rows: Sequence[TraceRow], *, max_repeats: float = 0.3, guidelines: str = "") -> list[TraceRow]:
    """Drops, with the reason, every trace that must not be learned from; the others stay open.

    In this order: engine fault, length budget used up, not exactly one think pair in front, text of the guidelines, a
    share of repeated 5-grams above `max_repeats`, no answer or another answer than the truth (where there is one), a step
    of arithmetic that does not hold, the same text as an earlier trace of the problem. Rejection sampling against the answer: report 2; the rest is ours.
    Traces without a verdict (made by hand) are judged here.
    """
    seen, result = set(), []
    for row in _with_verdicts(rows):
        if row.open:
            text = row.text
            reason, mark = _fault(row, text, max_repeats, guidelines) or _wrong(row, text), hash((row.problem_id, text))
            reason = reason or ("same text as another trace" if mark in seen else "")
            row = row.model_copy(update={"reason": reason}) if reason else row
            seen.add(
                mark
            )  # 64 bits in place of the text: of a million traces two differ and agree with a chance of 1e-7
        result.append(row)
    return result


def _with_verdicts(rows: Sequence[TraceRow]) -> list[TraceRow]:
    bare = {row.id: row for row in rows if row.grade is None and row.truth is not None}
    verdicts = judge([_bare(row) for row in bare.values()], [row.found for row in bare.values()])
    said = {name: {"grade": v.grade.value, "why": v.reason} for name, v in zip(bare, verdicts, strict=True)}
    return [row.model_copy(update=said[row.id]) if row.id in said else row for row in rows]


def _bare(row: TraceRow) -> Problem:
    about = {"id": row.problem_id, "domain": row.domain, "source": row.model, "licence": "unknown"}
    return Problem(prompt=row.problem_id, answer=row.truth, verifier=row.verifier, **about)


def _fault(row: TraceRow, text: str, max_repeats: float, guidelines: str) -> str:
    if row.error:
        return f"engine fault: {row.error}"
    if row.truncated:
        return f"length: no end within the budget of {row.settings.get('max_tokens')} tokens"
    thinking = parse_thinking(text)
    if not thinking.valid or not thinking.thought or not thinking.solution:
        return "format: not one think pair with a thought, then a solution"
    if guidelines and leaks(text, guidelines):
        return "guidelines: speaks of the teacher's guidelines"
    share = repeated_share(text)
    return f"repetition: {share:.2f} of the 5-grams repeat earlier ones" if share > max_repeats else ""


def _wrong(row: TraceRow, text: str) -> str:
    if row.truth is None:
        return ""
    if row.grade == "right":
        false = false_steps(text) if reckons(row.domain, row.verifier) else []
        return f"false step: {false[0]}, and yet the right answer" if false else ""
    if row.grade == "failed":
        return f"ungraded: {row.why}"
    return "no answer: the solution states none" if row.found is None else f"wrong answer: {row.why}"


def drop_disagreeing(rows: Sequence[TraceRow], min_share: float) -> list[TraceRow]:
    """For problems without an answer (safety): keeps open only replies that `min_share` of the problem's replies share.

    Replies count as equal when their solutions agree word by word, case aside; right for short fixed replies. Free text
    never agrees like this: set min_share to 0 and let a judge or a person read a sample. Ours.
    """
    said = Counter(map(_reply, rows))
    asked = Counter(row.problem_id for row in rows)
    result = []
    for row in rows:
        share = said[_reply(row)] / asked[row.problem_id]
        if row.open and share < min_share:
            row = row.model_copy(update={"reason": f"disagreement: {share:.0%} of the replies say this"})
        result.append(row)
    return result


def _reply(row: TraceRow) -> int:
    return hash((row.problem_id, " ".join(parse_thinking(row.text).solution.lower().split())))


def fitting(
    rows: Iterable[TraceRow], gold: Mapping[str, str], kind_of: Callable[[str], str | None] | None
) -> Estimate | None:
    """Share of the replies whose kind is the gold one (95% Wilson), for measuring only; None where no gold or no kind is known."""
    known = [row for row in rows if row.problem_id in gold] if kind_of else []
    fits = [kind_of(parse_thinking(row.text).solution) == gold[row.problem_id] for row in known]
    return proportion(sum(fits), len(fits)) if fits else None


def pick(rows: Sequence[TraceRow], keep: int, prefer: Prefer = "shortest") -> list[TraceRow]:
    """Keeps at most `keep` of the open traces of each problem, by length in tokens; the others are dropped with a reason.

    "shortest" teaches to stop, "longest" to explore (report 2: high effort is better but longer), "median" neither.
    """
    groups: dict[str, list[TraceRow]] = {}
    for row in rows:
        if row.open:
            groups.setdefault(row.problem_id, []).append(row)
    chosen = {row.id for group in groups.values() for row in _by_length(group, prefer)[:keep]}
    return [_picked(row, row.id in chosen, prefer) if row.open else row for row in rows]


def _by_length(group: list[TraceRow], prefer: Prefer) -> list[TraceRow]:
    ordered = sorted(group, key=lambda row: (row.tokens, row.id))
    if prefer == "longest":
        return ordered[::-1]
    middle = ordered[(len(ordered) - 1) // 2].tokens
    return sorted(ordered, key=lambda row: abs(row.tokens - middle)) if prefer == "median" else ordered


def _picked(row: TraceRow, chosen: bool, prefer: Prefer) -> TraceRow:
    said = f"right, chosen as {prefer}" if row.truth is not None else "well-formed, agreed"
    return row.model_copy(update={"kept": chosen, "reason": said if chosen else "surplus: another trace was chosen"})


def trace_reasons(rows: Iterable[TraceRow]) -> dict[str, int]:
    """How many traces were kept, and how many went for which reason (its first words)."""
    return dict(Counter("kept" if row.kept else row.reason.split(":")[0] for row in rows).most_common())


def need_kept(rows: Sequence[TraceRow]) -> None:
    """Raises ValueError with the commonest reasons when no trace at all is kept: there is nothing to train on."""
    if not any(row.kept for row in rows):
        why = "; ".join(f"{count} for '{reason}'" for reason, count in trace_reasons(rows).items()) or "there were none"
        raise ValueError(
            f"no teacher trace of {len(rows)} was kept ({why}); read traces.jsonl, then change the teacher"
        )


def trace_precision(
    rows: Iterable[TraceRow], gold: Mapping[str, str], lessons: Iterable[Lesson], verifiers: Verifiers | None = None
) -> Estimate | None:
    """Share of the kept traces that end in the gold answer, with its 95% Wilson interval; for measuring only.

    Only traces of `lessons` with gold count; None where there is none.
    """
    asked = {one.id: one.model_copy(update={"answer": gold[one.id]}) for one in lessons if one.id in gold}
    known = [row for row in rows if row.kept and row.problem_id in asked]
    verdicts = judge([asked[row.problem_id] for row in known], [row.found for row in known], verifiers)
    return proportion(sum(one.correct for one in verdicts), len(known)) if known else None


def tokens_spent(folder: str | Path) -> dict[str, int]:
    """Completion tokens of all samples in a folder, by model."""
    return read_samples(folder, ["model", "tokens"]).groupby("model")["tokens"].sum().to_dict()


def conversation(prompt: str, completion: str, system: str | None) -> list[Message]:
    """System message of our own, the problem, the trace: what the student trains on. No guidelines, no effort level."""
    return [*as_messages(prompt, system), {"role": "assistant", "content": completion}]
