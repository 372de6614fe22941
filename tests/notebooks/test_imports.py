"""Notebooks import from the fronts of the rooms: few places, names that exist, and no name that nobody uses."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
FRONTS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "phi4r_lib").glob("*/*front.py"))
}
MOST_PLACES = 3  # the driver's front, the front of the notebook's own room, and one more


def imported(text: str) -> set[tuple[str, str]]:
    """(module, name) of everything that a text imports from the library."""
    tree = ast.parse("\n".join("" if line.startswith("%") else line for line in text.splitlines()))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {(node.module, a.name) for node in found if node.module.startswith("phi4r_lib") for a in node.names}


def notebook_imports(path: Path) -> set[tuple[str, str]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {pair for cell in cells if cell["cell_type"] == "code" for pair in imported("".join(cell["source"]))}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_from_few_places_and_every_name_exists(path):
    pairs = notebook_imports(path)
    assert 1 <= len({module for module, _ in pairs}) <= MOST_PLACES
    missing = [pair for pair in sorted(pairs) if not hasattr(importlib.import_module(pair[0]), pair[1])]
    assert not missing


@pytest.mark.parametrize("front", FRONTS)
def test_a_front_holds_only_imports_that_a_notebook_uses(front):
    text = FRONTS[front].read_text(encoding="utf-8")
    body = ast.parse(text).body
    assert ast.get_docstring(ast.parse(text)) and all(isinstance(node, ast.ImportFrom) for node in body[1:])
    used = {name for path in NOTEBOOKS for module, name in notebook_imports(path) if module == front}
    assert {name for _, name in imported(text)} == used


def test_fronts_load_torch_only_where_something_is_trained():
    light = [front for front in FRONTS if not front.startswith("phi4r_lib.train.")]
    code = f"import sys, {', '.join(light)}\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
