"""A class by its name in a profile: a short name from one table, or an import path "package.module:Class".

The one rule for verifiers and engines. Nothing registers itself and nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


class UnknownNameError(ValueError):
    """A name that is neither in the table nor an import path that works; the message says which names exist."""


def check_name(name: str, table: Mapping[str, str], what: str) -> str:
    """The name, when it is in the table or has the form of an import path; raises UnknownNameError. Imports nothing."""
    module, colon, attribute = table.get(name, name).partition(":")
    if not (colon and module and attribute):
        known = "".join(f"'{short}', " for short in sorted(table))
        raise UnknownNameError(f"there is no {what} '{name}'; take {known}or write 'package.module:Class'")
    return name


def named_class(name: str, table: Mapping[str, str], what: str) -> Any:
    """The class that `name` stands for; `what` ("verifier", "engine") appears in the message of UnknownNameError."""
    module, _, attribute = table.get(check_name(name, table, what), name).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise UnknownNameError(f"{what} '{name}': {error}; its folder has to be on PYTHONPATH or installed") from error
    except AttributeError:
        raise UnknownNameError(f"{what} '{name}': module {module} has no '{attribute}'") from None
