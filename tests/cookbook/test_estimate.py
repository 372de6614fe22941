"""What a run will take, held against the published run and our own recorded ones; what is unknown stays unknown."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.planning import outlook, pilot, preflight
from phi4r_lib.cookbook.planning.costs import FILE, load_costs
from phi4r_lib.cookbook.planning.estimate import Estimator, decode_rates, total, training_seconds
from phi4r_lib.cookbook.planning.pilot import Pilot
from phi4r_lib.cookbook.planning.work import rows_in, sft_rows, work_of
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.cookbook.settings.stages import stages
from phi4r_lib.train.memory import Plain, parameters, plain_shape

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "records"
SHAPES = {
    "135m": Plain(576, 30, 9, 3, 1536, 49_152, True),
    "1b": Plain(2048, 22, 32, 4, 5632, 32_000),
    "14b-width": Plain(5120, 4, 40, 10, 17_920, 100_352),
}


def record(name):
    return json.loads((RECORDS / name).read_text(encoding="utf-8"))


def within(one, two, factor=1.5):
    return max(one / two, two / one) <= factor


@pytest.fixture
def priced(tmp_path):
    """The shipped costs with a price for every device and endpoint."""
    raw = yaml.safe_load((ROOT / FILE).read_text())
    for number, device in enumerate(raw["devices"].values()):
        device["price"] = 2.0 + number
    raw["endpoints"]["your-teacher"] = {"price_in": 1.0, "price_out": 4.0, "tokens_per_second": 20_000}
    path = tmp_path / "costs.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_the_published_fine_tuning_and_reinforcement():
    """Phi-4-reasoning: 32 H100 for 60 hours; GRPO 67 to 153 GPU-hours by the same formula (scale of the report's lengths)."""
    found = Estimator(load_profile("phi4"), load_costs())
    assert found.gpus == 32
    planned = {stage.number: stage for stage in found.stages()}
    hours = [seconds / 3600 * 32 for seconds in planned["03"].seconds]
    assert hours[0] < 1920 < hours[2] and within(hours[1], 1920, 1.25)
    assert planned["03"].tokens[1] == pytest.approx(16e9, rel=0.15)  # the report trained about 16B
    hours = [seconds / 3600 * 32 for seconds in planned["04"].seconds]
    assert hours[0] < 67 and hours[2] > 153 and 67 < hours[1] < 153


@pytest.mark.parametrize("row", [r for r in record("nvidia-h200.json")["rows"] if r["part"].startswith("sft-")])
def test_recorded_fine_tuning_on_a_gpu(row):
    """Every measured way of training lies in the span, 10% allowed at its ends; the usual one within 1.5 of what is expected."""
    if row["way"] == "selective checkpointing":
        return  # recomputes a third, which MFU by 6 N does not count
    costs = load_costs(device="H200")
    shape = SHAPES[row["part"].removeprefix("sft-")]
    best, expected, worst = training_seconds(shape, (1e6,) * 3, 1, costs.devices["H200"], costs)
    measured = 1e6 / row["tokens_per_second"]
    assert 0.9 * best <= measured <= 1.1 * worst
    assert within(expected, measured)


@pytest.mark.parametrize("size", ["135m", "1b"])
def test_recorded_sampling_on_a_gpu(size):
    """64 prompts x 8 answers of 128 tokens by our decoder; twice as many answers at once as a plan counts with."""
    (row,) = [r for r in record("nvidia-h200.json")["rows"] if r["part"] == f"decode-{size}" and r["way"] == "phi4r"]
    costs = load_costs(device="H200")
    costs = costs.model_copy(update={"decode": costs.decode.model_copy(update={"at_once": 512})})
    best, expected, worst = decode_rates(SHAPES[size], 128, costs.devices["H200"], costs)
    assert worst < row["tokens_per_second"] < best and within(expected, row["tokens_per_second"])


def test_our_own_run_from_its_pilot():
    """Profile cpu: the kept pilot against the seconds of the kept run, every notebook that trains or samples."""
    kept, run = record("cpu-pilot.json"), record("cpu-recipe.json")["notebooks"]
    found = Estimator(load_profile("cpu", kept["settings"]), load_costs(), Pilot.model_validate(kept["pilot"]))
    planned = {stage.number: stage for stage in found.stages()}
    assert sorted(planned) == ["01", "02", "03", "04", "05"]
    for number in planned:
        assert within(planned[number].seconds[1], run[number]["seconds"]), number
        assert planned[number].seconds[0] < run[number]["seconds"] < planned[number].seconds[2]
    whole = sum(run[number]["seconds"] for number in planned)
    assert within(total(list(planned.values()))[0][1], whole)


def test_a_pretrained_model_on_a_cpu_from_its_pilot():
    """Profile smollm2_cpu, few problems that nobody solves: GRPO's candidates are asked till the most that the rule allows."""
    kept = record("smollm2-cpu.json")
    profile, measured = load_profile("smollm2_cpu", kept["settings"]), Pilot.model_validate(kept["pilot"])
    planned = {stage.number: stage.seconds for stage in Estimator(profile, load_costs(), measured).stages()}
    for number, took in kept["notebooks"].items():
        assert planned[number][0] < took["seconds"] < planned[number][2] and within(planned[number][1], took["seconds"])
    works = {work.what: work.count for work in work_of(profile)}
    least, expected, most = works["candidates, until decided"]
    assert (least, most) == (0, 8 * 10) and 8 * 2 < expected < 8 * 6  # 4.8 more of ten; of many seeds a fifth


@pytest.mark.parametrize("name", ["own.csv", "own.tsv", "own.json", "own.jsonl", "own.parquet"])
def test_seeds_are_counted_whatever_their_fields_are_called(tmp_path, name):
    table = pd.DataFrame({"Nr": ["A1", "A2"], "Aufgabe": ["1 + 1?", "2 + 2?"], "Lösung": ["2", "4"]})
    path = tmp_path / name
    {
        ".csv": lambda: table.to_csv(path, index=False, sep=";"),
        ".tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        ".json": lambda: table.to_json(path, orient="records"),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".parquet": lambda: table.to_parquet(path),
    }[path.suffix]()
    names = {"id": "Nr", "prompt": "Aufgabe", "answer": "Lösung"}
    profile = load_profile("smoke", {"data.seeds": str(path), "data.map": names, "data.gold": None})
    assert rows_in(profile, "seeds") == 2
    args = [part for ours, theirs in names.items() for part in ("--map", f"{ours}={theirs}")]
    assert main(["plan", "--profile", "smoke", "--only", "01", "--seeds", str(path), *args]) == 0


def test_counts_of_the_cpu_profile_by_hand():
    counts = {
        "edge.limit": 600,
        "edge.label_problems": 100,
        "edge.label_samples": 256,
        "mixture.traces": 600,
        "variance.runs": 50,
    }
    looks = {"grpo.steps": 80, "grpo.eval_every": 10, "grpo.eval_problems": 100, "grpo.eval_samples": 2}
    profile = load_profile("cpu", counts | looks)
    works = {(work.stage, work.what): work for work in work_of(profile)}
    assert works["01", "teacher's answers"].count[1] == 600 * 5 + 100
    assert works["01", "base's answers, pilot"].count[1] == 600 * 4
    assert works["01", "base's answers, until decided"].count == pytest.approx((0, 600 * 0.2 * 28, 600 * 28))
    assert works["01", "reference labels"].count[1] == 100 * 256
    assert works["05", "base, all runs"].count[1] == 240 * 50
    assert works["04", "validation"].count[1] == 9 * 100 * 2
    # Beside the main trainings: two RoPE arms and their measuring, 04's three arms and the reader's own, its candidates.
    assert works["03", "RoPE arms"].count[1] == 2 * (4 * 16 + 2 * 24 / 3) and works["03", "RoPE arms"].starts == 2
    assert works["03", "RoPE arms"].limit == 2 * profile.sft.block
    assert works["04", "short runs"].count[1] == 16 + 8 + 16 / 4 + 20 / 4 and works["04", "short runs"].starts == 4
    assert works["04", "candidates, pilot"].count[1] == 550 * 4
    assert works["04", "candidates, until decided"].count[1] == pytest.approx(550 * 0.2 * 8)
    assert works["02", "other numbers"].count[1] == 600 * 3
    bare = load_profile("cpu", {"sft.rope_steps": 0, "grpo.arm_steps": 0, "grpo.own_steps": 0})
    assert not {"RoPE arms", "short runs"} & {work.what for work in work_of(bare)}
    assert sft_rows(profile) == (600, 600 + 160 + 48, 600 + 2 * (160 + 48))


def test_what_is_unknown_stays_unknown_and_prices_make_it_known(priced, capsys):
    profile = load_profile("gpu", {"data.benchmark": "data/benchmarks/contest.jsonl"})
    stage = {s.number: s for s in Estimator(profile, load_costs()).stages()}
    assert stage["01"].seconds is None and stage["01"].money is None and stage["03"].money is None
    assert any("prices of your-teacher" in what for what in stage["01"].missing)
    known = {s.number: s for s in Estimator(profile, load_costs(priced)).stages()}
    assert known["03"].money[1] == pytest.approx(known["03"].seconds[1] / 3600 * 3.0)  # H100 is the second device
    answers = 2000 * 4 + 200
    tokens = [share * 8192 for share in load_costs().length]
    asked = known["01"].money[1] - known["01"].seconds[1] / 3600 * 3.0
    assert asked == pytest.approx((answers * 300 * 1.0 + answers * tokens[1] * 4.0) / 1e6)
    assert main(["plan", "--profile", "phi4", "--costs", str(priced)]) == 0
    out = capsys.readouterr().out
    assert "USD" in out and "unknown: the number of problems in data.seeds (no such file)" in out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"currency": 3}, "'currency'"),
        ({"colour": "red"}, "'colour'"),
        ({"device": "B300"}, "no device 'B300'; known: A100, H100, H200"),
        ({"mfu": [{"weights_below": 1, "gpus": 1, "share": [2, 1, 1]}]}, "shares of the peak lie between 0 and 1"),
    ],
)
def test_a_faulty_costs_file_is_one_line(tmp_path, change, says):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load((ROOT / FILE).read_text()) | change))
    with pytest.raises(UserError, match=r"mine\.yaml") as error:
        load_costs(path)
    assert says in str(error.value)
    with pytest.raises(UserError, match="give a file like"):
        load_costs(tmp_path / "none.yaml")


