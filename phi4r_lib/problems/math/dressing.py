"""Takes off what never matters in an answer: dollars, sizes, fonts, unicode forms."""

from __future__ import annotations

import re
import unicodedata
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
    "⟩": "\\rangle ", "∫": "\\int ", "∑": "\\sum ", "→": "\\to ", "″": "''", "ϕ": "\\phi ", "ϵ": "\\epsilon ",
    "µ": "\\mu ", "⌊": "\\lfloor ", "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil ", "∶": ":", "ı": "i", "𝑖": "i",
}  # fmt: skip
_GREEK = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "omicron", "pi", "rho", "sigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
]  # fmt: skip
_SIGNS |= {chr(0x3B1 + place): f"\\{name} " for place, name in enumerate(_GREEK)}
_SIGNS |= {chr(0x391 + place): f"\\{name.title()} " for place, name in enumerate(_GREEK) if name.title() in (
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega")}  # fmt: skip
_SIGNS |= {  # ㎝ and ㎡, one sign for a unit
    chr(code): " " + re.sub(r"([23])$", r"^\1", unicodedata.normalize("NFKC", chr(code)))
    for code in range(0x3380, 0x33E0)
}
_SIGNS |= {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SIGNS |= {chr(0x1D7CE + place): str(place % 10) for place in range(50)}  # digits of the mathematical alphabets
_TABLE = str.maketrans({sign: text for sign, text in _SIGNS.items() if len(sign) == 1})
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉ₙ]+")
_UPRIGHT = r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it|sf)|mbox)"
_SPELLINGS = [
    (re.compile(r"√\s*(\d+(?:\.\d+)?|[a-zA-Z])"), r"\\sqrt{\1}"),
    (re.compile(r"∛\s*(\d+|[a-zA-Z])"), r"\\sqrt[3]{\1}"),
    (re.compile(r"∜\s*(\d+|[a-zA-Z])"), r"\\sqrt[4]{\1}"),
    (re.compile("√"), r"\\sqrt "),
    (re.compile("∛"), r"\\sqrt[3]"),
    (re.compile(r"\{,\}|,\\!\s*"), ","),
    (re.compile(r"(?<=\d)(?:\\[,!;: ]|~)\s*(?=\d{3}(?!\d))"), ","),  # 12\,000
    (re.compile(r"\\(?:left|right|[bB]igg?[lrm]?|[lL]arge|LARGE|[hH]uge|small|displaystyle|textstyle|limits|nolimits|!)(?![a-zA-Z])\s?"), ""),
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
    (re.compile(r"(?<=[\d}])[\s~]*\\(?:mathrm|text|rm)\s*\{[\s~]*([mgshLNJWVKA])\s*\}$"), r" \\text{ \1 }"),  # 5 \mathrm{V}
    (re.compile(r"\\(?:mathrm|mathit|mathbf|boldsymbol|bm|vec|hat|textbf|textit|rm|mathsf|text(?!\{ [mgshLNJWVKA] \}))\s*\{\s*([a-zA-Z])\s*\}"), r" \1"),
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
    (re.compile(r"\\mathbb\s+([A-Z])"), r"\\mathbb{\1}"),
    (re.compile(r"\\text\s*\{\s*\\?%\s*\}|\\%"), "%"),
    (re.compile(r"(?<=\d)\s*\{\s*(\\frac\s*\{\d+\}\s*\{\d+\})\s*\}"), r"\1"),  # 7{\frac{3}{5}}
    (re.compile(r"\\colon(?![a-zA-Z])|\\mathbin\s*\{:\}"), ":"),
    (re.compile(r"\+\s*/\s*-"), r"\\pm "),
    (re.compile(r"^<([^<>=]*,[^<>=]*)>$"), r"\\langle \1 \\rangle"),
    (re.compile(r"(?:\\text\s*\{\s*per\s?cent\s*\}|(?<![a-zA-Z\\])per\s?cent\b)"), "%"),
    (re.compile(r"\\text\s*\{\s*per\s?mil(?:le)?\s*\}|(?<![a-zA-Z\\])per\s?mil(?:le)?\b|\\(?:textperthousand|permil|perthousand)(?![a-zA-Z])"), "‰"),
    (re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degree(?![a-zA-Z])"), "°"),
    (re.compile(r"\\text\s*\{\s*(?:degrees?|°)\s*\}|(?<=\d)\s*degrees?\b"), "°"),
]  # fmt: skip
_RARE = re.compile(r"base|mod|\\lg|prime|color|\\tag|P_|slash|==|[_(]\s*[{(]|\)\s*_|\"|\^\W*o|\^\\text|:\d\d\D")
_RARE_SPELLINGS = [  # these only where something in the text hints at one
    (re.compile(r"^(\{?)\\(?:text)?color\s*\{(?:red|blue|green|black|orange|purple|magenta|cyan|teal|brown)\}\s*"), r"\1"),
    (re.compile(r"\\tag\*?\{[^{}]*\}$"), ""),
    (re.compile(r"(?:(?:\{\})?[_^])\{?(\d+)\}?\s*P_\{?(\d+)\}?"), r"P(\1,\2)"),
    (re.compile(r"=="), "="),
    (re.compile(r"\\lg(?![a-zA-Z])"), r"\\log_{10}"),
    (re.compile(r"\\backslash(?![a-zA-Z])"), r"\\setminus"),
    (re.compile(r"^\((-?[\da-fA-F]+)\)\s*(?=_)"), r"\1"),  # (101)_2
    (re.compile(r"(?<=[\dA-F])_\s*\{\s*\((\d+)\)\s*\}"), r"_{\1}"),
    (re.compile(r"(?<=[\dA-F])_\s*\{\s*\\text\s*\{\s*base\s*\}\s*(\d+)\s*\}"), r"_{\1}"),
    (re.compile(r"(?<=[\da-fA-F])\s*(?:\\text\s*\{)?[\s(]*base\s*\}?\s*(\d+)[\s)]*\}?$"), r"_{\1}"),
    (re.compile(r"(?:\\text\s*\{)?\s*\(\s*(?:\\text\s*\{\s*mod\s*\}|\\?mod(?![a-zA-Z]))\s*(\w+)\s*\)\s*\}?"), r" \\bmod \1"),
    (re.compile(r"\\pmod\s*|\\mod(?![a-zA-Z])\s*|\\text\s*\{\s*mod\s*\}|(?<![a-zA-Z\\])mod(?![a-zA-Z])\s*"), r"\\bmod "),
    (re.compile(r"\\bmod\s*\{\s*(\w+)\s*\}"), r"\\bmod \1"),
    (re.compile(r"(?<=\d)\s*\^\s*(?:\{\s*(?:\\text\s*\{\s*)?o\s*\}{1,2}|\\text\s*\{\s*o\s*\}|o(?![a-zA-Z]))"), "°"),
    (re.compile(r"\^\s*(?:\{((?:\s*\\prime)+)\s*\}|(\\prime)(?![a-zA-Z]))"), lambda match: "'" * match.group().count("prime")),
    (re.compile(r"(?<=[\d'])\s*\""), "''"),
    (re.compile(r"(?<=:\d\d)\s*(?:\\text\s*\{)?\s*([aApP])\.?[mM]\b\.?\s*\}?$"), lambda match: f" {match[1].lower()}m"),
]  # fmt: skip
_VECTOR = re.compile(
    r"\\(?:vec|mathbf|boldsymbol|bm|overrightarrow)\b.*\\(?:times|cdot|wedge|otimes).*\\(?:vec|mathbf|boldsymbol|bm|over)"
)
_WRAPS = [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ("{", "}"), ("__", "__")]
_WRAPS += [("\\underline{", "}"), ("\\emph{", "}")]
_REPEATING = re.compile(
    r"(-?\d*\.\d*?)(?:\\(?:overline|bar)\s*\{?(\d+)\}?|\\dot\{?(\d)\}?(?:(\d*)\\dot\{?(\d)\}?)?|\((\d+)\))$"
)
_DOTS = re.compile(r"(-?\d*\.\d{0,12}?)(\d{1,6}?)\2\2+\s*(?:\.\.\.|\\ldots\s*)$")
_THOUSANDS = re.compile(r"(?<![\d,.])([1-9]\d{0,2}(?:,\d{3})+)(?![\d,])", re.ASCII)
_SPACED = re.compile(  # 12 000, 12'000, x = 12 000 km
    r"(?:^|(?<=[=$])) ?[-+]?[1-9]\d{0,2}(?:(?: \d{3})+|(?:'\d{3})+)(?:\.\d+)?(?= ?(?:$|[a-zA-Z\\%°€]))", re.ASCII
)
_GROUPS = re.compile(r"(?<=\d)(?:\{,\}|,\\!)\s*(?=\d{3}(?!\d))")  # 12{,}000: LaTeX's comma that separates nothing
# One number with its name, sign or unit: x = 1.080,5 cm^2 but no list, tuple or formula of several numbers.
_DOTTED = re.compile(
    r"([^\d.,;()\[\]]*)((?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d+)?)((?:[^\d.,;()\[\]]|(?<=\^)\d|(?<=\^\{)\d)*)", re.ASCII
)


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
        or any(sign in text for sign in '<>!*~{%&xX_"')
        or "==" in text
        or "+/" in text
        or text[:1] in ("_", "^")
        or re.search("[a-zA-Z]{2}", text)
    ):
        for pattern, spelling in _SPELLINGS:
            text = pattern.sub(spelling, text)
        for pattern, spelling in _RARE_SPELLINGS if _RARE.search(text) else ():
            text = pattern.sub(spelling, text)
        text = _unwrapped(text.strip())
    if conventions.thousands == "dot" and "\\{" not in text and (one := _DOTTED.fullmatch(text)):
        text = one[1] + one[2].replace(".", "").replace(",", ".") + one[3]
    return _repeating(_grouped(text, conventions))


