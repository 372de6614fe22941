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
# How many names a notebook takes from both fronts together. What it teaches stands in cells under names of its own, so a
# notebook of twenty estimators takes twenty. A ceiling goes down when names go; it goes up for a new idea only.
MOST_NAMES = {"00": 13, "01": 12, "02": 11, "03": 24, "04": 41, "05": 32, "06": 24, "07": 32, "08": 53, "09": 20}


def imported(text: str) -> set[tuple[str, str]]:
    """(module, name) of everything that a text imports from the library."""
    tree = ast.parse("\n".join("" if line.startswith("%") else line for line in text.splitlines()))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {(node.module, a.name) for node in found if node.module.startswith("phi4r_lib") for a in node.names}


def notebook_imports(path: Path) -> set[tuple[str, str]]:
    """What the code cells and the solutions of exercises import."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    solutions = [
        block for kind, text in texts if kind == "markdown" for block in re.findall(r"```python\n(.*?)```", text, re.S)
    ]
    return {pair for text in [*(text for kind, text in texts if kind == "code"), *solutions] for pair in imported(text)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_from_the_driver_s_front_and_one_of_its_own(path):
    pairs = notebook_imports(path)
    places = {module for module, _ in pairs}
    assert places <= set(FRONTS) and len(places - {DRIVER}) <= 1
    missing = [pair for pair in sorted(pairs) if not hasattr(importlib.import_module(pair[0]), pair[1])]
    assert not missing


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_no_more_names_than_before(path):
    assert len(notebook_imports(path)) <= MOST_NAMES[path.stem[:2]]


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
