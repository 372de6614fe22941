"""Is a reply a problem, does it still say what its parent says, do the steps of a solution add up? Checks on texts alone.

Cheap, and without any model: a vote cannot notice a lost person, because every solver reads the same wrong text. All are
ours, and strict on purpose: a good candidate that is lost costs a sample, a bad one that stays teaches something false.
Words are compared as they stand, so they suit texts in which things keep their names. Not here: votes (rewrite.py).
"""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from fractions import Fraction

from phi4r_lib.curate.fingerprints import tokens as word_tokens

# Small words, which carry neither a person nor a thing. Numbers in words are counted as numbers.
SMALL = frozenset(
    re.findall(
        r"\w+",
        "a all also an and are as at be by did do does each explain find for from given had has have he her his how i if in "
        "is it its let many more most much no not now of on one or prove she show so than that the their them then there "
        "they this to was we were what when which who why will with you",
    )
)
IN_WORDS = {
    "half": "1/2",
    "twice": "2",
    "double": "2",
    "doubles": "2",
    "two": "2",
    "triple": "3",
    "triples": "3",
    "three": "3",
}
IN_WORDS |= {"thrice": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}
GUIDELINE_WORDS = 4  # a run of so many words of the guidelines counts as a leak
PRINTS = "What does it print?"
_FENCE = re.compile(r"```(?:[a-z]*)\n(.*?)```", re.DOTALL)
_LEAD = re.compile(r"^\s*(?:(?:new )?(?:problem|question)|rewritten \w+)\s*:\s*", re.IGNORECASE)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"(?:[^.?!]|(?<=\d)\.(?=\d))+")
_BOTH_SIDES = re.compile(r"\b(the \w+ \w+|\w+) (?:.*\W)?(?:to|from|than|and) \1\b")
_EQUATION = re.compile(
    r"(?<![\w.=<>])(-?\d[\d.]*(?: ?[-+*/] ?\d[\d.]*)*) ?([=<>]) ?(-?\d+(?:\.\d+)?)(?![\w%/*^]| ?[-+*/=] ?\d)"
)
PART_OF_MORE = tuple("=+-*/^(")  # signs before a number that make it a part of something longer
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def parse_question(text: str) -> str:
    """The question in a model's reply: thinking, code fences and a leading "Problem:" taken off.

    Raises ValueError with the reason where no question stands there: nothing, no question mark near the end, no number
    to reckon with, or a reply that already holds a boxed answer.
    """
    text = _unwrapped(text)
    text = " ".join(_LEAD.sub("", text).split())
    if "\\boxed" in text:
        raise ValueError("gives an answer instead of a question")
    if not text.rstrip("\"'*_ )").endswith("?"):
        raise ValueError("does not end with a question")
    if not re.search(r"\d", text):
        raise ValueError("names no number")
    return text


def parse_program(text: str) -> str:
    """The program in a model's reply, with its question. Raises ValueError where it does not compile or prints nothing."""
    source = _unwrapped(text).rstrip()
    try:
        compile(source, "program.py", "exec")
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"is no Python program ({type(error).__name__})") from None
    if "print" not in source:
        raise ValueError("prints nothing")
    return f"{source}\n{PRINTS}"


def _unwrapped(text: str) -> str:
    visible = text.rpartition("</think>")[2]
    if "<think>" in visible or not visible.strip():
        raise ValueError("holds no reply")
    fenced = _FENCE.search(visible)
    return (fenced.group(1) if fenced else visible).strip()


def fault(kind: str, parent: str, text: str, strict: bool = True) -> str:
    """Why a candidate of this kind no longer tells its parent's problem; "" where no check objects.

    Rewrites and paraphrases must keep every number; with `strict` also the names, who owns each number, and (paraphrases)
    add no number; variants must keep every word. Puzzles and programs are judged by their answers alone.
    """
    if kind in ("rewrite", "paraphrase"):
        return (
            lost_numbers(parent, text, strict, exact=kind == "paraphrase") or (strict and _people(parent, text)) or ""
        )
    if kind == "numbers" and strict:
        return other_words(parent, text)
    return ""


def _people(parent: str, text: str) -> str:
    return lost_names(parent, text) or same_on_both_sides(parent, text) or moved_numbers(parent, text)


def lost_numbers(parent: str, text: str, in_words: bool = True, exact: bool = False) -> str:
    """Numbers of the parent that are gone (or, with `exact`, new): "half" and "twice" count as numbers too."""
    before, after = _numbers(parent, in_words), _numbers(text, in_words)
    if lost := before - after:
        return f"lost numbers: {', '.join(sorted(lost.elements()))}"
    new = after - before
    return f"new numbers: {', '.join(sorted(new.elements()))}" if exact and in_words and new else ""


