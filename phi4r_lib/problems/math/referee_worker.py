"""The child process behind referee.py: reads pairs as JSON lines, writes math-verify's verdict for each.

Run as a script, never imported by the library.
"""

import json
import os
import resource
import sys
from functools import lru_cache

MEMORY_BYTES = 2 << 30
PARSED = 4096  # parsed golds and answers that are kept


def main() -> None:
    """Serves until the pipe closes; only verdicts go to the real stdout, whatever the libraries print."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        verdict = _judge()
    except ImportError as error:
        print(f"{error}; install math-verify", file=replies)
        return
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    print("ready", file=replies)
    for line in sys.stdin:
        job = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        # if the parent dies during a comparison nobody else stops this process
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + job["seconds"]) + 5)
        print(verdict(job["answer"], job["gold"], job["relations"]), file=replies)


def _limit(kind: int, value: int) -> None:
    try:
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
    except (ValueError, OSError):  # not every system allows every limit
        return


def _judge():
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, normalize_latex
    from math_verify import verify
    from math_verify.parser import parse_latex_cached
    from sympy import Basic, MatrixBase, nan, zoo

    rules = NormalizationConfig(units=True, malformed_operators=True, nits=True, boxed="last")

    @lru_cache(maxsize=PARSED)
    def parsed(text: str) -> list:
        """What math_verify.parse gives for \\boxed{text}, but never a number picked out of a text it cannot read."""
        latex = normalize_latex("\\boxed{" + text + "}", config=rules)
        try:
            return [parse_latex_cached(latex), latex]
        except Exception:
            return [latex]

    def verdict(answer: str, gold: str, relations: bool) -> str:
        try:
            truth, given = parsed(gold), parsed(answer)
            formulas = [item for item in truth if isinstance(item, Basic | MatrixBase)]
            if not formulas or any(formula.has(nan, zoo) or _without_value(formula) for formula in formulas):
                return "failed"  # math-verify would fall back to comparing strings
            if any(isinstance(item, Basic) and _without_value(item) for item in given):
                return "wrong"
            same = verify(truth, given, allow_set_relation_comp=relations, timeout_seconds=None)
            same = same and _confirmed(truth[0], given[0])
        except (Exception, RecursionError, MemoryError):
            return "failed"
        return "right" if same else "wrong"

    return verdict


def _without_value(formula) -> bool:
    """True for 0^0 and for infinity inside a sum, a product, a power or a function: sympy simplifies what has no value."""
    from sympy import Add, Function, Mul, Pow, oo, preorder_traversal

    for part in preorder_traversal(formula):
        if isinstance(part, Pow) and part.base.is_zero and part.exp.is_zero:
            return True
        infinite = isinstance(part, Add | Mul | Pow | Function) and any(one in (oo, -oo) for one in part.args)
        if infinite and part != -oo and set(part.args) != {-1, oo}:
            return True
    return False


def _confirmed(truth, given) -> bool:
    """False where math-verify's rounding alone makes two numbers equal: it rounds to six places, and near 0 to nothing.

    Numbers must agree to 40 digits; a decimal must be the rounding of the other number to its own six or more digits.
    Everything but two numbers is taken as math-verify has it.
    """
    from sympy import Expr, Float, N, Rational

    if not (isinstance(truth, Expr) and isinstance(given, Expr)) or truth.free_symbols or given.free_symbols:
        return True
    floats = [one for one in (truth, given) if isinstance(one, Float)]
    exact = [one.replace(lambda part: part.is_Float, lambda part: Rational(str(part))) for one in (truth, given)]
    one, other = (N(value.doit(), 60) for value in exact)
    size = max(abs(one), abs(other))
    if abs(one - other) <= size * N("1e-40", 60):
        return True
    if len(floats) != 1 or not size > N("1e-2", 60):
        return False
    decimal = Rational(str(floats[0]))
    places = next((places for places in range(6, 60) if decimal * 10**places % 1 == 0), 60)
    return bool(abs(one - other) <= N("5.1", 60) / 10 ** (places + 1))


if __name__ == "__main__":
    main()
