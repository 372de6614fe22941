"""A team with solutions and no teacher: answers of an earlier run in a file take notebooks 01 to 03 through at smoke counts."""

import json
from collections import Counter
from pathlib import Path

import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import load_problems

DATA = Path(__file__).parents[2] / "data"
SEEDS, KNOWN = 16, 12  # problems, and how many of them the file answers
PROFILE = """extends: smoke
edge: {limit: 16, teacher_samples: 3, label_problems: 4, rubric_problems: 2}
models:
  teacher: {kind: recorded, model: ./answers.jsonl, options: {fields: {prompt: ask, text: says, thinking: thinks}}}
"""
MISSING = "this prompt is not in the file"

pytestmark = pytest.mark.slow


def recorded_rows():
    """Three answers of the tiny teacher per known seed under names of their own: as they were, in two fields, and one that is bad."""
    seeds = load_problems(DATA / "seeds" / "math.jsonl")[:KNOWN]
    teacher = open_engine({"model": str(DATA / "models" / "tiny-teacher")})
    sampling = SamplingSettings(n=2, temperature=0.7, max_tokens=160, seed=3)
    for number, (seed, answers) in enumerate(
        zip(seeds, teacher.sample([s.prompt for s in seeds], sampling), strict=True)
    ):
        whole, parted = answers[0].text, parse_thinking(answers[1].text)
        yield {"ask": seed.prompt, "says": whole}
        yield {"ask": seed.prompt, "says": parted.solution or "?", "thinks": parted.thought or "?"}
        yield {"ask": seed.prompt, "says": "Nobody knows." if number % 2 else "I guess 9999. #### 9999"}
    teacher.close()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("solutions")
    write_rows(folder / "answers.jsonl", recorded_rows())
    (folder / "mine.yaml").write_text(PROFILE)
    args = ["run", "--profile", str(folder / "mine.yaml"), "--out", str(folder / "run")]
    assert main([*args, "--only", "01", "--only", "02", "--only", "03"]) == 0
    return folder / "run"


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_problems_that_the_file_does_not_answer_have_no_truth_and_say_why(out):
    seeds = rows(out / "01_edge" / "edge.jsonl")
    assert len(seeds) == SEEDS
    open_ones = [row for row in seeds if row["decision"] == "no_truth"]
    assert Counter(row["truth_reason"] for row in open_ones)[f"no answer: {MISSING}"] == SEEDS - KNOWN
    assert {row["truth_kind"] for row in seeds[:KNOWN]} <= {"plurality", "none"}
    assert sum(row["truth_kind"] == "plurality" for row in seeds) >= KNOWN // 2


def test_recorded_answers_pass_the_checks_that_a_model_s_answers_pass(out):
    traces = rows(out / "02_rewrite" / "traces.jsonl")
    kept = [row for row in traces if row["kept"]]
    assert kept and all(parse_thinking(row["text"]).valid for row in kept)
    reasons = Counter(row["reason"].split(":")[0] for row in traces if not row["kept"])
    assert reasons["wrong answer"] and reasons["format"]  # the guesses, and what states no answer
    assert {row["model"].split("@")[0] for row in kept} == {"recorded:answers.jsonl"}
    answered = {row["id"] for row in rows(out / "01_edge" / "edge.jsonl") if row["truth_kind"] == "plurality"}
    assert {row["problem_id"] for row in kept} <= answered


def test_what_only_a_model_can_do_is_a_fault_with_its_reason_and_no_row(out):
    """Rewrites and safety answers need a teacher that reads prompts; the file has none of these prompts."""
    rewrites = rows(out / "02_rewrite" / "rewrites.jsonl")
    assert rewrites and {row["reason"] for row in rewrites} == {f"engine fault: {MISSING}"}
    files = {path.stem: rows(path) for path in (out / "02_rewrite" / "sft").glob("*.jsonl")}
    assert files["math"] and not (files["synthetic"] or files["code"] or files["safety"])
    assert all(row["messages"][-1]["content"].count("<think>") == 1 for row in files["math"])


def test_the_student_is_trained_on_them(out):
    results = json.loads((out / "03_sft" / "results.json").read_text(encoding="utf-8"))
    assert results["training"]["rows"] == len(rows(out / "02_rewrite" / "sft" / "math.jsonl"))
    assert list((out / "03_sft" / "model").glob("*.safetensors"))
