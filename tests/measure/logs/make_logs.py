"""Makes the small evaluation logs next to this file, with the harnesses themselves and a random model of a few kilobytes.

    python make_logs.py lm-eval OUT      in an environment with lm-eval[hf] 0.4.13
    python make_logs.py inspect OUT      in an environment with inspect-ai 0.3.285, transformers, torch and accelerate
    python make_logs.py lighteval OUT    in an environment of its own: lighteval==0.13.0 "transformers<5"
                                         "huggingface_hub<1" "datasets<4.2" "xxhash<3.6"

Twelve one-digit questions, a vocabulary of four digits: a random model is right about one time in four.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

QUESTIONS = [(a, b) for a in (0, 1, 2) for b in (0, 1)] * 2
LM_EVAL_TASK = """
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: questions/test.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{do_sample: true, temperature: 1.0, max_gen_toks: 1, until: ["#"]}}
repeats: {repeats}
filter_list:
  - name: all
    filter: [{{function: take_first_k, k: {repeats}}}]
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
INSPECT_TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset, Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate
@task
def sums():
    record = lambda row: Sample(id=row["id"], input=row["question"], target=row["answer"])
    return Task(dataset=json_dataset("questions/test.jsonl", record), solver=generate(), scorer=match())
"""
LIGHTEVAL_TASK = """
from lighteval.metrics.metrics import Metrics
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc
def prompt(line, task_name=None):
    return Doc(task_name=task_name, query=line["question"], choices=[line["answer"]], gold_index=0)
TASKS_TABLE = [LightevalTaskConfig(name="sums", prompt_function=prompt, hf_repo="questions", hf_subset="default",
    evaluation_splits=["test"], hf_avail_splits=["test"], generation_size=1, stop_sequence=["#"], metrics=[Metrics.exact_match])]
"""


def make_model(folder: Path) -> None:
    """A random one-layer model and a word-level tokenizer with a chat template."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<end>", "<unk>", "0", "1", "2", "3", "+", "=", "#"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")
    fast.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=1, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    layer = model.model.layers[0]
    with torch.no_grad():  # a constant hidden state that favours the four digits, so that questions do get answers
        for weight in (model.lm_head.weight, layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight):
            weight.zero_()
        model.model.embed_tokens.weight.fill_(1.0)
        model.lm_head.weight[3:7] = 1.0
    model.save_pretrained(folder)


def run(out: Path, *command: str) -> None:
    """One harness command inside `out`; offline, single-threaded."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    binary = str(Path(sys.executable).parent / command[0])
    subprocess.run([binary, *command[1:]], check=True, cwd=out, env=os.environ | offline)


def make_lm_eval(out: Path) -> None:
    """Two single runs with different seeds, and one call that draws four answers per question."""
    for repeats, seed in ((1, 1), (1, 2), (4, 3)):
        folder = out / f"tasks{repeats}"
        folder.mkdir(exist_ok=True)
        (folder / "sums.yaml").write_text(LM_EVAL_TASK.format(repeats=repeats))
        arguments = (
            f"--model hf --model_args pretrained=random-model --tasks sums --include_path tasks{repeats} --log_samples"
        )
        run(
            out,
            "lm_eval",
            *arguments.split(),
            "--output_path",
            f"repeats{repeats}",
            "--seed",
            str(seed),
            "--device",
            "cpu",
        )


def make_inspect(out: Path) -> None:
    """Four epochs in the packed format, two epochs of three questions in the JSON format."""
    (out / "sums.py").write_text(INSPECT_TASK)
    common = "--model hf/random-model -M model_path=random-model -M device=cpu --max-tokens 1 --seed 1 --log-dir logs"
    for kind, size in (("eval", "--epochs 4"), ("json", "--epochs 2 --limit 3")):
        run(out, "inspect", "eval", "sums.py", *common.split(), *size.split(), "--log-format", kind)


def make_lighteval(out: Path) -> None:
    """Details of one run. lighteval imports every task, and one of them downloads a file unless it is there: put an
    empty lighteval/tasks/tasks/tinyBenchmarks.pkl into that environment first when offline."""
    (out / "sums.py").write_text(LIGHTEVAL_TASK)
    arguments = "model_name=random-model sums|0 --custom-tasks sums.py --save-details --output-dir details"
    run(out, "lighteval", "accelerate", *arguments.split())


def main(harness: str, out: Path) -> None:
    """Model, questions and logs of one harness under `out`."""
    data = out / "questions" / "test.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    make_model(out / "random-model")
    rows = [{"id": f"q{i}", "question": f"{a} + {b} =", "answer": str(a + b)} for i, (a, b) in enumerate(QUESTIONS)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    {"lm-eval": make_lm_eval, "inspect": make_inspect, "lighteval": make_lighteval}[harness](out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
