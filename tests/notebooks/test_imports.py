"""Notebooks import from two places: the driver's front and one front of their own. Names exist, and no front names what nobody uses."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
FRONTS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "phi4r_lib").rglob("*front.py"))
}
DRIVER = "phi4r_lib.cookbook.front"
# The rule: at most six names from the driver's front and six from the notebook's own. A name may be a module or a class of
# the room that groups what the notebook uses, so that a reader of `reward.score(...)` knows where to look.
AT_MOST = 6


def parsed(text: str) -> ast.Module:
    """The tree of a cell, its lines for IPython left out."""
    return ast.parse("\n".join("" if line.startswith("%") else line for line in text.splitlines()))


def imported(text: str) -> set[tuple[str, str]]:
    """(module, name) of everything that a text imports from the library."""
    found = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.ImportFrom)]
    return {(node.module, a.name) for node in found if node.module.startswith("phi4r_lib") for a in node.names}


def code_texts(path: Path) -> list[str]:
    """The code cells and the solutions of exercises."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    solutions = [
        block for kind, text in texts if kind == "markdown" for block in re.findall(r"```python\n(.*?)```", text, re.S)
    ]
    return [*(text for kind, text in texts if kind == "code"), *solutions]


def notebook_imports(path: Path) -> set[tuple[str, str]]:
    """What the code cells and the solutions of exercises import."""
    return {pair for text in code_texts(path) for pair in imported(text)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_from_the_driver_s_front_and_one_of_its_own(path):
    pairs = notebook_imports(path)
    places = {module for module, _ in pairs}
    assert places <= set(FRONTS) and len(places - {DRIVER}) <= 1
    missing = [pair for pair in sorted(pairs) if not hasattr(importlib.import_module(pair[0]), pair[1])]
    assert not missing


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_six_names_from_each_front(path):
    pairs = notebook_imports(path)
    assert sum(module == DRIVER for module, _ in pairs) <= AT_MOST
    assert sum(module != DRIVER for module, _ in pairs) <= AT_MOST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_names_are_imported_as_they_are(path):
    """No star and no `as` from the library: either would hide how many names a notebook takes, and where they stand."""
    nodes = [
        node
        for text in code_texts(path)
        for node in ast.walk(parsed(text))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("phi4r_lib")
    ]
    assert not [alias.name for node in nodes for alias in node.names if alias.asname or alias.name == "*"]


@pytest.mark.parametrize("front", FRONTS)
def test_a_front_holds_only_imports_that_a_notebook_uses(front):
    text = FRONTS[front].read_text(encoding="utf-8")
    body = ast.parse(text).body
    assert ast.get_docstring(ast.parse(text)) and all(isinstance(node, ast.ImportFrom) for node in body[1:])
    used = {name for path in NOTEBOOKS for module, name in notebook_imports(path) if module == front}
    assert {name for _, name in imported(text)} == used


def test_fronts_load_torch_only_where_they_say_so():
    heavy = {front for front, path in FRONTS.items() if "loads torch and TRL" in path.read_text(encoding="utf-8")}
    code = f"import sys, {', '.join(sorted(set(FRONTS) - heavy))}\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
