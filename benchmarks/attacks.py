"""Seeded ways to hide a benchmark item in training data, and a report of which ones decontamination finds.

Also the plain word 8-gram rule of earlier recipes, for comparison. Not here: the detector itself (decontaminate.py).
The paraphrase attack rewrites phrases from a small table of ours; it is weaker than a language model's paraphrase.
"""

from __future__ import annotations

import random
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from phi4r_lib.curate.decontaminate import Match
from phi4r_lib.problems.shares import wilson

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
NAMES = ["Amara", "Bodil", "Ciro", "Dagny", "Ebele", "Farid", "Greta", "Hideo", "Ines", "Jovan", "Katya", "Lorcan", "Maren", "Nilo", "Odalys", "Petra", "Quentin", "Rosalba", "Soren", "Tamsin", "Ulla", "Viggo", "Wanda", "Ximena", "Yusuf", "Zelda", "Anselm", "Brisa", "Casimir", "Delphine", "Edda", "Fyodor", "Gudrun", "Henrike", "Ivo", "Jolanta"]  # fmt: skip
CALENDAR = frozenset(
    [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "i",
    ]
)
FILLERS = (
    "Welcome back to the weekly practice sheet.", "Read everything carefully before you start.",
    "The next exercise comes from our autumn collection.", "Show each step and explain your choice of method.",
    "Discuss the result with a partner afterwards.", "The library closes early today, so plan your afternoon.",
    "Some of these tasks were suggested by readers.", "You may sketch a diagram if that helps you to think.",
    "Remember to check your work and write neatly.", "A similar exercise appears at the end of the chapter.",
)  # fmt: skip
# Pattern -> replacements; applied where they match, one chosen at random. Longer phrases first.
PHRASES = (
    (r"how many (\w+) (?:are there|does it take)", ("what is the count of \\1", "find the number of \\1")),
    (r"how many", ("what number of", "what is the count of")),
    (r"how much money", ("what amount of cash", "what sum of money")),
    (r"how much", ("what amount", "what total")),
    (r"how long", ("what length of time", "for what duration")),
    (r"what is", ("determine", "find")),
    (r"in total|altogether|in all", ("overall", "when everything is counted together")),
    (r"at the same rate", ("without changing pace", "keeping an unchanged speed")),
    (r"(?:are|is) left(?: over)?", ("remain", "stay behind")),
    (r"more than", ("in excess of", "above")),
    (r"twice as many", ("double the number of",)),
    (r"half as many", ("only half the number of",)),
    (r"buys|bought", ("purchases", "acquires", "pays for")),
    (r"sells|sold", ("finds buyers for", "hands over for money")),
    (r"gives away|gave away|gives|gave", ("donates", "hands out", "passes on")),
    (r"gets|got|receives|received", ("obtains", "is handed")),
    (r"loses|lost", ("misplaces", "no longer has")),
    (r"eats|ate", ("consumes", "finishes off")),
    (r"uses|used", ("works with", "takes")),
    (r"makes|made", ("produces", "creates")),
    (r"finds|found", ("discovers", "comes across")),
    (r"earns|earned", ("is paid", "takes home")),
    (r"spends|spent", ("pays out", "parts with")),
    (r"costs?", ("is priced at", "sells for")),
    (r"has|had|have", ("owns", "possesses", "holds")),
    (r"wants to", ("plans to", "would like to")),
    (r"starts with|begins with", ("has at first", "sets out with")),
    (r"then", ("after that", "next")),
    (r"each", ("every single", "any one")),
    (r"every", ("each single",)),
    (r"more", ("additional", "further")),
    (r"children|kids", ("youngsters",)),
    (r"friends?", ("companion", "mates")),
    (r"box(?:es)?|bags?", ("containers",)),
    (r"day", ("24-hour period",)),
    (r"compute|calculate|evaluate", ("work out", "figure out")),
)
SMALL_NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


@dataclass(frozen=True)
class Attacked:
    """A disguised copy of a benchmark item, and the answer its training row would carry."""

    text: str
    answer: str | None


def verbatim(text: str, rng: random.Random) -> str:
    """The item itself."""
    return text


def case_and_punctuation(text: str, rng: random.Random) -> str:
    """Another letter case, no punctuation except inside numbers."""
    text = rng.choice((str.lower, str.upper, str.title))(text)
    return re.sub(r"(?<!\d)[.,;:!?\"]|[.,;:!?\"](?!\d)", "", text)


