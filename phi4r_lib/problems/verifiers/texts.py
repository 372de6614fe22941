"""What several verifiers need of a completion's text: the part after the thinking, the last code block, a JSON check.

Not here: what an answer in mathematics is (answers.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from phi4r_lib.problems.answers import extract_answer
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verdict

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
LONGEST = 100_000  # characters of an answer that any of these verifiers looks at; ours


class BadCheck(ValueError):
    """The problem's `answer` is no check that this verifier can read; the pair cannot be graded."""


def visible(text: str) -> str | None:
    """The text after the last </think>; None where a <think> is still open."""
    shown = text.rpartition("</think>")[2]
    return None if "<think>" in shown else shown.strip()


def fenced(text: str, languages: Sequence[str]) -> str | None:
    """The last code block after the thinking in one of the languages ("" is a block without a name), or None."""
    shown = visible(text)
    blocks = [(name.lower(), body) for name, body in _FENCE.findall(shown or "")]
    return next((body for name, body in reversed(blocks) if name in languages), None)


def short_answer(text: str) -> str | None:
    """The last box or stated answer, else the last line that is not blank."""
    found = extract_answer(text)
    lines = (visible(text) or "").splitlines()
    return found or next((line.strip() for line in reversed(lines) if line.strip()), None)


def check_of(problem: Problem) -> Any:
    """The problem's `answer` as JSON; raises BadCheck."""
    try:
        return json.loads(problem.answer or "")
    except (ValueError, RecursionError) as error:
        raise BadCheck(f"the problem's answer is not JSON ({error})") from None


def one_by_one(
    judge: Callable[[str, Problem], Verdict], answers: Sequence[str], problems: Sequence[Problem], workers: int = 1
) -> list[Verdict]:
    """Verdicts of a function of one answer and its problem, `workers` at a time (for checks that wait on a process).

    A problem that cannot be read (BadCheck) and an answer that is too long cannot be graded and is wrong, respectively.
    """

    def careful(answer: str, problem: Problem) -> Verdict:
        if len(answer) > LONGEST:
            return Verdict.wrong(answer, "too_long")
        try:
            return judge(answer, problem)
        except BadCheck as error:
            return Verdict.failed(answer, f"bad_check: {error}")

    if workers == 1 or len(answers) < 2:
        return [careful(*pair) for pair in zip(answers, problems, strict=True)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(careful, answers, problems))
