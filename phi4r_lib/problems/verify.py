"""The one door for judging: texts and their problems go in, verdicts come out, whatever a right answer is.

`Problem.verifier` names who judges a problem ("math" unless it says otherwise); a profile maps further names to classes.
Not here: the verifiers themselves (math/verifier.py and verifiers/, one file each).

The policy for answers that are not whole is stated here and used wherever answers are judged:
- No final answer, or an empty one, is wrong ("no_answer"). A problem without `answer` has nothing to compare with, so
  nothing is right there: could not be graded ("no_gold").
- A truncated text states no final answer. It is never right and never votes. Who measures what a model does within its
  token limit counts it as wrong ("truncated"); who asks whether a problem is hard counts it apart, because more tokens
  might have solved it (`Verdict.conclusive`).
- A fault of the engine ("fault") or of the verifier is neither right nor wrong: counted apart, left out of rates, and
  never a reason to keep anything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache, partial
from typing import Any, Protocol

from phi4r_lib.problems.answers import Grade, Plurality
from phi4r_lib.problems.named import UnknownNameError, named_class
from phi4r_lib.problems.schema import Problem

VERIFIERS = {
    "math": "phi4r_lib.problems.math.verifier:MathVerifier",
    "choice": "phi4r_lib.problems.verifiers.choice:ChoiceVerifier",
    "exact": "phi4r_lib.problems.verifiers.exact:ExactVerifier",
    "numeric": "phi4r_lib.problems.verifiers.numeric:NumericVerifier",
    "json": "phi4r_lib.problems.verifiers.json_values:JsonVerifier",
    "program": "phi4r_lib.problems.verifiers.program:ProgramVerifier",
    "sql": "phi4r_lib.problems.verifiers.sql:SqlVerifier",
    "constraints": "phi4r_lib.problems.verifiers.constraints:ConstraintsVerifier",
    "molecule": "phi4r_lib.problems.verifiers.molecule:MoleculeVerifier",
    "coq": "phi4r_lib.problems.verifiers.coq:CoqVerifier",
    "lean": "phi4r_lib.problems.verifiers.lean:LeanVerifier",
}
TRUNCATED = "truncated"
Verifiers = Mapping[str, "str | Mapping[str, Any] | Verifier"]  # as in a profile, or ready-made


class VerifierUnavailable(RuntimeError):
    """A verifier lacks what it needs on this machine (a package, a program, a server); the message says what to do."""


class UnfitVerifier(ValueError):
    """A verifier that cannot be opened or does not keep to its protocol; the message says what to mend."""

    def __init__(self, words: str):
        super().__init__(f"verifier {words}")


class NoEquality(ValueError):
    """Answers of this verifier cannot be compared with each other, so there is no plurality."""


@dataclass(frozen=True)
class Verdict:
    """What a verifier says about one answer: right, wrong, or FAILED when it could not be graded.

    `answer` is the final answer that was judged; `reason` a code, with details after a colon. `score` between 0 and 1 is
    for training only: 1 if right, else the partial credit of an answer that is wrong; measuring never reads it.
    """

    grade: Grade
    answer: str | None
    reason: str
    score: float = 0.0

    @property
    def correct(self) -> bool:
        """Whether the answer is right."""
        return self.grade is Grade.RIGHT

    @property
    def conclusive(self) -> bool:
        """Whether this says something about how hard the problem is: graded, and not cut off by the token limit."""
        return self.grade is not Grade.FAILED and self.reason != TRUNCATED

    @classmethod
    def right(cls, answer: str) -> Verdict:
        """The answer is right."""
        return cls(Grade.RIGHT, answer, "right", 1.0)

    @classmethod
    def wrong(cls, answer: str | None, reason: str, score: float = 0.0) -> Verdict:
        """The answer is wrong; `score` below 1 is partial credit for training."""
        return cls(Grade.WRONG, answer, reason, score)

    @classmethod
    def failed(cls, answer: str | None, reason: str) -> Verdict:
        """The answer could not be graded; nobody may count it as right or wrong."""
        return cls(Grade.FAILED, answer, reason)


class Verifier(Protocol):
    """What a verifier can do; each method takes and returns one entry per answer, in order.

    Any class with these methods is a verifier, and it may have `example` (see `examples`) and `remark` (see GoldCheck).
    Settings are arguments of its constructor. No empty answer, no missing `answer` and no truncated text come to it.
    """

    def extract(self, text: str) -> str | None:
        """The final answer in a completion, or None."""
        ...

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> Sequence[Verdict]:
        """A verdict for each answer to the problem at the same place, whose `answer` is what it is compared with.

        What cannot be graded is `Verdict.failed`; an exception is taken as that too, for the one answer that caused it.
        """
        ...

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> Sequence[Hashable | None]:
        """Equal for equal answers to one problem; None everywhere where many answers are right and equality says
        nothing. Called for several problems at once; answers to different problems are never compared."""
        ...


class Completion(Protocol):
    """A text that an engine gave, or the reason why it gave none (models.engine.Sample is one)."""

    text: str
    truncated: bool
    error: str | None


def verify(
    problems: Sequence[Problem],
    texts: Sequence[str | None],
    verifiers: Verifiers | None = None,
    *,
    truncated: Sequence[bool] | None = None,
    errors: Sequence[str | None] | None = None,
) -> list[Verdict]:
    """Judges one completion per problem: extracts its final answer and grades it.

    Args:
        problems: the problem of each text, with the answer to compare with; one may stand there many times.
        texts: completions, think tags kept.
        verifiers: names beyond VERIFIERS, as in a profile: an import path "package.module:Class", a mapping
            {"kind": path or short name, further keys: arguments of the class}, or an object.
        truncated: whether a text ran into its token limit.
        errors: why an engine gave no text, None where it did.

    Raises ValueError for lists of different lengths, UnknownNameError for a verifier that nobody defined, UnfitVerifier;
    VerifierUnavailable passes through. Anything else that a verifier raises becomes a verdict that could not be graded.
    """
    cut = truncated if truncated is not None else [False] * len(texts)
    faults = errors if errors is not None else [None] * len(texts)
    if not len(problems) == len(texts) == len(cut) == len(faults):
        raise ValueError(f"{len(problems)} problems for {len(texts)} texts: give one problem per text")
    opened = cache(partial(verifier_of, verifiers=verifiers))  # many texts, few verifiers
    found = [
        Verdict.failed(None, f"fault: {error}") if error
        else Verdict.wrong(None, TRUNCATED) if short
        else _extracted(opened(problem.verifier), text)
        for problem, text, short, error in zip(problems, texts, cut, faults, strict=True)
    ]  # fmt: skip
    open_ = [place for place, one in enumerate(found) if not isinstance(one, Verdict)]
    judged = judge([problems[place] for place in open_], [found[place] for place in open_], verifiers)
    rest = iter(judged)
    return [one if isinstance(one, Verdict) else next(rest) for one in found]


def verify_samples(
    problems: Sequence[Problem], samples: Sequence[Completion], verifiers: Verifiers | None = None
) -> list[Verdict]:
    """`verify` for samples of an engine, one problem per sample."""
    texts, cut = [sample.text for sample in samples], [sample.truncated for sample in samples]
    return verify(problems, texts, verifiers, truncated=cut, errors=[sample.error for sample in samples])


def final_answers(
    problem: Problem, samples: Sequence[Completion], verifiers: Verifiers | None = None
) -> list[str | None]:
    """The final answers of several samples for one problem, by the policy above: None where a sample has none."""
    verifier = verifier_of(problem.verifier, verifiers)
    found = [None if s.truncated or s.error else _extracted(verifier, s.text) for s in samples]
    return [None if isinstance(one, Verdict) else one for one in found]


def judge(
    problems: Sequence[Problem], answers: Sequence[str | None], verifiers: Verifiers | None = None
) -> list[Verdict]:
    """Grades final answers that are already extracted, one problem per answer; equal pairs are graded once.

    Errors as in `verify`.
    """
    if len(problems) != len(answers):
        raise ValueError(f"{len(problems)} problems for {len(answers)} answers: give one problem per answer")
    keys = [(id(problem), answer) for problem, answer in zip(problems, answers, strict=True)]
    pairs = dict(zip(keys, zip(problems, answers, strict=True), strict=True))
    verdicts = {key: _empty(*pair) for key, pair in pairs.items()}
    by_name: dict[str, list[Any]] = {}
    for key in (key for key, verdict in verdicts.items() if verdict is None):
        by_name.setdefault(pairs[key][0].verifier, []).append(key)
    for name, some in by_name.items():
        asked, said = zip(*(pairs[key] for key in some), strict=True)
        verdicts.update(zip(some, _graded(verifier_of(name, verifiers), said, asked), strict=True))
    return [verdicts[key] for key in keys]


def vote(problem: Problem, answers: Sequence[str | None], verifiers: Verifiers | None = None) -> Plurality:
    """The most frequent final answer, where answers that the problem's verifier calls equal vote together.

    None and blanks never vote but count in `share`. The answer is the most frequent spelling of its group; of several
    groups with most votes the one that sorts first (numbers by size, then text), and `tied` is set. Raises NoEquality
    where the verifier groups no answer at all.
    """
    given = [answer for answer in answers if answer and answer.strip()]
    if not given:
        return Plurality(None, 0, 0.0)
    groups = verifier_of(problem.verifier, verifiers).groups(given, [problem] * len(given))
    if all(group is None for group in groups):
        raise NoEquality(
            f"verifier '{problem.verifier}' has no equality of answers, so they cannot be voted on; give the problem an "
            "`answer` to be checked against"
        )
    spellings: dict[Hashable, Counter[str]] = {}
    for answer, group in zip(given, groups, strict=True):
        if group is not None:
            spellings.setdefault(group, Counter())[answer] += 1
    ranked = sorted(
        (-one.total(), _order(min(one, key=lambda text: (-one[text], len(text), text)))) for one in spellings.values()
    )
    votes = -ranked[0][0]
    return Plurality(ranked[0][1][-1], votes, votes / len(answers), ranked[1:2] != [] and -ranked[1][0] == votes)


def right_share(verdicts: Iterable[Verdict]) -> float | None:
    """Right answers as a share of those that were graded, 0 to 1; None where none was."""
    counts = Counter(verdict.grade for verdict in verdicts)
    graded = counts[Grade.RIGHT] + counts[Grade.WRONG]
    return counts[Grade.RIGHT] / graded if graded else None


def verifier_of(name: str, verifiers: Verifiers | None = None) -> Verifier:
    """The verifier that a problem names; its settings are those of `verifiers`, else the defaults of its class.

    Raises UnknownNameError for a name that stands neither there nor in VERIFIERS: a row of data cannot name a class.
    """
    check_defined([name], verifiers)
    spec = (verifiers or {}).get(name, name)
    if not isinstance(spec, str | Mapping):
        return spec
    settings = {"kind": spec} if isinstance(spec, str) else {"kind": name, **spec}
    kind = named_class(settings.pop("kind"), VERIFIERS, "verifier")
    return _opened(kind, json.dumps(settings, sort_keys=True))


def check_defined(names: Iterable[str], verifiers: Verifiers | None = None) -> None:
    """Raises UnknownNameError for the first name of a verifier that nobody defined; opens none."""
    for name in sorted(set(names) - {*VERIFIERS, *(verifiers or {})}):
        known = ", ".join(sorted({*VERIFIERS, *(verifiers or {})}))
        raise UnknownNameError(
            f"a problem names the verifier '{name}', which nobody defined; known: {known}. Name its class under "
            f'`verifiers:` in the profile, as {name}: "package.module:Class"'
        )


def examples(problems: Sequence[Problem], verifiers: Verifiers | None = None) -> list[str | None]:
    """A known right answer of each problem, for checking the problem itself: the verifier's `example(problem)` where it
    has that method (because `answer` holds tests or rules), of an own verifier else `meta.example`, else the `answer`."""
    return [_example(problem, verifier_of(problem.verifier, verifiers)) for problem in problems]


def _example(problem: Problem, verifier: Verifier) -> str | None:
    """A number or a list in a row's meta is taken as its text; of a row that cannot be read the answer, which judging refuses."""
    found = problem.answer if problem.verifier in VERIFIERS else problem.meta.get("example", problem.answer)
    try:
        found = verifier.example(problem) if hasattr(verifier, "example") else found
    except Exception:
        return problem.answer
    return found if found is None or isinstance(found, str) else json.dumps(found)


