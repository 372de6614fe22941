"""The twenty rows of SQL and of molecules: validated, through notebook 01 itself, and through an evaluation."""

import json
from pathlib import Path

import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.curate.edge import EdgeRule, find_edge
from phi4r_lib.curate.truth import find_truth
from phi4r_lib.measure.evaluate import evaluate
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import load_problems
from phi4r_lib.problems.verify import VerifierUnavailable, examples, verifier_of

DATA = Path(__file__).parents[2] / "data"
BASE = {"model": str(DATA / "models" / "tiny-base")}


@pytest.fixture(params=["sql", "molecule"])
def shipped(request):
    """The problems of a file and their file; skips with a word where the verifier lacks something here."""
    try:
        verifier_of(request.param)
    except VerifierUnavailable as error:
        pytest.skip(str(error))
    path = DATA / "seeds" / f"{request.param}.jsonl"
    return load_problems(path), path


def answered(problem, gold):
    """A completion that holds a right answer in the form its verifier reads."""
    return (
        f"<think> t </think>\n```sql\n{gold}\n```"
        if problem.verifier == "sql"
        else f"<think> t </think> \\boxed{{{gold}}}"
    )


def test_validate_judges_every_row(shipped, capsys):
    problems, path = shipped
    assert main(["validate", str(path)]) == 0
    assert f"20 of 20 answers pass their verifier '{problems[0].verifier}'" in capsys.readouterr().out
    assert len({problem.meta["family"] for problem in problems}) >= 5


def test_the_edge_filter_and_an_evaluation_take_them(shipped, tmp_path):
    """A tiny base knows neither; a recorded teacher that knows half of the right answers is right half of the time."""
    problems, _ = shipped
    golds = examples(problems)
    known = {p.prompt for p in problems[::2]}
    rows = [
        {"prompt": p.prompt, "text": [answered(p, gold if p.prompt in known else "?")] * 4}
        for p, gold in zip(problems, golds, strict=True)
    ]
    spec = {"kind": "recorded", "model": str(write_rows(tmp_path / "teacher.jsonl", rows))}
    teacher, base = open_engine(spec), open_engine(BASE)
    truths = find_truth(problems, teacher, SamplingSettings(n=2, seed=0))
    assert {truth.kind for truth in truths} == {"gold"}
    rule = EdgeRule(lo=0.1, hi=0.8, error=0.1, max_samples=4, pilot=4)
    ask = SamplingSettings(max_tokens=99, seed=0)
    for engine, right in ((base, 0), (teacher, 40)):
        report = find_edge(problems, engine, rule, truths=truths, settings=ask)
        assert sum(row.successes for row in report.rows) == right
        assert sum(row.ungraded for row in report.rows) == 0
    table = evaluate(teacher, problems, 2, ask, tmp_path / "answers")
    assert table["correct"].mean() == 0.5 and set(table["grade"]) <= {"right", "wrong", "none"}
    assert set(table["family"]) == {problem.meta["family"] for problem in problems}
    base.close()


@pytest.mark.slow
def test_notebook_01_takes_both_at_once(tmp_path, capsys):
    """A tiny base solves none of them, so none is at the edge; the notebook says so and ends with its results."""
    try:
        verifier_of("sql"), verifier_of("molecule")
    except VerifierUnavailable as error:
        pytest.skip(str(error))
    files = "data.seeds=[data/seeds/sql.jsonl, data/seeds/molecule.jsonl]"
    args = ["run", "--profile", "smoke", "--only", "01", "--out", str(tmp_path / "run"), "--set", files]
    assert main([*args, "--set", "data.gold=null"]) == 0, capsys.readouterr().out[-2000:]
    (folder,) = tmp_path.glob("run*/01_edge")
    rows = [json.loads(line) for line in (folder / "edge.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["verifier"] for row in rows} == {"sql", "molecule"} and len(rows) == 40
    assert {row["truth_kind"] for row in rows} == {"gold"} and sum(row["successes"] for row in rows) == 0
    assert (folder / "results.json").is_file()
