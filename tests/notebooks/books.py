"""Reading the notebooks of the repository for tests: cells, sources and exercises."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLUTION = re.compile(r"<details><summary>Solution</summary>\n\n.*?```python\n(.*?)\n```\n.*?\n\n</details>", re.DOTALL)


def command(*args, cwd=ROOT, before=(), **env):
    """A module run as a command; returns the finished process."""
    line = [*before, sys.executable, "-m", *args]
    return subprocess.run(line, cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=3600)


def cells(path, kind=None):
    """The cells of a stored notebook, of one kind or all."""
    book = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in book["cells"] if kind in (None, cell["cell_type"])]


def source(cell):
    """A cell's text."""
    return "".join(cell["source"])


def tags(cell):
    """A cell's tags."""
    return cell["metadata"].get("tags", [])


@dataclass(frozen=True)
class Exercise:
    """One exercise: its number, the place of its check cell in the notebook, and the code of its solution."""

    number: int
    check: int
    solution: str


def exercises(path):
    """The exercises of a notebook whose four cells have the form of phi4r_lib/cookbook/settings/exercises.py; raises AssertionError."""
    book, found = cells(path), []
    for place, cell in enumerate(book):
        if "exercise" not in tags(cell):
            continue
        question, check, answer = book[place - 1], book[place + 1], book[place + 2]
        number = re.fullmatch(r"# Exercise (\d): .+\nanswer_\1 = \.\.\.", source(cell))
        assert number, f"the reader's cell is a comment and `answer_N = ...`: {source(cell)!r}"
        n = int(number.group(1))
        assert source(question).find(f"**Exercise {n}.**") >= 0, f"no question before the cell of exercise {n}"
        assert "check" in tags(check) and check["metadata"].get("jupyter") == {"source_hidden": True}
        assert source(check).startswith(f"# Check of exercise {n}\n"), (
            "JupyterLab shows the first line of a folded cell"
        )
        assert re.search(rf"\bcheck\(\s*{n},\s*answer_{n},", source(check)), f"exercise {n} is not checked"
        solution = SOLUTION.search(source(answer))
        assert solution and f"answer_{n} = " in solution.group(1), f"no folded solution with code for exercise {n}"
        found.append(Exercise(n, place + 1, solution.group(1)))
    return found


def solved(path):
    """The notebook with more cells behind each check: solution and check, a wrong answer and check, the dots again."""
    book = nbformat.read(path, as_version=4)
    for exercise in reversed(exercises(path)):
        check, answer = source(cells(path)[exercise.check]), f"answer_{exercise.number}"
        more = [exercise.solution, check, f"{answer} = object()", check, f"{answer} = ..."]
        at = exercise.check + 1
        book.cells[at:at] = [nbformat.v4.new_code_cell(code, id=f"more-{at}-{n}") for n, code in enumerate(more)]
    return book
