"""Seeds into checkable questions and into more questions: rewrites, paraphrases, other numbers, programs and back.

A candidate is kept only if it parses, is no copy, still tells its parent's problem (acceptance.py), has one answer when a
strong model solves it again and again (the parent's, where its kind promises that), and is not trivially easy for the
student. The prompts are text files, so that a team edits text and not code. Not here: traces (teach.py), which rewrites go
into training (mixture.py), overlap with benchmarks (decontaminate.py), what the checks are worth (rewrite_quality.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from phi4r_lib.curate.acceptance import PRINTS, false_steps, fault, parse_program, parse_question, reckons
from phi4r_lib.curate.draws import draw
from phi4r_lib.curate.duplicates import jaccard, shingles
from phi4r_lib.curate.rubric import load_prompt
from phi4r_lib.curate.truth import UNCHECKABLE
from phi4r_lib.models.engine import Engine, Progress, Sample, SamplingSettings
from phi4r_lib.problems.answers import Grade, Plurality
from phi4r_lib.problems.sandbox import SandboxResult, run_python, sandbox_problem
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import (
    NoEquality,
    Verdict,
    Verifiers,
    final_answers,
    judge,
    right_share,
    verify_samples,
    vote,
)

Kind = Literal["rewrite", "paraphrase", "numbers", "puzzle", "program"]
FAULT = "engine fault"  # how the reason of a candidate begins that no engine wrote
SAME_ANSWER = ("rewrite", "paraphrase", "puzzle", "program")  # kinds that must keep the answer of their parent
DOMAINS = {"program": "code", "puzzle": "math"}  # kinds that change the domain; the others keep that of their parent


class RewriteRow(Problem):
    """One candidate with its lineage: `kept` or not with the `reason`; `answer` is the proxy truth, never a gold.

    `vote_share` = votes of the plurality / solutions; `answers` are the final answers of all solutions in order (None:
    no answer). `similarity` is the share of word triples in common with the parent. `easy_right` of `easy_tries`
    direct answers of the student that could be graded were right. `model` wrote the text, with `settings`; `tokens` it cost.
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
    """settings.n candidates per parent, parsed; those that do not parse or copy their parent are dropped with a reason.

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
    fields |= {"domain": DOMAINS.get(kind, parent.domain), "verifier": parent.verifier, "tokens": sample.tokens}
    if parent.answer_type not in UNCHECKABLE:
        fields["answer_type"] = parent.answer_type
    fields["meta"] = _kept_meta(parent)
    if sample.error:
        return RewriteRow(**fields, prompt="(nothing)", reason=f"{FAULT}: {sample.error}")
    try:
        if sample.truncated:
            raise ValueError("ran into the token limit")
        text = (parse_program if kind == "program" else parse_question)(sample.text)
    except ValueError as error:
        return RewriteRow(**fields, prompt=sample.text.strip() or "(nothing)", reason=f"does not parse: {error}")
    same = jaccard(shingles(text, 3), shingles(_told(parent), 3))
    reason = f"copy of its parent: {same:.2f} of the word triples in common" if same > max_similarity else ""
    return RewriteRow(**fields, prompt=text, similarity=round(same, 4), reason=reason)


def _kept_meta(parent: Problem) -> dict[str, Any]:
    """What the problem is about; all of it where a verifier may need it."""
    return {key: value for key, value in parent.meta.items() if parent.verifier != "math" or key in ("family", "steps")}


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
    parents: Iterable[Problem] = (),
    verifiers: Verifiers | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> list[RewriteRow]:
    """settings.n solutions of every open candidate; dropped unless `min_share` of them agree on one answer.

    Agreement is the equality of the candidate's verifier. A solution without an answer, or of mathematics with a step
    that does not hold (`acceptance.false_steps`), has no vote and counts in the denominator. The answer becomes the proxy truth. Where answers have no equality, a candidate that must keep its parent's answer is
    checked like the parent, and `min_share` of the solutions must pass; any other is dropped. Method: report 2 names the
    plurality; the share, its threshold and the check of rewrites are ours.
    """
    waiting, truths = [row for row in rows if row.open], {parent.id: parent.answer for parent in parents}
    drawn = draw(teacher, [(row.id, row.prompt) for row in waiting], settings, folder, progress)
    solved = {}
    for row, samples in zip(waiting, drawn, strict=True):
        truth = truths.get(row.parent_id) if row.kind in SAME_ANSWER else None
        solved[row.id] = _voted(row, samples, min_share, truth, verifiers)
    return [solved.get(row.id, row) for row in rows]


def _voted(row: RewriteRow, samples: Sequence[Sample], min_share: float, truth: str | None, verifiers) -> RewriteRow:
    answers = final_answers(row, samples, verifiers)
    false = [false_steps(sample.text) if reckons(row.domain, row.verifier) else [] for sample in samples]
    sound = [None if steps else answer for answer, steps in zip(answers, false, strict=True)]
    reason, agree = "", "agree"
    try:
        found = vote(row, sound, verifiers)
    except NoEquality:
        agree = "pass the parent's check"
        found = _passing(row.model_copy(update={"answer": truth}), sound, verifiers)
    if found.answer is None or found.tied or found.share < min_share:
        count, steps = sum(map(bool, false)), [step for one in false for step in one]
        reason = f"no single answer: {found.votes} of {len(samples)} solutions {agree}, {min_share:g} asked"
        if count > (1 - min_share) * len(samples):
            reason = f"false steps: in {count} of {len(samples)} solutions, such as {steps[0]}"
        elif found.answer is None:
            reason = "no answer: none of the solutions states one that can be checked"
    changes = {"answers": answers, "answer": found.answer, "vote_share": round(found.share, 4), "reason": reason}
    return row.model_copy(update=changes)


def _passing(checked: RewriteRow, answers: Sequence[str | None], verifiers) -> Plurality:
    """How many answers the parent's check passes, in the form of a vote for that check."""
    right = sum(one.correct for one in judge([checked] * len(answers), answers, verifiers))
    return Plurality(checked.answer, right, right / len(answers))


