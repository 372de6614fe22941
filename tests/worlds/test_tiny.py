"""The tiny models' anatomy: Phi-4's token layout at the tail, texts that survive a round trip, shipped weights."""

import random
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer

from phi4r_lib.worlds import corpus
from phi4r_lib.worlds.tiny import SPECIALS, build_tokenizer, special_tokens

MODELS = Path(__file__).parents[2] / "data/models"
PHI4_VOCABULARY, PHI4_IDS = (
    100_352,
    {  # recipe: section 3
        "<|endoftext|>": 100_257,
        "<|im_start|>": 100_264,
        "<|im_end|>": 100_265,
        "<|im_sep|>": 100_266,
        "<|dummy_85|>": 100_349,
        "<|dummy_86|>": 100_350,
        "<|dummy_87|>": 100_351,
    },
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(corpus.vocabulary_texts(count=500), 480)


def test_special_tokens_stand_as_far_from_the_end_as_in_phi4(tokenizer):
    for token, theirs in PHI4_IDS.items():
        assert len(tokenizer) - tokenizer.convert_tokens_to_ids(token) == PHI4_VOCABULARY - theirs
    assert len(special_tokens()) == SPECIALS


def test_integers_are_one_token_each(tokenizer):
    for number in range(100):
        assert len(tokenizer(str(number), add_special_tokens=False)["input_ids"]) == 1


def test_texts_survive_encoding_and_decoding(tokenizer):
    rng = random.Random(1)
    for mix in (corpus.trunk_mix, corpus.teacher_mix):
        for _ in range(200):
            for text in mix(rng)[1:]:
                plain = text.replace("<think>", "<").replace("</think>", ">")
                assert tokenizer.decode(tokenizer(plain, add_special_tokens=False)["input_ids"]) == plain


def test_too_many_words_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        build_tokenizer(["a b c d"], SPECIALS + 102)


def test_no_training_text_comes_from_a_held_out_family():
    from phi4r_lib.worlds.math_world import family_split

    assert all(family_split(*pair) == "train" for pair in corpus.TRAIN_FAMILIES)


@pytest.mark.parametrize("name", ["tiny-base", "tiny-teacher"])
def test_shipped_models_have_phi4s_proportions_and_stay_small(name):
    config = AutoConfig.from_pretrained(MODELS / name)
    assert config.architectures == ["Phi3ForCausalLM"]
    assert config.num_attention_heads == 4 * config.num_key_value_heads
    assert config.intermediate_size == 3.5 * config.hidden_size
    assert config.rope_parameters["rope_theta"] == 250_000
    assert not config.tie_word_embeddings
    assert AutoTokenizer.from_pretrained(MODELS / name).chat_template
    assert sum(file.stat().st_size for file in MODELS.rglob("*") if file.is_file()) <= 25_000_000
    assert (MODELS / name / "README.md").is_file()
