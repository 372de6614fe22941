"""The house style of the notebooks, rule by rule (one test per rule, one case per notebook)."""

import ast
import json
import re
import statistics

import pytest
from books import NOTEBOOKS, cells, exercises, source

# Headings in the order in which they must come; a notebook may have others between them.
ORDER = [
    "you will learn",
    "versions",
    "toy",
    "real",
    "check",
    "what you should see",
    "exercise",
    "troubleshooting",
    "next",
]

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_lines(cell):
    return [line for line in source(cell).splitlines() if line.strip()]


def prose(path):
    return "\n".join(source(cell) for cell in cells(path, "markdown"))


def outputs(path):
    """Everything that the stored outputs show as text."""
    texts = []
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            texts.append("".join(output.get("text", "")))
            texts += ["".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(texts)


def test_forty_to_seventy_cells(path):
    """The four cells of each exercise come on top."""
    of_exercises = 4 * len(exercises(path))
    assert 40 <= len(cells(path)) - of_exercises <= 70


def test_code_cells_are_short(path):
    lengths = [len(code_lines(cell)) for cell in cells(path, "code")]
    assert statistics.median(lengths) <= 8
    assert max(lengths) <= 40


def test_at_most_three_code_cells_in_a_row(path):
    kinds = "".join("c" if cell["cell_type"] == "code" else "m" for cell in cells(path))
    assert "cccc" not in kinds


def test_five_to_ten_words_of_prose_per_line_of_code(path):
    """Code in the folded solutions counts as code."""
    solutions = re.findall(r"^```python\n(.*?)^```", prose(path), flags=re.MULTILINE | re.DOTALL)
    lines = sum(len(code_lines(cell)) for cell in cells(path, "code")) + sum(
        map(str.count, solutions, "\n" * len(solutions))
    )
    words = len(re.findall(r"\b\w+\b", re.sub(r"^```python\n.*?^```", "", prose(path), flags=re.MULTILINE | re.DOTALL)))
    assert 5 <= words / lines <= 10, f"{words} words for {lines} lines: {words / lines:.1f}"


def test_at_least_one_plot_and_five_in_the_variance_notebook(path):
    images = [
        kind
        for cell in cells(path, "code")
        for output in cell["outputs"]
        for kind in output.get("data", {})
        if kind in ("image/png", "image/svg+xml")
    ]
    assert len(images) >= (5 if path.stem.startswith("05") else 1)


def test_every_plot_has_an_alternative_text_of_its_own(path):
    """`show(figure, "what it shows")` writes one; it says more than a title does."""
    outs = [
        output for cell in cells(path, "code") for output in cell["outputs"] if "image/png" in output.get("data", {})
    ]
    texts = [output["metadata"].get("image/png", {}).get("alt", "") for output in outs]
    assert all(len(text) >= 40 for text in texts), texts
    assert len(set(texts)) == len(texts)


def test_no_table_is_cut(path):
    """Neither columns nor the text of a cell: pandas marks both with three dots."""
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            table = "".join(output.get("data", {}).get("text/html", ""))
            cut = re.findall(r"<t[dh]>[^<]*\.\.\.</t[dh]>", table)
            assert not cut, (source(cell)[:60], cut[:3])


def test_every_plot_is_followed_by_what_to_see_in_it(path):
    book = cells(path)
    for index, cell in enumerate(book):
        kinds = {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}
        if "image/png" in kinds:
            after = " ".join(source(later) for later in book[index + 1 : index + 4] if later["cell_type"] == "markdown")
            assert "what you should see" in after.lower(), f"cell {index}: {source(cell)[:60]!r}"


def test_at_most_300_kb(path):
    assert path.stat().st_size <= 300 * 1024


def test_no_widget_or_papermill_metadata(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert set(book["metadata"]) <= {"kernelspec", "language_info", "phi4r"}
    for cell in book["cells"]:
        assert set(cell["metadata"]) <= {"tags", "jupyter"}
        assert cell["metadata"].get("jupyter") in (None, {"source_hidden": True})
        assert "injected-parameters" not in cell["metadata"].get("tags", [])
        for output in cell.get("outputs", []):
            assert not any("widget" in kind for kind in output.get("data", {}))


def test_no_error_outputs_and_no_progress_floods(path):
    for cell in cells(path, "code"):
        assert all(output["output_type"] != "error" for output in cell["outputs"])
    assert outputs(path).count("it/s") <= 3
    assert "\r" not in outputs(path)


def test_no_absolute_paths(path):
    text = "\n".join([prose(path), outputs(path), *(source(cell) for cell in cells(path, "code"))])
    found = re.findall(r"(?<![\w.:/<])/(?:home|root|work|tmp|Users|usr|opt|mnt|var|workspace)/[\w./-]*", text)
    assert found == []


def test_execution_counts_are_one_to_n(path):
    counts = [cell["execution_count"] for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


def test_parameters_cell_holds_literals_with_a_comment_each(path):
    tagged = [cell for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0] == cells(path, "code")[0]
    names = []
    for statement in ast.parse(source(tagged[0])).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
        names.append(statement.targets[0].id)
    assert {"profile", "out", "overrides"} <= set(names)
    assert all("#" in line for line in code_lines(tagged[0]))
    assert 'profile = "cpu"' in source(tagged[0])


def test_sections_come_in_the_order_of_the_house(path):
    text = prose(path).lower()
    places = [text.find(words) for words in ORDER]
    assert -1 not in places, f"missing: {[words for words, place in zip(ORDER, places, strict=True) if place < 0]}"
    heads = [line.lower() for line in prose(path).splitlines() if line.startswith("#")]
    at = {
        word: [i for i, head in enumerate(heads) if word in head]
        for word in ("toy", "exercise", "troubleshooting", "next")
    }
    assert all(at.values()), f"headings missing: {[word for word, found in at.items() if not found]}"
    assert at["toy"][0] < at["exercise"][0] < at["troubleshooting"][-1] <= at["next"][-1]


def test_title_comes_first(path):
    first = cells(path)[0]
    assert first["cell_type"] == "markdown" and source(first).startswith("# ")


def test_opening_it_fetches_nothing(path):
    for cell in cells(path):
        shown = source(cell) if cell["cell_type"] == "markdown" else ""
        shown += "".join("".join(out.get("data", {}).get("text/html", "")) for out in cell.get("outputs", []))
        assert not re.findall(r"!\[[^]]*\]\(\s*https?:|(?:src|srcset)=[\"']?https?:|@import|<link", shown)
        assert (
            "$" not in re.sub(r"`[^`]*`", "", shown) or cell["cell_type"] == "code"
        )  # formulas need a script from outside


def test_box_says_what_it_needs_and_costs(path):
    head = "\n".join(source(cell) for cell in cells(path)[:4]).lower()
    for words in ("you will learn", "you need", "time", "reads", "writes"):
        assert words in head, words


def test_two_or_three_exercises_with_solutions(path):
    asked = {int(number) for number in re.findall(r"\*\*Exercise (\d)", prose(path))}
    assert 2 <= len(asked) <= 3
    assert [exercise.number for exercise in exercises(path)] == sorted(asked)


def test_has_checks(path):
    assert any(re.search(r"^\s*assert ", source(cell), flags=re.MULTILINE) for cell in cells(path, "code"))


def test_results_are_written_last(path):
    last = cells(path, "code")[-1]
    assert "write_results(" in source(last)


def test_defines_no_more_than_it_teaches(path):
    """A function or two is what a notebook may teach; everything reused lives in the library."""
    tree = ast.parse("\n".join(source(cell) for cell in cells(path, "code") if not source(cell).startswith("%")))
    definitions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert len(definitions) <= 2, [node.name for node in definitions]


def test_prose_quotes_no_measured_number_that_the_outputs_do_not_show(path):
    """Percentages and decimals in the prose must stand in the outputs, the code or a citation of the report."""
    shown = outputs(path) + "\n".join(source(cell) for cell in cells(path, "code"))
    unseen = []
    for line in prose(path).splitlines():
        if re.search(r"report|paper|published|arxiv|toy|shields\.io|by hand|\$", line, flags=re.IGNORECASE):
            continue
        unseen += [n for n in re.findall(r"(?<![\w.])(\d+\.\d+|\d+(?=\s?%))(?![\w.]*\d)", line) if n not in shown]
    assert unseen == []
