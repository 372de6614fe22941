"""The shipped tiny models under vLLM and behind `transformers serve` (`make test-engines`).

SmolLM2, a vLLM server and Ray are in test_engines_large.py; faults made on purpose in test_openai_engine.py.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from phi4r_lib.models.engine import EngineError, SamplingSettings, open_engine
from phi4r_lib.models.store import sample_to_store
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.answers import Grade, extract_answer, grade
from phi4r_lib.problems.schema import load_problems

pytestmark = pytest.mark.engines
ROOT = Path(__file__).resolve().parents[2]
BASE, TEACHER = ROOT / "data" / "models" / "tiny-base", ROOT / "data" / "models" / "tiny-teacher"
SETTINGS = SamplingSettings(n=4, max_tokens=128, seed=3)


def needs(*packages):
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not installed: run `make test-engines`")


@pytest.fixture(scope="module")
def problems():
    every = load_problems(ROOT / "data" / "benchmarks" / "validation.jsonl")
    return [problem for problem in every if problem.meta["steps"] <= 3][:60]


@pytest.fixture(scope="module", params=[BASE, TEACHER], ids=["base", "teacher"])
def pair(request):
    """(vLLM, the local engine) with one tiny model, both in float32."""
    vllm = open_engine({"kind": "vllm", "model": str(request.param), "options": {"dtype": "float32", "kv_cache_gb": 1}})
    yield vllm, open_engine({"model": str(request.param), "options": {"dtype": "float32"}})
    vllm.close()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def right(rows, problems):
    """Right answers as an array of problems x samples."""
    answers = [extract_answer(sample.text) for row in rows for sample in row]
    golds = [problem.answer for problem, row in zip(problems, rows, strict=True) for _ in row]
    return np.reshape([found == Grade.RIGHT for found in grade(answers, golds)], (len(rows), -1))


@needs("vllm")
def test_a_tiny_model_under_vllm_is_as_good_as_under_the_local_engine(pair, problems):
    prompts = [problem.prompt for problem in problems]
    theirs, ours = (engine.sample(prompts, SETTINGS) for engine in pair)
    assert all(sample.error is None and 1 <= sample.tokens <= 128 for row in theirs for sample in row)
    one, two = right(theirs, problems), right(ours, problems)
    rate = (one.sum(1) + two.sum(1)) / (one.shape[1] + two.shape[1])  # of a problem, were the engines equal
    error = np.sqrt(np.sum(rate * (1 - rate) * (1 / one.shape[1] + 1 / two.shape[1]))) / len(problems)
    assert two.mean() > 0.2 and abs(one.mean() - two.mean()) <= 4 * error + 1e-9
    mean_tokens = [np.mean([sample.tokens for row in rows for sample in row]) for rows in (theirs, ours)]
    assert 0.8 < mean_tokens[0] / mean_tokens[1] < 1.25
    shares = [np.mean([parse_thinking(s.text).valid for row in rows for s in row]) for rows in (theirs, ours)]
    assert abs(shares[0] - shares[1]) < 0.15


@needs("vllm")
def test_greedy_texts_are_those_of_the_local_engine(pair, problems):
    prompts, greedy = [problem.prompt for problem in problems[:20]], SamplingSettings(temperature=0, max_tokens=128)
    theirs, ours = ([row[0].text for row in engine.sample(prompts, greedy)] for engine in pair)
    assert sum(a == b for a, b in zip(theirs, ours, strict=True)) >= 18  # rounding may turn a near tie


@needs("vllm")
def test_two_engines_take_turns_with_one_vllm(problems):
    """As notebook 03 opens them, base and trained: two shares of one GPU would not fit, and each still answers as itself."""
    from phi4r_lib.models.engines import vllm_engine

    prompts, greedy = [problem.prompt for problem in problems[:8]], SamplingSettings(temperature=0, max_tokens=64)
    options = {"dtype": "float32", "kv_cache_gb": 1}
    both = [open_engine({"kind": "vllm", "model": str(model), "options": options}) for model in (BASE, TEACHER)]
    assert [engine.llm is not None for engine in both] == [False, True]
    second, first = ([row[0].text for row in both[n].sample(prompts, greedy)] for n in (1, 0))
    assert first != second and [engine.llm is not None for engine in both] == [True, False]
    vllm_engine.let_go()
    assert not any(engine.llm for engine in both)
    assert [row[0].text for row in both[1].sample(prompts, greedy)] == second
    for engine in both:
        engine.close()


@needs("vllm")
def test_end_token_think_tags_and_seeds_under_vllm(pair, problems, tmp_path):
    engine, local = pair
    prompts = [(problem.id, problem.prompt) for problem in problems[:8]]
    rows = sample_to_store(engine, prompts, SETTINGS, tmp_path)
    end = engine.tokenizer.convert_ids_to_tokens(engine.eos)
    assert engine.eos == local.eos and not any(token in text for token in end for text in rows["text"])
    assert (rows["truncated"] == (rows["tokens"] == 128)).mean() > 0.95
    if local.name.startswith("transformers:tiny-teacher"):
        assert rows["text"].str.startswith("<think>").mean() > 0.9 and rows["text"].str.contains("</think>").any()
    again = [sample.text for row in engine.sample([prompt for _, prompt in prompts], SETTINGS) for sample in row]
    assert set(rows["seeded"]) == {engine.seedable}
    assert (again == list(rows["text"])) is engine.seedable or len(set(again)) == len(prompts)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Base address of `transformers serve` with the tiny teacher."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(TEACHER)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = (tmp_path_factory.mktemp("serve") / "log").open("w")
    server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield _wait_for(f"http://127.0.0.1:{port}", server, Path(log.name))
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(url, server, log):
    for _ in range(600):
        assert server.poll() is None, f"the server ended while starting: {log.read_text()[-500:]}"
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return f"{url}/v1"
        except OSError:
            time.sleep(1)
    raise AssertionError("`transformers serve` did not come up in ten minutes")


@needs("fastapi", "uvicorn")
def test_endpoint_of_transformers_serve(served, problems, tmp_path):
    spec = {"kind": "openai", "model": str(TEACHER), "options": {"base_url": served, "retries": 1, "concurrency": 2}}
    some = [problem for problem in problems if problem.meta["steps"] <= 2][:12]
    engine, settings = open_engine(spec), SamplingSettings(n=2, max_tokens=128, temperature=0.5)
    rows = sample_to_store(engine, [(problem.id, problem.prompt) for problem in some], settings, tmp_path)
    assert rows["error"].isna().all() and len(rows) == 24 and rows["tokens"].between(1, 128).all()
    texts = rows.set_index("key").loc[[problem.id for problem in some for _ in range(2)]].groupby("key")["text"]
    answers = {key: extract_answer(group.iloc[0]) for key, group in texts}
    found = grade([answers[problem.id] for problem in some], [problem.answer for problem in some])
    assert found.count(Grade.RIGHT) >= 6, list(zip(answers.values(), [p.answer for p in some], strict=True))


@needs("fastapi", "uvicorn")
def test_bad_model_and_bad_port_of_a_served_model(served):
    spec = {"kind": "openai", "model": "no/such-model", "options": {"base_url": served, "retries": 0}}
    (sample,) = open_engine(spec).sample(["1 + 1 ="], SamplingSettings(max_tokens=4))[0]
    assert "pinned" in sample.error and "no/such-model" in sample.error and not sample.text  # this server's 400
    with pytest.raises(EngineError, match="requests in a row failed"):
        open_engine(spec).sample([f"{i} + 1 =" for i in range(40)], SamplingSettings(max_tokens=4))
    dead = {"base_url": f"http://127.0.0.1:{free_port()}/v1", "retries": 0}
    with pytest.raises(EngineError, match="check base_url and that the server is up"):
        open_engine(spec | {"options": dead})
