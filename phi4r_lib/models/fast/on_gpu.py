"""What makes transformers fast on a GPU without a change of the recipe: attention back-ends, bf16 activations, compiled layers.

Nothing of this touches a CPU. Not here: the attention itself (packed_attention.py), sampling (decoding.py, slots.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from weakref import WeakKeyDictionary

import torch
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, PreTrainedModel

_TWINS: WeakKeyDictionary[PreTrainedModel, PreTrainedModel] = WeakKeyDictionary()


def steady_attention(device: str | torch.device) -> AbstractContextManager[None]:
    """Within: torch's attention on a GPU never builds a plan per shape, as cuDNN does (0.1 s for every new one)."""
    if torch.device(device).type != "cuda":
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


@contextmanager
def as_sampler(model: PreTrainedModel) -> Iterator[None]:
    """Within: no gradients, no plans per shape, and layers compiled for training run as they are (every token is a new shape)."""
    with torch.inference_mode(), steady_attention(model.device), torch.compiler.set_stance("force_eager"):
        yield


def bf16_activations(model: PreTrainedModel) -> None:
    """Between the layers activations are bf16 under autocast; weights stay float32.

    Otherwise float32 embeddings make the whole residual stream float32: twice the memory and time of everything but products.
    """

    def cast(module, inputs, output):
        return output.bfloat16() if torch.is_autocast_enabled("cuda") and output.is_cuda else output

    model.get_input_embeddings().register_forward_hook(cast)


def compile_layers(model: PreTrainedModel) -> None:
    """Compiles the decoder layers, which are alike, so that it costs half a minute at the first step and not more with depth.

    Raises ValueError for models whose layers are not where Llama, Qwen and Phi have them.
    """
    layers = getattr(model.base_model, "layers", None)
    if layers is None:
        raise ValueError(f"{type(model).__name__} has no `layers` to compile: set compile to false")
    for layer in layers:
        layer.compile()


def halve_frozen(model: PreTrainedModel) -> None:
    """Weights of products and embeddings of a frozen model in bf16, in place: the numbers that autocast makes of them, in half the memory.

    Norms stay in float32, and embeddings need `bf16_activations`. Only for a model that runs under autocast, with whole weights.
    """
    for module in model.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)):
            module.to(torch.bfloat16)


def bf16_twin(model: PreTrainedModel) -> PreTrainedModel:
    """A bf16 copy of a model in training, to sample with: made once, then refreshed in place, so that its graphs stay good.

    Weights that are shared out over processes (FSDP2) are gathered one by one, so all processes must call it.
    """
    twin = _TWINS.get(model)
    if twin is None:
        config = copy.deepcopy(model.config)
        config._attn_implementation = "sdpa"
        twin = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).to(model.device).eval()
        twin.generation_config = model.generation_config
        _TWINS[model] = twin
    with torch.no_grad():
        for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
            mine.copy_(theirs.full_tensor() if isinstance(theirs, DTensor) else theirs)
    return twin
