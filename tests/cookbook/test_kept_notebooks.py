"""What a run leaves in a notebook and what may stay when it goes into the repository."""

import base64
import io

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from phi4r_lib.cookbook import notebooks, state
from phi4r_lib.cookbook.profile import UserError


def _png(width, height):
    packed = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(packed, "PNG")
    return base64.b64encode(packed.getvalue()).decode()


def _size(png):
    return Image.open(io.BytesIO(base64.b64decode(png))).size


PICTURE = _png(8, 4)


def executed(house, *outputs, source="x"):
    """An executed notebook as papermill leaves it, in runs/cpu/notebooks; its source is in notebooks/."""
    house.notebook("01_edge.ipynb", source)
    book = nbformat.read(house.root / "notebooks/01_edge.ipynb", as_version=4)
    injected = new_code_cell(
        '# Parameters\nprofile = "cpu"\n', metadata={"tags": ["injected-parameters"]}, execution_count=2
    )
    book.cells.insert(1, injected)
    for count, cell in enumerate(book.cells, start=1):
        cell.execution_count = count
        cell.metadata["papermill"] = {"duration": 1.0}
    book.cells[-1].outputs = list(outputs)
    book.metadata |= {"papermill": {"output_path": str(house.root)}, "widgets": {"application/x": {}}}
    target = house.root / "runs/cpu/notebooks/01_edge.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, target)
    state.update_notebook(house.root / "runs/cpu", "01", status="done")


def kept(house):
    (path,) = notebooks.keep(house.root / "runs/cpu", house.root / "notebooks")
    return nbformat.read(path, as_version=4)


def test_metadata_and_injected_cell_go_and_counts_start_at_one(house):
    executed(house, new_output("execute_result", data={"text/plain": "7"}, execution_count=4))
    book = kept(house)
    assert set(book.metadata) == {"kernelspec", "phi4r"}
    assert [cell.execution_count for cell in book.cells] == [1, 2, 3]
    assert [dict(cell.metadata) for cell in book.cells] == [{"tags": ["parameters"]}, {}, {}]
    assert book.cells[-1].outputs[0].execution_count == 3


def test_widgets_floods_and_absolute_paths_go_but_text_and_figures_stay(house):
    flood = "Loading: 10%|# | 1/9 [00:00<00:01, 5it/s]\rLoading: 99%|##| 9/9 [00:01<00:00, 5it/s]\nloss 0.5\n"
    executed(
        house,
        new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}, "text/plain": "HBox()"}),
        new_output("stream", name="stderr", text=flood),
        new_output("stream", name="stdout", text=f"wrote {house.root}/runs/cpu/01_edge/edge.jsonl\n"),
        new_output(
            "display_data", data={"image/png": PICTURE, "text/plain": "<Figure>"}, metadata={"needs": "nothing"}
        ),
    )
    outputs = kept(house).cells[-1].outputs
    assert [output.output_type for output in outputs] == ["stream", "stream", "display_data"]
    assert outputs[0].text.strip() == "loss 0.5"
    assert outputs[1].text == "wrote runs/cpu/01_edge/edge.jsonl\n"
    assert _size(outputs[2].data["image/png"]) == (8, 4) and outputs[2].metadata == {}


def test_prose_written_since_the_run_is_kept(house):
    executed(house, new_output("stream", name="stdout", text="out\n"))
    path = house.root / "notebooks/01_edge.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells.insert(0, nbformat.v4.new_markdown_cell("# Better words"))
    nbformat.write(book, path)
    cells = kept(house).cells
    assert cells[0].source == "# Better words" and cells[-1].outputs[0].text == "out\n"


def test_changed_code_and_failed_runs_are_refused(house):
    executed(house)
    house.notebook("01_edge.ipynb", "y")
    with pytest.raises(UserError, match="has changed since it ran"):
        kept(house)
    state.update_notebook(house.root / "runs/cpu", "01", status="failed")
    with pytest.raises(UserError, match="did not succeed"):
        kept(house)


def test_cleaning_twice_changes_nothing():
    book = new_notebook(cells=[new_code_cell("1", outputs=[new_output("stream", text="a\rb\n")])])
    once = notebooks.clean(book).copy()
    assert notebooks.clean(book) == once


def test_a_folded_source_stays_folded_and_other_traces_of_looking_go():
    cell = new_code_cell("1", metadata={"tags": ["check"], "jupyter": {"source_hidden": True, "outputs_hidden": True}})
    looked_at = new_code_cell("2", metadata={"collapsed": True, "scrolled": True, "jupyter": {"outputs_hidden": True}})
    kept_cells = notebooks.clean(new_notebook(cells=[cell, looked_at])).cells
    assert [dict(cell.metadata) for cell in kept_cells] == [
        {"tags": ["check"], "jupyter": {"source_hidden": True}},
        {},
    ]
