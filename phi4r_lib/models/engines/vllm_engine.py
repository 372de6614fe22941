"""vLLM in this process as an engine: the one for models of billions of parameters on GPUs.

On a GPU every sample has its own seed, as in transformers_engine.py. On a CPU vLLM cannot seed single requests: `seedable` is False
there and each start draws fresh random numbers, so that a resumed run never repeats old samples as new ones. Heads of a size that
its CPU attention does not know, such as the tiny models', are padded with zeros in a temporary copy (fast/pad_heads.py).

vLLM takes its share of the GPU when it starts, for as long as it lives: a second one beside it, or a training, would find no room. So one is
alive at a time in a process; another engine that samples, or a training that begins (`let_go`), ends it, and its own next sample
starts it again.
"""

from __future__ import annotations

import gc
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakSet

from phi4r_lib.models.engine import (
    EngineError,
    EngineSpec,
    Progress,
    Prompt,
    Sample,
    SamplingSettings,
    engine_name,
    folder_fingerprint,
    stream_seed,
)
from phi4r_lib.models.options import VllmOptions, read_options
from phi4r_lib.models.thinking import one_pair

_ALIVE: WeakSet[VllmEngine] = WeakSet()


def let_go() -> None:
    """Ends every vLLM of this process; their engines start it again when they next sample."""
    for engine in list(_ALIVE):
        engine._end()


class VllmEngine:
    """Samples with vLLM's continuous batching.

    Options: `VllmOptions`. Raises EngineError when vLLM is not installed or cannot load the model. Scripts that open it
    need the `if __name__ == "__main__"` guard.
    """

    def __init__(self, spec: EngineSpec):
        self.options: VllmOptions = read_options("vllm", spec.options)
        _import_vllm(self.options)
        from vllm.platforms import current_platform

        from phi4r_lib.models.engines.transformers_engine import end_of_turn, hidden_tokens
        from phi4r_lib.models.fitting import opened_by_template

        self.seedable = not current_platform.is_cpu()
        self.model, self.system = spec.model, spec.system
        self.name = engine_name("vllm", Path(spec.model).name, folder_fingerprint(spec.model), spec.system)
        self._padded = TemporaryDirectory()
        padded = Path(self._padded.name) / "model"
        self.folder = spec.model if self.seedable else _with_known_heads(spec.model, padded)
        self.llm: Any = None
        self._start()
        self.tokenizer = self.llm.get_tokenizer()
        self.context = self.llm.llm_engine.model_config.max_model_len
        self.eos = end_of_turn(_generation_config(spec.model), self.tokenizer)
        self.hidden = hidden_tokens(self.tokenizer, self.eos)
        self.opened = opened_by_template(self.tokenizer)

    def sample(
        self, prompts: Sequence[Prompt], settings: SamplingSettings, progress: Progress | None = None
    ) -> list[list[Sample]]:
        """settings.n samples for each prompt, in order; a prompt that fills the context gets an error."""
        from vllm import TokensPrompt

        from phi4r_lib.models.engines.transformers_engine import no_room, prompt_tokens

        started = time.perf_counter()
        self._start()
        ids = [prompt_tokens(self.tokenizer, prompt, self.system) for prompt in prompts]
        numbers = range(settings.first, settings.first + settings.n)
        rows = {place: [no_room(len(t), self.context, i) for i in numbers] for place, t in enumerate(ids)}
        fits = [place for place, t in enumerate(ids) if len(t) < self.context]
        jobs = [(place, part) for place in fits for part in self._parts(prompts[place], settings, len(ids[place]))]
        texts = [TokensPrompt(prompt_token_ids=ids[place]) for place, _ in jobs]
        outputs = self.llm.generate(texts, [part for _, part in jobs], use_tqdm=False) if jobs else []
        seconds = (time.perf_counter() - started) / max(len(prompts) * settings.n, 1)
        written: dict[int, list[Any]] = {place: [] for place in fits}
        for (place, _), output in zip(jobs, outputs, strict=True):
            written[place] += output.outputs
        for place, choices in written.items():
            rows[place] = [self._sample(c, i, seconds) for c, i in zip(choices, numbers, strict=True)]
        if progress:
            progress(len(prompts) * settings.n, len(prompts) * settings.n)
        return [rows[place] for place in range(len(prompts))]

    def close(self) -> None:
        """Stops vLLM and gives its memory back."""
        self._end()
        self._padded.cleanup()

    def _start(self) -> None:
        """vLLM with this engine's model, where it is not alive already; every other one ends first."""
        if self.llm is not None:
            return
        import vllm

        let_go()
        gc.collect()  # what a training in this process has left
        if not vllm.platforms.current_platform.is_cpu():
            import torch

            torch.cuda.empty_cache()
        try:
            self.llm = vllm.LLM(model=self.folder, **_llm_arguments(self.options, self.seedable))
        except Exception as error:  # vLLM raises many kinds, from config to memory
            raise EngineError(f"vLLM cannot load '{self.model}': {str(error).strip()[:400]}") from error
        _ALIVE.add(self)

    def _end(self) -> None:
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self.llm = None
        _ALIVE.discard(self)
        gc.collect()
        cleanup_dist_env_and_memory()

    def _parts(self, prompt: Prompt, settings: SamplingSettings, length: int) -> list[Any]:
        """vLLM's settings: one request per sample where samples are seeded, else one request for all n."""
        from vllm import SamplingParams

        common = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": settings.top_k or -1,
            "max_tokens": min(settings.max_tokens, self.context - length),
            "stop_token_ids": self.eos,
            "skip_special_tokens": False,
            "detokenize": False,  # the text is decoded below, as by the other local engine
        }
        if not self.seedable or settings.seed is None or settings.temperature == 0:
            return [SamplingParams(n=1, **common) for _ in range(settings.n)]
        numbers = range(settings.first, settings.first + settings.n)
        return [SamplingParams(seed=stream_seed(settings.seed, prompt, i), **common) for i in numbers]

    def _sample(self, choice: Any, index: int, seconds: float) -> Sample:
        tokens = list(choice.token_ids)
        text = one_pair(self.opened + self.tokenizer.decode([token for token in tokens if token not in self.hidden]))
        truncated = choice.finish_reason == "length"
        return Sample(text=text, tokens=len(tokens), truncated=truncated, seconds=seconds, index=index)


