"""A transformers model on this machine as an engine: chat template in, text with its think tags out.

The token loop is fast/decoding.py. For models of several billion parameters on a GPU vLLM is faster (vllm_engine.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from phi4r_lib.models.engine import (
    EngineError,
    EngineSpec,
    Progress,
    Prompt,
    Sample,
    SamplingSettings,
    as_messages,
    engine_name,
)
from phi4r_lib.models.fast.decoding import Request, decode
from phi4r_lib.models.fitting import check_answering, opened_by_template
from phi4r_lib.models.hub import fault_of_name
from phi4r_lib.models.options import TransformersOptions, read_options
from phi4r_lib.models.thinking import THINK_CLOSE, THINK_OPEN, one_pair
from phi4r_lib.problems.fingerprint import fingerprint


class TransformersEngine:
    """Samples from a local causal language model with continuous batching.

    Options: `TransformersOptions`. Sample i of a prompt depends on (seed, prompt, i) only, up to floating-point
    rounding. Raises EngineError when the model folder cannot be loaded.
    """

    seedable = True

    def __init__(self, spec: EngineSpec):
        options: TransformersOptions = read_options("transformers", spec.options)
        device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
        if not Path(spec.model).exists() and (fault := fault_of_name(spec.model)):
            raise EngineError(f"cannot load model {fault}")
        try:
            self.tokenizer, config = AutoTokenizer.from_pretrained(spec.model), AutoConfig.from_pretrained(spec.model)
            check_answering(self.tokenizer, config)
            dtype = options.dtype or own_dtype(config, device)
            self.model = AutoModelForCausalLM.from_pretrained(spec.model, dtype=dtype).to(device).eval()
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise EngineError(
                f"cannot load model '{spec.model}': {first.rstrip('.')}. Give a folder with config.json, "
                "weights and tokenizer, or a hub name on a machine with network."
            ) from None
        self._set_up(Path(spec.model).name, spec.system, options.batch_size)

    @classmethod
    def from_model(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        system: str | None = None,
        batch_size: int | None = None,
    ) -> TransformersEngine:
        """An engine around a loaded model, for instance one that has just been trained; the model is not copied."""
        engine = cls.__new__(cls)
        engine.model, engine.tokenizer = model.eval(), tokenizer
        engine._set_up(name, system, batch_size)
        return engine

    def _set_up(self, name: str, system: str | None, batch_size: int | None) -> None:
        self.system = system
        self.batch_size = int(batch_size or _default_batch(self.model))
        self.name = engine_name("transformers", name, weights_fingerprint(self.model), system)
        self.eos = end_of_turn(self.model.generation_config, self.tokenizer)
        self.hidden = hidden_tokens(self.tokenizer, self.eos)
        self.opened = opened_by_template(self.tokenizer)

    def sample(
        self, prompts: Sequence[Prompt], settings: SamplingSettings, progress: Progress | None = None
    ) -> list[list[Sample]]:
        """settings.n samples for each prompt, in order; a prompt that fills the model's context gets an error."""
        started = time.perf_counter()
        requests = [self._request(prompt, settings) for prompt in prompts]
        usable = [request for request in requests if request.limit > 0]
        every, done = len(prompts) * settings.n, (len(prompts) - len(usable)) * settings.n

        def finished(count: int) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done, every)

        finished(0)
        if usable:
            decode(
                self.model,
                usable,
                settings,
                eos=self.eos,
                streams=_streams(settings.seed),
                batch_size=self.batch_size,
                on_done=finished,
            )
        seconds = (time.perf_counter() - started) / max(every, 1)
        return [[self._sample(request, i, settings, seconds) for i in _numbers(settings)] for request in requests]

    def close(self) -> None:
        """Lets go of the model; memory returns when nobody else holds it."""
        self.model = None

    def _request(self, prompt: Prompt, settings: SamplingSettings) -> Request:
        ids = prompt_tokens(self.tokenizer, prompt, self.system)
        context = self.model.config.get_text_config(decoder=True).max_position_embeddings
        return Request(ids, settings.first, settings.n, min(settings.max_tokens, context - len(ids)))

    def _sample(self, request: Request, index: int, settings: SamplingSettings, seconds: float) -> Sample:
        if request.limit <= 0:
            context = self.model.config.get_text_config(decoder=True).max_position_embeddings
            return no_room(len(request.ids), context, index)
        tokens = request.outputs[index]
        text = one_pair(self.opened + self.tokenizer.decode([token for token in tokens if token not in self.hidden]))
        ended = bool(tokens) and tokens[-1] in self.eos
        return Sample(text=text, tokens=len(tokens), truncated=not ended, seconds=seconds, index=index)


def own_dtype(config: PretrainedConfig, device: str) -> str:
    """The dtype to sample in: the weights' own ("auto"), on a GPU bf16 for float32 ones, as vLLM and our trainings sample there."""
    wide = getattr(config.get_text_config(decoder=True), "dtype", None) == torch.float32
    return "bfloat16" if wide and torch.device(device).type == "cuda" else "auto"


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, system: str | None) -> list[int]:
    """The prompt through the tokenizer's chat template, up to where the assistant starts to write."""
    text = tokenizer.apply_chat_template(as_messages(prompt, system), tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def end_of_turn(generation: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: the generation config's, else the tokenizer's. EngineError when there is none."""
    eos = getattr(generation, "eos_token_id", None)
    eos = tokenizer.eos_token_id if eos is None else eos
    if eos is None:
        raise EngineError("neither generation config nor tokenizer names an end-of-turn token: set eos_token_id")
    return sorted(eos) if isinstance(eos, (list, tuple)) else [eos]


def hidden_tokens(tokenizer: PreTrainedTokenizerBase, eos: Sequence[int]) -> set[int]:
    """Tokens that are no part of a sample's text: special ones and end-of-turn, but never the think tags."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= {*tokenizer.all_special_ids, *eos}
    return special - {i for tag in (THINK_OPEN, THINK_CLOSE) if (i := tokenizer.get_vocab().get(tag)) is not None}


def no_room(prompt_length: int, context: int, index: int) -> Sample:
    """The fault of a prompt that fills the model's context."""
    reason = f"prompt of {prompt_length} tokens leaves no room in the context of {context}"
    return Sample(text="", tokens=0, index=index, error=reason)


def weights_fingerprint(model: PreTrainedModel) -> str:
    """Eight hex digits of the weights: names, shapes and up to 1024 values of each, so that retraining changes it."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        flat = weight.detach().reshape(-1)
        some = flat[:: max(1, flat.numel() // 1024)].float().cpu().numpy().tobytes()
        digest.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode() + some)
    return digest.hexdigest()[:8]


def _numbers(settings: SamplingSettings) -> range:
    return range(settings.first, settings.first + settings.n)


def _streams(seed: int | None) -> Any:
    def stream(request: Request, index: int) -> np.random.Generator:
        return np.random.default_rng(
            None if seed is None else [seed, int(fingerprint(request.ids, length=12), 16), index]
        )

    return stream


def _default_batch(model: PreTrainedModel) -> int:
    size = sum(weight.numel() for weight in model.parameters())
    return 64 if size >= 50e6 and model.device.type == "cpu" else 1024  # on a GPU its memory decides (fast/slots.py)
