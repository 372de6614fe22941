"""The client of the Kimina protocol against a local server that speaks it. The server is NOT Lean: it knows a few texts by heart."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.lean import LeanVerifier
from phi4r_lib.problems.verify import VerifierUnavailable, judge, verify

STATEMENT = "∀ n : Nat, n + 0 = n"
GOOD = f"theorem proof : {STATEMENT} := by intro n; rfl"


def answer(code):
    """What the server says about a text: the part after the first word "say" decides."""
    check = re.findall(r"#print axioms (\S+)", code)[-1]
    said = {"severity": "info", "pos": {"line": 9, "column": 0}, "data": f"'{check}' does not depend on any axioms"}
    cases = {
        "slow": {"error": "Lean REPL command timed out in 60 seconds"},
        "crash": {"error": "Error from Lean REPL"},
        "message": {"response": {"message": "unknown environment"}},
        "wrong": {"response": {"time": 1, "messages": [said | {"severity": "error", "data": "unsolved goals"}]}},
        "sorry": {"response": {"messages": [said | {"severity": "warning", "data": "uses sorry"}], "sorries": [{"goal": "x"}]}},
        "mute": {"response": {"messages": []}},
        "classical": {"response": {"messages": [said | {"data": f"'{check}' depends on axioms: [propext, Classical.choice, Quot.sound]"}]}},
        "native": {"response": {"messages": [said | {"data": f"'X.{check}' depends on axioms: [propext, Lean.ofReduceBool]"}]}},
        "hidden": {"response": {"messages": [said | {"data": f"'{check}' depends on axioms: [sorryAx]"}]}},
        "twice": {"response": {"messages": [said, said]}},
    }  # fmt: skip
    return next((found for name, found in cases.items() if f"say {name}" in code), {"response": {"messages": [said]}})


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, body, self.headers.get("Authorization")))
        if self.server.busy > 0 or self.server.status != 200:
            self.server.busy -= 1
            return self.reply(429 if self.server.status == 200 else self.server.status, {"detail": "no"})
        if self.path == "/verify":
            return self.reply(
                200, {"results": [{"custom_id": c["custom_id"], **answer(c["proof"])} for c in body["codes"]]}
            )
        return self.reply(
            200, {"results": [{"id": c["id"], "time": 0.1, **answer(c["code"])} for c in body["snippets"]]}
        )

    def reply(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.seen, found.busy, found.status = [], 0, 200
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def verifier(server, **settings):
    return LeanVerifier(url=f"http://127.0.0.1:{server.server_port}", wait_s=0.01, timeout_s=120, **settings)


def problem(gold=STATEMENT):
    return Problem(id="p", domain="proofs", prompt="?", answer=gold, verifier="lean", source="ours", licence="MIT")


CASES = {
    "": (Grade.RIGHT, "right"), "-- say classical": (Grade.RIGHT, "right"), "-- say wrong": (Grade.WRONG, "error: unsolved"),
    "-- say sorry": (Grade.WRONG, "sorry"), "-- say native": (Grade.WRONG, "axioms: Lean.ofReduceBool"),
    "-- say hidden": (Grade.WRONG, "axioms: sorryAx"), "-- say slow": (Grade.FAILED, "time"), "-- say crash": (Grade.FAILED, "server"),
    "-- say message": (Grade.FAILED, "server: unknown"), "-- say mute": (Grade.FAILED, "server: it did not print"),
    "-- say twice": (Grade.FAILED, "server"), "macro \"x\" : term => `(True)": (Grade.WRONG, "forbidden_command: macro"),
    "set_option debug.skipKernelTC true": (Grade.WRONG, "forbidden"), "#eval 1": (Grade.WRONG, "forbidden"),
    "def s := \"/-\"\nnotation \"Nat\" => Unit\ndef t := \"-/\"": (Grade.WRONG, "forbidden_command: notation"),
}  # fmt: skip


@pytest.mark.parametrize("route", ["verify", "check"])
def test_verdicts_of_both_routes(server, route):
    texts = [f"<think> t </think>\n```lean4\n{extra}\n{GOOD}\n```\n" for extra in CASES]
    found = verify([problem()] * len(texts), texts, {"lean": verifier(server, route=route, batch=4)})
    for verdict, (grade, reason) in zip(found, CASES.values(), strict=True):
        assert verdict.grade is grade and verdict.reason.startswith(reason), verdict
    assert {path for path, *_ in server.seen} == {"/verify" if route == "verify" else "/api/check"}
    assert len(server.seen) == 3  # eleven texts that are not refused, four per request


def test_the_statement_stands_before_the_answer_under_a_name_nobody_knows(server):
    judge([problem()] * 2, [GOOD, GOOD + " -- again"], {"lean": verifier(server)})
    first, second = [row["proof"] for row in server.seen[0][1]["codes"]]
    target = re.search(r"def (target_\w+) : Prop := \(" + re.escape(STATEMENT), first).group(1)
    assert first.index(target) < first.index(GOOD) < first.index(f"_root_.{target} := proof")
    assert target not in second


def test_a_busy_server_is_asked_again_and_then_given_up(server, monkeypatch):
    monkeypatch.setenv("LEAN_SERVER_KEY", "k")
    server.busy = 2
    assert judge([problem()], [GOOD], {"lean": verifier(server, tries=3)})[0].grade is Grade.RIGHT
    assert {key for *_, key in server.seen} == {"Bearer k"}
    server.busy = 9
    (verdict,) = judge([problem()], [GOOD], {"lean": verifier(server, tries=2)})
    assert verdict.grade is Grade.FAILED and "429" in verdict.reason
    server.busy, server.status = 0, 500
    assert judge([problem()], [GOOD], {"lean": verifier(server)})[0].grade is Grade.FAILED


def test_a_server_that_is_not_there_or_refuses_the_key(server, monkeypatch):
    server.status = 401
    with pytest.raises(VerifierUnavailable, match="LEAN_SERVER_KEY"):
        judge([problem()], [GOOD], {"lean": verifier(server)})
    gone = LeanVerifier(url="http://127.0.0.1:9", timeout_s=60)
    assert judge([problem()], [GOOD], {"lean": gone})[0].grade is Grade.FAILED
    monkeypatch.delenv("LEAN_SERVER_URL", raising=False)
    with pytest.raises(VerifierUnavailable, match="LEAN_SERVER_URL"):
        LeanVerifier()


@pytest.mark.parametrize("gold", ['{"name": "proof"}', '{"statement": "x", "name": "a b"}', "{"])
def test_a_statement_that_cannot_be_read_fails_nobody(server, gold):
    (verdict,) = judge([problem(gold)], [GOOD], {"lean": verifier(server)})
    assert verdict.grade is Grade.FAILED and verdict.reason.startswith("bad_check")
