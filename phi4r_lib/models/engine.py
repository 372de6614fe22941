"""Who answers: one interface, prompts in and samples out, whatever stands behind it.

The engines themselves live in engines/, one file each; store.py keeps their samples in shards so that a killed run
repeats nothing. A new engine is one file: its import path is its `kind` in a profile.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from phi4r_lib.models.hidden import find_secret
from phi4r_lib.models.options import read_options
from phi4r_lib.problems.fingerprint import fingerprint
from phi4r_lib.problems.named import check_name, named_class

ENGINES = {
    "transformers": "phi4r_lib.models.engines.transformers_engine:TransformersEngine",
    "vllm": "phi4r_lib.models.engines.vllm_engine:VllmEngine",
    "openai": "phi4r_lib.models.engines.openai_engine:OpenAIEngine",
    "ray": "phi4r_lib.models.engines.ray_engine:RayEngine",
    "recorded": "phi4r_lib.models.engines.recorded_engine:RecordedEngine",
}

NO_SECRETS = "no secrets here; put the key into the environment variable that key_env names (OPENAI_API_KEY)"

Message = dict[str, str]
Prompt = str | Sequence[Message]  # a plain string is one user message
Progress = Callable[[int, int], None]  # (samples done, samples in all)


class EngineError(RuntimeError):
    """An engine that cannot work as asked; the message says what to change."""


class BudgetSpent(EngineError):
    """The token or money budget of an engine is used up; samples drawn before are kept."""


class SamplingSettings(BaseModel):
    """How to sample: n completions per prompt; max_tokens counts completion tokens; seed None means unseeded.

    `first` numbers the first of the n samples. An engine that can seed draws sample i of a prompt from
    (seed, prompt, i), so asking for n=8 and later for first=8, n=8 gives sixteen different samples.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(default=1, ge=1)
    first: int = Field(default=0, ge=0)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)  # 0 means off
    max_tokens: int = Field(default=256, ge=1)
    seed: int | None = 0


class Sample(BaseModel):
    """One completion: text without the end-of-turn token, think tags kept.

    `tokens` counts completion tokens (end-of-turn included), `truncated` means no end-of-turn within max_tokens,
    `seconds` is the batch's wall time divided by its samples, `error` the reason when the engine got no answer
    (text is then empty), `index` the sample's number for its prompt. Half characters (lone surrogates), which no file
    can hold, become U+FFFD.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    tokens: int = Field(ge=0, le=2**31 - 1)
    truncated: bool = False
    seconds: float = 0.0
    index: int = 0
    error: str | None = None

    @field_validator("text", "error", mode="before")
    @classmethod
    def _whole_characters(cls, value: Any) -> Any:
        return whole_characters(value) if isinstance(value, str) else value


class EngineSpec(BaseModel):
    """Which engine with which model; the `models` entries of a profile.

    `options` go to the engine; options.py has those of our own. Keys come from the environment, never from here:
    ValueError for what looks like a secret, for an unknown option and for a value out of range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = "transformers"  # a short name of ENGINES, or "package.module:Class"
    model: str = Field(min_length=1)
    system: str | None = None  # system message put before every prompt that has none
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        return check_name(kind, ENGINES, "engine")

    @model_validator(mode="after")
    def _sound(self) -> EngineSpec:
        secret = find_secret(self.model_dump())
        if secret:
            raise ValueError(f"'{secret}': {NO_SECRETS}")
        read_options(self.kind, self.options)
        return self


class Engine(Protocol):
    """Anything that answers prompts; `name` identifies model and engine in stored samples.

    `seedable` is False when the engine cannot promise the same samples for the same seed; stored rows say so.
    An engine may also have `stream(prompts, settings)`, an iterator of (number of the prompt, samples) as they
    arrive; the store then writes shards while the rest is still being sampled.
    """

    name: str
    seedable: bool

    def sample(
        self, prompts: Sequence[Prompt], settings: SamplingSettings, progress: Progress | None = None
    ) -> list[list[Sample]]:
        """settings.n samples for each prompt, in the order of the prompts.

        Raises EngineError when nothing can be sampled at all; a fault of one prompt is a Sample with `error`.
        """
        ...

    def close(self) -> None:
        """Frees the model or the connections."""
        ...


def as_messages(prompt: Prompt, system: str | None = None) -> list[Message]:
    """The prompt as chat messages, with the system message in front unless it brings its own."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(m) for m in prompt]
    if system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return messages


def engine_name(kind: str, model: str, weights: str = "", system: str | None = None) -> str:
    """The name stored with samples: "kind:model@fingerprint+system"; other weights or system message, other name."""
    name = f"{kind}:{model}" + (f"@{weights}" if weights else "")
    return f"{name}+{fingerprint(system, length=12)}" if system else name


def whole_characters(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced by U+FFFD, so that it can be encoded."""
    if text.isascii():  # known without reading it, and true of most samples
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def folder_fingerprint(folder: str | os.PathLike[str]) -> str:
    """Eight hex digits of a model folder's config, tokenizer and weights (16 pieces of each file); "" for hub names."""
    files = sorted(p for p in Path(folder).glob("*") if p.suffix in {".json", ".safetensors", ".gguf", ".jinja"})
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        with path.open("rb") as handle:
            digest.update(f"{path.name}{size}".encode())
            for piece in range(16):
                handle.seek(size * piece // 16)
                digest.update(handle.read(4096))
    return digest.hexdigest()[:8] if files else ""


def stream_seed(seed: int | None, prompt: Prompt, index: int) -> int | None:
    """The 31-bit seed of one sample from (seed, prompt, index), for engines that take one integer; None stays None."""
    return None if seed is None else int(fingerprint(seed, as_messages(prompt), index, length=12), 16) & 0x7FFFFFFF


def open_engine(spec: EngineSpec | dict[str, Any]) -> Engine:
    """The engine a spec names; heavy imports happen here, so unused engines cost nothing.

    Raises EngineError for a spec that cannot be used (without repeating its values), and for an engine that does not
    say whether it can seed: every stored answer carries that word.
    """
    try:
        spec = EngineSpec.model_validate(spec)
    except ValidationError as error:
        faults = [".".join(map(str, f["loc"])) + ": " + f["msg"].removeprefix("Value error, ") for f in error.errors()]
        raise EngineError("; ".join(fault.removeprefix(": ") for fault in faults)) from None
    engine = named_class(spec.kind, ENGINES, "engine")(spec)
    if not isinstance(getattr(engine, "seedable", None), bool):
        raise EngineError(
            f"engine '{spec.kind}' does not say whether it can seed; give it `seedable = True` or `False`"
        )
    return engine
