"""Takes an answer apart: one value, a word, a list, a set, a tuple or interval, a union, a matrix, or a relation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from phi4r_lib.problems.math.numerals import in_digits, is_list
from phi4r_lib.problems.math.units import MEASURES


@dataclass(frozen=True)
class Shape:
    """`kind` is value, word, list, set, tuple, ratio, union, matrix or relation; `mark` its brackets, size or signs."""

    kind: str
    text: str
    parts: tuple[Shape, ...] = ()
    mark: str = ""


_OR = re.compile(r"\\text\s*\{\s*,?\s*or\s*\}|(?<![a-zA-Z\\])or(?![a-zA-Z])")
_AND = re.compile(r"\\text\s*\{\s*,?\s*and\s*\}|(?<![a-zA-Z\\])and(?![a-zA-Z])|\\text\s*\{\s*,\s*\}")
_RELATION = re.compile(
    r"=|<|>|\\(?:in|notin|le|ge|ne|approx|equiv|sim|cong|to|mapsto|ll|gg|subseteq|subset)(?![a-zA-Z])"
)
_MATRIX = re.compile(
    r"((?:-?(?:\d{1,9}|\\frac\s*\{-?\d{1,9}\}\s*\{\d{1,9}\})|-)?)\s*\\begin\s*\{([pbBvV]?matrix|array)\}(.*)\\end\s*\{\2\}",
    re.DOTALL,
)
_TEXT = re.compile(r"\\text\s*\{\s*\(?([a-zA-Z][a-zA-Z' .-]*?)\)?\.?\s*\}")
_INSIDE = re.compile(r"\\text\s*\{([^{}]*)\}")
_PLAIN_WORD = re.compile(r"[a-zA-Z]{2,}(?:[ -]+[a-zA-Z']+)*")
_OPTION = re.compile(r"(?:[Oo]ption|[Cc]hoice) ?\(?([A-J])\)?")
_NO_WORDS = frozenset(["xy", "ab", "inf", "or", "and"])
_OPENING, _CLOSING = ("(", "[", "{", "\\{", "\\langle", "\\begin"), (")", "]", "}", "\\}", "\\rangle", "\\end")
_SIGN = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)
_NAME = re.compile(
    r"(?:\\[a-zA-Z]+\s?|[a-zA-Z])'*(?:_(?:\{[^{}]*\}|\w))?(?:\^\{-1\})?(?:\([a-zA-Z\d, \\]*\))?|[A-Z]{2,4}|\\text\s*\{[^{}]*\}|[a-zA-Z-]{4,}"
    r"|\\(?:angle|triangle|overline|measuredangle)\s*\{?\s*[A-Z]{1,3}\s*\}?|\|\s*[a-zA-Z]{1,2}\s*\||\\frac\s*\{d[a-z]\}\{d[a-z]\}"
    r"|\([a-z](?:,\s?[a-z])+\)|\|?\\overline\{[A-Z]+\}\|?|m\s*\\angle\s*[A-Z]{1,3}"
)


@lru_cache(maxsize=1 << 15)
def shape(text: str) -> Shape:
    """The shape of a dressed answer."""
    text = text.strip()
    if text == "\\mathbb{R}" or as_word(text) in ("all real numbers", "all reals"):
        return Shape("tuple", text, (Shape("value", "-\\infty"), Shape("value", "\\infty")), "()")
    word = as_word(text)
    if word is not None and not is_list(numbers := in_digits(word)):
        return Shape("word", text, mark=word)
    text = numbers if word is not None else text
    for take_apart in (_cases, _list, _relation, _union, _plus_minus, _matrix, _bracketed, _ratio):
        found = take_apart(text)
        if found is not None:
            return found
    return Shape("value", text)


@lru_cache(maxsize=1 << 15)
def as_word(text: str) -> str | None:
    r"""The word in lower case, for `\text{East}`, "no solution", and the letter of a choice in brackets."""
    if match := _TEXT.fullmatch(text):
        return " ".join(match[1].lower().split())
    if match := re.fullmatch(r"\(?([A-Ja-j])\)", text):
        return match[1].lower()
    if ("ption" in text or "hoice" in text) and (
        match := _OPTION.fullmatch(" ".join(_INSIDE.sub(r" \1 ", text).split()))
    ):
        return match[1].lower()
    bare = text.strip("'\"")
    if _PLAIN_WORD.fullmatch(bare) and bare.lower() not in _NO_WORDS and (len(bare) > 2):
        return " ".join(bare.lower().split())
    return None


def split(text: str, separator: re.Pattern | str) -> list[str]:
    """The text cut at separators that stand in no brackets."""
    parts, depth, start = [], 0, 0
    pattern = re.compile(re.escape(separator)) if isinstance(separator, str) else separator
    ends = {match.start(): match.end() for match in pattern.finditer(text)}
    if not ends:
        return [text]
    for match in _SIGN.finditer(text):
        sign, place = match.group(), match.start()
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth == 0 and place in ends and place >= start:
            parts.append(text[start:place].strip())
            start = ends[place]
    return [*parts, text[start:].strip()]


def _cases(text: str) -> Shape | None:
    """Rows of a value and its condition, in any order; rows without conditions are a list of relations."""
    match = _CASES.fullmatch(text)
    if match is None:
        return None
    rows = [_IF.sub(" ", row).strip(" ,") for row in match[1].strip().removesuffix("\\\\").split("\\\\")]
    parts = [[shape(cell.strip(" ,")) for cell in row.split("&", 1) if cell.strip(" ,")] for row in rows]
    if all(len(row) == 1 for row in parts):
        return Shape("list", text, tuple(row[0] for row in parts))
    return Shape("cases", text, tuple(Shape("row", line, tuple(row)) for line, row in zip(rows, parts, strict=True)))


_CASES = re.compile(r"\\begin\s*\{cases\}(.*)\\end\s*\{cases\}", re.DOTALL)
_IF = re.compile(r"\\text\s*\{\s*,?\s*(?:if|for|when|where)?\s*\}|(?<![a-zA-Z\\])(?:if|for|when)(?![a-zA-Z])")


def _list(text: str) -> Shape | None:
    mark = "or" if _OR.search(text) else "and" if _AND.search(text) else ""
    if mark:
        text = _AND.sub(" , ", _OR.sub(" , ", text))
    if "\\lor" in text or "\\vee" in text:
        text, mark = (re.sub(r"\\(?:lor|vee)(?![a-zA-Z])", ",", text), "or") if _RELATION.search(text) else (text, mark)
    parts = [part for part in split(text, _COMMA) if part]
    if len(parts) < 2:
        parts = re.split(r"(?<=[a-z}]) (?=\d)", text) if _COMPOUND.fullmatch(text) else []
    if len(parts) < 2:
        return None
    return Shape("list", text, tuple(shape(part) for part in parts), mark)


_COMMA = re.compile("[,;]")
_NAMES = (
    "|".join(sorted((name for name in MEASURES if name.isalpha() and len(name) > 1), key=len, reverse=True))
    + "|h|m|s|g"
)
_MEASURE = rf"(?:\\text ?\{{ ?(?:{_NAMES}) ?\}}|(?:{_NAMES})(?![a-zA-Z]))"
_COMPOUND = re.compile(rf"\d+(?:\.\d+)? ?{_MEASURE}(?: \d+(?:\.\d+)? ?{_MEASURE}){{1,3}}")  # 5 feet 3 inches


def _relation(text: str) -> Shape | None:
    signs = _RELATION.findall(text)
    sides = split(text, _RELATION) if signs else []
    if len(sides) < 2 or not all(sides):
        return None
    if len(sides) != len(signs) + 1:
        signs = [sign for sign in _RELATION.findall(_outside(text))]
    return Shape("relation", text, tuple(shape(side) for side in sides), " ".join(signs))


def _outside(text: str) -> str:
    """The text without what stands in brackets."""
    depth, kept = 0, []
    for match in _SIGN.finditer(text):
        sign = match.group()
        depth += sign in _OPENING
        if depth == 0:
            kept.append(sign)
        depth -= sign in _CLOSING
    return "".join(kept)


def _union(text: str) -> Shape | None:
    parts = split(text, re.compile(r"\\cup(?![a-zA-Z])|(?<=[)\]}])\s*U\s*(?=[(\[\\{])"))
    parts = [
        f"\\{part[:-1]}\\}}" if part.startswith("{") and part.endswith("}") else part for part in parts
    ]  # [1, 2] U {5}
    return Shape("union", text, tuple(shape(part) for part in parts)) if len(parts) > 1 and all(parts) else None


def _plus_minus(text: str) -> Shape | None:
    r"""`a \pm b` as the list of both values; with more than one such sign it stays a value of its own."""
    if len(re.findall(r"\\(?:pm|mp)(?![a-zA-Z])", text)) != 1:
        return None
    both = [re.sub(r"\\(?:pm|mp)(?![a-zA-Z])\s*", sign, text) for sign in ("+", "-")]
    return Shape("list", text, tuple(shape(one.strip().removeprefix("+")) for one in both), "pm")


def _matrix(text: str) -> Shape | None:
    match = _MATRIX.fullmatch(text)
    if match is None or match[2] in ("vmatrix", "Vmatrix"):
        return None
    inside = re.sub(r"^\s*\{[lcr|\s]*\}", "", match[3]) if match[2] == "array" else match[3]
    rows = [row.split("&") for row in inside.strip().removesuffix("\\\\").split("\\\\")]
    cells = tuple(shape(f"{match[1]}({cell.strip()})" if match[1] else cell.strip()) for row in rows for cell in row)
    return Shape("matrix", text, cells, "x".join(str(len(row)) for row in rows))


def _ratio(text: str) -> Shape | None:
    """1 : 2 : 3, and the time 10:30."""
    parts = split(text, ":") if ":" in text and "\\text" not in text else []
    return Shape("ratio", text, tuple(shape(part) for part in parts)) if len(parts) > 1 and all(parts) else None


def _bracketed(text: str) -> Shape | None:
    """A set, a tuple, an interval, or what stands in brackets alone."""
    for opening, closings in (
        ("\\{", ("\\}",)),
        ("\\langle", ("\\rangle",)),
        ("(", (")", "]")),
        ("[", ("]", ")", "[")),
        ("]", ("[", "]")),
    ):
        closing = next((one for one in closings if text.endswith(one)), None)
        if not text.startswith(opening) or closing is None or len(text) < len(opening) + len(closing):
            continue
        inside = text[len(opening) : -len(closing)].strip()
        if not _balanced(inside):
            return None
        return _contents(text, inside, opening, closing)
    return None


def _contents(text: str, inside: str, opening: str, closing: str) -> Shape | None:
    if opening == "\\{":
        if not inside:
            return Shape("value", "\\emptyset")
        if re.search(r"\||:|\\colon", inside):
            return _by_condition(text, inside)
        return Shape("set", text, tuple(shape(part) for part in split(inside, _COMMA) if part))
    if len(split(inside, ",")) == 1 and re.fullmatch(r"\{[^{}]*,[^{}]*\}", inside):
        inside = inside[1:-1]  # ({1, 2})
    parts = split(inside, ";" if ";" in inside else ",")
    if ";" in inside:
        parts = [f"({part})" if "," in part else part for part in parts]
    if len(parts) < 2 or not all(parts):
        return shape(inside) if (opening, closing) == ("(", ")") and inside else None
    if opening == "\\langle":
        opening, closing = "(", ")"
    opening = "(" if opening == "]" else opening
    closing = ")" if closing == "[" else closing
    return Shape("tuple", text, tuple(shape(part) for part in parts), opening + closing)


_CONDITION = re.compile(r"([a-z])\s*(?:\\in\s*\\mathbb\s*\{?R\}?)?\s*(?:\||:)\s*([^|:]+)")


def _by_condition(text: str, inside: str) -> Shape | None:
    """{ x | 1 < x < 2 } as the interval that it is; None for other conditions."""
    match = _CONDITION.fullmatch(inside)
    found = as_interval(shape(match[2])) if match else None
    if found is None or found[0] != match[1]:
        return None
    return Shape(found[1].kind, text, found[1].parts, found[1].mark)


def _balanced(text: str) -> bool:
    """True where no bracket closes that was not opened inside."""
    depth = 0
    for match in _SIGN.finditer(text):
        depth += (match.group() in _OPENING) - (match.group() in _CLOSING)
        if depth < 0:
            return False
    return depth == 0


def is_name(text: str) -> bool:
    """True for what names a quantity: x, x_1, f(x), AB, (x, y), dy/dx, a word."""
    return _NAME.fullmatch(text) is not None and text not in ("\\pi", "\\infty", "\\emptyset")


def as_interval(one: Shape) -> tuple[str, Shape] | None:
    r"""(letter, interval) of `x > 2`, `1 < x \le 2`, `x < 1 or x > 2`, `x \in [1, 2]`."""
    if one.kind == "list" and one.mark == "and" and len(one.parts) == 2:
        return _both_bounds([as_interval(part) for part in one.parts])
    if one.kind == "list" and one.mark == "or":
        parts = [as_interval(part) for part in one.parts]
        if None in parts or len({part[0] for part in parts}) != 1:
            return None
        intervals = tuple(part[1] for part in parts)
        return parts[0][0], Shape("union", " \\cup ".join(part.text for part in intervals), intervals)
    if one.kind != "relation":
        return None
    sides, signs = [part.text for part in one.parts], one.mark.split()
    if len(sides) == 2 and (match := _ABSOLUTE.fullmatch(sides[0])) and _POSITIVE.fullmatch(sides[1]):
        return _around_zero(match[1], signs[0], sides[1])
    if signs == ["\\in"] and is_name(sides[0]):
        return sides[0], one.parts[1]
    if set(signs) <= {">", "\\ge"}:
        sides, signs = sides[::-1], [{">": "<", "\\ge": "\\le"}[sign] for sign in signs[::-1]]
    if not set(signs) <= {"<", "\\le"}:
        return None
    if len(sides) == 2:
        if is_name(sides[0]):
            sides, signs = ["-\\infty", *sides], ["<", *signs]
        elif is_name(sides[1]):
            sides, signs = [*sides, "\\infty"], [*signs, "<"]
    if len(sides) != 3 or not is_name(sides[1]):
        return None
    brackets = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
    return sides[1], _interval(brackets, shape(sides[0]), shape(sides[2]))


_ABSOLUTE = re.compile(r"\| ?([a-z]) ?\|")
_POSITIVE = re.compile(r"(?=.*[1-9])(?:\d+(?:\.\d+)?|\\frac\{\d+\}\{\d+\})", re.ASCII)


def _around_zero(letter: str, sign: str, bound: str) -> tuple[str, Shape] | None:
    """|x| < 4 as -4 < x < 4, |x| > 4 as x < -4 or x > 4."""
    if sign in ("<", "\\le"):
        return as_interval(shape(f"-{bound} {sign} {letter} {sign} {bound}"))
    if sign in (">", "\\ge"):
        below = {">": "<", "\\ge": "\\le"}[sign]
        return as_interval(shape(f"{letter} {below} -{bound} or {letter} {sign} {bound}"))
    return None


def _both_bounds(found: list[tuple[str, Shape] | None]) -> tuple[str, Shape] | None:
    """x > 1 and x < 3 as (1, 3): one bound from below and one from above."""
    if (
        None in found
        or found[0][0] != found[1][0]
        or any(len(one.parts) != 2 or one.kind != "tuple" for _, one in found)
    ):
        return None
    (name, first), (_, second) = found
    if first.parts[0].text == "-\\infty":
        first, second = second, first
    if first.parts[1].text != "\\infty" or second.parts[0].text != "-\\infty":
        return None
    return name, _interval(first.mark[0] + second.mark[1], first.parts[0], second.parts[1])


def _interval(brackets: str, low: Shape, high: Shape) -> Shape:
    return Shape("tuple", f"{brackets[0]}{low.text}, {high.text}{brackets[1]}", (low, high), brackets)
