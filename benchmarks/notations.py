r"""Other notations for one value: pairs that are equal by construction and graded RIGHT, unequal ones that must not be.

    python benchmarks/notations.py [--pairs 12000] [--seed 0]

unequal.py holds formulas, with sympy for the truth; here are the notations around them, where the truth is known because
both texts are written from it: numbers in words, units, nouns and scales, per cent and per mille, mixed numbers, degrees
with minutes, times and dates, ratios, chains of equalities, intervals and conditions, piecewise functions, factorials.
Exits 1 when an unequal pair is RIGHT. A sample of it is a test.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from phi4r_lib.problems.answers import Grade, grade

SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
PARTS = {3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth"}
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
UNITS = [["cm", "centimeters"], ["km", "kilometres"], ["hours", "hrs"], ["kg", "kilograms"], ["cm^2", "square centimeters"],
         ["m/s", "meters per second"], ["mph", "miles per hour"]]  # fmt: skip
NOUNS = [("apples", "apple"), ("boxes", "box"), ("children", "child"), ("cookies", "Cookies"), ("buses", "bus")]


@dataclass(frozen=True)
class Pair:
    """Two texts of one kind, and whether they mean the same."""

    kind: str
    answer: str
    gold: str
    equal: bool


def in_words(whole: int, rng: random.Random) -> str:
    """An English numeral below a million, with or without "and" and hyphens."""
    if whole < 20:
        return SMALL[whole]
    if whole < 100:
        return TENS[whole // 10] + (rng.choice("- ") + SMALL[whole % 10] if whole % 10 else "")
    size, name = (100, "hundred") if whole < 1000 else (1000, "thousand")
    rest = whole % size
    joint = rng.choice([" ", " and "]) if rest < 100 else " "
    return f"{in_words(whole // size, rng)} {name}" + (joint + in_words(rest, rng) if rest else "")


def words(rng: random.Random):
    whole = rng.choice([rng.randint(0, 99), rng.randint(0, 999), rng.randint(0, 999_999)])
    below = rng.choice(list(PARTS))
    above = rng.randint(2, below - 1)
    part = f"{SMALL[above]}{rng.choice(' -')}{PARTS[below]}s"
    value = Fraction(above, below)
    yield in_words(whole, rng) + rng.choice(["", " apples", " dollars"]), str(whole), True
    yield in_words(whole, rng), str(whole + rng.choice([1, 10, 100])), False
    yield part, rf"\frac{{{above}}}{{{below}}}", True
    yield part, str(above), False
    yield f"{in_words(whole, rng)} and {part}", str(whole + value), True
    yield f"{in_words(whole, rng)} and {part}", f"{whole}, {value}", False


def quantities(rng: random.Random):
    (one, other), size = rng.sample(UNITS, 2), rng.randint(1, 999)
    yield f"{size} {one[0]}", f"{size} {one[1]}", True
    yield f"{size} {one[0]}", rf"{size} \text{{ {other[0]}}}", False
    yield f"{size} {rng.choice(one)}", str(size), True
    yield f"{size} {rng.choice(one)}", str(size + 1), False
    for scale, factor in (("million", 10**6), ("dozen", 12), ("hundred", 100)):
        yield f"{size} {scale} {rng.choice(NOUNS)[0]}", str(size * factor), True
        yield f"{size} {scale} {rng.choice(NOUNS)[0]}", str(size), False
    yield f"{size} feet 3 inches", f"{size} feet and 3 inches", True
    yield f"{size} feet 3 inches", f"{size} feet 4 inches", False


def nouns(rng: random.Random):
    (one, other), size = rng.sample(NOUNS, 2), rng.randint(2, 99)
    yield f"{size} {one[0]}", f"{size} {one[1]}", True
    yield f"{size} red {one[0]}", rf"{size}\text{{ {one[0]}}}", True
    yield f"{size} {one[0]}", f"{size} {other[0]}", False
    yield f"{size} {one[0]} and 3 {other[0]}", f"3 {one[0]} and {size} {other[0]}", size == 3


def percents(rng: random.Random):
    size = Fraction(rng.randint(1, 999), rng.choice([1, 2, 4, 10]))
    text, part = str(float(size)), size / 100
    sign = rng.choice(["%", r"\%", " percent", r"\text{\%}", " per cent", "％"])
    yield text + sign, str(part), True
    yield text + sign, text + "‰", False
    yield text + "‰", str(float(size / 10)) + sign, True
    yield text + " per mille", str(size / 1000), True
    yield text + "‰", str(size / 10000), False


def mixed(rng: random.Random):
    whole, below = rng.randint(1, 40), rng.choice([3, 7, 9, 11])
    above = rng.randint(1, below - 1)
    value = whole + Fraction(above, below)
    fraction = rf"\frac{{{above}}}{{{below}}}"
    text = rng.choice(
        [f"{whole}{fraction}", f"{whole} {above}/{below}", rf"{whole}\,{fraction}", f"{whole}{{{fraction}}}"]
    )
    yield text, str(value), True
    yield text, str(whole * Fraction(above, below)), False
    yield "-" + text, str(-value), True
    yield "-" + text, str(Fraction(above, below) - whole), False


def angles(rng: random.Random):
    degrees, minutes = rng.randint(0, 179), rng.randint(1, 59)
    value = degrees + Fraction(minutes, 60)
    text = rng.choice([f"{degrees}°{minutes}'", rf"{degrees}^\circ {minutes}'", f"{degrees}° {minutes}′"])
    yield text, rf"\left({value}\right)^\circ", True
    yield text, f"{degrees}°{minutes}''", False
    yield text, f"{degrees}°{minutes % 59 + 1}'", minutes == minutes % 59 + 1
    yield text, f"{degrees}°", False


def moments(rng: random.Random):
    hour, minute, half = rng.randint(1, 12), rng.randint(0, 59), rng.choice(["am", "pm"])
    time, of_day = f"{hour}:{minute:02d}", hour % 12 + 12 * (half == "pm")
    other = "am" if half == "pm" else "pm"
    if not 1 <= of_day <= 12:
        yield f"{time} {half}", f"{of_day}:{minute:02d}", True
    yield f"{time} {half}", time, False
    yield f"{time} {half}", rf"{time}\text{{ {half[0]}.m.}}", True
    yield f"{time} {half}", f"{time} {other}", False
    yield f"{time} {half}", f"{(of_day + 12) % 24}:{minute:02d}", False
    year, month, day = rng.randint(1900, 2030), rng.randint(1, 12), rng.randint(1, 27)
    name = MONTHS[month - 1]
    yield f"{name} {day}, {year}", rng.choice([f"{day} {name[:3]} {year}", f"{year}-{month:02d}-{day:02d}"]), True
    yield f"{name} {day}, {year}", f"{year}-{month:02d}-{day + 1:02d}", False
    yield f"{name} {day}", f"{day} {MONTHS[month % 12]}", False


def ratios(rng: random.Random):
    one, other, times = rng.randint(1, 9), rng.randint(1, 9), rng.randint(2, 9)
    if other * times < 10:
        yield f"{one * times}:{other * times}", f"{one}:{other}", True
    yield f"{one} to {other}", f"{one}:{other}", True
    yield f"{one}:{other}", f"{other}:{one + 1}", one * (one + 1) == other * other
    yield f"{one}:0{other}", str(Fraction(one, other)), False


def chains(rng: random.Random):
    one, other = rng.randint(2, 40), rng.randint(2, 40)
    value = Fraction(one, 7)
    yield rf"x = {one} \cdot {other} = {one * other}", str(one * other), True
    yield rf"x = {one} \cdot {other} = {one * other + 1}", str(one * other + 1), False
    yield f"x = {one} = {one + other}", str(one + other), False
    if one % 7:
        yield rf"x = {value} \approx {float(value):.3f}", str(value), True
        yield rf"x = {value} \approx {float(value) + 0.1:.3f}", str(value), False
        yield rf"x = {value} \approx {float(value):.3f}", f"{float(value):.3f}", False


def conditions(rng: random.Random):
    low, high = sorted(rng.sample(range(-20, 20), 2))
    size = rng.randint(1, 30)
    yield rf"x > {low} \text{{ and }} x < {high}", f"{low} < x < {high}", True
    yield rf"x > {low} \text{{ or }} x < {high}", f"{low} < x < {high}", False
    yield f"|x| < {size}", f"-{size} < x < {size}", True
    yield f"|x| < {size}", rf"-{size} \le x \le {size}", False
    yield f"x = {low} or x = {high}", f"({low}, {high})", False
    yield rf"\{{x \mid {low} < x < {high}\}}", f"{low}, {high}", False
    rows = [rf"{size}x & x < {low}", rf"{high} & x \ge {low}"]
    other = [rf"{size}x & x \ge {low}", rf"{high} & x < {low}"]
    gold, turned, wrong = (r"\begin{cases}" + r" \\ ".join(part) + r"\end{cases}" for part in (rows, rows[::-1], other))
    yield turned, gold, True
    yield wrong, gold, False


def factorials(rng: random.Random):
    step, letter = rng.randint(1, 4), rng.choice("nkm")
    product = "".join(f"({letter}+{place})" for place in range(1, step + 1))
    yield rf"\frac{{({letter}+{step})!}}{{{letter}!}}", product, True
    yield rf"\frac{{({letter}+{step})!}}{{{letter}!}}", f"{letter}{product}", False
    yield f"({letter}+{step})!", f"{letter}!+{step}", False


KINDS = [words, quantities, nouns, percents, mixed, angles, moments, ratios, chains, conditions, factorials]


def notation_pairs(count: int, seed: int = 0) -> list[Pair]:
    """`count` distinct pairs, the kinds in turn."""
    rng, found, turn = random.Random(seed), {}, 0
    while len(found) < count:
        turn += 1
        kind = KINDS[turn % len(KINDS)]
        found |= {(answer, gold): Pair(kind.__name__, answer, gold, equal) for answer, gold, equal in kind(rng)}
    return list(found.values())[:count]


def main() -> int:
    """Prints a line per kind; exit code 1 for a false RIGHT."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=12_000)
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    pairs = notation_pairs(args.pairs, args.seed)
    verdicts = grade([pair.answer for pair in pairs], [pair.gold for pair in pairs])
    total = Counter((pair.kind, pair.equal) for pair in pairs)
    right = Counter((pair.kind, pair.equal) for pair, one in zip(pairs, verdicts, strict=True) if one is Grade.RIGHT)
    for kind in (kind.__name__ for kind in KINDS):
        print(f"{kind:12s} {right[kind, True]:5d} of {total[kind, True]:5d} equal pairs RIGHT, {right[kind, False]} of {total[kind, False]:5d} unequal ones")  # fmt: skip
    wrong = [(pair, one) for pair, one in zip(pairs, verdicts, strict=True) if (one is Grade.RIGHT) != pair.equal]
    for pair, one in wrong[:20]:
        print(f"    {one.name}: {pair.kind}: answer {pair.answer!r}, gold {pair.gold!r}")
    return 1 if any(one is Grade.RIGHT for _, one in wrong) else 0


if __name__ == "__main__":
    sys.exit(main())
