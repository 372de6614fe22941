"""Bases that are not Phi-3: GPT-2-, Llama-, Qwen-, Mistral- and Gemma-shaped random models, sampled, trained, trained again."""

import json

import pytest
import torch
from shapes import SHAPES, make_base, make_tokenizer
from transformers import AutoConfig, AutoTokenizer

from phi4r_lib.cookbook.planning.preflight import check_base as check_profile
from phi4r_lib.cookbook.settings.profile import UserError, load_profile
from phi4r_lib.models.engine import EngineError, SamplingSettings, open_engine
from phi4r_lib.models.engines.transformers_engine import prompt_tokens
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.packing import IGNORE, BlockCollator, encode_conversation, pack
from phi4r_lib.train.positions import rope_arms
from phi4r_lib.train.settings import GrpoSettings, SftSettings
from phi4r_lib.train.sft import check_base, prepare_model, run_sft

SYSTEM = "you are helpful"
OWN = dict(domain="math", answer_type="number", source="test", licence="MIT")
PROBLEMS = [Problem(id=f"p{i}", prompt=f"what is {i} and two ?", answer=str(i + 2), **OWN) for i in range(4)]
TALKS = [
    [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": problem.prompt},
        {"role": "assistant", "content": f"<think> the sum of {i} and two </think> \\boxed{{{problem.answer}}}"},
    ]
    for i, problem in enumerate(PROBLEMS)
]
SFT = SftSettings(
    passes=1.0,
    learning_rate=1e-3,
    batch_size=2,
    block=256,
    warmup_steps=1,
    weight_decay=1e-4,
    eval_every=2,
    eval_problems=2,
    eval_max_tokens=40,
)
GRPO = GrpoSettings(
    steps=1,
    prompts=2,
    group=2,
    micro_batches=1,
    learning_rate=1e-3,
    beta=0.001,
    entropy=0.001,
    temperature=1.0,
    max_tokens=32,
    max_clipped=1.0,
    filter_groups=False,
    eval_every=1,
    eval_problems=2,
)
NO_DOUBLING = {"gpt2": "gpt2 has no RoPE", "llama3": "'llama3' brings its own", "gemma3_text": "RoPE of its own for"}


@pytest.fixture(params=SHAPES)
def base(request, tmp_path):
    return request.param, make_base(request.param, tmp_path / "base")


def settings(name):
    return SFT.model_copy(update={"double_rope": name not in NO_DOUBLING})


def test_answers_are_what_generate_writes_beyond_a_sliding_window_too(base):
    _, folder = base
    engine = open_engine({"model": str(folder)})
    with torch.no_grad():
        engine.model.get_input_embeddings().weight.mul_(8)  # choices that are not all equally likely
    engine.eos, engine.model.generation_config.eos_token_id = [-1], None  # texts of full length
    prompts = [PROBLEMS[0].prompt, "the sum of two " * 9]
    for prompt, (sample,) in zip(
        prompts, engine.sample(prompts, SamplingSettings(temperature=0, max_tokens=60)), strict=True
    ):
        ids = torch.tensor([prompt_tokens(engine.tokenizer, prompt, None)])
        whole = engine.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=60, pad_token_id=0
        )
        theirs = [token for token in whole[0, ids.shape[1] :].tolist() if token not in engine.hidden]
        assert sample.text == engine.tokenizer.decode(theirs) and sample.tokens == 60


def test_a_long_prompt_beside_short_ones_never_leaves_the_table_of_positions(base):
    """The long ones are done first, at the end of the context; their rows are read on beside the short ones."""
    name, folder = base
    engine = open_engine({"model": str(folder)})
    engine.eos = [-1]
    most = SHAPES[name][4].get("n_positions", 512)
    prompts = ["a" * (most - 40), *(["sum"] * 20)]
    samples = engine.sample(prompts, SamplingSettings(max_tokens=120))
    long, *short = [sample.tokens for (sample,) in samples]
    assert 0 < long < 40 and short == [120] * 20