def open_verifiers(verifiers: Verifiers | None) -> dict[str, Verifier]:
    """Opens every verifier of a profile, so that a wrong name or a missing package is found before any work is done."""
    return {name: verifier_of(name, verifiers) for name in verifiers or {}}


@lru_cache(maxsize=64)
def _opened(kind: Any, settings: str) -> Verifier:
    try:
        verifier = kind(**json.loads(settings))
    except Exception as error:  # whatever an own class does when it is made
        if isinstance(error, VerifierUnavailable):
            raise
        hint = "; its settings are the arguments of the class" if isinstance(error, TypeError) else ""
        raise UnfitVerifier(f"{kind.__name__} cannot be opened: {type(error).__name__}: {error}{hint}") from error
    if absent := [method for method in ("extract", "grade", "groups") if not hasattr(verifier, method)]:
        raise UnfitVerifier(f"{kind.__name__} has no method {', '.join(absent)}; it needs extract, grade and groups")
    return verifier


def _extracted(verifier: Verifier, text: str | None) -> str | Verdict | None:
    """The final answer, or a verdict where the verifier stumbles over the text."""
    try:
        found = verifier.extract(text) if text else None
    except Exception as error:
        return Verdict.failed(None, f"exception: {type(error).__name__}: {error}")
    if found is not None and not isinstance(found, str):
        raise UnfitVerifier(f"{type(verifier).__name__}.extract gave {type(found).__name__}, need text or None")
    return found


