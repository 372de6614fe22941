"""The verifier `math`: answers are equal when they are the same number, expression, set or word.

Right: mathematically equal to the gold answer (answers.grade). Wrong: anything else ("not_equal"). Could not be graded:
a gold or an answer that cannot be compared within the limits ("not_comparable"). Not here: how they are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from phi4r_lib.problems.answers import Grade, extract_answer, grade
from phi4r_lib.problems.math.conventions import Conventions
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verdict

_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),(\d{1,2}|\d{4,})")  # 21,5 and 1.021,00 but not 1,021
VERDICTS = {
    Grade.RIGHT: Verdict.right,
    Grade.WRONG: lambda answer: Verdict.wrong(answer, "not_equal"),
    Grade.FAILED: lambda answer: Verdict.failed(answer, "not_comparable"),
}


class MathVerifier:
    """Short mathematical answers; the settings are those of `answers.grade` and the fields of `Conventions`.

    So `verifiers: {math: {thousands: dot}}` in a profile reads 1.080,5 as 1080.5.
    """

    def __init__(self, timeout_s: float = 5.0, workers: int | None = None, **conventions: Any):
        try:
            read = Conventions(**conventions)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"'{first['loc'][0]}': {first['msg']}, found {first['input']!r}") from None
        self.thousands = read.thousands
        self.limits = {"timeout_s": timeout_s, "workers": workers, "conventions": read}

    def extract(self, text: str) -> str | None:
        """The last box, else the last "the answer is", after the thinking (answers.extract_answer)."""
        return extract_answer(text)

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by mathematical equality."""
        grades = grade(answers, [problem.answer for problem in problems], **self.limits)
        return [VERDICTS[found](answer) for found, answer in zip(grades, answers, strict=True)]

    def remark(self, gold: str) -> str | None:
        """What to tell the author of a gold that may be read otherwise than meant: 21,5 as 21 and 5."""
        if self.thousands == "dot" or not _DECIMAL_COMMA.fullmatch(gold.strip()):
            return None
        return "are read as two numbers; for a decimal comma the profile says `verifiers: {math: {thousands: dot}}`"

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[str]:
        """The first spelling of the class that an answer belongs to; frequent spellings come first."""
        spellings: dict[str, Counter[str]] = {}
        for answer, problem in zip(answers, problems, strict=True):
            spellings.setdefault(problem.id, Counter())[answer] += 1
        classes = {name: self._classes(found) for name, found in spellings.items()}
        return [classes[problem.id][answer] for answer, problem in zip(answers, problems, strict=True)]

    def _classes(self, spellings: Counter[str]) -> dict[str, str]:
        """{spelling: first spelling of its class}; each is compared with the first one of every class so far."""
        home: dict[str, str] = {}
        for text in sorted(spellings, key=lambda text: (-spellings[text], text)):
            firsts = list(dict.fromkeys(home.values()))
            grades = grade([text] * len(firsts), firsts, **self.limits)
            equal = (first for first, found in zip(firsts, grades, strict=True) if found is Grade.RIGHT)
            home[text] = next(equal, text)
        return home
