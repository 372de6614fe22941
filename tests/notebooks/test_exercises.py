"""Every exercise works as written: in a run of its notebook, the solution is right, another answer wrong, the dots not yet."""

import ast
import json
import re

import pytest
from books import NOTEBOOKS, cells, exercises, source

WITH = [path for path in NOTEBOOKS if any("exercise" in cell["metadata"].get("tags", []) for cell in cells(path))]
SAYS = re.compile(r"^Exercise (\d): (right|wrong|not yet)", re.MULTILINE)


def said(path):
    """[(number, verdict)] of all checks in an executed notebook, in order."""
    texts = ["".join(out.get("text", "")) for cell in cells(path, "code") for out in cell["outputs"]]
    return [(int(number), verdict) for number, verdict in SAYS.findall("\n".join(texts))]


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH, ids=lambda path: path.stem)
def test_solution_is_right_and_another_answer_wrong(path, smoke):
    executed = smoke[0] / "notebooks" / path.name
    expected = [(e.number, verdict) for e in exercises(path) for verdict in ("not yet", "right", "wrong")]
    assert said(executed) == expected, [
        "".join(out.get("text", ""))
        for cell in cells(executed, "code")
        for out in cell["outputs"]
        if "Exercise" in str(out)
    ]


def names(code, kind):
    """The names that a piece of code assigns or imports (ast.Store), or uses (ast.Load)."""
    tree = ast.parse(re.sub(r"^%.*$", "", code, flags=re.MULTILINE))
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, kind)}
    if kind is ast.Store:
        found |= {(a.asname or a.name).partition(".")[0] for node in ast.walk(tree) for a in getattr(node, "names", [])
                  if isinstance(a, ast.alias)}  # fmt: skip
        found |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    return found


@pytest.mark.parametrize("path", WITH, ids=lambda path: path.stem)
def test_no_cell_stands_on_a_solution(path):
    """The smoke run has the solutions in place, so it would not miss a name that only they define."""
    added = set().union(*(names(exercise.solution, ast.Store) for exercise in exercises(path)))
    own = set()
    for cell in cells(path, "code"):
        own |= names(source(cell), ast.Store)
        assert not (names(source(cell), ast.Load) & added) - own


@pytest.mark.parametrize("path", WITH, ids=lambda path: path.stem)
def test_stored_notebook_says_not_yet_and_shows_no_answer(path):
    assert said(path) == [(exercise.number, "not yet") for exercise in exercises(path)]
    for cell in cells(path, "code"):
        if "exercise" in cell["metadata"].get("tags", []):
            assert cell["outputs"] == [] and json.dumps(cell["source"]).count("...") == 1
