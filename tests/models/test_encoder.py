"""Sentence encoders from a folder: a tiny random BERT, built here, has everything but sense."""

import json

import numpy as np
import pytest
import torch
from transformers import BertModel

from phi4r_lib.models.encoder import load_encoder

TEXTS = ["how does a glacier carve valleys", "by ice", "how does ice carve a glacier by ice how does ice"]


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(tiny_encoder):
    encode = load_encoder(tiny_encoder)
    together, alone = encode(TEXTS), np.concatenate([encode([text]) for text in TEXTS])
    assert together.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert (together @ together.T)[0, 1] < 0.999
    assert encode([]).shape == (0, 16)


def test_the_folder_says_which_vector_stands_for_the_text(tiny_encoder):
    mean = load_encoder(tiny_encoder)(TEXTS)
    (tiny_encoder / "1_Pooling").mkdir()
    (tiny_encoder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    first = load_encoder(tiny_encoder)(TEXTS)
    with torch.inference_mode():
        ids = torch.tensor([[2, 10, 11, 3]])
        state = BertModel.from_pretrained(tiny_encoder).eval()(ids).last_hidden_state[0, 0]
    np.testing.assert_allclose(first[1], (state / state.norm()).numpy(), atol=1e-5)
    assert np.abs(first - mean).max() > 0.01


def test_a_folder_without_an_encoder_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} holds no sentence encoder"):
        load_encoder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=f"{tmp_path} holds no sentence encoder that can be read"):
        load_encoder(tmp_path)
