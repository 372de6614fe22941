"""The loss by hand is TRL's loss, before and after a step."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.train.one_step import encode_group, trl_loss
from phi4r_lib.train.settings import GrpoSettings

SETTINGS = GrpoSettings(
    steps=1, prompts=4, group=4, learning_rate=1e-4, beta=0.1, entropy=0.01, temperature=1.0, max_tokens=24,
    eval_every=1, eval_problems=1,
)  # fmt: skip
TEXTS = ["1 + 2 = 3", "the sum is 4", "3", "1 + 2 = 3 . then 3"]


def by_hand(model, batch, push, reference, old, settings):
    """Report section 4 with token-level normalisation, KL to the reference weighted by the ratio as TRL does since 1.10."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    cut, real = batch["prompt_ids"].shape[1], batch["completion_mask"]
    spread = model(input_ids=ids, attention_mask=mask).logits[:, cut - 1 : -1].log_softmax(-1)
    new = spread.gather(2, batch["completion_ids"][..., None])[..., 0]
    entropy = -(spread.exp() * spread).sum(-1)
    ratio = (new - (new.detach() if old is None else old)).exp()
    gain = torch.min(ratio * push[:, None], ratio.clamp(1 - settings.clip, 1 + settings.clip) * push[:, None])
    away = reference - new
    kl = (away.exp() - away - 1) * ratio
    loss = ((settings.beta * kl - gain) * real).sum() / real.sum()
    return loss - settings.entropy * (entropy * real).sum() / real.sum(), new.detach()


def test_before_and_after_a_step(shared_base_dir):
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(shared_base_dir),
        AutoTokenizer.from_pretrained(shared_base_dir),
    )
    batch = encode_group([{"role": "user", "content": "what is 1 + 2 ?"}], TEXTS, tokenizer)
    push = torch.tensor([1.2, -0.8, -0.6, 0.2])
    model.eval()
    with torch.no_grad():
        start = by_hand(model, batch, push, torch.zeros_like(batch["completion_ids"]).float(), None, SETTINGS)[1]
    loss, _ = by_hand(model, batch, push, start, None, SETTINGS)
    common = {"advantages": push, "reference": start}
    assert trl_loss(model, tokenizer, batch, SETTINGS, **common) == pytest.approx(loss.item(), abs=1e-6)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 0.5 * weight.grad
    model.zero_grad()
    loss, new = by_hand(model, batch, push, start, start, SETTINGS)
    ratio = (new - start).exp()[batch["completion_mask"].bool()]
    assert ratio.max() > 1.2 or ratio.min() < 0.8  # the clip acts
    assert trl_loss(model, tokenizer, batch, SETTINGS, old=start, **common) == pytest.approx(loss.item(), abs=1e-5)


def test_completions_end_and_are_padded(shared_base_dir):
    tokenizer = AutoTokenizer.from_pretrained(shared_base_dir)
    batch = encode_group([{"role": "user", "content": "what is 1 + 2 ?"}], TEXTS, tokenizer)
    assert batch["prompt_ids"].shape[0] == 4 and batch["completion_ids"].shape == batch["completion_mask"].shape
    for ids, mask in zip(batch["completion_ids"], batch["completion_mask"], strict=True):
        assert ids[int(mask.sum()) - 1] == tokenizer.eos_token_id and set(ids[int(mask.sum()) :].tolist()) <= {
            tokenizer.pad_token_id
        }
