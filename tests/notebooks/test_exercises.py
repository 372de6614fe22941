"""Every exercise works as written: in a run of its notebook, the solution is right, another answer wrong, the dots not yet."""

import json
import re
import shutil

import nbformat
import pytest
from books import NOTEBOOKS, cells, command, exercises, source

WITH = [path for path in NOTEBOOKS if any("exercise" in cell["metadata"].get("tags", []) for cell in cells(path))]
SAYS = re.compile(r"^Exercise (\d): (right|wrong|not yet)", re.MULTILINE)


def solved(path, target):
    """Writes a copy of the notebook with more cells behind each check: solution and check, a wrong answer and check."""
    book = nbformat.read(path, as_version=4)
    for exercise in reversed(exercises(path)):
        check, answer = source(cells(path)[exercise.check]), f"answer_{exercise.number}"
        more = [exercise.solution, check, f"{answer} = object()", check, f"{answer} = ..."]
        at = exercise.check + 1
        book.cells[at:at] = [nbformat.v4.new_code_cell(code) for code in more]
    nbformat.write(book, target)
    return target


def said(path):
    """[(number, verdict)] of all checks in an executed notebook, in order."""
    texts = ["".join(out.get("text", "")) for cell in cells(path, "code") for out in cell["outputs"]]
    return [(int(number), verdict) for number, verdict in SAYS.findall("\n".join(texts))]


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH, ids=lambda path: path.stem)
def test_solution_is_right_and_another_answer_wrong(path, smoke, tmp_path):
    out = shutil.copytree(smoke[0], tmp_path / "smoke", symlinks=True)
    args = ["-p", "profile", "smoke", "-p", "out", str(out), "--no-progress-bar", "--cwd", str(path.parent)]
    executed = tmp_path / "executed.ipynb"
    done = command("papermill", str(solved(path, tmp_path / path.name)), str(executed), *args)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = [(e.number, verdict) for e in exercises(path) for verdict in ("not yet", "right", "wrong")]
    assert said(executed) == expected, [
        "".join(out.get("text", ""))
        for cell in cells(executed, "code")
        for out in cell["outputs"]
        if "Exercise" in str(out)
    ]


@pytest.mark.parametrize("path", WITH, ids=lambda path: path.stem)
def test_stored_notebook_says_not_yet_and_shows_no_answer(path):
    assert said(path) == [(exercise.number, "not yet") for exercise in exercises(path)]
    for cell in cells(path, "code"):
        if "exercise" in cell["metadata"].get("tags", []):
            assert cell["outputs"] == [] and json.dumps(cell["source"]).count("...") == 1
