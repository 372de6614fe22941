"""Rows of other people's data sets as problems: which of their fields becomes what.

A mapping {ours: theirs} (`--map ours=theirs`) names what differs, and same-named fields come along by themselves:
- theirs is a field, a dotted path ("reward_model.ground_truth", "answers.0", "messages.-1.content"), several texts one below the other
  ("Body+Question"), "=text" for a constant, or "#" for what a
  missing field gets: id FILE-LINE, source the file's name, licence "unknown", domain "math" unless the file has one.
- prompt: text, or a list of messages with one user turn; a system message goes to meta.system.
- answer: text, a number, or a list of one. Of a worked solution ("#### 7", a box) the answer at its end, the whole in
  meta.solution. For a verifier other than "math" the answer stays as it is, lists and objects as JSON. Words that say there is none (NO_ANSWER) count as none; "proof" makes the problem an open one.
- choices: a list, {label: text} or {"text": [...], "label": [...]}; rendered below the prompt as "A) ..." unless the
  prompt shows them. A whole number as answer is then a position counted from 0, and the text of a choice its label.
- everything else goes to meta, nothing is lost.
Not here: reading files (rows.py) and what makes a problem valid (schema.py).
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from string import ascii_uppercase
from typing import Any

from phi4r_lib.problems.answers import extract_answer
from phi4r_lib.problems.rows import Place, ProblemFileError, Spelled

NO_ANSWER = ("", "proof", "notfound", "not found", "n/a", "no answer", "not provided", "see solution", "nan")
OPTIONS = ("choices", "options", "candidates", "endings")  # usual names of choices, to be named when they are left out
TEXTS = ("source", "licence", "domain", "answer_type", "parent_id", "verifier")
_INDEX = re.compile(r"-?[0-9]+")
_LABELLED = re.compile(r"\(?([A-Za-z0-9])[).:]\s")


def check_mapping(mapping: Mapping[str, str], fields: Collection[str]) -> None:
    """Raises ProblemFileError for a name on the left that no problem has, with the nearest that one has."""
    known = [*fields, "choices"]
    for name in mapping:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known)}"
            raise ProblemFileError(f"--map {name}=...: a problem has no field '{name}'; {hint}")


def map_fields(
    row: Mapping[str, Any],
    place: Place,
    mapping: Mapping[str, str],
    fields: Mapping[str, Any],
    notes: Counter[str],
    domain: str = "math",
) -> dict[str, Any]:
    """The fields of a problem (a key of `fields`) that a foreign row holds, as the module says; `notes` counts oddities.

    Raises ProblemFileError with place and field where a mapped field is absent or of a kind that has no meaning.
    """
    found, used = _picked(row, place, mapping, fields)
    found |= {name: path[1:] for name, path in mapping.items() if path.startswith("=")}
    meta = {key: value for key, value in row.items() if key not in used}
    if isinstance(found.get("meta"), Mapping):
        meta |= found.pop("meta")
    if "prompt" in found:
        found["prompt"] = _prompt(found["prompt"], place, meta, notes)
    if "id" in found:
        found["id"] = _number_as_text(found["id"])
    choices = _choices(found.pop("choices"), place) if found.get("choices") is not None else {}
    found.pop("choices", None)
    if "answer" in found:
        found |= _answer(found["answer"], place, choices, meta, notes, found.get("verifier", "math"))
    if choices and isinstance(found.get("prompt"), str):
        found["prompt"] = _with_choices(found["prompt"], choices, notes)
        found.setdefault("answer_type", "text")
        if all(label in ascii_uppercase[:10] for label in choices):
            found.setdefault("verifier", "choice")
            meta.setdefault("choices", list(choices.values()))
    for name in OPTIONS:
        if not choices and isinstance(row.get(name), (list, dict)) and name in meta:
            notes[
                f"field '{name}' looks like choices that the prompt does not show; --map choices={name} shows them"
            ] += 1
    return _defaults(place, domain) | found | {"meta": meta}


def _picked(row, place: Place, mapping, fields) -> tuple[dict[str, Any], set[str]]:
    """Values of mapped and same-named fields, and the names of the row's fields that they use up."""
    found: dict[str, Any] = {}
    used: set[str] = set()
    for ours, theirs in mapping.items():
        if theirs != "#" and not theirs.startswith("="):
            paths = [theirs] if theirs in row else theirs.split("+")
            values = [_at(row, path, place, ours) for path in paths]
            found[ours] = values[0] if len(paths) == 1 else "\n".join(str(value) for value in values if value)
            used |= set(paths)
    for name, theirs in [*((name, name) for name in (*fields, "choices")), ("licence", "license")]:
        value = row.get(theirs)
        if name in mapping or name in found or theirs in used or not _usable(name, value, fields):
            continue
        found[name] = value
        used.add(theirs)
    return found, used


def _usable(name: str, value: Any, fields: Mapping[str, Any]) -> bool:
    """Whether a same-named field means what ours means; if not, it is kept in meta."""
    if value is None:
        return False
    if name == "answer_type":
        return value in getattr(fields[name].annotation, "__args__", ())
    if name in TEXTS:
        return isinstance(value, str) and bool(value.strip())
    return isinstance(value, Mapping) if name == "meta" else name != "id" or isinstance(value, (str, int, float))


