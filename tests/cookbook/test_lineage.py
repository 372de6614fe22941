"""What a notebook read is what its results depend on: no more, so nothing reruns for nothing, and no less."""

import os
import sys

import pytest

from phi4r_lib.cookbook.folder import lineage, state
from phi4r_lib.cookbook.folder.run_folder import RunFolder
from phi4r_lib.cookbook.planning.plan import status_lines
from phi4r_lib.cookbook.run import open_run
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.problems import fingerprint
from phi4r_lib.problems.rows import plain

OWN = '"""Text."""\nimport pandas\n\n\ndef one():\n    """More text."""\n    return 1  # a comment\n'


@pytest.fixture
def own(house, monkeypatch):
    """A module of one's own, as an engine or a verifier would be."""
    path = house.root / "own_module.py"
    path.write_text(OWN)
    monkeypatch.syspath_prepend(str(house.root))
    yield path
    sys.modules.pop("own_module", None)


def done(house, *reads, name="01_edge", **overrides):
    """The run folder after a notebook that made these reads has written its results."""
    run = open_run("cpu", "runs/x", overrides)
    for read in reads:
        read(run)
    run.write_results(name, {})
    return run


def changed(house, number="01", **overrides):
    return RunFolder(house.root / "runs/x", plain(load_profile("cpu", overrides))).changed(number)


def test_only_settings_that_were_read_count(house):
    house.notebook("01_edge.ipynb", "1")
    done(house, lambda run: run.profile.edge.limit, lambda run: run.profile.models.base, lambda run: run.table("teach"))
    assert changed(house) == []
    assert changed(house, **{"mixture.rl": 10, "sft.passes": 1, "models.teacher.model": "x", "seed": 4}) == []
    assert changed(house, **{"edge.limit": 3}) == ["settings changed (edge)"]
    assert changed(house, **{"models.base.model": "org/other"}) == ["settings changed (models.base)"]
    assert changed(house, **{"teach.keep": 1}) == ["settings changed (teach)"]


def test_a_profile_dumped_as_a_whole_counts_as_a_whole(house):
    done(house, lambda run: run.profile.model_dump())
    assert changed(house, **{"grpo.steps": 3}) == ["settings changed (grpo)"]


def test_files_count_by_content_and_only_when_they_were_read(house):
    seeds = {"data.seeds": "data/seeds.jsonl"}
    (house.root / "data/other.jsonl").write_text("x")
    done(house, lambda run: run.problems("seeds"), **seeds)
    assert changed(house, **seeds, **{"data.planning": "data/other.jsonl"}) == []
    (house.root / "data/seeds.jsonl").write_text("changed")
    assert changed(house, **seeds) == ["data changed (data/seeds.jsonl)"]


def test_a_local_model_counts_by_its_content_wherever_it_lies(house):
    for name in ("small", "moved"):
        (house.root / f"data/models/{name}").mkdir(parents=True)
        (house.root / f"data/models/{name}/config.json").write_text("{}")
    base = "models.base.model"
    done(house, lambda run: run.profile.models.base, **{base: "data/models/small"})
    assert changed(house, **{base: "data/models/moved"}) == []
    (house.root / "data/models/small/config.json").write_text('{"other": 1}')
    assert changed(house, **{base: "data/models/small"}) == ["data changed (models.base)"]


def test_artefacts_count_by_content_and_the_time_of_a_run_does_not(house):
    first = open_run("cpu", "runs/x")
    (first.folder("01_edge") / "edge.jsonl").write_text("rows")
    first.write_results("01_edge", {"n": 1})
    done(house, lambda run: run.need("01_edge"), name="02_rewrite")
    first.write_results("01_edge", {"n": 2})
    assert changed(house, "02") == []
    (first.out / "01_edge/edge.jsonl").write_text("other rows")
    assert changed(house, "02") == ["inputs changed (01_edge)"]


def test_a_notebook_reads_that_its_input_is_older_than_what_it_came_from(house, capsys):
    run = done(house, lambda run: run.profile.edge.limit)
    (run.folder("01_edge") / "edge.jsonl").write_text("rows")
    open_run("cpu", "runs/x").need("01_edge/edge.jsonl")
    assert capsys.readouterr().out == ""
    manifest = state.read_json(run.out / "run.json")
    manifest["notebooks"]["01"]["lineage"]["settings"]["edge"] = "as it was"
    state.write_json(run.out / "run.json", manifest)
    open_run("cpu", "runs/x").need("01_edge/edge.jsonl")
    assert (
        "note: 01_edge/edge.jsonl is older than what it comes from: settings changed (edge)" in capsys.readouterr().out
    )
    assert "since then settings changed (edge)" in "\n".join(status_lines(run.out))


