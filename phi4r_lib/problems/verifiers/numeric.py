r"""The verifier `numeric`: a number within a tolerance, in any unit of the same kind.

The problem's `answer` is "9.81 m/s^2"; `meta["unit"]` may give its unit apart (then the question names it,
and an answer without a unit is taken in it), `meta["tolerance"]` another relative tolerance. Units are converted by pint. Right: the same dimension, and |answer - gold| <= rel |gold| + abs_ in the gold's
unit. Wrong: "no_number" (also two numbers, ranges, "about"), "out_of_tolerance", "no_unit", "unit_not_asked",
"other_dimension", "unknown_unit". Could not be graded: a gold that is no number with a known unit.
Numbers: 1234.5, 1,234.5, 1.2e3, 1.2 \times 10^{3}, 3/4, 12%. Not here: expressions and exact values (`math`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, one_by_one, short_answer
from phi4r_lib.problems.verify import Verdict, VerifierUnavailable

_NUMBER = re.compile(
    r"(?P<value>[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?)(?:e(?P<e>[-+]?\d{1,3})|\s*(?:\*|x|×|·|\\times|\\cdot)\s*10"
    r"(?:\^|\*\*)\s*(?:\{(?P<t1>[-+]?\d{1,3})\}|(?P<t2>[-+]?\d{1,3})))?(?:\s*/\s*(?P<over>\d{1,12}))?",
    re.IGNORECASE,
)
# Nothing that pint could calculate for long: letters, products, quotients, exponents of one digit.
_UNIT = re.compile(r"(?:°|[A-Za-zµμΩ%])(?:[A-Za-zµμΩ°%]|[*/·. ]|(?:\^|\*\*)?-?\d(?!\d)|[()]){0,40}")
_LATEX = (
    (r"\\(?:text|mathrm|rm|mathbf|operatorname)\b", ""),
    (r"[{}$~]|\\[,;! ]", " "),
    (r"−", "-"),
    (r"\\%", "%"),
    ("²", "^2"),
    ("³", "^3"),
)
_DECIMAL_TENTHS = re.compile(r"\^\s*\{\s*([-+]?\d{1,3})\s*\}")


class NumericVerifier:
    """Measured or computed quantities."""

    def __init__(self, rel: float = 0.01, abs_: float = 0.0):
        if not (0 <= rel < 1 and abs_ >= 0):
            raise ValueError("rel lies between 0 and 1, abs_ is at least 0")
        _registry()  # says now what is missing
        self.rel, self.abs = rel, abs_

    def extract(self, text: str) -> str | None:
        """The last box or stated answer, else the last line."""
        return short_answer(text)

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by distance from the gold."""
        return one_by_one(self._judge, answers, problems)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Hashable | None]:
        """Answers to one problem within the tolerance of the smallest of their group, sorted by size; no number, no vote."""
        found: list[Hashable | None] = [None] * len(answers)
        by_problem: dict[tuple[str, str], list[tuple[float, int]]] = {}
        for place, (answer, problem) in enumerate(zip(answers, problems, strict=True)):
            try:
                value, kind = _base(answer, str(problem.meta.get("unit") or ""))
            except ValueError:
                continue
            by_problem.setdefault((problem.id, kind), []).append((value, place))
        for (_, kind), values in by_problem.items():
            first = None
            for value, place in sorted(values):
                if first is None or abs(value - first) > self.rel * abs(first) + self.abs:
                    first = value
                found[place] = (kind, first)
        return found

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        try:
            gold, kind = _base(problem.answer or "", str(problem.meta.get("unit") or ""))
        except ValueError as error:
            raise BadCheck(f"gold: {error}") from None
        try:
            value, found = _base(answer, str(problem.meta.get("unit") or ""))
        except ValueError as error:
            return Verdict.wrong(answer, str(error))
        if found != kind and found == "dimensionless":
            return Verdict.wrong(answer, "no_unit")
        if found != kind:
            return Verdict.wrong(answer, "unit_not_asked" if kind == "dimensionless" else "other_dimension")
        rel = float(problem.meta.get("tolerance", self.rel))
        near = abs(value - gold) <= rel * abs(gold) + self.abs
        return Verdict.right(answer) if near else Verdict.wrong(answer, "out_of_tolerance")


@lru_cache(maxsize=1)
def _registry() -> Any:
    try:
        import pint
    except ImportError:
        raise VerifierUnavailable("the verifier 'numeric' needs pint: pip install 'phi4r[verifiers]'") from None
    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def _base(text: str, unit: str) -> tuple[float, str]:
    """Value in base units and dimension of a quantity; raises ValueError with the reason code."""
    text = _DECIMAL_TENTHS.sub(r"^\1", text.strip().strip("$").strip())
    for pattern, instead in _LATEX:
        text = re.sub(pattern, instead, text)
    found = _NUMBER.match(text := text.strip())
    value = _value(found) if found else None
    if value is None:
        raise ValueError("no_number")
    said = text[found.end() :].strip().rstrip(".").strip()
    if said and not _UNIT.fullmatch(said):
        raise ValueError("no_number")
    return _converted(value, said or unit)


def _value(found: re.Match[str]) -> float | None:
    digits = found["value"].replace(",", "")
    if not any(char.isdigit() for char in digits):
        return None
    value = float(f"{digits}e{found['e'] or found['t1'] or found['t2'] or 0}")
    if value == 0 and any(char in "123456789" for char in digits):
        return None  # too small for a float is not zero
    if found["over"]:
        value = value / int(found["over"]) if int(found["over"]) else math.nan
    return value if math.isfinite(value) else None


@lru_cache(maxsize=4096)
def _converted(value: float, unit: str) -> tuple[float, str]:
    if not unit:
        return value, "dimensionless"
    registry = _registry()
    try:
        parsed = registry.parse_units(
            re.sub(r"(?<=[A-Za-z])\s*(?:[·.]|\s)\s*(?=[A-Za-z])", "*", unit.replace("%", "percent"))
        )
        quantity = registry.Quantity(value, parsed).to_base_units()
    except Exception:
        raise ValueError("unknown_unit") from None
    return float(quantity.magnitude), str(quantity.dimensionality)
