"""Every keyword that only a GPU run passes on is known to the installed libraries, with the settings of every large profile."""

import ast
import inspect
import json
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
import torch
from test_batching import PHI4, Card
from transformers import TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from trl import GRPOTrainer

from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.train import dpo, sft_trainer
from phi4r_lib.train.arguments import grpo_arguments, sampler_arguments, sharding
from phi4r_lib.train.fast_rollouts import PER_TOKEN
from phi4r_lib.train.launch import in_group
from phi4r_lib.train.memory import group_of
from phi4r_lib.train.settings import DpoSettings, GrpoSettings, LaunchSettings, SamplerSettings, SftSettings

PROFILES = ("smollm2", "gpu", "phi4_mini", "phi4")


class Shaped:
    """A model, as far as arguments ask for it."""

    config = PHI4


@pytest.fixture
def host(monkeypatch):
    """A host with eight cards, as far as torch and transformers are asked for them; nothing can be computed there."""
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: Card())
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr("phi4r_lib.train.batching.from_all", list)  # the other processes have the same cards
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: True)


@pytest.mark.parametrize("name", PROFILES)
def test_trl_takes_the_arguments_of_every_large_profile(host, monkeypatch, tmp_path, name):
    """They are made for the GPU; a batch is what the settings say, and a process that sees eight cards uses one."""
    profile, made = load_profile(name), []
    ranks = group_of(profile.grpo.launch, 8)
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    made.append(
        (grpo_arguments(tmp_path, profile.grpo, 0, "cuda", 512), profile.grpo.prompts * profile.grpo.group, ranks)
    )
    monkeypatch.setenv("WORLD_SIZE", "32")
    shards = LaunchSettings(processes=8, hosts=4, sharding="fsdp")  # the shape is Phi-4's, for small profiles, too
    fits = {"launch": shards, "batch_size": 32, "checkpointing": True}
    for module, settings in ((sft_trainer, profile.sft), (dpo, profile.dpo)):
        made.append((module._arguments(Shaped, tmp_path, settings.model_copy(update=fits), 0, "cuda", {}), 32, 32))
    for arguments, batch, ranks in made:
        assert arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * ranks == batch
        assert arguments.n_gpu == 1 and arguments.bf16 and not arguments.use_cpu
        assert arguments.report_to == [] and not arguments.dataloader_pin_memory


def settings_with(**changes):
    facts = {
        "steps": 1,
        "prompts": 4,
        "group": 2,
        "learning_rate": 1e-6,
        "beta": 0.0,
        "entropy": 0.0,
        "temperature": 1.0,
    }
    facts |= {"max_tokens": 64, "eval_every": 1, "eval_problems": 1, "vllm": True}
    return GrpoSettings(**facts | changes)


@pytest.mark.parametrize("importance", get_args(SamplerSettings.model_fields["importance"].annotation))
@pytest.mark.parametrize("server", [None, "http://node2:8000"])
def test_trl_takes_every_way_of_sampling_with_vllm(host, tmp_path, importance, server):
    ours = SamplerSettings(importance=importance, server=server, sleep=server is None, length=512)
    found = grpo_arguments(tmp_path, settings_with(sampler=ours), 0, "cuda", 100)
    for name, value in sampler_arguments(settings_with(sampler=ours), 100).items():
        assert getattr(found, name) == value, name
    assert importance == "off" or repr(importance).strip("'") in strings(GRPOTrainer._generate_and_score_completions)


def strings(function):
    """All words in quotation marks in the source of a function."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_what_we_read_of_a_step_is_what_trl_writes():
    """A renamed entry would not be cut with the others, or not be compared, and nothing would say so."""
    written = strings(GRPOTrainer._generate_and_score_completions)
    assert {*PER_TOKEN, "num_items_in_batch", "advantages", "prompt_ids", "prompt_mask"} <= written
    assert "ref_per_token_logps" in strings(GRPOTrainer._compute_loss)


def test_shards_and_trackers_have_the_names_that_transformers_knows():
    ours = sharding(SftSettings.model_construct(launch=LaunchSettings(sharding="fsdp")), "cuda")
    assert set(ours["fsdp_config"]) <= strings(TrainingArguments._process_fsdp_args) and ours["fsdp"] is True
    for kind in (SftSettings, DpoSettings, GrpoSettings):
        trackers = set(get_args(kind.model_fields["report_to"].annotation)) - {"none"}
        assert trackers == {"trackio", "wandb", "mlflow", "tensorboard"} <= set(INTEGRATION_TO_CALLBACK)


def test_what_cannot_be_sent_trains_in_one_process_where_the_number_is_free(monkeypatch, tmp_path):
    """A reward function of one's own, on a host with eight cards: "auto" is one process; a number that was named is an error."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.delenv("RANK", raising=False)

    @in_group
    def train(out, settings, *, reward=None, device="auto", progress=None):
        return "trained here"

    free = settings_with(vllm=False)
    assert train(tmp_path, free, reward=lambda completions: [0.0], progress=print) == "trained here"
    two = free.model_copy(update={"launch": LaunchSettings(processes=2)})
    with pytest.raises(TypeError, match="cannot be given function objects"):
        train(tmp_path, two, reward=lambda completions: [0.0])


