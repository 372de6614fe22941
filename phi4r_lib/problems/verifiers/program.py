"""The verifier `program`: a Python program or function is run against cases in the sandbox.

The problem's `answer` is JSON: a list of cases as LiveCodeBench has them, `{"input", "output", "testtype": "stdin" |
"functional"}`, or `{"cases": [...], "function": "name", "asserts": ["assert f(2) == 4"]}`; `meta` may name the function
(`func_name`) and hold the public cases (`public_test_cases`), which count as well. Right: every case passes. The output of a
program is compared whole, line by line, white space at the ends of lines and of the output aside. Wrong: "no_program",
"syntax_error", "wrong_output: case n", "runtime_error", "no_function", "time", "memory", "output_limit"; the score is the
share of cases that pass. Could not be graded: cases that cannot be read, a check that fails by itself.

What is expected never enters the process in which the answer runs: values leave it as plain data and are compared outside.
An assert runs in a second process, without the answer, on the values that its calls returned.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from phi4r_lib.problems.sandbox import SandboxResult, run_python, sandbox_problem, seconds_of
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.program_worker import CALLS, CHECKS
from phi4r_lib.problems.verifiers.texts import BadCheck, check_of, fenced, one_by_one, visible
from phi4r_lib.problems.verify import Verdict, VerifierUnavailable

PLAIN = ("float", "list", "tuple", "set", "frozenset")
OF_THE_TEST = {
    *dir(builtins),
    "collections",
    "itertools",
    "json",
    "math",
    "re",
    "sys",
}  # never the answer's, whatever it defines
ENDED = {"timeout": "time", "memory": "memory", "output": "output_limit", "error": "runtime_error"}


@dataclass(frozen=True)
class Cases:
    """What a program has to do: (input, output) pairs for its standard streams, (arguments, value) for a function, asserts."""

    streams: tuple[tuple[str, str], ...]
    calls: tuple[tuple[str, Any], ...]
    asserts: tuple[str, ...]
    function: str | None

    @property
    def count(self) -> int:
        """Number of cases."""
        return len(self.streams) + len(self.calls) + len(self.asserts)


class ProgramVerifier:
    """Code; `cpu_s` seconds of processor time per run (all calls of a function are one run), `workers` sandboxes at a time."""

    def __init__(self, cpu_s: float = 6.0, memory_mb: int = 512, workers: int = 2):
        if problem := sandbox_problem():
            raise VerifierUnavailable(f"the verifier 'program' runs answers in the sandbox: {problem}")
        self.limits = {**seconds_of(cpu_s), "memory_mb": memory_mb}
        self.workers = workers

    def extract(self, text: str) -> str | None:
        """The last block of Python, else what stands after the thinking if it compiles."""
        shown = visible(text) or ""
        return fenced(text, ("python", "py", "python3", "")) or (shown if _compiles(shown) and "\n" in shown else None)

    def example(self, problem: Problem) -> str | None:
        """A known right program, for checking the problem itself."""
        return problem.meta.get("solution")

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by cases."""
        return one_by_one(self._judge, answers, problems, self.workers)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[None]:
        """None: many programs are right."""
        return [None] * len(answers)

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        cases = read_cases(problem)
        if not _compiles(answer):
            return Verdict.wrong(answer, "syntax_error")
        faults = [*self._streams(answer, cases), *self._calls(answer, cases), *self._asserts(answer, cases)]
        wrong = [fault for fault in faults if fault]
        return Verdict.wrong(answer, wrong[0], 1 - len(wrong) / cases.count) if wrong else Verdict.right(answer)

    def _streams(self, program: str, cases: Cases) -> list[str]:
        """One reason per case, "" where it passes; after a time-out the rest is not tried."""
        faults: list[str] = []
        for number, (given, wanted) in enumerate(cases.streams, start=1):
            if "time" in faults:
                faults.append("time")
                continue
            done = run_python(program, given, **self.limits)
            same = done.status == "ok" and _lines(done.stdout) == _lines(wanted)
            faults.append("" if same else ENDED.get(done.status, f"wrong_output: case {number}"))
        return faults

    def _calls(self, program: str, cases: Cases) -> list[str]:
        if not cases.calls:
            return []
        asked = [[cases.function, arguments] for arguments, _ in cases.calls]
        values = self._values(program, {"calls": asked})
        if isinstance(values, str):
            return [values] * len(cases.calls)
        return [
            fault or ("" if _equal(value, wanted) else f"wrong_output: case {number}")
            for number, ((fault, value), (_, wanted)) in enumerate(zip(values, cases.calls, strict=True), start=1)
        ]

    def _asserts(self, program: str, cases: Cases) -> list[str]:
        """The calls of each assert run with the answer, the assert itself without it."""
        if not cases.asserts:
            return []
        names = {cases.function} if cases.function else defined(program) | asked_of(cases.asserts)
        split = [split_assert(line, names) for line in cases.asserts]
        values = self._values(program, {"expressions": [calls for calls, _ in split]})
        if isinstance(values, str):
            return [values] * len(split)
        faults = []
        for (fault, found), (_, test) in zip(values, split, strict=True):
            honest = not fault and isinstance(found, list) and all(is_plain_source(one) for one in found)
            faults.append(self._checked(test, found) if honest else fault or "runtime_error")
        return faults

    def _checked(self, test: str, found: list[str]) -> str:
        done = run_python(CHECKS, json.dumps({"test": test, "values": found}), **self.limits)
        verdict = done.stdout.strip().splitlines()[-1:] if done.status == "ok" else []
        if verdict not in (["True"], ["False"]):
            raise BadCheck(f"assert {test!r}: {(done.stderr.strip().splitlines() or [done.status])[-1]}")
        return "" if verdict == ["True"] else f"wrong_output: assert {test[:80]}"

    def _values(self, program: str, asked: dict[str, Any]) -> list[tuple[str, Any]] | str:
        """(fault, value) per call, or the one fault that ended the whole run."""
        done: SandboxResult = run_python(CALLS, json.dumps({"program": program, **asked}), **self.limits)
        lines = done.stdout.splitlines()
        if done.status != "ok" or not lines:
            return ENDED.get(done.status, "runtime_error")
        try:
            found = json.loads(lines[-1])
            values = [(str(fault), value) for fault, value in found]
        except (ValueError, TypeError, RecursionError):
            return "runtime_error"
        wanted = len(asked.get("calls") or asked.get("expressions"))
        return values if len(values) == wanted else "runtime_error"


