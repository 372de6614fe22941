"""GRPO with vLLM as its sampler, in the training process, with vLLM's build for CPUs (`make test-engines`).

Each training runs in a process of its own: vLLM in the training process stays for as long as the process does.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from phi4r_lib.train.settings import GrpoSettings

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: run `make test-engines`"),
]
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = GrpoSettings(
    steps=3, prompts=4, group=4, micro_batches=1, learning_rate=1e-3, warmup_steps=0, schedule="constant", beta=0.0, entropy=0.0,
    temperature=1.5, max_tokens=48, max_clipped=1.0, eval_every=9, eval_problems=2, eval_samples=3, filter_groups=False, vllm=True,
)  # fmt: skip
# vLLM on a CPU packs the weights of its layers once and forgets them, so that no trainer could send it new ones. Its own plain
# way is chosen here for every layer; GPUs have no such packing.
TRAIN = """
import os, sys
os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1"}
import torch
import vllm.model_executor.layers.utils as layers
from trl.generation.vllm_generation import VLLMGeneration
from phi4r_lib.problems.schema import load_problems
from phi4r_lib.train import callbacks
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.settings import GrpoSettings

def plain(layer, remove_weight):
    layer.cpu_linear = torch.nn.functional.linear

def nobody(*_):
    raise AssertionError("validation took another sampler than vLLM")

if __name__ == "__main__":
    callbacks.validate = nobody
    layers.dispatch_cpu_unquantized_gemm = plain
    model, rows, out, settings, deaf = sys.argv[1:]
    if deaf == "deaf":
        VLLMGeneration.sync_weights = lambda self: None
    problems = load_problems("data/benchmarks/validation.jsonl")[:2]
    run_grpo(model, rows, out, GrpoSettings.model_validate_json(settings), validation=problems, device="cpu")
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The tiny teacher with heads of a size that vLLM knows; it computes the same."""
    from phi4r_lib.models.fast.pad_heads import pad_heads

    return pad_heads(ROOT / "data/models/tiny-teacher", tmp_path_factory.mktemp("start") / "model", 32)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rl.jsonl"
    problems = [json.loads(line) for line in (ROOT / "data/benchmarks/contest.jsonl").read_text().splitlines()[:16]]
    rows = (
        {"id": one["id"], "prompt": [{"role": "user", "content": one["prompt"]}], "answer": one["answer"]}
        for one in problems
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def train(model, rows, out, settings, deaf=""):
    arguments = [str(model), str(rows), str(out), settings.model_dump_json(), deaf]
    return subprocess.run(
        [sys.executable, "-c", TRAIN, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=1800
    )


@pytest.mark.parametrize(
    "changes", [{}, {"cool_to": 0.8, "cool_share": 1.0, "rebalance": 0.9}], ids=["plain", "steadied"]
)
def test_vllm_samples_what_the_trainer_trains(start, prompts, tmp_path, changes):
    """Log-probabilities of both agree about the same tokens in every step, so weights and temperature of each step arrive."""
    done = train(start, prompts, tmp_path / "out", SETTINGS.model_copy(update=changes))
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["kind"] == "train"]
    assert [row["step"] for row in steps] == [1, 2, 3] and any(row["grad_norm"] > 0 for row in steps)
    assert all(0 < row["mismatch"] < 0.1 for row in steps), [row["mismatch"] for row in steps]
    looks = [row for row in rows if row["kind"] == "validation"]
    assert [row["step"] for row in looks] == [0, 3] and all(0 < row["tokens"] <= 48 for row in looks)
    assert looks[0]["valid"] > 0 and looks[0]["failed"] == 0
    assert (tmp_path / "out/model/model.safetensors").exists()


def test_a_sampler_with_other_weights_stops_the_training(start, prompts, tmp_path):
    """Nothing is sent to vLLM and the step is large: what it samples is no longer the trainer's, and the check says so."""
    far = SETTINGS.model_copy(update={"learning_rate": 0.05})
    done = train(start, prompts, tmp_path / "out", far, "deaf")
    assert done.returncode != 0 and "NumericsError" in done.stderr, done.stderr[-3000:]
    assert "before step 2" in done.stderr and "check grpo.sampler" in done.stderr