def _empty(problem: Problem, answer: str | None) -> Verdict | None:
    """The verdict where there is nothing to compare, or nothing to compare with."""
    if problem.answer is None or not problem.answer.strip():
        return Verdict.failed(answer, "no_gold: the problem has no answer to compare with")
    return None if answer is not None and answer.strip() else Verdict.wrong(None, "no_answer")


def _graded(verifier: Verifier, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
    """The verifier's verdicts; where it raises, the batch is halved until the answer that caused it stands alone."""
    try:
        verdicts = list(verifier.grade(answers, problems))
    except VerifierUnavailable:
        raise
    except Exception as error:
        if len(answers) == 1:
            return [Verdict.failed(answers[0], f"exception: {type(error).__name__}: {error}")]
        half = len(answers) // 2
        return [
            v for part in (slice(half), slice(half, None)) for v in _graded(verifier, answers[part], problems[part])
        ]
    if len(verdicts) != len(answers):
        raise UnfitVerifier(f"{type(verifier).__name__}.grade gave {len(verdicts)} verdicts for {len(answers)} answers")
    if others := [type(one).__name__ for one in verdicts if not isinstance(one, Verdict)]:
        raise UnfitVerifier(f"{type(verifier).__name__}.grade gave {others[0]}, need Verdict.right(...) or .wrong(...)")
    return [_sane(verdict) for verdict in verdicts]


def _sane(verdict: Verdict) -> Verdict:
    """Score 1 for right, below 1 for wrong, 0 where nothing could be graded."""
    score = {Grade.RIGHT: 1.0, Grade.WRONG: min(max(verdict.score, 0.0), 0.99), Grade.FAILED: 0.0}[verdict.grade]
    return verdict if score == verdict.score else replace(verdict, score=score)


def _order(text: str) -> tuple[int, Fraction, str]:
    try:
        return (0, Fraction(text.strip()), text)
    except (ValueError, ZeroDivisionError):
        return (1, Fraction(0), text)
