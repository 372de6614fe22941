"""The verifier `exact`: the same text, white space and Unicode spellings aside.

The problem's `answer` is the text. Right: equal after Unicode normalisation (NFKC) and with runs of white space as one
space; with `ignore_case` also in another case. Wrong: "other_text". Nothing else is forgiven: no articles, no full stops.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from phi4r_lib.problems.answers import extract_answer
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import one_by_one, visible
from phi4r_lib.problems.verify import Verdict


class ExactVerifier:
    """Names, labels, codes: answers that are right only as they are."""

    def __init__(self, ignore_case: bool = False):
        self.ignore_case = ignore_case

    def extract(self, text: str) -> str | None:
        """The last box or stated answer, else all that stands after the thinking."""
        return extract_answer(text) or visible(text) or None

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by equality of text."""
        return one_by_one(self._judge, answers, problems)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[str]:
        """The normal form of the text."""
        return [self._normal(answer) for answer in answers]

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        same = self._normal(answer) == self._normal(problem.answer or "")
        return Verdict.right(answer) if same else Verdict.wrong(answer, "other_text")

    def _normal(self, text: str) -> str:
        text = " ".join(unicodedata.normalize("NFKC", text).split())
        return text.casefold() if self.ignore_case else text
