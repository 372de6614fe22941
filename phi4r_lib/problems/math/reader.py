"""Reads one value, written in LaTeX or in plain letters, into exact terms; what can be read in two ways is not read.

Left open are `a/bc` and `1/2x`, `x^2^3`, `\\sin x (y)`, units, words, equations, lists. A letter before a bracket is a
function or a factor: f, g, h always a function, other letters by what stands in the bracket, or a factor where the
letter also appears without one (x(x+1) beside x^2). Expects text from dressing.py.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from phi4r_lib.problems.math.functions import FUNCTIONS, GREEK, INVERSE, applied, binomial, magnitude, marked
from phi4r_lib.problems.math.powers import root, to_power
from phi4r_lib.problems.math.terms import Form, Open, Undefined, function, letter, number

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<command>\\[a-zA-Z]+|\\[{}%])|(?P<letter>[a-zA-Z]'*)"
    r"|(?P<sign>[-+*/^_{}()\[\]|!,°%‰])", re.ASCII
)  # fmt: skip
_WORD = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z]{4,}")
DERIVATIVE = re.compile(
    r"(?<![a-zA-Z\\])d\s?(?:\^\{?\d\}?)?\s*\(?\s*[a-zA-Z]?\)?\s*(?:/|\}\s*\{)\s*\(?d\s?[a-zA-Z]"
)  # dy/dx
MOST_TOKENS = 300


@lru_cache(maxsize=1 << 14)
def read(text: str, factors: frozenset[str] = frozenset()) -> Form | None:
    """The value that `text` spells, None for what is open, Undefined raised for what has none (1/0, 0^0, infinity - 1).

    `factors` are letters that multiply a bracket behind them, whatever stands in it.
    """
    try:
        reader = _Reader(text, factors)
        return reader.whole()
    except Undefined:
        raise
    except (Open, RecursionError, OverflowError, ZeroDivisionError):
        return None


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, factors: frozenset[str]) -> None:
        if _WORD.search(text) or DERIVATIVE.search(text):
            raise Open
        self.tokens: list[tuple[str, str]] = []
        self.spaced: list[bool] = []
        place, spaced = 0, False
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or len(self.tokens) >= MOST_TOKENS:
                raise Open
            if match.lastgroup == "space":
                spaced = True
            else:
                self.tokens.append((match.lastgroup, match.group()))
                self.spaced.append(spaced)
                spaced = False
            place = match.end()
        self.commands = {text for kind, text in self.tokens if kind == "command"}
        self.place, self.factors, self.bars = 0, factors, 0

    def whole(self) -> Form:
        value = self.sum()
        if self.place != len(self.tokens):
            raise Open
        if "\\infty" in self.commands and value not in (letter("\\infty"), -letter("\\infty")):
            raise Undefined
        return value

    def peek(self, ahead: int = 0) -> str:
        place = self.place + ahead
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def kind(self) -> str:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else ""

    def take(self, *wanted: str) -> bool:
        if self.peek() in wanted and self.peek():
            self.place += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise Open

    def sum(self) -> Form:
        total = self.signed(self.product)
        while self.peek() in ("+", "-") and self.peek():
            negative = self.take("-") or not self.take("+")
            value = self.signed(self.product) if self.peek() in ("+", "-") and self.peek() else self.product()
            total = total - value if negative else total + value
        return total

    def signed(self, part) -> Form:
        """`part` behind at most one sign."""
        if self.take("-"):
            return -part()
        self.take("+")
        return part()

    def product(self) -> Form:
        value, divided = self.power(), False
        while True:
            if self.take("*", "\\cdot", "\\times"):
                value, divided = value * self.signed(self.power), False
            elif self.take("/", "\\div"):
                if divided:
                    raise Open
                value, divided = value / self.signed(self.power), True
            elif self.starts_factor():
                if divided:
                    raise Open  # a/bc is read in two ways
                value = self.juxtaposed(value)
            else:
                return value

    def starts_factor(self) -> bool:
        sign = self.peek()
        if sign == "|":
            return self.bars == 0
        return self.kind() in ("letter", "command", "number") or (sign in ("(", "{", "[") and bool(sign))

    def juxtaposed(self, value: Form) -> Form:
        r"""`2k`, `3\sqrt{5}`, `(x+1)(x-1)`, and the mixed numbers `1\frac{4}{5}` and `1 4/5`."""
        kind, text = self.tokens[self.place - 1]
        if kind == "number" and (self.peek() == "\\frac" or self.kind() == "number"):
            alone = self.place < 2 or self.peek(-2) in ("+", "-", "(", "{")
            part = self.proper_fraction() if alone and "." not in text else None
            if part is None:
                raise Open
            return value + part
        if self.kind() == "number" and text != "!":
            raise Open  # 3x2
        return value * self.power()

    def proper_fraction(self) -> Form | None:
        r"""`\frac{4}{5}` or ` 4/5` between 0 and 1, behind a whole number; 2\frac{x}{3} is a product of its own."""
        if self.kind() == "number":
            above, sign, below = self.peek(), self.peek(1), self.peek(2)
            if sign != "/" or not (above.isdigit() and below.isdigit()) or not self.spaced[self.place]:
                return None
            self.place += 3
            value = number(int(above)) / number(int(below))
        else:
            value = self.power()
        part = value.rational()
        if part is None or not 0 < part < 1 or self.peek() == "^":
            return None
        return value

    def power(self) -> Form:
        value = self.postfix(self.atom())
        if not self.take("^"):
            return value
        value = to_power(value, self.exponent())
        if self.peek() == "^":
            raise Open
        return self.postfix(value)

    def postfix(self, value: Form) -> Form:
        while self.peek() in ("!", "°", "%", "‰") and self.peek():
            sign = "!!" if self.peek() == self.peek(1) == "!" else self.peek()
            self.place += len(sign)
            value = marked(value, sign, self.commands)
            if sign in "%‰" and self.starts_factor():
                raise Open  # 7 % 4 is a remainder
        return value

    def exponent(self) -> Form:
        if self.take("{"):
            value = self.sum()
            self.need("}")
            return value
        if self.take("("):
            value = self.sum()
            self.need(")")
            return value
        return self.signed(self.short)

    def short(self) -> Form:
        """One number, letter or root behind ^; more behind it would be a factor."""
        if self.kind() not in ("number", "letter") and self.peek() not in ("\\pi", "\\frac", "\\sqrt"):
            raise Open
        value = self.atom()
        if self.kind() == "number":
            raise Open
        return value

    def group(self) -> Form:
        r"""An argument in braces, or one digit, letter or \pi."""
        if self.take("{"):
            value = self.sum()
            self.need("}")
            return value
        kind, text = self.kind(), self.peek()
        if kind == "number" and text.isdigit() and len(text) <= 2:
            if len(text) == 2:  # \frac43 arrives as the number 43
                self.tokens[self.place] = ("number", text[1])
            else:
                self.place += 1
            return number(int(text[0]))
        if kind == "letter" or text == "\\pi":
            return self.atom()
        raise Open

    def atom(self) -> Form:
        kind, text = self.kind(), self.peek()
        self.place += 1
        if kind == "number":
            if len(text) > 400 or self.peek() == "_":
                raise Open
            return number(Fraction(text))
        if kind == "letter":
            return self.named(text)
        if kind == "command":
            return self.command(text)
        if text == "|":
            return self.absolute()
        closing = {"(": ")", "{": "}", "[": "]"}.get(text)
        if closing is None:
            raise Open
        bars, self.bars = self.bars, 0
        value = self.sum()
        self.need(closing)
        self.bars = bars
        return value

    def absolute(self) -> Form:
        self.bars += 1
        value = self.sum()
        self.need("|")
        self.bars -= 1
        return magnitude(value)

    def command(self, text: str) -> Form:
        name = text[1:]
        if name == "frac":
            above = self.group()
            return above / self.group()
        if name == "sqrt":
            return self.root()
        if name == "binom":
            return binomial(self.group(), self.group())
        if name == "pi":
            return letter("\\pi")
        if name in FUNCTIONS:
            return self.function(name)
        if name in GREEK:
            return self.named(text)
        if name == "mathbb" and re.fullmatch(r"\{[A-Z]\}", "".join(self.peek(ahead) for ahead in range(3))):
            self.place += 3
            return letter("\\mathbb " + self.peek(-2))
        raise Open

    def root(self) -> Form:
        degree = 2
        if self.take("["):
            if not (self.kind() == "number" and self.peek().isdigit() and len(self.peek()) < 3):
                raise Open
            degree = int(self.peek())
            self.place += 1
            self.need("]")
        if self.take("("):
            value = self.sum()
            self.need(")")
        elif self.kind() == "number" and len(self.peek()) > 1:
            raise Open  # \sqrt23
        else:
            value = self.group()
        return value if degree == 1 else root(value, degree)

    def named(self, name: str) -> Form:
        """A letter with its subscript, as a variable or as a function of what stands in brackets behind it."""
        if self.take("_"):
            name += "_" + self.subscript()
        if self.peek() != "(" or not self.is_function(name):
            return letter(name)
        if name in ("\\Gamma", "\\zeta"):
            raise Open  # known functions: for math-verify
        self.place += 1
        arguments = [self.sum()]
        while self.take(","):
            arguments.append(self.sum())
        self.need(")")
        return function(f"unknown {name}", *arguments)

    def subscript(self) -> str:
        if not self.take("{"):
            if self.kind() not in ("number", "letter") or (self.kind() == "number" and len(self.peek()) > 1):
                raise Open
            self.place += 1
            return self.peek(-1)
        inside, depth = [], 1
        while depth and self.place < len(self.tokens):
            depth += {"{": 1, "}": -1}.get(self.peek(), 0)
            inside.append((" " if self.spaced[self.place] and inside else "") + self.peek())
            self.place += 1
        return "".join(inside[:-1])

    def is_function(self, name: str) -> bool:
        """I(0), y(t), d(A, B), f(x+1), Q(x+1) are functions; k(x-1), C(x+1), and x(x+1) beside an x are products."""
        depth, signs, stem = 0, [], name.rstrip("'").partition("_")[0]
        for kind, text in self.tokens[self.place :]:
            depth += (text in "([{") - (text in ")]}") if kind == "sign" else 0
            signs.append(text)
            if depth == 0:
                break
        several = any(sign in ("+", "-") for sign in signs[2:]) and "," not in signs
        if not several or "'" in name or stem in ("f", "g", "h", "F", "G", "H"):
            return True
        return name not in self.factors and stem.isupper() and stem not in ("A", "B", "C", "K")

    def function(self, name: str) -> Form:
        r"""\sin x, \sin 2x, \sin^2 x, \sin(x+1), \log_2 8; nothing may follow that could belong to the argument."""
        base = None
        if name == "log" and self.take("_"):
            base = self.group()
        power = self.exponent() if self.take("^") else None
        if power is not None and power.rational() == -1:
            name, power = INVERSE.get(name, ""), None
            if not name:
                raise Open
        value = applied(name, base, self.argument())
        return value if power is None else to_power(value, power)

    def argument(self) -> Form:
        if self.peek() in ("(", "{") and self.peek():
            value = self.atom()
            if self.peek() in ("^", "!", "(", "{") and self.peek():
                raise Open
            return value
        value = self.power()
        while self.kind() in ("number", "letter") or (
            self.kind() == "command"
            and self.peek()[1:] not in FUNCTIONS
            and self.peek()[1:] not in ("cdot", "times", "div")
        ):
            value = self.juxtaposed(value)
        if self.peek() in ("(", "{", "/", "*", "\\cdot", "\\times", "\\div", "|") and self.peek():
            raise Open
        return value
