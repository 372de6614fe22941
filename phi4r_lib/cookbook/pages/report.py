"""The HTML report of a run: one page with status, headline numbers and figures, and the executed notebooks beside it.

Everything is read from the run folder; nothing is computed again. Not here: how the page looks (report.html.tmpl).
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.folder.run_folder import RunFolder
from phi4r_lib.cookbook.planning.outlook import planned
from phi4r_lib.cookbook.planning.plan import opened, statuses
from phi4r_lib.cookbook.settings.home import spare_a_grammar
from phi4r_lib.problems.fingerprint import file_fingerprint
from phi4r_lib.problems.rows import write_text

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe-Ito, safe for colour-blind readers
REINSTALL = "pip install --force-reinstall --no-deps nbconvert brings its templates back"
TEMPLATE = Path(__file__).with_name("report.html.tmpl")
# Pages load nothing from outside: the scripts that nbconvert fetches are left out, and the policy forbids the rest.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:"
PAGE = f"""{{%- extends 'index.html.j2' -%}}
{{%- block html_head -%}}<meta http-equiv="Content-Security-Policy" content="{POLICY}">{{{{ super() }}}}{{%- endblock -%}}
{{%- block html_head_js -%}}{{%- endblock -%}}
{{%- block jupyter_widgets -%}}{{%- endblock -%}}
{{%- block html_head_js_mathjax -%}}{{%- endblock -%}}
{{%- block html_head_js_mermaidjs -%}}{{%- endblock -%}}
{{%- block input -%}}
{{%- if cell.metadata.get('jupyter', {{}}).get('source_hidden') -%}}
<details><summary>{{{{ cell.source.splitlines()[0].lstrip('# ') | escape }}}}</summary>{{{{ super() }}}}</details>
{{%- else -%}}{{{{ super() }}}}{{%- endif -%}}
{{%- endblock -%}}
{{%- block data_png scoped -%}}
<div class="jp-RenderedImage jp-OutputArea-output"><img src="data:image/png;base64,{{{{ output.data['image/png'] | escape }}}}"
alt="{{{{ output | get_metadata('alt', 'image/png') or 'a figure without a description' | escape }}}}"></div>
{{%- endblock -%}}
"""


def write(out: Path) -> Path:
    """Writes report.html into a run folder, and each executed notebook as HTML; returns the path of the page."""
    run = state.read_json(out / "run.json")
    results = {path.parent.name: state.read_json(path) for path in sorted(out.glob("[0-9][0-9]_*/results.json"))}
    pages = render_notebooks(out)
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        contents=contents(out, pages),
        title=escape(f"Run {out.name}, profile {run.get('profile', {}).get('name', 'unknown')}"),
        facts=facts(run),
        verdict=verdicts(results),
        status=status_table(opened(out), pages),
        headlines=headlines(results),
        figures=figures(out),
        settings=escape(_yaml(run.get("profile", {}))),
    )
    target = out / "report.html"
    return write_text(target, page)


def _yaml(data: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(data), sort_keys=False, width=110)


def facts(run: Mapping[str, Any]) -> str:
    """The line under the title: when, which commit, which versions, how long."""
    recorded = run.get("notebooks", {}).values()
    minutes = sum(notebook.get("seconds", 0) for notebook in recorded) / 60
    peak = max((notebook.get("peak_mb", 0) for notebook in recorded), default=0)
    versions = ", ".join(f"{name} {version}" for name, version in run.get("versions", {}).items())
    line = f"opened {run.get('opened', '?')} · {minutes:.1f} minutes · at most {peak:,} MB · seed "
    line += f"{run.get('seeds', {}).get('profile', '?')} · commit {str(run.get('git_commit'))[:12]}"
    return f"{escape(line)}<br>{escape(versions)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """An HTML table; cells are HTML already."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>' if body else ""


def status_table(folder: RunFolder, pages: Mapping[str, str]) -> str:
    """Each notebook with status, time, memory, a link to its executed copy, and what has changed since it ran."""
    rows = []
    for number, (status, note) in statuses(folder).items():
        facts, stage = folder.record(number), folder.stages.get(number)
        name = stage.name if stage else facts.get("folder") or number
        link = f'<a href="notebooks/{escape(pages[name])}">{escape(name)}</a>' if name in pages else escape(name)
        seconds = f"{facts['seconds']:,.0f} s" if "seconds" in facts else "–"
        expected = planned(folder.manifest, number).removeprefix("planned ") or "–"
        memory = f"{facts['peak_mb']:,} MB" if "peak_mb" in facts else "–"
        message = f"<pre>{escape(facts.get('message') or note)}</pre>" if facts.get("message") or note else ""
        rows.append(
            (
                link,
                f'<span class="{escape(status.split()[0])}">{escape(status)}</span>{message}',
                seconds,
                expected,
                memory,
            )
        )
    return table(["notebook", "status", "time", "planned: best / expected / worst", "peak memory"], rows)