def test_every_shipped_profile_fits_what_it_is_for():
    """phi4 and gpu fit 80 GB; phi4's old settings (one process, everything at once) are refused with the numbers."""
    for name in ("gpu", "phi4", "smollm2"):
        assert all(why is None for _, why in Estimator(load_profile(name), load_costs()).memory().values()), name
    alone = {"processes": 1, "hosts": 1, "sharding": "ddp"}
    old = {"sft.checkpointing": False, "sft.launch": alone, "grpo.launch": alone, "grpo.checkpointing": False}
    found = Estimator(load_profile("phi4", old | {"grpo.micro_batches": 4, "grpo.vllm": False}), load_costs())
    reasons = [why for _, why in found.memory().values()]
    assert "weights 58.6, gradients 58.6, optimizer 117.3" in reasons[0]
    assert "there are 72.0 GB (90% of 80.0 GB)" in reasons[0] and "raise grpo.micro_batches" in reasons[1]


def test_a_run_that_cannot_fit_does_not_start():
    due = [stage for stage in stages().values() if stage.number in ("03", "04")]
    preflight.check_memory(load_profile("cpu"), due, load_costs())
    with pytest.raises(
        UserError, match=r"profile 'phi4', notebook 03, on this machine: fine-tuning needs .* GB on each"
    ):
        preflight.check_memory(load_profile("phi4"), due, load_costs())
    preflight.check_memory(load_profile("phi4"), due[:0], load_costs())


