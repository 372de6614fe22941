"""Exercises of a notebook: a question, an empty cell, a check that says right or wrong, and a solution to unfold.

An exercise is four cells, in this order (N is its number; `**Exercise N.**` starts the first one):

1. markdown: the question, and what the answer should be (a number, a list, a function).
2. code, tagged `exercise`: the reader's cell, stored as it is: a comment and `answer_N = ...`, three dots.
3. code, tagged `check`, with the cell metadata `"jupyter": {"source_hidden": true}` so that JupyterLab shows it folded (its
   first line stays visible: `# Check of exercise N`): `check(N, answer_N, RIGHT)`. Imports and work that only the check needs stand here too, inside a lambda where they cost time.
4. markdown: `<details><summary>Solution</summary>`, an empty line, a fenced python block that assigns `answer_N`, what to
   learn from it, an empty line, `</details>`. Its code may use whatever the notebook has defined up to there.

Run All and headless runs meet the three dots, print "not yet" and go on; nothing shows the answer. Results do not depend on
an exercise: its two code cells count neither for what a notebook wrote nor for whether that is out of date.
`tests/notebooks/test_exercises.py` looks at a smoke run with the solution in place (check says right), a wrong answer
(wrong) and the dots (not yet); `tests/notebooks/test_style.py` checks the form. Not here: grading of models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TAGS = frozenset({"exercise", "check"})  # of the code cells that are the reader's business


def check(
    number: int, answer: Any, right: Any | Callable[[Any], bool], *, within: float = 1e-6, because: str = ""
) -> None:
    """Prints in one line whether the answer to an exercise is right, wrong or still missing; never raises.

    Args:
        number: of the exercise.
        answer: what the reader's cell assigned; the three dots count as missing.
        right: the right value, or a function that takes the answer and says whether it is right. It is called only when
            there is an answer. What it raises makes the answer wrong, and the message says why.
        within: numbers count as right up to this difference, on its own and relative to the right value.
        because: a sentence for a right answer: what it shows.
    """
    if answer is ...:
        return print(f"Exercise {number}: not yet. Put your answer in place of the dots, run that cell, then this one.")
    try:
        good = bool(right(answer)) if callable(right) else _same(answer, right, within)
    except Exception as error:  # an answer of another kind, or a function of the reader that fails
        return print(
            f"Exercise {number}: wrong. The check could not use this answer ({type(error).__name__}: {error})."
        )
    return print(
        f"Exercise {number}: {'right.' if good else 'wrong. Try again, or unfold the solution.'}"
        f"{' ' + because if good and because else ''}"
    )


def _same(answer: Any, right: Any, within: float) -> bool:
    """Equality as people mean it: numbers up to rounding, sequences and tables entry by entry."""
    answer, right = (value.tolist() if hasattr(value, "tolist") else value for value in (answer, right))
    if isinstance(right, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == right.keys()
            and all(_same(answer[key], value, within) for key, value in right.items())
        )
    if isinstance(right, (list, tuple)):
        return (
            isinstance(answer, (list, tuple))
            and len(answer) == len(right)
            and all(_same(a, b, within) for a, b in zip(answer, right, strict=True))
        )
    if isinstance(right, (int, float)) and not isinstance(right, bool):
        return not isinstance(answer, bool) and abs(float(answer) - right) <= within * max(1.0, abs(right))
    return bool(answer == right)
