"""Sentences as vectors: a local sentence encoder, run with Transformers, for finding texts that say the same.

Any encoder folder in the layout of Hugging Face works, such as all-MiniLM-L6-v2 (Apache-2.0, 23 million weights). Nothing is
downloaded. Not here: what a close vector proves (curate/evidence.py), and models that answer (engine.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

BATCH, TOKENS = 64, 128  # texts at a time; tokens read of each
Encoder = Callable[[Sequence[str]], np.ndarray]


def load_encoder(folder: str | Path) -> Encoder:
    """Function from texts to unit vectors, one row per text, by the encoder in a folder.

    Token vectors are averaged, or the first one is taken where the folder's `1_Pooling/config.json` says so. Raises ValueError
    with the folder and the reason when it holds no encoder.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder} holds no sentence encoder: there is no config.json; give a folder such as all-MiniLM-L6-v2"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
        pooling = folder / "1_Pooling" / "config.json"
        first = pooling.is_file() and json.loads(pooling.read_text(encoding="utf-8")).get(
            "pooling_mode_cls_token", False
        )
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{folder} holds no sentence encoder that can be read: {str(error).splitlines()[0]}"
        ) from error

    @torch.inference_mode()
    def vectors(texts: Sequence[str]) -> np.ndarray:
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
        states, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
        found = states[:, 0] if first else (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(found, dim=1).numpy()

    def encode(texts: Sequence[str]) -> np.ndarray:
        order = np.argsort([len(text) for text in texts], kind="stable")  # like lengths together: less padding
        found = np.zeros((len(texts), model.config.hidden_size), np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            found[places] = vectors([texts[place] for place in places])
        return found

    return encode
