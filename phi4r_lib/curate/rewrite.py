"""Seeds into checkable questions and into more questions: rewrites, paraphrases, other numbers, programs and back.

A candidate is kept only if it parses, is no copy, has one answer when a strong model solves it again and again, and is
not trivially easy for the student. The prompts are text files, so that a team edits text and not code. Not here: traces
(teach.py), which rewrites go into training (mixture.py), overlap with benchmarks (decontaminate.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from phi4r_lib.curate.draws import draw
from phi4r_lib.curate.duplicates import jaccard, shingles
from phi4r_lib.curate.quality import Estimate, proportion
from phi4r_lib.curate.rubric import load_prompt
from phi4r_lib.models.engine import Engine, Progress, Sample, SamplingSettings
from phi4r_lib.problems.answers import Grade, extract_answer, grade, plurality
from phi4r_lib.problems.sandbox import run_python, sandbox_problem
from phi4r_lib.problems.schema import Problem

Kind = Literal["rewrite", "paraphrase", "numbers", "puzzle", "program"]
SAME_NUMBERS = ("rewrite", "paraphrase")  # kinds that must keep the numbers of their parent, and may add others
SAME_ANSWER = ("rewrite", "paraphrase", "puzzle", "program")  # kinds that must keep the answer of their parent
PRINTS = "What does it print?"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_FENCE = re.compile(r"```(?:[a-z]*)\n(.*?)```", re.DOTALL)
_LEAD = re.compile(r"^\s*(?:(?:new )?(?:problem|question)|rewritten \w+)\s*:\s*", re.IGNORECASE)


class RewriteRow(Problem):
    """One candidate with its lineage: `kept` or not with the `reason`; `answer` is the proxy truth, never a gold.

    `vote_share` = votes of the plurality / solutions; `answers` are the final answers of all solutions in order (None:
    no answer). `similarity` is the share of word triples in common with the parent. `easy_right` of `easy_tries`
    direct answers of the student were right. `model` wrote the text, with `settings`; `tokens` it cost.
    """

    kind: Kind
    kept: bool = False
    reason: str = ""
    model: str
    settings: dict[str, Any] = Field(default_factory=dict)
    tokens: int = 0
    similarity: float = 0.0
    answers: list[str | None] = Field(default_factory=list)
    vote_share: float = 0.0
    easy_right: int | None = None
    easy_tries: int = 0

    @property
    def open(self) -> bool:
        """Still in the running: neither kept nor dropped."""
        return not self.kept and not self.reason


def load_task(folder: str | Path, kind: Kind) -> str:
    """The prompt of a kind of rewrite, from FOLDER/KIND.txt. Raises ValueError without exactly one {problem} in it."""
    return load_prompt(Path(folder) / f"{kind}.txt")


def parse_question(text: str) -> str:
    """The question in a model's reply: thinking, code fences and a leading "Problem:" taken off.

    Raises ValueError with the reason where no question stands there: nothing, no question mark near the end, no number
    to reckon with, or a reply that already holds a boxed answer.
    """
    text = _unwrapped(text)
    text = " ".join(_LEAD.sub("", text).split())
    if "\\boxed" in text:
        raise ValueError("gives an answer instead of a question")
    if not text.rstrip("\"'*_ )").endswith("?"):
        raise ValueError("does not end with a question")
    if not re.search(r"\d", text):
        raise ValueError("names no number")
    return text


def parse_program(text: str) -> str:
    """The program in a model's reply, with its question. Raises ValueError where it does not compile or prints nothing."""
    source = _unwrapped(text).rstrip()
    try:
        compile(source, "program.py", "exec")
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"is no Python program ({type(error).__name__})") from None
    if "print" not in source:
        raise ValueError("prints nothing")
    return f"{source}\n{PRINTS}"


def _unwrapped(text: str) -> str:
    visible = text.rpartition("</think>")[2]
    if "<think>" in visible or not visible.strip():
        raise ValueError("holds no reply")
    fenced = _FENCE.search(visible)
    return (fenced.group(1) if fenced else visible).strip()


def propose(
    parents: Sequence[Problem],
    engine: Engine,
    prompt: str,
    settings: SamplingSettings,
    *,
    kind: Kind,
    folder: str | Path | None = None,
    max_similarity: float = 0.95,
    progress: Progress | None = None,
) -> list[RewriteRow]:
    """settings.n candidates a parent, parsed; those that do not parse or copy their parent are dropped with a reason.

    `prompt` holds {problem}. `max_similarity` is the largest share of word triples (Jaccard) a candidate may have in
    common with its parent; ours. `folder` keeps the samples (see models.store).
    """
    asked = [(f"{kind}:{p.id}", prompt.replace("{problem}", _told(p))) for p in parents]
    answers = draw(engine, asked, settings, folder, progress)
    about = settings.model_dump(exclude={"n", "first"})
    return [
        _candidate(parent, sample, kind, engine.name, about, max_similarity)
        for parent, samples in zip(parents, answers, strict=True)
        for sample in samples
    ]


