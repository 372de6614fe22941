import json
import os
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.run import MissingArtefact, check_parameters, open_run
from phi4r_lib.cookbook.settings.profile import UserError
from phi4r_lib.models.engine import Sample
from phi4r_lib.problems.schema import Problem, ProblemFileError

PROBLEM = Problem(id="p", domain="math", prompt="6 + 6?", answer="12", source="ours", licence="MIT")


def test_open_run_records_what_the_run_is(house):
    run = open_run("cpu", "runs/x", {"edge.limit": 5})
    manifest = json.loads((house.root / "runs/x/run.json").read_text())
    assert run.out == house.root / "runs/x"
    assert manifest["profile"]["edge"]["limit"] == 5
    assert {"python", "torch", "trl"} <= set(manifest["versions"])
    assert manifest["seeds"]["profile"] == run.profile.seed


def test_paths_do_not_depend_on_the_working_directory(house, monkeypatch):
    monkeypatch.chdir(house.root / "notebooks")
    run = open_run("cpu", "runs/x")
    assert run.out == house.root / "runs/x"
    assert run.path("data/seeds.jsonl") == house.root / "data/seeds.jsonl"


def test_open_run_bounds_torch_caches_and_leaves_what_the_user_set(house, monkeypatch):
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "99")
    open_run("smoke", "runs/caches")
    assert os.environ["LRU_CACHE_CAPACITY"] == "16"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "99"


def test_missing_artefact_names_the_notebook(house):
    house.notebook("01_edge.ipynb")
    run = open_run("cpu", "runs/x")
    with pytest.raises(MissingArtefact, match=r"01_edge\.ipynb first \(or: phi4r run --profile cpu --only 01"):
        run.need("01_edge/edge.jsonl")
    (run.folder("01_edge") / "edge.jsonl").write_text("{}")
    assert run.need("01_edge/edge.jsonl").read_text() == "{}"


def test_missing_file_of_the_repository_is_named(house):
    with pytest.raises(MissingArtefact, match="data/nothing"):
        open_run("cpu", "runs/x").path("data/nothing")


def test_problems_apply_the_mapping_to_seeds(house):
    (house.root / "own.jsonl").write_text('{"question": "2+2?", "level": 3}\n')
    run = open_run("cpu", "runs/x", {"data.seeds": "own.jsonl", "data.map": {"prompt": "question"}})
    (problem,) = run.problems("seeds")
    assert (problem.prompt, problem.id, problem.meta) == ("2+2?", "own-1", {"level": 3})


