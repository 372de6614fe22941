"""Executed notebooks made fit to be kept in the repository: `python -m phi4r_lib.cookbook.pages.notebooks runs/cpu`.

Pictures are reduced to 256 colours and keep their alternative texts. Removed: papermill's metadata and injected cell, widget state, progress-bar floods, absolute paths. Kept: every other
output, and execution counts 1..n. Not here: the rules that the result must obey (tests/notebooks/test_style.py).
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from typing import Any

import nbformat

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.pages.pictures import smaller
from phi4r_lib.cookbook.settings.home import UserError, home, resolve_out, shown
from phi4r_lib.cookbook.settings.stages import code_of, stages

PROGRESS = re.compile(r"(\d+%\|)|(it/s\])|(s/it\])|(\?it/s)|(examples/s\])")


def clean(notebook: Any) -> Any:
    """The notebook as it is kept: tidy, without papermill's cell, ids and counts in order; changed in place and returned."""
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    count = 0
    for index, cell in enumerate(tidy(notebook).cells):
        cell.id = f"cell-{index:02d}"
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
    return notebook


def tidy(notebook: Any) -> Any:
    """The notebook without what a machine, a library or a way of looking at it leaves in it; changed in place and returned."""
    kept = {key: notebook.metadata[key] for key in ("kernelspec", "phi4r") if key in notebook.metadata}
    if kept.get("kernelspec", {}).get("name", "python3") == "python3":
        kept["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = kept | {"language_info": {"name": "python"}}  # the version differs from machine to machine
    for cell in notebook.cells:
        cell.metadata = _cell_metadata(cell.metadata)
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := _output(output)) is not None]
    return notebook


def before_saving(model: dict[str, Any], **_: Any) -> None:
    """Jupyter's pre_save_hook (see `make lab`): a notebook of the recipe is saved tidy, others as they are."""
    content = model.get("content") if model.get("type") == "notebook" else None
    if content and "phi4r" in content.get("metadata", {}):
        model["content"] = tidy(nbformat.from_dict(content))


def _cell_metadata(metadata: Any) -> dict[str, Any]:
    """Tags, and that the source is folded; everything else is how somebody last looked at the cell."""
    kept = {"tags": metadata["tags"]} if metadata.get("tags") else {}
    return kept | ({"jupyter": {"source_hidden": True}} if metadata.get("jupyter", {}).get("source_hidden") else {})


def _output(output: Any) -> Any | None:
    """One output, cleaned; None when nothing of it is worth keeping."""
    if output.output_type == "stream":
        output.text = without_progress(relative(output.text))
        return output if output.text.strip() else None
    data = output.get("data", {})
    if any("widget" in kind for kind in data):
        return None
    for kind, value in data.items():
        if isinstance(value, str) and (kind.startswith("text/") or "svg" in kind):
            data[kind] = relative(value)
    alt = output.get("metadata", {}).get("image/png", {}).get("alt")
    if "image/png" in data:
        data["image/png"] = base64.b64encode(smaller(base64.b64decode(data["image/png"]))).decode()
    output.metadata = {"image/png": {"alt": relative(alt)}} if alt else {}
    return output


def without_progress(text: str) -> str:
    """Text as a terminal would show it at the end (what a carriage return overwrote is gone), no progress bars."""
    lines = [line.rpartition("\r")[2] if "\r" in line.rstrip("\r") else line for line in text.split("\n")]
    return "\n".join(line for line in lines if not PROGRESS.search(line))


def relative(text: str) -> str:
    """Text with paths below the repository root made relative to it."""
    root = str(home())
    return text.replace(root + "/", "").replace(root, ".")


def keep(out: Path, target: Path) -> list[Path]:
    """Copies the executed notebooks of a run into `target`, cleaned, and the README's figure; raises UserError when one did not succeed."""
    recorded = state.read_json(out / "run.json").get("notebooks", {})
    written = []
    for number, stage in stages().items():
        source = stage.path
        executed = out / "notebooks" / source.name
        if number not in recorded or not executed.is_file():
            continue
        if recorded[number].get("status") != "done":
            raise UserError(f"{source.name} did not succeed in {shown(out)}; run it again before keeping its outputs")
        notebook = nbformat.read(executed, as_version=4)
        if code_of(source) != _sources(notebook):
            raise UserError(f"{source.name} has changed since it ran in {shown(out)}; `phi4r run` brings it up to date")
        original = nbformat.read(source, as_version=4)
        fresh = clean(notebook)
        # Text may have been improved since: cells come from the source notebook, outputs from the run.
        outputs = iter(cell for cell in fresh.cells if cell.cell_type == "code")
        for cell in original.cells:
            if cell.cell_type == "code":
                cell.outputs = next(outputs).outputs
        nbformat.write(clean(original), target / source.name)
        written.append(target / source.name)
    figure = out / "05_variance/figures/1_runs.png"
    if figure.is_file() and any(path.name.startswith("05_") for path in written):
        written.append(target / "figures/distributions.png")  # the README shows it
        written[-1].parent.mkdir(exist_ok=True)
        written[-1].write_bytes(figure.read_bytes())
    return written


def _sources(notebook: Any) -> list[str]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell.source for cell in cells if "injected-parameters" not in cell.metadata.get("tags", [])]


def main(argv: list[str]) -> int:
    """Command line: the run folder, by default runs/cpu."""
    try:
        written = keep(resolve_out(argv[0] if argv else "runs/cpu"), home() / "notebooks")
    except UserError as error:
        print(f"notebooks: {error}", file=sys.stderr)
        return 2
    print(
        "\n".join(f"kept {shown(path)}, {path.stat().st_size / 1024:.0f} KB" for path in written) or "nothing to keep"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
