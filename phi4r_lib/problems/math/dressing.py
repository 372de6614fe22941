"""Takes off what never matters in an answer (dollars, sizes, fonts, unicode forms) and splits value from unit."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from phi4r_lib.problems.math.conventions import Conventions

_SIGNS = {
    **dict.fromkeys("\u2212\u2012\u2013\u2014\u2010\u2011\ufe63", "-"),
    **dict.fromkeys("\u00a0\u3000\u2003\u2002\u2000\u2001", " "),
    **dict.fromkeys("\u2009\u202f\u200a", "\\,"),
    **dict.fromkeys("\u200b\u200c\u200d\ufeff\u2060", ""),
    "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "∙": "\\cdot ", "÷": "/", "⁄": "/", "∕": "/", "∗": "*",
    "≤": "\\le ", "≥": "\\ge ", "⩽": "\\le ", "⩾": "\\ge ", "≠": "\\ne ", "±": "\\pm ", "∓": "\\mp ", "≈": "\\approx ",
    "∞": "\\infty ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "∅": "\\emptyset ", "∖": "\\setminus ",
    "ℝ": "\\mathbb{R}", "ℤ": "\\mathbb{Z}", "ℕ": "\\mathbb{N}", "ℚ": "\\mathbb{Q}", "ℂ": "\\mathbb{C}",
    "°": "^{\\circ}", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"', "…": "\\ldots ", "⋯": "\\ldots ",
    "∠": "\\angle ", "△": "\\triangle ", "或": " or ", "和": " and ", "、": ",", "。": ".", "∣": "|", "⟨": "\\langle ",
    "⟩": "\\rangle ", "∫": "\\int ", "∑": "\\sum ", "→": "\\to ", "′′": "''", "ϕ": "\\phi ", "ϵ": "\\epsilon ",
    "µ": "\\mu ", "ı": "i", "𝑖": "i",
}  # fmt: skip
_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
_SIGNS |= {chr(0x3B1 + place): f"\\{name} " for place, name in enumerate(_GREEK)}
_SIGNS |= {chr(0x391 + place): f"\\{name.title()} " for place, name in enumerate(_GREEK) if name.title() in (
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega")}  # fmt: skip
_SIGNS |= {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_TABLE = str.maketrans({sign: text for sign, text in _SIGNS.items() if len(sign) == 1})
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉ₙ]+")
_UPRIGHT = r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it|sf)|mbox)"
_SPELLINGS = [
    (re.compile(r"√\s*(\d+(?:\.\d+)?|[a-zA-Z])"), r"\\sqrt{\1}"),
    (re.compile(r"∛\s*(\d+|[a-zA-Z])"), r"\\sqrt[3]{\1}"),
    (re.compile("√"), r"\\sqrt "),
    (re.compile("∛"), r"\\sqrt[3]"),
    (re.compile(r"\{,\}|,\\!\s*"), ","),
    (re.compile(r"(?<=\d)(?:\\[,!;: ]|~)\s*(?=\d{3}(?!\d))"), ","),  # 12\,000
    (re.compile(r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits|!)(?![a-zA-Z])\s?"), ""),
    (re.compile(r"(?<!\\)\\(?:[,;: ]|q?quad(?![a-zA-Z])|hspace\{[^{}]*\})|~|&nbsp;"), " "),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![a-zA-Z])"), r"\\binom"),
    (re.compile(r"\{([^{}=<>,]*)\\choose(?![a-zA-Z])([^{}=<>,]*)\}"), r"{\\binom{\1}{\2}}"),
    (re.compile(r"^([^{}=<>,()]*)\\choose(?![a-zA-Z])([^{}=<>,()]*)$"), r"\\binom{\1}{\2}"),
    (re.compile(r"(?:\{\}|^)\s*[_^]\{?(\w+)\}?\s*C_\{?(\w+)\}?"), r"\\binom{\1}{\2}"),  # {}_5C_2
    (re.compile(_UPRIGHT + r"\s*\{\s*([-+]?\d[\d.,/]*)\s*\}"), r" \1"),
    (re.compile("^" + _UPRIGHT + r"\s*\{\s*((?:\\?\$)?[-+]?\d[^{}\\]*)\}$"), r"\1"),  # \text{5 cm}
    (re.compile(r"\\(?:le|leq|leqslant)(?![a-zA-Z])"), r"\\le"),
    (re.compile(r"\\(?:ge|geq|geqslant)(?![a-zA-Z])"), r"\\ge"),
    (re.compile(r"\\(?:ne|neq)(?![a-zA-Z])"), r"\\ne"),
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (re.compile(r"\\(?:[ld]?dots[cbmio]?|cdots)(?![a-zA-Z])"), r"\\ldots"),
    (re.compile(r"\\lbrace(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![a-zA-Z])"), r"\\}"),
    (re.compile(r"\\(?:varnothing|empty)(?![a-zA-Z])"), r"\\emptyset"),
    (re.compile(r"\\(?:mathrm|mathit|mathbf|boldsymbol|bm|vec|hat|text|textbf|textit|rm|mathsf)\s*\{\s*([a-zA-Z])\s*\}"), r" \1"),
    (re.compile(r"\\(?:mathrm|mathit|mathbf|boldsymbol|bm|vec|hat|rm|bf|it)\s+([a-zA-Z])(?![a-zA-Z])"), r" \1"),
    (re.compile(r"\\(?:mid|vert|lvert|rvert)(?![a-zA-Z])"), "|"),
    (re.compile(r"\\(?:mbox|mathrm|mathit|mathbf|mathsf|textbf|textit|textrm|operatorname)\*?(?=\s*\{)"), r"\\text"),
    (re.compile(r"\\text\s*\{\s*(sin|cos|tan|cot|sec|csc|ln|log|exp|arcsin|arccos|arctan)\s*\}"), r"\\\1 "),
    (re.compile(r"(?<![a-zA-Z\\{])(sqrt|pi|sin|cos|tan|cot|sec|csc|ln|log|exp|arcsin|arccos|arctan)(?![a-zA-Z])"), r"\\\1 "),
    (re.compile(r"\\text\s*\{\s*infinity\s*\}|(?<![a-zA-Z\\])(?:infinity|oo)(?![a-zA-Z])"), r"\\infty "),
    (re.compile(r"^\\text\s*\{\s*(\([A-J]\))\s*\}"), r"\1 "),
    (re.compile(r"\\text\s*\{\s*[.,;:]?\s*\}$"), ""),
    (re.compile(r"(?<=\d)\s*(?:\^\s*\{?)?\s*(?:\\text\s*\{\s*)?(?:st|nd|rd|th)(?![a-zA-Z])\s*\}{0,2}$"), ""),
    (re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)"), r" \\times "),
    (re.compile(r"^(?:USD|US\\?\$)\s*(?=[\d.])"), "$"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"(?:\\text\s*\{\s*per\s?cent\s*\}|(?<![a-zA-Z\\])per\s?cent\b)"), "%"),
    (re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degree(?![a-zA-Z])"), "°"),
    (re.compile(r"\\text\s*\{\s*(?:degrees?|°)\s*\}|(?<=\d)\s*degrees?\b"), "°"),
    (re.compile(r"\\pmod"), r"\\bmod"),
]  # fmt: skip
_VECTOR = re.compile(
    r"\\(?:vec|mathbf|boldsymbol|bm|overrightarrow)\b.*\\(?:times|cdot|wedge|otimes).*\\(?:vec|mathbf|boldsymbol|bm|over)"
)
_WRAPS = [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ("{", "}"), ("__", "__")]
_REPEATING = re.compile(
    r"(-?\d*\.\d*?)(?:\\(?:overline|bar)\s*\{?(\d+)\}?|\\dot\{?(\d)\}?(?:(\d*)\\dot\{?(\d)\}?)?|\((\d+)\))$"
)
_DOTS = re.compile(r"(-?\d*\.\d*?)(\d)\2\2+\s*(?:\.\.\.|\\ldots\s*)$")
_THOUSANDS = re.compile(r"(?<![\d,.])([1-9]\d{0,2}(?:,\d{3})+)(?![\d,])", re.ASCII)
_GROUPS = re.compile(r"(?<=\d)(?:\{,\}|,\\!)\s*(?=\d{3}(?!\d))")  # 12{,}000: LaTeX's comma that separates nothing
_DOTTED = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d+)?", re.ASCII)


@lru_cache(maxsize=1 << 15)
def dress(text: str, conventions: Conventions) -> str:
    """The answer in one spelling: plain LaTeX without sizes, fonts, dollars and final punctuation."""
    if not text.isascii():
        text = _from_unicode(text)
    text = _unwrapped(" ".join(text.split()) if "\\ " not in text else text.strip())
    if conventions.thousands == "comma":
        text = _GROUPS.sub("", text)
    if _VECTOR.search(text):
        text = re.sub(r"\\(?:times|cdot|wedge|otimes)(?![a-zA-Z])", lambda match: rf"\vectorial{match.group()} ", text)
    if (
        "\\" in text
        or not text.isascii()
        or any(sign in text for sign in "<>!*~{%&xX")
        or text[:1] in ("_", "^")
        or re.search("[a-zA-Z]{2}", text)
    ):
        for pattern, spelling in _SPELLINGS:
            text = pattern.sub(spelling, text)
        text = _unwrapped(text.strip())
    if conventions.thousands == "dot" and _DOTTED.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    return _repeating(_grouped(text, conventions))


def _from_unicode(text: str) -> str:
    text = "".join(_vulgar(sign) if "¼" <= sign <= "¾" or "⅐" <= sign <= "⅞" else sign for sign in text)
    text = _RAISED.sub(
        lambda match: "^{" + unicodedata.normalize("NFKC", match.group()).replace("\u2212", "-") + "}", text
    )
    text = _LOWERED.sub(lambda match: "_{" + unicodedata.normalize("NFKC", match.group()) + "}", text)
    return text.translate(_TABLE)


def _vulgar(sign: str) -> str:
    above, _, below = unicodedata.normalize("NFKC", sign).partition("\u2044")
    return f"\\frac{{{above}}}{{{below}}}" if below.isdigit() and above.isdigit() else sign


def _unwrapped(text: str) -> str:
    """Without final punctuation and the signs around the whole answer."""
    while True:
        shorter = text.strip()
        if shorter[-1:] in (".", ";", ",", ":") and not shorter.endswith(("...", "\\;", "\\,", "\\:")):
            shorter = shorter[:-1].rstrip()
        for opening, closing in _WRAPS:
            inside = shorter[len(opening) : -len(closing)]
            if (
                len(shorter) > len(opening) + len(closing) - 1
                and shorter.startswith(opening)
                and shorter.endswith(closing)
            ):
                if opening == "{" and not _one_group(shorter):
                    continue
                if opening != "{" and (opening in inside.replace("\\$", "") or inside.endswith("\\")):
                    continue
                shorter = inside.strip()
        if shorter == text:
            return text
        text = shorter


def _one_group(text: str) -> bool:
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return place == len(text) - 1
    return False


def _grouped(text: str, conventions: Conventions) -> str:
    """Commas between groups of three digits taken out, or under "none" left as separators."""
    if "," not in text or conventions.thousands != "comma":
        return text
    alone = len(_THOUSANDS.findall(text)) == 1 and text.count(",") == _THOUSANDS.search(text).group().count(",")
    if (alone and text[:1] not in "([\\{") or (re.search(r",\s", text) and text[:1] not in "(["):
        return _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    return text


def _repeating(text: str) -> str:
    r"""0.1\overline{6}, 0.1\dot{6}, 0.1(6) and 0.333... as fractions."""
    if "." not in text:
        return text
    if match := _REPEATING.fullmatch(text):
        start, period = match[1], match[2] or match[6] or (match[3] + (match[4] or "") + (match[5] or ""))
    elif match := _DOTS.fullmatch(text):
        start, period = match[1], match[2]
    else:
        return text
    places = len(start.partition(".")[2])
    value = Fraction(start.lstrip("-") + "0") + Fraction(int(period), 10**places * (10 ** len(period) - 1))
    return ("-" if start.startswith("-") else "") + f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


@dataclass(frozen=True)
class Quantity:
    """A value with what stands beside it: its percent sign, scale (million), unit and whether that is a known measure."""

    value: str
    percent: bool = False
    scale: str = ""
    unit: str = ""
    measure: bool = False


_MEASURES = {
    name: names.split()[0]
    for names in (
        "m meter meters metre metres", "cm centimeter centimeters centimetre centimetres", "mm millimeter millimeters",
        "km kilometer kilometers kilometre kilometres", "in inch inches", "ft foot feet", "yd yard yards",
        "mi mile miles", "mph", "g gram grams", "kg kilogram kilograms", "mg milligram milligrams", "lb lbs pound pounds",
        "oz ounce ounces", "ton tons", "L l liter liters litre litres", "mL ml milliliter milliliters",
        "s sec secs second seconds", "min mins minute minutes", "h hr hrs hour hours", "day days", "week weeks",
        "month months", "year years yr yrs", "$ dollar dollars usd USD", "cent cents ¢ \\cent", "€ euro euros EUR eur", "£ GBP",
        "° deg", "rad radian radians", "K kelvin", "Hz hertz", "kHz", "MHz", "J joule joules", "kJ", "N newton newtons",
        "W watt watts", "kW", "V volt volts", "A amp amps", "Pa pascal pascals", "kPa", "mol moles mole", "M", "eV", "am",
        "pm", "a.m", "p.m", "ms", "ns", "nm", "km/h kmph", "m/s", "cm/s", "ft/s", "m/s^2", "gallon gallons",
    )
    for name in names.split()
}  # fmt: skip
_MEASURES |= {"a.m": "am", "p.m": "pm", "AM": "am", "PM": "pm"}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_MONEY = re.compile(r"^([-+]?)\s*(\\?\$|[€£])\s*(?=[-\d.])")
_UNIT_TEXT = r"[a-zA-Z$€£°¢][a-zA-Z°./ -]*(?:(?:\^\{?-?\d\}?|²|³)[a-zA-Z/ ]*(?:\^\{?-?\d\}?)?)?"
_TEXT_UNIT = re.compile(
    r"(?<=[\d})!a-zA-Z\]])\s*\\text\s*\{\s*\(?\s*(" + _UNIT_TEXT + r")\s*\)?\s*\}\s*(\^\s*\{?\s*\d\s*\}?)?$"
)
_WORD_UNIT = re.compile(r"(?<=[\d}!)])(?:\s+\(?|\()(" + _UNIT_TEXT + r")\)?$")
_SHORT_UNIT = re.compile(r"(?<=\d)(cm|mm|km|kg|mg|mL|ml|ft|mph|kHz|Hz|am|pm|AM|PM|km/h|m/s|kJ|kW)(\^\{?\d\}?)?$")
FUNCTION = re.compile(r"\\(?:(?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|ln|log|exp)(?![a-zA-Z])")
_BRACKETED = re.compile(r"(?<=[\d}%])\s+\(([a-zA-Z][a-zA-Z ]*)\)$")


@lru_cache(maxsize=1 << 15)
def quantity(text: str) -> Quantity:
    """A dressed answer split into value, percent, scale and unit; a letter that may be a variable is no unit."""
    if text.isdigit():
        return Quantity(text)
    unit, measure = "", False
    if match := _MONEY.match(text):
        text, unit, measure = match[1] + text[match.end() :], _MEASURES.get(match[2].lstrip("\\"), match[2]), True
    bare, found, power = _without_unit(text)
    if found and found not in _SCALES:
        text, unit, measure = bare, *_named_unit(found, power)
        bare, found, _ = _without_unit(text)
    scale = found if found in _SCALES else ""
    text = bare if scale else text
    percent = text.endswith("%")
    return Quantity(text[:-1].rstrip() if percent else text, percent, scale, unit, measure)


def _without_unit(text: str) -> tuple[str, str, str]:
    """(text before the unit, the unit, its power); the unit is "" where none is surely one."""
    if text.endswith("°"):
        return (text, "", "") if FUNCTION.search(text) else (text[:-1].rstrip(), "°", "")
    for pattern in (_TEXT_UNIT, _BRACKETED, _SHORT_UNIT):
        if match := pattern.search(text):
            power = match[2] if match.re.groups > 1 and match[2] else ""
            return text[: match.start()].rstrip(), " ".join(match[1].split()).rstrip("."), power
    match = _WORD_UNIT.search(text)
    if match and _is_unit(match[1], text[: match.start()]):
        return text[: match.start()].rstrip(), " ".join(match[1].split()).rstrip("."), ""
    return text, "", ""


def _is_unit(words: str, before: str) -> bool:
    """True for words of two letters or more, and for m, g, s, h behind a number; `8 x^{3}` and `\\pi r^2 h` have none."""
    first = re.match(r"[a-zA-Z]*", words).group()
    number = re.search(r"(?<![a-zA-Z\\])[a-zA-Z]|\\pi", before) is None
    short = (first in ("m", "g", "s", "h") and number) or not first
    short = short or re.fullmatch(r"[ap]\.m\.?", words) is not None
    return (short or len(first) > 1) and re.search(r"\b(?:mod|is|the|or|and)\b", words) is None


def _named_unit(found: str, power: str) -> tuple[str, bool]:
    """The unit in one spelling, and whether it is a measure that cannot stand for another."""
    digits = re.sub(r"\D", "", power)
    stem, raised = found, digits
    if match := re.fullmatch(r"(.+?)\s*\^\s*\{?\s*(\d)\s*\}?", found):
        stem, raised = match[1], match[2]
    words = stem.split()
    if words and words[0].lower() in ("square", "sq", "cubic", "cu"):
        raised, words = ("2" if words[0].lower().startswith("sq") else "3"), words[1:]
    elif len(words) > 1 and words[-1] in ("squared", "cubed"):
        raised, words = ("2" if words[-1] == "squared" else "3"), words[:-1]
    stem = " ".join(words)
    name = _MEASURES.get(stem) or _MEASURES.get(stem.lower())
    if name:
        return name + raised, True
    return stem.lower().removesuffix("s") + raised, bool(raised) and raised != "1"


def scale_factor(scale: str) -> int:
    """What a scale word multiplies by; 1 for none."""
    return _SCALES.get(scale, 1)


@lru_cache(maxsize=1 << 15)
def spelling(text: str) -> str:
    """The text without what never matters: spaces (not between digits or words), braces around one sign."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?<![\dA-Za-z]) | (?![\dA-Za-z])|(?<=\d) (?=[A-Za-z])|(?<=[A-Za-z]) (?=\d)", "", text)
    text = re.sub(r"(\\[a-zA-Z]+) (?=[a-zA-Z])", r"\1@", text).replace("@", " ")
    return re.sub(r"([_^])\{(\w)\}", r"\1\2", text)
