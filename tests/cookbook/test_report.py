import json
import os
import re

import jupyter_core.paths
import nbformat
from matplotlib.figure import Figure

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.pages import report
from phi4r_lib.measure.figures import save_figure

MODELS = {
    "base": {"run_accuracy": [0.1, 0.2], "mean": 0.15, "se_fixed": 0.01, "se_population": 0.02, "mean_tokens": 4.0},
    "sft": {"run_accuracy": [0.5, 0.5], "mean": 0.5, "se_fixed": None, "se_population": 0.03, "mean_tokens": 50.0},
}
PAIR = {"a": "sft", "b": "base", "difference": 0.35, "low": 0.3, "high": 0.4, "p_value": 1e-9}


def page_of(house, results, message=None):
    out = house.root / "runs/cpu"
    state.update_notebook(out, "05", status="failed" if message else "done", seconds=3.0, peak_mb=5, message=message)
    state.write_json(out / "05_variance/results.json", results)
    return report.write(out).read_text(encoding="utf-8")


def test_models_and_differences_stand_in_the_page(house):
    page = page_of(house, {"models": MODELS, "comparisons": [PAIR]})
    assert "<b>15.0%</b>" in page and "+35.0 points" in page and "+30.0 to +40.0 points" in page
    assert "&lt; 0.0001" in page
    assert page.count("<circle") == 4


def test_headline_is_shown_first_and_text_is_escaped(house):
    page = page_of(house, {"headline": {"kept <seeds>": 1234}, "other": 9}, message="<script>alert(1)</script>")
    assert "kept &lt;seeds&gt;" in page and "1,234" in page and "<td>other</td>" not in page
    assert "<script>alert" not in page


def test_page_of_a_run_without_results_still_opens(house):
    out = house.root / "runs/cpu"
    state.write_json(out / "run.json", {})
    page = report.write(out).read_text(encoding="utf-8")
    assert "No accuracies over many runs yet" in page and not re.search(r"\$[a-z]+", page)


def test_figures_come_in_the_order_of_their_numbers(house):
    folder = house.root / "runs/cpu/05_variance/figures"
    folder.mkdir(parents=True)
    for name in ("10_power", "2_years", "1_runs"):
        (folder / f"{name}.png").write_bytes(b"")
    assert re.findall(r"figcaption>05_variance: (\d+)", report.figures(house.root / "runs/cpu")) == ["1", "2", "10"]


def test_broken_notebook_does_not_stop_the_report(house):
    (house.root / "runs/cpu/notebooks").mkdir(parents=True)
    (house.root / "runs/cpu/notebooks/01_edge.ipynb").write_text('{"cells": [')
    assert page_of(house, {"n": 1}).count("01_edge.html") == 0


def test_equal_runs_are_stacked_not_hidden():
    heights = re.findall(r'cy="(\d+)"', report.dots([0.5, 0.5, 0.5], "teal"))
    assert len(set(heights)) == 3


def test_results_are_read_not_changed(house):
    page_of(house, {"models": MODELS, "comparisons": []})
    stored = json.loads((house.root / "runs/cpu/05_variance/results.json").read_text(encoding="utf-8"))
    assert stored["models"] == MODELS


def test_a_page_follows_its_notebook_whatever_the_clock_says(house):
    """The notebook changes while the clock stands an hour behind; an unchanged one is not rendered again."""
    out = house.root / "runs/cpu"
    path = out / "notebooks/01_edge.ipynb"
    for text in ("first words", "other words"):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, path)
        os.utime(path, (0, 0))
        report.render_notebooks(out)
        page = path.with_suffix(".html")
        assert text in page.read_text(encoding="utf-8")
    before = page.stat().st_ino
    report.render_notebooks(out)
    assert page.stat().st_ino == before


def test_links_between_notebooks_lead_to_pages_that_are_there(house):
    folder = house.root / "runs/cpu/notebooks"
    folder.mkdir(parents=True)
    words = "[before](01_edge.ipynb), [part](01_edge.ipynb#rule), [further](06_trial.ipynb), [away](https://a.b/06_trial.ipynb)"
    for name, text in (("01_edge", "first"), ("05_variance", words)):
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), folder / f"{name}.ipynb")
    report.render_notebooks(folder.parent)
    links = re.findall(r'href="([^"#][^"]*)"', (folder / "05_variance.html").read_text(encoding="utf-8"))
    assert links == ["01_edge.html", "01_edge.html", "../report.html#notebooks", "https://a.b/06_trial.ipynb"]


def test_contents_link_to_sections_figures_and_executed_notebooks(house):
    """Every link of the page leads somewhere: to an id that it has, or to a file beside it."""
    import nbformat

    out = house.root / "runs/cpu"
    (out / "05_variance/figures").mkdir(parents=True)
    figure = Figure()
    figure.set_label("Three hills, the last one <right>")
    save_figure(figure, out / "05_variance/figures", "1_runs")
    cells = [
        nbformat.v4.new_code_cell(
            "# Check of exercise 1\ncheck(1, answer_1, 2)",
            metadata={"tags": ["check"], "jupyter": {"source_hidden": True}},
        ),
        nbformat.v4.new_code_cell(
            "show(figure)",
            outputs=[
                nbformat.v4.new_output(
                    "display_data", data={"image/png": "AAAA"}, metadata={"image/png": {"alt": "A hill & a hole"}}
                )
            ],
        ),
    ]
    (out / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), out / "notebooks/05_variance.ipynb")
    page = page_of(house, {"models": MODELS, "comparisons": []})
    links = re.findall(r'href="([^"]+)"', page.partition("<nav")[2].partition("</nav>")[0])
    assert {"#result", "#figures", "#figures-05_variance", "notebooks/05_variance.html"} <= set(links)
    for link in links:
        assert f'id="{link[1:]}"' in page if link.startswith("#") else (out / link).is_file()
    assert 'alt="Three hills, the last one &lt;right&gt;"' in page
    executed = (out / "notebooks/05_variance.html").read_text(encoding="utf-8")
    assert re.search(r"<details>\s*<summary>Check of exercise 1</summary>", executed)
    assert 'alt="A hill &amp; a hole"' in executed


def test_nbconvert_without_its_templates_costs_the_pages_and_not_the_run(house, monkeypatch, capsys, tmp_path):
    for name in ("ENV_JUPYTER_PATH", "SYSTEM_JUPYTER_PATH"):  # where the templates of an installation lie
        monkeypatch.setattr(jupyter_core.paths, name, [str(tmp_path)])
    folder = house.root / "runs/cpu/notebooks"
    folder.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), folder / "01_edge.ipynb")
    assert report.render_notebooks(folder.parent) == {}
    (said,) = capsys.readouterr().err.splitlines()
    assert "not shown as pages" in said and report.REINSTALL in said
