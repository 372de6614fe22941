"""A random Phi-3 of a few thousand parameters with Phi-4's special-token layout, nothing trained; what a run of the tests left out."""

import os
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, settings
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast

WORDS = [
    "[UNK]",
    *map(str, range(100)),
    *[
        "+",
        "-",
        "=",
        ".",
        ",",
        "?",
        "what",
        "is",
        "the",
        "sum",
        "of",
        "and",
        "think",
        "then",
        "answer",
        "you",
        "are",
        "helpful",
    ],
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|dummy_85|>", "<|dummy_86|>", "<|dummy_87|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}<|im_sep|>{{ m['content'] }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}"
)


# A slow machine is no fault of what is tested, and the same code passes or fails the same way every time: property tests take the
# same examples until they are changed. PHI4R_EXPLORE=1 draws new ones, to look for what nobody has met yet.
settings.register_profile(
    "any machine",
    settings.default,
    deadline=None,
    derandomize=not os.environ.get("PHI4R_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")


def pytest_xdist_auto_num_workers(config):
    """One process more than there are cores, four at most: many tests wait for processes of their own."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, cores + 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The longest begin first, so that no core waits at the end: the smoke run of the notebooks, then files by their slow tests.

    Tests of one file, and those that share the smoke run, stay in one process (`--dist loadgroup`), so nothing that they
    share is made twice.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    for item in items:
        group = "smoke" if "smoke_home" in item.fixturenames else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: ("smoke_home" not in item.fixturenames, -slow[item.path]))


def pytest_make_parametrize_id(config, val, argname):
    """Bytes name a test by their argument, not by their content, which nobody reads."""
    return argname if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter):
    """One line per reason at the end: what was not exercised here, and what adds it (the reasons say so)."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, tests in reasons.items():
        short = reason.partition(". To run programs WITHOUT")[0]
        terminalreporter.write_line(f"not exercised here: {tests} tests; {short}")


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    words = [*WORDS, "\\boxed", "{", "}", "system", "user", "assistant"]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("{", "isolated"), pre_tokenizers.Split("}", "isolated")]
    )
    core.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|dummy_85|>",
        unk_token="[UNK]",
        chat_template=TEMPLATE,
    )


def tiny_model(tokenizer: PreTrainedTokenizerFast) -> Phi3ForCausalLM:
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=128,
        original_max_position_embeddings=128,
        rope_parameters={"rope_type": "default", "rope_theta": 250_000.0},
        bos_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Phi3ForCausalLM(config)


def saved(folder):
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def base_dir(tmp_path):
    """A saved random model and tokenizer."""
    return saved(tmp_path / "base")


@pytest.fixture(scope="session")
def shared_base_dir(tmp_path_factory):
    """The same for tests that only read it."""
    return saved(tmp_path_factory.mktemp("shared") / "base")


@pytest.fixture
def tiny_encoder(tmp_path):
    """Folder of a sentence encoder: a random BERT with the words that one of its tests uses."""
    words = "[PAD] [UNK] [CLS] [SEP] how does a glacier carve valleys by ice".split()  # noqa: SIM905
    plain = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    plain.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    place = tmp_path / "encoder"
    PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(place)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(place)
    return place
