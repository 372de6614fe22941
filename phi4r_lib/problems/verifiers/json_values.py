"""The verifier `json`: an object (or any JSON value) that fits a schema and holds required values.

The problem's `answer` is JSON: the values that have to be there; an object may hold more than these, a list may not.
`meta["schema"]` may hold a JSON Schema (draft 2020-12). Right: the last JSON value of the text fits the schema and has
every required value, true distinct from 1. Wrong: "no_json" (with strict JSON: no NaN, no key twice), "schema: where",
"wrong_value: where", "missing: where"; the score is the share of required values that are there. Could not be graded:
a bad schema, a pattern that takes too long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, check_of, fenced, one_by_one, visible
from phi4r_lib.problems.verify import Verdict

DEEPEST = 64  # levels of nesting; ours


class JsonVerifier:
    """Structured output; patterns of the schema run at most `pattern_s` seconds each."""

    def __init__(self, pattern_s: float = 0.5):
        self.pattern_s = pattern_s

    def extract(self, text: str) -> str | None:
        """The last JSON block, else the last JSON object or array that ends the text."""
        return fenced(text, ("json", "")) or _at_the_end(visible(text) or "")

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by schema and values."""
        return one_by_one(self._judge, answers, problems)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[str | None]:
        """The value in a canonical spelling; what is no JSON never votes."""
        return [_canonical(answer) for answer in answers]

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        wanted = check_of(problem)
        try:
            found = strict_json(answer)
        except ValueError as error:
            return Verdict.wrong(answer, f"no_json: {error}")
        fault = self._schema_fault(found, problem.meta.get("schema"))
        differences = list(_differences(wanted, found, "$"))
        leaves = max(_leaves(wanted), 1)
        score = max(0.0, 1 - len(differences) / leaves)
        if fault:
            return Verdict.wrong(answer, f"schema: {fault}", score / 2)
        return Verdict.wrong(answer, differences[0], score) if differences else Verdict.right(answer)

    def _schema_fault(self, found: Any, schema: Any) -> str | None:
        if schema is None:
            return None
        if "patternProperties" in json.dumps(schema):
            raise BadCheck("schema: patternProperties has no time limit here; name the properties")
        import jsonschema
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        checker = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": self._pattern})
        try:
            checker.check_schema(schema)
            # An empty registry: a schema may refer to itself, never to an address.
            error = next(checker(schema, registry=Registry()).iter_errors(found), None)
        except (jsonschema.SchemaError, Unresolvable, TimeoutError) as error:
            raise BadCheck(f"schema: {type(error).__name__} {str(error).splitlines()[0]}") from None
        return f"{error.json_path} {error.validator}" if error else None

    def _pattern(self, validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        import regex
        from jsonschema import ValidationError

        if isinstance(instance, str) and not regex.search(pattern, instance, timeout=self.pattern_s):
            yield ValidationError(f"does not match {pattern}")


def strict_json(text: str) -> Any:
    """A JSON value; raises ValueError for anything that strict parsers refuse, and for nesting beyond DEEPEST."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key appears twice")
        return dict(pairs)

    depth = deepest = 0
    for char in text:
        depth += (char in "[{") - (char in "]}")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise ValueError("too deep")
    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)


def _at_the_end(text: str) -> str | None:
    """The longest JSON object or array that the text ends with."""
    decoder, text = json.JSONDecoder(), text.rstrip().rstrip("`").rstrip()
    starts = [place for place, char in enumerate(text) if char in "[{"][:200]
    for start in starts:
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if end == len(text):
            return text[start:]
    return None


def _canonical(answer: str) -> str | None:
    try:
        return json.dumps(strict_json(answer), sort_keys=True)
    except ValueError:
        return None


def _differences(wanted: Any, found: Any, where: str) -> Iterator[str]:
    """One reason per required value that is missing or another."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from _differences(value, found[key], f"{where}.{key}")
            else:
                yield f"missing: {where}.{key}"
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for place, pair in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(*pair, f"{where}[{place}]")
    elif isinstance(wanted, bool) != isinstance(found, bool) or wanted != found:
        yield f"wrong_value: {where}"


def _leaves(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if inner is None else sum(_leaves(one) for one in inner)
