"""What is left of a text when only its words and numbers count: token codes, n-gram hashes, number signatures, answer keys.

Everything here works on flat numpy arrays of many texts at once, because decontamination has to read a million texts on
one core. Not here: which fingerprints make a match (decontaminate.py) and near-duplicates inside one set (duplicates.py).
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import numpy as np
import snowballstemmer
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

# Words, numbers (with thousands separators and decimals), and the operators without which "3 + 5" equals "3 * 5".
TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|[+*/^=<>]|-(?=\s*\d)")
INVISIBLE = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF])
NUMBER, NAME = 1 << 62, 1 << 61  # bits set in the codes of numbers and of names; plain words have neither
NUMBER_BIT, NAME_BIT = (
    np.uint64(NUMBER),
    np.uint64(NAME),
)  # also the codes that all numbers, all names share once masked
LOOKS_AHEAD = re.compile(r"-\s+\d")  # the one case in which TOKEN looks past a blank
CACHE_LIMIT = 400_000  # distinct spellings remembered; bounds memory on endless streams
LONGEST_CACHED = 40  # characters; longer spellings are not worth remembering
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # odd 64-bit constant of Fibonacci hashing
NUMBER_WORDS = {
    word: str(value)
    for value, words in {
        0: "zero", 1: "one", 2: "two twice double doubled doubles", 3: "three thrice triple tripled triples", 4: "four",
        5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve dozen dozens",
        13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen", 19: "nineteen",
        20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety",
        100: "hundred", 1000: "thousand",
    }.items()
    for word in words.split()
}  # fmt: skip


def stable_hash(text: str) -> int:
    """61-bit hash of a string, the same in every process (Python's own hash is salted)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 3


@dataclass(frozen=True)
class Vocabulary:
    """Lower-case words of a benchmark: plain ones, and those that it only ever capitalises (names, mostly)."""

    plain: frozenset[str] = ENGLISH_STOP_WORDS
    names: frozenset[str] = frozenset()

    def is_name(self, token: str) -> bool:
        """Known words by their use in the benchmark, in any case; unknown words by their own capital."""
        word = token.lower().removesuffix("'s")
        return word in self.names or (word not in self.plain and token[0].isupper() and not token.isupper())


def vocabulary(texts: Iterable[str]) -> Vocabulary:
    """Vocabulary of a benchmark; names are words that never occur uncapitalised and are no function words."""
    found = set(chain.from_iterable(map(tokens, texts)))
    spellings = {token.removesuffix("'s") for token in found if token[0].isalpha()}
    plain = frozenset(word for word in spellings if word[0].islower()) | ENGLISH_STOP_WORDS
    return Vocabulary(plain, frozenset(word.lower() for word in spellings if len(word) > 1) - plain)


class TokenCodes(dict):
    """Spelling -> 64-bit code: hash of the stem for words, of the value for numbers; forgets when it grows too large."""

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        super().__init__()
        self._chunks = _ChunkCodes(self)
        self._stem = snowballstemmer.stemmer("english").stemWord
        self._vocabulary = vocabulary or Vocabulary()

    def __missing__(self, token: str) -> int:
        if len(self) >= CACHE_LIMIT:
            self.clear()
        lower = token.lower()
        number = token if token[0].isdecimal() else NUMBER_WORDS.get(lower)
        if number is not None:
            code = NUMBER | stable_hash(canonical_number(number))
        elif token[0].isalpha() and self._vocabulary.is_name(token):
            code = NAME | stable_hash(self._stem(lower))
        else:
            code = stable_hash(self._stem(lower))
        self[token] = code
        return code

    def of(self, text: str) -> list[int]:
        """Codes of the `tokens` of a text, in order; several times faster than looking up each."""
        text = _normal(text)
        if "-" in text and LOOKS_AHEAD.search(text):
            return [self[token] for token in TOKEN.findall(text)]
        return list(chain.from_iterable(map(self._chunks.__getitem__, text.split())))


class _ChunkCodes(dict):
    """What stands between two blanks, such as `"$1,200,` -> codes of its tokens: one look-up where a pattern is slow."""

    def __init__(self, codes: TokenCodes) -> None:
        super().__init__()
        self._codes = codes

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        found = tuple([self._codes[token] for token in TOKEN.findall(chunk)])
        if len(self) >= CACHE_LIMIT:
            self.clear()
        if len(chunk) <= LONGEST_CACHED:
            self[chunk] = found
        return found


def canonical_number(token: str) -> str:
    """'80,000' and '80000.0' -> '80000'; '007' -> '7'; never raises on a digit token."""
    number = token.replace(",", "")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0"


def tokens(text: str) -> list[str]:
    """Words (as spelled), numbers and operators of a text; punctuation, spacing and line breaks vanish."""
    return TOKEN.findall(_normal(text))


def _normal(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text).replace("’", "'").translate(INVISIBLE)


@dataclass(frozen=True)
class Batch:
    """Token codes of many texts, end to end.

    codes: uint64, all tokens. starts: int64, one more than there are texts; text i is codes[starts[i]:starts[i + 1]].
    """

    codes: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def owners(self) -> np.ndarray:
        """int64, for each token the text it stands in."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))


def encode(texts: Iterable[Sequence[int]]) -> Batch:
    """Lists of token codes -> one Batch."""
    rows = list(texts)
    starts = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    flat: list[int] = []
    for row in rows:
        flat += row
    return Batch(np.array(flat, dtype=np.uint64), starts)


def mix(values: np.ndarray) -> np.ndarray:
    """Spreads uint64 values over all 64 bits (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def mask_numbers(codes: np.ndarray) -> np.ndarray:
    """The same codes with every number replaced by one common code."""
    return np.minimum(codes, NUMBER_BIT)


def mask_names(codes: np.ndarray) -> np.ndarray:
    """The same codes with every name and every number replaced by one common code each."""
    return np.where(codes < NUMBER_BIT, np.minimum(codes, NAME_BIT), NUMBER_BIT)


def ngram_hashes(batch: Batch, codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all runs of n tokens that stay inside one text.

    codes: those of the batch, masked or not. Returns (hashes uint64, owners int64), repeated n-grams repeated.
    """
    if len(codes) < n:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    size = len(codes) - n + 1
    hashes = codes[:size].copy()
    for shift in range(1, n):
        hashes = hashes * GOLDEN + codes[shift : shift + size]
    owners = batch.owners
    inside = owners[:size] == owners[n - 1 :]
    return mix(hashes[inside]), owners[:size][inside]


@functools.lru_cache(maxsize=65_536)
def answer_key(answer: str | None) -> int:
    """Hash under which equal answers meet: 18, 18.0, $18, 36/2 and \\boxed{18} agree; 0 for no answer.

    A quick key, not a grade: mathematical equality beyond plain numbers is the business of problems/answers.py.
    """
    if answer is None or not str(answer).strip():
        return 0
    text = re.sub(r"\\boxed|\\text|\\[,;! ]|[\s$%{}]", "", str(answer)).lower().rstrip(".")
    plain = text.replace(",", "") if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text) else text
    if re.fullmatch(r"-?\d{1,30}(\.\d{1,30})?(/\d{1,30})?", plain):
        try:
            top, _, bottom = plain.partition("/")
            plain = str(Fraction(top) / Fraction(bottom or 1))
        except ZeroDivisionError:
            pass
    return stable_hash(plain) or 1


def is_telling_number(codes: np.ndarray) -> np.ndarray:
    """True for numbers except 1, which texts leave out or write as a pronoun ("one of them") at will."""
    return (codes >= NUMBER_BIT) & (codes != np.uint64(NUMBER | stable_hash("1")))


def number_keys(batch: Batch, most: int, missing: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Order-free hashes of each text's numbers, whole and with up to `missing` (0, 1 or 2) numbers left out.

    Two texts share a key exactly when they agree on all but a few numbers, so a look-up replaces comparing all pairs.
    A multiset's hash is the sum of its elements' hashes, so leaving one out is a subtraction. Texts with no number or
    more than `most` have no key. Returns (keys uint64, owners, numbers in the key, numbers in the text by owner).
    """
    is_number = is_telling_number(batch.codes)
    owners = batch.owners[is_number]
    counts = np.bincount(owners, minlength=len(batch))
    values = mix(batch.codes[is_number])
    totals = np.zeros(len(batch), np.uint64)
    np.add.at(totals, owners, values)
    whole = np.flatnonzero((counts > 0) & (counts <= most))
    parts = [(totals[whole], whole, counts[whole])]
    usable = (counts[owners] <= most) & (counts[owners] > 1)
    owners, values = owners[usable], values[usable]
    if missing >= 1:
        parts.append((totals[owners] - values, owners, counts[owners] - 1))
    for lag in range(1, most if missing >= 2 else 1):
        same = (owners[:-lag] == owners[lag:]) & (counts[owners[:-lag]] > 2)
        pair_owner = owners[:-lag][same]
        rest = totals[pair_owner] - values[:-lag][same] - values[lag:][same]
        parts.append((rest, pair_owner, counts[pair_owner] - 2))
    keys, key_owners, sizes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return mix(keys + sizes.astype(np.uint64)), key_owners, sizes, counts


@dataclass(frozen=True)
class KeyTable:
    """Hash -> positions of the entries that carry it; a bitmap in front answers most look-ups with one memory access."""

    keys: np.ndarray
    starts: np.ndarray
    entries: np.ndarray
    bitmap: np.ndarray
    shift: np.uint64

    def rows(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(positions in hashes that are known, their row in keys)."""
        asked = np.flatnonzero(self.bitmap[(hashes >> self.shift).astype(np.int64)])
        if not len(asked) or not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        row = np.minimum(np.searchsorted(self.keys, hashes[asked]), len(self.keys) - 1)
        found = self.keys[row] == hashes[asked]
        return asked[found], row[found]

    def look_up(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All (position in hashes, entry) pairs with equal hash."""
        asked, row = self.rows(hashes)
        many = self.starts[row + 1] - self.starts[row]
        return np.repeat(asked, many), self.entries[ranges(self.starts[row], many)]


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """starts[0], starts[0] + 1, ... for lengths[0] steps, then the same for the others, end to end."""
    return np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)


def key_table(hashes: np.ndarray) -> KeyTable:
    """KeyTable over hashes; entry i stands for hashes[i]. The bitmap takes 16 to 32 bytes per hash, at most 64 MiB."""
    order = np.argsort(hashes, kind="stable")
    keys, first = np.unique(hashes[order], return_index=True)
    bits = min(26, max(10, int(16 * len(keys)).bit_length()))
    shift = np.uint64(64 - bits)
    bitmap = np.zeros(1 << bits, dtype=bool)
    bitmap[(keys >> shift).astype(np.int64)] = True
    return KeyTable(keys, np.append(first, len(hashes)), order, bitmap, shift)
