"""Rubric evaluator: a judge model reads a problem and states its steps, skills and difficulty in a checked structure.

The prompt is a text file with the placeholder {problem}, so that a team edits text and not code. Ratings that do not
parse are counted, never guessed. Not here: difficulty measured from answers (edge.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phi4r_lib.curate.draws import draw
from phi4r_lib.curate.quality import Estimate, proportion, spearman
from phi4r_lib.models.engine import Engine, Progress, Sample, SamplingSettings
from phi4r_lib.problems.schema import Problem

PLACEHOLDER = "{problem}"


class RubricRating(BaseModel):
    """What a judge says about one problem: reasoning steps, skills they need, difficulty from 1 (easy) to 5 (hard)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    steps: int = Field(ge=1, le=100)
    skills: list[str] = Field(min_length=1, max_length=20)
    difficulty: int = Field(ge=1, le=5)


@dataclass(frozen=True)
class RubricReport:
    """Ratings in the order of the problems (None where none parsed), the reason of each failure, and tokens spent."""

    ids: list[str]
    ratings: list[RubricRating | None]
    failures: dict[str, str]
    tokens: int

    @property
    def parsed(self) -> Estimate:
        """Share of problems with a valid rating, with its Wilson interval."""
        return proportion(len(self.ids) - len(self.failures), len(self.ids))


def load_prompt(path: str | Path) -> str:
    """A prompt file; raises ValueError when it lacks the placeholder {problem} (or {problem} stands there twice)."""
    text = Path(path).read_text(encoding="utf-8").strip()
    if text.count(PLACEHOLDER) != 1:
        raise ValueError(f"{path}: must contain {PLACEHOLDER} exactly once, where the problem text goes")
    return text


def parse_rating(text: str) -> RubricRating:
    """The last valid JSON rating after the thinking part of a judge's answer.

    Raises ValueError with the reason when there is none.
    """
    visible = text.rpartition("</think>")[2]
    reason = "no JSON object in the answer"
    decoder = json.JSONDecoder()
    for start in [i for i, char in enumerate(visible) if char == "{"][::-1]:
        try:
            found, _ = decoder.raw_decode(visible, start)
            return RubricRating(**found)
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"field '{'.'.join(map(str, first['loc']))}': {first['msg']}"
        except (ValueError, TypeError, RecursionError):
            continue
    raise ValueError(reason)


def rate_problems(
    problems: Sequence[Problem],
    judge: Engine,
    prompt: str,
    settings: SamplingSettings,
    folder: str | Path,
    progress: Progress | None = None,
) -> RubricReport:
    """Asks the judge once for each problem; with `settings.n` > 1 the first answer that parses counts.

    `prompt` holds {problem} (see `load_prompt`); samples are kept in `folder`. Raises ValueError without problems.
    """
    if not problems:
        raise ValueError("no problems to rate")
    asked = [(problem.id, prompt.replace(PLACEHOLDER, problem.prompt)) for problem in problems]
    answers = draw(judge, asked, settings, folder, progress)
    ratings: list[RubricRating | None] = []
    failures: dict[str, str] = {}
    for problem, samples in zip(problems, answers, strict=True):
        rating, reason = _first_valid(samples)
        ratings.append(rating)
        if rating is None:
            failures[problem.id] = reason
    return RubricReport([p.id for p in problems], ratings, failures, sum(s.tokens for many in answers for s in many))


def _first_valid(samples: Sequence[Sample]) -> tuple[RubricRating | None, str]:
    reason = "no answer"
    for sample in samples:
        try:
            if sample.error or sample.truncated:
                raise ValueError(sample.error or "ran into the token limit")
            return parse_rating(sample.text), ""
        except ValueError as error:
            reason = str(error)
    return None, reason


def agreement(report: RubricReport, pass_rates: dict[str, float], seed: int = 0) -> dict[str, Estimate | None]:
    """Spearman correlation of rated steps and rated difficulty with measured difficulty, 1 - pass rate ({id: rate}).

    Only problems with both count. None where a side does not vary, because a rank correlation is undefined there.
    """
    both = [
        (rating, 1 - pass_rates[one])
        for one, rating in zip(report.ids, report.ratings, strict=True)
        if rating is not None and one in pass_rates
    ]
    measured = [difficulty for _, difficulty in both]
    return {
        name: spearman([getattr(rating, name) for rating, _ in both], measured, seed)
        for name in ("steps", "difficulty")
    }