def _at(row: Any, path: str, place: Place, ours: str) -> Any:
    """The value at a dotted path; a field whose own name holds the dots wins."""
    if isinstance(row, Mapping) and path in row:
        return row[path]
    value = row
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and -len(value) <= int(part) < len(value):
            value = value[int(part)]
        else:
            names = ", ".join(sorted(value)[:12]) if isinstance(value, Mapping) else type(value).__name__
            names += f" of {len(value)}" if isinstance(value, list) else ""
            raise ProblemFileError(f"{place}: field '{path}' (mapped to '{ours}') is missing; found {names or 'none'}")
    return value


def _defaults(place: Place, domain: str) -> dict[str, str]:
    stem = place.path.name.split(".")[0]
    return {"id": f"{stem}-{place.number}", "domain": domain, "source": place.path.name, "licence": "unknown"}


def _number_as_text(value: Any) -> Any:
    """Numbers as people write them: 2 and 2.0 as "2"; everything else unchanged."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    whole = isinstance(value, float) and not isinstance(value, Spelled) and value.is_integer()
    return str(int(value)) if whole and abs(value) < 1e15 else str(value)


def _prompt(value: Any, place: Place, meta: dict[str, Any], notes: Counter[str]) -> Any:
    if not isinstance(value, list):
        return value
    turns = [(turn.get("role"), _content(turn, place)) for turn in value if isinstance(turn, Mapping)]
    roles = [role for role, _ in turns]
    if len(turns) < len(value) or roles not in (["user"], ["system", "user"]):
        raise ProblemFileError(f"{place}: field 'prompt': need a list of messages with one user turn, found {roles}")
    if roles[0] == "system":
        meta.setdefault("system", turns[0][1])
        notes["system messages kept in meta.system, not shown to the models"] += 1
    return turns[-1][1]


def _content(turn: Mapping[str, Any], place: Place) -> str:
    content = turn.get("content")
    if isinstance(content, list) and all(isinstance(part, Mapping) and "text" in part for part in content):
        content = "\n".join(str(part["text"]) for part in content)
    if not isinstance(content, str):
        raise ProblemFileError(f"{place}: field 'prompt': a message without text; pictures and tools cannot be used")
    return content


def answer_text(value: Any, place: Place, verifier: str = "math") -> str | None:
    """The answer as text: numbers as written, a list of one as its element; raises ProblemFileError for other kinds.

    A verifier other than "math" may compare with more than one value (tests, say): lists and objects become JSON for it.
    """
    if isinstance(value, (list, dict)) and value and verifier != "math":
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        if len(value) > 1:
            raise ProblemFileError(
                f"{place}: field 'answer': {len(value)} answers; write them as one text, or map answer=FIELD.0 for the first"
            )
        value = value[0] if value else None
    if isinstance(value, float) and math.isinf(value):
        raise ProblemFileError(
            f"{place}: field 'answer': {value} is no finite number; write it as text, such as \\infty"
        )
    value = _number_as_text(value)
    if value is None or isinstance(value, str):
        return value
    raise ProblemFileError(
        f"{place}: field 'answer': found {type(value).__name__}, need text or a number (a dotted --map reaches inside)"
    )


def no_answer(text: str) -> bool:
    """Whether an answer says that there is none."""
    return text.strip().lower() in NO_ANSWER


def _answer(
    value: Any, place: Place, choices: Mapping[str, str], meta: dict[str, Any], notes: Counter[str], verifier: str
) -> dict[str, Any]:
    if choices and isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < len(choices):
            raise ProblemFileError(
                f"{place}: field 'answer': {value} is no position among {len(choices)} choices (from 0)"
            )
        notes["answers given as positions of a choice, counted from 0"] += 1
        return {"answer": list(choices)[value]}
    text = answer_text(value, place, verifier)
    if text is None or verifier != "math":
        return {"answer": text}
    labels = {choice: label for label, choice in choices.items()}
    if text in labels and text not in choices:
        return {"answer": labels[text]}
    if no_answer(text):
        notes[f"answers {text.strip()!r} count as none"] += 1
        return {"answer": None} | ({"answer_type": "open"} if text.strip().lower() == "proof" else {})
    if ("####" in text or "boxed" in text) and (final := extract_answer(text)):
        meta.setdefault("solution", text)
        notes["worked solutions cut to the answer at their end, kept in meta.solution"] += 1
        return {"answer": final}
    return {"answer": text}


def _choices(value: Any, place: Place) -> dict[str, str]:
    """{label: text} of choices in any of the usual forms."""
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        value = dict(zip(value.get("label") or ascii_uppercase, value["text"], strict=False))
    if isinstance(value, list) and 0 < len(value) <= len(ascii_uppercase):
        value = dict(zip(ascii_uppercase, value, strict=False))
    if not isinstance(value, Mapping) or not all(isinstance(text, (str, int, float)) for text in value.values()):
        raise ProblemFileError(f"{place}: field 'choices': need a list of texts, or an object of label and text")
    return {str(label): str(text) for label, text in value.items()}


def _with_choices(prompt: str, choices: Mapping[str, str], notes: Counter[str]) -> str:
    if all(text in prompt for text in choices.values()):
        notes["prompts that show their choices already"] += 1
        return prompt
    notes["prompts with their choices rendered below"] += 1
    marks = [_LABELLED.match(text) for text in choices.values()]
    labelled = all(mark and mark.group(1) == label for mark, label in zip(marks, choices, strict=True))
    lines = choices.values() if labelled else (f"{label}) {text}" for label, text in choices.items())
    return prompt.rstrip() + "\n\n" + "\n".join(lines)
