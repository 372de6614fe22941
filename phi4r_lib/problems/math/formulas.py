"""Compares formulas by their value at a few points, without algebra: quick verdicts for what referee.py would confirm.

A small grammar (numbers, one-letter variables, + - * / ^, fractions, roots, pi, brackets, tuples, matrices) is
evaluated in complex floating point. Two formulas that differ at a point are different; polynomial ones that agree at
several are equal. Anything else, and every near miss, stays open. Not here: equations, inequalities, functions.
"""

from __future__ import annotations

import cmath
import math
import re
from functools import lru_cache

_TOKEN = re.compile(
    r"\s+|(?P<number>\d+\.?\d*|\.\d+)|(?P<command>\\(?:[dtc]?frac|sqrt|pi|cdot|times|sin|cos|tan|cot)(?![a-zA-Z]))"
    r"|(?P<letter>[a-zA-Z])|(?P<sign>[-+*/^{}()\[\]])"
)
_SPACING = re.compile(r"(?<!\\)\\(?:(?:left|right|displaystyle)(?![a-zA-Z])|[,!;: ])")
_MATRIX = re.compile(r"\\begin\{([pb]matrix)\}(.*)\\end\{\1\}", re.DOTALL)
_SAFE_COMMANDS = re.compile(
    r"\\(?:[dt]?frac|sqrt|pi|cdot|times|left|right|infty|circ|pm|cup|cap|in|leq?|geq?|theta|cot|sin|cos|tan|log|ln"
    r"|begin\{[pb]matrix\}|end\{[pb]matrix\}|text\{[\w\s().-]*\}|mbox\{[\w\s().-]*\}|[,!;: ${}]|\\)(?![a-zA-Z])"
)
_UNITS = re.compile(r"\d\s*(?:[cdkmn]?m|[mk]?g|m?[lL]|[kMG]?Hz|ft|in|yd|mi|oz|lbs?|h|hrs?|s|am|pm|mph)\s*$")
_INFINITE = re.compile(r"[-+]?\s*\\infty")
_FUNCTIONS = {"\\sin": cmath.sin, "\\cos": cmath.cos, "\\tan": cmath.tan, "\\cot": lambda value: 1 / cmath.tan(value)}
_POINTS = (0.7316, 1.3857, 2.2149)  # ours: no answer is likely to have a root or a coincidence at all three


class _Open(Exception):
    """The text is outside the grammar."""


def spelled_alike(answer: str, gold: str) -> bool:
    """Same formula up to spacing and \\left, \\dfrac and the like; only for texts of well-known commands."""
    return _spelling(answer) == _spelling(gold) is not None


@lru_cache(maxsize=1 << 14)
def _spelling(text: str) -> str | None:
    bare = _SAFE_COMMANDS.sub("", text)
    if "\\" in bare or "/0" in bare or "{}" in text or text.count("{") != text.count("}"):
        return None
    if not re.search(r"[0-9a-zA-Z]|\\pi|\\infty|\\text", text) or re.search(r"(?i)nan|_", bare):
        return None
    return re.sub(r"\s+", "", _SPACING.sub("", text).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac"))


def names_one(text: str) -> bool:
    """True for one value of the grammar: a number or a formula, no list and no interval."""
    return "," not in text and _values(_SPACING.sub(" ", text).strip()) is not None


def names_several(text: str) -> bool:
    """True for what cannot equal one number: an interval, a union, a plus-minus pair, a list of different values."""
    text = _SPACING.sub(" ", text).strip()
    if re.search(r"\\(?:pm|cup)(?![a-zA-Z])", text) or re.fullmatch(r"[(\[].*\\infty.*[)\]]", text):
        return True
    parts = [_values(part) for part in _split(text)]
    return len(parts) > 1 and None not in parts and len({part.numbers[0] for part in parts}) > 1


def formula_verdict(answer: str, gold: str) -> str | None:
    """ "right" or "wrong" where values at a few points tell, else None."""
    ours, theirs = _shape(answer), _shape(gold)
    if ours is None or theirs is None:
        return None
    if ours[0] != theirs[0] or len(ours[1]) != len(theirs[1]):
        return _mismatch(ours, theirs)
    verdicts = [_scalar_verdict(one, other) for one, other in zip(ours[1], theirs[1], strict=True)]
    if "wrong" in verdicts:
        return "wrong"
    return None if None in verdicts else "right"


def _mismatch(ours: tuple[str, tuple[str, ...]], theirs: tuple[str, tuple[str, ...]]) -> str | None:
    """Different kinds of object; a bare comma list stays open, it may be a set or one number with separators."""
    if "list" in (ours[0], theirs[0]) or any(_values(part) is None for part in ours[1] + theirs[1]):
        return None
    return "wrong"


@lru_cache(maxsize=1 << 14)
def _shape(text: str) -> tuple[str, tuple[str, ...]] | None:
    """("one", (formula,)), ("(]", parts) or ("matrix2", entries); None for what is neither."""
    text = _SPACING.sub(" ", text).strip()
    if match := _MATRIX.fullmatch(text):
        rows = [row.split("&") for row in match[2].split("\\\\")]
        return f"matrix{len(rows)}", tuple(cell.strip() for row in rows for cell in row)
    if "," not in text:
        return "one", (text,)
    if text[0] not in "([" or text[-1] not in ")]" or not _wraps(text):
        return None
    parts = _split(text[1:-1])
    return (text[0] + text[-1], parts) if len(parts) > 1 else None


def _wraps(text: str) -> bool:
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign in "([") - (sign in ")]")
        if depth == 0:
            return place == len(text) - 1
    return False


