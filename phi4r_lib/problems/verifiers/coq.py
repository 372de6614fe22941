"""The verifier `coq`: a proof that the real Coq accepts, of the statement that was asked.

The problem's `answer` is the statement ("forall n : nat, n + 0 = n") or JSON `{"statement", "preamble", "name"}`: the
preamble holds imports and definitions, the name is that of the theorem (default "proof"). `meta["proof"]` may hold a
known proof. The answer is Coq source that proves the theorem under that name; a preamble repeated at its start is taken off.

An exit code of 0 is no proof: an axiom, `Admitted` or a new notation compile too. So three files are compiled in the
sandbox: our statement as a definition; the answer; and a third one, with fresh copies of the two compiled ones, that
gives the answer's theorem our statement as its type and prints what it rests on. Right: "Closed under the global
context". Wrong: "does_not_compile", "other_statement", "assumes: ...", "forbidden_command: ...", "time", "memory".
Could not be graded: a statement that does not compile.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence

from phi4r_lib.problems.sandbox import run_python, sandbox_problem, seconds_of
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, fenced, one_by_one, visible
from phi4r_lib.problems.verify import Verdict, VerifierUnavailable

INSTALL = "apt-get install --no-install-recommends coq"
# Commands that reach outside the file: they write, load or run something. No proof needs them.
FORBIDDEN = (
    "Redirect", "Load", "Extraction", "Separate Extraction", "Recursive Extraction", "Declare ML Module", "Add LoadPath",
    "Add Rec LoadPath", "Add ML Path", "Cd", "Drop", "Quit", "Unset Guard Checking", "Unset Universe Checking",
    "Unset Positivity Checking", "Set Type In Type", "bypass_check", "native_compute",
)  # fmt: skip
_FORBIDDEN = re.compile(r"\b(" + "|".join(re.escape(one).replace(r"\ ", r"\s+") for one in FORBIDDEN) + r")\b")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_']*")
_WORKER = r"""
import json, os, pathlib, subprocess, sys
given = json.load(sys.stdin)

# The sandbox has no /etc, where OCaml looks for its libraries.
os.environ["OCAMLFIND_CONF"] = os.path.abspath("findlib.conf")
pathlib.Path("findlib.conf").write_text('destdir="/usr/lib/ocaml"\npath="/usr/lib/ocaml:/usr/lib/ocaml/METAS"\n')