def rewrapped(text: str, rng: random.Random) -> str:
    """Lines broken at another width, indented, with doubled spaces."""
    lines = textwrap.wrap(text, width=rng.randint(18, 50), break_long_words=False, break_on_hyphens=False)
    return "\n".join(" " * rng.randint(0, 4) + line.replace(" ", "  ") for line in lines)


def embedded(text: str, rng: random.Random) -> str:
    """In the middle of other sentences."""
    before, after = rng.sample(FILLERS, 3), rng.sample(FILLERS, 3)
    return " ".join([*before, text, *after])


def sentences(text: str) -> list[str]:
    """Sentences of a text, split after . ! or ? and white space."""
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def reordered(text: str, rng: random.Random) -> str:
    """The same sentences in another order (one sentence: its halves at a comma, if it has one)."""
    parts = sentences(text)
    parts = parts if len(parts) > 1 else re.split(r"(?<=,)\s+", text.strip())
    shuffled = rng.sample(parts, len(parts))
    return " ".join(shuffled if shuffled != parts else parts[::-1])


def truncated(text: str, rng: random.Random) -> str:
    """The first 60% of the words."""
    words = text.split()
    return " ".join(words[: max(1, round(0.6 * len(words)))])


def numbers_swapped(text: str, rng: random.Random) -> str:
    """Every number replaced by another one with as many digits, equal numbers alike."""
    swaps: dict[str, str] = {}

    def other(match: re.Match) -> str:
        old = match.group()
        if old not in swaps:
            digits = [rng.choice("123456789") if char.isdigit() else char for char in old]
            swaps[old] = "".join(digits) if "".join(digits) != old else old[:-1] + str((int(old[-1]) + 1) % 10)
        return swaps[old]

    return NUMBER.sub(other, text)


def names_swapped(text: str, rng: random.Random, common: frozenset[str] = frozenset()) -> str:
    """Every capitalised word that is not a sentence's first common word replaced by a name of ours, equal ones alike.

    common: words known to be no names; without it a capitalised first word of a sentence is left alone unless it comes
    back capitalised inside a sentence.
    """
    inside = set(re.findall(r"(?<=[a-z,;'] )[A-Z][a-z]+", text))
    starts = set(re.findall(r"[A-Z][a-z]+", text)) - inside if common else set()
    names = {word for word in inside | starts if word.lower() not in CALENDAR and word.lower() not in common}
    fresh = rng.sample(NAMES, min(len(NAMES), len(names)))
    swaps = dict(zip(sorted(names), fresh, strict=False))
    return re.sub(r"[A-Z][a-z]+", lambda match: swaps.get(match.group(), match.group()), text)


def names_and_numbers_swapped(text: str, rng: random.Random, common: frozenset[str] = frozenset()) -> str:
    """Both at once: another instance of the same template."""
    return numbers_swapped(names_swapped(text, rng, common), rng)


def paraphrased(text: str, rng: random.Random) -> str:
    """Phrases replaced from PHRASES, some small numbers as words, the question sometimes first."""
    for pattern, choices in PHRASES:
        text = re.sub(rf"\b(?:{pattern})\b", lambda m, c=choices: m.expand(rng.choice(c)), text, flags=re.IGNORECASE)
    text = re.sub(r"(?<![\d.,])\d{1,2}(?![\d.,])", lambda m: _maybe_word(m.group(), rng), text)
    parts = sentences(text)
    if len(parts) > 2 and rng.random() < 0.5:
        parts = [parts[-1].rstrip("?.") + ", given the following?", *parts[:-1]]
    return " ".join(parts)


def _maybe_word(number: str, rng: random.Random) -> str:
    value = int(number)
    return SMALL_NUMBERS[value] if value < len(SMALL_NUMBERS) and rng.random() < 0.3 else number


ATTACKS: dict[str, Callable[..., str]] = {
    "verbatim": verbatim,
    "case and punctuation": case_and_punctuation,
    "re-wrapped lines": rewrapped,
    "inside longer text": embedded,
    "sentences reordered": reordered,
    "truncated to 60%": truncated,
    "numbers swapped": numbers_swapped,
    "names swapped": names_swapped,
    "names and numbers swapped": names_and_numbers_swapped,
    "paraphrased": paraphrased,
}
NEW_ANSWER = frozenset(
    ("numbers swapped", "names and numbers swapped")
)  # these rows carry another answer, and templates="allow" lets them pass


