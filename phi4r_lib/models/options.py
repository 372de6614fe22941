"""The options of each engine in a profile: names, types, legal values. Light, so that a profile is checked at once.

Not here: what the engines do with them (engines/).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError


def _address(value: str) -> str:
    parts = urlsplit(value)
    try:
        named = parts.port is None or parts.port > 0
    except ValueError:
        named = False
    if not named or re.search(r"[\s\x00-\x1f]", value):
        raise ValueError("an address has no blanks, and its port is a number from 1 to 65535")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if parts.username or parts.password or "@" in parts.netloc:
        raise ValueError("no user or password in an address; the key comes from the environment (key_env)")
    return value


def _ours_left_alone(body: dict[str, Any]) -> dict[str, Any]:
    taken = sorted({"model", "messages", "n", "stream"} & set(body))
    if taken:
        raise ValueError(f"{taken[0]} is what the engine itself says in a request; leave it out")
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("its values go into a request as JSON, which knows no nan, inf or dates") from None
    return body


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", value) or (len(value) > 24 and "_" not in value):
        raise ValueError(
            "key_env takes the NAME of an environment variable in capitals, such as OPENAI_API_KEY, never a key"
        )
    return value


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# Eleven days: clocks of locks and sockets end at more.
Seconds = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Money = Annotated[float, Field(le=1e9, allow_inf_nan=False)]
Word = Annotated[str, Field(pattern=r"^\w{1,60}$")]
Many = Annotated[int, Field(ge=1, le=100_000)]
Amount = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=1, le=2**24)]


class TransformersOptions(_Options):
    """`dtype` None: the model's own, bf16 instead of float32 on a GPU; `batch_size` samples decoded together, None: by model size; `device` None: cuda if any."""

    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] | None = None
    batch_size: Many | None = None
    device: str | None = Field(default=None, pattern=r"^(cpu|mps|(cuda|xpu)(:\d+)?)$")


class VllmOptions(_Options):
    """What goes to `vllm.LLM`; `engine_args` takes anything else it knows; `kv_cache_gb` counts on a CPU only."""

    dtype: Word | None = None
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    max_model_len: Tokens | None = None
    tensor_parallel_size: Many | None = None  # GPUs a copy
    kv_cache_gb: Amount = Field(default=2, gt=0)
    engine_args: dict[str, Any] = Field(default_factory=dict)


class RayOptions(_Options):
    """How many workers, what each reserves, and the engine in each (`worker`: kind and options)."""

    worker: dict[str, Any] = Field(default_factory=lambda: {"kind": "transformers"})
    workers: Many = 2  # actors
    batch_prompts: Many = 64  # prompts a worker gets at once; also what is lost when one dies
    cpus: Amount = 1  # CPUs a worker reserves
    gpus: Amount = 0  # GPUs a worker reserves
    # Of a running cluster; None starts Ray here, or joins the cluster of RAY_ADDRESS.
    address: Annotated[str, Field(pattern=r"^\S{1,300}$")] | None = None


class OpenAIOptions(_Options):
    """An endpoint, how it is asked, and the caps on what it may cost. Keys come from the environment only."""

    base_url: Annotated[str, AfterValidator(_address)] | None = None  # None: OPENAI_BASE_URL, else api.openai.com
    key_env: Annotated[str, AfterValidator(_variable)] = "OPENAI_API_KEY"  # the environment variable with the key
    concurrency: int = Field(default=16, ge=1, le=4096)  # requests in flight
    timeout_s: Seconds = 600.0  # seconds from request to the whole answer
    retries: int = Field(default=6, ge=0, le=100)  # on 408, 409, 429, 5xx, timeouts and lost connections
    longest_wait_s: Seconds = 60.0  # seconds waited because the endpoint asks
    budget_tokens: int | None = Field(default=None, ge=1)  # prompt and completion tokens, for the life of the engine
    budget_money: Money | None = Field(default=None, gt=0)  # in the currency of the two prices
    price_in: Money = Field(default=0.0, ge=0)  # money per million prompt tokens
    price_out: Money = Field(default=0.0, ge=0)  # money per million completion tokens
    send_seed: bool = False  # best effort at most endpoints, refused by some
    tokens_field: Word = "max_tokens"  # newer hosted models want "max_completion_tokens"
    leave_out: list[Literal["temperature", "top_p", "top_k", "max_tokens"]] = Field(default_factory=list)
    extra_body: Annotated[dict[str, Any], AfterValidator(_ours_left_alone)] = Field(
        default_factory=dict
    )  # further fields of the request, as they are


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