def read_cases(problem: Problem) -> Cases:
    """The cases of a problem, public ones included; raises BadCheck."""
    check = check_of(problem)
    whole = check if isinstance(check, dict) else {"cases": check}
    rows = whole.get("cases") or []
    public = problem.meta.get("public_test_cases") or []
    try:
        rows = [
            *(json.loads(rows) if isinstance(rows, str) else rows),
            *(json.loads(public) if isinstance(public, str) else public),
        ]
        streams = [(str(r["input"]), str(r["output"])) for r in rows if r.get("testtype", "stdin") == "stdin"]
        calls = [(_arguments(r["input"]), _value(r["output"])) for r in rows if r.get("testtype") == "functional"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadCheck(f"cases: {error!r}; compressed private cases have to be unpacked first") from None
    function = whole.get("function") or problem.meta.get("func_name") or _named(problem.meta.get("metadata"))
    asserts = whole.get("asserts") or []
    found = Cases(tuple(streams), tuple(calls), tuple(asserts), function)
    if not found.count or (calls and not function):
        raise BadCheck("no cases, or cases of a function without its name")
    return found


def _named(metadata: Any) -> str | None:
    """The function's name in LiveCodeBench's metadata, an object or its JSON."""
    try:
        found = json.loads(metadata) if isinstance(metadata, str) else metadata
    except ValueError:
        return None
    return found.get("func_name") if isinstance(found, dict) else None


def _arguments(given: Any) -> list[Any]:
    """One JSON value per line, as LiveCodeBench writes arguments; a list is taken as it is."""
    return given if isinstance(given, list) else [json.loads(line) for line in str(given).splitlines() if line.strip()]


def _value(wanted: Any) -> Any:
    return json.loads(wanted) if isinstance(wanted, str) else wanted


def defined(program: str) -> set[str]:
    """Names that the answer defines and a test may call; built-ins and modules that it replaces stay those of the test."""
    body = ast.parse(program).body
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {t.id for node in body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)}
    return names - OF_THE_TEST


def asked_of(asserts: Sequence[str]) -> set[str]:
    """Names that asserts use and do not bind themselves: an answer that lacks one is wrong, and no fault of the check."""
    found: set[str] = set()
    for line in asserts:
        try:
            nodes = list(ast.walk(ast.parse(line)))
        except (SyntaxError, ValueError, TypeError):
            continue  # split_assert says what is wrong with it
        bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
        names = [node for node in nodes if isinstance(node, ast.Name)]
        bound |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
        found |= {name.id for name in names} - bound
    return found - OF_THE_TEST


def is_plain_source(source: Any) -> bool:
    """Whether a text is what the worker writes for plain data: constants in lists, tuples, sets and dicts, nothing else."""
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    kinds = (ast.Constant, ast.List, ast.Dict, ast.UnaryOp, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub, ast.Load)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            fine = (
                isinstance(node.func, ast.Name) and node.func.id in PLAIN and len(node.args) == 1 and not node.keywords
            )
        elif isinstance(node, ast.BinOp):
            fine = isinstance(node.right, ast.Constant) and isinstance(node.right.value, complex)  # (1+2j)
        else:
            fine = isinstance(node, kinds) or (isinstance(node, ast.Name) and node.id in PLAIN)
        if not fine:
            return False
    return True


def split_assert(line: str, names: set[str]) -> tuple[list[str], str]:
    """(calls of the answer's names, the test with VALUES[i] in their place); raises BadCheck where it is no such assert."""
    try:
        (node,) = ast.parse(line.strip()).body
        test = node.test
    except (SyntaxError, ValueError, AttributeError):
        raise BadCheck(f"{line[:80]!r} is no single assert") from None
    calls: list[str] = []

    class Out(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            root = node.func
            while isinstance(root, ast.Attribute | ast.Call):
                root = root.value if isinstance(root, ast.Attribute) else root.func
            if not (isinstance(root, ast.Name) and root.id in names):
                return self.generic_visit(node)
            calls.append(ast.unparse(node))
            return ast.parse(f"VALUES[{len(calls) - 1}]", mode="eval").body

    return calls, ast.unparse(ast.fix_missing_locations(Out().visit(ast.Expression(test))).body)


def _equal(value: Any, wanted: Any) -> bool:
    """Equality of JSON values where true is not 1 and a list is as long as the other."""
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_equal, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_equal(value[key], wanted[key]) for key in wanted)
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _compiles(program: str) -> bool:
    try:
        compile(program, "answer.py", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(program.strip())
