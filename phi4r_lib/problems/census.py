"""What a set of problems holds: counts by domain, repeated prompts, lengths; one pass, 30 bytes of memory per problem.

Not here: whether a file can be read at all (schema.py).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from phi4r_lib.problems.schema import Problem

SHOWN = 3  # repeated prompts that are named


@dataclass
class Census:
    """Counts over problems in order; `notes` is what reading them counted (see `schema.iter_problems`).

    `prompts` and `answers` hold a hash of each prompt (case and blanks aside) and of each answer, `lengths` the
    characters of each prompt. Two prompts with one hash are taken as equal; in a million the chance of an error is 1e-7.
    """

    problems: int = 0
    domains: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    prompts: array = field(default_factory=lambda: array("q"))
    answers: array = field(default_factory=lambda: array("q"))
    lengths: array = field(default_factory=lambda: array("L"))

    def counting(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """The same problems, counted as they pass."""
        for problem in problems:
            self.problems += 1
            self.domains[problem.domain] += 1
            self.answered[problem.domain] += problem.answer is not None
            self.prompts.append(hash(" ".join(problem.prompt.split()).casefold()))
            self.answers.append(hash(problem.answer))
            self.lengths.append(len(problem.prompt))
            yield problem

    def repeated(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (from 0) of prompts that repeat an earlier one, and of the first among them that each repeats."""
        prompts = np.asarray(self.prompts)
        order = np.argsort(prompts, kind="stable")
        same = np.append(False, prompts[order][1:] == prompts[order][:-1])
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
        where = order[same]
        by_place = np.argsort(where)
        return where[by_place], order[first[same]][by_place]

    def lines(self) -> list[str]:
        """The census in words, one line each."""
        found = [f"{self.problems:,} problems are valid; {self.answered.total():,} with an answer"]
        if len(self.domains) > 1:
            found += [
                f"{name}: {n:,}, {self.answered[name]:,} with an answer" for name, n in self.domains.most_common()
            ]
        else:
            found[0] += f"; domain: {next(iter(self.domains), 'none')}"
        if self.problems:
            low, middle, most, high = np.percentile(np.asarray(self.lengths), [0, 50, 95, 100]).tolist()
            found.append(
                f"prompts have {low:,.0f} to {high:,.0f} characters, half at most {middle:,.0f}, 95% at most {most:,.0f}"
            )
            found.append(self._repeats())
        return found + [f"note: {text} ({count:,})" for text, count in self.notes.most_common()]

    def _repeats(self) -> str:
        later, earlier = self.repeated()
        if not len(later):
            return "no prompt appears twice"
        answers = np.asarray(self.answers)
        unlike = answers[later] != answers[earlier]
        shown = [
            f"{b + 1} repeats {a + 1}" for a, b in zip(earlier[:SHOWN].tolist(), later[:SHOWN].tolist(), strict=True)
        ]
        text = (
            f"{len(later):,} prompts repeat an earlier one (problem {', '.join(shown)}{', ...' * (len(later) > SHOWN)})"
        )
        if unlike.any():
            place = int(np.flatnonzero(unlike)[0])
            text += f"; {unlike.sum():,} of them with another answer (problem {later[place] + 1} against {earlier[place] + 1})"
        return text
