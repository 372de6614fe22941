"""The verifier `constraints`: several hard rules and many right answers, so equality of answers means nothing.

The problem's `answer` is a JSON list of rules, each a list of a name and its arguments:
`[["count", 4], ["sum", 24], ["distinct"], ["between", 1, 12]]`. Rules on numbers read the answer as whole numbers with
commas or spaces between them and nothing else; rules on text read it as it is. `meta["example"]` may hold one right answer.
Right: every rule holds. Wrong: "failed_constraint: rule", "not_numbers"; the score is the share of rules that hold.
Could not be graded: a rule that does not exist, an empty list of rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, check_of, one_by_one, short_answer
from phi4r_lib.problems.verify import Verdict

MOST = 10_000  # numbers of an answer
_ONES = r"\s*[-+]?\d{1,18}(?:\s*[,; ]\s*[-+]?\d{1,18})*\s*"
_NUMBERS = re.compile(rf"\[{_ONES}\]|\({_ONES}\)|{_ONES}", re.ASCII)

NUMBERS: dict[str, Callable[..., bool]] = {
    "count": lambda found, n: len(found) == n,
    "sum": lambda found, total: sum(found) == total,
    "product": lambda found, total: _product(found, total) == total,
    "distinct": lambda found: len(set(found)) == len(found),
    "between": lambda found, low, high: all(low <= one <= high for one in found),
    "ascending": lambda found: all(a <= b for a, b in pairwise(found)),
    "divisible": lambda found, by: all(one % by == 0 for one in found),
    "includes": lambda found, *ones: not Counter(ones) - Counter(found),
    "excludes": lambda found, *ones: not set(ones) & set(found),
    "only": lambda found, *ones: not Counter(found) - Counter(ones),  # each at most as often as it is listed
}
TEXT: dict[str, Callable[..., bool]] = {
    "words": lambda text, low, high: low <= len(text.split()) <= high,
    "characters": lambda text, low, high: low <= len(text) <= high,
    "contains": lambda text, *parts: all(part.casefold() in text.casefold() for part in parts),
    "avoids": lambda text, *parts: not any(part.casefold() in text.casefold() for part in parts),
    "starts": lambda text, part: text.startswith(part),
    "ends": lambda text, part: text.endswith(part),
}


class ConstraintsVerifier:
    """Tasks whose answers are made, not found."""

    def extract(self, text: str) -> str | None:
        """The last box or stated answer, else the last line."""
        return short_answer(text)

    def example(self, problem: Problem) -> str | None:
        """A known right answer, for checking the problem itself."""
        return problem.meta.get("example")

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by rules."""
        return one_by_one(_judge, answers, problems)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[None]:
        """None: many answers are right."""
        return [None] * len(answers)


def _judge(answer: str, problem: Problem) -> Verdict:
    rules = check_of(problem)
    if not isinstance(rules, list) or not rules:
        raise BadCheck("the rules are a list of lists, at least one")
    answer = answer.strip()
    numbers = _numbers(answer)
    if numbers is None and any(_named(rule)[0] in NUMBERS for rule in rules):
        return Verdict.wrong(answer, "not_numbers")
    broken = [rule for rule in rules if not _holds(rule, answer, numbers or [])]
    if not broken:
        return Verdict.right(answer)
    return Verdict.wrong(answer, f"failed_constraint: {broken[0]}", 1 - len(broken) / len(rules))


def _named(rule: Any) -> tuple[str, list[Any]]:
    if not isinstance(rule, list) or not rule or rule[0] not in NUMBERS | TEXT:
        raise BadCheck(f"no rule {rule!r}; there are {', '.join([*NUMBERS, *TEXT])}")
    return rule[0], rule[1:]


def _holds(rule: Any, text: str, numbers: list[int]) -> bool:
    name, arguments = _named(rule)
    try:
        return NUMBERS[name](numbers, *arguments) if name in NUMBERS else TEXT[name](text, *arguments)
    except (TypeError, ZeroDivisionError, AttributeError) as error:
        raise BadCheck(f"rule {rule!r}: {error}") from None


def _numbers(answer: str) -> list[int] | None:
    if not _NUMBERS.fullmatch(answer):
        return None
    found = [int(one) for one in re.findall(r"[-+]?\d+", answer)]
    return found if len(found) <= MOST else None


def _product(found: Sequence[int], total: int) -> int:
    """The product, given up as soon as it is larger than asked."""
    value = 1
    for one in found:
        value *= one
        if abs(value) > abs(total) and 0 not in found:
            return value
    return value
