"""One question to several models, their answers side by side as plain text. Not here: dialogues of several turns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from phi4r_lib.models.engine import Engine, SamplingSettings, as_messages

WIDTH = 110  # characters per line
LINES = 8  # of an answer at most


def side_by_side(
    question: str,
    engines: Mapping[str, Engine],
    *,
    systems: Mapping[str, str | None] | None = None,
    settings: SamplingSettings | None = None,
) -> str:
    """The first sample of each engine for the same question, under its name; greedy unless `settings` says otherwise.

    `systems` gives the system message of an engine by its name; those without get none. A text that was cut off at the limit
    and an engine's fault say so; of a long one LINES lines are shown.
    """
    settings = settings or SamplingSettings(temperature=0.0, max_tokens=160)
    lines = textwrap.wrap(question, WIDTH)
    width = max(map(len, engines), default=0)
    for name, engine in engines.items():
        sample = engine.sample([as_messages(question, (systems or {}).get(name))], settings)[0][0]
        told = (sample.error and f"({sample.error})") or sample.text + (" ... (cut off)" if sample.truncated else "")
        indent = " " * (width + 2)
        wrapped = textwrap.wrap(told, WIDTH, initial_indent=f"{name:<{width}}  ", subsequent_indent=indent) or [name]
        lines += wrapped if len(wrapped) <= LINES else [*wrapped[:LINES], f"{indent}..."]
    return "\n".join(lines)
