"""Weights shared out over two processes: the step, the model and the checkpoint of one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint import load
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_shards_train_like_one_process_and_are_read_back_by_one(base_dir, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    worker = [str(Path(__file__).with_name("sharded_worker.py")), str(base_dir), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *worker], env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    alone = AutoModelForCausalLM.from_pretrained(base_dir)
    optimizer = torch.optim.AdamW(alone.parameters(), lr=1e-2)
    ids = torch.arange(5, 21).view(2, 8)
    alone(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    read = AutoModelForCausalLM.from_pretrained(base_dir)
    other = torch.optim.AdamW(read.parameters(), lr=1e-2)
    state, moments = get_state_dict(read, other)
    load({"model": state, "optimizer": moments}, checkpoint_id=tmp_path / "checkpoint")
    set_state_dict(read, other, model_state_dict=state, optim_state_dict=moments)
    for (name, one), two, three in zip(alone.named_parameters(), saved.parameters(), read.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=2e-4, msg=name)
        torch.testing.assert_close(two, three, msg=name)
    moment = [sum(s["exp_avg"].abs().sum() for s in o.state.values()) for o in (optimizer, other)]
    assert moment[0] == pytest.approx(moment[1].item(), rel=1e-3)
    logits = torch.load(tmp_path / "logits.pt")
    expected = saved(torch.arange(5, 13)[None]).logits
    assert (logits - expected).abs().max() < 0.05 * expected.abs().max()  # the copy to sample with is bf16
    assert len(AutoTokenizer.from_pretrained(tmp_path / "model")) == len(AutoTokenizer.from_pretrained(base_dir))