def drop_unfaithful(rows: Sequence[RewriteRow], parents: Iterable[Problem], strict: bool = True) -> list[RewriteRow]:
    """Drops open candidates whose text no longer tells the parent's problem (`acceptance.fault`). Ours."""
    texts = {parent.id: parent.prompt for parent in parents}
    result = []
    for row in rows:
        if row.open and row.parent_id in texts:
            row = row.model_copy(update={"reason": fault(row.kind, texts[row.parent_id], row.prompt, strict)})
        result.append(row)
    return result


def drop_other_answers(
    rows: Sequence[RewriteRow], parents: Iterable[Problem], verifiers: Verifiers | None = None
) -> list[RewriteRow]:
    """Drops open candidates that must keep their parent's answer and have another; only parents with an answer count."""
    truths = {parent.id: parent.answer for parent in parents if parent.answer is not None}
    asked = [row for row in rows if row.open and row.kind in SAME_ANSWER and row.parent_id in truths]
    said = [row.model_copy(update={"answer": truths[row.parent_id]}) for row in asked]
    verdicts = judge(said, [row.answer for row in asked], verifiers)
    other = {
        row.id: row.model_copy(update={"reason": f"another answer: {row.answer}, not {truths[row.parent_id]}"})
        for row, verdict in zip(asked, verdicts, strict=True)
        if verdict.grade is not Grade.RIGHT
    }
    return [other.get(row.id, row) for row in rows]


def drop_easy(
    rows: Sequence[RewriteRow],
    student: Engine,
    settings: SamplingSettings,
    *,
    easy: float,
    verifiers: Verifiers | None = None,
    folder: str | Path | None = None,
) -> list[RewriteRow]:
    """Drops candidates that the student answers right in a share above `easy` of its graded tries; the rest is kept.

    A candidate of whose settings.n tries none could be graded (a dead endpoint, say) is dropped too: nobody knows.
    """
    waiting = [row for row in rows if row.open]
    drawn = draw(student, [(row.id, row.prompt) for row in waiting], settings, folder)
    pairs = [(row, sample) for row, many in zip(waiting, drawn, strict=True) for sample in many]
    found = iter(verify_samples([row for row, _ in pairs], [sample for _, sample in pairs], verifiers))
    judged = {row.id: _tried(row, [next(found) for _ in many], easy) for row, many in zip(waiting, drawn, strict=True)}
    return [judged.get(row.id, row) for row in rows]


