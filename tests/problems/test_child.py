"""Limits on libraries that a hostile answer can hang: real child processes that loop, eat memory, crash, print and fail."""

import os
import threading

import pytest

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.child import Child
from phi4r_lib.problems.verifiers.molecule import MoleculeVerifier

HOSTILE = """
import os

class Hostile:
    def double(self, n):
        print("noise on stdout")
        return 2 * n
    def loop(self):
        while True:
            pass
    def eat(self):
        return len([0] * (1 << 30))
    def crash(self):
        os.abort()
    def fail(self):
        raise KeyError("x")
"""
# RDKit as a molecule of the future may find it: one that it never finishes with.
STUCK = """
from phi4r_lib.problems.verifiers.chemistry import Chemistry

class Stuck(Chemistry):
    def judge(self, answer, family, info):
        while answer == "CCCO":
            pass
        return super().judge(answer, family, info)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "hostile_library.py").write_text(HOSTILE + STUCK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return Child("hostile_library:Hostile", cpu_s=1.0, memory_mb=256)


def test_each_fault_has_a_name_and_the_next_call_works(child):
    assert child.ask("double", 4).value == 8
    for method, fault in (("loop", "time"), ("eat", "memory"), ("crash", "crash"), ("fail", "exception: KeyError")):
        assert child.ask(method).fault == fault, method
        assert child.ask("double", 5).value == 10


def test_calls_from_several_threads_get_their_own_replies(child):
    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: child.ask("double", n).value})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: 2 * n for n in range(8)}


def test_what_cannot_start_says_so_and_limits_are_checked():
    with pytest.raises(RuntimeError, match="did not start"):
        Child("no_such_library:X", cpu_s=1.0, memory_mb=64).ask("double", 1)
    with pytest.raises(ValueError, match="above zero"):
        Child("x:Y", cpu_s=0, memory_mb=64)


def test_a_molecule_that_takes_too_long_is_wrong_and_the_next_one_is_judged(child):
    pytest.importorskip("rdkit")
    pytest.importorskip("exmol")
    verifier = MoleculeVerifier()
    verifier.child = Child("hostile_library:Stuck", cpu_s=1.0, memory_mb=1024)
    row = {"domain": "chemistry", "prompt": "?", "verifier": "molecule", "source": "test", "licence": "MIT"}
    problem = Problem(id="p", answer="product_eval!:!CCO!:!reaction-prediction", **row)
    verdicts = verifier.grade(["CCCO", "OCC"], [problem] * 2)
    assert [(v.grade, v.reason) for v in verdicts] == [(Grade.WRONG, "time"), (Grade.RIGHT, "right")]
