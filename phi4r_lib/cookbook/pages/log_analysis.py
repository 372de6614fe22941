"""`phi4r variance LOG...`: the variance analysis of notebook 05 for anyone's evaluation logs.

Not here: the reading (measure/adapters), the analysis (measure/analysis.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from phi4r_lib.cookbook.settings.home import UserError, real_path
from phi4r_lib.cookbook.settings.profile import mapping_of
from phi4r_lib.problems.rows import write_json, write_text

DEFAULT_OUT = "variance-report"
EXAMPLES = """examples:
  phi4r variance runs/cpu                                   our own run: every pair of models
  phi4r variance runs/cpu --compare grpo sft --out look     one pair, into the folder look
  phi4r variance a=logs/first b=logs/second --compare a b   two lm-eval, lighteval or Inspect logs, named here
  phi4r variance answers.csv                                columns problem, correct (and run, model, answer, tokens, family, year)

A LOG is a file or a folder: our run folder, lm-eval samples_*.jsonl, lighteval details_*.parquet, Inspect .eval or .json,
or a plain table. Several logs of one model on the same problems become further runs. Differences are A minus B.
A plain table without a column model is named by its file; the files of a folder are runs of one model.

other harnesses, by saying which field is which (a name, or a dotted path such as metrics.acc or completion.-1.content):
  phi4r variance new=results.jsonl --map problem=example_id --map correct=reward                          verifiers
  phi4r variance new=FOLDER --map correct=symbolic_correct --map answer=predicted_answer                  NeMo-Skills, output-rs*.jsonl: a file is a run
  phi4r variance new=FILE.jsonl --map problem=idx --map correct=score --map answer=pred                   Qwen2.5-Math, a list is a run per entry
  phi4r variance new=samples.jsonl --map problem=doc_id --map correct=exact_match                         lmms-eval
  phi4r variance new=RESULT.json --map problem=key --map correct=correct --map answer=pred                OpenCompass (--dump-eval-details)

exit codes: 0 success; 2 wrong use or a log that cannot be used, nothing was written"""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the `variance` command to the `phi4r` command line."""
    text = "what evaluation logs can and cannot show: both standard errors, comparisons, power, a verdict"
    command = subparsers.add_parser("variance", help=text, description=text, epilog=EXAMPLES)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("logs", nargs="+", metavar="LOG", help="a log or folder, or NAME=LOG to name its model")
    command.add_argument(
        "--compare", nargs=2, action="append", metavar=("A", "B"), help="compare A with B; can be repeated"
    )
    mapping = "field of a table of answers = field of your file (- for none); can be repeated"
    command.add_argument("--map", dest="maps", action="append", default=[], metavar="OURS=THEIRS", help=mapping)
    for name, what in {
        "filter": "lm-eval filter",
        "metric": "lm-eval or lighteval metric",
        "scorer": "Inspect scorer",
    }.items():
        command.add_argument(f"--{name}", metavar="NAME", help=f"{what} to take (default: the first that can be used)")
    command.add_argument("--out", default=DEFAULT_OUT, help=f"folder for the results (default: {DEFAULT_OUT})")
    return command


def run(args: argparse.Namespace) -> int:
    """Reads the logs, analyses them, writes results.json, verdict.txt, figures and page.html; prints the verdict.

    Raises UserError (exit code 2) for logs that cannot be used and unknown models, before anything is written.
    """
    from phi4r_lib.measure.adapters.logs import AnswersError, Choice, read_logs
    from phi4r_lib.measure.analysis import analyse

    out = _folder(args.out)
    for option in ("filter", "metric", "scorer"):
        if getattr(args, option) is not None and not getattr(args, option).strip():
            raise UserError(f"--{option} is empty; give a name, or leave the option out")
    try:
        choice = Choice(args.filter, args.metric, args.scorer, mapping_of(args.maps))
        answers, notes = read_logs(args.logs, choice)
        analysis = analyse(answers, [tuple(pair) for pair in args.compare] if args.compare else None)
    except AnswersError as error:
        raise UserError(str(error)) from None
    except ValueError as error:
        raise UserError(f"{', '.join(args.logs)}: {error}") from None
    write(out, analysis, notes)
    print("".join(f"({note})\n" for note in notes), end="")
    print("\n".join(f"- {sentence}" for sentence in analysis.sentences))
    for name, reason in analysis.skipped.items():
        print(f"(no figure {name}: {reason})")
    print(f"written: {out / 'page.html'}, results.json, verdict.txt and figures ({len(analysis.figures)})")
    return 0


def _folder(given: str) -> Path:
    """The folder of the results; raises UserError for a file, and for a folder with other things than a variance report."""
    if not given.strip():
        raise UserError("--out is empty; give a folder, or leave the option out")
    out = real_path(given)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {given} is a file; give a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / "verdict.txt").is_file():
        raise UserError(f"--out {given} holds other things than a variance report; give a new folder, or an empty one")
    return out


def write(out: Path, analysis: Any, notes: Sequence[str] = ()) -> None:
    """Writes an Analysis into a folder: results.json, verdict.txt, figures/*.png and *.svg, page.html."""
    from phi4r_lib.measure.figures import save_all

    out.mkdir(parents=True, exist_ok=True)
    results = analysis.results | {"verdict": analysis.sentences, "skipped": analysis.skipped, "notes": list(notes)}
    write_json(out / "results.json", results)
    write_text(out / "verdict.txt", "\n".join(analysis.sentences) + "\n")
    save_all(analysis.figures, out / "figures")
    write_text(out / "page.html", page(analysis, notes))


def page(analysis: Any, notes: Sequence[str] = ()) -> str:
    """The analysis as one HTML page that shows the figures beside it."""
    from phi4r_lib.measure.verdict import SENTENCES

    verdict = "".join(f"<li>{escape(sentence)}</li>" for sentence in analysis.sentences)
    pictures = "".join(
        f'<figure><img src="figures/{escape(name)}.svg" alt="{escape(str(figure.get_label()) or name)}"></figure>'
        for name, figure in analysis.figures.items()
    )
    taken = "".join(f"<li>{escape(note)}</li>" for note in notes)
    terms = [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in SENTENCES.items()]
    left_out = "".join(f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in analysis.skipped.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Variance report</title>'
        "<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:right}"
        "td:first-child,th:first-child{text-align:left}img{max-width:100%}figure{margin:1.5em 0}</style>"
        f"<h1>What these runs show</h1><ul>{verdict}</ul>{_model_table(analysis.results['models'])}{pictures}"
        + (f"<h2>How the logs were read</h2><ul>{taken}</ul>" if taken else "")
        + (f"<h2>Left out</h2><ul>{left_out}</ul>" if left_out else "")
        + f"<h2>The methods by name</h2><dl>{''.join(terms)}</dl></html>\n"
    )


def _model_table(models: dict[str, dict[str, Any]]) -> str:
    head = ("model", "problems", "runs", "mean", "these problems, 95%", "problems like these, 95%", "tokens")
    rows = []
    for name, facts in models.items():
        ends = [facts[key] for key in ("interval_fixed", "interval_population")]
        errors = ["–" if pair is None else f"{_percent(pair[0])} to {_percent(pair[1])}" for pair in ends]
        tokens = "–" if facts["mean_tokens"] is None else f"{facts['mean_tokens']:,.0f}"
        rows.append((name, f"{facts['problems']}", f"{facts['runs']:g}", _percent(facts["mean"]), *errors, tokens))
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{body}</table>"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"
