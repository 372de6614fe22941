"""What the notebooks that will run would miss is one line before anything starts, and what none of them reads is not asked for."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.planning import preflight
from phi4r_lib.cookbook.running import runner
from phi4r_lib.cookbook.settings import limits
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.cookbook.settings.stages import stages
from phi4r_lib.models.weights import fault_of


@pytest.mark.parametrize(
    ("cell", "change", "says"),
    [
        (
            "run.problems('seeds')",
            "data.seeds=data/sedes.jsonl",
            "data.seeds: data/sedes.jsonl does not exist (did you",
        ),
        ("run.problems('seeds')", "data.seeds=[data/seeds.jsonl,/no/file]", "data.seeds: /no/file does not exist"),
        ("run.gold([])", "data.gold=data/gold", "data.gold: data/gold does not exist"),
        ("run.path(run.profile.data.votes)", "data.votes=v", "data.votes: v does not exist"),
        ("clean.against", "decontaminate.against=[data]", "decontaminate.against: data does not exist"),
        ("clean.encoder", "decontaminate.encoder=data", "decontaminate.encoder: data/config.json does not exist"),
        ("run.profile.prompts", "prompts=data/none", "prompts: data/none does not exist"),
        ("run.path(run.profile.prompts) / 'none.txt'", "seed=2", "prompts/tiny/none.txt does not exist"),
        ("run.engine('base')", "models.base.model=data/models/tiny-bse", "models.base: data/models/tiny-bse does not"),
        ("run.engine('base')", "models.base.model=/abs/model", "models.base: /abs/model does not exist"),
        ("run.profile.models.teacher.model", "models.teacher.model=./model", "models.teacher: ./model does not exist"),
    ],
)
def test_one_line_before_anything_starts(house, capsys, cell, change, says):
    house.notebook("01_edge.ipynb", cell)
    assert main(["run", "--set", change]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
    assert not (house.root / "runs").exists()


@pytest.mark.parametrize(
    ("number", "change", "package"),
    [
        ("01", {"models.base.kind": "vllm"}, "vllm"),
        ("01", {"models.teacher.kind": "ray"}, "ray"),
        ("04", {"grpo.vllm": True}, "vllm"),
        ("03", {"sft.optimizer": "adamw_8bit"}, "bitsandbytes"),
        ("08", {"grpo.optimizer": "adamw_8bit"}, "bitsandbytes"),
        ("07", {"dpo.report_to": "mlflow"}, "mlflow"),
    ],
)
def test_a_package_that_is_not_here_is_named_before_anything_starts(monkeypatch, number, change, package):
    """Of the notebooks that will run: 02 opens no student and trains nothing."""
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    ((key, value),) = change.items()
    words = f"{key}: {'true' if value is True else value} needs the package {package}, which is not here: pip install"
    due = stages()
    with pytest.raises(UserError, match=re.escape(words)):
        preflight.check(load_profile("cpu", change), [due[number]])
    if not key.startswith("models"):
        preflight.check(load_profile("cpu", change), [due["02"]])


@pytest.mark.parametrize(
    ("cell", "change", "says"),
    [
        ("run.problems('seeds')", "data.map={prompt: q}", "data.seeds: .*:1: field 'q'"),
        ("run.problems('benchmark')", "data.benchmark=own.txt", "data.benchmark: .*:1: not JSON"),
        ("run.engine('base')", "models.base.model=own.txt", r"models.base: own.txt is no folder of a model"),
        (
            "run.engine('base')",
            "models.base.model=data",
            "models.base: data is no folder of a model",
        ),
    ],
)
def test_what_is_there_and_cannot_be_used_is_one_line_before_anything_starts(house, capsys, cell, change, says):
    row = {"id": "a", "domain": "math", "prompt": "1+1?", "answer": "2", "source": "x", "licence": "x"}
    seeds = house.root / "data/seeds.jsonl"
    seeds.parent.mkdir(exist_ok=True)
    seeds.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (house.root / "own.txt").write_text("text", encoding="utf-8")
    house.notebook("01_edge.ipynb", cell)
    assert main(["run", "--set", "data.seeds=data/seeds.jsonl", "--set", change]) == 2
    err = capsys.readouterr().err
    assert re.search(says, err) and err.count("\n") == 1 and not (house.root / "runs").exists()


def test_the_key_of_an_endpoint_is_asked_for_before_anything_starts(house, capsys, monkeypatch):
    teacher = ["--set", "models.teacher={kind: openai, model: m, options: {key_env: NO_SUCH_KEY}}"]
    house.notebook("01_edge.ipynb", "run.engine('teacher')")
    for key, says in ((None, "no key: set the environment variable NO_SUCH_KEY"), ("a b", "no request can carry")):
        if key:
            monkeypatch.setenv("NO_SUCH_KEY", key)
        assert main(["run", *teacher]) == 2
        err = capsys.readouterr().err
        assert "models.teacher: " in err and says in err and err.count("\n") == 1
        assert not (house.root / "runs").exists()
    house.notebook("01_edge.ipynb", "run.write_results('01_edge', {'n': 1})")
    assert main(["run", *teacher]) == 0  # nobody opens the teacher


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("'nowhere.tickets:Ticket'", "verifier 'nowhere.tickets:Ticket': No module named 'nowhere'"),
        ("'json:Ticket'", "verifier 'json:Ticket': module json has no 'Ticket'"),
        ("{kind: numeric, tolerance: 1, no_such: 2}", "no_such"),
    ],
)
def test_verifiers_of_the_profile_are_opened_before_anything_starts(house, capsys, spec, says):
    house.notebook("01_edge.ipynb", "run.problems('seeds')")
    assert main(["run", "--set", f"verifiers={{ticket: {spec}}}"]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
    assert not (house.root / "runs").exists()


def test_what_no_notebook_reads_is_not_asked_for(house):
    house.notebook("01_edge.ipynb", "run.problems('seeds'); run.engine('teacher')")
    change = {"data.seeds": "data/seeds.jsonl", "data.benchmark": "none", "models.base.model": "data/none"}
    teacher = {"kind": "openai", "model": "./any", "options": {"base_url": "http://x"}}
    preflight.check(load_profile("cpu", change | {"models.teacher": teacher}), [*stages().values()])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("data.seeds=data/sedes.jsonl", "data.seeds: data/sedes.jsonl does not exist (did you mean data/seeds.jsonl?)"),
        ("models.base.model=data/models/tiny-bse", "models.base: data/models/tiny-bse does not exist"),
        ("models.base.model=some/model", "models.base: 'some/model' is no folder here"),
        ("models.base.model=a/b c", "neither a folder here nor a name that a hub can have"),
        ("verifiers={ticket: 'nowhere.tickets:Ticket'}", "No module named 'nowhere'"),
    ],
)
def test_a_plan_asks_what_a_run_asks(house, capsys, monkeypatch, change, says):
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}")
    house.notebook("01_edge.ipynb", "run.problems('seeds'); run.engine('base')")
    for command in ("plan", "run"):
        fitting = [] if "data.seeds" in change else ["--set", "data.seeds=data/seeds.jsonl"]
        assert main([command, *fitting, "--set", change]) == 2
        out, err = capsys.readouterr()
        assert says in err and err.count("\n") == 1 and "notebooks" not in out
    assert not (house.root / "runs").exists()


def test_a_plan_goes_for_data_that_are_to_come(house, capsys):
    house.notebook("01_edge.ipynb", "run.problems('seeds'); run.engine('base')")
    assert main(["plan", "--profile", "gpu"]) == 0
    assert "to come, a run asks for it: data.seeds: data/own/seeds.jsonl" in capsys.readouterr().out
    assert main(["run", "--profile", "gpu"]) == 2


def save(folder, dtype, value, count=5):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    numbers = np.ones(count, dtype)
    numbers[-1] = value
    save_file({"a": np.ones(3, np.int32), "layer.weight": numbers}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named(tmp_path, dtype, value):
    assert fault_of(save(tmp_path, dtype, np.finfo(dtype).max)) is None
    assert "model.safetensors: tensor 'layer.weight' holds NaN" in fault_of(save(tmp_path, dtype, value))


def test_bfloat16_and_tensors_of_several_pieces_count(tmp_path, monkeypatch):
    monkeypatch.setattr("phi4r_lib.models.weights.PIECE", 4)
    assert "layer.weight" in fault_of(save(tmp_path, np.float32, np.nan, 9))
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    for upper, sound in ((0x7F7F, True), (0xFF80, False), (0x7FC0, False)):
        numbers = np.array([0x3F80, upper], np.uint16).tobytes()
        (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + numbers)
        assert (fault_of(tmp_path) is None) == sound


def test_torn_weights_are_named(tmp_path):
    file = save(tmp_path, np.float32, 1) / "model.safetensors"
    whole = file.read_bytes()
    for end in (1, 8, 20, len(whole) - 1):
        file.write_bytes(whole[:end])
        assert fault_of(tmp_path) == "model.safetensors is damaged or cut off: fetch or copy it again"
    file.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "damaged" in fault_of(tmp_path)


def test_a_run_with_such_weights_does_not_start(house, capsys):
    house.notebook("01_edge.ipynb", "run.engine('base')")
    save(house.root / "mine", np.float32, np.nan)
    assert main(["run", "--set", "models.base.model=mine"]) == 2
    assert "models.base" in (err := capsys.readouterr().err) and "NaN" in err and err.count("\n") == 1
    assert not (house.root / "runs").exists()


def test_force_forgets_finished_trainings_and_no_killed_one(tmp_path):
    kept = tmp_path / "1_mid/training/training.json"
    done = tmp_path / "training.json", tmp_path / "2_sft/training.json", tmp_path / "3_dpo/training/training.json"
    for file in (kept, *done):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"mark": "m", "report": {"steps": 7} if file in done else None}))
    runner.forget_training(tmp_path)
    assert kept.is_file() and not any(file.exists() for file in done)


def test_the_shipped_profiles_of_this_machine_pass():
    for name in ("smoke", "cpu"):
        preflight.check(load_profile(name), [*stages().values()])


def test_too_few_steps_to_compare_are_refused_before_the_training_and_not_after():
    few = load_profile("smoke", {"grpo.steps": 3})
    with pytest.raises(
        UserError, match=r"grpo\.steps is 3: notebook 04 compares the first steps with the last and needs 4"
    ):
        preflight.check(few, [stages()["04"]])
    preflight.check(few, [stages()["03"]])
    assert load_profile("smollm2_cpu").grpo.steps >= limits.LEAST_STEPS
