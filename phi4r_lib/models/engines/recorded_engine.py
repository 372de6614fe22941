"""A recorded teacher: answers from a file (human solutions, an earlier run, another lab's traces) behind the engine interface.

A prompt is looked up by its text, white space aside; its recorded answers are samples 0, 1, ... in the order of the file.
What comes out goes through the same acceptance checks as a model's answers. Not here: whether an answer is right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phi4r_lib.models.engine import (
    EngineError,
    EngineSpec,
    Message,
    Progress,
    Prompt,
    Sample,
    SamplingSettings,
    as_messages,
    engine_name,
)
from phi4r_lib.models.thinking import THINK_CLOSE, THINK_OPEN
from phi4r_lib.problems.answers import extract_answer
from phi4r_lib.problems.fingerprint import fingerprint
from phi4r_lib.problems.rows import Place, ProblemFileError, read_rows

# Our name of a field: the names it may have in a file, first found first taken; `fields` in the options names others.
FIELDS = {
    "prompt": ("prompt", "question", "problem", "input"),
    "text": ("text", "completion", "response", "solution", "generation", "output"),
    "thinking": ("thinking", "reasoning", "reasoning_content", "thought"),
    "answer": ("answer", "final_answer"),
    "tokens": ("tokens", "n_tokens", "completion_tokens"),
    "truncated": ("truncated",),
}
_TAIL = re.compile(r"\s*####[^\n]*\s*$")


class RecordedEngine:
    """`model` is the file (JSONL, JSON, CSV or Parquet), option `fields` maps {our name: its name} (see FIELDS).

    A row holds a prompt with a text, or `messages` that end with the assistant's; several rows may share a prompt, and a
    text may be a list of texts. Where a text has no think tags: a thinking field becomes the think block and the text
    the solution; else the worked solution becomes the think block and its final answer (the answer field, or what the
    text states) the solution, in a box; without any final answer the text stays as it is. `tokens` are the file's,
    else words. A prompt or a sample number that the file does not have is a Sample with `error`: ask no more samples
    than there are (edge.teacher_samples and the like). Raises EngineError for a file that cannot be used.
    """

    seedable = True  # the same numbers give the same texts

    def __init__(self, spec: EngineSpec):
        unknown = set(spec.options) - {"fields"} or set(spec.options.get("fields", {})) - set(FIELDS)
        if unknown:
            raise EngineError(f"recorded engine: unknown {sorted(unknown)}; option `fields` maps {', '.join(FIELDS)}")
        fields = {name: (given,) for name, given in spec.options.get("fields", {}).items()}
        try:
            rows = list(read_rows(spec.model))
            self.answers = _by_prompt(rows, FIELDS | fields)
        except ProblemFileError as error:
            raise EngineError(f"recorded engine: {error}") from None
        if not self.answers:
            raise EngineError(f"recorded engine: {spec.model} holds no answers")
        mark = fingerprint([[prompt, texts] for prompt, texts in self.answers.items()], length=8)
        self.name = engine_name("recorded", Path(spec.model).name, mark)

    def sample(
        self, prompts: Sequence[Prompt], settings: SamplingSettings, progress: Progress | None = None
    ) -> list[list[Sample]]:
        """The recorded answers numbered settings.first .. first + n - 1; one with more than max_tokens counts as truncated."""
        numbers = range(settings.first, settings.first + settings.n)
        found = [[self._one(prompt, index, settings.max_tokens) for index in numbers] for prompt in prompts]
        if progress:
            progress(len(prompts) * settings.n, len(prompts) * settings.n)
        return found

    def close(self) -> None:
        """Nothing to free."""

    def _one(self, prompt: Prompt, index: int, most: int) -> Sample:
        recorded = self.answers.get(_plain(as_messages(prompt)[-1]["content"]), [])
        if index >= len(recorded):
            said = f"answer {index} of this prompt is not in the file" if recorded else "this prompt is not in the file"
            return Sample(text="", tokens=0, index=index, error=said)
        text, tokens, truncated = recorded[index]
        return Sample(text=text, tokens=tokens, truncated=truncated or tokens > most, index=index)


def _by_prompt(rows: Sequence[tuple[Place, Mapping[str, Any]]], fields) -> dict[str, list[tuple[str, int, bool]]]:
    found: dict[str, list[tuple[str, int, bool]]] = {}
    for place, row in rows:
        values = {
            name: next((row[one] for one in names if row.get(one) is not None), None) for name, names in fields.items()
        }
        if isinstance(row.get("messages"), list):
            values["prompt"], values["text"] = _spoken(row["messages"], place)
        texts = values["text"] if isinstance(values["text"], list) else [values["text"]]
        if not isinstance(values["prompt"], str) or not all(isinstance(text, str) and text.strip() for text in texts):
            names = ", ".join(map(str, row)) or "nothing"
            raise ProblemFileError(
                f"{place}: needs a prompt and a text (found {names}); name them with the option `fields`"
            )
        for text in texts:
            whole = as_completion(text, values["thinking"], values["answer"])
            tokens = int(values["tokens"]) if values["tokens"] is not None else len(whole.split())
            found.setdefault(_plain(values["prompt"]), []).append(
                (whole, tokens, values["truncated"] in (True, "true", "True"))
            )
    return found


def _spoken(messages: Sequence[Message], place: Place) -> tuple[str, str]:
    try:
        user = [one["content"] for one in messages if one["role"] == "user"]
        said = messages[-1]
        return user[-1], said["content"] if said["role"] == "assistant" else ""
    except (KeyError, TypeError, IndexError):
        raise ProblemFileError(
            f"{place}: messages need role and content, a user's and at last the assistant's"
        ) from None


def as_completion(text: str, thinking: str | None = None, answer: str | None = None) -> str:
    """A recorded text as a completion with one think block, as far as the text allows (see RecordedEngine)."""
    if THINK_OPEN in text or THINK_CLOSE in text:
        return text
    if thinking:
        return f"{THINK_OPEN} {thinking.strip()} {THINK_CLOSE} {text.strip()}"
    final = str(answer).strip() if answer is not None else extract_answer(text)
    if final and "####" in final:
        final = extract_answer(final)
    if not final:
        return text
    return f"{THINK_OPEN} {_TAIL.sub('', text).strip()} {THINK_CLOSE} \\boxed{{{final}}}"


def _plain(text: str) -> str:
    return " ".join(text.split())
