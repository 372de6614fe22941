r"""Whether an answer is right, decided by shapes and exact terms; what needs algebra is asked of math-verify.

RIGHT rests on one of these arguments and no other:
  text      both are the same text, once dressing that means nothing is off (spaces between digits mean something);
  terms     the difference, multiplied out over the rational numbers, has no term left (terms.py);
  equation  both sides' difference of one equation is a number times that of the other;
  rounding  a decimal is the correct rounding, to six or more places, of a number that no decimal spells;
  algebra   math-verify finds two values equal, values to 60 digits do not tell them apart, and nothing differs that it
            is known to overlook (referee.py).
Lists, sets, intervals, matrices and equations are compared part by part, each part by one of these. Numbers in words are
read as digits (numerals.py); a chain of equalities counts as its last number, unless its sides contradict each other.
WRONG rests on a difference of shape, on terms without relations among each other, on values at three points, or on
math-verify's word; what has no value (1/0, 0^0, 1^\infty) is WRONG as an answer and FAILED as a gold, and a \log without
a base is decided only where it holds for 10 and for e. What none of these decides is FAILED. Not here: reading text (dressing.py, shapes.py, reader.py).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from phi4r_lib.problems.math.conventions import Conventions
from phi4r_lib.problems.math.court import Court, GoldUndefined, Verdict, algebra, both, either
from phi4r_lib.problems.math.dressing import dress, spelling
from phi4r_lib.problems.math.moments import same_moment, same_ratio
from phi4r_lib.problems.math.plain import broken, plain_fractions, plain_numbers
from phi4r_lib.problems.math.quantities import quantity
from phi4r_lib.problems.math.reader import read
from phi4r_lib.problems.math.relations import named, said
from phi4r_lib.problems.math.shapes import Shape, as_interval, as_word, shape
from phi4r_lib.problems.math.single import form_of, values
from phi4r_lib.problems.math.terms import Open, Undefined, difference, free, proportional
from phi4r_lib.problems.math.units import agree

MOST_UNMATCHED = 16
_CHOICE = re.compile(r"\(?([A-J])[).:]\s*(\S.*)", re.DOTALL)


def compare(answer: str, gold: str, court: Court) -> Verdict:
    """The verdict on two undressed texts; None when `court.wanted` has questions that decide it."""
    conventions = court.conventions
    if fast := plain_fractions(answer.strip(), gold.strip()):
        return fast
    ours, theirs = dress(answer, conventions), dress(gold, conventions)
    fast = plain_numbers(ours, theirs)
    if fast:
        return fast
    if broken(theirs):
        return "failed"
    if broken(ours):
        return "wrong"
    try:
        verdict = _whole(ours, theirs, court)
    except (GoldUndefined, Undefined):
        return "failed"
    if verdict != "right" and (choice := _CHOICE.fullmatch(ours)) and not _CHOICE.fullmatch(theirs):
        return _labelled(choice[1], choice[2], theirs, court)
    return verdict


def _labelled(label: str, content: str, gold: str, court: Court) -> Verdict:
    """`(B) 42`: the letter decides where the gold is one, and no other may follow; else the letter or what it labels."""
    word = as_word(gold) or gold.lower()
    if len(word) == 1 and word in "abcdefghij" and word != gold:
        return "right" if label.lower() == word and not _MORE_LETTERS.search(content) else "wrong"
    return "right" if label.lower() == word else _whole(content, gold, court)


_MORE_LETTERS = re.compile(
    r"^(?:or|and|not|but|if|[,/&])(?![a-zA-Z])|^(?:both|either|neither)\b|(?<![a-zA-Z\\])[A-J][).:]|^[A-J]$"
)


_WRAPPED = re.compile(r"^\\text\s*\{([^{}\\]*)\}$")  # \text{May 2, 2024}


def _whole(answer: str, gold: str, court: Court) -> Verdict:
    if spelling(answer) == spelling(gold) or spelling(_WRAPPED.sub(r"\1", answer)) == spelling(
        _WRAPPED.sub(r"\1", gold)
    ):
        return "right"
    return same_moment(answer, gold) or _shapes(shape(answer), shape(gold), court)


def _shapes(answer: Shape, gold: Shape, court: Court) -> Verdict:
    """Relations and names first, then containers, then values; a chain of equal numbers counts as what it says."""
    if not {"relation", "list"} & {answer.kind, gold.kind}:
        return _containers(answer, gold, court)
    ours, theirs = said(answer)[:2], said(gold)
    if not theirs:
        raise GoldUndefined
    return either("wrong", *(_related(one, other, court) for one in ours for other in theirs))


def _related(answer: Shape, gold: Shape, court: Court) -> Verdict:
    verdict = _relations(answer, gold, court)
    return _containers(answer, gold, court) if verdict == "no relation" else verdict


def _relations(answer: Shape, gold: Shape, court: Court) -> Verdict:
    """Compares where one side relates or names; "no relation" when both are plain."""
    (name, ours), (other, theirs) = named(answer), named(gold)
    if answer.kind == gold.kind == "relation":
        verdict = _two_relations(answer, gold, court)
        return (
            either(verdict, _shapes(ours, theirs, court)) if name and name == other and verdict != "right" else verdict
        )
    if name and other:
        return _shapes(ours, theirs, court) if name == other else "wrong"
    if name or other:
        if _relates(gold if name else answer):
            return "wrong"
        return _shapes(ours, theirs, court)
    return _plain_or_interval(answer, gold, court)


def _relates(one: Shape) -> bool:
    return one.kind == "relation" or (one.kind == "list" and any(part.kind == "relation" for part in one.parts))


def _plain_or_interval(answer: Shape, gold: Shape, court: Court) -> Verdict:
    if not _relates(answer) and not _relates(gold):
        return "no relation"
    if _relates(answer) and _relates(gold):
        if answer.kind == gold.kind == "list" and (answer.mark == gold.mark or "or" not in (answer.mark, gold.mark)):
            return _unordered(answer.parts, gold.parts, court)
        ours, theirs = as_interval(answer), as_interval(gold)
        return _shapes(ours[1], theirs[1], court) if ours and theirs and ours[0] == theirs[0] else "wrong"
    relation, plain = (answer, gold) if _relates(answer) else (gold, answer)
    by_condition = gold.text.startswith("\\{")  # { x | 1 < x < 2 }
    if relation is answer and not court.conventions.relations_as_intervals and not by_condition:
        return _as_point(answer, gold, court)
    interval = as_interval(relation)
    if interval is None or plain.kind not in ("tuple", "union"):
        return _as_point(answer, gold, court)
    return _containers(interval[1], plain, court) if relation is answer else _containers(plain, interval[1], court)


def _as_point(answer: Shape, gold: Shape, court: Court) -> Verdict:
    """x = 1, y = 2 for the point (1, 2), where the names are in the order of the alphabet; everything else is wrong."""
    listed, point = (answer, gold) if _relates(answer) else (gold, answer)
    names = [named(part) for part in listed.parts] if listed.kind == "list" else []
    order = [name for name, _ in names]
    if not _is_point(point) or "" in order or order != sorted(set(order)):
        return "wrong"
    values = replace(point, parts=tuple(value for _, value in names))
    return _containers(values, point, court) if listed is answer else _containers(point, values, court)


_FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
_SYMMETRIC = ("=", "\\ne", "\\approx", "\\equiv", "\\sim", "\\cong")


def _two_relations(answer: Shape, gold: Shape, court: Court) -> Verdict:
    """Equal side by side, turned round, or a multiple of the other where all sides are exact terms."""
    signs, marks = answer.mark.split(), gold.mark.split()
    turned = [sign if sign in _SYMMETRIC else _FLIPPED.get(sign) for sign in signs[::-1]]
    if len(signs) == len(marks) == 1 and signs[0] in (*_FLIPPED, "=", "\\ne"):
        multiple = _multiple(answer, gold)
        if multiple is not None:
            sign = signs[0] if multiple > 0 else _FLIPPED.get(signs[0], signs[0])
            return "right" if multiple and sign == marks[0] else "wrong"
    verdicts: list[Verdict] = ["wrong"]
    if signs == marks:
        verdicts.append(both(*_pairwise(answer.parts, gold.parts, court)))
    if turned == marks:
        verdicts.append(both(*_pairwise(answer.parts[::-1], gold.parts, court)))
    ours, theirs = as_interval(answer), as_interval(gold)
    if "right" not in verdicts and ours and theirs and ours[0] == theirs[0]:
        verdicts.append(_containers(ours[1], theirs[1], court))
    return either(*verdicts)


def _multiple(answer: Shape, gold: Shape) -> Fraction | None:
    """c with (left - right) of the answer = c times that of the gold; 0 where there is surely none, None if unknown."""
    forms = []
    for side in (gold, answer):
        try:
            forms = [form_of(part.text, answer.text, gold.text) for part in side.parts] + forms
        except Undefined:
            if side is gold:
                raise GoldUndefined from None
            return Fraction(0)
    if None in forms:
        return None
    try:
        ours = difference(forms[0], forms[1])
        theirs = difference(forms[2], forms[3])
    except Open:
        return None
    if not ours.atoms() or not theirs.atoms():
        return None  # 2 + 2 = 5: true or false, but no equation for anything
    ratio = proportional(ours, theirs)
    return ratio if ratio is not None else Fraction(0) if free(ours) and free(theirs) else None


def _pairwise(answers: tuple[Shape, ...], golds: tuple[Shape, ...], court: Court) -> list[Verdict]:
    if len(answers) != len(golds):
        return ["wrong"]
    verdicts: list[Verdict] = []
    for answer, gold in zip(answers, golds, strict=True):
        verdicts.append(_part(answer, gold, court))
        if verdicts[-1] == "wrong":
            break
    return verdicts


def _part(answer: Shape, gold: Shape, court: Court) -> Verdict:
    """Parts of lists and the like: here {2} is not 2, and 3 apples are not 3 oranges."""
    if {answer.kind, gold.kind} == {"value", "set"}:
        return "wrong"
    if answer.kind == gold.kind == "value":
        ours, theirs = quantity(answer.text), quantity(gold.text)
        if not agree(ours.unit, theirs.unit, ours.measure and theirs.measure):
            return "wrong"
    return _shapes(answer, gold, court)


def _unordered(answers: tuple[Shape, ...], golds: tuple[Shape, ...], court: Court) -> Verdict:
    """Each answer has its own equal gold, whatever the order."""
    if len(answers) != len(golds):
        return "wrong"
    texts = Counter(spelling(one.text) for one in answers)
    theirs = Counter(spelling(one.text) for one in golds)
    common = texts & theirs
    rest, others = _without(answers, common), _without(golds, common)
    if len(rest) > MOST_UNMATCHED:
        return "failed"
    verdicts: list[Verdict] = []
    for one in rest:
        found = [_part(one, other, court) for other in others]
        verdicts.append(either(*found))
        if "right" in found:
            others.pop(found.index("right"))
    return both(*verdicts)


def _without(shapes: tuple[Shape, ...], common: Counter[str]) -> list[Shape]:
    left, rest = common.copy(), []
    for one in shapes:
        if left[spelling(one.text)] > 0:
            left[spelling(one.text)] -= 1
        else:
            rest.append(one)
    return rest


def _containers(answer: Shape, gold: Shape, court: Court) -> Verdict:
    kinds = answer.kind, gold.kind
    if kinds == ("value", "value") or "word" in kinds:
        return values(answer.text, gold.text, court) if set(kinds) <= {"value", "word"} else "wrong"
    if set(kinds) == {"value", "set"}:
        one = answer if kinds[0] == "set" else gold
        if len(one.parts) == 1 and one.parts[0].text != "\\emptyset":
            return _shapes(*((one.parts[0], gold) if one is answer else (answer, one.parts[0])), court)
    if kinds == ("set", "set"):
        return _unordered(_distinct(answer.parts), _distinct(gold.parts), court)
    if set(kinds) <= {"list", "set"}:
        return _unordered(answer.parts, gold.parts, court)
    if kinds == ("union", "union"):
        return _unordered(answer.parts, gold.parts, court)
    if kinds == ("tuple", "tuple") and _same_brackets(answer, gold, court.conventions):
        return both(*_pairwise(answer.parts, gold.parts, court))
    if set(kinds) == {"tuple", "list"} and _is_point(answer, gold) and not {"pm", "or"} & {answer.mark, gold.mark}:
        return both(*_pairwise(answer.parts, gold.parts, court))
    if kinds == ("ratio", "ratio"):
        return "right" if same_ratio(answer.text, gold.text) else both(*_pairwise(answer.parts, gold.parts, court))
    if kinds == ("cases", "cases"):
        return _unordered(answer.parts, gold.parts, court)
    if kinds == ("row", "row"):
        return both(*_pairwise(answer.parts, gold.parts, court))
    if set(kinds) == {"tuple", "matrix"}:
        point, column = (answer, gold) if kinds[0] == "tuple" else (gold, answer)
        one_line = set(column.mark.split("x")) == {"1"} or "x" not in column.mark
        return both(*_pairwise(answer.parts, gold.parts, court)) if one_line and _is_point(point) else "wrong"
    if kinds == ("matrix", "matrix") and answer.mark == gold.mark:
        return both(*_pairwise(answer.parts, gold.parts, court))
    return _different_kinds(answer, gold, court)


def _is_point(*shapes: Shape) -> bool:
    """True where one of them is (1, 2), which may be a point; { x | 1 < x < 2 } is none."""
    return any(one.kind == "tuple" and one.mark == "()" and not one.text.startswith("\\{") for one in shapes)


def _distinct(parts: tuple[Shape, ...]) -> tuple[Shape, ...]:
    return tuple({spelling(part.text): part for part in parts}.values())


def _same_brackets(answer: Shape, gold: Shape, conventions: Conventions) -> bool:
    longer = len(answer.parts) > 2 or len(gold.parts) > 2
    return answer.mark == gold.mark or longer or conventions.intervals == "endpoints"


def _different_kinds(answer: Shape, gold: Shape, court: Court) -> Verdict:
    """Wrong between known kinds; a value that cannot be read may be a set in another notation."""
    for one in (answer, gold):
        if one.kind == "value" and form_of(quantity(one.text).value, answer.text, gold.text) is None:
            return algebra(answer.text, gold.text, court)
    ratio_of_two = {len(one.parts) for one in (answer, gold) if one.kind == "ratio" and ":0" not in one.text} == {2}
    if {answer.kind, gold.kind} == {"tuple", "union"} or (ratio_of_two and "value" in (answer.kind, gold.kind)):
        return algebra(answer.text, gold.text, court)
    return "wrong"


@lru_cache(maxsize=1 << 16)
def sort_key(text: str, conventions: Conventions) -> tuple[int, Fraction, str]:
    """Orders answers the same way whatever order they came in: numbers by size, then everything else as text."""
    if len(text) > conventions.max_chars:
        return 1, Fraction(0), text
    try:
        form = read(quantity(dress(text, conventions)).value)
    except Open:
        form = None
    value = form.rational() if form is not None else None
    return (1, Fraction(0), text) if value is None else (0, value, text)
