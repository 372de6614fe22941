"""Tasks for every verifier that ships, with completions that are right and cheats that are not; tests and benchmark use them.

Lean is not here: it needs a server (test_lean.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from phi4r_lib.problems.schema import Problem


@dataclass(frozen=True)
class Task:
    """A problem, completions that are right, completions that must not pass."""

    problem: Problem
    rights: list[str]
    cheats: list[str]


def problem(verifier: str, answer: str, name: str, **meta) -> Problem:
    """A problem of a verifier."""
    about = {"domain": verifier, "prompt": "see the tests", "source": "ours", "licence": "MIT"}
    return Problem(id=f"{verifier}-{name}", answer=answer, verifier=verifier, meta=meta, **about)


def boxed(*answers: str) -> list[str]:
    """Each answer as a completion with a thought and a box."""
    return [f"<think> hm </think> \\boxed{{{answer}}}" for answer in answers]


def code(language: str, *sources: str) -> list[str]:
    """Each source as a completion with a code block."""
    return [f"<think> hm </think>\nHere it is.\n```{language}\n{source}\n```\n" for source in sources]


CITIES = ["Paris", "Rome", "Bern", "A town"]
MATH = [
    Task(problem("math", "12", "int"), boxed("12", "12.0", "24/2"), boxed("13", "", "1/0", "9^{9^{9^9}}", "12 or 13"))
]
CHOICE = [
    Task(
        problem("choice", "B", "one"),
        [*boxed("B", "(B)", r"\text{B}", "B.", "Option B", "b", "Ｂ", "B!", "Answer - B", "B. The second option is no better"), "The answer is **B**.", "<think> A? </think>\n(B)"],
        [
            *boxed("A", "A or B", "B or A", "A, B", "not B", "all but B", "neither A nor B", "B?C", "AB", "A/B", "K", "any"),
            *boxed("B and C", "B is wrong", "everything except B", "either B or D", "A and not B", "I don't know, B is false"),
            *boxed("B != B", "¬B", "-B", "non-B", r"\cancel{B}", "B was ruled out", "eliminate B", "other than B", "B is the worst", "hardly B"),
            "The answer is not B.", "<think> B </think> I am not sure.", "B is impossible", "<think> The answer is B.",
        ],
    ),
    Task(
        problem("choice", "Rome", "texts", choices=CITIES),
        boxed("B", "Rome", "B. Rome", "B) Rome", "(B) Rome", "rome"),
        boxed("Paris", "A. Rome", "B. Paris", "Paris or Rome", "A town", "not Rome", "E", "Romeo", "Paris, Rome"),
    ),
    Task(problem("choice", "A, C", "two"), boxed("A, C", "C and A", "A,C"), boxed("A", "C", "A, B, C", "A or C", "A, not C")),
    Task(problem("choice", "A", "article"), boxed("A", "A."), boxed("A good question", "A or B", "I", "not A", "A isn't right")),
]  # fmt: skip
EXACT = [
    Task(
        problem("exact", "Bertha  von Suttner", "name"),
        [*boxed("Bertha von Suttner", " Bertha von\nSuttner "), "The answer is Bertha von Suttner."],
        boxed(
            "bertha von suttner",
            "Bertha von Suttner or Marie Curie",
            "Bertha",
            "BerthavonSuttner",
            "Bertha von Suttner!",
        ),
    )
]
NUMERIC = [
    Task(
        problem("numeric", "9.81 m/s^2", "gravity"),
        boxed("9.81 m/s^2", "981 cm/s^2", r"9.8\ \text{m/s}^2", "9.81 m/s**2", "9.8e0 m/s^2", r"9.81\,\mathrm{m/s^{2}}", "9.81 m/s²", "0.00981 km/s^2"),
        boxed(
            "9.81", "9.81 m/s", "9.81 kg", "9.5 m/s^2", "between 9 and 10 m/s^2", "9.81 or 3 m/s^2", "9.81 m/s^2 or 5 m/s^2",
            "inf", "nan", "9.81 bananas", "about ten", "-9.81 m/s^2", "9.81 m/s^2^2^2^2^2", "1e999 m/s^2", "9**9**9**9 m/s^2",
        ),
    ),
    Task(
        problem("numeric", "0", "zero"), boxed("0", "0.0", "-0", "0e5"), boxed("0.001", "0 m", "none", "1e-12", "0/0", "")
    ),
    Task(
        problem("numeric", "1234.5", "thousands", tolerance=0.0),
        boxed("1,234.5", "1234.5", r"1.2345 \times 10^3", r"1.2345\times10^{3}", "12345/10"),
        boxed("1,2345", "1234.6", "1234,5", "1.2345", "1234.5 m", "1234.5%", "1234.5.0"),
    ),
    Task(problem("numeric", "300", "kelvin", unit="kelvin"), boxed("300 K", "26.85 degC", "300"), boxed("27", "300 degC", "300 J")),
]  # fmt: skip
PERSON = {
    "type": "object", "required": ["name", "age"], "additionalProperties": False,
    "properties": {"name": {"type": "string", "pattern": "^(a+)+$"}, "age": {"type": "integer"}, "ok": {"type": "boolean"}},
}  # fmt: skip
JSON = [
    Task(
        problem("json", '{"name": "aaa", "age": 3, "ok": true}', "person", schema=PERSON),
        code("json", '{"age": 3, "name": "aaa", "ok": true}', '{"name":"aaa","age":3.0,"ok":true}'),
        [
            *code("json", '{"name": "aaa", "age": 3}', '{"name": "aaa", "age": 3, "ok": 1}', '{"name": "aaa", "age": "3", "ok": true}'),
            *code("json", '{"name": "aaa", "age": 3, "ok": true, "more": 1}', '[{"name": "aaa", "age": 3, "ok": true}]', "{}", "null"),
            *code("json", '{"name": "aab", "name": "aaa", "age": 3, "ok": true}', '{"name": "aaa", "age": NaN, "ok": true}'),
            *code("json", "[" * 100_000, '{"name": "' + "a" * 40 + '!", "age": 3, "ok": true}', "name: aaa, age: 3"),
            '<think> {"name": "aaa", "age": 3, "ok": true} </think> no', '{"name": "aaa", "age": 3, "ok": true} or {"name": "b"}',
        ],
    ),
    Task(problem("json", "[1, 2, 3]", "list"), ["It is [1, 2, 3]"], ["[1, 2]", "[1, 2, 3, 4]", "[3, 2, 1]", "[true, 2, 3]", "1 2 3"]),
]  # fmt: skip

STREAMS = [{"input": "3\n", "output": "1\n2\n3\n"}, {"input": "1\n", "output": "1\n"}, {"input": "0\n", "output": ""}]
CALLS = [
    {"input": "[1, 2]\n3", "output": "[1, 2, 3]", "testtype": "functional"},
    {"input": "[]\n0", "output": "[0]", "testtype": "functional"},
]
TESTS = {
    "asserts": [
        "assert f(2) == 4",
        "assert f(3) == 9 and f(-1) == 1",
        "assert abs(f(0.5) - 0.25) < 1e-9",
        "assert not f(0)",
    ]
}
COUNT = "n = int(input())\nfor i in range(1, n + 1):\n    print(i)"
SQUARE = "def f(x):\n    return x * x"
SLY = "class Sly(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
PROGRAM = [
    Task(
        problem("program", json.dumps(STREAMS), "count", solution=COUNT),
        code("python", COUNT, "print(*range(1, int(input()) + 1), sep='\\n')"),
        code(
            "python",
            "print(1)", "print(1)\nprint(2)\nprint(3)", COUNT + "\nprint(4)", "print(*range(1, int(input()) + 1))", "pass",
            COUNT + "\nraise SystemExit(1)", "while True: pass", "print('1' * 10**8)", "x = [0] * 10**10", "def f(:",
            "import os\nwhile True: os.fork()", "import os\nfor n in os.listdir('/tmp'): print(open('/tmp/' + n).read())",
            "import os\nos.kill(os.getppid(), 9)", "input()\nprint('1\\n2\\n3')", "import sys; sys.exit(0)",
        ),
    ),
    Task(
        problem("program", json.dumps(CALLS), "append", func_name="append", solution="def append(a, x):\n    return a + [x]"),
        code("python", "class Solution:\n    def append(self, a: List[int], x: int) -> List[int]:\n        return [*a, x]"),
        code(
            "python",
            "def append(a, x):\n    return a", "def append(a, x):\n    return [1, 2, 3]", "def other(a, x):\n    return a + [x]",
            "import os, sys\nsys.stdout.write('[[\"\", [1, 2, 3]], [\"\", [0]]]'); os._exit(0)",
            "class L(list):\n    def __eq__(self, o): return True\ndef append(a, x):\n    return L()",
            "import os\nos.write(1, b'[[\"\", true], [\"\", true]]\\n')\nos._exit(0)", "def append(a, x):\n    return [True, 2, 3] if a else [False]",
            "def append(a, x):\n    import inspect\n    return inspect.stack()[1].frame.f_locals.get('wanted', [])",
        ),
    ),
    Task(
        problem("program", json.dumps(TESTS), "square", solution=SQUARE),
        code("python", SQUARE, "f = lambda x: x ** 2"),
        code(
            "python",
            "def f(x):\n    return 4", "import sys\ndef f(x): sys.exit(0)", "import os\ndef f(x): os._exit(0)", "def f(x): raise AssertionError",
            SLY + "def f(x):\n    return Sly()", "def f(x):\n    return 2 * x\ndef abs(x):\n    return 0", "def g(x):\n    return x * x",
            "import builtins\nbuiltins.abs = lambda x: 0\ndef f(x):\n    return x + x",
            "def f(x):\n    return x + x\nprint('[[\"\", [\"4\"]], [\"\", [\"9\", \"1\"]]]')",
            "import os\nos.write(1, b'[[\"\", [\"__import__(\\'os\\')\"]]]\\n')\nos._exit(0)\ndef f(x): pass",
        ),
    ),
]  # fmt: skip
SHOP = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, age INTEGER);
CREATE TABLE sale (id INTEGER PRIMARY KEY, person INTEGER REFERENCES person(id), amount REAL);
INSERT INTO person VALUES (1, 'Ann', 30), (2, 'Bob', 40), (3, 'Cid', 50), (4, 'Dea', 30);
INSERT INTO sale VALUES (1, 1, 5.0), (2, 1, 7.0), (3, 2, 12.0), (4, 3, 1.5);
"""
SQL = [
    Task(
        problem("sql", "SELECT name FROM person WHERE age = 30", "filter", schema=SHOP),
        code("sql", "select name from person where age between 30 and 30", "SELECT name FROM person WHERE age=30 ORDER BY name DESC;"),
        code(
            "sql",
            "SELECT 'Ann' UNION SELECT 'Dea'", "VALUES ('Ann'), ('Dea')", "SELECT name FROM person WHERE name IN ('Ann', 'Dea') AND id < 5 AND age > 0 OR id = 2",
            "SELECT name, age FROM person WHERE age = 30", "SELECT DISTINCT age FROM person", "DELETE FROM person", "DROP TABLE person",
            "SELECT name FROM person WHERE age = 30; DROP TABLE person", "ATTACH 'x.db' AS x", "PRAGMA writable_schema = 1",
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r", "SELECT hex(zeroblob(1000000000))",
            "SELECT load_extension('x')", "SELECT a.name FROM person a, person b, person c, person d, person e", "SELEC name", "SELECT 1 WHERE 0",
        ),
    ),
    Task(  # both names are referred to by a sale that stays when half of the rows go
        problem("sql", "SELECT name FROM person WHERE age > 35", "literal", schema=SHOP),
        code("sql", "SELECT p.name FROM person p WHERE NOT p.age <= 35"),
        code("sql", "SELECT 'Bob' UNION ALL SELECT 'Cid'", "SELECT name FROM person WHERE id IN (2, 3) UNION SELECT 'Bob'"),
    ),
    Task(
        problem("sql", "SELECT person, sum(amount) AS total FROM sale GROUP BY person ORDER BY total DESC, person", "order", schema=SHOP),
        code("sql", "SELECT person, SUM(amount) FROM sale GROUP BY 1 ORDER BY 2 DESC, 1"),
        code("sql", "SELECT person, SUM(amount) FROM sale GROUP BY 1 ORDER BY 2, 1 DESC", "SELECT person, max(amount) FROM sale GROUP BY 1 ORDER BY 2 DESC, 1"),
    ),
]  # fmt: skip
RULES = [["count", 4], ["sum", 24], ["distinct"], ["between", 1, 12]]
CONSTRAINTS = [
    Task(
        problem("constraints", json.dumps(RULES), "numbers", example="1, 4, 7, 12"),
        boxed("1, 4, 7, 12", "3 5 6 10", "[2, 3, 8, 11]"),
        boxed(
            "6, 6, 6, 6", "1, 2, 3", "0, 5, 7, 12", "1, 4, 7, 12, 0", "1, 4, 7, 12 or 3", "1+4, 7, 12", "24", "", "a, b, c, d",
            "1, 4, 7, 12; sum 24", "1e0, 4, 7, 12", "-1, 6, 7, 12", "１, 4, 7, 12", "1, 4, 7, ١٢", "[1, 4, 7, 12", "(1, 4, 7, 12]", "1.0, 4, 7, 12", "1, " * 200_000, "9" * 5000,
        ),
    ),
    Task(
        problem("constraints", json.dumps([["words", 3, 5], ["contains", "sea"], ["avoids", "blue"]]), "words", example="The sea is calm"),
        boxed("The sea is calm", "sea and sand"), boxed("The sea", "The blue sea is calm", "calm is the lake", "the sea is calm and very wide"),
    ),
]  # fmt: skip
ETHANOL, PROPANOL = "CCO", "CCCO"
MOLECULE = [
    Task(problem("molecule", "product_eval!:!CC(=O)Nc1ccccc1!:!reaction-prediction", "product"),
         boxed("CC(=O)Nc1ccccc1", "O=C(C)Nc1ccccc1", "CC(=O)Nc1ccccc1.[Na+]"),
         boxed("CC(=O)Oc1ccccc1", "C", "not SMILES", "CC(=O)Nc1ccccc1.CC(=O)Oc1ccccc1", "CC(=O)Nc1ccccc1 CCO", "", "C(", "N(" * 500,
               "C1CC1" * 190, "C=C" * 330, "F/C=C/" * 160, "[Fe+++++++++++]" * 60, "C." * 499, "[C@@H](C)" * 100)),
    Task(problem("molecule", f"formula_eval!:!{PROPANOL}!:!molecule-formula", "formula", ideal=PROPANOL),
         boxed(PROPANOL, "OCCC"), boxed("CCO", "CC(C)O", "COCC", "C3H8O", "C" * 5000, "[C]" * 3)),
    Task(problem("molecule", "functional_group_eval!:!('C5H11Br', ['alkylbromide'])!:!functional-group", "groups", ideal="CCCCCBr"),
         boxed("CCCCCBr", "CCCC(C)Br"), boxed("CCCCBr", "CCCCCCl", "C5H11Br", "alkylbromide", "CCCCC.[Br]", "CCC.CCBr")),
    Task(problem("molecule", "valid_mol_eval!:!O=C(OC1CC!:!molecule-completion", "completion", ideal="O=C(OC1CC1)C"),
         boxed("O=C(OC1CC1)C", "C1)C"), boxed("CCO", "O=C(OC1CC", "O=C(OC1CCCCCCCCCCCCCCCC1)C", "applesauce", ")", "C1)C.CCCCCC.CCCCCCC")),
    Task(problem("molecule", "str_eval!:!2-(ethylcarbamoyl)-1H-pyrrole!:!molecule-name", "name"),
         boxed("2-(Ethylcarbamoyl)-1H-pyrrole"), boxed("3-(ethylcarbamoyl)-1H-pyrrole", "pyrrole", "2-(ethylcarbamoyl)")),
    Task(problem("molecule", "rxn_eval!:!Buchwald-Hartwig amination!:!reaction-name", "reaction"),
         boxed("buchwald hartwig amination", "Buchwald–Hartwig amination"), boxed("Buchwald-Hartwig animation", "amination", "-")),
]  # fmt: skip
PLUS = "forall n : nat, n + 0 = n"
INDUCTION = f"Theorem proof : {PLUS}.\nProof. intros n. induction n; simpl; auto. Qed."
FALSE = "Theorem proof : 1 = 2.\n"
COQ = [
    Task(
        problem("coq", PLUS, "plus", proof=INDUCTION),
        code("coq", INDUCTION, f"Lemma aux : {PLUS}. Proof. induction n; simpl; congruence. Qed.\nDefinition proof := aux."),
        code(
            "coq",
            f"Axiom a : {PLUS}.\nTheorem proof : {PLUS}.\nProof. exact a. Qed.", f"Theorem proof : {PLUS}.\nAdmitted.",
            "Theorem proof : True.\nProof. exact I. Qed.", "Theorem proof : forall n : nat, 0 + n = n.\nProof. reflexivity. Qed.",
            f'Notation "x = y" := True.\nTheorem proof : {PLUS}.\nProof. intros. exact I. Qed.',
            f"Definition nat := unit.\nTheorem proof : {PLUS}.\nProof. Admitted.", f"{INDUCTION}\nRedirect \"x\" Check proof.",
            "Module phi4r_stmt. Definition target := True. End phi4r_stmt.\nDefinition proof : phi4r_stmt.target := I.",
            f"Hypothesis h : {PLUS}.\nDefinition proof := h.", f"Parameter proof : {PLUS}.", f"{INDUCTION.replace('Qed', 'Abort')}",
            f'Load "x".\n{INDUCTION}', f"{INDUCTION}\nFrom Coq Require Extraction.\nExtraction \"x.ml\" proof.", f'Declare ML Module "ltac_plugin".\n{INDUCTION}',
            f"Declare (* *) ML Module \"ltac_plugin\".\n{INDUCTION}", f"Theorem other : {PLUS}.\nProof. induction n; auto. Qed.", "",
            "Ltac loop := idtac; loop.\nTheorem proof : " + PLUS + ".\nProof. loop. Qed.",
        ),
    ),
    Task(
        problem("coq", "1 = 2", "false"),
        [],
        code(
            "coq",
            FALSE + "Proof. reflexivity. Qed.", FALSE + "Admitted.", "Axiom proof : 1 = 2.",
            'Notation "1 = 2" := (1 = 1).\nTheorem proof : 1 = 2.\nProof. reflexivity. Qed.',
            "Unset Guard Checking.\nFixpoint f (n : nat) : False := f n.\n" + FALSE + "Proof. destruct (f 0). Qed.",
            "#[bypass_check(guard)] Fixpoint f (n : nat) : False := f n.\n" + FALSE + "Proof. destruct (f 0). Qed.",
            "Unset Positivity Checking.\nInductive bad := B : (bad -> False) -> bad.\nDefinition no (b : bad) : False := match b with B f => f b end.\n"
            "Definition proof : 1 = 2 := match no (B no) with end.",
            "Require Import Coq.Logic.Classical.\n" + FALSE + "Proof. destruct (classic (1 = 2)). assumption. Abort.",
            '(* " *) Notation "1" := 2.\nDefinition proof : 1 = 2 := eq_refl.',
        ),
    ),
    Task(
        problem("coq", json.dumps({"preamble": "Require Import Lia.\nDefinition twice (n : nat) := n + n.", "statement": "forall n, twice n = 2 * n"}), "preamble"),
        code(
            "coq",
            "Require Import Lia.\nDefinition twice (n : nat) := n + n.\nTheorem proof : forall n, twice n = 2 * n.\nProof. unfold twice. lia. Qed.",
            "Require Import Lia.\nTheorem proof : forall n, twice n = 2 * n.\nProof. intros; unfold twice; lia. Qed.",
        ),
        code("coq", "Definition twice (n : nat) := 2 * n.\nTheorem proof : forall n, twice n = 2 * n.\nProof. reflexivity. Abort."),
    ),
]  # fmt: skip
TASKS = {
    "math": MATH, "choice": CHOICE, "exact": EXACT, "numeric": NUMERIC, "json": JSON, "constraints": CONSTRAINTS,
    "program": PROGRAM, "sql": SQL, "molecule": MOLECULE, "coq": COQ,
}  # fmt: skip
