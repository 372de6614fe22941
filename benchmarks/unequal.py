r"""False verdicts on generated pairs: unequal ones that are graded RIGHT, equal ones that are not; sympy has the truth.

    python benchmarks/unequal.py [--pairs 24000] [--seed 0]

Each pair is built as text and as a sympy expression at once. Unequal pairs come in kinds that fooled graders: letters
swapped, renamed or in the other case, numbers shifted by one, big powers, tiny values, functions against products,
close surds and decimals, tuples, intervals and sets with one part changed, equations with one side changed, forms
without a value (1^\infty, 0^0), degrees against radians, digits in another base, logarithms to another base, binomials,
powers of e on the circle. sympy says
of each that it is unequal: the difference is not 0 at a rational point, exactly or to 50 digits. Equal pairs are an
expression and what sympy makes of it expanded. Exits 1 when an unequal pair is RIGHT. A sample of it is a test.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sympy

from phi4r_lib.problems.answers import Grade, grade

FUNCTIONS = {
    "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec, "csc": sympy.csc,
}  # fmt: skip
LETTERS = "abcdkmnprtxyzRT"


@dataclass(frozen=True)
class Value:
    """One expression as text and for sympy."""

    text: str
    exact: sympy.Expr


@dataclass(frozen=True)
class Pair:
    """Two answers of one kind; `unequal` is sympy's word, made when it is asked for."""

    kind: str
    answer: str
    gold: str
    unequal: Callable[[], bool]


def differ(one: sympy.Expr, other: sympy.Expr) -> bool:
    """True where the difference is not 0 at a rational point: exactly, or for surds and functions to 50 digits."""
    rest = one - other
    places = sorted(rest.free_symbols, key=str)
    rest = rest.xreplace({name: sympy.Rational(sympy.prime(place + 4), place + 3) for place, name in enumerate(places)})
    if rest.is_Rational:
        return rest != 0
    return bool(abs(sympy.N(rest, 50, maxn=400)) > sympy.Rational(1, 10**45)) or rest.is_zero is False


def number(rng: random.Random) -> Value:
    whole = rng.choice([rng.randint(1, 9), rng.randint(1, 9), rng.randint(10, 999)])
    if rng.random() < 0.7:
        return Value(str(whole), sympy.Integer(whole))
    below = rng.randint(2, 12)
    return Value(rf"\frac{{{whole}}}{{{below}}}", sympy.Rational(whole, below))


def symbol(rng: random.Random, letters: str = LETTERS) -> Value:
    name = rng.choice(letters)
    return Value(name, sympy.Symbol(name))


def expression(rng: random.Random, depth: int, letters: str = LETTERS) -> Value:
    """A random formula: sums, products, quotients, powers, roots and a few functions."""
    if depth == 0:
        return symbol(rng, letters) if letters and rng.random() < 0.6 else number(rng)
    one, other = expression(rng, depth - 1, letters), expression(rng, depth - 1, letters)
    kinds = ["sum", "sum", "difference", "product", "quotient", "power", "root", "function"]
    match rng.choice(kinds):
        case "sum":
            return Value(f"{one.text} + {other.text}", one.exact + other.exact)
        case "difference":
            return Value(f"{one.text} - ({other.text})", one.exact - other.exact)
        case "product":
            return Value(f"({one.text})({other.text})", one.exact * other.exact)
        case "quotient":
            return Value(rf"\frac{{{one.text}}}{{{other.text}}}", one.exact / other.exact)
        case "power":
            power = rng.randint(2, 3)
            return Value(f"({one.text})^{power}", one.exact**power)
        case "root":
            whole = rng.randint(2, 30)
            return Value(rf"({one.text})\sqrt{{{whole}}}", one.exact * sympy.sqrt(whole))
    name = rng.choice(["sin", "cos", "ln"])
    function = {"sin": sympy.sin, "cos": sympy.cos, "ln": sympy.log}[name]
    return Value(rf"\{name}({one.text} + {other.text})", function(one.exact + other.exact))


def _pair(kind: str, answer: Value, gold: Value) -> Pair:
    return Pair(kind, answer.text, gold.text, lambda: differ(answer.exact, gold.exact))