def _rows(path, count, **fields):
    rows = [
        {"id": f"{path.stem}{i}", "prompt": f"{i}?", "source": "t", "licence": "MIT"} | fields for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def test_seeds_of_several_domains_and_files(house):
    law, tax, old = (_rows(house.root / f"{name}.jsonl", count) for name, count in (("law", 6), ("tax", 2), ("old", 4)))
    run = open_run("cpu", "runs/x", {"data.seeds": {"law": law, "tax": [tax, old]}})
    assert [p.domain for p in run.problems("seeds")] == ["law"] * 6 + ["tax"] * 6
    assert [p.id for p in run.problems("seeds", 6)] == ["law0", "law1", "law2", "tax0", "old0", "old1"]
    assert len(run.problems("seeds", 5)) == 5


def test_a_judge_is_named_by_the_profile_or_there_is_none(house):
    named = {
        "data.judges": {"faithful": "phi4r_lib.worlds.reading:is_faithful", "reply": "phi4r_lib.worlds.reading:no"}
    }
    run = open_run("cpu", "runs/x", named)
    assert run.judge("faithful").__name__ == "is_faithful" and run.judge("other") is None
    assert "data.judges" in run.reads.settings
    with pytest.raises(UserError, match=r"profile 'cpu': data\.judges\.reply .* has no 'no'"):
        run.judge("reply")


def test_a_row_keeps_its_own_domain(house):
    own = _rows(house.root / "own.jsonl", 1, domain="chemistry")
    run = open_run("cpu", "runs/x", {"data.seeds": {"science": own}})
    assert run.problems("seeds")[0].domain == "chemistry"


def test_one_id_in_two_files_is_refused(house):
    files = [_rows(house.root / "a.jsonl", 1, domain="math")] * 2
    with pytest.raises(ProblemFileError, match="id 'a0' is also in"):
        open_run("cpu", "runs/x", {"data.seeds": files}).problems("seeds")


def test_results_are_plain_json_and_mark_the_notebook_done(house):
    run = open_run("cpu", "runs/x")
    path = run.write_results("01_edge", {"share": np.float64(0.5), "counts": np.arange(3), "none": float("nan")})
    results = json.loads(path.read_text())
    assert (results["share"], results["counts"], results["none"]) == (0.5, [0, 1, 2], None)
    assert state.read_json(run.out / "run.json")["notebooks"]["01"]["status"] == "done"
    assert not list(run.out.rglob("*.partial"))


def test_rows_are_written_into_a_folder_of_the_run(house):
    run = open_run("cpu", "runs/x")
    path = run.write("02_rewrite/sft/math.jsonl", [{"id": "a"}, {"id": "b"}])
    assert path == run.out / "02_rewrite/sft/math.jsonl" and path.read_text() == '{"id": "a"}\n{"id": "b"}\n'


def test_two_profiles_never_share_a_folder(house):
    open_run("cpu", "runs/x").write_results("01_edge", {})
    with pytest.raises(UserError, match="holds a run of profile 'cpu'"):
        open_run("smoke", "runs/x")
    assert state.read_json(house.root / "runs/x/run.json")["profile"]["name"] == "cpu"


def test_a_file_is_no_run_folder(house):
    with pytest.raises(UserError, match="is a file"):
        open_run("cpu", "data/seeds.jsonl")


def test_table_shows_units_and_origins(house):
    table = open_run("cpu", "runs/x", {"edge.limit": 5}).table("edge")
    assert table.loc["limit", "value"] == 5
    assert all(table["unit and origin"])


def shell(injected, **names):
    return SimpleNamespace(user_ns={"In": ["", "x = 1", "# Parameters\n" + injected], **names})


def test_papermill_parameter_that_no_notebook_knows():
    with pytest.raises(UserError, match="unknown parameter 'profle'"):
        check_parameters(shell('profle = "smoke"\n', profle="smoke", profile="cpu"))


def test_papermill_parameter_that_the_notebook_overwrote():
    with pytest.raises(UserError, match="tag the parameters cell"):
        check_parameters(shell('profile = "smoke"\n', profile="cpu"))


def test_papermill_parameters_that_arrived():
    check_parameters(
        shell('profile = "smoke"\noverrides = {"edge.limit": 3}\n', profile="smoke", overrides={"edge.limit": 3})
    )


def test_models_of_the_repository_load_from_any_directory(house):
    (house.root / "data/models/small").mkdir(parents=True)
    change = {"models.base.model": "data/models/small", "models.teacher.model": "org/on-the-hub"}
    run = open_run("cpu", "runs/x", change)
    assert run.profile.models.base.model == str(house.root / "data/models/small")
    assert run.profile.models.teacher.model == "org/on-the-hub"


def test_a_mistake_that_the_user_can_mend_is_one_line_in_the_notebook(house):
    """A kernel of its own, as in JupyterLab: the message without a traceback, and no later cell runs."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    path = house.notebook(
        "00_start.ipynb", "1 + 1", parameters='profile = "cpu"\nout = "runs/cpu"\noverrides = {"edge.limt": 1}'
    )
    book = nbformat.read(path, as_version=4)
    with pytest.raises(CellExecutionError):
        NotebookClient(book, resources={"metadata": {"path": str(house.root)}}).execute()
    (error,) = [output for output in book.cells[1].outputs if output.output_type == "error"]
    assert error.ename == "ProfileError" and len(error.traceback) == 1
    assert "did you mean 'edge.limit'?" in error.traceback[0] and "File" not in error.traceback[0]
    assert not book.cells[2].outputs


def test_a_run_samples_judges_and_votes_as_its_profile_says(house):
    run = open_run("smoke", "runs/x", {"seed": 5, "verifiers": {"word": {"kind": "exact"}}})
    assert run.sampling(n=3, temperature=0.5).model_dump(include={"n", "seed"}) == {"n": 3, "seed": 5}
    assert run.sampling(seed=None).seed is None
    asked = [PROBLEM, PROBLEM, PROBLEM.model_copy(update={"verifier": "word", "answer": "tea"})]
    samples = [Sample(text=text, tokens=9) for text in ("\\boxed{12.0}", "\\boxed{13}", "\\boxed{tea}")]
    assert [verdict.correct for verdict in run.verify(asked, samples)] == [True, False, True]
    assert run.vote(["12", "12.0", "15", None]).votes == 2
    assert run.vote(["12", "12.0", "15"], asked[2]).votes == 1
    assert "verifiers" in run.reads.settings


def test_a_run_evaluates_and_notes_the_code_that_did(house):
    class Twelve:
        name, seedable = "twelve", True

        def sample(self, prompts, settings, progress=None):
            return [[Sample(text="\\boxed{12}", tokens=3, index=i) for i in range(settings.n)] for _ in prompts]

    run = open_run("smoke", "runs/x")
    table = run.evaluate(Twelve(), [PROBLEM], 2, run.sampling(), run.folder("05_variance/samples"), model="toy")
    assert table["correct"].tolist() == [True, True] and set(table["model"]) == {"toy"}
    assert any(path.name == "evaluate.py" for path in run.reads.code)


def test_what_a_run_writes_it_reads_again(house):
    run = open_run("smoke", "runs/x")
    rows = [{"id": "a", "answer": "012"}, {"id": "b", "answer": None}]
    assert run.rows(run.write("02_rewrite/some.jsonl", rows)) == run.rows("02_rewrite/some.jsonl") == rows
    assert json.loads(run.write("02_rewrite/one.json", {"n": 1}).read_text()) == {"n": 1}
    assert pd.read_parquet(run.write("02_rewrite/t.parquet", pd.DataFrame(rows)))["id"].tolist() == ["a", "b"]
