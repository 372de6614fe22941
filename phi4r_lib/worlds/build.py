"""Trains the tiny models from nothing: `python -m phi4r_lib.worlds.build` (what `make models` runs).

Both grow from one trunk that has read worked text: the base learns to answer at once, the teacher to think.

A plain training loop over packed rows: pretraining from random weights is not a stage of the recipe, so nothing of
TRL is needed here. Notebook 03 and 04 train through TRL.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Phi3ForCausalLM, PreTrainedTokenizerFast

from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.models.thinking import add_think_tokens
from phi4r_lib.problems.schema import load_problems
from phi4r_lib.problems.verify import verify_samples
from phi4r_lib.worlds import corpus
from phi4r_lib.worlds.tiny import build_tokenizer, tiny_config

DATA = Path(__file__).parents[2] / "data"
VOCABULARY, HIDDEN, LAYERS, HEADS = 480, 192, 4, 8
ROW, ROWS = 256, 8  # tokens per row, rows per step
PROMPT_WEIGHT, ANSWER_WEIGHT = 0.1, 4.0  # of a token's loss: what is asked matters less, the boxed number more
Document = tuple[str | None, str, str]
Mix = Callable[[random.Random], Document]


def encode(document: Document, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[float]]:
    """Token ids of one document and the weight of each token's loss; plain texts end with the end-of-text token."""
    system, user, assistant = document
    if not user:
        story, _, rest = assistant.rpartition("?")  # what a story tells is chance; what follows from it is the lesson
        told = tokenizer(f"{story}?", add_special_tokens=False)["input_ids"] if story else []
        ids = [*told, *tokenizer(rest, add_special_tokens=False)["input_ids"], tokenizer.bos_token_id]
        return ids, [PROMPT_WEIGHT] * len(told) + [1.0] * (len(ids) - len(told))
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
    """`steps` triples (ids, positions, weights) of shape (ROWS, ROW); whole documents, padding only at the end of a row.

    Positions start again with each document: from that, transformers masks what other documents of the row say.
    Without it, a name's number is looked for in the wrong story and the second subject of a story is never learned.
    """
    rng = random.Random(seed)
    pending: tuple[list[int], list[float]] | None = None
    for _ in range(steps):
        ids = torch.full((ROWS, ROW), tokenizer.pad_token_id)
        positions = torch.arange(ROW).repeat(ROWS, 1)
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
                positions[row, used:] = torch.arange(ROW - used)
        yield ids, positions, weights