def _import_vllm(options: VllmOptions) -> Any:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", f"{options.kv_cache_gb:g}")
    try:
        import vllm
    except ImportError as error:
        raise EngineError(
            f"vLLM is not installed ({error}): `pip install phi4r[gpu]` on a GPU, `make test-engines` shows the CPU one"
        ) from None
    return vllm


def _llm_arguments(options: VllmOptions, seedable: bool) -> dict[str, Any]:
    given = options.model_dump(exclude={"engine_args", "kv_cache_gb"}, exclude_none=True)
    on_cpu = {} if seedable else {"enforce_eager": True, "seed": secrets.randbits(31)}  # compiling gains nothing there
    return on_cpu | given | options.engine_args


def _with_known_heads(model: str, out: Path) -> str:
    """The model, or a padded copy in `out` where vLLM's CPU attention does not know the size of its heads.

    Without this vLLM starts and dies at the first request ("Unsupported CPU attention configuration: head_dim=24").
    """
    from transformers import AutoConfig
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    from phi4r_lib.models.fast.pad_heads import pad_heads

    try:
        config = AutoConfig.from_pretrained(model).get_text_config(decoder=True)
    except (OSError, ValueError):
        return model  # vLLM's own message is better
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    known = sorted(CPUAttentionBackend.get_supported_head_sizes())
    if size in known:
        return model
    return str(pad_heads(model, out, min((k for k in known if k > size), default=known[-1])))


def _generation_config(model: str) -> Any:
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(model)
    except OSError:
        return None
