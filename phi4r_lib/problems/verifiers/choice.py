r"""The verifier `choice`: one letter of several options.

The problem's `answer` is the letter ("B", "(B)"), several letters where several are asked ("A, C"), or the text of an
option; `meta["choices"]` may list the texts (then an answer may also be the text of an option).
Right: the answer names exactly these options. Wrong: "other_option"; "several" for more options than asked ("A or B");
"negated" ("not C", "all but A"); "no_option" where no option is named. Could not be graded: a gold that is no option.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, one_by_one, short_answer
from phi4r_lib.problems.verify import Verdict

LETTERS = "ABCDEFGHIJ"
_WRAPPING = re.compile(r"\\(?:text|textbf|mathrm|mathbf|rm|bf)\b|[{}$*_`\"]|\\[()\[\]]")
_NOT = re.compile(
    r"\b(?:not|nor|neither|except|but|isn't|never|without|excluding|rather than|instead of)\s+\(?([A-J])\b"
)
_ALL_BUT = re.compile(r"\b(?:all|any|every|everything|anything|each|none)\b", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:wrong|incorrect|false|impossible|not|isn't|cannot|can't|never|unsure|unclear)\b", re.IGNORECASE
)
_AGAINST = re.compile(  # in prose around the letter; behind "B." or "B," such words explain
    r"\b(?:ruled?|ruling|eliminat\w+|exclud\w+|reject\w*|discard\w*|doubt\w*|against|avoid|opposite|contrary|other than|besides|minus"
    r"|hardly|unlikely|less|least|second|worst|no|non|un)\b|\\(?:[bx]?cancel|not|l?not|neg|sout|st|phantom)\b|~~|[¬≠≁]|!=|[-~!]$",
    re.IGNORECASE,
)
_LETTER = re.compile(r"(?<![A-Za-z0-9'])\(?([A-J])\)?(?![A-Za-z0-9'])")
_SEPARATOR = re.compile(r"\s*(?:,|;|&|\+|\band\b)\s*", re.IGNORECASE)
_LEAD = re.compile(
    r"^(?:the\s+)?(?:(?:correct|right|best|final)\s+)?(?:answer|option|choice|letter)s?\s*(?:is|are|:)?\s*", re.I
)


class ChoiceVerifier:
    """Multiple choice, strict about answers that keep a second option open."""

    def extract(self, text: str) -> str | None:
        """The last box or stated answer, else the last line."""
        return short_answer(text)

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by the options named."""
        return one_by_one(_judge, answers, problems)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[str | None]:
        """The letters named; an answer that names no option, or more than it may, never votes."""
        found = [named(answer, _choices(problem)) for answer, problem in zip(answers, problems, strict=True)]
        return [letters if isinstance(letters, str) else None for letters, _ in found]


def _judge(answer: str, problem: Problem) -> Verdict:
    choices = _choices(problem)
    gold, _ = named(problem.answer or "", choices)
    if gold is None:
        raise BadCheck(f"{problem.answer!r} is none of the options")
    letters, reason = named(answer, choices)
    if letters is None:
        return Verdict.wrong(answer, reason)
    if letters == gold:
        return Verdict.right(answer)
    return Verdict.wrong(answer, "several" if len(letters) > len(gold) else "other_option")


def _choices(problem: Problem) -> list[str]:
    given = problem.meta.get("choices") or []
    return [str(one) for one in given] if isinstance(given, list) else [str(one) for one in given.values()]


def named(answer: str, choices: Sequence[str] = ()) -> tuple[str | None, str]:
    """The letters that an answer names, sorted ("AC"), or None with the reason.

    Raises nothing; a letter beyond the given choices is no option.
    """
    plain = " ".join(_WRAPPING.sub(" ", unicodedata.normalize("NFKC", answer)).split())
    texts = [" ".join(_WRAPPING.sub(" ", one).split()).casefold() for one in choices]
    if texts.count(plain.casefold().rstrip(".")) == 1 or texts.count(plain.casefold()) == 1:
        return LETTERS[
            next(i for i, one in enumerate(texts) if one in (plain.casefold(), plain.casefold().rstrip(".")))
        ], ""
    plain = _LEAD.sub("", plain)
    if re.fullmatch(r"\(?[a-j]\)?[.:]?", plain):
        plain = plain.upper()
    known = LETTERS[: len(choices)] if choices else LETTERS
    return _letters(plain, known, texts)


def _letters(plain: str, known: str, texts: Sequence[str]) -> tuple[str | None, str]:
    parts = [part.strip(" .():[]") for part in _SEPARATOR.split(plain)]
    if all(len(part) == 1 and part in known for part in parts):
        return "".join(sorted(set(parts))), ""
    head = re.match(r"\(?([A-J])(?:[.):,!]|\s*[-–:])\s*(.*)$", plain)
    explained = head is not None
    head = head or re.match(r"([B-HJ])\s+(.*)$", plain)
    if head is None:
        head = re.match(r"(.*?)\(?\b([A-J])\)?\.?$", plain)
        first, rest = (head.group(2), head.group(1)) if head else ("", plain)
    else:
        first, rest = head.groups()
    if first and first in known and " ".join(rest.casefold().rstrip(".").split()) in texts:
        same = texts.index(rest.casefold().rstrip("."))
        return (first, "") if LETTERS[same] == first else (None, "several")
    denied = {one for one in _NOT.findall(plain)}
    others = set(_LETTER.findall(rest)) - denied
    if not first or first not in known:
        return None, "negated" if denied else "no_option"
    against = not explained and _AGAINST.search(rest)
    if first in denied or against or _ALL_BUT.search(plain) or _DENIED.search(_NOT.sub(" ", plain)):
        return None, "negated"
    return (None, "several") if others - {first} else (first, "")
