"""Numbers that no run can mean, and settings at odds with each other: found before anything starts.

Limits go by what a setting's name says it counts. In sections of somebody else's notebooks a name may mean something else:
they get none. Not here: types and signs (sections.py), files and models (planning/preflight.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from pydantic import BaseModel

from phi4r_lib.cookbook.settings.sections import Profile

TOKENS = 2**24  # no model has such a context; ours, as all of these
ANSWERS = 100_000  # per problem, or per seed
COUNT = 10**9
LIMITS: tuple[tuple[tuple[str, ...], float], ...] = (  # (last words of the name, most)
    (("temperature", "cool_to"), 10),
    (("rate", "gain", "margin"), 1),
    (("block", "length", "max_tokens", "rl_tokens", "reward_context", "l_pos", "l_neg"), TOKENS),
    (("samples", "runs", "group", "rollouts", "votes", "tries", "resolves", "pilot", "batch"), ANSWERS),
    (("seed",), 2**32),
)
LEAST_STEPS = 4  # of GRPO: two at either end have a spread (train/review.py)
LEAST_ROOM = 4  # a block holds at least this part of the longest trace


def beyond(profile: Profile) -> str | None:
    """The first number outside of what its name can mean, in words; None where there is none."""
    for key, value in _numbers(profile):
        most = next((most for words, most in LIMITS if key.endswith(words)), COUNT)
        if value > most:
            return f"'{key}': {value:,.15g} is more than it can mean; it is at most {most:,.15g}"
    return None


def _numbers(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, int | float]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel) and type(value).__module__.startswith("phi4r_lib."):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, value


def at_odds(profile: Profile, due: Set[str]) -> str | None:
    """What the notebooks of these numbers would fail at, or leave out without a word, whatever the data; None for nothing."""
    edge, sft, grpo = profile.edge, profile.sft, profile.grpo
    if "01" in due and edge.pilot > edge.max_samples:
        return f"edge.pilot ({edge.pilot}) is above edge.max_samples ({edge.max_samples}); lower it"
    if {"02", "03"} <= due and sft.block * LEAST_ROOM < profile.teach.max_tokens:
        return (
            f"sft.block ({sft.block}) holds less than a quarter of a trace of teach.max_tokens ({profile.teach.max_tokens}), "
            "and longer traces are left out; raise it, or lower teach.max_tokens"
        )
    return _grpo_at_odds(grpo) if "04" in due else None


def _grpo_at_odds(grpo: Any) -> str | None:
    if grpo.steps < LEAST_STEPS:
        few = f"grpo.steps is {grpo.steps}: notebook 04 compares the first steps with the last"
        return f"{few} and needs {LEAST_STEPS} at least"
    if fault := grpo.uneven():
        return fault
    if grpo.take is not None and grpo.take < grpo.prompts:
        return f"grpo.take ({grpo.take}) is below grpo.prompts ({grpo.prompts}): no step would be full; raise it"
    if grpo.cool_to is not None and grpo.cool_to > grpo.temperature:
        return f"grpo.cool_to ({grpo.cool_to}) is above grpo.temperature ({grpo.temperature}), and it only falls"
    return None
