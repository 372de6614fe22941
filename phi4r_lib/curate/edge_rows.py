"""What notebook 01 decides and why: the rule, one row per seed, and the report that makes and writes the rows.

Not here: how the decisions are reached (edge.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from scipy import stats

from phi4r_lib.curate.stopping import DECISIONS, BetaPrior, class_posterior, posterior_stop
from phi4r_lib.curate.truth import Truth
from phi4r_lib.problems.rows import ProblemFileError, read_rows, write_rows
from phi4r_lib.problems.schema import Problem

Decision = Literal["hard", "edge", "easy", "undecided", "no_truth"]


@dataclass(frozen=True)
class EdgeRule:
    """When a seed is hard (pass rate <= lo), easy (>= hi) or at the edge (between), and how sure to be.

    `error` is the largest posterior probability of a wrong class that a decision may have, `keep_error` the same for the
    decision "edge" (None: as `error`): a seed kept in vain costs some answers in GRPO, one dropped is lost. `max_samples` are the most
    answers of the weak model a seed gets. `prior` None means: Jeffreys' prior in `classify`, in `find_edge` a Beta
    fitted on the first `pilot` answers of every seed (with fewer than LEAST_PILOT seeds Jeffreys' too). `batch` is the least number of answers a seed gets per round.
    `price` (in wrong decisions per answer, 0 = off) gives a seed up early, as undecided, when further answers are not
    worth it (see stopping.posterior_stop). lo, hi, error are shares of 1; the report publishes none of them.
    """

    lo: float
    hi: float
    error: float
    max_samples: int
    prior: BetaPrior | None = None
    pilot: int = 4
    batch: int = 1
    price: float = 0.0
    keep_error: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.lo < self.hi <= 1:
            raise ValueError(f"need 0 <= lo < hi <= 1, got lo={self.lo}, hi={self.hi}")
        for name, value in (("error", self.error), ("keep_error", self.keep_error)):
            if value is not None and not 0 < value < 0.5:
                raise ValueError(f"{name} must lie between 0 and 0.5, got {value}")
        if not 0 <= self.price < 1:
            raise ValueError(f"price is a share of a wrong decision, between 0 and 1, got {self.price}")
        if min(self.max_samples, self.pilot, self.batch) < 1:
            raise ValueError("max_samples, pilot and batch must be at least 1")

    def policy(self, forced: bool = False, first: int = 0) -> np.ndarray:
        """The rule as a table of states (see stopping); `forced` decides every seed, `first` answers come before any look."""
        prior, keep = self.prior or BetaPrior(), self.keep_error
        return posterior_stop(self.lo, self.hi, self.error, self.max_samples, prior, self.price, forced, keep, first)


@dataclass(slots=True)
class SeedState:
    """What is known about one seed so far; `drawn` counts all samples, judged or not."""

    problem: Problem
    truth: Truth
    right: int = 0
    judged: int = 0
    truncated: int = 0
    faults: int = 0
    ungraded: int = 0
    tokens: int = 0
    drawn: int = 0
    rounds: int = 0
    decision: str = ""
    note: str = ""

    def asked(self) -> Problem:
        """The problem with the truth that answers are judged by."""
        same = self.problem.answer == self.truth.answer
        return self.problem if same else self.problem.model_copy(update={"answer": self.truth.answer})


class EdgeRow(Problem):
    """A seed with its decision: `answer` is the truth that was used (`truth_kind` says which), not a hidden gold.

    `successes` of `samples` judged answers were right. Drawn but not judged: `truncated` (no end of turn), `faults`
    (the engine failed), `ungraded` (the grader gave up). p_* are posterior probabilities, `pass_rate` the posterior
    mean with its central 90% interval, `tokens` completion tokens of the weak models, `teacher_tokens` of the teacher.
    """

    decision: Decision
    reason: str
    truth_kind: Literal["gold", "plurality", "self", "none"]
    truth_reason: str
    truth_samples: int = 0
    vote_share: float = 0.0
    conflict: bool = False
    successes: int = 0
    samples: int = 0
    truncated: int = 0
    faults: int = 0
    ungraded: int = 0
    tokens: int = 0
    teacher_tokens: int = 0
    pass_rate: float | None = None
    pass_low: float | None = None
    pass_high: float | None = None
    p_hard: float | None = None
    p_edge: float | None = None
    p_easy: float | None = None
    models: list[str] = Field(default_factory=list)
    teacher: str | None = None
    rounds: int = 0


@dataclass(frozen=True)
class EdgeReport:
    """What is known of each seed in the order of the problems, the rule with the prior that was used, the rounds' cost.

    Rows are made when they are asked for: a million of them take four times the memory of what they are made from.
    """

    states: list[SeedState]
    rule: EdgeRule
    models: list[str]
    teacher: str | None
    conflicts: list[Truth]
    rounds: list[dict[str, int]]

    def each(self) -> Iterator[EdgeRow]:
        """The rows, one at a time."""
        return (_row(state, self.rule, self.models, self.teacher) for state in self.states)

    @cached_property
    def rows(self) -> list[EdgeRow]:
        """All rows at once."""
        return list(self.each())

    def table(self) -> pd.DataFrame:
        """The rows without prompt, lineage and meta, as a table."""
        left_out = {"prompt", "source", "licence", "parent_id", "meta", "models", "teacher"}
        names = [name for name in EdgeRow.model_fields if name not in left_out]
        rows, parts = self.each(), [pd.DataFrame(columns=names)]
        while some := list(islice(rows, 65536)):
            parts.append(pd.DataFrame([[getattr(row, name) for name in names] for row in some], columns=names))
        return pd.concat(parts[1:] or parts, ignore_index=True)

    def counts(self) -> dict[str, int]:
        """Number of seeds per decision, every decision named."""
        found = Counter(state.decision for state in self.states)
        return {name: found.get(name, 0) for name in (*DECISIONS, "no_truth")}

    def kept(self) -> list[EdgeRow]:
        """The edge problems."""
        edge = (state for state in self.states if state.decision == "edge")
        return [_row(state, self.rule, self.models, self.teacher) for state in edge]

    def cost(self) -> dict[str, int]:
        """Samples drawn and completion tokens, weak models and teacher."""
        drawn = sum(state.judged + state.truncated + state.faults + state.ungraded for state in self.states)
        tokens = {"samples": drawn, "tokens": sum(state.tokens for state in self.states), "teacher_tokens": 0}
        for truth in (state.truth for state in self.states):
            if truth.kind == "self":  # the model was its own teacher
                tokens["samples"] += truth.samples
            tokens["tokens" if truth.kind == "self" else "teacher_tokens"] += truth.tokens
        return tokens

    def write(self, path: str | Path) -> Path:
        """Writes one row per line as JSONL, atomically; returns the path."""
        return write_rows(path, self.each())


def load_edge(path: str | Path, decision: str | None = None) -> list[EdgeRow]:
    """Rows of an edge.jsonl, all or those with one decision. Raises ProblemFileError naming file and line."""
    return [row for row in iter_edge(path) if decision is None or row.decision == decision]


def iter_edge(path: str | Path) -> Iterator[EdgeRow]:
    """Rows of an edge.jsonl, one at a time; errors as for `load_edge`."""
    for place, row in read_rows(path):
        try:
            yield EdgeRow(**row)
        except ValueError as error:
            first = "; ".join(str(error).splitlines()[:3])
            raise ProblemFileError(f"{place}: not a row of notebook 01 ({first}); run notebook 01 again") from None


def _row(state: SeedState, rule: EdgeRule, models: list[str], teacher: str | None) -> EdgeRow:
    truth = state.truth
    fields: dict[str, Any] = state.problem.model_dump() | {"answer": truth.answer}
    fields |= {"decision": state.decision, "reason": _reason(state, rule), "truth_kind": truth.kind}
    fields |= {"truth_reason": truth.reason, "vote_share": truth.share, "conflict": truth.conflict}
    fields |= {"successes": state.right, "samples": state.judged, "truncated": state.truncated}
    fields |= {"faults": state.faults, "ungraded": state.ungraded, "tokens": state.tokens, "rounds": state.rounds}
    fields |= {"truth_samples": truth.samples, "models": models, "teacher": teacher}
    if truth.kind == "self":
        fields["tokens"] += truth.tokens  # the model was its own teacher
    else:
        fields["teacher_tokens"] = truth.tokens
    return EdgeRow(**fields, **(_posterior(state.right, state.judged, rule) if state.judged else {}))


@lru_cache(maxsize=1 << 14)
def _posterior(right: int, judged: int, rule: EdgeRule) -> dict[str, float]:
    """The posterior of a state; of a million seeds most share one of some hundred states."""
    prior = rule.prior or BetaPrior()
    beta = stats.beta(prior.a + right, prior.b + judged - right)
    chance = class_posterior(right, judged, rule.lo, rule.hi, prior)
    values = (beta.mean(), beta.ppf(0.05), beta.ppf(0.95), *chance)
    names = ("pass_rate", "pass_low", "pass_high", "p_hard", "p_edge", "p_easy")
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}


def _reason(state: SeedState, rule: EdgeRule) -> str:
    if state.decision == "no_truth":
        return state.truth.reason
    if state.note:
        return state.note
    apart = state.truncated + state.faults + state.ungraded
    text = f"{state.right} of {state.judged} answers agree with the truth"
    if apart:
        text += f" ({state.truncated} truncated, {state.faults} faults, {state.ungraded} ungraded not counted)"
    return text + _best(state.right, state.judged, rule)


@lru_cache(maxsize=1 << 14)
def _best(right: int, judged: int, rule: EdgeRule) -> str:
    chance = class_posterior(right, judged, rule.lo, rule.hi, rule.prior or BetaPrior())
    best = int(chance.argmax())
    return f"; P({DECISIONS[best]}) = {chance[best]:.3f}"