def _split(text: str) -> tuple[str, ...]:
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return (*parts, text[start:].strip())


def _scalar_verdict(answer: str, gold: str) -> str | None:
    endless = [_INFINITE.fullmatch(text) is not None for text in (answer, gold)]
    if any(endless):
        finite = _values(gold if endless[0] else answer)
        return None if all(endless) or finite is None or finite.names else "wrong"
    ours, theirs = _values(answer), _values(gold)
    if ours is None or theirs is None:
        return None
    if ours.names != theirs.names and {n.lower() for n in ours.names} == {n.lower() for n in theirs.names}:
        return None
    gaps = [abs(a - b) / max(1.0, abs(a), abs(b)) for a, b in zip(ours.numbers, theirs.numbers, strict=True)]
    if ours.plain and theirs.plain and max(gaps) < 1e-12:
        return "right"
    return "wrong" if min(gaps) > 1e-5 else None


class _Values:
    """A formula's values at the points, its variable names, and whether equal values prove it equal."""

    def __init__(self, text: str) -> None:
        self.numbers: list[complex] = []
        readers = [_Reader(text, point, constants=number == 0) for number, point in enumerate(_POINTS)]
        self.numbers = [reader.whole() for reader in readers]
        self.names = readers[0].names
        self.plain = readers[0].plain


@lru_cache(maxsize=1 << 14)
def _values(text: str) -> _Values | None:
    try:
        return _Values(text)
    except (_Open, ArithmeticError, RecursionError):
        return None


