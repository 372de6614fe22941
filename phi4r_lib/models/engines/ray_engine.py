"""Sampling spread over processes and hosts with Ray Data; any other engine is the worker.

Each worker is an actor that opens its engine once per job. Results stream back as they are ready, so that the store
writes shards while workers go on. Not here: starting a cluster (`ray start`), see the README of Ray.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from phi4r_lib.models.engine import (
    EngineError,
    EngineSpec,
    Progress,
    Prompt,
    Sample,
    SamplingSettings,
    as_messages,
    engine_name,
    folder_fingerprint,
    open_engine,
)
from phi4r_lib.models.options import RayOptions, read_options


class RayEngine:
    """Samples with `workers` actors; options: `RayOptions`.

    The model is the spec's, seen under the same path or name by every worker. Raises EngineError when Ray is not
    installed, cannot start, or the workers cannot open their engine. A worker that dies is replaced and its batch
    sampled again by Ray; a batch whose engine fails becomes faults of its rows.
    """

    def __init__(self, spec: EngineSpec):
        self.options: RayOptions = read_options("ray", spec.options)
        self.worker = _worker_spec(spec, self.options.worker)
        prefix = f"ray-{self.worker.kind}"
        self.name = engine_name(prefix, Path(spec.model).name, folder_fingerprint(spec.model), spec.system)
        self.seedable = self.worker.kind == "transformers" or (self.worker.kind == "vllm" and self.options.gpus > 0)
        self._started = _start(self.options.address)

    def sample(
        self, prompts: Sequence[Prompt], settings: SamplingSettings, progress: Progress | None = None
    ) -> list[list[Sample]]:
        """settings.n samples for each prompt, in order."""
        rows: list[list[Sample]] = [[] for _ in prompts]
        done, every = 0, len(prompts) * settings.n
        for place, samples in self.stream(prompts, settings):
            rows[place] = samples
            done += len(samples)
            if progress:
                progress(done, every)
        return rows

    def stream(self, prompts: Sequence[Prompt], settings: SamplingSettings) -> Iterator[tuple[int, list[Sample]]]:
        """(number of the prompt, its samples) in the order in which workers finish."""
        import ray

        items = [{"place": i, "prompt": json.dumps(as_messages(prompt))} for i, prompt in enumerate(prompts)]
        batch = self.options.batch_prompts
        blocks = max(1, -(-len(items) // batch))
        results = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
            _Worker,
            fn_constructor_args=(self.worker.model_dump_json(), settings.model_dump_json()),
            batch_size=batch,
            compute=ray.data.ActorPoolStrategy(size=min(self.options.workers, blocks)),
            num_cpus=self.options.cpus,
            num_gpus=self.options.gpus or None,
        )
        try:
            for row in results.iter_rows():
                yield int(row["place"]), [Sample.model_validate(sample) for sample in json.loads(row["samples"])]
        except ray.exceptions.RayError as error:
            raise EngineError(f"the Ray workers failed: {_last_line(error)}") from None

    def close(self) -> None:
        """Stops Ray if this engine started it."""
        if self._started:
            import ray

            ray.shutdown()


class _Worker:
    """One actor: opens its engine once, then answers batches of prompts."""

    def __init__(self, spec: str, settings: str):
        self.engine = open_engine(EngineSpec.model_validate_json(spec))
        self.settings = SamplingSettings.model_validate_json(settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        prompts = [json.loads(prompt) for prompt in batch["prompt"]]
        try:
            rows = self.engine.sample(prompts, self.settings)
        except Exception as error:  # one bad batch must not end the job; the reason goes with its rows
            reason = f"{type(error).__name__}: {error}"[:300]
            numbers = range(self.settings.first, self.settings.first + self.settings.n)
            rows = [[Sample(text="", tokens=0, index=i, error=reason) for i in numbers] for _ in prompts]
        texts = [json.dumps([sample.model_dump() for sample in row]) for row in rows]
        return {"place": batch["place"], "samples": texts}


def _worker_spec(spec: EngineSpec, worker: dict[str, Any]) -> EngineSpec:
    if worker.get("kind") == "ray" or set(worker) - {"kind", "options"}:
        raise EngineError("ray engine: `worker` holds kind (transformers, vllm or openai) and options, nothing else")
    return EngineSpec(model=spec.model, system=spec.system, **worker)


def _start(address: str | None) -> bool:
    """Connects to Ray or starts it; True when it was started here."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(f"Ray is not installed ({error}): `pip install phi4r[ray]`") from None
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 starves the workers beside any other program
    for left in (2, 1, 0):
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
            break
        except Exception as error:  # Ray gives its own processes 30 s to start, too few on a busy machine
            ray.shutdown()
            if not left:
                where = f"at {address}" if address else "on this machine"
                raise EngineError(f"Ray did not start {where} in three tries: {error}") from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return True


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