def test_code_cells_count_and_prose_does_not(house):
    path = house.notebook("01_edge.ipynb", "1")
    done(house)
    path.write_text(path.read_text().replace('"cell_type": "code"', '"cell_type":  "code"'))
    assert changed(house) == []
    path.write_text(path.read_text().replace('"1"', '"2"'))
    assert changed(house) == ["notebook changed"]


def test_code_that_a_notebook_loaded_counts_without_its_comments(house, own):
    house.notebook("01_edge.ipynb", "import own_module")
    done(house, lambda run: __import__("own_module"))
    own.write_text(OWN.replace("a comment", "other words").replace("More text", "Less"))
    assert changed(house) == []
    own.write_text(OWN.replace("return 1", "return 2"))
    assert changed(house) == ["code changed (own_module.py)"]


def test_library_rooms_count_by_what_the_notebook_imports(house):
    cells = ["from phi4r_lib.curate.edge import find_edge"]
    __import__("phi4r_lib.curate.edge"), __import__("phi4r_lib.measure.variance")
    code = {lineage._code_key(path) for path in lineage.used_code(cells)}
    assert {"phi4r_lib/curate/edge.py", "phi4r_lib/models/engine.py", "phi4r_lib/problems/answers.py"} <= code
    assert not any(driver(key) for key in code)


def driver(key):
    """Whether a module is the driver's; test modules in this process may import lessons."""
    return key.startswith("phi4r_lib/cookbook/") and "/lessons/" not in key


def test_a_lesson_s_own_work_counts_and_so_does_what_its_front_names():
    code = "from phi4r_lib.cookbook.lessons.checklist_front import Domain, promotion"
    exec(code)
    keys = {lineage._code_key(path) for path in lineage.used_code([code])}
    assert {"phi4r_lib/cookbook/lessons/domain_run.py", "phi4r_lib/curate/edge.py"} <= keys
    assert not any(driver(key) for key in keys)


def test_an_upgrade_of_a_package_that_was_used_counts(house, own):
    house.notebook("01_edge.ipynb", "import own_module")
    run = done(house, lambda run: __import__("own_module"))
    manifest = state.read_json(run.out / "run.json")
    packages = manifest["notebooks"]["01"]["lineage"]["packages"]
    assert "pandas" in packages and "papermill" not in packages
    packages |= {"pandas": "0.1", "gone": "1.0"}
    state.write_json(run.out / "run.json", manifest)
    (words,) = changed(house)
    assert words.startswith("packages changed (") and "pandas 0.1 -> " in words and "gone 1.0 -> absent" in words


def test_a_worker_that_a_module_starts_by_name_counts_with_its_packages():
    referee = lineage.PACKAGE_ROOT / "phi4r_lib/problems/math/referee.py"
    assert lineage.workers(referee) == {referee.with_name("referee_worker.py")}


def test_a_large_file_is_told_apart_by_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(lineage, "WHOLE_FILE", 1000)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"a" * 200_000)
    before = lineage.digest(path)
    path.write_bytes(b"a" * 199_999 + b"b")
    assert lineage.digest(path) != before


def test_results_of_an_earlier_version_are_not_taken_on_trust(house):
    run = done(house)
    manifest = state.read_json(run.out / "run.json")
    del manifest["notebooks"]["01"]["lineage"]
    state.write_json(run.out / "run.json", manifest)
    assert changed(house) == ["phi4r itself changed (no lineage recorded)"]


def test_a_change_that_leaves_size_and_time_alone_is_noticed(tmp_path):
    """Two writes within one tick of the clock, or a file put back with its old time."""
    path = tmp_path / "rows.jsonl"
    path.write_text("one", encoding="utf-8")
    first, times = lineage.digest(path), path.stat()
    path.write_text("two", encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = lineage.digest(path)
    assert second != first
    other = tmp_path / "other"
    other.write_text("six", encoding="utf-8")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)
    assert len({first, second, lineage.digest(path)}) == 3


def test_a_file_that_has_settled_is_read_once_and_again_after_a_change(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "SETTLED", 0)
    reads = []
    first_line = fingerprint.remembered(lambda path: reads.append(path) or path.read_text(encoding="utf-8"))
    path = tmp_path / "a"
    path.write_text("one", encoding="utf-8")
    assert [first_line(path), first_line(path)] == ["one", "one"] and len(reads) == 1
    path.write_text("three", encoding="utf-8")
    assert first_line(path) == "three" and len(reads) == 2
