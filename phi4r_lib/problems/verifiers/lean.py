"""The verifier `lean`: a proof that a Lean server accepts, through the protocol of the Kimina Lean Server.

The problem's `answer` is the statement ("∀ n : Nat, n + 0 = n") or JSON `{"statement", "preamble", "name"}` as for
`coq`. Our statement stands before the answer under a name that nobody can guess; behind it a theorem of that type is
taken from the answer's, and what it rests on is printed. Right: no error, no sorry, no axiom beyond propext,
Classical.choice and Quot.sound. Wrong: "error: ...", "sorry", "axioms: ...", "forbidden_command: ..." (what could give our own lines
another meaning; comments count, for they can be made to hide it). Could not be graded: time-outs, a server that is busy (429) or not there, errors of its REPL, no axioms printed.

Two routes: "verify" (POST /verify) and "check" (POST /api/check). A key, where the server wants one, comes from the
environment variable LEAN_SERVER_KEY. Not here: Lean itself; our tests speak to a local server that knows the protocol
and is not Lean.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, fenced, visible
from phi4r_lib.problems.verify import Verdict, VerifierUnavailable

ALLOWED = ("propext", "Classical.choice", "Quot.sound")
FORBIDDEN = re.compile(
    r"\b(macro|macro_rules|syntax|elab|elab_rules|notation|infixl?|infixr|prefix|postfix|declare_syntax_cat|initialize|run_cmd"
    r"|run_elab|set_option|unsafe|implemented_by|extern|reduceBool|import)\b|#\w+|\bopen\s+Lean\b|\bLean\.Elab\b"
)
_NAME = re.compile(r"[A-Za-z_][\w'.]*")
_AXIOMS = re.compile(r"depends on axioms:\s*\[(.*?)\]", re.DOTALL)


class LeanVerifier:
    """Formal proofs on a server at `url`; `timeout_s` per proof, `batch` proofs per request, `tries` when it is busy."""

    def __init__(
        self,
        url: str = "",
        route: Literal["verify", "check"] = "verify",
        timeout_s: float = 60.0,
        batch: int = 16,
        tries: int = 3,
        wait_s: float = 5.0,
        allowed: Sequence[str] = ALLOWED,
    ):
        self.url = (url or os.environ.get("LEAN_SERVER_URL", "")).rstrip("/")
        if not self.url:
            raise VerifierUnavailable(
                "the verifier 'lean' needs a Kimina Lean Server: set LEAN_SERVER_URL, or `verifiers: {lean: {url: ...}}`"
            )
        if route not in ("verify", "check"):
            raise ValueError(f"route is 'verify' or 'check', got {route!r}")
        self.route, self.timeout_s, self.batch, self.tries, self.wait_s = route, timeout_s, batch, tries, wait_s
        self.allowed = set(allowed)

    def extract(self, text: str) -> str | None:
        """The last block of Lean, else what stands after the thinking if it holds a theorem."""
        shown = visible(text) or ""
        bare = shown if re.search(r"^\s*(?:theorem|lemma)\b", shown, re.MULTILINE) and "```" not in shown else None
        return fenced(text, ("lean", "lean4", "")) or bare

    def example(self, problem: Problem) -> str | None:
        """A known proof, for checking the problem itself."""
        return problem.meta.get("proof")

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts of the server, `batch` proofs per request."""
        found: dict[int, Verdict] = {}
        sources: dict[int, tuple[str, str]] = {}
        for place, (answer, problem) in enumerate(zip(answers, problems, strict=True)):
            if bad := FORBIDDEN.search(answer):
                found[place] = Verdict.wrong(answer, f"forbidden_command: {bad.group().strip()}")
                continue
            try:
                sources[place] = source(answer, problem)
            except BadCheck as error:
                found[place] = Verdict.failed(answer, f"bad_check: {error}")
        places = list(sources)
        for start in range(0, len(places), self.batch):
            some = places[start : start + self.batch]
            results = self._ask({str(place): sources[place][0] for place in some})
            for place in some:
                found[place] = self._verdict(answers[place], results.get(str(place)), sources[place][1])
        return [found[place] for place in range(len(answers))]

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[None]:
        """None: many proofs are right."""
        return [None] * len(answers)

    def _ask(self, codes: Mapping[str, str]) -> dict[str, Any]:
        """{id: result} of the server; a request that fails gives {"error"} for every id of it."""
        if self.route == "verify":
            rows = [{"custom_id": name, "proof": code} for name, code in codes.items()]
            path, body = "/verify", {"codes": rows, "timeout": self.timeout_s, "infotree_type": None}
        else:
            rows = [{"id": name, "code": code} for name, code in codes.items()]
            path, body = "/api/check", {"snippets": rows, "timeout": self.timeout_s, "reuse": True}
        try:
            results = self._post(path, body)["results"]
            return {str(row.get("custom_id", row.get("id"))): row for row in results}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return {name: {"error": f"server: {error}"} for name in codes}

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("LEAN_SERVER_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        for attempt in range(1, self.tries + 1):
            try:
                with urllib.request.urlopen(
                    request, timeout=self.timeout_s * len(next(iter(body.values()))) + 60
                ) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                if error.code in (401, 403):
                    raise VerifierUnavailable(f"{self.url} refuses the key: set LEAN_SERVER_KEY") from None
                if error.code != 429 or attempt == self.tries:
                    raise
                time.sleep(self.wait_s * attempt)

    def _verdict(self, answer: str, result: Any, check: str) -> Verdict:
        """right, wrong or could not be graded, from one result of the server."""
        if not isinstance(result, dict):
            return Verdict.failed(answer, "server: no result")
        response = result.get("response")
        if result.get("error") or not isinstance(response, dict) or "message" in response:
            said = result.get("error") or (response or {}).get("message") or "no response"
            return Verdict.failed(answer, ("time: " if "timed out" in str(said) else "server: ") + str(said)[:200])
        messages = response.get("messages") or []
        errors = [one for one in messages if one.get("severity") == "error"]
        if errors:
            return Verdict.wrong(answer, f"error: {str(errors[0].get('data'))[:200]}", 0.1)
        if response.get("sorries"):
            return Verdict.wrong(answer, "sorry")
        said = [str(one.get("data")) for one in messages if f"{check}'" in str(one.get("data"))]
        return self._by_axioms(answer, said)

    def _by_axioms(self, answer: str, said: Sequence[str]) -> Verdict:
        if len(said) != 1:
            return Verdict.failed(answer, "server: it did not print the axioms")
        if "does not depend on any axioms" in said[0]:
            return Verdict.right(answer)
        listed = _AXIOMS.search(said[0])
        if not listed:
            return Verdict.failed(answer, f"server: {said[0][:200]}")
        beyond = [name for name in re.split(r"[,\s]+", listed.group(1).strip()) if name not in self.allowed]
        return Verdict.wrong(answer, f"axioms: {', '.join(beyond)}") if beyond else Verdict.right(answer)


def source(answer: str, problem: Problem) -> tuple[str, str]:
    """(what the server gets, name of our theorem in it): our statement, the answer, our theorem, its axioms."""
    text = problem.answer or ""
    try:
        given = json.loads(text) if text.lstrip().startswith("{") else {"statement": text}
        statement, name = given["statement"], given.get("name", "proof")
    except (ValueError, KeyError, TypeError) as error:
        raise BadCheck(f"need a statement, and the name of a theorem ({error!r})") from None
    if not _NAME.fullmatch(name):
        raise BadCheck(f"{name!r} is no name of a theorem")
    mark = secrets.token_hex(8)
    preamble = (given.get("preamble") or "").strip()
    proof = answer.strip().removeprefix(preamble).strip()
    lines = [preamble, f"def target_{mark} : Prop := ({statement})", proof]
    lines += [f"theorem check_{mark} : _root_.target_{mark} := {name}", f"#print axioms check_{mark}"]
    return "\n\n".join(line for line in lines if line) + "\n", f"check_{mark}"