def test_parameters_of_the_models_in_the_costs_file():
    sizes = {name: parameters(plain_shape(shape))[0] for name, shape in load_costs().models.items()}
    published = {
        "microsoft/phi-4": 14.66e9,
        "microsoft/Phi-4-mini-instruct": 3.84e9,
        "Qwen/Qwen2.5-1.5B-Instruct": 1.54e9,
    }
    assert sizes == pytest.approx(published, rel=0.01)


def test_an_earlier_run_stands_in_where_nothing_else_is_known(monkeypatch):
    monkeypatch.setattr(outlook, "kept", lambda profile: None)
    found = outlook.estimator(load_profile("cpu"))
    text = "\n".join(outlook.lines(found, {"03", "04"}, {"03": 30.0}))
    assert "03  20 / 30 / 45 s, no cost (an earlier run)" in text and "04  time unknown" in text
    assert "unknown: speed of this CPU (phi4r plan --profile cpu --pilot 32)" in text


def test_a_profile_for_a_cpu_is_never_counted_on_a_card(monkeypatch):
    monkeypatch.setattr(outlook, "kept", lambda profile: None)
    numbers = {"01", "02", "03", "04", "05"}
    profile = load_profile("smollm2_cpu")
    text = "\n".join(outlook.lines(outlook.estimator(profile), numbers, {}))
    assert "planned for this machine's CPU" in text and "03  time unknown, cost unknown" in text
    assert "unknown: speed of this CPU (phi4r plan --profile smollm2_cpu --pilot 32)" in text
    assert not re.search("H100|GPU", text)
    for found in (outlook.estimator(profile, device="H200"), outlook.estimator(load_profile("smollm2"))):
        assert found.device and found.gpus == 1  # who asks for a card gets it, and the larger profile is meant for one
    assert outlook.estimator(load_profile("cpu"), device="H200").device == load_costs().devices["H200"]


@pytest.mark.slow
def test_a_pilot_measures_both_models_and_both_trainings(monkeypatch, tmp_path):
    monkeypatch.setattr(pilot, "file_of", lambda name: tmp_path / f"{name}.json")
    profile = load_profile("smoke")
    found = pilot.run_pilot(profile, 8)
    assert pilot.kept(profile) == found and set(found.answers) == {"base", "teacher", "trained"}
    assert found.answers["teacher"].tokens > found.answers["base"].tokens > 1
    assert all(facts.seconds_token > 0 for facts in found.answers.values())
    assert found.sft.count >= 4 and found.grpo.count == 4 and found.sft.seconds > 0 and found.grpo.tokens > 0
    planned = Estimator(profile, load_costs(), found).stages()
    assert all(stage.seconds and 0 < stage.seconds[0] < stage.seconds[1] < stage.seconds[2] for stage in planned)
    assert pilot.kept(load_profile("smoke", {"sft.block": 128})) is None  # other settings, another pilot
    with pytest.raises(UserError, match="at least 8"):
        pilot.run_pilot(profile, 3)