def attack(name: str, texts: Sequence[str], answers: Sequence[str | None] | None, seed: int) -> list[Attacked]:
    """All items disguised by one of ATTACKS, in order; the same seed gives the same disguise.

    Answers of number variants are dropped, since the true new answer is not known. Raises ValueError for unknown names.
    """
    if name not in ATTACKS:
        raise ValueError(f"unknown attack {name!r}; choose one of {', '.join(ATTACKS)}")
    answers = [None] * len(texts) if answers is None or name in NEW_ANSWER else list(answers)
    options = {"common": common_words(texts)} if name.startswith("names") else {}
    rngs = (random.Random(f"{seed}/{name}/{index}") for index in range(len(texts)))
    disguised = (ATTACKS[name](text, rng, **options) for text, rng in zip(texts, rngs, strict=True))
    return [Attacked(text, answer) for text, answer in zip(disguised, answers, strict=True)]


def common_words(texts: Iterable[str]) -> frozenset[str]:
    """Function words and words that occur uncapitalised somewhere in the texts, hence are no names."""
    return ENGLISH_STOP_WORDS | frozenset(word for text in texts for word in re.findall(r"\b[a-z]+\b", text))


Detector = Callable[[Sequence[str], Sequence[str | None]], list[Match]]  # training texts and answers -> matches


@dataclass(frozen=True)
class Rate:
    """A fraction with its 95% Wilson interval: sampling of items only, not of benchmarks."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.total


def rate(hits: int, total: int) -> Rate:
    """Rate of hits among total; ValueError when total is 0."""
    if total < 1:
        raise ValueError("a rate needs at least one item; give some texts")
    return Rate(hits, total, *wilson(hits, total))


@dataclass(frozen=True)
class Report:
    """How a detector does: recall by attack, false positives on disjoint data, hits by benchmark item.

    hits_per_item counts, for every benchmark item (0 included), the disjoint texts that it was matched with;
    items_hit is the share of items with at least one.
    """

    recalls: dict[str, Rate]
    false_positives: Rate | None
    hits_per_item: list[int]
    items_hit: Rate


def recall(detector: Detector, attacked: Sequence[Attacked], items: Sequence[int] | None = None) -> Rate:
    """Share of disguised items that the detector matches with the very item they came from.

    items: the benchmark index of each disguised text; None when they stand in the benchmark's own order.
    """
    items = range(len(attacked)) if items is None else items
    found = {(m.train_index, m.eval_index) for m in detector([a.text for a in attacked], [a.answer for a in attacked])}
    return rate(sum((index, item) in found for index, item in enumerate(items)), len(attacked))


def report(
    detector: Detector,
    texts: Sequence[str],
    answers: Sequence[str | None] | None = None,
    *,
    negatives: Sequence[str] = (),
    negative_answers: Sequence[str | None] | None = None,
    attacks: Iterable[str] = tuple(ATTACKS),
    seed: int = 0,
) -> Report:
    """Report of a detector of the benchmark (texts, answers) under seeded attacks.

    negatives: texts known to be disjoint from the benchmark; every one matched is a false positive.
    """
    recalls = {name: recall(detector, attack(name, texts, answers, seed)) for name in attacks}
    matches = detector(negatives, negative_answers or [None] * len(negatives)) if len(negatives) else []
    counts = Counter(match.eval_index for match in matches)
    wrong = rate(len({match.train_index for match in matches}), len(negatives)) if len(negatives) else None
    return Report(recalls, wrong, [counts[item] for item in range(len(texts))], rate(len(counts), len(texts)))


def ngram_rule(train_texts: Iterable[str], eval_texts: Sequence[str], n: int = 8) -> list[Match]:
    """The usual rule for comparison: any shared run of n lower-cased, blank-separated words (s1 and Open-R1 use n = 8).

    Items of fewer than n words can never match. Score is 1.
    """
    index: dict[str, set[int]] = {}
    for item, text in enumerate(eval_texts):
        for gram in _word_ngrams(text, n):
            index.setdefault(gram, set()).add(item)
    matches = []
    for number, text in enumerate(train_texts):
        items = set().union(*(index[gram] for gram in _word_ngrams(text, n) if gram in index))
        matches += [Match(number, item, "n-gram", 1.0) for item in sorted(items)]
    return matches


def _word_ngrams(text: str, n: int) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[start : start + n]) for start in range(len(words) - n + 1)]
