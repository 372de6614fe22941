"""The options of each engine in a profile: names, types, legal values. Light, so that a profile is checked at once.

Not here: what the engines do with them (engines/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if parts.username or parts.password or "@" in parts.netloc:
        raise ValueError("no user or password in an address; the key comes from the environment (key_env)")
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", value) or (len(value) > 24 and "_" not in value):
        raise ValueError(
            "key_env takes the NAME of an environment variable in capitals, such as OPENAI_API_KEY, never a key"
        )
    return value


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TransformersOptions(_Options):
    """`dtype` None: the model's own; `batch_size` samples decoded together, None: by model size; `device` None: cuda if any."""

    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] | None = None
    batch_size: int | None = Field(default=None, ge=1)
    device: str | None = Field(default=None, pattern=r"^(cpu|mps|(cuda|xpu)(:\d+)?)$")


class VllmOptions(_Options):
    """What goes to `vllm.LLM`; `engine_args` takes anything else it knows; `kv_cache_gb` counts on a CPU only."""

    dtype: str | None = None
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    max_model_len: int | None = Field(default=None, ge=1)  # tokens
    tensor_parallel_size: int | None = Field(default=None, ge=1)  # GPUs a copy
    kv_cache_gb: float = Field(default=2, gt=0)
    engine_args: dict[str, Any] = Field(default_factory=dict)


class RayOptions(_Options):
    """How many workers, what each reserves, and the engine in each (`worker`: kind and options)."""

    worker: dict[str, Any] = Field(default_factory=lambda: {"kind": "transformers"})
    workers: int = Field(default=2, ge=1)  # actors
    batch_prompts: int = Field(default=64, ge=1)  # prompts a worker gets at once; also what is lost when one dies
    cpus: float = Field(default=1, ge=0)  # CPUs a worker reserves
    gpus: float = Field(default=0, ge=0)  # GPUs a worker reserves
    address: str | None = None  # of a running cluster; None starts Ray here, or joins the cluster of RAY_ADDRESS


class OpenAIOptions(_Options):
    """An endpoint, how it is asked, and the caps on what it may cost. Keys come from the environment only."""

    base_url: Annotated[str, AfterValidator(_address)] | None = None  # None: OPENAI_BASE_URL, else api.openai.com
    key_env: Annotated[str, AfterValidator(_variable)] = "OPENAI_API_KEY"  # the environment variable with the key
    concurrency: int = Field(default=16, ge=1, le=4096)  # requests in flight
    timeout_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)  # seconds from request to the whole answer
    retries: int = Field(default=6, ge=0, le=100)  # on 408, 409, 429, 5xx, timeouts and lost connections
    longest_wait_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)  # seconds waited because the endpoint asks
    budget_tokens: int | None = Field(default=None, ge=1)  # prompt and completion tokens, for the life of the engine
    budget_money: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # in the currency of the two prices
    price_in: float = Field(default=0.0, ge=0, allow_inf_nan=False)  # money per million prompt tokens
    price_out: float = Field(default=0.0, ge=0, allow_inf_nan=False)  # money per million completion tokens
    send_seed: bool = False  # best effort at most endpoints, refused by some
    tokens_field: str = Field(default="max_tokens", min_length=1)  # newer hosted models want "max_completion_tokens"
    leave_out: list[Literal["temperature", "top_p", "top_k", "max_tokens"]] = Field(default_factory=list)
    extra_body: dict[str, Any] = Field(default_factory=dict)  # further fields of the request, as they are


OPTIONS: dict[str, type[_Options]] = {
    "transformers": TransformersOptions,
    "vllm": VllmOptions,
    "openai": OpenAIOptions,
    "ray": RayOptions,
}


def read_options(kind: str, options: Mapping[str, Any]) -> Any:
    """The options of a kind in OPTIONS, typed and with their defaults; an engine of your own gets its mapping as it is.

    Raises ValueError with one line that names every faulty option; values that may be secret are not repeated.
    """
    model = OPTIONS.get(kind)
    if model is None:
        return dict(options)
    unknown = sorted(set(options) - set(model.model_fields))
    if unknown:
        raise ValueError(f"{kind} engine: unknown options {unknown}; known: {sorted(model.model_fields)}")
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise ValueError(f"{kind} engine: " + "; ".join(_fault(fault) for fault in error.errors())) from None


def _fault(fault: Mapping[str, Any]) -> str:
    name, words = ".".join(str(part) for part in fault["loc"]), fault["msg"].removeprefix("Value error, ")
    shown = isinstance(fault["input"], (int, float)) or name.partition(".")[0] not in {
        "base_url",
        "key_env",
        "extra_body",
    }
    return f"option '{name}': {words}" + (f", found {str(fault['input'])[:60]!r}" if shown else "")