def _told(parent: Problem) -> str:
    return parent.prompt.removesuffix(f"\n{PRINTS}")


def _candidate(parent, sample: Sample, kind: Kind, model: str, settings: dict, max_similarity: float) -> RewriteRow:
    fields: dict[str, Any] = {"id": f"{parent.id}.{kind}{sample.index}", "parent_id": parent.id, "kind": kind}
    fields |= {"source": parent.source, "licence": parent.licence, "model": model, "settings": settings}
    fields |= {"domain": "code" if kind == "program" else "math", "tokens": sample.tokens}
    fields["meta"] = {key: parent.meta[key] for key in ("family", "steps") if key in parent.meta}
    try:
        if sample.error or sample.truncated:
            raise ValueError(sample.error or "ran into the token limit")
        text = (parse_program if kind == "program" else parse_question)(sample.text)
    except ValueError as error:
        return RewriteRow(**fields, prompt=sample.text.strip() or "(nothing)", reason=f"does not parse: {error}")
    same = jaccard(shingles(text, 3), shingles(_told(parent), 3))
    reason = f"copy of its parent: {same:.2f} of the word triples in common" if same > max_similarity else ""
    return RewriteRow(**fields, prompt=text, similarity=round(same, 4), reason=reason)


def drop_repeats(rows: Sequence[RewriteRow], known: Iterable[str] = ()) -> list[RewriteRow]:
    """Drops candidates that repeat, word by word, an earlier candidate or one of the `known` texts."""
    seen = {_plain(text) for text in known}
    result = []
    for row in rows:
        if row.open and _plain(row.prompt) in seen:
            row = row.model_copy(update={"reason": "repeats a known problem"})
        elif row.open:
            seen.add(_plain(row.prompt))
        result.append(row)
    return result


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+|[-+*/%=<>]", text.lower()))


