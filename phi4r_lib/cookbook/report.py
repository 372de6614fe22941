"""The HTML report of a run. (thin for now)"""

from __future__ import annotations

from pathlib import Path

from phi4r_lib.cookbook import show


def write(out: Path) -> Path:
    """Writes report.html into a run folder; returns its path."""
    page = out / "report.html"
    page.write_text("<pre>" + "\n".join(show.status_lines(out)) + "</pre>", encoding="utf-8")
    return page