def _from_unicode(text: str) -> str:
    text = text.strip("\u200e\u200f")  # marks of direction: inside of a number they stay, and it is none
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
                if opening[-1] == "{" and not _one_group(shorter[len(opening) - 1 :]):
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
    if conventions.thousands == "comma" and (" " in text or "'" in text) and _SPACED.search(text):
        text = _SPACED.sub(lambda match: re.sub("[ ']", "", match.group()), text)
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
    elif (match := _DOTS.fullmatch(text)) and match[2].strip("0"):  # 0.101001000... does not go on with zeros
        start, period = match[1], match[2]
    else:
        return text
    places = len(start.partition(".")[2])
    value = Fraction(start.lstrip("-") + "0") + Fraction(int(period), 10**places * (10 ** len(period) - 1))
    return ("-" if start.startswith("-") else "") + f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


@lru_cache(maxsize=1 << 15)
def spelling(text: str) -> str:
    """The text without what never matters: spaces (not between digits or words), braces around one sign."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?<![\dA-Za-z]) | (?![\dA-Za-z])|(?<=\d) (?=[A-Za-z])|(?<=[A-Za-z]) (?=\d)", "", text)
    text = re.sub(r"(\\[a-zA-Z]+) (?=[a-zA-Z])", r"\1@", text).replace("@", " ")
    return re.sub(r"([_^])\{(\w)\}(?! ?\d)", r"\1\2", text)
