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


def test_surgery_needs_the_placeholders(pair):
    _, tokenizer = pair
    plain = type(tokenizer)(tokenizer_object=_without_placeholders(tokenizer))
    with pytest.raises(ValueError, match="placeholder"):
        add_think_tokens(None, plain)


def _without_placeholders(tokenizer):
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))


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
