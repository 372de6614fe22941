"""Profiles: read, merged, overridden, refused with the file and the key."""

import json
import re
from pathlib import Path

import pytest
import yaml

from phi4r_lib.cookbook.settings import profile
from phi4r_lib.cookbook.settings.profile import (
    ProfileError,
    known_keys,
    load_profile,
    parse_set,
    profile_names,
    setting_notes,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["smoke", "cpu"])
def test_shipped_profiles_are_valid(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.variance.runs >= 2


def test_every_profile_file_is_valid():
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


def test_aliases_that_explode_are_refused_before_they_do(tmp_path):
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "bomb.yaml").write_text("\n".join(rows))
    with pytest.raises(ProfileError, match="aliases"):
        load_profile(tmp_path / "bomb.yaml")


def test_an_alias_used_twice_is_fine(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: cpu\nmodels: {base: &one {model: m}, teacher: *one}\n")
    assert load_profile(mine).models.teacher.model == "m"


def test_a_file_of_the_same_name_extends_the_shipped_profile(tmp_path):
    (tmp_path / "cpu.yaml").write_text("extends: cpu\nedge: {limit: 3}\n")
    (tmp_path / "wide.yaml").write_text("extends: cpu\nvariance: {runs: 3}\n")
    wide = load_profile(tmp_path / "wide.yaml")
    assert (wide.edge.limit, wide.variance.runs) == (3, 3)


def test_the_base_profile_is_abstract_and_names_no_data_models_or_counts(tmp_path):
    with pytest.raises(ProfileError, match="no data and no models"):
        load_profile("base")
    assert "base" not in profile_names()
    bare = tmp_path / "bare.yaml"
    bare.write_text("extends: base\n")
    with pytest.raises(ProfileError) as error:
        load_profile(bare)
    for key in ("data", "models", "prompts", "edge.max_tokens", "sft.learning_rate", "grpo.steps"):
        assert f"'{key}'" in str(error.value)
    assert str(error.value).count("missing key") == str(error.value).count("`extends: cpu`") == 1


def test_seeds_of_a_parent_are_replaced_and_not_mixed_in(tmp_path):
    (tmp_path / "parent.yaml").write_text("extends: cpu\ndata: {seeds: {math: toy.jsonl}}\n")
    (tmp_path / "mine.yaml").write_text("extends: parent\ndata: {seeds: {law: law.jsonl, tax: [a.jsonl, b.jsonl]}}\n")
    assert load_profile(tmp_path / "mine.yaml").data.seeds == {"law": "law.jsonl", "tax": ["a.jsonl", "b.jsonl"]}


def test_profiles_are_short():
    """80 lines for the recipe, and 30 for each section of a notebook's own."""
    own = profile.own_settings()
    for path in (profile.home() / "notebooks" / "profiles").glob("*.yaml"):
        sections = re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)
        lines = {text.partition(":")[0]: len(text.splitlines()) for text in sections}
        assert sum(count for name, count in lines.items() if name not in own) <= 80, path.name
        assert all(count <= 30 for name, count in lines.items() if name in own), path.name


def test_own_file_extends_a_shipped_profile(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: cpu\nedge:\n  limit: 3  # ours\n")
    profile = load_profile(mine)
    assert (profile.name, profile.edge.limit) == ("mine", 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("extends: cpu\nedge:\n  limit: 3\n  limit: 4\n", "line 4: key 'limit' appears twice"),
        ("extends: mine\n", "circle"),
        ("extends: [cpu]\n", "one profile or file"),
        ("extends: ./mine.yaml\n", "circle"),
        ("extends: cpu\nedge: {limit: 010}\n", "line 2: 010 is read differently"),
        ("extends: cpu\nedge: {limit: 1_0}\n", "line 2: 1_0 is read differently"),
        ("extends: cpu\nedge: {limit: 1:30}\n", 'valid integer, found "1:30"'),
        ("extends: cpu\nsft: {double_rope: yes}\n", 'valid boolean, found "yes"'),
        ("extends: cpu\n3: 4\n", "line 2: keys are words"),
        ("extends: cpu\nseed: !!python/name:os.system\n", "line 2: type python/name"),
        ("a: &a [1, 2]\nb: [*a, *c]\n", "undefined alias"),
        ("a: &a [*a]\n", "aliases"),
        ("#" * 200_000, "200,000 characters"),
        ("a: " + "[" * 9000, "nested too deeply"),
        ("- a\n", "mapping"),
        ("edge: [\n", "cannot be read as YAML"),
        ("seed: 1\n", "missing keys 'data'"),
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
    assert type(profile).model_validate_json(json.dumps(profile.model_dump())) == profile
    assert yaml.safe_load(yaml.safe_dump(profile.model_dump())) == profile.model_dump()


def test_known_keys_reach_into_engines():
    assert {"seed", "edge.limit", "models.base.model"} <= set(known_keys())


def test_an_engine_of_another_kind_keeps_no_options_of_the_first():
    base = load_profile("gpu", {"models.base.kind": "transformers"}).models.base
    assert base.kind == "transformers" and base.options == {} and base.model == load_profile("gpu").models.base.model
    assert load_profile("gpu", {"models.base.model": "mine"}).models.base.options["max_model_len"] == 8192


@pytest.mark.parametrize("name", ["smollm2", "smollm2_cpu", "gpu", "phi4"])
def test_profiles_of_every_size_are_short_and_say_where_values_come_from(name):
    file = ROOT / "notebooks" / "profiles" / f"{name}.yaml"
    assert len(file.read_text().splitlines()) <= 80
    profile, notes = load_profile(name), setting_notes(name)
    for section in ("edge", "sft", "grpo", "variance", "mixture"):
        for key in yaml.safe_load(file.read_text()).get(section) or {}:
            assert re.search(r"ours|report \d|framework", notes[f"{section}.{key}"]), f"{section}.{key}"
    assert profile.sft.report_to == profile.grpo.report_to == "none"  # nothing leaves the machine unasked


def test_paths_of_a_profile_that_start_with_a_dot_count_from_its_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "team.yaml").write_text(
        "extends: smoke\ndata: {seeds: {a: ./a.jsonl, b: [../b.jsonl, data/seeds/math.jsonl]}}\n"
    )
    (tmp_path / "deep" / "more.yaml").write_text(
        "extends: ../team.yaml\nprompts: ./prompts\ndata: {map: {prompt: ./q}}\n"
    )
    found = load_profile(tmp_path / "deep" / "more.yaml")
    assert found.data.seeds == {
        "a": str(tmp_path / "a.jsonl"),
        "b": [str(tmp_path.parent / "b.jsonl"), "data/seeds/math.jsonl"],
    }
    assert found.prompts == str(tmp_path / "deep" / "prompts") and found.data.map == {"prompt": "./q"}
