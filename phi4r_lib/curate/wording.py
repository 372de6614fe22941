"""What a text says, whatever its words: its kind, and features in which rephrasings of prose and translations of code meet.

Prose becomes stems of content words, code the words inside its identifiers and comments, its numbers, neighbouring words and
the shape of its examples, whose strings and numbers rewordings change (`f([3, 1], "a")` and `g([8, 2], "no")` have the same, and
the greater number comes first in both); words of equal meaning count as one (SYNONYMS, ours). How much a shared feature proves depends on how common it is (common_words.py).
Not here: which amount is enough (evidence.py), word problems, which meet in their numbers (fingerprints.py), and texts in
other scripts than the Latin one.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Literal

import snowballstemmer
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from phi4r_lib.curate.common_words import SHARES
from phi4r_lib.curate.fingerprints import LONGEST_CACHED, NUMBER_WORDS

Kind = Literal["word problem", "prose", "code", "other"]
WINDOWS: dict[Kind, int] = {"prose": 80, "code": 600}  # features that are compared at once; windows overlap by half
CODE_LINE = re.compile(
    r"^\s*(?:def |class |import |from \w[\w.]* import|#include|using |package |function\b|return\b|public |private |static "
    r"|fn |func |let |const |var |for ?\(|while ?\(|if ?\(|elif |else:|@\w+|>>> |[\w.\[\]]+(?:: *\w+)? *[-+*/]?= *[^=\s])|[{};]\s*$",
    re.MULTILINE,
)
CODE_HEAD = re.compile(  # one such line is enough
    r"^\s*(?:(?:async )?def \w+\s*\(|#include\b|(?:export )?(?:async )?function\b[^.?]*\(|fn \w+|func \w+\s*\(|(?:public|private|static) .*\("
    r"|class \w+[^.?]*[:{]\s*$|(?:int|void|double|float|bool|char|string|std::\w+)[\w<>*& ]* \w+\s*\(.*\)\s*\{)",
    re.MULTILINE,
)
CODE_SHARE, CODE_LINES = 0.3, 2  # of the lines that are not blank
TELLING = re.compile(r"\d(?<![\w.]\d)[\d,]*(?:\.\d+)?(?!\w)")  # a digit comes first: fast
YEAR = re.compile(r"1[0-9]{3}|20[0-9]{2}")
NUMBER_EVERY = 25
SHORT = 8  # words: "Evaluate 7 factorial."
HOW_MANY = re.compile(
    r"\bhow (?:many|much|old|long|far|fast|tall|often)\b"
    r"|\bwhat (?:is|was|will be) the (?:total|number|cost|price|average|difference|sum|value|area|perimeter)\b",
    re.IGNORECASE,
)
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
WORD = re.compile(r"[^\W\d_]+|\d+")
LETTERS = re.compile(r"[A-Za-z]+")
PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")  # snake_case and camelCase words
QUOTES = "'\""
LITERAL = re.compile(  # what it may start with comes first: three times faster
    r"""((?=["'\-\dTtFfNn])(?:"[^"\n]*"|(?<!\w)(?:'[^'\n]*'|(?<!\.)-?\d+(?:\.\d+)?(?![\w.])|(?:[Tt]rue|[Ff]alse|[Nn]one|null)\b)))"""
)
SYNTAX_WORDS = """
and arr auto bool break case char class const continue def do double elif else false float fn for foreach from func
function i32 i64 if import in include int is java len let list long lst main math mut namespace new none not null
package param params print printf println private public range res result ret return returns self size sizeof static std
stdio stdlib str string struct switch this true type undefined use usize util using val var vec vector void while
"""
QUESTIONING_WORDS = """
above according answer author best choose conclusion conclusions context correct describe described does excerpt
excerpts false following inferred most option options passage passages question reflected source statement statements
support supported supports term text true understood used
"""
SYNONYMS = """
array sequence collection series; number integer numeric numeral; character letter symbol; check verify determine validate
test confirm ascertain examine; sum total add addition plus; product multiply; maximum max largest biggest greatest highest
maximal; minimum min smallest least lowest minimal; element item entry member; count tally frequency occurrence occur
instances; remove delete eliminate drop discard exclude omit; replace substitute swap exchange; sort order arrange; reverse
invert backward flip; contain include hold comprise consist possess; begin start initial launch; end finish terminate
conclude; position index location place; give provide specify supply; threshold limit bound; close near nearby proximity;
distance difference gap; bracket parenthesis paren brace; group cluster; separate split divide partition segment; unique
distinct; duplicate repeat repetition; factor divisor; convert transform change turn alter; uppercase upper; lowercase
lower; space blank whitespace; equal same identical match equivalent; calculate compute find get obtain evaluate;
dictionary dict map; shift move rotate; encode encrypt cipher; decode decrypt; nearest closest; below under fewer; above
over exceed; empty nothing; valid proper; odd uneven; negative minus; pair couple; outcome output; create make build
construct generate form produce formation; argue claim contend assert state suggest propose say maintain declare; explain
depict portray characterize define; society community; cause reason lead; increase rise grow growth expand escalate;
decrease decline fall reduce reduction diminish; main primary chief major principal central; example illustrate exemplify;
believe think consider view regard; show demonstrate indicate reveal display; important significant crucial essential;
method approach way means manner technique; feature characteristic trait attribute property quality aspect; kind sort
category; concept notion idea; traditional conventional; modern contemporary current; emerge arise appear surface evolve;
effect impact influence consequence; help aid assist; job work labor labour employment occupation; poor impoverished;
rich wealthy affluent; person people individual human; child kid youngster; country nation; government authority; law
legislation statute; war conflict; worker employee laborer; acquire gain take; oppose resist opposition; endorse favor advocate; cost price expense; amount quantity; big large huge; little tiny
small; quick fast rapid; novel recent; old ancient former previous; area region zone; stop cease halt; hard difficult
challenging; easy simple; utilize employ apply; need require necessary; allow permit enable
"""
LIMIT = 200_000  # spellings remembered
_stem = snowballstemmer.stemmer("english").stemWord


SYNTAX, QUESTIONING = frozenset(SYNTAX_WORDS.split()), frozenset(QUESTIONING_WORDS.split())


def _synonyms() -> dict[str, str]:
    groups = [[_stem(word) for word in group.split()] for group in SYNONYMS.split(";")]
    return {word: group[0] for group in reversed(groups) for word in group}


MEANING = _synonyms()


class _Remembered(dict[str, Any]):
    """What `read` makes of a spelling, remembered; forgets all when it holds LIMIT of them."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, spelling: str) -> Any:
        if len(self) >= LIMIT:
            self.clear()
        found = self._read(spelling)
        if len(spelling) <= LONGEST_CACHED:
            self[spelling] = found
        return found


def _meaning(word: str) -> str:
    stem = _stem(word)
    return MEANING.get(stem, stem)


def _content_words(chunk: str) -> tuple[str, ...]:
    words = (word.lower() for word in WORD.findall(chunk))
    return tuple(meaning(w) for w in words if w not in ENGLISH_STOP_WORDS and w not in QUESTIONING and len(w) > 1)


def _name_words(letters: str) -> tuple[str, ...]:
    words = (word.lower() for word in PART.findall(letters))
    return tuple(meaning(w) for w in words if w not in ENGLISH_STOP_WORDS and w not in SYNTAX and len(w) > 1)


_meanings = _Remembered(_meaning)
_chunks = _Remembered(_content_words)  # of what stands between two blanks
_identifiers = _Remembered(_name_words)  # of letters in a row
_spelled = _Remembered(lambda word: word.strip(".,;:?!").lower() in NUMBER_WORDS)


def meaning(word: str) -> str:
    """The stem of a lower-case word, or that of the first of its synonyms."""
    return _meanings[word]


def kind_of(text: str) -> Kind:
    """Whether a text is code, a word problem (two numbers or more), prose, or none that has a rule of its own.

    Other: texts of less than half Latin letters, or with fewer than two content words.
    """
    if is_code(text):
        return "code"
    if _has_numbers(text):
        return "word problem"
    if not text.isascii() and 2 * len(LATIN.findall(text)) < sum(char.isalpha() for char in text):
        return "other"
    return "prose" if len(prose(text)) > 1 else "other"


def _has_numbers(text: str) -> bool:
    """Two numbers or more, at least one in NUMBER_EVERY words, or one in a short text or a question for a number. Years do not count."""
    words = text.split()
    enough = max(2, len(words) / NUMBER_EVERY)
    found = sum(YEAR.fullmatch(number) is None for number in TELLING.findall(text))
    if found < enough:
        found += sum(map(_spelled.__getitem__, words))
    return found >= enough or (found > 0 and (len(words) < SHORT or HOW_MANY.search(text) is not None))


def is_code(text: str) -> bool:
    """Whether a text holds a fenced program, a line that only programs have, or many that look like one."""
    if "```" in text:
        return True
    if "\n" not in text and not text.rstrip().endswith(
        ("{", "}", ";")
    ):  # one line, of which one pattern must match the end
        return CODE_HEAD.match(text) is not None
    if CODE_HEAD.search(text):
        return True
    lines = sum(1 for line in text.splitlines() if line.strip())
    found = len({match.start() for match in CODE_LINE.finditer(text)})
    return found >= CODE_LINES and found >= CODE_SHARE * lines


def prose(text: str) -> list[str]:
    """Content words of prose, as meanings, in order."""
    return list(itertools.chain.from_iterable(map(_chunks.__getitem__, text.split())))


def code(text: str) -> list[str]:
    """Words of identifiers and comments, as meanings, pairs of neighbours among them, and the numbers above two.

    Then words in quotes, with a quote before them (`"apple`), runs of literals (`#000:2` is the second of three numbers), and
    literals that follow each other in examples (`~`, see _neighbours).
    """
    parts = LITERAL.split(text.replace('"""', "").replace("'''", ""))
    literals = parts[1::2]
    plain = _names(" ".join(parts[::2]))
    pairs = [f"{one} {other}" for one, other in itertools.pairwise(plain)]
    numbers = [f"={number:g}" for each in literals if each[-1].isdigit() and (number := abs(float(each))) > 2]
    quoted = [f'"{word}' for word in _names(" ".join(each for each in literals if each[0] in QUOTES))]
    apart = [gap not in (",", ", ") for gap in parts[2::2]]
    return _in_order(plain, pairs, numbers, quoted, _runs(literals, apart), _neighbours(literals, apart))


def _in_order(*groups: list[str]) -> list[str]:
    """All groups as one list; that of a long text about in its order, so that a window holds words with their pairs."""
    if sum(map(len, groups)) <= WINDOWS["code"]:
        return list(itertools.chain(*groups))
    placed = [(place / len(group), feature) for group in groups for place, feature in enumerate(group)]
    return [feature for _, feature in sorted(placed, key=itemgetter(0))]


def _names(text: str) -> list[str]:
    return list(itertools.chain.from_iterable(map(_identifiers.__getitem__, LETTERS.findall(text))))


def _literal_kind(literal: str) -> str:
    """0 a number, " a string, t true, f false, n none."""
    return "0" if literal[-1].isdigit() else '"' if literal[0] in QUOTES else literal[0].lower()


def _runs(literals: list[str], apart: list[bool]) -> list[str]:
    """Neighbouring literals, such as the lists of an example, by their kinds."""
    kinds = "".join(_literal_kind(each) + " " * gap for each, gap in zip(literals, apart, strict=True))
    return [f"#{run}:{place}" for run, count in Counter(kinds.split()).items() for place in range(1, count + 1)]


def _neighbours(literals: list[str], apart: list[bool]) -> list[str]:
    """Every NEIGHBOURS literals in a row that are not one list: their kinds, where lists end, and the order of their values.

    `f([4, 9, 4], 6) == 9` and `g([20, 31, 20], 25) == 31` give the same, `~0,0,0|0|002012`: the first and third are the least of
    three numbers, the last is the greatest. Strings have the order in which the text brings them. Rewordings keep all that where
    they take other values for an example.
    """
    kinds = "".join(_literal_kind(each) + ",|"[gap] for each, gap in zip(literals, apart, strict=True))
    place = {each: 1e300 * number for number, each in enumerate(dict.fromkeys(literals), 1) if each[0] in QUOTES}
    values = [float(each) if each[-1].isdigit() else place.get(each, math.inf) for each in literals]
    found = []
    for start in range(len(literals) - NEIGHBOURS + 1):
        if "|" in (shape := kinds[2 * start : 2 * (start + NEIGHBOURS) - 1]):
            part = values[start : start + NEIGHBOURS]
            order = sorted(set(part))
            found.append(f"~{shape}" + "".join(["01234"[order.index(value)] for value in part]))
    return found


def weight(feature: str, kind: Kind, items: int = 0, seen: int = 0) -> float:
    """What sharing a feature proves, in nats: minus the log of the share of texts that have it.

    That share is the common one (common_words.py), corrected by the benchmark: `seen` of its `items` have the feature. A pair
    of words counts half of its rarer word on top of both; numbers up to SMALL count half. Words of prose count a nat less,
    since those of one subject go together. A run of literals counts RUN_WEIGHT, and less the more of its kind stand before it;
    neighbouring literals count NEIGHBOUR_WEIGHT, since most of them belong to the next such feature too.
    """
    if " " in feature:
        one, _, other = feature.partition(" ")
        return max(weight(one, kind), weight(other, kind)) / 2
    if feature[0] == "#":
        kinds, _, place = feature.partition(":")
        share = RUN_SHARE / (len(kinds) - 1) ** 2
        return -RUN_WEIGHT / int(place) * math.log((seen + PRIOR * share) / (items + PRIOR))
    if feature[0] == "~":
        return -NEIGHBOUR_WEIGHT * math.log((seen + PRIOR * NEIGHBOUR_SHARE) / (items + PRIOR))
    shares, rare = SHARES[kind]
    proof = -math.log((seen + PRIOR * shares.get(feature.removeprefix('"'), rare)) / (items + PRIOR))
    if feature[0] == "=":
        return proof * (0.5 if float(feature[1:]) <= SMALL else 1)
    return max(0.1, proof - CHANCE) if kind == "prose" else proof


def against(feature: str) -> float:
    """Share of its weight that a feature counts against a pair where one side lacks it: examples of a rewording are others."""
    return 0.0 if feature[0] in '"#~' else 0.5 if feature[0] == "=" else 1.0


@functools.lru_cache(LIMIT)
def unmet(feature: str, kind: Kind, items: int) -> float:
    """What a feature that none of the items has counts against a pair, in nats."""
    return weight(feature, kind, items) * share if (share := against(feature)) else 0.0


RUN_SHARE, RUN_WEIGHT = 0.07, 0.2  # share of functions with a given run of one literal; of n literals 1/n^2 of that
NEIGHBOURS, NEIGHBOUR_SHARE, NEIGHBOUR_WEIGHT = 5, 0.001, 0.3  # literals; share of functions with given ones
PRIOR = 500  # texts that the common shares count for
SMALL = 20
CHANCE = 1.0  # nats
