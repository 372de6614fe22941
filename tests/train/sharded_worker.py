"""Two processes share out a model (FSDP2 over gloo), train a step, write a sharded checkpoint and gather whole weights.

Run by test_sharded.py: `torchrun --nproc-per-node 2 sharded_worker.py MODEL OUT`.
"""

import sys
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.checkpoint import save
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.train.callbacks import save_model
from phi4r_lib.train.ranks import gathered, is_first, is_sharded, on_first, whole_weights

model_dir, out = sys.argv[1], Path(sys.argv[2])
distributed.init_process_group("gloo")
model = AutoModelForCausalLM.from_pretrained(model_dir)
mesh = init_device_mesh("cpu", (2,))
for layer in model.model.layers:
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
ids = torch.arange(5, 21).view(2, 8)[distributed.get_rank()][None]
model(input_ids=ids, labels=ids).loss.backward()
optimizer.step()
state, moments = get_state_dict(model, optimizer)
save({"model": state, "optimizer": moments}, checkpoint_id=out / "checkpoint")
assert is_sharded(model)
weights = whole_weights(model)
copy = gathered(model, weights)
tokenizer = AutoTokenizer.from_pretrained(model_dir)
on_first(lambda: save_model(model, tokenizer, out / "model", weights))
if is_first():
    torch.save(copy(torch.arange(5, 13)[None]).logits.float(), out / "logits.pt")
distributed.barrier()  # a process that leaves while the other still works makes gloo abort now and then
distributed.destroy_process_group()
