"""A notebook says itself where it stands and what it needs; one that does not is refused with a word that helps."""

import json

import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.folder.run_folder import RunFolder
from phi4r_lib.cookbook.running.runner import Target, choose
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.profile import ProfileError, load_profile
from phi4r_lib.cookbook.settings.stages import copies, stages

WRITES = "run.write_results('{}', {{'n': 1}})"
SETTINGS = """
from pydantic import BaseModel, Field

class Settings(BaseModel):
    length: int = Field(ge=1)
    note: str = "none"

class Easy(BaseModel):
    length: int = 3

def no_model(): ...
"""


@pytest.fixture
def own(house, monkeypatch):
    """The house with a module of settings outside the package."""
    outside = house.root / "outside"
    outside.mkdir()
    (outside / "own_settings.py").write_text(SETTINGS)
    monkeypatch.syspath_prepend(str(outside))
    return house


def metadata(path, **change):
    book = json.loads(path.read_text())
    book["metadata"]["phi4r"] = {**book["metadata"].get("phi4r", {}), **change}
    path.write_text(json.dumps(book))


def test_the_shipped_notebooks_declare_place_needs_and_sections_without_a_fault():
    found = stages()
    assert list(found) == sorted(found) and all(stage.fault is None for stage in found.values())
    assert found["02"].needs == ["01_edge"] and found["05"].needs == ["*/model"]
    profile = load_profile("cpu")
    assert all(hasattr(profile, section) for stage in found.values() for section in stage.sections)


def test_a_notebook_without_declared_needs_is_refused_by_run_and_named_by_status(house, capsys):
    path = house.notebook("01_edge.ipynb")
    book = json.loads(path.read_text())
    del book["metadata"]["phi4r"]
    path.write_text(json.dumps(book))
    assert main(["run"]) == 2
    error = capsys.readouterr().err
    assert "notebooks/01_edge.ipynb declares no needs" in error and '"needs": [' in error
    assert not (house.root / "runs").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"needs": ["02_rewrite/sft"]}, "no artefact of an earlier stage"),
        ({"needs": ["01_edge"]}, "no artefact of an earlier stage"),
        ({"needs": ["edge.jsonl"]}, "no artefact of an earlier stage"),
        ({"needs": ["00_start/../../x"]}, "no artefact of an earlier stage"),
        ({"needs": "00_start"}, "metadata.phi4r.needs"),
        ({"sectoins": []}, "metadata.phi4r.sectoins"),
        ({"stage": "edge"}, "metadata.phi4r.stage"),
    ],
)
def test_faulty_declarations_are_explained(house, change, says):
    metadata(house.notebook("01_edge.ipynb"), **change)
    with pytest.raises(UserError, match=says):
        choose(Target("cpu", load_profile("cpu"), house.root / "runs/cpu", {}))


def test_a_copy_is_left_out_and_named_when_someone_asks_for_it(house):
    house.notebook("01_edge.ipynb")
    copy = house.notebook("08_mine.ipynb")
    metadata(copy, stage="01_edge")
    assert list(stages()) == ["01"] and copies() == [copy]
    with pytest.raises(UserError, match=r"08_mine\.ipynb is a copy"):
        choose(Target("cpu", load_profile("cpu"), house.root / "runs/cpu", {}), only=["08"])


def test_further_folders_add_notebooks_and_replace_those_of_the_same_name(house):
    house.notebook("01_edge.ipynb")
    mine = house.notebook("../mine/01_edge.ipynb")
    house.notebook("../mine/10_more.ipynb")
    assert list(stages(["mine"])) == ["01", "10"] and stages(["mine"])["01"].path.resolve() == mine.resolve()
    house.notebook("../mine/01_other.ipynb")
    with pytest.raises(UserError, match="have the same number"):
        stages(["mine"])
    with pytest.raises(UserError, match="does not exist"):
        stages(["nowhere"])