def _tried(row: RewriteRow, verdicts: Sequence[Verdict], easy: float) -> RewriteRow:
    share = right_share(verdicts)
    graded = [one.correct for one in verdicts if one.grade is not Grade.FAILED]
    if share is None:
        reason = f"not tried: {verdicts[0].reason if verdicts else 'the student was not asked'}"
    elif share > easy:
        reason = f"too easy: the student answers {sum(graded)} of {len(graded)} right"
    else:
        reason = f"{row.vote_share:.0%} of {len(row.answers)} solutions agree on {row.answer}"
    kept = share is not None and share <= easy
    changes = {"easy_right": sum(graded), "easy_tries": len(graded), "kept": kept, "reason": reason}
    return row.model_copy(update=changes)


def run_programs(rows: Sequence[RewriteRow], *, verifiers: Verifiers | None = None, **limits: Any) -> list[RewriteRow]:
    """Runs every kept program in the sandbox; dropped unless it prints the answer that the solutions agreed on.

    So word problem, program and answer confirm each other. `limits` go to `sandbox.run_python`. Where programs cannot be
    contained on this machine none is run, and all are dropped with that reason (unless allow_unsandboxed is given).
    """
    missing = None if limits.get("allow_unsandboxed") else sandbox_problem()
    if missing:
        dropped = {"kept": False, "reason": f"no sandbox: {missing}"}
        return [row.model_copy(update=dropped) if row.kept and row.kind == "program" else row for row in rows]
    return [_ran(row, limits, verifiers) if row.kept and row.kind == "program" else row for row in rows]


def _ran(row: RewriteRow, limits: Mapping[str, Any], verifiers: Verifiers | None) -> RewriteRow:
    result = _run(row, limits)
    said = result.stdout.strip() if result.status == "ok" else None
    if judge([row], [said], verifiers)[0].grade is Grade.RIGHT:
        return row.model_copy(update={"reason": f"{row.reason}; the program prints it"})
    did = f"prints {said[:40]!r}" if said is not None else f"ends with status '{result.status}'"
    return row.model_copy(update={"kept": False, "reason": f"wrong program: {did}, the solutions say {row.answer}"})


def _run(row: RewriteRow, limits: Mapping[str, Any]) -> SandboxResult:
    return run_python(row.prompt.removesuffix(f"\n{PRINTS}"), **limits)


def printed(row: RewriteRow) -> str | None:
    """What a program that parses prints in the sandbox; None where it fails or nothing can be run on this machine."""
    if row.reason.startswith(("does not parse", FAULT)) or sandbox_problem():
        return None
    result = _run(row, {})
    return result.stdout.strip() if result.status == "ok" else None


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
    strict: bool = True,
    verifiers: Verifiers | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> list[RewriteRow]:
    """All checks in order of their price; every row comes back, kept or dropped with its reason.

    Repeats of `known` texts go, and texts that no longer tell their parent's problem; `solve.n` solutions of the teacher
    must agree in a share of `min_share`, and on the answer of the parent where there is one to keep; the student may not
    answer more than a share `easy` of `tries.n` direct tries right; programs must print the answer.
    """
    options = {"verifiers": verifiers, "folder": folder}
    rows = drop_unfaithful(drop_repeats(rows, known), parents, strict)
    rows = solve_again(rows, teacher, solve, min_share=min_share, parents=parents, progress=progress, **options)
    rows = drop_other_answers(rows, parents, verifiers)
    return run_programs(drop_easy(rows, student, tries, easy=easy, **options), verifiers=verifiers)


def reasons(rows: Iterable[RewriteRow]) -> dict[str, int]:
    """How many candidates were kept, and how many went for which reason (its first words)."""
    return dict(Counter("kept" if row.kept else row.reason.split(":")[0] for row in rows).most_common())
