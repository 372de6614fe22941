"""Secrets stay out of what is written: found in settings before a run, hidden in text that comes from outside.

Profiles, parameters, messages and samples all end in files (run.json, notebooks, Parquet). Keys therefore come from the
environment only. Not here: reading the key (engines/connection.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"
SHORTEST = 8  # characters of a key that is looked for; shorter ones ("none", "EMPTY") are stand-ins and common words
NAMES = re.compile(
    r"api[-_]?key|access[-_]?key|private[-_]?key|secret|passw|credential|authori[sz]ation|bearer|^auth$|^token$|[-_]token$",
    re.IGNORECASE,
)
VALUES = re.compile(
    r"(?<=://)[^/\s@]+(?=@)"  # user:password@ of an address
    r"|(?<=[?&])[\w-]*(?:key|token|secret|sig)=[^&\s]+"  # ?api-key=... of an address
    r"|(?<=\bBearer )\S{8,}"
    r"|\b(?:sk|pk|rk|gsk|xai|hf|ghp|glpat)[-_][A-Za-z0-9_-]{16,}"  # the prefixes of common providers
    r"|\bAIza[\w-]{30,}|\bAKIA[A-Z0-9]{16}\b"
)


def find_secret(settings: Any, place: str = "") -> str | None:
    """Dotted place of the first secret in nested settings, or None; told by the setting's name or the look of its value."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            here = f"{place}.{key}" if place else str(key)
            if NAMES.search(str(key)) and value not in (None, "", [], {}):
                return here
            if found := find_secret(value, here):
                return found
    elif isinstance(settings, (list, tuple)):
        return next((found for n, value in enumerate(settings) if (found := find_secret(value, f"{place}.{n}"))), None)
    elif isinstance(settings, str) and VALUES.search(settings):
        return place or "value"
    return None


def hide(text: str, key: str = "") -> str:
    """The text without this key and without anything that looks like one."""
    if len(key) >= SHORTEST:
        text = text.replace(key, HIDDEN)
    return VALUES.sub(HIDDEN, text)