def solve_again(
    rows: Sequence[RewriteRow],
    teacher: Engine,
    settings: SamplingSettings,
    *,
    min_share: float,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> list[RewriteRow]:
    """settings.n solutions of every open candidate; dropped unless `min_share` of them agree on one answer.

    Agreement is mathematical equality; solutions without an answer count in the denominator. The answer becomes the
    proxy truth. Method: report 2 names the plurality; the share, its threshold and the check of rewrites are ours.
    """
    waiting = [row for row in rows if row.open]
    drawn = draw(teacher, [(row.id, row.prompt) for row in waiting], settings, folder, progress)
    solved = {row.id: _voted(row, samples, min_share) for row, samples in zip(waiting, drawn, strict=True)}
    return [solved.get(row.id, row) for row in rows]


def _voted(row: RewriteRow, samples: Sequence[Sample], min_share: float) -> RewriteRow:
    answers = [None if s.truncated or s.error else extract_answer(s.text) for s in samples]
    vote = plurality(answers)
    reason = ""
    if vote.answer is None:
        reason = "no answer: none of the solutions states one"
    elif vote.tied or vote.share < min_share:
        reason = f"no single answer: {vote.votes} of {len(samples)} solutions agree, {min_share:g} asked"
    changes = {"answers": answers, "answer": vote.answer, "vote_share": round(vote.share, 4), "reason": reason}
    return row.model_copy(update=changes)


def drop_lost_numbers(rows: Sequence[RewriteRow], parents: Iterable[Problem]) -> list[RewriteRow]:
    """Drops open rewrites and paraphrases in which a number of the parent is gone: they lost the problem, and may still
    have one answer. Numbers may be added (a proof needs concrete values). Numbers in words are not seen. Ours."""
    numbers = {parent.id: Counter(_NUMBER.findall(parent.prompt)) for parent in parents}
    result = []
    for row in rows:
        if row.open and row.kind in SAME_NUMBERS:
            lost = numbers.get(row.parent_id, Counter()) - Counter(_NUMBER.findall(row.prompt))
            if lost:
                row = row.model_copy(update={"reason": f"lost numbers: {', '.join(sorted(lost.elements()))}"})
        result.append(row)
    return result


def drop_easy(
    rows: Sequence[RewriteRow],
    student: Engine,
    settings: SamplingSettings,
    *,
    easy: float,
    folder: str | Path | None = None,
) -> list[RewriteRow]:
    """Drops candidates that the student answers right in a share above `easy` of settings.n tries; the rest is kept."""
    waiting = [row for row in rows if row.open]
    drawn = draw(student, [(row.id, row.prompt) for row in waiting], settings, folder)
    pairs = [(extract_answer(s.text), row.answer) for row, many in zip(waiting, drawn, strict=True) for s in many]
    grades = iter(grade([a for a, _ in pairs], [truth for _, truth in pairs]))
    judged = {}
    for row, many in zip(waiting, drawn, strict=True):
        right = sum(next(grades) is Grade.RIGHT for _ in many)
        trivial = right > easy * len(many)
        reason = f"too easy: the student answers {right} of {len(many)} right" if trivial else _why_kept(row)
        changes = {"easy_right": right, "easy_tries": len(many), "kept": not trivial, "reason": reason}
        judged[row.id] = row.model_copy(update=changes)
    return [judged.get(row.id, row) for row in rows]


def _why_kept(row: RewriteRow) -> str:
    return f"{row.vote_share:.0%} of {len(row.answers)} solutions agree on {row.answer}"


def run_programs(rows: Sequence[RewriteRow], **limits: Any) -> list[RewriteRow]:
    """Runs every kept program in the sandbox; dropped unless it prints the answer that the solutions agreed on.

    So word problem, program and answer confirm each other. `limits` go to `sandbox.run_python`. Where programs cannot be
    contained on this machine none is run, and all are dropped with that reason (unless allow_unsandboxed is given).
    """
    missing = None if limits.get("allow_unsandboxed") else sandbox_problem()
    if missing:
        dropped = {"kept": False, "reason": f"no sandbox: {missing}"}
        return [row.model_copy(update=dropped) if row.kept and row.kind == "program" else row for row in rows]
    return [_ran(row, limits) if row.kept and row.kind == "program" else row for row in rows]


def _ran(row: RewriteRow, limits: Mapping[str, Any]) -> RewriteRow:
    result = run_python(row.prompt.removesuffix(f"\n{PRINTS}"), **limits)
    printed = result.stdout.strip() if result.status == "ok" else None
    if grade([printed], [row.answer])[0] is Grade.RIGHT:
        return row.model_copy(update={"reason": f"{row.reason}; the program prints it"})
    said = f"prints {printed[:40]!r}" if printed is not None else f"ends with status '{result.status}'"
    return row.model_copy(update={"kept": False, "reason": f"wrong program: {said}, the solutions say {row.answer}"})


def check(
    rows: Sequence[RewriteRow],
    parents: Sequence[Problem],
    teacher: Engine,
    student: Engine,
    *,
    solve: SamplingSettings,
    tries: SamplingSettings,
    min_share: float,
    easy: float,
    known: Iterable[str] = (),
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> list[RewriteRow]:
    """All checks in order of their price; every row comes back, kept or dropped with its reason.

    Repeats of `known` texts go; `solve.n` solutions of the teacher must agree in a share of `min_share`; no number of the
    parent may be lost; the student may not answer more than a share `easy` of `tries.n` direct tries right; programs must
    print the answer. The order puts the solutions before the numbers, so that the notebook can show what each is worth.
    """
    rows = drop_repeats(rows, known)
    rows = solve_again(rows, teacher, solve, min_share=min_share, folder=folder, progress=progress)
    rows = drop_easy(drop_lost_numbers(rows, parents), student, tries, easy=easy, folder=folder)
    return run_programs(rows)


def reasons(rows: Iterable[RewriteRow]) -> dict[str, int]:
    """How many candidates were kept, and how many went for which reason (its first words)."""
    return dict(Counter("kept" if row.kept else row.reason.split(":")[0] for row in rows).most_common())


def precision(rows: Sequence[RewriteRow], gold: Mapping[str, str]) -> dict[str, Estimate]:
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
            grades = grade([answer for answer, _ in pairs], [gold[row.parent_id] for _, row in pairs])
            found[name] = proportion(sum(g is Grade.RIGHT for g in grades), len(pairs))
    return found


def removals(rows: Sequence[RewriteRow], gold: Mapping[str, str]) -> dict[str, Estimate]:
    """For each reason to drop a candidate: share of the dropped whose answer was not the parent's gold (Wilson).

    The counterpart of `precision`: a check is worth its price where this share is well above that of all candidates
    ("all candidates", the first entry). Same candidates as there; the answer is the plurality, else none (wrong).
    """
    known = [row for row in rows if row.kind in SAME_ANSWER and row.parent_id in gold]
    grades = grade([row.answer for row in known], [gold[row.parent_id] for row in known])
    groups: dict[str, list[bool]] = {"all candidates": [verdict is not Grade.RIGHT for verdict in grades]}
    for row, verdict in zip(known, grades, strict=True):
        if not row.kept:
            groups.setdefault(row.reason.split(":")[0], []).append(verdict is not Grade.RIGHT)
    return {name: proportion(sum(wrong), len(wrong)) for name, wrong in groups.items() if wrong}