def test_settings_of_a_notebook_are_a_section_of_the_profile(own):
    own.notebook("10_words.ipynb", settings={"words": "own_settings:Settings"})
    assert load_profile("cpu", {"words.length": 3}).words.note == "none"
    for change, says in [
        ({}, "missing key 'words'; add it, as a notebook declares its settings$"),
        ({"words.length": 1, "other": {"a": 1}}, "unknown key 'other'.*need its folder in `notebooks`"),
        ({"words.length": 0}, "'words.length'"),
        ({"words.lenght": 1, "words.length": 1}, "did you mean 'words.length'"),
    ]:
        with pytest.raises(ProfileError, match=says):
            load_profile("cpu", change)


def test_settings_with_defaults_need_no_entry_in_the_profile(own):
    own.notebook("10_words.ipynb", settings={"words": "own_settings:Easy"})
    assert load_profile("cpu").words.length == 3


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"words": "own_settings:Nothing"}, "has no 'Nothing'"),
        ({"words": "nowhere_at_all:Settings"}, "PYTHONPATH"),
        ({"words": "own_settings:no_model"}, "no pydantic model"),
        ({"words": "own_settings"}, "package.module:Class"),
        ({"edge": "own_settings:Easy"}, "the library's own"),
    ],
)
def test_settings_that_lead_nowhere_are_explained(own, settings, says):
    own.notebook("10_words.ipynb", settings=settings)
    with pytest.raises(UserError, match=says):
        load_profile("cpu")


@pytest.fixture
def recipe(house):
    """Two notebooks of a recipe and an extra one between and after them."""
    house.notebook("01_edge.ipynb", WRITES.format("01_edge"))
    house.notebook("03_trial.ipynb", WRITES.format("03_trial"), needs=("01_edge",), extra=True)
    house.notebook("05_variance.ipynb", WRITES.format("05_variance"))
    house.notebook("06_more.ipynb", WRITES.format("06_more"), extra=True)
    return house


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ({}, ["01", "05"]),
        ({"everything": True}, ["01", "03", "05", "06"]),
        ({"only": ["03"]}, ["03"]),
        ({"start": "05"}, ["05"]),
        ({"start": "03"}, ["03", "05", "06"]),
        ({"start": "05", "everything": True}, ["05", "06"]),
    ],
)
def test_extra_notebooks_run_only_when_asked_for(recipe, words, numbers):
    aim = Target("cpu", load_profile("cpu"), recipe.root / "runs/cpu", {})
    assert [stage.number for stage in choose(aim, **words)] == numbers


def test_run_leaves_extra_notebooks_out_and_says_how_to_get_them(recipe, capsys):
    assert main(["run"]) == 0
    assert "further notebooks: 03_trial, 06_more (--all" in capsys.readouterr().out
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "not run" in lines[1] and "extra: --all or --only 03 runs it" in lines[1] and "extra" not in lines[0]
    assert main(["plan", "--all"]) == 0
    plan = capsys.readouterr().out
    assert "03_trial" in plan and "further notebooks" not in plan
    assert main(["run", "--only", "03"]) == 0 and "further notebooks: 06_more" in capsys.readouterr().out
    assert main(["status"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert "done" in line and "extra" not in line


def test_a_profile_may_lack_the_settings_of_an_extra_notebook_but_then_it_does_not_run(own):
    own.notebook("10_words.ipynb", settings={"words": "own_settings:Settings"}, extra=True)
    aim = Target("cpu", load_profile("cpu"), own.root / "runs/cpu", {})
    with pytest.raises(UserError, match="profile 'cpu' has no section 'words', which 10_words needs; copy"):
        choose(aim, everything=True)
    assert load_profile("cpu", {"words.length": 3}).words.length == 3
    with pytest.raises(ProfileError, match=r"did you mean 'words\.length'"):
        load_profile("cpu", {"words.lenght": 1, "words.length": 1})


def test_models_of_extra_notebooks_are_not_the_recipes(house):
    house.notebook("03_sft.ipynb")
    house.notebook("04_more.ipynb", extra=True)
    out = house.root / "runs/cpu"
    for stage in ("03_sft", "04_more"):
        (out / stage / "model").mkdir(parents=True)
        (out / stage / "model/config.json").write_text("{}")
    assert RunFolder(out, {}).model_names() == ["03_sft/model"]
