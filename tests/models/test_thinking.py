"""The thinking format, the token surgery and the RoPE doubling."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Phi3Config

from phi4r_lib.models.thinking import add_think_tokens, double_rope_base, parse_thinking, rope_wavelengths


@pytest.mark.parametrize(
    ("text", "thought", "solution", "valid"),
    [
        ("<think> 7 + 5 = 12. </think> \\boxed{12}", "7 + 5 = 12.", "\\boxed{12}", True),
        ("  \n<think>a</think>b", "a", "b", True),
        ("<think></think>b", "", "b", True),
        ("\\boxed{12}", "", "\\boxed{12}", False),
        ("<think> 7 + 5", "7 + 5", "", False),
        ("7 + 5 </think> 12", "7 + 5", "12", False),
        ("<think>a</think>b<think>c</think>d", "a</think>b<think>c", "d", False),
        ("<think>a</think>b</think>c", "a</think>b", "c", False),
        ("<think><think>a</think>b", "<think>a", "b", False),
        ("so <think>a</think>b", "so <think>a", "b", False),
        ("</think>a<think>", "", "a<think>", False),
        ("", "", "", False),
    ],
)
def test_parse_thinking(text, thought, solution, valid):
    parsed = parse_thinking(text)
    assert (parsed.thought, parsed.solution, parsed.valid) == (thought, solution, valid)


@pytest.fixture
def pair(base_dir):
    return AutoModelForCausalLM.from_pretrained(base_dir), AutoTokenizer.from_pretrained(base_dir)


def test_surgery_keeps_ids_and_sizes(pair):
    model, tokenizer = pair
    ids = tokenizer.convert_tokens_to_ids(["<|dummy_86|>", "<|dummy_87|>"])
    size, shape = len(tokenizer), model.get_input_embeddings().weight.shape
    assert add_think_tokens(model, tokenizer) is tokenizer
    assert tokenizer.convert_tokens_to_ids(["<think>", "</think>"]) == ids
    assert len(tokenizer) == size and model.get_input_embeddings().weight.shape == shape
    assert "<|dummy_86|>" not in tokenizer.get_vocab()


def test_decode_keeps_think_tags_and_drops_special_ones(pair):
    _, tokenizer = pair
    add_think_tokens(None, tokenizer)
    ids = tokenizer("<think> 7 + 5 = 12 </think> 12 <|im_end|>", add_special_tokens=False).input_ids
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert parse_thinking(text).valid and parse_thinking(text).thought == "7 + 5 = 12"
    assert "<|im_end|>" not in text


def test_surgery_survives_saving(pair, tmp_path):
    model, tokenizer = pair
    add_think_tokens(model, tokenizer)
    tokenizer.save_pretrained(tmp_path / "new")
    again = AutoTokenizer.from_pretrained(tmp_path / "new")
    text = "<think> 7 + 5 </think> 12 <|im_end|>"
    assert again(text).input_ids == tokenizer(text).input_ids
    assert "<|dummy_86|>" not in again.get_vocab() and len(again) == len(tokenizer)
    assert "<think>" in again.decode(again(text).input_ids, skip_special_tokens=True)
    assert "<think>" not in again.all_special_tokens and again.pad_token == "<|dummy_85|>"


def test_rows_become_the_mean_of_the_others(pair):
    model, tokenizer = pair
    before = model.get_output_embeddings().weight.detach().clone()
    add_think_tokens(model, tokenizer)
    ids = tokenizer.convert_tokens_to_ids(["<think>", "</think>"])
    others = [i for i in range(len(before)) if i not in ids]
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        torch.testing.assert_close(layer.weight[ids[0]], layer.weight[others].mean(0))
    torch.testing.assert_close(model.get_output_embeddings().weight[others], before[others])


def test_keep_and_second_call_leave_rows_alone(pair):
    model, tokenizer = pair
    before = model.get_input_embeddings().weight.detach().clone()
    add_think_tokens(model, tokenizer, init="keep")
    add_think_tokens(model, tokenizer)  # the tokens exist by now, so trained rows would be safe
    torch.testing.assert_close(model.get_input_embeddings().weight, before, rtol=0, atol=0)


def test_named_tokens_become_think_tokens(pair):
    model, tokenizer = pair
    ids = tokenizer.convert_tokens_to_ids(["helpful", "<|dummy_86|>"])  # a word of the vocabulary and an added token
    size = len(tokenizer)
    add_think_tokens(model, tokenizer, names=["helpful", "<|dummy_86|>"])
    assert tokenizer.convert_tokens_to_ids(["<think>", "</think>"]) == ids and len(tokenizer) == size
    assert tokenizer("<think> 7 </think>").input_ids == [ids[0], tokenizer.convert_tokens_to_ids("7"), ids[1]]


def test_tokens_are_added_and_rows_too_where_there_are_none_to_rename(pair, tmp_path):
    model, tokenizer = pair
    plain = _without_placeholders(tokenizer)
    size, rows = len(plain), model.get_input_embeddings().weight.shape[0]
    add_think_tokens(model, plain)  # the model has two free rows, those of the placeholders
    assert len(plain) == size + 2 and model.get_input_embeddings().weight.shape[0] == rows
    full = _without_placeholders(tokenizer)
    full.add_tokens([f"<more_{n}>" for n in range(rows - len(full))])
    add_think_tokens(model, full)
    assert model.get_output_embeddings().weight.shape[0] == model.config.vocab_size == rows + 2
    row = model.get_input_embeddings().weight[rows:]
    torch.testing.assert_close(row[0], model.get_input_embeddings().weight[:rows].mean(0))
    model.save_pretrained(tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config.vocab_size == rows + 2


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["<|nope|>", "<|dummy_86|>"], r"has no <\|nope\|>; unused ones by their names: <\|dummy_85"),
        (["<|dummy_86|>", "<|dummy_86|>"], "two different tokens"),
        (["<|im_end|>", "<|dummy_86|>"], "without another job"),
    ],
)
def test_names_that_cannot_be_taken_are_said(pair, names, says):
    with pytest.raises(ValueError, match=says):
        add_think_tokens(None, pair[1], names=names)


def test_one_think_token_without_the_other_is_refused(pair):
    pair[1].add_tokens(["<think>"])
    with pytest.raises(ValueError, match="not the other"):
        add_think_tokens(None, pair[1])


def _without_placeholders(tokenizer):
    """The tokenizer without its two last added tokens."""
    import json

    from tokenizers import Tokenizer

    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    spec["added_tokens"] = [t for t in spec["added_tokens"] if t["content"] not in ("<|dummy_86|>", "<|dummy_87|>")]
    core = Tokenizer.from_str(json.dumps(spec))
    return type(tokenizer)(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|dummy_85|>", unk_token="[UNK]")


def test_rope_base_doubles_as_in_phi4():
    config = Phi3Config(
        max_position_embeddings=16_384,
        original_max_position_embeddings=16_384,
        hidden_size=5120,
        num_attention_heads=40,
        rope_parameters={"rope_type": "default", "rope_theta": 250_000.0},
    )
    short = rope_wavelengths(config)
    double_rope_base(config)
    assert config.rope_parameters["rope_theta"] == 500_000.0 and config.max_position_embeddings == 32_768
    long = rope_wavelengths(config)
    assert len(long) == 64 and long[0] == pytest.approx(short[0])  # the fastest pair does not move
    assert long[-1] / short[-1] == pytest.approx(2 ** (126 / 128))


def test_rope_base_reaches_the_loaded_model(base_dir, tmp_path):
    config = double_rope_base(AutoConfig.from_pretrained(base_dir))
    model = AutoModelForCausalLM.from_pretrained(base_dir, config=config)
    expected = torch.tensor([6.283185307179586 / w for w in rope_wavelengths(config)])
    torch.testing.assert_close(model.model.rotary_emb.inv_freq.float(), expected, rtol=1e-5, atol=0)
    model.save_pretrained(tmp_path / "new")
    assert AutoConfig.from_pretrained(tmp_path / "new").rope_parameters["rope_theta"] == 500_000.0


def test_longrope_is_refused():
    factors = [1.0] * 48
    config = Phi3Config(
        rope_parameters={"rope_type": "longrope", "rope_theta": 1e4, "short_factor": factors, "long_factor": factors}
    )
    with pytest.raises(ValueError, match="double_rope"):
        double_rope_base(config)
