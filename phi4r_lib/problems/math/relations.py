"""What an equation says of a value: the name that it gives it, and what a chain of equalities comes to."""

from __future__ import annotations

import re

from phi4r_lib.problems.math.chains import agreement
from phi4r_lib.problems.math.shapes import Shape, is_name


def named(one: Shape) -> tuple[str, Shape]:
    """The name that an answer gives to its value ("x" of x = 5, of x = 1 or x = 2), "" where it gives none."""
    if one.kind == "relation" and set(one.mark.split()) <= {"=", "\\in"}:
        first, last = one.parts[0], one.parts[-1]
        if is_name(first.text):
            return _bare(first.text), last
        if is_name(last.text) and "\\in" not in one.mark:
            return _bare(last.text), first
    if one.kind == "list":
        inner = [named(part) for part in one.parts]
        stems = {name.partition("_")[0] for name, _ in inner}
        if len(stems) == 1 and "" not in stems:
            mark = "or" if len({name for name, _ in inner}) == 1 else one.mark  # x = 1, x = 2 is no point
            return stems.pop(), Shape("list", one.text, tuple(part for _, part in inner), mark)
        if (
            inner[0][0]
            and not any(name for name, _ in inner[1:])
            and all(part.kind == "value" for part in one.parts[1:])
        ):
            mark = one.mark if inner[0][0].startswith("(") else "or"  # x = 1, 2 is no point either
            return inner[0][0], Shape("list", one.text, (inner[0][1], *one.parts[1:]), mark)
    return "", one


def said(one: Shape) -> tuple[Shape, ...]:
    r"""What a chain of equalities may be taken for: () where its sides contradict each other, as in x = 5 = 6.

    x = \sqrt{2} \approx 1.414 is itself, \sqrt{2} and, in a gold and with three figures or more, 1.414. 2 + 3 = 5 is itself
    alone: where no name gets a value, the equation may be what was asked.
    """
    if one.kind == "list" and not all(map(said, one.parts)):
        return ()
    signs = one.mark.split() if one.kind == "relation" else []
    if not signs or set(signs) - {"=", "\\approx"} or "\\approx" in signs[:-1]:
        return (one,)
    names, sides = [part for part in one.parts if is_name(part.text)], [p for p in one.parts if not is_name(p.text)]
    if len(sides) < 2 or (names and is_name(one.parts[-1].text)):
        return (one,)
    approximate = signs[-1] == "\\approx"
    found = agreement([side.text for side in sides], approximate)
    if found is False and len(signs) > 1:
        return ()
    if not found or not approximate:
        return (one,)
    return (one, *sides[-2:]) if len(re.sub(r"\D", "", sides[-1].text).lstrip("0")) > 2 else (one, sides[-2])


def _bare(text: str) -> str:
    return re.sub(r"[\s{}]|\\text", "", text)
