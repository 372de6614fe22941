"""A change never destroys: it gets a folder of its own, and what it leaves alone is read from the run it varies."""

import shutil
import subprocess
import sys

import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.folder import lineage, state
from phi4r_lib.cookbook.folder.run_folder import choose_folder, name_of
from phi4r_lib.cookbook.run import MissingArtefact, open_run
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.problems.rows import write_json

EDGE = "run.folder('01_edge').joinpath('edge.jsonl').write_text(str(run.profile.edge.limit))"
SFT = "text = run.need('01_edge/edge.jsonl').read_text(); run.folder('03_sft').joinpath('model').write_text(text + str(run.profile.sft.passes))"


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Where the first of these tests leaves its house for the others."""
    return tmp_path_factory.mktemp("recorded") / "house"


@pytest.fixture
def recorded(house, first):
    """The house with two notebooks that have run with profile cpu: once, then copied."""
    if first.exists():
        shutil.copytree(first, house.root, dirs_exist_ok=True)
        return house
    house.notebook("01_edge.ipynb", EDGE, "run.write_results('01_edge', {})")
    house.notebook("03_sft.ipynb", SFT, "run.write_results('03_sft', {})", needs=("01_edge/edge.jsonl",))
    assert main(["run"]) == 0
    shutil.copytree(house.root, first)
    return house


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_run_with_a_change_leaves_the_recorded_run_alone_and_reads_from_it(recorded, capsys):
    base, variant = recorded.root / "runs/cpu", recorded.root / "runs/cpu+sft.passes-1"
    before = contents(base)
    capsys.readouterr()
    assert main(["plan", "--set", "sft.passes=1"]) == 0
    plan = capsys.readouterr().out
    assert "keep (from runs/cpu)" in plan and "run (no results yet)" in plan and not variant.exists()
    assert main(["run", "--set", "sft.passes=1"]) == 0
    out = capsys.readouterr().out
    assert "run folder runs/cpu+sft.passes-1" in out and "01_edge" in out and "from runs/cpu" in out
    assert contents(base) == before
    assert (variant / "03_sft/model").read_text() == "6001.0" and not (variant / "01_edge").exists()
    assert main(["run", "--set", "sft.passes=1"]) == 0
    assert capsys.readouterr().out.count("kept") == 2
    assert main(["status"]) == 0 and "varied by runs/cpu+sft.passes-1" in capsys.readouterr().out
    assert main(["status", "--set", "sft.passes=1"]) == 0 and "from runs/cpu" in capsys.readouterr().out


def test_a_change_of_an_early_stage_runs_everything_behind_it_anew(recorded, capsys):
    assert main(["run", "--set", "edge.limit=3"]) == 0
    variant = recorded.root / "runs/cpu+edge.limit-3"
    profile = load_profile("cpu")
    assert (variant / "03_sft/model").read_text() == f"3{profile.sft.passes}"
    assert (recorded.root / "runs/cpu/03_sft/model").read_text() == f"{profile.edge.limit}{profile.sft.passes}"


def test_a_variant_does_not_read_what_no_longer_holds(recorded):
    run = open_run("cpu", "runs/cpu", {"edge.limit": 3})
    assert run.out.name == "cpu+edge.limit-3"
    with pytest.raises(MissingArtefact) as error:
        run.need("01_edge/edge.jsonl")
    assert "01_edge/edge.jsonl is missing in runs/cpu+edge.limit-3" in str(error.value)
    command = str(error.value).partition("or: phi4r ")[2].rstrip(")").split()
    assert main(command) == 0 and run.need("01_edge/edge.jsonl").read_text() == "3"


def test_a_notebook_by_hand_is_led_to_a_folder_of_its_own_and_says_so(recorded, capsys):
    capsys.readouterr()
    run = open_run("cpu", "runs/cpu", {"sft.passes": 1.5})
    assert run.out == recorded.root / "runs/cpu+sft.passes-1.5"
    assert "this run goes to runs/cpu+sft.passes-1.5 and varies runs/cpu" in capsys.readouterr().out
    assert run.need("01_edge/edge.jsonl") == recorded.root / "runs/cpu/01_edge/edge.jsonl"


def test_what_a_variant_read_counts_when_the_run_it_varies_changes(recorded):
    assert main(["run", "--set", "sft.passes=1"]) == 0
    folder = state.read_json(recorded.root / "runs/cpu+sft.passes-1/run.json")
    assert folder["varies"] == "runs/cpu"
    recorded.notebook("01_edge.ipynb", EDGE.replace("str(", "'other' + str("), "run.write_results('01_edge', {})")
    assert main(["run", "--only", "01"]) == 0
    assert main(["run", "--set", "sft.passes=1"]) == 0
    assert (recorded.root / "runs/cpu+sft.passes-1/03_sft/model").read_text() == "other6001.0"
    assert not (recorded.root / "runs/cpu+sft.passes-1/01_edge").exists()


def test_a_file_edited_by_hand_is_no_result_here_nor_in_a_variant(recorded, capsys):
    base = recorded.root / "runs/cpu"
    (base / "01_edge/edge.jsonl").write_text("by hand")
    capsys.readouterr()
    assert main(["plan"]) == 0
    assert "its own files changed (edge.jsonl)" in capsys.readouterr().out
    assert main(["run", "--set", "sft.passes=1", "--only", "01"]) == 0
    assert (recorded.root / "runs/cpu+sft.passes-1/01_edge/edge.jsonl").read_text() == "600"
    assert (base / "01_edge/edge.jsonl").read_text() == "by hand"
    assert main(["run", "--only", "01"]) == 0
    assert (base / "01_edge/edge.jsonl").read_text() == "600"


def test_results_written_by_hand_are_kept(house):
    house.notebook("01_edge.ipynb", EDGE, "run.write_results('01_edge', {})")
    for _ in range(2):  # the files of the second execution are the ones that count
        run = open_run("cpu", "runs/cpu")
        (run.folder("01_edge") / "edge.jsonl").write_text(str(run.started))
        run.write_results("01_edge", {})
    kept = state.read_json(run.out / "run.json")["notebooks"]["01"]
    assert lineage.spoilt(run.out / "01_edge", kept["outputs"]) == []


def test_what_papermill_wrote_and_runs_without_a_marker_are_run_folders(house):
    book = house.notebook("01_edge.ipynb")
    for place in ("one/01.ipynb", "two/notebooks/01.ipynb"):
        output = house.root / "runs" / place
        output.parent.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "papermill", "--prepare-only", book, output], check=True)
        assert open_run("cpu", f"runs/{place.partition('/')[0]}").out.is_dir()
    for name, earlier in (
        ("a", {"profile": {"name": "cpu"}, "versions": {}}),
        ("b", {"source": "cpu", "overrides": {}}),
    ):
        write_json(house.root / "runs" / name / "run.json", earlier)
        (house.root / "runs" / name / "report.html").write_text("")
        assert open_run("cpu", f"runs/{name}").out.name == name
    (house.root / "runs/mine").mkdir()
    shutil.copy(book, house.root / "runs/mine")
    with pytest.raises(UserError, match=r"01_edge\.ipynb lies in it"):
        open_run("cpu", "runs/mine")


def _used(house, name, **overrides):
    run = open_run("cpu", name, overrides)
    run.write_results("01_edge", {})
    return run.out


def test_a_folder_of_ones_own_takes_the_change_it_was_made_with_and_no_other(house):
    mine = _used(house, "runs/mine", **{"edge.limit": 3})
    assert mine == house.root / "runs/mine"
    assert choose_folder(mine, "cpu", {"edge": {"limit": 3}}) == (mine, None)
    assert choose_folder(mine, "cpu", {"edge": {"limit": 4}}) == (house.root / "runs/mine+edge.limit-4", mine)
    with pytest.raises(UserError, match=r"--set edge\.limit=3"):
        choose_folder(mine, "cpu", {})


@pytest.mark.parametrize("overrides", [{"notebooks": ["mine"]}, {"deadlines": {"cell_hours": 48}}])
def test_what_no_result_depends_on_is_no_change(house, overrides):
    base = _used(house, "runs/cpu")
    assert choose_folder(None, "cpu", overrides) == (base, None)


def test_names_of_changes_are_short_safe_and_different():
    assert name_of({"sft": {"passes": 1}}) == "sft.passes-1"
    assert name_of({"edge": {"lo": 0.2}, "seed": 3}) == "edge.lo-0.2+seed-3"
    one, two = name_of({"data": {"seeds": "/a/b/my.jsonl"}}), name_of({"data": {"seeds": "/c/my.jsonl"}})
    assert one.startswith("data.seeds-my.jsonl-") and one != two
    assert len(name_of({"edge": {f"key{n}": n for n in range(30)}})) < 80
    assert not set("/ =:") & set(name_of({"prompts": "a b/c: d", "data": {"map": {"x": "=y"}}}))


@pytest.mark.parametrize("name", [".bashrc", ".ssh", ".git", "notes.txt"])
def test_a_home_folder_is_no_empty_folder(house, name, capsys):
    """Files that begin with a dot are somebody's, too; what systems leave in an empty folder is nobody's."""
    house.notebook("01_edge.ipynb", EDGE, "run.write_results('01_edge', {})")
    out = house.root / "home"
    out.mkdir()
    (out / name).write_text("mine", encoding="utf-8")
    assert main(["run", "--out", str(out)]) == 2 and f"({name} lies in it)" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == [name]
    (out / name).unlink()
    for left in (".DS_Store", ".gitkeep", ".nfs00a1", ".run.json.0a1b2c3d-12.partial"):
        (out / left).write_text("", encoding="utf-8")
    (out / "lost+found").mkdir()
    assert state.foreign(out) == []
