"""Every reader of the command line on arbitrary data: it is taken, or refused in one clear line with exit code 2.

The data is shaped like what belongs there (its keys, any values), so that the fault lies deep as often as on top.
"""

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typed import JSON, phi4r

from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.problems.schema import Problem

SECTIONS = ("data", "models", "edge", "sft", "grpo", "mixture", "variance", "verifiers", "notebooks", "deadlines")
INNER = sorted(
    {name for key in SECTIONS[:7] for name in getattr(Profile.model_fields[key].annotation, "model_fields", {})}
)
BLOCKS = st.dictionaries(st.sampled_from(INNER) | st.text(max_size=5), JSON, max_size=4)
PROFILES = JSON | st.dictionaries(st.sampled_from([*SECTIONS, "extends", "name", "seed"]), JSON | BLOCKS, max_size=4)
SWEEPS = JSON | st.dictionaries(
    st.sampled_from(["arms", "seeds", "profile", "notebooks", "reference", "equal", "processes", "metric"]),
    JSON | BLOCKS,
)
ROWS = JSON | st.dictionaries(st.sampled_from([*Problem.model_fields, "messages", "choices"]), JSON)
SCORES = (
    "doc",
    "doc_id",
    "resps",
    "filtered_resps",
    "exact_match",
    "target",
    "samples",
    "eval",
    "results",
    "id",
    "correct",
)
LOGS = JSON | st.dictionaries(st.sampled_from(SCORES), JSON)
QUIETLY = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ODD = {
    "bomb.yaml": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "circle.yaml": "edge: &a {limit: *a}\n",
    "deep.yaml": "[" * 5_000 + "]" * 5_000,
    "twice.yaml": "extends: cpu\nextends: smoke\n",
    "huge.yaml": "extends: cpu\nseed: " + "9" * 5_000 + "\n",
    "tag.yaml": "extends: !!python/object/apply:os.system [true]\n",
    "tab.yaml": "edge:\n\tlimit: 3\n",
    "bytes.yaml": "\x00\x07",
}


def one_line(capsys, *args):
    """Exit code of a command that either does what it is asked or says in one line why not."""
    code, out, err = phi4r(capsys, *args)
    assert code in (0, 2) and "Traceback" not in out + err
    assert code == 0 or len((err or out).strip().splitlines()) <= 12, err
    return code


@QUIETLY
@given(PROFILES)
def test_any_profile(house, capsys, data):
    house.notebook("01_edge.ipynb")
    path = house.root / "any.yaml"
    path.write_text(json.dumps(data))
    for command in (["validate", str(path)], ["plan", "--profile", str(path)]):
        one_line(capsys, *command)


@QUIETLY
@given(SWEEPS)
def test_any_sweep_file(house, capsys, data):
    house.notebook("01_edge.ipynb")
    path = house.root / "any.yaml"
    path.write_text(json.dumps(data))
    assert one_line(capsys, "sweep", str(path)) == 2


@QUIETLY
@given(st.lists(ROWS, max_size=3))
def test_any_seeds(house, capsys, rows):
    path = house.root / "any.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one_line(capsys, "validate", str(path))


@QUIETLY
@given(
    st.lists(LOGS, max_size=3), st.sampled_from(["any.json", "any.jsonl", "samples_gsm8k_2024-01-01T00-00-00.jsonl"])
)
def test_any_log(house, capsys, rows, name):
    path = house.root / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if name.endswith("l") else json.dumps(rows))
    one_line(capsys, "variance", str(path))


@pytest.mark.parametrize("name", ODD)
def test_odd_yaml_is_refused_by_line(house, capsys, name):
    house.notebook("01_edge.ipynb")
    path = house.root / name
    path.write_text(ODD[name])
    for command in (["validate", str(path)], ["run", "--profile", str(path)], ["sweep", str(path)]):
        assert one_line(capsys, *command) == 2
    assert not (house.root / "runs").exists()


@pytest.mark.parametrize("what", ["fifo", "folder", "device"])
def test_what_is_no_file_is_refused(house, capsys, what):
    house.notebook("01_edge.ipynb")
    path = house.root / "odd"
    {"fifo": os.mkfifo, "folder": os.mkdir, "device": lambda p: os.symlink("/dev/zero", p)}[what](path)
    yaml = house.root / "odd.yaml"
    yaml.symlink_to(path)
    commands = (
        ["validate", str(path)],
        ["validate", str(yaml)],
        ["run", "--seeds", str(path)],
        ["run", "--profile", str(yaml)],
        ["plan", "--profile", str(yaml)],
        ["sweep", str(yaml)],
        ["variance", str(path)],
        ["run", "--out", str(path / "in")],
    )
    for command in commands if what != "folder" else commands[:-2]:
        assert one_line(capsys, *command) == 2, command


def test_the_shapes_reach_what_they_are_about(house):
    """Some of what is drawn is valid, so that the tests above do not stop at the first key."""
    path = house.root / "mine.yaml"
    path.write_text(json.dumps({"extends": "cpu", "edge": {"limit": 3}, "deadlines": {"cell_hours": 1}}))
    assert load_profile(str(path)).edge.limit == 3
