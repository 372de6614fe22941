"""Every number in the prose of a stored notebook stands in an output of it, in its code, in the profile, or is a published fact."""

import re

import pytest
from books import NOTEBOOKS, ROOT, cells, source

# Lines that name whose fact a number is: they need no output.
CITED = re.compile(
    r"\b(report|paper|published|arxiv|aime|framework|licen[cs]e|python 3|measured once)\b", re.IGNORECASE
)
# Seen in a run of another model, whose command stands above the sentence.
QUOTED = {"01_edge": {"255", "72"}}
# Numbers that are names or places, not facts: code, links, notebooks, figures, exercises, sections, list numbers, HTML.
NAMES = re.compile(
    r"```.*?```|`[^`]*`|\[[^]]*\]\([^)]*\)|<[^>]+>|^\s*\d+\.\s|^#+ \d\d |\b(?:notebooks?|figures?|exercises?|solution|sections?|part)"
    r" \d+[a-f]?(?:(?:,| and| to) \d+[a-f]?)*|\b0\d(?:_\w+)?\b|Phi-\d\S*|[A-Za-z]+-?\d+[\w.-]*|\b\d+(?:st|nd|rd|th)\b|\*\*\d\.",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?!\w*\.\d)(?:e-?\d+)?\s?(%|percent\b|points?\b)?"
)
SHOWN = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:e[-+]?\d+)?")


def values(text):
    """All numbers of a text as floats."""
    return {abs(float(found.replace(",", ""))) for found in SHOWN.findall(text) if found.strip("+-,")}


def shown(path):
    """The numbers that outputs, code and profiles of a notebook show."""
    texts = [(ROOT / "notebooks" / "profiles" / f"{name}.yaml").read_text(encoding="utf-8") for name in ("base", "cpu")]
    for cell in cells(path, "code"):
        texts.append(source(cell))
        for output in cell["outputs"]:
            texts.append("".join(output.get("text", "")))
            texts += ["".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return set().union(*map(values, texts))


def is_shown(text, unit, seen):
    """Whether a number of the prose is one of `seen`, rounded as the prose rounds it; shares also as percent or points."""
    number, digits = abs(float(text)), len(text.partition(".")[2])
    scales = (1, 100) if unit else (1,)
    return any(abs(scale * value - number) <= 0.5 * 10**-digits * 1.0001 for value in seen for scale in scales) and (
        digits > 0 or bool(unit) or any(value == number for value in seen)
    )


def unseen(path):
    """The numbers of the prose that nothing shows, each with its line."""
    seen, missing = shown(path) | {float(text) for text in QUOTED.get(path.stem, ())}, []
    prose = "\n".join(source(cell) for cell in cells(path, "markdown"))
    for line in NAMES.sub(" ", prose).splitlines():
        if CITED.search(line):
            continue
        for found in NUMBER.finditer(line):
            text = found.group(0).removesuffix(found.group(1) or "").strip().strip("+-").replace(",", "")
            if text and not is_shown(text, found.group(1), seen):
                missing.append((text, line.strip()[:100]))
    return missing


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_number_in_the_prose_is_shown(path):
    assert unseen(path) == []


@pytest.mark.parametrize(
    ("text", "unit", "seen", "right"),
    [
        ("0.43", "", {0.4327}, True),
        ("0.43", "", {0.4267}, True),
        ("0.43", "", {0.44}, False),
        ("43", "%", {0.4327}, True),
        ("43.3", "points", {0.433}, True),
        ("43", "", {43.3}, False),
        ("43", "", {43.0}, True),
        ("80", "%", {0.5}, False),
    ],
)
def test_numbers_match_as_they_are_rounded(text, unit, seen, right):
    assert is_shown(text, unit, seen) is right


def test_names_are_no_numbers_and_facts_are():
    line = "Notebook 04, figure 7d and `x = 3` of Phi-4: 12 of 30 problems, 43% right."
    assert [found.group(0).strip() for found in NUMBER.finditer(NAMES.sub(" ", line))] == ["12", "30", "43%"]