def compile_(folder, name, text):
    pathlib.Path(folder, name + ".v").write_text(text)
    done = subprocess.run(["coqc", "-q", "-noglob", "-w", "none", "-Q", ".", "", name + ".v"], cwd=folder,
                          stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace")
    return done.returncode, (done.stderr if done.returncode else done.stdout)[-4000:]

def stage(step, code, text):
    print(json.dumps([step, code, text]))
    if code:
        sys.exit()

for folder in ("one", "two", "three"):
    os.mkdir(folder)
stage("statement", *compile_("one", "phi4r_stmt", given["statement"]))
statement = pathlib.Path("one/phi4r_stmt.vo").read_bytes()
pathlib.Path("two/phi4r_stmt.vo").write_bytes(statement)
stage("answer", *compile_("two", "phi4r_cand", given["answer"]))
pathlib.Path("three/phi4r_stmt.vo").write_bytes(statement)
pathlib.Path("three/phi4r_cand.vo").write_bytes(pathlib.Path("two/phi4r_cand.vo").read_bytes())
stage("check", *compile_("three", "phi4r_check", given["check"]))
"""


class CoqVerifier:
    """Formal proofs; `cpu_s` seconds of processor time and `memory_mb` for the three files together, `workers` proofs at a time."""

    def __init__(self, cpu_s: float = 30.0, memory_mb: int = 2048, workers: int = 2):
        if not shutil.which("coqc", path="/usr/bin:/bin"):
            raise VerifierUnavailable(f"the verifier 'coq' needs coqc in /usr/bin: `{INSTALL}` (Debian, Ubuntu)")
        if problem := sandbox_problem():
            raise VerifierUnavailable(f"the verifier 'coq' compiles answers in the sandbox: {problem}")
        limits = {**seconds_of(cpu_s), "memory_mb": memory_mb, "scratch_mb": 64, "max_processes": 4}
        self.limits, self.workers = limits, workers

    def extract(self, text: str) -> str | None:
        """The last block of Coq, else what stands after the thinking if a proof ends there."""
        shown = visible(text) or ""
        bare = shown if re.search(r"\b(?:Qed|Defined)\s*\.", shown) and "```" not in shown else None
        return fenced(text, ("coq", "rocq", "gallina", "")) or bare

    def example(self, problem: Problem) -> str | None:
        """A known proof, for checking the problem itself."""
        return problem.meta.get("proof")

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by three compiled files."""
        return one_by_one(self._judge, answers, problems, self.workers)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[None]:
        """None: many proofs are right."""
        return [None] * len(answers)

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        preamble, statement, name = _statement(problem)
        source = answer.strip().removeprefix(preamble.strip()).lstrip()
        if found := _FORBIDDEN.search(without_comments(source)):
            return Verdict.wrong(answer, f"forbidden_command: {found.group(1)}")
        files = {
            "statement": f"{preamble}\nDefinition target : Prop := ({statement}).\n",
            "answer": f"{_imports(preamble)}\nRequire Import phi4r_stmt.\n{source}\n",
            "check": f"Require phi4r_stmt. Require phi4r_cand.\nDefinition checked : phi4r_stmt.target := phi4r_cand.{name}.\n"
            "Print Assumptions checked.\n",
        }
        done = run_python(_WORKER, json.dumps(files), **self.limits)
        if done.status != "ok":
            return Verdict.wrong(answer, {"timeout": "time", "memory": "memory"}.get(done.status, "does_not_compile"))
        step, code, said = json.loads(done.stdout.strip().splitlines()[-1])
        return _verdict(answer, step, code, said)


def _verdict(answer: str, step: str, code: int, said: str) -> Verdict:
    if step == "statement":
        raise BadCheck(f"the statement does not compile: {_last(said)}")
    if code and ("Out of memory" in said or "Stack overflow" in said):
        return Verdict.wrong(answer, "memory")
    if step == "answer":
        return Verdict.wrong(answer, f"does_not_compile: {_last(said)}", 0.1 if "no focused proof" not in said else 0.0)
    if code:
        return Verdict.wrong(answer, f"other_statement: {_last(said)}")
    if said.strip() == "Closed under the global context":
        return Verdict.right(answer)
    return Verdict.wrong(answer, f"assumes: {' '.join(said.split())[:200]}")


def _last(text: str) -> str:
    return " ".join(text.strip().splitlines()[-2:])[-200:]


def _statement(problem: Problem) -> tuple[str, str, str]:
    text = problem.answer or ""
    given = {"statement": text}
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except ValueError as error:
            raise BadCheck(f"the answer is no JSON ({error})") from None
    name = given.get("name", "proof")
    if not isinstance(given.get("statement"), str) or not _NAME.fullmatch(name):
        raise BadCheck("need a statement, and the name of a theorem")
    return given.get("preamble") or "", given["statement"].strip().rstrip("."), name


def _imports(preamble: str) -> str:
    """The lines of the preamble that import; its definitions come compiled, with the statement."""
    return "\n".join(re.findall(r"^\s*(?:From\s+\S+\s+)?(?:Require|Import|Open Scope)\b.*$", preamble, re.MULTILINE))


def without_comments(source: str) -> str:
    """Coq source with comments (they nest, and strings in them count as strings) and strings replaced by a space."""
    kept, depth, place = [], 0, 0
    while place < len(source):
        if source[place] == '"':
            end = source.find('"', place + 1)
            place = len(source) if end < 0 else end + 1
            kept.append(" ")
        elif source.startswith("(*", place):
            depth, place = depth + 1, place + 2
        elif depth and source.startswith("*)", place):
            depth, place = depth - 1, place + 2
            kept.append(" ")
        else:
            kept.append("" if depth else source[place])
            place += 1
    return "".join(kept)