class _Reader:
    """Evaluates one formula at one point while reading it; with `constants`, e and i are the numbers of that name."""

    def __init__(self, text: str, point: float, constants: bool) -> None:
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or len(self.tokens) > 200:
                raise _Open
            if match.lastgroup:
                self.tokens.append((match.lastgroup, match.group()))
            place = match.end()
        if re.search(r"[a-zA-Z]{3}", text.replace("\\", " \\")) and re.search(r"(?<!\\)\b[a-zA-Z]{3}", text):
            raise _Open  # a word, not a product
        if _UNITS.search(text):
            raise _Open  # 5 cm
        self.place, self.point, self.constants = 0, point, constants
        self.names: set[str] = set()
        self.plain = True
        self.depth = 0

    def whole(self) -> complex:
        value = self.sum()
        if self.place != len(self.tokens) or not (math.isfinite(value.real) and math.isfinite(value.imag)):
            raise _Open
        return value

    def peek(self) -> str:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else ""

    def kind(self) -> str:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else ""

    def take(self, *wanted: str) -> bool:
        if self.peek() in wanted and self.peek():
            self.place += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise _Open

    def sum(self) -> complex:
        negative = self.peek() == "-"
        self.take("-", "+")
        total = -self.product() if negative else self.product()
        while self.peek() in ("+", "-") and self.peek():
            negative = self.peek() == "-"
            self.place += 1
            total += -self.product() if negative else self.product()
        return total

    def product(self) -> complex:
        value, divided = self.power(), False
        while True:
            if self.take("*", "\\cdot", "\\times"):
                value *= self.power()
                divided = False
            elif self.take("/"):
                if divided:
                    raise _Open
                value /= self.power()
                divided = True
            elif self.kind() in ("letter", "command") or self.peek() == "(":
                if divided:
                    raise _Open  # a/bc is read in two ways
                value = self.juxtaposed(value)
            else:
                return value

    def juxtaposed(self, value: complex) -> complex:
        """`2k`, `3\\sqrt{5}`, and the mixed number `1\\frac{4}{5}`."""
        mixed = self.peek().endswith("frac") and self.tokens[self.place - 1][0] == "number"
        if not mixed:
            return value * self.power()
        if "." in self.tokens[self.place - 1][1] or (self.place > 1 and self.tokens[self.place - 2][1] not in "+-"):
            raise _Open
        names = set(self.names)
        part = self.power()
        if self.names != names or self.peek() == "^" or part.imag or not 0 < part.real < 1:
            raise _Open
        return value + part

    def power(self) -> complex:
        base = self.atom()
        if not self.take("^"):
            return base
        if self.take("{"):
            exponent = self.sum()
            self.need("}")
        else:
            exponent = self.short()
        if self.peek() == "^" or abs(exponent) > 64:
            raise _Open
        if exponent.imag or exponent.real != int(exponent.real):
            self.plain = self.plain and not self.names
        return base**exponent

    def short(self) -> complex:
        """One digit, letter or group after a command or ^ without braces."""
        if self.kind() == "number" and len(self.peek()) > 1:
            raise _Open
        if self.kind() not in ("number", "letter"):
            raise _Open
        value = self.atom()
        if self.kind() == "number":
            raise _Open
        return value

    def group(self) -> complex:
        if not self.take("{"):
            return self.short_digit()
        value = self.sum()
        self.need("}")
        return value

    def short_digit(self) -> complex:
        if self.kind() != "number":
            raise _Open
        text = self.peek()
        if len(text) == 1:
            self.place += 1
            return complex(int(text))
        if len(text) == 2 and text.isdigit():  # \frac43 arrives as the number 43
            self.tokens[self.place : self.place + 1] = [("number", text[0]), ("number", text[1])]
            return self.short_digit()
        raise _Open

    def atom(self) -> complex:
        kind, text = self.kind(), self.peek()
        self.place += 1
        if kind == "number":
            if self.kind() == "number" or len(text) > 15:
                raise _Open
            return complex(float(text))
        if kind == "letter":
            return self.letter(text)
        if text == "\\pi":
            return complex(math.pi)
        if text.endswith("frac"):
            above = self.group()
            return above / self.group()
        if text == "\\sqrt":
            return self.root()
        if text in _FUNCTIONS:
            return self.function(text)
        if text == "(":
            value = self.sum()
            self.need(")")
            return value
        raise _Open

    def function(self, name: str) -> complex:
        """A function of one letter, with nothing behind it that could belong to its argument."""
        if self.kind() != "letter":
            raise _Open
        argument = self.atom()
        if self.kind() in ("number", "letter", "command") or self.peek() in ("(", "^", "/", "*"):
            raise _Open
        self.plain = False
        return _FUNCTIONS[name](argument)

    def letter(self, name: str) -> complex:
        self.names.add(name)
        if self.constants and name in "ei":
            return complex(math.e) if name == "e" else 1j
        return complex(self.point + (ord(name) % 32) * 0.1373 + (0.0 if name.islower() else 0.05))

    def root(self) -> complex:
        if self.peek() == "[":
            raise _Open
        names = set(self.names)
        self.names = set()
        if self.peek() != "{" and len(self.peek()) != 1:
            raise _Open
        value = self.group()
        self.plain = self.plain and not self.names
        self.names |= names
        return value**0.5
