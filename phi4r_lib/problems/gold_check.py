"""Every gold answer judged by its own verifier: a task whose gold does not pass would teach and measure nonsense.

Not here: reading the file (schema.py) and counting it (census.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verifiers, VerifierUnavailable, examples, judge, verifier_of

BATCH = 512  # problems judged together
SHOWN = 5  # golds that are named


@dataclass
class GoldCheck:
    """Counts per verifier: golds that pass, that do not (with the first few and their reasons), and what was not tried.

    `unfit` are the ids of the problems whose gold does not pass; `remarks` maps what a verifier has to say about golds, by
    its method `remark(gold) -> str | None` where it has one, to the ids of their problems: "are read as two numbers".
    """

    verifiers: Verifiers | None = None
    passed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    untried: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def checking(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """The same problems; those with an answer are judged in batches as they pass."""
        waiting: list[Problem] = []
        for problem in problems:
            if problem.answer is not None:
                waiting.append(problem)
            if len(waiting) == BATCH:
                self._judge(waiting)
                waiting = []
            yield problem
        self._judge(waiting)

    def _judge(self, problems: Sequence[Problem]) -> None:
        for name in dict.fromkeys(problem.verifier for problem in problems):
            self._judge_one(name, [problem for problem in problems if problem.verifier == name])

    def _judge_one(self, name: str, problems: Sequence[Problem]) -> None:
        try:
            golds = examples(problems, self.verifiers)
            known = [(p, gold) for p, gold in zip(problems, golds, strict=True) if gold is not None]
            verdicts = judge([p for p, _ in known], [gold for _, gold in known], self.verifiers)
        except VerifierUnavailable as error:
            self.untried[f"verifier '{name}' is not there: {error}"] += len(problems)
            return
        remark = getattr(verifier_of(name, self.verifiers), "remark", lambda gold: None)
        for problem, words in ((problem, remark(gold)) for problem, gold in known):
            if words:
                self.remarks.setdefault(words, []).append(problem.id)
        if len(known) < len(problems):
            self.untried[f"verifier '{name}': no example of a right answer in meta"] += len(problems) - len(known)
        for (problem, _), verdict in zip(known, verdicts, strict=True):
            right = verdict.correct
            (self.passed if right else self.refused)[name] += 1
            self.unfit += [] if right else [problem.id]
            if not right and len(self.first) < SHOWN:
                self.first.append(f"{problem.id}: {verdict.grade.value}, {verdict.reason}")

    def lines(self) -> list[str]:
        """The result in words, one line per verifier, then what did not pass and what was not tried."""
        found = []
        for name in {**self.passed, **self.refused}:
            every = self.passed[name] + self.refused[name]
            found.append(f"gold: {self.passed[name]:,} of {every:,} answers pass their verifier '{name}'")
        more = sum(self.refused.values()) - len(self.first)
        found += [f"gold that does not pass: {line}" for line in self.first]
        found += [f"and {more:,} more"] if more > 0 else []
        found += [f"note: {len(ids):,} answers such as that of {ids[0]} {words}" for words, ids in self.remarks.items()]
        return found + [f"gold not tried ({count:,}): {text}" for text, count in self.untried.items()]