def train(
    model: Phi3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    mix: Mix,
    steps: int,
    peak: float,
    seed: int,
    report: Callable[[str], None] = print,
) -> None:
    """AdamW with a warm-up of 5% and a cosine down to a tenth of `peak`; bf16 autocast; loss by token weight."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    shape = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    begin, total = time.monotonic(), 0.0
    for step, (ids, positions, weights) in enumerate(batches(mix, tokenizer, steps, seed), start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids, position_ids=positions, use_cache=False).logits
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


@dataclass(frozen=True)
class Phase:
    """One stretch of training: what is read, for how many steps, the highest learning rate, the random seed."""

    mix: Mix
    steps: int
    peak: float
    seed: int


TRUNK = (Phase(corpus.trunk_mix, 8400, 2.2e-3, 1),)  # of both models
BRANCHES = {
    "tiny-base": (Phase(corpus.answer_mix, 1600, 1.2e-3, 5),),
    "tiny-teacher": (Phase(corpus.teacher_mix, 4000, 1.5e-3, 2),),
}


def build(out: Path, only: str, share: float = 1.0) -> None:
    """Trains the trunk of both models, then from it tiny-base and tiny-teacher, each saved with its card under `out`.

    `only` names one of the three, both branches need a trunk. `share` scales every phase's steps, for a quick try.
    Raises OSError when a branch is asked for without a trunk.
    """
    torch.manual_seed(0)
    tokenizer = build_tokenizer(corpus.vocabulary_texts(), VOCABULARY)
    trunk, common = out / ".trunk", None
    if only in ("trunk", "all"):
        model = Phi3ForCausalLM(tiny_config(len(tokenizer), HIDDEN, LAYERS, HEADS, tokenizer))
        common = _run(model, tokenizer, TRUNK, share, trunk)
    for name, phases in BRANCHES.items():
        if only in (name, "all"):
            model = Phi3ForCausalLM.from_pretrained(trunk, dtype=torch.float32)
            if name == "tiny-teacher":
                add_think_tokens(model, tokenizer)
            seconds = _run(model, tokenizer, phases, share, out / name)
            write_card(out / name, (*TRUNK, *phases), share, common and common + seconds)


def _run(model: Phi3ForCausalLM, tokenizer: PreTrainedTokenizerFast, phases: tuple, share: float, out: Path) -> float:
    """Trains through the phases and saves; returns the seconds it took."""
    begin = time.monotonic()
    print(f"{out.name}: {model.num_parameters():,} parameters")
    for phase in phases:
        train(model, tokenizer, phase.mix, max(1, int(phase.steps * share)), phase.peak, phase.seed)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return time.monotonic() - begin


def accuracy_by_steps(folder: Path, problems: str, samples: int = 32) -> dict[int | str, float]:
    """Share of right answers at temperature 0.8 on a file of data/benchmarks, by number of steps and over `all`."""
    engine = open_engine({"model": str(folder)})
    rows = load_problems(DATA / "benchmarks" / f"{problems}.jsonl")
    settings = SamplingSettings(n=samples, temperature=0.8, max_tokens=160, seed=0)
    right: dict[int | str, list[bool]] = {}
    for problem, row in zip(rows, engine.sample([p.prompt for p in rows], settings), strict=True):
        answers = [verdict.correct for verdict in verify_samples([problem] * len(row), row)]
        right.setdefault(problem.meta["steps"], []).extend(answers)
    right = dict(sorted(right.items())) | {"all": [hit for hits in right.values() for hit in hits]}
    return {steps: sum(hits) / len(hits) for steps, hits in right.items()}


def write_card(folder: Path, phases: tuple[Phase, ...], share: float, seconds: float | None) -> None:
    """The model card: what it is, what it read, how it scores, all from this build."""
    scores = {name: accuracy_by_steps(folder, name) for name in ("validation", "contest")}
    steps = list(scores["contest"])
    right = [
        f"| {name} | " + " | ".join(f"{row[n]:.2f}" if n in row else "" for n in steps) + " |"
        for name, row in scores.items()
    ]
    tokens = sum(int(phase.steps * share) for phase in phases) * ROW * ROWS
    mixes = ", then ".join(f"`{phase.mix.__name__}` for {int(phase.steps * share):,} steps" for phase in phases)
    lines = [
        "---", "license: mit", "library_name: transformers", "pipeline_tag: text-generation", "---", "",
        f"# {folder.name}", "", ABOUT[folder.name], "",
        f"- Architecture: `Phi3ForCausalLM`, hidden {HIDDEN}, {LAYERS} layers, {HEADS} heads, {HEADS // 4} key-value heads, "
        f"FFN {int(3.5 * HIDDEN)}, vocabulary {VOCABULARY} (Phi-4's proportions and special-token layout)",
        f"- Training: {mixes}; {tokens:,} tokens in rows of {ROW}, from `phi4r_lib.worlds.corpus`",
        "- Training families only; validation and benchmark families were never shown",
        "- Rebuild: `make models`" + (f" (this build: {seconds / 60:.0f} minutes, the phases shared by both models included)" if seconds else ""),
        "", "Share of right answers (temperature 0.8, 32 answers per problem), by number of steps:", "",
        "| steps | " + " | ".join(map(str, steps)) + " |",
        "|---|" + "---|" * len(steps),
        *right, "",
        "It knows a few hundred words and the integers 0 to 99. It is a teaching aid and good for nothing else.", "",
    ]  # fmt: skip
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


ABOUT = {
    "tiny-base": "The student of the cookbook before it learns to reason: it answers word problems directly, without thinking.",
    "tiny-teacher": "The strong model of the cookbook: it thinks step by step, rewrites open seeds into checkable questions, "
    "varies and rates problems, and answers sensitive requests by guidelines when it is shown them.",
}


def main() -> None:
    """Command line of the build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DATA / "models", help="folder for the models (data/models)")
    parser.add_argument("--only", choices=("trunk", *BRANCHES, "all"), default="all")
    parser.add_argument("--share", type=float, default=1.0, help="share of the training steps, for a quick try")
    parser.add_argument("--cards", action="store_true", help="measure and write the cards only")
    args = parser.parse_args()
    if args.cards:
        for name, phases in BRANCHES.items():
            write_card(args.out / name, (*TRUNK, *phases), args.share, None)
    else:
        build(args.out, args.only, args.share)
        print(
            f"{args.out}: the README.md of each model says how it scores; `git checkout data/models` brings the shipped pair back"
        )


if __name__ == "__main__":
    main()
