"""What a run leaves in a notebook and what may stay when it goes into the repository."""

import base64
import io
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.pages import notebooks
from phi4r_lib.cookbook.pages.pictures import bundle, show
from phi4r_lib.cookbook.settings.profile import UserError

ROOT = Path(__file__).parents[2]


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
    assert set(book.metadata) == {"kernelspec", "language_info", "phi4r"}
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


def _as_jupyter_saves(path):
    """The notebook as JupyterLab holds it after a run and a look: more metadata, other versions, a widget, a bar."""
    book = nbformat.read(path, as_version=4)
    book.metadata["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    book.metadata["language_info"] = {"name": "python", "version": "3.13.1", "pygments_lexer": "ipython3"}
    book.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    for cell in book.cells:
        cell.metadata |= {"collapsed": False, "scrolled": True, "execution": {"iopub.execute_input": "2026-01-01"}}
        if cell.cell_type == "code":
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.metadata["image/png"] = output.metadata.get("image/png", {}) | {"width": 400}
            cell.outputs.append(
                new_output("stream", name="stderr", text="Map: 99%|##| 9/9 [00:01<00:00, 5 examples/s]\n")
            )
    return book


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_saving_in_jupyter_leaves_the_stored_notebook_as_it_was(path, tmp_path):
    import asyncio

    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

    hook = "phi4r_lib.cookbook.pages.notebooks.before_saving"
    manager = AsyncLargeFileManager(root_dir=str(tmp_path), pre_save_hook=hook)
    model = {"type": "notebook", "format": "json", "content": _as_jupyter_saves(path)}
    asyncio.run(manager.save(model, "/saved.ipynb"))
    assert (tmp_path / "saved.ipynb").read_text() == path.read_text()


def test_a_notebook_of_somebody_else_is_saved_as_it_is():
    book = new_notebook(metadata={"kernelspec": {"name": "ir", "display_name": "R"}, "widgets": {}})
    notebooks.before_saving(model={"type": "notebook", "content": (model := book)}, path="x")
    assert "widgets" in model.metadata
    notebooks.before_saving(model={"type": "file", "content": "text"}, path="x")


@pytest.mark.parametrize("shown", ["figure", "axes"])
def test_a_picture_keeps_its_colours_and_its_alternative_text(shown, monkeypatch, tmp_path):
    """Two blues that a palette of 48 colours made one, among lines of other colours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3))
    axis = figure.add_subplot()
    wanted = ["#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9"]
    for index, colour in enumerate(wanted):
        axis.barh(index, 1 + index / 20, height=0.5, color=colour)
        axis.plot(range(6), [(i + index) % 5 for i in range(6)], color=colour, alpha=0.45, lw=index)
    seen = []
    monkeypatch.setattr("IPython.display.display", lambda data, metadata, raw: seen.append((data, metadata)))
    show(figure if shown == "figure" else axis, "Six bars\nin six colours", tmp_path / "sub" / "bars")
    ((data, metadata),) = seen
    assert (
        metadata == {"image/png": {"alt": "Six bars in six colours"}}
        and data["text/plain"] == "Six bars in six colours"
    )
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    kept = {colour for _, colour in picture.getcolors(1 << 24)}
    for colour in wanted:
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert min(max(abs(a - b) for a, b in zip(rgb, other, strict=True)) for other in kept) <= 3, colour
    assert "Six bars" in Image.open(tmp_path / "sub" / "bars.png").text["Description"]
    assert "Six bars" in (tmp_path / "sub" / "bars.svg").read_text()


def test_a_label_beyond_the_canvas_is_not_cut():
    from matplotlib.figure import Figure

    axis = Figure(figsize=(4, 1.5)).add_subplot()
    axis.set_xlabel("steps", color="#D55E00", labelpad=60)
    data, _ = bundle(axis.get_figure(), "an empty frame with a label far below")
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    assert any(red > 190 and blue < 60 for _, (red, _, blue) in picture.getcolors(1 << 24))


def test_a_figure_without_an_alternative_text_is_refused():
    from matplotlib.figure import Figure

    with pytest.raises(ValueError, match="say what the figure shows"):
        show(Figure())
