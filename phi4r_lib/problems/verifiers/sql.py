"""The verifier `sql`: one query whose result is that of the gold query, on every database of the problem.

The problem's `answer` is the gold query, `meta["schema"]` the script that makes the SQLite database (tables and rows;
declare primary and foreign keys), `meta["more"]` may list further scripts. Each database is also tried with part of its
rows taken out, so that a query with the result written into it is found out. Rows count as a multiset, in order only where
`meta["ordered"]` says so or the gold query itself ends in ORDER BY. Right: the same rows everywhere. Wrong: "no_query",
"error: ...", "not_read_only" (anything but one reading statement), "time", "too_large", "wrong_result". Could not be graded: a gold
query or a script that fails. The queries run in the sandbox, each with limits on time, memory and rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from phi4r_lib.problems.sandbox import run_python, sandbox_problem, seconds_of
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, fenced, one_by_one, short_answer, visible
from phi4r_lib.problems.verify import Verdict, VerifierUnavailable

_ORDERED = re.compile(r"\border\s+by\b[^()]*$", re.IGNORECASE)
# Runs in the sandbox. Every query sees its own copies of the databases; it may read tables and call harmless functions.
_WORKER = r"""
import json, sqlite3, sys, time
given = json.load(sys.stdin)
READ = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
NEVER = {"load_extension", "randomblob", "random", "zeroblob", "changes", "total_changes", "last_insert_rowid"}

def delete(base, table, row):
    try:
        base.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (row,))
    except sqlite3.Error:
        pass

def database(script, keep):
    base = sqlite3.connect(":memory:")
    base.executescript(script)
    base.execute("PRAGMA foreign_keys=OFF")
    if keep is not None:
        tables = [n for n, in base.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")]
        for table in tables:
            for place, (row,) in enumerate(base.execute(f'SELECT rowid FROM "{table}" ORDER BY rowid').fetchall()):
                if place % 2 != keep:
                    delete(base, table, row)
        for _ in range(1000):  # what refers to a row that is gone goes with it: kept, it would keep its parent in place
            try:
                orphans = {(table, row) for table, row, *_ in base.execute("PRAGMA foreign_key_check") if row is not None}
            except sqlite3.Error:
                break
            if not orphans:
                break
            for orphan in orphans:
                delete(base, *orphan)
    base.commit()
    return base

def allow(action, first, second, *_):
    fine = action in READ and not (action == sqlite3.SQLITE_FUNCTION and str(second).lower() in NEVER)
    return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY

def ask(base, query):
    deadline = time.process_time() + given["query_s"]
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000000)
    base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    base.set_authorizer(allow)
    base.set_progress_handler(lambda: time.process_time() > deadline, 1000)
    try:
        rows = base.execute(query).fetchmany(given["rows"] + 1)
    except sqlite3.Warning as error:
        return {"fault": "not_read_only: " + str(error)}
    except sqlite3.Error as error:
        text = str(error)
        code = "not_read_only" if "not authorized" in text or "prohibited" in text else "time" if text == "interrupted" else "error"
        return {"fault": code + ": " + text}
    if len(rows) > given["rows"]:
        return {"fault": "too_large"}
    return {"rows": [["NULL" if v is None else "n" + repr(round(v, 9) + 0.0) if isinstance(v, (int, float)) and abs(v) < 2**53
                      else "b" + v.hex() if isinstance(v, bytes) else type(v).__name__ + str(v) for v in row] for row in rows]}

results = []
for script in given["scripts"]:
    for keep in (None, 0, 1):
        try:
            base = database(script, keep)
        except sqlite3.Error as error:
            results.append({"fault": "script: " + str(error)})
            continue
        results.append(ask(base, given["query"]))
        base.close()
print(json.dumps(results))
"""


class SqlVerifier:
    """Text to SQL; `query_s` seconds of processor time per query and database, at most `rows` rows, `workers` sandboxes at a time."""

    def __init__(self, query_s: float = 2.0, rows: int = 10_000, memory_mb: int = 512, workers: int = 2):
        if problem := sandbox_problem():
            raise VerifierUnavailable(f"the verifier 'sql' runs queries in the sandbox: {problem}")
        self.query_s, self.rows, self.memory_mb, self.workers = query_s, rows, memory_mb, workers
        self._gold = lru_cache(maxsize=1024)(self._results)  # of this verifier, which lives as long as the process

    def extract(self, text: str) -> str | None:
        """The last block of SQL, else the box or stated answer, else what stands after the thinking if it is a query."""
        shown = (visible(text) or "").strip()
        bare = shown if re.match(r"(?i)(?:select|with|values)\b", shown) else None
        return fenced(text, ("sql", "sqlite", "")) or bare or short_answer(text)

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by result sets."""
        return one_by_one(self._judge, answers, problems, self.workers)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[str | None]:
        """What a query returns on the problem's databases; a query that fails never votes."""
        found = []
        for answer, problem in zip(answers, problems, strict=True):
            results = self._gold(_plain(answer), _scripts(problem))
            faulty = any("fault" in one for one in results)
            rows = [sorted(one.get("rows", ())) for one in results]
            found.append(None if faulty else json.dumps(rows))
        return found

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        scripts, gold = _scripts(problem), _plain(problem.answer or "")
        wanted = self._gold(gold, scripts)
        if fault := next((one["fault"] for one in wanted if "fault" in one), None):
            raise BadCheck(f"the gold query: {fault}")
        found = self._results(_plain(answer), scripts)
        if fault := next((one["fault"] for one in found if "fault" in one), None):
            return Verdict.wrong(answer, fault)
        ordered = bool(problem.meta.get("ordered", _ORDERED.search(gold)))
        same = [_same(a["rows"], b["rows"], ordered) for a, b in zip(wanted, found, strict=True)]
        return Verdict.right(answer) if all(same) else Verdict.wrong(answer, "wrong_result")

    def _results(self, query: str, scripts: tuple[str, ...]) -> list[dict[str, Any]]:
        given = {"query": query, "scripts": scripts, "query_s": self.query_s, "rows": self.rows}
        limits = {
            **seconds_of(3 * len(scripts) * self.query_s + 5),
            "memory_mb": self.memory_mb,
            "max_output_bytes": 1 << 24,
        }
        done = run_python(_WORKER, json.dumps(given), **limits)
        if done.status == "ok":
            return json.loads(done.stdout)
        code = {"timeout": "time", "memory": "too_large", "output": "too_large"}.get(done.status)
        return [{"fault": code or f"error: {done.stderr.strip().splitlines()[-1:]}"}]


def _scripts(problem: Problem) -> tuple[str, ...]:
    schema, more = problem.meta.get("schema"), problem.meta.get("more") or []
    if not isinstance(schema, str) or not isinstance(more, list):
        raise BadCheck("meta.schema has to be an SQL script, meta.more a list of such")
    return (schema, *map(str, more))


def _plain(query: str) -> str:
    return query.strip().rstrip(";").strip()


def _same(a: list[Any], b: list[Any], ordered: bool) -> bool:
    return a == b if ordered else sorted(a) == sorted(b)
