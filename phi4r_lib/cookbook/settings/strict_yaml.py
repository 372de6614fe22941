"""The one reader of YAML: profiles, `--set` values and overrides as papermill passes them.

Plain data only, read as YAML 1.2 reads it: `yes` and `1:30` are words, `1e-4` is a number. What two readers would
read differently is refused. Not here: what the data may mean (profile.py, sections.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import yaml

MOST_CHARACTERS = 100_000  # a profile has about 80 lines; ours
MOST_NODES = 10_000  # after aliases are written out; ours
TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}
NUMBERS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float")}
LARGEST = 1e15  # what a float still counts by ones, about; ours
NOT_OURS = re.compile(r"[-+]?0\d[\d_]*$|[-+]?0[xob][\da-fA-F_]+$|[-+]?\d[\d_]*_[\d_]*$")


class YamlError(ValueError):
    """Text that is no strict YAML; the message is one line and names the line of the text."""


class _Reader(yaml.SafeLoader):
    """SafeLoader without the implicit types of YAML 1.1, with those of YAML 1.2's core schema that JSON has too."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("null", r"(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$", list("-+.0123456789")),
):
    _Reader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def read(text: str) -> Any:
    """The data in a YAML text: None, bool, int, float, str, lists and mappings with keys of text.

    Raises YamlError (with the line) for broken YAML, a key given twice, a key that is no text, numbers that YAML 1.1
    and 1.2 read differently (010, 0x1F, 1_000), numbers beyond LARGEST, half characters, NULs, other tags than plain data, and
    texts that are too long, too deep, or grow too large when their aliases are written out.
    """
    if len(text) > MOST_CHARACTERS:
        raise YamlError(f"{len(text):,} characters; at most {MOST_CHARACTERS:,} are read")
    reader = _Reader("")
    try:
        reader = _Reader(text)
        node = reader.get_single_node()
        if node is None:
            return None
        _check(node)
        return reader.construct_document(node)
    except RecursionError:
        raise YamlError("lists or mappings are nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        words = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"line {mark.line + 1}: {words}" if mark else words) from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(" ".join(str(error).split())) from None
    finally:
        reader.dispose()


def _check(root: yaml.Node) -> None:
    """Raises a YAMLError for what `read` refuses beyond broken syntax; an alias counts as often as it is used."""
    for count, (node, above) in enumerate(_walk(root, ())):
        if count >= MOST_NODES or node in above:
            raise _fault(node, "aliases (*name) that grow without measure; write the values out")
        if node.tag not in TAGS:
            raise _fault(node, f"type {node.tag.removeprefix('tag:yaml.org,2002:')} is not read; use plain values")
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        elif isinstance(node, yaml.ScalarNode) and "\0" in node.value:
            raise _fault(node, "a NUL (\\0), which no name of a file can hold, is not read")
        elif isinstance(node, yaml.ScalarNode) and any("\ud800" <= letter <= "\udfff" for letter in node.value):
            raise _fault(node, "half of a surrogate pair is no character; write the whole one")
        elif isinstance(node, yaml.ScalarNode) and node.tag in NUMBERS and abs(float(node.value)) > LARGEST:
            raise _fault(node, f"{node.value[:20]} is larger than any setting")
        elif isinstance(node, yaml.ScalarNode) and node.style is None and NOT_OURS.match(node.value):
            raise _fault(
                node, f"{node.value} is read differently by different readers; write it in decimal, or quote it"
            )


def _walk(node: yaml.Node, above: tuple[yaml.Node, ...]) -> Iterator[tuple[yaml.Node, tuple[yaml.Node, ...]]]:
    yield node, above
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    for part in parts:
        yield from _walk(part, (*above, node))


def _check_keys(node: yaml.MappingNode) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise _fault(key, "keys are words; quote it if it is meant so")
        if key.value in seen:
            raise _fault(key, f"key '{key.value}' appears twice (lines {seen[key.value]} and {line}); keep one")
        seen[key.value] = line


def _fault(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
