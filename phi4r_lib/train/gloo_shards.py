"""FSDP2 between CPU processes, for trying out on a laptop what a GPU host will do.

torch's `fully_shard` works over gloo, and so does all that accelerate does with it; accelerate's state only never asks for it where the
processes are CPUs. Not here: GPUs, which need none of this.
"""

from __future__ import annotations

import functools

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType


def allow() -> None:
    """From now on an accelerator of CPU processes takes the FSDP plugin that it is given."""
    if hasattr(AcceleratorState.__init__, "__wrapped__"):
        return
    init = AcceleratorState.__init__

    @functools.wraps(init)
    def with_shards(self, *args, fsdp_plugin=None, **kwargs):
        init(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None and self.distributed_type is DistributedType.MULTI_CPU:
            # As accelerate does for processes of every other device; each new state copies what PartialState says.
            self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
            self.fsdp_plugin = fsdp_plugin

    AcceleratorState.__init__ = with_shards