def _numbers(text: str, in_words: bool) -> Counter[str]:
    found = Counter(NUMBER.findall(text))
    return found + Counter(IN_WORDS[word] for word in _WORD.findall(text.lower()) if in_words and word in IN_WORDS)


def lost_names(parent: str, text: str) -> str:
    """Names of the parent that are gone: words with a capital inside a sentence, and words that it says twice or more."""
    lost = _names(parent) - set(_words(text))
    return f"lost names: {', '.join(sorted(lost))}" if lost else ""


def same_on_both_sides(parent: str, text: str) -> str:
    """A sentence in which somebody stands on both sides ("Ivy gives 11 to Ivy"), unless the parent says so too."""

    def found(whole: str) -> set[str]:
        names, sentences = _capitals(whole), [sentence.lower() for sentence in _sentences(whole)]
        matches = [match[1] for sentence in sentences for match in _BOTH_SIDES.finditer(sentence)]
        return {match for match in matches if match in names or match.startswith("the ")}

    both = found(text) - found(parent)
    return f"same on both sides: {', '.join(sorted(both))}" if both else ""


def moved_numbers(parent: str, text: str) -> str:
    """A number that now stands beside another name: its sentence names somebody new and lacks somebody of the parent's.

    "Half" and "twice" are looked at too, apart from 2 in digits.
    """
    names, homes = _names(parent), {}
    for sentence in _sentences(parent):
        for number in _amounts(sentence):
            homes.setdefault(number, []).append(set(_words(sentence)) & (names | _capitals(sentence)))
    for sentence in _sentences(text):
        here = set(_words(sentence))
        for number in _amounts(sentence):
            if number in homes and all(here & names - home and home - here for home in homes[number]):
                return f"moved numbers: {number} in '{sentence.strip()[:60]}'"
    return ""


def _amounts(sentence: str) -> list[str]:
    said = [f"times {IN_WORDS[word]}" for word in _words(sentence) if word in IN_WORDS]
    return NUMBER.findall(sentence) + said


def other_words(parent: str, text: str) -> str:
    """A variant in which more changed than the numbers."""
    same = [NUMBER.sub("#", _plain(one)) for one in (parent, text)]
    return "" if same[0] == same[1] else "other words: more than the numbers changed"


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", text.lower()))


def _sentences(text: str) -> list[str]:
    return _SENTENCE.findall(text)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _capitals(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text) if word[0].isupper()} - SMALL


def _names(text: str) -> set[str]:
    often = {word for word, count in Counter(_words(text)).items() if count > 1 and len(word) > 1}
    inside = {word.lower() for one in _sentences(text) for word in _WORD.findall(one)[1:] if word[0].isupper()}
    return (often | inside) - SMALL - set(IN_WORDS)


def reckons(domain: str, verifier: str) -> bool:
    """Whether equations in solutions mean arithmetic: of code they may not, since there 7 // 2 is 3."""
    return verifier == "math" and domain != "code"


def false_steps(solution: str) -> list[str]:
    """Equations and comparisons of plain numbers in a text that do not hold, such as "34 * 2 = 78".

    Only numbers, + - * / and one =, < or > count; a right side with decimals may be rounded. What is written otherwise is
    not looked at, so an empty list does not mean that the solution is right.
    """
    text = re.sub(r"\\times|\\cdot|×|·", "*", solution).replace("\\div", "/").replace("÷", "/").replace("−", "-")
    whole = [match for match in _EQUATION.finditer(text) if text[: match.start()].rstrip()[-1:] not in PART_OF_MORE]
    return [match[0] for match in whole if not _holds(match[1], match[2], match[3])]


def _holds(left: str, sign: str, right: str) -> bool:
    try:
        value, other = _value(ast.parse(left, mode="eval").body), Fraction(right)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return True
    if sign != "=":
        return value > other if sign == ">" else value < other
    slack = Fraction(1, 2 * 10 ** len(right.partition(".")[2])) if "." in right else 0
    return abs(value - other) <= slack


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand)
    return Fraction(str(ast.literal_eval(node)))


def repeated_share(text: str, n: int = 5) -> float:
    """Share of the n-grams of white-space separated, lower-cased words that occurred before; 0 for a text under n words."""
    words = text.lower().split()
    grams = list(zip(*(words[i:] for i in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def leaks(text: str, guidelines: str, size: int = GUIDELINE_WORDS) -> bool:
    """Whether a text speaks of the guidelines: the word itself, or a run of `size` words of them. Ours."""
    if re.search(r"\bguidelines?\b", text, re.IGNORECASE):
        return True
    return bool(_runs(text, size) & _runs(guidelines, size))


def _runs(text: str, size: int) -> set[tuple[str, ...]]:
    words = [word for word in word_tokens(text.lower()) if word.isalpha()]
    return set(zip(*(words[i:] for i in range(size)), strict=False))