def test_a_training_that_samples_with_vllm_gets_a_process_of_its_own_on_a_gpu(monkeypatch, tmp_path):
    """vLLM keeps its share of the GPU as long as its process lives, and the notebook has other models to load afterwards."""
    from phi4r_lib.train import launch

    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(launch, "run_group", lambda *given: groups.append(given))
    groups = []

    @in_group
    def train(out, settings, *, reward=None, device="auto", progress=None):
        return "trained here"

    (tmp_path / launch.NOTE).write_text("{}")
    ways = (("cuda", True, {}), ("cuda", False, {}), ("cpu", True, {}), ("cuda", True, {"reward": len}))
    for device, vllm, more in ways:
        monkeypatch.setattr(launch, "training_device", lambda _, device=device: device)
        assert train(tmp_path, settings_with(vllm=vllm), device=device, **more) == "trained here"
    ((_, given, _, _, count, _),) = groups
    assert given["settings"].vllm and given["device"] == "cuda" and count == 1


def keywords_of_call(function, name):
    """Keywords of the first call of `name` in the source of a function."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name]
    return {keyword.arg for keyword in calls[0].keywords}


@pytest.mark.engines
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: run `make test-engines`")
def test_vllm_takes_what_trl_and_we_give_it():
    """Also what is passed on GPUs only: memory share, parallel copies, sleep and waking up."""
    from trl.generation.vllm_generation import VLLMGeneration
    from vllm import LLM, SamplingParams
    from vllm.engine.arg_utils import EngineArgs

    from phi4r_lib.models.options import VllmOptions

    known = set(inspect.signature(EngineArgs).parameters) | set(inspect.signature(LLM).parameters)
    assert set(VllmOptions.model_fields) - {"engine_args", "kv_cache_gb"} <= known
    assert {"seed", "enforce_eager"} <= known and keywords_of_call(VLLMGeneration._init_vllm, "LLM") <= known
    asked = {
        "n",
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "stop_token_ids",
        "skip_special_tokens",
        "detokenize",
        "seed",
    }
    assert asked | {"min_p", "repetition_penalty", "logprobs"} <= set(inspect.signature(SamplingParams).parameters)
    assert {"level"} <= set(inspect.signature(LLM.sleep).parameters)
    assert {"tags"} <= set(inspect.signature(LLM.wake_up).parameters) and callable(LLM.reset_prefix_cache)


def test_the_page_of_settings_names_the_server_that_trl_asks_for():
    """TRL's client says how its server is started; the settings repeat the flags, and a new release may change them."""
    from trl.generation import vllm_client

    asked = inspect.getdoc(vllm_client.VLLMClient)
    told = " ".join(inspect.getdoc(SamplerSettings).split())
    for flag in ("VLLM_SERVER_DEV_MODE=1 vllm serve", "--weight-transfer-config", "--logprobs-mode processed_logprobs"):
        assert flag in asked and flag in told, flag


def test_profiles_for_gpus_are_all_of_those_that_are_no_toy():
    here = {path.stem for path in (Path(__file__).parents[2] / "notebooks/profiles").glob("*.yaml")}
    assert here - {"base", "smoke", "cpu", "smollm2_cpu"} == set(PROFILES)


@pytest.mark.slow
def test_sft_and_grpo_take_the_path_of_a_gpu_from_end_to_end(host, monkeypatch, shared_base_dir, tmp_path):
    """All that hangs on `device` being cuda, computed on the CPU: the batch by memory, attention by starts, both models' hooks."""
    from phi4r_lib.models.fast import on_gpu
    from phi4r_lib.models.fast.packed_attention import PACKED, attend_packed
    from phi4r_lib.problems.schema import Problem
    from phi4r_lib.train import grpo
    from phi4r_lib.train.sft import run_sft

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    asked = [
        Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="t", licence="MIT")
        for a in range(1, 9)
    ]
    traces, prompts = tmp_path / "traces.jsonl", tmp_path / "rl.jsonl"
    user = lambda one: {"role": "user", "content": one.prompt}  # noqa: E731
    told = [f"<think> {one.prompt} </think> \\boxed{{{one.answer}}}" for one in asked]
    rows = [
        {"messages": [user(one), {"role": "assistant", "content": text}]} for one, text in zip(asked, told, strict=True)
    ]
    traces.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"id": one.id, "prompt": [user(one)], "answer": one.answer} for one in asked]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = SftSettings(
        passes=2.0, learning_rate=1e-3, batch_size=2, block=64, warmup_steps=1, weight_decay=0.0, eval_every=2,
        eval_problems=2, eval_max_tokens=8,
    )  # fmt: skip
    seen = []
    attend = "phi4r_lib.train.sft_trainer.attend_packed"
    monkeypatch.setattr(attend, lambda model: seen.append(PACKED) or attend_packed(model))
    first = run_sft(shared_base_dir, [traces], tmp_path / "sft", settings, validation=asked[:2], device="cuda")
    assert seen == [PACKED] and first.steps >= 2
    monkeypatch.setattr(grpo, "bf16_activations", lambda model: seen.append(model) or on_gpu.bf16_activations(model))
    little = settings_with(vllm=False, beta=0.01, max_tokens=8, max_clipped=1.0, filter_groups=False)
    report = grpo.run_grpo(first.model, prompts, tmp_path / "rl", little, validation=asked[:2], device="cuda")
    assert report.steps == 1 and len(seen[1:]) == 2 and seen[1] is not seen[2]  # the policy, and the reference