def verdicts(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The main result of every stage that measured models over independent runs, each under the stage's name."""
    measured = {folder: content for folder, content in results.items() if _measures(content)}
    if not measured:
        return "<p>No accuracies over many runs yet.</p>"
    blocks = [
        (f"<h3>{escape(folder)}</h3>" if len(measured) > 1 else "") + verdict(measured[folder]) for folder in measured
    ]
    return "".join(blocks)


def _measures(content: Mapping[str, Any]) -> bool:
    models = content.get("models")
    return isinstance(models, Mapping) and any(isinstance(m, Mapping) and "run_accuracy" in m for m in models.values())


def verdict(variance: Mapping[str, Any]) -> str:
    """Accuracy of every model over its independent runs, and the paired differences."""
    models = variance["models"]
    rows = [
        _model_row(name, facts, COLOURS[index % len(COLOURS)]) for index, (name, facts) in enumerate(models.items())
    ]
    pairs = [_pair_row(pair) for pair in variance.get("comparisons", [])]
    head = [
        "model",
        "mean accuracy",
        "each dot one run over the benchmark, 0 to 100%",
        "± these problems",
        "± problems like these",
        "tokens",
    ]
    return table(head, rows, "wide") + table(["comparison", "difference", "95% interval over problems", "p"], pairs)


def _model_row(name: str, facts: Mapping[str, Any], colour: str) -> tuple[str, ...]:
    errors = (f"{100 * facts[key]:.1f}" if facts.get(key) is not None else "–" for key in ("se_fixed", "se_population"))
    tokens = f"{facts['mean_tokens']:,.0f}" if facts.get("mean_tokens") is not None else "–"
    return (
        escape(name),
        f"<b>{100 * facts['mean']:.1f}%</b>",
        dots(facts.get("run_accuracy", []), colour),
        *errors,
        tokens,
    )


def _pair_row(pair: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = pair.get("low"), pair.get("high")
    interval = f"{100 * low:+.1f} to {100 * high:+.1f} points" if low is not None and high is not None else "–"
    p_value = pair.get("p_value")
    p_text = "–" if p_value is None else "&lt; 0.0001" if p_value < 1e-4 else f"{p_value:.4f}"
    return (escape(f"{pair['a']} − {pair['b']}"), f"{100 * pair['difference']:+.1f} points", interval, p_text)


def dots(accuracies: Sequence[float], colour: str) -> str:
    """Run accuracies as dots on a line from 0 to 1 (SVG); equal ones are stacked."""
    height: dict[int, int] = {}
    marks = []
    for accuracy in accuracies:
        x = round(10 + 400 * accuracy)
        level = height[x // 4] = height.get(x // 4, 0) + 1
        marks.append(f'<circle cx="{x}" cy="{54 - 5 * min(level, 9)}" r="2.4" fill="{colour}" fill-opacity="0.75"/>')
    ticks = "".join(
        f'<line x1="{10 + 4 * p}" y1="54" x2="{10 + 4 * p}" y2="58" stroke="#999"/>' for p in range(0, 101, 25)
    )
    axis = f'<line x1="10" y1="54" x2="410" y2="54" stroke="#999"/>{ticks}'
    label = f"{len(accuracies)} runs from {min(accuracies):.0%} to {max(accuracies):.0%}" if accuracies else "no runs"
    return f'<svg viewBox="0 0 420 60" role="img" aria-label="{label}">{axis}{"".join(marks)}</svg>'


def headlines(results: Mapping[str, Mapping[str, Any]]) -> str:
    """What each notebook calls its headline, else the plain numbers at the top of its results.json."""
    blocks = []
    for folder, content in results.items():
        lead = content.get("headline")
        chosen = (
            lead
            if isinstance(lead, dict)
            else {key: value for key, value in content.items() if type(value) in (int, float)}
        )
        rows = [(escape(str(key)), escape(number(value))) for key, value in list(chosen.items())[:12]]
        if rows:
            blocks.append(f"<section><h3>{escape(folder)}</h3>{table(['figure', 'value'], rows)}</section>")
    return "".join(blocks) or "<p>No results yet.</p>"


def number(value: Any) -> str:
    """A value as people read it: 1,234 or 0.873; text stays text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def pictures(out: Path) -> dict[str, list[Path]]:
    """{folder of a stage: its PNGs}, both in the order of their numbers."""
    found: dict[str, list[Path]] = {}
    for path in sorted(out.glob("[0-9][0-9]_*/**/*.png"), key=_counted):
        found.setdefault(path.relative_to(out).parts[0], []).append(path)
    return found


def figures(out: Path) -> str:
    """Every PNG of the run, embedded, under the name of its notebook."""
    blocks = []
    for stage, paths in pictures(out).items():
        inner = "".join(_figure(path, f"{stage}: {path.stem.replace('_', ' ')}") for path in paths)
        blocks.append(f'<h3 id="figures-{escape(stage)}">{escape(stage)}</h3><div class="figures">{inner}</div>')
    return "".join(blocks) or "<p>No figures yet.</p>"


def _figure(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(_alt(path) or caption)}" loading="lazy">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _alt(path: Path) -> str:
    """The description that `save_figure` wrote into a PNG, or nothing."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return str(picture.info.get("Description", ""))
    except (UnidentifiedImageError, OSError):
        return ""


def contents(out: Path, pages: Mapping[str, str]) -> str:
    """The table of contents: the sections of the page, the figures by notebook, and the executed notebooks."""
    sections = {"result": "Result", "notebooks": "Notebooks", "numbers": "Headline numbers", "figures": "Figures"}
    links = [f'<li><a href="#{key}">{name}</a></li>' for key, name in sections.items()]
    links[-1] = links[-1].replace("</li>", _list((f"#figures-{stage}", stage) for stage in pictures(out)) + "</li>")
    links[1] = links[1].replace("</li>", _list((f"notebooks/{page}", name) for name, page in pages.items()) + "</li>")
    return f'<ul>{"".join(links)}<li><a href="#settings">Settings</a></li></ul>'


def _list(links: Iterable[tuple[str, str]]) -> str:
    items = "".join(f'<li><a href="{escape(target)}">{escape(name)}</a></li>' for target, name in links)
    return f"<ul>{items}</ul>" if items else ""


def _counted(path: Path) -> list[tuple[int, str]]:
    """Sorts 2_years before 10_power."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", str(path))]


def _linked(page: str, folder: Path) -> str:
    """Links to other notebooks lead to their pages; of one that has not run, to the list of notebooks in the report."""

    def target(link: re.Match[str]) -> str:
        there = (folder / f"{link[1]}.ipynb").exists()
        return f'href="{link[1]}.html"' if there else 'href="../report.html#notebooks"'

    return re.sub(r'href="([0-9]{2}_\w+)\.ipynb(?:#[^"]*)?"', target, page)


def page_exporter() -> tuple[Any | None, str]:
    """What makes a page of a notebook, or None and what is wrong with this installation of nbconvert."""
    spare_a_grammar()
    try:
        import nbformat
        from jinja2 import DictLoader
        from nbconvert import HTMLExporter  # takes half a second to import

        exporter = HTMLExporter(extra_loaders=[DictLoader({"page.html.j2": PAGE})], template_file="page.html.j2")
        exporter.from_notebook_node(nbformat.v4.new_notebook())
    except (ImportError, ValueError, OSError, LookupError) as error:  # a template that is not there is one of these
        return None, f"nbconvert does not work here ({' '.join(str(error).split())[:150]})"
    return exporter, ""


def render_notebooks(out: Path) -> dict[str, str]:
    """Executed notebooks as HTML beside them, {stem: file name}; unchanged ones are not rendered again."""
    pages = {}
    exporter = None
    for path in sorted((out / "notebooks").glob("*.ipynb")):
        page, seal = path.with_suffix(".html"), f"<!-- {file_fingerprint(path)} -->\n"
        if not page.exists() or not page.read_bytes().endswith(seal.encode()):  # contents count, clocks may go back
            if exporter is None:
                exporter, fault = page_exporter()
            if exporter is None:
                print(f"phi4r: executed notebooks are not shown as pages: {fault}; {REINSTALL}", file=sys.stderr)
                return pages
            try:
                write_text(page, _linked(exporter.from_filename(str(path))[0], path.parent) + seal)
            except ValueError:  # a notebook cut off in the middle of a write
                continue
        pages[path.stem] = page.name
    return pages
