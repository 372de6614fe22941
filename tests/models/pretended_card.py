"""A GPU that tensors only say they are on, so that what a GPU path does with devices can be tested on a CPU.

Numbers stay on the CPU and everything is computed for real. Within `card()` an operation over tensors of both devices raises, as it
would on a GPU, and every read that makes a GPU wait is counted by its name. Not here: kernels, precision, memory, speed.
"""

from collections import Counter
from contextlib import contextmanager

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

CARD = torch.device("cuda", 0)
# Reads of values by the host, and results whose size the host must know: a GPU finishes all it has to do before them.
WAITS = {
    "item",
    "tolist",
    "numpy",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "nonzero",
    "unique",
    "masked_select",
    "equal",
}
MOVES = {"to", "cpu", "cuda", "copy_", "as_subclass", "__get__", "__set__", "size", "dim", "__len__", "__repr__"}


class OnCard(torch.Tensor):
    """A tensor that says it is on the card."""

    device = property(lambda self: CARD)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)


class _Card(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        leaves = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
        on = any(isinstance(leaf, OnCard) for leaf in leaves)
        if on:
            self._count(name, args, kwargs)
            off = [leaf for leaf in leaves if not isinstance(leaf, OnCard) and leaf.dim()]
            if off and name not in MOVES:
                raise RuntimeError(
                    f"{name}: tensors on {CARD} and on cpu, shapes {[tuple(leaf.shape) for leaf in leaves]}"
                )
        target = _device(kwargs.get("device")) or (_to(args[1:]) if name == "to" else None)
        if target is not None:
            args, kwargs = tree_map(_here, (args, kwargs))
        if name == "cpu" or (name == "to" and target is not None and target.type == "cpu"):
            return args[0].detach().as_subclass(torch.Tensor).clone() if on else function(*args, **kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            result = function(*args, **kwargs)
        if on or (target is not None and target.type == "cuda"):
            result = tree_map(_put, result)
        return result

    def _count(self, name, args, kwargs):
        if name in WAITS:
            self.waits[name] += 1
        elif name == "cpu" or (name == "to" and (_to(args[1:]) or CARD).type == "cpu"):
            self.waits["cpu"] += 1
        elif name in ("__getitem__", "__setitem__"):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            self.waits["boolean index"] += any(isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in index)


def _put(value):
    plain = isinstance(value, torch.Tensor) and not isinstance(value, (OnCard, nn.Parameter))
    return value.as_subclass(OnCard) if plain else value


def _here(value):
    """The CPU in place of the card."""
    named = isinstance(value, torch.device) or (isinstance(value, str) and value.startswith("cuda"))
    return "cpu" if named and torch.device(value).type == "cuda" else value


def _device(value):
    return None if value is None else torch.device(value)


def _to(arguments):
    return next((torch.device(one) for one in arguments if isinstance(one, (torch.device, str))), None)


@contextmanager
def card(*models):
    """Within: `models` are on the card; gives the counts of waits."""
    owners = [(part, name, weight) for one in models for part in one.modules() for name, weight in _tensors(part)]
    for part, name, weight in owners:
        _hang(part, name, weight.detach().as_subclass(OnCard), isinstance(weight, nn.Parameter))
    try:
        with _Card() as mode:
            yield mode.waits
    finally:
        for part, name, weight in owners:
            (part._parameters if isinstance(weight, nn.Parameter) else part._buffers)[name] = weight


def _tensors(part):
    return [(name, one) for name, one in [*part._parameters.items(), *part._buffers.items()] if one is not None]


def _hang(part, name, weight, trained):
    if trained:
        part._parameters[name] = nn.Parameter(weight)
    else:
        part._buffers[name] = weight
