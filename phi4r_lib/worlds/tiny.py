"""The tiny models' anatomy: Phi-4's proportions and special-token layout at a few million parameters.

Not here: what they are trained on (corpus.py) and the training itself (build.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import Phi3Config, PreTrainedTokenizerFast

SPECIALS = 96  # as in Phi-4: ids 100256 .. 100351 of 100352
NAMED = {
    1: "<|endoftext|>",  # offset from the first special id, as in Phi-4 (100257 = 100256 + 1)
    2: "<|fim_prefix|>",
    3: "<|fim_middle|>",
    4: "<|fim_suffix|>",
    8: "<|im_start|>",
    9: "<|im_end|>",
    10: "<|im_sep|>",
    20: "<|endofprompt|>",
}
PAD, UNKNOWN = "<|dummy_85|>", "<|unknown|>"
END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] "
    "+ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
PIECES = r"\n(?:    )?|\{\"|\":|\[\"|\", \"|\"\]|\\boxed\{|[A-Za-z]+|[0-9]+|//|[^\sA-Za-z0-9]"
NO_SPACE_BEFORE = (".", ",", "?", "!", ":", "}", ")", ";")


def special_tokens() -> list[str]:
    """The 96 special tokens in Phi-4's order: named ones at Phi-4's offsets, dummies everywhere else."""
    tokens, dummy = [], 0
    for offset in range(SPECIALS):
        if offset in NAMED:
            tokens.append(NAMED[offset])
        else:
            tokens.append(f"<|dummy_{dummy}|>")
            dummy += 1
    return tokens


def split_words(text: str) -> list[str]:
    """Words, whole numbers and signs of a text: the pieces that become one token each."""
    import re

    return re.findall(PIECES, text)


def build_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A word-level tokenizer of exactly `size` ids: unknown, 0-99, the words of `texts`, spare words, 96 specials.

    Integers 0 to 99 are one token each. Raises ValueError when the words do not fit.
    """
    words = [UNKNOWN, *map(str, range(100))]
    words += sorted({word for text in texts for word in split_words(text)} - set(words))
    room = size - SPECIALS
    if len(words) > room:
        raise ValueError(f"{len(words)} words do not fit beside {SPECIALS} special tokens in {size} ids")
    words += [f"<spare_{number}>" for number in range(room - len(words))]
    specials = special_tokens()
    vocabulary = {word: place for place, word in enumerate([*words, *specials])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Replace("\t", "    ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), behavior="removed", invert=True)
    tokenizer.decoder = _decoder()
    tokenizer.add_special_tokens(specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        pad_token=PAD,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TURN,
        chat_template=CHAT_TEMPLATE,
        model_max_length=256,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _decoder() -> decoders.Decoder:
    """Joins words with spaces, then takes away the spaces that the texts do not have."""
    tidy = [decoders.Replace(f" {sign}", sign) for sign in NO_SPACE_BEFORE]
    joined = [decoders.WordPiece(prefix="##never", cleanup=False), decoders.Fuse()]
    breaks = [decoders.Replace(" \n     ", "\n    "), decoders.Replace(" \n ", "\n")]
    opening = [decoders.Replace("\\boxed{ ", "\\boxed{"), decoders.Replace("( ", "("), decoders.Replace(" (", "(")]
    quotes = [('{" ', '{"'), ('[" ', '["'), (' ", " ', '", "'), (' "]', '"]'), (' ":', '":'), (', " ', ', "')]
    json_like = [decoders.Replace(loose, tight) for loose, tight in quotes]
    return decoders.Sequence([*joined, *breaks, *tidy, *opening, *json_like])


def tiny_config(
    vocab_size: int, hidden: int, layers: int, heads: int, tokenizer: PreTrainedTokenizerFast
) -> Phi3Config:
    """Phi-4's shape scaled down: 4 query heads to a key-value head, FFN 3.5 x hidden, theta 250,000, untied."""
    return Phi3Config(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=int(3.5 * hidden),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 4,
        max_position_embeddings=256,
        original_max_position_embeddings=256,
        rope_theta=250_000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(END_OF_TURN),
    )
