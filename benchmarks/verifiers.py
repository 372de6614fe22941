"""Every verifier that ships: answers judged per second, cheats tried, false rights; one table.

    python benchmarks/verifiers.py [--seconds 3] [--only choice --only coq]

Tasks, right answers and cheats are those of tests/problems/cheats.py. Speed is that of right answers and cheats as they
stand there, repeated until --seconds have passed and at least once, behind one answer that starts what has to be started;
cheats that loop on purpose take their whole time limit, so their speed is that of hostile answers. A verifier whose tools are
not here has a line that names them. Takes about two minutes. Exits 1 when a cheat passes or a right answer does not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import pandas as pd

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.verify import VERIFIERS, VerifierUnavailable, verifier_of, verify

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "problems"))
from cheats import TASKS

LIMITS = {"program": {"cpu_s": 2.0}, "coq": {"cpu_s": 20.0}, "sql": {"query_s": 1.0}}
ELSEWHERE = "judged on a server: its verdicts are tested in tests/problems/test_lean.py, its speed is the server's"


def rate(pairs: list[tuple], named: dict, seconds: float) -> tuple[list[Grade], float]:
    """The grades of one pass and answers per second over as many passes as the time allows."""
    problems, texts = [problem for problem, _ in pairs], [text for _, text in pairs]
    verify(problems[:1], texts[:1], named)
    started, passes, grades = time.perf_counter(), 0, []
    while passes == 0 or time.perf_counter() - started < seconds:
        grades = [verdict.grade for verdict in verify(problems, texts, named)]
        passes += 1
    return grades, passes * len(pairs) / (time.perf_counter() - started)


def row(name: str, seconds: float) -> dict:
    """One line of the table."""
    named = {name: LIMITS[name]} if name in LIMITS else {}
    try:
        verifier_of(name, named)
    except VerifierUnavailable as error:
        return {"verifier": name, "note": str(error)}
    if name not in TASKS:
        return {"verifier": name, "note": ELSEWHERE}
    good = [(task.problem, text) for task in TASKS[name] for text in task.rights]
    bad = [(task.problem, text) for task in TASKS[name] for text in task.cheats]
    rights, fast = rate(good, named, seconds)
    cheats, slow = rate(bad, named, seconds)
    return {
        "verifier": name, "right answers/s": round(fast, 1), "cheats/s": round(slow, 1), "rights": len(good),
        "false wrongs": sum(grade is not Grade.RIGHT for grade in rights), "cheats": len(bad),
        "false rights": cheats.count(Grade.RIGHT),
    }  # fmt: skip


def main() -> int:
    """Prints the table; 0 when no cheat passes and every right answer does."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--only", action="append", choices=list(VERIFIERS))
    args = options.parse_args()
    table = pd.DataFrame([row(name, args.seconds) for name in args.only or VERIFIERS]).set_index("verifier")
    notes = table.pop("note").dropna() if "note" in table else {}
    print(table.dropna(how="all").convert_dtypes().to_string())
    for name, note in notes.items():
        print(f"not measured: {name}: {note}")
    return int(table.filter(["false rights", "false wrongs"]).fillna(0).to_numpy().sum() > 0)


if __name__ == "__main__":
    sys.exit(main())