def test_packed_examples_do_not_see_each_other(base):
    name, folder = base
    model, tokenizer = prepare_model(folder, settings(name), SYSTEM)
    pairs = [encode_conversation(talk, tokenizer) for talk in TALKS]
    size = sum(len(ids) for ids, _ in pairs) + 4
    blocks = pack(pairs, size)
    batch = BlockCollator(tokenizer.pad_token_id, size)(list(blocks))
    first, second = blocks[0]["seq_lengths"][:2]
    model.eval()
    with torch.no_grad():
        packed = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        alone = model(batch["input_ids"][:, first : first + second]).logits
    torch.testing.assert_close(packed[0, first : first + second], alone[0], atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_sft_and_grpo_run_and_their_models_load(base, tmp_path):
    name, folder = base
    rows = [{"id": f"t{i}", "messages": talk} for i, talk in enumerate(TALKS * 4)]
    (tmp_path / "sft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"id": p.id, "prompt": talk[:2], "answer": p.answer} for p, talk in zip(PROBLEMS, TALKS, strict=True)]
    (tmp_path / "rl.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"validation": PROBLEMS, "system": SYSTEM, "device": "cpu"}
    sft = run_sft(folder, [tmp_path / "sft.jsonl"], tmp_path / "03", settings(name), **options)
    grpo = run_grpo(sft.model, tmp_path / "rl.jsonl", tmp_path / "04", GRPO, **options)
    tokenizer = AutoTokenizer.from_pretrained(grpo.model)
    assert sft.steps >= 2 and grpo.steps == 1
    assert AutoConfig.from_pretrained(grpo.model).vocab_size >= len(tokenizer)
    assert tokenizer.convert_ids_to_tokens(tokenizer("<think> 5")["input_ids"])[0] == "<think>"
    assert open_engine({"model": str(grpo.model)}).sample(["?"], SamplingSettings(max_tokens=4))[0][0].tokens


def test_named_tokens_of_a_foreign_base_are_taken(tmp_path):
    folder = make_base("gemma2", tmp_path / "base")
    ids = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(["<unused0>", "<unused1>"])
    model, tokenizer = prepare_model(folder, SFT.model_copy(update={"think_tokens": ("<unused0>", "<unused1>")}))
    assert tokenizer.convert_tokens_to_ids(["<think>", "</think>"]) == ids
    assert model.config.vocab_size == AutoConfig.from_pretrained(folder).vocab_size


@pytest.mark.parametrize("name", NO_DOUBLING)
def test_a_base_whose_rope_cannot_be_doubled_says_what_to_set(name, tmp_path):
    folder = make_base(name, tmp_path / "base")
    with pytest.raises(ValueError, match=f"{NO_DOUBLING[name]}.*set sft.double_rope to false and sft.rope_steps to 0"):
        check_base(folder, SFT)
    check_base(folder, settings(name))
    with pytest.raises(ValueError, match="rope_steps to 0"):  # what 03 measures on long rows needs both
        rope_arms(folder, None, None, settings(name), tmp_path, steps=1, width=8)


def change(folder, **changes):
    """The folder's tokenizer with other attributes."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for key, value in changes.items():
        setattr(tokenizer, key, value)
    (folder / "chat_template.jinja").unlink()
    tokenizer.save_pretrained(folder)


TEMPLATE = make_tokenizer("qwen2").chat_template
FAULTS = {
    "no chat template": ({"chat_template": None}, "no chat template: put a chat_template.jinja"),
    "a template that opens the thought": (
        {"chat_template": TEMPLATE.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")},
        "pre-fills <think>.*remove <think>",
    ),
    "another end of turn": ({"eos_token": "<|im_start|>"}, r"ends it with '<\|im_end\|>.*set eos_token"),
    "no system message": (
        {"chat_template": "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + TEMPLATE},
        "refuses the roles system, user, assistant",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_base_that_does_not_fit_is_one_sentence_before_anything_starts(what, tmp_path):
    changes, says = FAULTS[what]
    folder = make_base("qwen2", tmp_path / "base")
    change(folder, **changes)
    with pytest.raises(ValueError, match=says):
        check_base(folder, SFT, SYSTEM)
    out = tmp_path / "03"
    with pytest.raises(ValueError, match=says):
        run_sft(folder, [], out, SFT, system=SYSTEM)
    assert not out.exists()
    profile = load_profile("smoke", {"models.base.model": str(folder)})
    with pytest.raises(UserError, match=says) as error:
        check_profile(profile)
    assert "\n" not in str(error.value) and "models.base" in str(error.value)


def test_more_tokens_than_rows_is_said_by_engine_and_training(tmp_path):
    folder = make_base("qwen2", tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<more>", "<most>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(EngineError, match="2 tokens more than the model has rows"):
        open_engine({"model": str(folder)})
    with pytest.raises(ValueError, match="2 tokens more than the model has rows"):
        check_base(folder, SFT)


def test_a_base_without_padding_pads_with_its_end_token(tmp_path):
    _, tokenizer = prepare_model(make_base("llama", tmp_path / "base"), SFT)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    assert AutoTokenizer.from_pretrained(tmp_path / "base").pad_token is None  # the base itself stays as it is


def test_rows_beyond_a_table_of_positions_are_said(tmp_path):
    folder = make_base("gpt2", tmp_path / "base", n_positions=32)
    (tmp_path / "sft.jsonl").write_text(json.dumps({"id": "t", "messages": TALKS[0]}) + "\n")
    with pytest.raises(ValueError, match=r"longer than the model's context of 32; lower sft\.block to 32"):
        run_sft(folder, [tmp_path / "sft.jsonl"], tmp_path / "03", settings("gpt2"), device="cpu")


def test_a_template_that_drops_or_doubles_the_thought_is_refused(tmp_path):
    tokenizer = make_tokenizer("qwen2")
    plain = tokenizer.chat_template
    for change_ in ("m['content'].split('</think>')[-1]", "'<think>' + m['content']"):
        tokenizer.chat_template = plain.replace(
            "m['content']", f"({change_} if m['role'] == 'assistant' else m['content'])"
        )
        with pytest.raises(ValueError, match="removes the thinking from the answer or changes its tags"):
            encode_conversation(TALKS[0], tokenizer)
    tokenizer.chat_template = plain
    ids, labels = encode_conversation(TALKS[0], tokenizer)
    learnt = tokenizer.decode([i for i, label in zip(ids, labels, strict=True) if label != IGNORE])
    assert parse_thinking(learnt).valid and "the sum of 0 and two" in learnt


def test_a_template_that_opens_the_thought_still_gives_one_think_pair_when_sampled(tmp_path):
    folder = make_base("qwen2", tmp_path / "base")
    change(folder, chat_template=TEMPLATE.replace("assistant\n{% endif", "assistant\n<think>\n{% endif"))
    sample = open_engine({"model": str(folder)}).sample(["?"], SamplingSettings(max_tokens=5))[0][0]
    assert sample.text.startswith("<think>") and sample.text.count("<think>") == 1


def test_a_model_with_other_state_is_refused_by_name(tmp_path):
    from transformers import AutoModelForCausalLM, MambaConfig

    tokenizer = make_tokenizer("qwen2")
    config = MambaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, state_size=4, eos_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises((EngineError, ValueError), match=r"[Mm]amba"):
        open_engine({"model": str(tmp_path)}).sample(["?"], SamplingSettings(max_tokens=3))
