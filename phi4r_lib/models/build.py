"""Trains and writes the shipped models: `python -m phi4r_lib.models.build` (what `make models` runs).

A plain training loop over packed rows: pretraining from random weights is not a stage of the recipe, so nothing of
TRL is needed here. Notebook 03 and 04 train through TRL.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from transformers import Phi3ForCausalLM, PreTrainedTokenizerFast

from phi4r_lib.models import corpus
from phi4r_lib.models.thinking import add_think_tokens
from phi4r_lib.models.tiny import build_tokenizer, tiny_config

VOCABULARY = 480
ROW, ROWS = 256, 16  # tokens a row, rows a step
PROMPT_WEIGHT, ANSWER_WEIGHT = 0.1, 4.0  # of a token's loss: what is asked matters less, the boxed number more
Document = tuple[str | None, str, str]
Mix = Callable[[random.Random], Document]


def encode(document: Document, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[float]]:
    """Token ids of one document and the weight of each token's loss; plain texts end with the end-of-text token."""
    system, user, assistant = document
    if not user:
        ids = tokenizer(assistant, add_special_tokens=False)["input_ids"]
        return [*ids, tokenizer.bos_token_id], [1.0] * (len(ids) + 1)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    opened = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    head = tokenizer(opened, add_special_tokens=False)["input_ids"]
    tail = tokenizer(f"{assistant}<|im_end|>", add_special_tokens=False)["input_ids"]
    weights = [PROMPT_WEIGHT] * len(head) + [1.0] * len(tail)
    if assistant.endswith("}") and "\\boxed{" in assistant:
        weights[-3] = ANSWER_WEIGHT
    return head + tail, weights


def batches(mix: Mix, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """`steps` pairs (ids, weights) of shape (ROWS, ROW); whole documents, padding only at the end of a row."""
    rng = random.Random(seed)
    pending: tuple[list[int], list[float]] | None = None
    for _ in range(steps):
        ids = torch.full((ROWS, ROW), tokenizer.pad_token_id)
        weights = torch.zeros(ROWS, ROW)
        for row in range(ROWS):
            used = 0
            while True:
                pending = pending or encode(mix(rng), tokenizer)
                length = len(pending[0])
                if length > ROW:
                    pending = None
                    continue
                if used + length > ROW:
                    break
                ids[row, used : used + length] = torch.tensor(pending[0])
                weights[row, used : used + length] = torch.tensor(pending[1])
                used, pending = used + length, None
        yield ids, weights


def train(
    model: Phi3ForCausalLM, tokenizer: PreTrainedTokenizerFast, mix: Mix, steps: int, peak: float, seed: int,
    report: Callable[[str], None] = print,
) -> None:
    """AdamW with a warm-up of 5% and a cosine down to a tenth of `peak`; bf16 autocast; loss by token weight."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    shape = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    begin, total = time.monotonic(), 0.0
    for step, (ids, weights) in enumerate(batches(mix, tokenizer, steps, seed), start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids).logits
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        )
        loss = (losses * weights[:, 1:].flatten()).sum() / weights[:, 1:].sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        shape.step()
        total += loss.item()
        if step % 100 == 0:
            speed = step * ROW * ROWS / (time.monotonic() - begin)
            report(f"step {step}/{steps} loss {total / 100:.3f} {speed:,.0f} tokens/s {time.monotonic() - begin:.0f} s")
            total = 0.0
    model.eval()


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def build(out: Path, base_steps: int, teacher_steps: int, hidden: int, layers: int, heads: int, only: str) -> None:
    """Trains tiny-base, then tiny-teacher from it, and saves both as safetensors under `out`."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(corpus.vocabulary_texts(), VOCABULARY)
    if only in ("base", "both"):
        model = Phi3ForCausalLM(tiny_config(len(tokenizer), hidden, layers, heads, tokenizer))
        print(f"tiny-base: {model.num_parameters():,} parameters")
        train(model, tokenizer, corpus.base_mix, base_steps, 3e-3, seed=1)
        _save(model, tokenizer, out / "tiny-base")
    if only in ("teacher", "both"):
        model = Phi3ForCausalLM.from_pretrained(out / "tiny-base", dtype=torch.float32)
        add_think_tokens(model, tokenizer)
        train(model, tokenizer, corpus.teacher_mix, teacher_steps, 2e-3, seed=2)
        _save(model, tokenizer, out / "tiny-teacher")


def _save(model: Phi3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"saved {folder}")


def main() -> None:
    """Command line of the build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/models"))
    parser.add_argument("--base-steps", type=int, default=3000)
    parser.add_argument("--teacher-steps", type=int, default=3000)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--only", choices=("base", "teacher", "both"), default="both")
    args = parser.parse_args()
    build(args.out, args.base_steps, args.teacher_steps, args.hidden, args.layers, args.heads, args.only)


if __name__ == "__main__":
    main()
