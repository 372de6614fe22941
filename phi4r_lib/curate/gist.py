"""The few words of a text that say what it asks, for a sentence encoder: the end of prose, what a program says about itself.

A program says it in its comments, its docstrings, the names of its functions and the line above it; examples are left out,
since rewordings change them. Not here: the encoder (models/encoder.py) and what a close vector proves (evidence.py).
"""

from __future__ import annotations

import re

from phi4r_lib.curate.wording import CODE_LINE, PART, Kind

WORDS: dict[Kind, int] = {"prose": 70, "code": 60}
COMMENT = re.compile(
    r'"""(.*?)"""|\'\'\'(.*?)\'\'\'|/\*(.*?)\*/|(?<!:)//([^\n]*)|^[ \t]*#(?!\s*(?:include|define|pragma|ifn?def|endif|undef))([^\n]*)',
    re.DOTALL | re.MULTILINE,
)
NAMED = re.compile(
    r"\b(?:def|function|fn|func)\s+(\w+)\s*[(<]|^[\w<>\[\]*&:, ]{1,80}?[\s*&](?!(?:main|if|for|while|switch)\b)(\w{1,60})\([^;\n]{0,200}\)\s{0,4}\{",
    re.MULTILINE,
)
READ = 20_000  # characters of a program; a description stands early
EXAMPLE = re.compile(
    r">>>|=>|->|➞|→|==|\w\(.*\)|^\s*(?:[\[({'\"\d@-]|(?:true|false|none|null)\s*$|(?:examples?|note|input|output|sample|usage|test)\b.{0,20}$)",
    re.IGNORECASE,
)


def gist(text: str, kind: Kind) -> str:
    """The last words of prose, or the names and description of a program."""
    if kind == "prose":
        return " ".join(text.split()[-WORDS["prose"] :])
    fenced = text.split("```")
    code = ("\n".join(part.partition("\n")[2] for part in fenced[1::2]) or text)[:READ]
    names = [one or other for one, other in NAMED.findall(code)][:2]
    first = code.strip().partition("\n")[0]
    lead = "" if CODE_LINE.match(first) or first.startswith(("#", "/", '"', "'")) else first
    comments = (next(filter(None, match.groups()), "") for match in COMMENT.finditer(code))
    lines = (line.strip(" *\t") for comment in comments for line in comment.split("\n"))
    said = " ".join([lead, *(line for line in lines if line and not EXAMPLE.search(line[:200]))]).split()
    spelled = " ".join(part for name in names for part in PART.findall(name)).lower()
    return f"{spelled}. {' '.join(said[: WORDS['code']])}"
