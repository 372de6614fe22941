"""How verdicts combine, what is asked of math-verify, and what is kept from it because it overlooks or chokes on it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from phi4r_lib.problems.math.conventions import Conventions
from phi4r_lib.problems.math.dressing import spelling
from phi4r_lib.problems.math.quantities import FUNCTION
from phi4r_lib.problems.math.reader import DERIVATIVE

Verdict = str | None  # "right", "wrong", "failed"; None while a question to the referee is open
Question = tuple[str, str]  # (answer, gold) as math-verify should see them

_DIGITS_APART = re.compile(r"\d\s+\d", re.ASCII)
_SINGLE = re.compile(r"[_^]\d(?=\s)|\\frac\s*\d(?=\s)", re.ASCII)  # an index or exponent: \int_0^1 2x


@dataclass
class Court:
    """What is known of the pairs that need algebra, and which questions the last comparison left open."""

    conventions: Conventions
    known: Mapping[Question, str] = field(default_factory=dict)
    wanted: dict[Question, None] = field(default_factory=dict)

    def ask(self, answer: str, gold: str) -> Verdict:
        if (answer, gold) not in self.known:
            self.wanted[answer, gold] = None
        return self.known.get((answer, gold))


class GoldUndefined(Exception):
    """The gold divides by zero."""


def both(*verdicts: Verdict) -> Verdict:
    """Right when all are."""
    for verdict in ("wrong", "failed", None):
        if verdict in verdicts:
            return verdict
    return "right"


def either(*verdicts: Verdict) -> Verdict:
    """Right when one is."""
    for verdict in ("right", None, "failed"):
        if verdict in verdicts:
            return verdict
    return "wrong"


def algebra(answer: str, gold: str, court: Court) -> Verdict:
    """Asks math-verify, unless the texts differ in what it overlooks."""
    if any(_DIGITS_APART.search(_SINGLE.sub(" x", text)) for text in (answer, gold)):
        return "wrong"  # 1 2 is not 12
    if _CROSS.search(answer) or _CROSS.search(gold):
        return "wrong"  # a cross product is not commutative
    if _said(answer) != _said(gold) or _called(answer) != _called(gold) or _uncommon(answer) != _uncommon(gold):
        return "wrong"
    if explosive(answer) or explosive(gold) or _IN_A_BASE.search(answer) or _IN_A_BASE.search(gold):
        return "failed"
    answer, gold = _in_radians(answer), _in_radians(gold)
    if answer.count("'") != gold.count("'"):
        return "wrong"
    marks = _MARK.findall(answer), _MARK.findall(gold)
    if any(marks):
        digits = [re.findall(r"\d+", text) for text in (answer, gold)]
        return "failed" if marks[0] == marks[1] and digits[0] == digits[1] else "wrong"
    if _TWO_WAYS.search(answer) or _TWO_WAYS.search(gold):
        return "failed"
    return _with_either_log(*letters_apart(spelling(answer), spelling(gold)), court)


_IN_A_BASE = re.compile(r"(?<![\w^{}\\.])(?:[\d.]+|\d[\dA-F]*)\s*_", re.ASCII)  # 101_2, but not \int^1_0
_DEGREES = re.compile(r"(?<=[a-z])\{\s*(\d+(?:\.\d+)?)\s*°\s*\}|(\d+(?:\.\d+)?)\s*°(?!\s*[\d'])", re.ASCII)
_MARK = re.compile(r"[%‰°$]|(?<=[\d})°])\s*'+")  # math-verify leaves out percent, degrees, dollars, minutes, feet
_TWO_WAYS = re.compile(  # 2\frac{3}{2} (a sum or a product) and 2^3^2
    r"\d\s*\\frac\s*(?:\{\s*-?\d+\s*\}|\d)\s*(?:\{\s*-?\d+\s*\}|\d)|\^\s*(?:\{[^{}]*\}|\\?\w+)\s*\^"
)
_LOG = re.compile(r"\\log(?![a-zA-Z])(?!\s*_)")


def _in_radians(text: str) -> str:
    r"""\sin 30° as \sin(30 \pi / 180): math-verify leaves the sign out."""
    respelled = _DEGREES.sub(lambda match: rf"(\frac{{{match[1] or match[2]}\pi}}{{180}})", text)
    return respelled if FUNCTION.search(text) else text


def _with_either_log(answer: str, gold: str, court: Court) -> Verdict:
    r"""A \log without a base is to the base 10 in school and natural elsewhere: what holds for 10 alone is not decided."""
    verdicts = [court.ask(answer, gold)]
    if _LOG.search(answer + " " + gold):
        verdicts.append(court.ask(*(_LOG.sub(r"\\ln", text) for text in (answer, gold))))
    if None in verdicts:
        return None
    return "failed" if verdicts[0] != verdicts[-1] and verdicts[0] == "right" else verdicts[0]


_SAID = re.compile(
    r"\\(?:angle|triangle|over[a-z]+|widehat|wideparen|arc)\s*\{?\s*([A-Z]{2,})|\\text\s*\{([^{}]*)\}|(?<![a-zA-Z\\])([a-zA-Z]{4,})"
)
_COMMON = frozenset([
    "frac", "sqrt", "pi", "cdot", "times", "div", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos",
    "arctan", "sinh", "cosh", "tanh", "ln", "log", "exp", "int", "sum", "prod", "lim", "infty", "to", "binom",
    "choose", "lfloor", "rfloor", "lceil", "rceil", "lvert", "rvert", "pm", "mp", "cup", "cap", "setminus", "in",
    "mathbb", "emptyset", "begin", "end", "le", "ge", "ne", "gcd", "max", "min", "alpha", "beta", "gamma", "delta",
    "epsilon", "varepsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau",
    "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega",
    "text", "partial", "circ", "det",
])  # fmt: skip
_ENVIRONMENT = re.compile(r"\\(?:begin|end|mathbb|mathcal|operatorname)\s*\{\w+\*?\}")
_CALLED = re.compile(r"(?<![\\a-zA-Z])([fghFGHP]'*)\s*\(([^()]*)\)")


_CROSS = re.compile(r"\\vectorial(?![a-zA-Z])")


def _said(text: str) -> list[str]:
    """The words of a text, in order."""
    return ["".join(match.groups("")).strip().lower() for match in _SAID.finditer(_ENVIRONMENT.sub(" ", text))]


def _uncommon(text: str) -> Counter[str]:
    """Commands that math-verify leaves out or takes for letters."""
    return Counter(command for command in re.findall(r"\\[a-zA-Z]+", text) if command[1:] not in _COMMON)


def _called(text: str) -> Counter[str]:
    found = [match.group() for pattern in (_CALLED, DERIVATIVE) for match in pattern.finditer(text)]
    return Counter(re.sub(r"\s", "", one) for one in found)


def letters_apart(answer: str, gold: str) -> Question:
    """Capitals replaced by unused letters where the small letter is there too: math-verify takes R and r for one."""
    pattern = r"(?<![\\a-zA-Z{])[a-zA-Z](?![a-zA-Z])|(?<=[{])[a-zA-Z](?![a-zA-Z])"
    letters = set(re.findall(pattern, answer + " " + gold))
    spare = [name for name in "qwzvukjabcdxy" if name not in letters and name.upper() not in letters]
    for capital in sorted(letter for letter in letters if letter.isupper() and letter.lower() in letters):
        if not spare:
            break
        fresh = spare.pop()
        answer, gold = (re.sub(rf"(?<![\\a-zA-Z]){capital}(?![a-zA-Z])", fresh, text) for text in (answer, gold))
    return answer, gold


_TOWER = re.compile(
    r"(?:(?:\^|\*\*)[\w{(.\\]+){3}|(?:\^|\*\*)[{(]*-?\d{5}|\d{4,}[)}]*!|![)}]+!|[-+]{20}", re.ASCII
)  # power towers, exponents of five digits, 1000!, (9!)!, a long run of signs
_GROWING = re.compile(r"\\(?:[dt]?binom|choose|Gamma|prod|zeta)(?![a-zA-Z])")
_LARGE = re.compile(r"\d{5}|10\s*\^\s*\{?\s*[4-9\d]|\^\s*\{?\s*\d{2}", re.ASCII)


def explosive(text: str) -> bool:
    """True for what algebra would only choke on: towers, giant exponents, factorials, binomials, deep nesting."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    growing = _GROWING.search(text) is not None and _LARGE.search(text) is not None
    return deepest > 40 or growing or _TOWER.search(text.replace(" ", "")) is not None
