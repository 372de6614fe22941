"""What options of the command line may say: none blank, none twice, none without effect.

Not here: which options there are (commands.py), and what a profile may hold (sections.py, limits.py).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.profile import nested, parse_set


def refuse_blanks(args: argparse.Namespace) -> None:
    """Raises UserError for an option given as "": a variable that was empty, never a wish for the default."""
    for option, name in (
        ("out", "out"),
        ("only", "only"),
        ("from", "start"),
        ("seeds", "seeds"),
        ("profile", "profile"),
        ("budget", "budget"),
        ("costs", "costs"),
        ("device", "device"),
        ("notebooks", "notebooks"),
    ):
        value = getattr(args, name, None)
        if any(not text.strip() for text in ([value] if isinstance(value, str) else value or [])):
            raise UserError(f"--{option} is empty; give a value, or leave the option out")


def refuse_idle(args: argparse.Namespace, overrides: Any, mapping: Any) -> None:
    """Raises UserError for an option of `run` or `plan` that another one leaves without effect."""
    if mapping and not args.seeds:
        raise UserError("--map renames fields of a seeds file; give that file with --seeds")
    if args.everything and args.only:
        raise UserError("--all and --only exclude each other: --only alone says what runs")
    for option, section in (("seeds", "data.seeds"), ("seeds", "data.map"), ("seeds", "data.gold"), ("notebooks",) * 2):
        if getattr(args, option) and section in flat(nested(overrides)):
            raise UserError(f"--{option} and --set {section} say the same thing; give one of them")
    for option, values in (("only", numbers(args.only)), ("seeds", args.seeds), ("notebooks", args.notebooks)):
        for value in values or ():
            if values.count(value) > 1:
                raise UserError(f"--{option} {value} is given twice; give it once")


def flat(change: Mapping[str, Any]) -> set[str]:
    """{"data": {"map": {"prompt": "q"}}} as {"data", "data.map"}: sections, and what is set in them."""
    inner = [(key, value) for key, value in change.items() if isinstance(value, Mapping)]
    return {*change, *(f"{key}.{name}" for key, value in inner for name in value)}


def sets_of(texts: Sequence[str]) -> dict[str, Any]:
    """["edge.limit=5"] as {"edge.limit": 5}; raises UserError for a setting given twice."""
    pairs = [parse_set(text) for text in texts]
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f"--set {key} is given twice; give it once")
    return dict(pairs)


def numbers(names: Sequence[str] | None) -> list[str] | None:
    """["3", "04_grpo"] as ["03", "04"]; raises UserError for what is neither a number nor the name of one notebook."""
    for name in names or ():
        if not re.fullmatch(r"[0-9]{1,2}|[0-9]{2}_\w+(\.ipynb)?", name):
            raise UserError(f"there is no notebook {name!r}; give one number such as 03 (--only can be repeated)")
    return [name[:2].zfill(2) for name in names] if names else None
