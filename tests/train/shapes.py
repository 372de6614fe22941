"""Random models of the common architectures, a few thousand weights each, with the special tokens and template of their kind."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

CHAT = (  # {0} opens a turn, {1} ends it
    "{% for m in messages %}{0}{{ m['role'] }}\n{{ m['content'] }}{1}\n{% endfor %}"
    "{% if add_generation_prompt %}{0}assistant\n{% endif %}"
)
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SHAPES = {  # name: (opens a turn, ends it, padding, spare tokens, config)
    "gpt2": ("", "<|endoftext|>", None, [], {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}),
    "llama": ("<|start|>", "<|eot_id|>", None, ["<|reserved_0|>", "<|reserved_1|>"], SMALL),
    "llama3": (
        "<|start|>",
        "<|eot_id|>",
        None,
        [],
        SMALL | {"rope_parameters": LLAMA3 | {"original_max_position_embeddings": 256}},
    ),
    "qwen2": ("<|im_start|>", "<|im_end|>", "<|endoftext|>", [], SMALL),
    "qwen3": ("<|im_start|>", "<|im_end|>", "<|endoftext|>", [], SMALL),
    "mistral": ("[INST]", "</s>", None, [], SMALL | {"sliding_window": 24}),
    "gemma2": ("<start_of_turn>", "<end_of_turn>", "<pad>", ["<unused0>", "<unused1>"], SMALL | {"sliding_window": 24}),
    "gemma3_text": (
        "<start_of_turn>",
        "<end_of_turn>",
        "<pad>",
        ["<unused0>", "<unused1>"],
        SMALL | {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "phi3": ("<|im_start|>", "<|im_end|>", "<|dummy_85|>", ["<|dummy_86|>", "<|dummy_87|>"], SMALL),
}


def make_tokenizer(name):
    opens, ends, pad, spare, _ = SHAPES[name]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = list(dict.fromkeys(token for token in (ends, opens, pad, *spare) if token))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    core.train_from_iterator(["How many coins does Kim have? \\boxed{5} what is the sum of two and three"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=ends, pad_token=pad)
    tokenizer.chat_template = CHAT.replace("{0}", opens).replace("{1}", ends)
    return tokenizer


def make_base(name, folder, **changes):
    """Saves model and tokenizer of SHAPES[name] (its part before a `3` names llama's own kind of RoPE) to a folder."""
    tokenizer = make_tokenizer(name)
    kind = "llama" if name == "llama3" else name
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
        **SHAPES[name][4] | changes,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
