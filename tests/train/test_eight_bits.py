"""Less memory per weight: AdamW with averages of one byte, and a frozen model in bf16 that says what it said in float32."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from phi4r_lib.models.fast.on_gpu import halve_frozen
from phi4r_lib.train.dpo import run_dpo
from phi4r_lib.train.settings import DpoSettings, SftSettings
from phi4r_lib.train.sft import run_sft

SFT = SftSettings(
    passes=4.0, learning_rate=5e-3, batch_size=2, block=64, warmup_steps=1, weight_decay=0.01, eval_every=3, eval_problems=1,
)  # fmt: skip


def test_a_frozen_model_in_bf16_says_under_autocast_what_it_said_in_float32(base_dir):
    """To the last bit: products round its weights all the same, and embeddings leave in bf16 as on a GPU."""
    model = AutoModelForCausalLM.from_pretrained(base_dir, dtype="float32").eval()
    ids = torch.randint(5, 60, (3, 40), generator=torch.Generator().manual_seed(0))
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output.bfloat16())
    add_fused_lm_head(model)
    before, said = sum(weight.nbytes for weight in model.parameters()), []
    for _ in range(2):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            said.append(model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs)
        halve_frozen(model)
    assert said[0].std() > 0 and torch.equal(*said)
    norms = sum(weight.nbytes for name, weight in model.named_parameters() if "norm" in name)
    assert sum(weight.nbytes for weight in model.parameters()) == (before - norms) / 2 + norms


@pytest.fixture
def rows(tmp_path):
    """A file of traces and a file of pairs."""
    traces, pairs = tmp_path / "traces.jsonl", tmp_path / "pairs.jsonl"
    with traces.open("w") as first, pairs.open("w") as second:
        for a in range(1, 17):
            user = {"role": "user", "content": f"what is {a} + 1 ?"}
            good, bad = (
                {"role": "assistant", "content": f"<think> {a} + 1 = {b} </think> \\boxed{{{b}}}"} for b in (a + 1, 7)
            )
            first.write(json.dumps({"id": f"r{a}", "messages": [user, good]}) + "\n")
            second.write(json.dumps({"id": f"r{a}", "prompt": [user], "chosen": [good], "rejected": [bad]}) + "\n")
    return traces, pairs


@pytest.mark.engines
def test_averages_of_one_byte_train_as_well(shared_base_dir, rows, tmp_path):
    """Fine-tuning is within a tenth of the loss of float32 averages, killed or not; DPO steps with them too."""
    pytest.importorskip("bitsandbytes", reason="no bitsandbytes here: pip install 'phi4r[gpu]'")
    common, losses = {"device": "cpu"}, {}

    class Killed(Exception):
        pass

    def kill(done, _):
        if done == 4:
            raise Killed

    for name in ("adamw", "adamw_8bit"):
        settings = SFT.model_copy(update={"optimizer": name})
        if name == "adamw_8bit":
            with pytest.raises(Killed):
                run_sft(shared_base_dir, [rows[0]], tmp_path / name, settings, progress=kill, **common)
        report = run_sft(shared_base_dir, [rows[0]], tmp_path / name, settings, **common)
        assert report.resumed == (name == "adamw_8bit")
        lines = map(json.loads, report.metrics.read_text().splitlines())
        losses[name] = [line["loss"] for line in lines if line["kind"] == "train"]
    wide, narrow = losses["adamw"], losses["adamw_8bit"]
    assert len(wide) == len(narrow) and wide[-1] < 0.8 * wide[0]
    assert narrow == pytest.approx(wide, rel=0.1) and narrow != wide
    settings = DpoSettings(optimizer="adamw_8bit", learning_rate=1e-3, length=64, batch_size=4, eval_every=99)
    told = run_dpo(report.model, rows[1], tmp_path / "dpo", settings, **common)
    first, last = (AutoModelForCausalLM.from_pretrained(one) for one in (report.model, told.model))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), last.parameters(), strict=True))
