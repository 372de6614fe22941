"""README's figures are those that the stored notebooks show, to the digit."""

import re

import pytest
from books import NOTEBOOKS, ROOT, cells

README = (ROOT / "README.md").read_text(encoding="utf-8")
DECIMAL = r"([-+]?\d+\.\d+)"
# An estimate with its interval, as README and outputs write it: "+1.6 [-14.0, +17.2]", "5.9% (4.4% to 7.5%)",
# "+47.6 points (95% interval +42.7 to +52.5".
ESTIMATE = re.compile(
    rf"{DECIMAL}%?(?: points)?(?:,? [\[(]?)(?:95% interval(?: over problems)? )?{DECIMAL}%?(?:,| to) {DECIMAL}"
)


def section(title):
    """The part of README below one heading; raises AssertionError where there is none."""
    found = README.partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert found, title
    return found


def printed(number):
    """Everything that the outputs of a stored notebook print."""
    path = next(path for path in NOTEBOOKS if path.name.startswith(number))
    outputs = [output for cell in cells(path, "code") for output in cell["outputs"]]
    plain = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in outputs]
    return "\n".join("".join(text) for text in plain)


def estimates(text):
    """All estimates of a text, as three numbers each."""
    return {tuple(float(part) for part in found) for found in ESTIMATE.findall(text)}


def test_an_estimate_is_read_in_every_form():
    forms = "+1.6 [-14.0, +17.2], 5.9% (4.4% to 7.5%), is +47.6 points (95% interval +42.7 to +52.5)"
    forms += ", and 47.6 points, 95% interval over problems 42.7 to 52.5."
    assert estimates(forms) == {(1.6, -14.0, 17.2), (5.9, 4.4, 7.5), (47.6, 42.7, 52.5)}


@pytest.mark.parametrize(
    ("title", "numbers", "least"), [("What you will see", ("05",), 3), ("What holds at this size", ("06", "07"), 12)]
)
def test_every_estimate_stands_in_a_stored_output(title, numbers, least):
    told = estimates(section(title))
    assert len(told) >= least
    assert told <= estimates("\n".join(map(printed, numbers)))


def test_the_table_of_models_is_that_of_notebook_05():
    rows = re.findall(r"^\| (base|sft|grpo) \|(.+)\|$", section("What you will see"), re.MULTILINE)
    assert [name for name, _ in rows] == ["base", "sft", "grpo"]
    for name, cells_of_row in rows:
        shown = next(line.split()[1:5] for line in printed("05").splitlines() if re.match(rf"{name}\s+0\.\d", line))
        for text, value in zip((cell.strip() for cell in cells_of_row.split("|")), map(float, shown), strict=True):
            assert f"{value:.{len(text.partition('.')[2])}f}" == text, (name, text, value)
