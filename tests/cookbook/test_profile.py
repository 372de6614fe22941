import json

import pytest
import yaml

from phi4r_lib.cookbook.profile import ProfileError, known_keys, load_profile, parse_set, profile_names, setting_notes
from phi4r_lib.cookbook.sections import Profile


@pytest.mark.parametrize("name", ["smoke", "cpu"])
def test_shipped_profiles_are_valid(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.variance.runs >= 2


def test_every_profile_file_is_valid_and_short():
    for name in profile_names():
        assert load_profile(name).name == name


def test_every_setting_of_the_cpu_profile_says_where_it_comes_from():
    notes = setting_notes("cpu")
    keys = {key for key in notes if "." in key} | {"seed", "prompts"}
    silent = sorted(key for key in keys if not notes[key])
    assert silent == []


def test_smoke_differs_from_cpu_only_in_counts():
    smoke, cpu = load_profile("smoke"), load_profile("cpu")
    assert smoke.models == cpu.models
    assert smoke.variance.runs < cpu.variance.runs


@pytest.mark.parametrize("overrides", [{"edge.limit": 7}, {"edge": {"limit": 7}}, "{edge.limit: 7}"])
def test_overrides_dotted_nested_or_as_papermill_passes_them(overrides):
    changed = load_profile("cpu", overrides)
    assert changed.edge.limit == 7
    assert changed.edge.lo == load_profile("cpu").edge.lo


def test_scientific_notation_is_a_number():
    key, value = parse_set("sft.learning_rate=1e-4")
    assert (key, value) == ("sft.learning_rate", 1e-4)
    assert load_profile("cpu", {key: value}).sft.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"edge.limt": 7}, "did you mean 'edge.limit'"),
        ({"limit": 7}, "'edge.limit' or 'rewrite.limit'"),
        ({"grppo.steps": 1}, "did you mean 'grpo'"),
        ({"models.base.modle": "x"}, "models.base.model"),
        ({"edge.limit": "many"}, "'edge.limit': Input should be a valid integer, found \"many\""),
        ({"edge.limit": "7"}, "valid integer"),
        ({"edge.limit": True}, "valid integer"),
        ({"edge.lo": 1.5}, "less than or equal to 1"),
        ({"edge": 3}, "'edge'"),
        ({"models.base.kind": "vlm"}, "'transformers', 'vllm'"),
        ({"models.teacher.options": {"api_key": "sk-1"}}, "OPENAI_API_KEY"),
        (["edge.limit"], "mapping"),
    ],
)
def test_bad_overrides_are_explained(overrides, says):
    with pytest.raises(ProfileError) as error:
        load_profile("cpu", overrides)
    assert says in str(error.value)


def test_the_word_false_is_not_true():
    """papermill -p passes 'false' as a string, which Python takes for true."""
    with pytest.raises(ProfileError, match='found "false"'):
        load_profile("cpu", {"variance.runs": "false"})


@pytest.mark.parametrize("name", ["cpuu", "", None, 7, "nowhere.yaml"])
def test_unknown_profiles_are_refused(name):
    with pytest.raises(ProfileError):
        load_profile(name)


def test_unknown_profile_names_the_nearest():
    with pytest.raises(ProfileError, match="Did you mean 'smoke'"):
        load_profile("smok")


def test_own_file_extends_a_shipped_profile(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: cpu\nedge:\n  limit: 3  # ours\n")
    profile = load_profile(mine)
    assert (profile.name, profile.edge.limit) == ("mine", 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("extends: cpu\nedge:\n  limit: 3\n  limit: 4\n", "stands twice"),
        ("extends: mine\n", "circle"),
        ("- a\n", "mapping"),
        ("edge: [\n", "cannot be read as YAML"),
        ("seed: 1\n", "missing key 'data'"),
        ("extends: cpuu\n", "Did you mean 'cpu'"),
    ],
)
def test_bad_profile_files_are_explained(tmp_path, text, says):
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(ProfileError, match=says):
        load_profile(mine)


@pytest.mark.parametrize("text", ["edge.limit", "=3", "edge.limit=[1"])
def test_bad_set_is_explained(text):
    with pytest.raises(ProfileError, match="--set"):
        parse_set(text)


def test_profile_survives_a_round_trip_through_json():
    profile = load_profile("cpu")
    assert Profile.model_validate_json(json.dumps(profile.model_dump())) == profile
    assert yaml.safe_load(yaml.safe_dump(profile.model_dump())) == profile.model_dump()


def test_known_keys_reach_into_engines():
    assert {"seed", "edge.limit", "models.base.model"} <= set(known_keys())