def swapped(rng: random.Random) -> Pair:
    """Two letters exchanged, or one renamed, or one in the other case."""
    gold = expression(rng, 2)
    names = sorted(map(str, gold.exact.free_symbols)) or ["x"]
    one, other = rng.choice(names), rng.choice([*names, *LETTERS, *(name.swapcase() for name in names)])
    table, symbols = (
        {one: other, other: one},
        {sympy.Symbol(one): sympy.Symbol(other), sympy.Symbol(other): sympy.Symbol(one)},
    )
    text = "".join(table.get(part, part) if alone else part for part, alone in _letters(gold.text))
    return _pair("letters swapped or renamed", Value(text, gold.exact.xreplace(symbols)), gold)


def _letters(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is a letter that stands for a variable."""
    place = 0
    while place < len(text):
        if text[place] == "\\":
            end = place + 1
            while end < len(text) and text[end].isalpha():
                end += 1
            yield text[place:end], False
            place = end
        else:
            yield text[place], text[place].isalpha()
            place += 1


def shifted(rng: random.Random) -> Pair:
    """A formula with a small number added, or taken times another."""
    gold, step = expression(rng, 2), rng.choice([1, -1, 2])
    sign = "+" if step > 0 else "-"
    answer = rng.choice(
        [
            Value(f"{gold.text} {sign} {abs(step)}", gold.exact + step),
            Value(f"2({gold.text})", 2 * gold.exact),
            Value(f"-({gold.text})", -gold.exact),
            Value(rf"\frac{{{gold.text}}}{{{abs(step) + 1}}}", gold.exact / (abs(step) + 1)),
        ]
    )
    return _pair("shifted by a number", answer, gold)


def other_formula(rng: random.Random) -> Pair:
    """Two formulas of the same letters."""
    letters = "".join(rng.sample(LETTERS, 2))
    return _pair("same letters", expression(rng, 2, letters), expression(rng, 2, letters))


def big_powers(rng: random.Random) -> Pair:
    base, power = rng.choice(["2", "3", "7", "10", "x", "n"]), rng.randint(12, 90)
    exact = sympy.Integer(base) if base.isdigit() else sympy.Symbol(base)
    gold = Value(f"{base}^{{{power}}}", exact**power)
    answer = rng.choice(
        [
            Value(f"{base}^{{{power}}}-1", exact**power - 1),
            Value(f"{base}^{{{power + 1}}}", exact ** (power + 1)),
            Value(f"1 + {base}^{{{power}}}", exact**power + 1),
            Value(rf"\frac{{1}}{{{base}^{{{power}}}}}", exact**-power),
            Value(str(exact**power + 1) if base.isdigit() else f"{base}^{power - 1}",
                  exact**power + 1 if base.isdigit() else exact ** (power - 1)),
        ]
    )  # fmt: skip
    return _pair("big powers", *rng.sample([answer, gold], 2))


def tiny(rng: random.Random) -> Pair:
    def value() -> Value:
        factor, power = rng.randint(1, 99), rng.randint(6, 40)
        sign = rng.choice([1, -1])
        exact = sympy.Rational(sign * factor, 10 ** (power + 1))
        text = rng.choice([rf"{sign * factor / 10} \times 10^{{-{power}}}", f"{sign * factor / 10}e-{power}"])
        if power < 12 and rng.random() < 0.5:
            text = f"{'-' if sign < 0 else ''}0.{'0' * (power - 1)}{factor:02d}"
        return Value(text, exact)

    other = rng.choice([value(), Value("0", sympy.Integer(0))])
    base = rng.choice([Value("", sympy.Integer(0)), Value("1 + ", sympy.Integer(1)), Value("x + ", sympy.Symbol("x"))])
    pair = [value(), other]
    if base.text and all(one.text[0] not in "-" and "e-" not in one.text for one in pair):
        pair = [Value(base.text + one.text, base.exact + one.exact) for one in pair]
    return _pair("tiny values", *pair)


def function_or_product(rng: random.Random) -> Pair:
    name, letter, whole = rng.choice("fghFGHIQ"), rng.choice("xyt"), rng.randint(0, 9)
    call, factor, x = sympy.Function(name), sympy.Symbol(name), sympy.Symbol(letter)
    gold, answer = rng.choice(
        [
            (Value(f"{name}({whole})", call(whole)), Value(str(whole), sympy.Integer(whole))),
            (Value(f"{name}(0)", call(0)), Value("0", sympy.Integer(0))),
            (Value(f"{name}({letter} + {whole + 1})", call(x + whole + 1)),
             Value(f"{name}({letter}) + {name}({whole + 1})", call(x) + call(whole + 1))),
            (Value(f"{name}(2{letter})", call(2 * x)), Value(f"2{name}({letter})", 2 * call(x))),
            (Value(f"{name}({letter})", call(x)), Value(f"{name}{letter}", factor * x)),
            (Value(f"{name}({whole})", call(whole)), Value(f"{name}({whole + 1})", call(whole + 1))),
        ]
    )  # fmt: skip
    return Pair("function or product", *rng.sample([answer.text, gold.text], 2), lambda: answer.exact != gold.exact)


def surds(rng: random.Random) -> Pair:
    def value() -> Value:
        a, b, c, d = (rng.randint(1, 12) for _ in range(4))
        return rng.choice(
            [
                Value(rf"{a} + {b}\sqrt{{{c}}}", a + b * sympy.sqrt(c)),
                Value(rf"\frac{{{a}\sqrt{{{c}}} - \sqrt{{{d}}}}}{{{b}}}", (a * sympy.sqrt(c) - sympy.sqrt(d)) / b),
                Value(rf"\sqrt{{{a} + {b}\sqrt{{{c}}}}}", sympy.sqrt(a + b * sympy.sqrt(c))),
                Value(rf"\sqrt[3]{{{a * d}}}", sympy.cbrt(a * d)),
                Value(rf"\frac{{{a}\pi}}{{{b}}} + {c}", a * sympy.pi / b + c),
                Value(rf"{a} + {b}i", a + b * sympy.I),
            ]
        )

    one = value()
    whole = 10 ** rng.randint(6, 30)
    close = Value(rf"\sqrt{{{whole**2 + 1}}}", sympy.sqrt(whole**2 + 1)), Value(str(whole), sympy.Integer(whole))
    return _pair("surds", *(close if rng.random() < 0.1 else (one, value())))


def decimals(rng: random.Random) -> Pair:
    places = rng.randint(1, 12)
    whole = rng.randint(1, 10**places * 3)
    text = f"{whole // 10**places}.{whole % 10**places:0{places}d}"
    gold = Value(text, sympy.Rational(whole, 10**places))
    near = whole + rng.choice([-1, 1, 10])
    answer = Value(f"{near // 10**places}.{near % 10**places:0{places}d}", sympy.Rational(near, 10**places))
    if places < 6 and rng.random() < 0.5:
        below = rng.choice([3, 7, 9, 11])
        above = round(whole * below / 10**places)
        answer = Value(rf"\frac{{{above}}}{{{below}}}", sympy.Rational(above, below))
    return _pair("decimals", answer, gold)


def containers(rng: random.Random) -> Pair:
    """Tuples, intervals and sets: one part changed, two exchanged, or other brackets."""
    length = rng.randint(2, 3)
    parts = [expression(rng, 1, "abxy") for _ in range(length)]
    opening, closing = rng.choice([("(", ")"), ("[", "]"), ("[", ")"), (r"\{", r"\}")]) if length == 2 else ("(", ")")
    changed, brackets = list(parts), (opening, closing)
    match rng.choice(["part", "order", "brackets"]):
        case "part":
            place = rng.randrange(length)
            changed[place] = Value(f"{parts[place].text} + 1", parts[place].exact + 1)
        case "order":
            changed = changed[1:] + changed[:1]
        case "brackets" if length == 2:
            brackets = rng.choice([("(", "]"), ("[", "]"), ("(", ")"), (r"\{", r"\}")])

    def unequal() -> bool:
        one, other = [[part.exact for part in group] for group in (changed, parts)]
        if brackets != (opening, closing):
            return True
        if opening == r"\{":
            return all(differ(part, one[0]) for part in other) or all(differ(part, one[1]) for part in other)
        return any(differ(a, b) for a, b in zip(one, other, strict=True))

    texts = [", ".join(part.text for part in group) for group in (changed, parts)]
    return Pair(
        "tuples, intervals, sets", f"{brackets[0]}{texts[0]}{brackets[1]}", f"{opening}{texts[1]}{closing}", unequal
    )


def equations(rng: random.Random) -> Pair:
    letters = "xy"
    left, right = expression(rng, 1, letters), expression(rng, 1, letters)
    step = rng.choice([1, 2])
    other = Value(f"{right.text} + {step}", right.exact + step)

    def unequal() -> bool:
        one, two = left.exact - other.exact, left.exact - right.exact
        return one == 0 or two == 0 or not sympy.cancel(one / two).is_number

    return Pair("equations", f"{left.text} = {other.text}", f"{left.text} = {right.text}", unequal)


def spaced_letters(rng: random.Random) -> Pair:
    """Sums and quotients of letters whose places in the alphabet would agree."""
    start, step = rng.randint(0, 15), rng.randint(1, 3)
    a, b, c, d = ("abcdefghijklmnopqrstuvwxyz"[start + place * step] for place in range(4))
    symbols = {name: sympy.Symbol(name) for name in (a, b, c, d)}
    pairs = [
        (f"{a} + {d}", symbols[a] + symbols[d], f"{b} + {c}", symbols[b] + symbols[c]),
        (f"{b} - {a}", symbols[b] - symbols[a], f"{d} - {c}", symbols[d] - symbols[c]),
        (rf"\frac{{{a} + {c}}}{{2}}", (symbols[a] + symbols[c]) / 2, b, symbols[b]),
        (
            rf"\frac{{{b} - {a}}}{{{d} - {c}}}",
            (symbols[b] - symbols[a]) / (symbols[d] - symbols[c]),
            "1",
            sympy.Integer(1),
        ),
        (f"({a} - {b})^2", (symbols[a] - symbols[b]) ** 2, f"({c} - {d})^2", (symbols[c] - symbols[d]) ** 2),
    ]
    one, exact, other, second = rng.choice(pairs)
    return _pair("evenly spaced letters", Value(one, exact), Value(other, second))


def without_value(rng: random.Random) -> Pair:
    """Indeterminate forms beside the number that careless algebra makes of them."""
    whole = rng.randint(1, 99)
    form, number = rng.choice(
        [
            (rf"{rng.choice(['1', '1.0', '(2-1)'])}^{{\infty}}", 1),
            (rf"\infty^{{{rng.choice(['0', '1-1'])}}}", 1),
            (rf"{rng.choice(['0', '(1-1)', '0.0'])}^{{{rng.choice(['0', '2-2'])}}}", 1),
            (rf"\infty {rng.choice(['- ', '+ -'])}\infty".replace("+ -", "-"), 0),
            (rf"{rng.choice(['0', '(3-3)'])} {rng.choice([chr(92) + 'cdot', chr(92) + 'times', '*'])} \infty", 0),
            (r"\frac{\infty}{\infty}", 1),
            (rf"\frac{{{whole}\infty}}{{\infty}}", whole),
            (r"\infty / \infty", 1),
            (rf"\frac{{{rng.choice(['0', '1-1'])}}}{{{rng.choice(['0', '2-2'])}}}", rng.choice([0, 1])),
            (r"\lfloor 1^{\infty} \rfloor", 1),
            (r"\sqrt{0 \cdot \infty}", 0),
        ]
    )  # fmt: skip
    step = rng.randint(1, 30)
    text, gold = rng.choice([(form, number), (f"{form} + {step}", number + step), (f"{step} {form}", step * number)])
    if text == f"{step} {form}" and not form.startswith("\\"):
        text = rf"{step} \cdot {form}"
    return Pair("no value", text, str(gold), lambda: True)  # sympy itself takes 0^0 for 1


def degrees(rng: random.Random) -> Pair:
    """A function of so many degrees, of so many radians, and of other degrees."""
    name, angle = rng.choice(list(FUNCTIONS)), rng.randint(1, 89)
    factor, other = rng.choice(["", "", "2", "x"]), rng.randint(1, 89)
    exact = sympy.sympify(factor or 1)

    def value(size: int, unit: str) -> Value:
        radians = size * sympy.pi / 180 if unit else sympy.Integer(size)
        argument = rng.choice([f"({size}{unit})", f" {size}{unit}", f"{{{size}{unit}}}"])
        return Value(rf"{factor}\{name}{argument}", exact * FUNCTIONS[name](radians))

    sign = rng.choice([r"^\circ", r"^{\circ}", "°", r" \text{ degrees}"])
    pair = value(angle, sign), rng.choice([value(angle, ""), value(other, sign), value(other, "")])
    if rng.random() < 0.2:
        pair = value(angle, ""), Value(rf"{factor}\frac12", exact / 2)
    return _pair("degrees and radians", *rng.sample(pair, 2))


def bases(rng: random.Random) -> Pair:
    """Digits in a base beside the same digits in another one, or in ten; a gold's base may be left out, so that is no pair."""
    base = rng.choice([2, 3, 5, 7, 8, 9, 12, 16])
    size = rng.randint(base, 4000)
    digits, rest = "", size
    while rest:
        digits, rest = "0123456789ABCDEF"[rest % base] + digits, rest // base
    answer = Value(rng.choice([f"{digits}_{base}", f"{digits}_{{{base}}}"]), sympy.Integer(size))
    others = [Value(f"{digits}_{{{one}}}", sympy.Integer(int(digits, one))) for one in (base + 1, base + 4)]
    if digits.isdigit():
        others += [Value(text, sympy.Integer(int(digits))) for text in (digits, f"{digits}.0", f"({digits})")]
    return _pair("bases", answer, rng.choice(others))


def logarithms(rng: random.Random) -> Pair:
    """Logarithms to different bases; one without a base is taken as one to the base ten here, and beside ln as no known one."""
    inside = rng.choice([number(rng), symbol(rng)])
    argument = inside.exact if inside.exact not in (1, 0) else sympy.Integer(7)
    text = inside.text if argument == inside.exact else "7"
    base, other = rng.sample([2, 3, 5, 7, 10], 2)
    options = [
        Value(rf"\log_{{{base}}} {text}", sympy.log(argument) / sympy.log(base)),
        Value(rf"\log_{{{other}}}({text})", sympy.log(argument) / sympy.log(other)),
        Value(rf"\ln {text}", sympy.log(argument)),
        Value(rf"\log {text}", sympy.log(argument) / sympy.log(10)),
    ]
    one, two = rng.sample(options, 2)
    bare = {rf"\log {text}"} & {one.text, two.text}
    return Pair("logarithms", one.text, two.text, lambda: bool(bare) or differ(one.exact, two.exact))


def chosen(rng: random.Random) -> Pair:
    """Binomial coefficients in every spelling, beside others and beside numbers close to them."""
    n, k = rng.randint(2, 30), rng.randint(0, 8)
    spellings = [rf"\binom{{{n}}}{{{k}}}", rf"\dbinom{{{n}}}{{{k}}}", rf"{{{n} \choose {k}}}", f"C({n},{k})",
                 f"C({n}, {k})", rf"{{}}_{{{n}}}C_{{{k}}}"]  # fmt: skip
    gold = Value(rng.choice(spellings), sympy.binomial(n, k))
    m, j = n + rng.choice([0, 1]), k + rng.choice([0, 1, -1])
    answer = rng.choice(
        [
            Value(str(gold.exact + rng.choice([1, -1, 10])), gold.exact + 1),
            Value(rf"\binom{{{m}}}{{{j}}}", sympy.binomial(m, j)),
            Value(f"C({m},{j})", sympy.binomial(m, j)),
            Value(rf"\frac{{{n}}}{{{k + 1}}}", sympy.Rational(n, k + 1)),
            Value(str(n * k), sympy.Integer(n * k)),
        ]
    )
    return _pair("binomials", *rng.sample([answer, gold], 2))


def turns(rng: random.Random) -> Pair:
    """e to an imaginary power beside another one, its sign changed, or a number on the circle."""

    def value() -> Value:
        above, below = rng.randint(-12, 12), rng.choice([1, 2, 3, 4, 5, 6, 8, 12])
        text = rng.choice([rf"e^{{\frac{{{above}i\pi}}{{{below}}}}}", rf"e^{{{above}\pi i/{below}}}",
                           rf"\exp({above} i \pi / {below})"])  # fmt: skip
        return Value(text, sympy.exp(sympy.I * sympy.pi * sympy.Rational(above, below)))

    one = value()
    numbers = [("1", 1), ("-1", -1), ("i", sympy.I), ("-i", -sympy.I), ("0", 0),
               (r"\frac12 + \frac{\sqrt{3}}{2}i", sympy.Rational(1, 2) + sympy.sqrt(3) / 2 * sympy.I),
               (r"\frac{\sqrt{2}}{2} - \frac{\sqrt{2}}{2}i", sympy.sqrt(2) / 2 - sympy.sqrt(2) / 2 * sympy.I)]  # fmt: skip
    text, exact = rng.choice(numbers)
    other = rng.choice([value(), Value(text, sympy.sympify(exact)), Value(f"-{one.text}", -one.exact)])
    return _pair("imaginary powers", *rng.sample([one, other], 2))


KINDS = [
    swapped,
    shifted,
    other_formula,
    big_powers,
    tiny,
    function_or_product,
    surds,
    decimals,
    containers,
    equations,
    spaced_letters,
    without_value,
    degrees,
    bases,
    logarithms,
    chosen,
    turns,
]


def unequal_pairs(count: int, seed: int = 0) -> list[Pair]:
    """`count` distinct pairs, the kinds in turn, that sympy says are unequal."""
    rng, found, turn = random.Random(seed), {}, 0
    while len(found) < count:
        turn += 1
        pair = KINDS[turn % len(KINDS)](rng)
        try:
            if (pair.answer, pair.gold) not in found and pair.unequal():
                found[pair.answer, pair.gold] = pair
        except (TypeError, ValueError, ZeroDivisionError):  # zoo, nan, or a sign that sympy cannot tell
            continue
    return list(found.values())


def equal_pairs(count: int, seed: int = 0) -> list[Pair]:
    """Formulas beside what sympy makes of them: expanded, or with its own order of terms."""
    rng, pairs = random.Random(seed), []
    while len(pairs) < count:
        gold = expression(rng, 2, rng.choice(["x", "xy", "abx", ""]))
        if gold.exact.has(sympy.zoo, sympy.nan, sympy.oo):
            continue
        change = rng.choice([sympy.expand, sympy.together, lambda one: one])
        pairs.append(Pair("equal", sympy.latex(change(gold.exact), ln_notation=True), gold.text, lambda: False))
    return pairs


def main() -> int:
    """Prints both tables; exit code 1 for a false RIGHT."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=24_000)
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    pairs = unequal_pairs(args.pairs, args.seed)
    start = time.perf_counter()
    grades = grade([pair.answer for pair in pairs], [pair.gold for pair in pairs])
    seconds = time.perf_counter() - start
    false = [pair for pair, found in zip(pairs, grades, strict=True) if found is Grade.RIGHT]
    lost = Counter(pair.kind for pair, found in zip(pairs, grades, strict=True) if found is Grade.FAILED)
    for kind, total in Counter(pair.kind for pair in pairs).items():
        wrong = sum(pair.kind == kind for pair in false)
        print(f"{kind:28s} {total:6d} unequal pairs, {wrong} graded RIGHT, {lost[kind]} FAILED")
    for pair in false[:20]:
        print(f"    false RIGHT: {pair.kind}: answer {pair.answer!r}, gold {pair.gold!r}")
    print(f"{'all':28s} {len(pairs):6d} unequal pairs, {len(false)} graded RIGHT ({len(pairs) / seconds:,.0f} pairs/s)")
    same = equal_pairs(args.pairs // 12, args.seed)
    right = Counter(grade([pair.answer for pair in same], [pair.gold for pair in same]))
    print(
        f"{'equal':28s} {len(same):6d} pairs, {right[Grade.RIGHT] / len(same):.1%} graded RIGHT, {right[Grade.FAILED]} FAILED"
    )
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main())
