"""Figures in a notebook: small PNGs that keep their colours, each with an alternative text.

`show(figure, "what it shows")` instead of `plt.show()`. The text says in a sentence or two what a reader would see (kind of
figure, axes, the main pattern); it is kept as the picture's `alt` in the notebook and in the report's pages, as the plain text
of the output, and inside the saved file. Not here: drawing (measure/figures.py).
"""

from __future__ import annotations

import base64
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCREEN_DPI = 90  # dots per inch of the pictures that notebooks keep
COLOURS = 256  # of a palette, the most that PNG allows


def show(figure: Figure | Axes, alt: str = "", file: str | Path | None = None) -> None:
    """Displays a matplotlib figure, or the figure of an axes, as a small picture with the alternative text `alt`.

    The figures of measure/figures.py bring a text of their own, which an empty `alt` takes. `file`, a path without suffix,
    also saves it as PNG and SVG. Raises ValueError when there is no text at all.
    """
    from IPython.display import display

    figure = figure.get_figure() if hasattr(figure, "get_figure") and not hasattr(figure, "savefig") else figure
    figure.set_label(alt or figure.get_label())
    data, metadata = bundle(figure, str(figure.get_label()))
    if file is not None:
        from phi4r_lib.measure.figures import save_figure

        save_figure(figure, Path(file).parent, Path(file).name)
    _forget(figure)
    display(data, metadata=metadata, raw=True)


def bundle(figure: Figure, alt: str) -> tuple[dict[str, str], dict[str, Any]]:
    """(data, metadata) of a figure for IPython's `display(data, metadata=metadata, raw=True)`, which can also update one."""
    if not alt.strip():
        raise ValueError(
            "say what the figure shows: show(figure, 'Histogram of ...'); readers who cannot see it need it"
        )
    packed = BytesIO()
    figure.savefig(packed, dpi=SCREEN_DPI, format="png", bbox_inches="tight")  # else labels beyond the canvas are cut
    text = " ".join(alt.split())
    picture = base64.b64encode(smaller(packed.getvalue())).decode()
    return {"image/png": picture, "text/plain": text}, {"image/png": {"alt": text}}


def smaller(png: bytes) -> bytes:
    """The picture with at most 256 colours: a third of the size, and areas of one colour keep it (within 2 of 255 steps)."""
    from PIL import Image

    packed, picture = BytesIO(), Image.open(BytesIO(png))
    if picture.mode == "P":  # small already
        return png
    picture.convert("RGB").quantize(COLOURS, kmeans=3).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _forget(figure: Figure) -> None:
    """Closes a pyplot figure, which Jupyter would otherwise show a second time at the end of the cell."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot and hasattr(figure, "number"):
        pyplot.close(figure)
