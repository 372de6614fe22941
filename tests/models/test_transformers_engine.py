"""The local engine against transformers itself: same distribution token by token, same greedy text as `generate`."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.models.engine import EngineError, SamplingSettings, open_engine
from phi4r_lib.models.engines.transformers_engine import TransformersEngine, _streams, own_dtype

PROMPTS = ["what is 1 + 2 ?", "what is the sum of 4 and 5 and 6 and 7 ?", "3", "think , then answer : 8 + 9 = ?"]


@pytest.fixture
def pair(base_dir):
    """A random model, sharpened so that its choices are not all equally likely, and its tokenizer."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base_dir), AutoTokenizer.from_pretrained(base_dir)
    with torch.no_grad():
        model.lm_head.weight.mul_(8)
    return model, tokenizer


@pytest.fixture
def engine(pair):
    return TransformersEngine.from_model(*pair, name="base")


def decoded(engine, prompt, settings, batch_size=3):
    """Requests with their raw tokens for one prompt."""
    from phi4r_lib.models.fast.decoding import decode

    request = engine._request(prompt, settings)
    decode(engine.model, [request], settings, eos=engine.eos, streams=_streams(settings.seed), batch_size=batch_size)
    return request


def test_greedy_is_what_generate_writes(engine):
    settings = SamplingSettings(temperature=0, max_tokens=20)
    ours = engine.sample(PROMPTS, settings)
    for prompt, (sample,) in zip(PROMPTS, ours, strict=True):
        ids = torch.tensor([engine._request(prompt, settings).ids])
        whole = engine.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20)
        theirs = whole[0, ids.shape[1] :]
        assert sample.tokens == len(theirs)
        assert sample.text == engine.tokenizer.decode([t for t in theirs.tolist() if t not in engine.hidden])


@pytest.mark.parametrize("filters", [{}, {"temperature": 0.7, "top_k": 5}, {"top_p": 0.6}])
def test_every_token_is_the_draw_that_a_plain_forward_pass_gives(engine, filters):
    settings = SamplingSettings(n=5, max_tokens=40, seed=11, **filters)
    for prompt in PROMPTS:
        request = decoded(engine, prompt, settings)
        for index, tokens in request.outputs.items():
            uniform = _streams(11)(request, index).random(40, dtype=np.float32)
            with torch.inference_mode():
                logits = engine.model(torch.tensor([request.ids + tokens])).logits[0, len(request.ids) - 1 : -1]
            for token, row, draw in zip(tokens, logits.double().numpy(), uniform, strict=False):
                low, high = interval(row, token, settings)
                assert low - 1e-4 <= draw <= high + 1e-4


def interval(logits, token, settings):
    """Where in [0, 1) the uniform number must lie for this token to be drawn; numpy only."""
    chances = np.exp((logits - logits.max()) / settings.temperature)
    chances /= chances.sum()
    order = np.argsort(-chances, kind="stable")
    if settings.top_k:
        chances[order[settings.top_k :]] = 0
    if settings.top_p < 1:
        before = np.cumsum(chances[order]) - chances[order]
        chances[order[before >= settings.top_p]] = 0
    assert chances[token] > 0
    heap = np.cumsum(chances / chances.sum())
    return (heap[token - 1] if token else 0.0), heap[token]


def test_tokens_end_and_truncation(engine):
    settings = SamplingSettings(n=40, max_tokens=25, seed=1, temperature=2)
    request = decoded(engine, PROMPTS[0], settings)
    (samples,) = engine.sample(PROMPTS[:1], settings)
    ended = [sample for sample in samples if not sample.truncated]
    assert ended and len(ended) < len(samples)  # both kinds occur
    for sample in samples:
        raw = request.outputs[sample.index]
        assert sample.tokens == len(raw) <= 25
        assert sample.truncated == (raw[-1] not in engine.eos)
        assert not any(token in engine.eos for token in raw[:-1])
        assert "<|im_end|>" not in sample.text and "<|dummy" not in sample.text


def test_a_sample_does_not_depend_on_its_batch(pair):
    settings = SamplingSettings(n=6, max_tokens=30, seed=5)
    alone = TransformersEngine.from_model(*pair, name="a", batch_size=2).sample(PROMPTS, settings)
    packed = TransformersEngine.from_model(*pair, name="a", batch_size=64).sample(PROMPTS[::-1], settings)[::-1]
    assert [[s.text for s in row] for row in alone] == [[s.text for s in row] for row in packed]
    later = TransformersEngine.from_model(*pair, name="a").sample(
        PROMPTS, settings.model_copy(update={"first": 4, "n": 2})
    )
    assert [[s.text for s in row] for row in later] == [[s.text for s in row[4:]] for row in alone]
    assert [s.index for s in later[0]] == [4, 5]


@pytest.fixture
def rows_read(monkeypatch):
    """The number of rows of every forward pass, prompts first."""
    from phi4r_lib.models.fast import decoding

    counts, forward = [], decoding._forward
    monkeypatch.setattr(
        decoding, "_forward", lambda model, ids, *rest: counts.append(len(ids)) or forward(model, ids, *rest)
    )
    return counts


def test_samples_that_agree_are_one_row(engine, rows_read):
    engine.sample(PROMPTS, SamplingSettings(n=20, temperature=0, max_tokens=6))
    assert set(rows_read) == {len(PROMPTS)}


def test_every_text_is_read_once(engine, rows_read):
    settings = SamplingSettings(n=30, max_tokens=8, seed=2, temperature=0.5)
    request = decoded(engine, PROMPTS[1], settings, batch_size=30)
    went_on = [tokens[:-1] for tokens in request.outputs.values()]  # the last token of a sample is never read
    texts = [len({tuple(t[:length]) for t in went_on if len(t) >= length}) for length in range(1, 8)]
    assert rows_read[0] == 1 and len(rows_read) == 8
    assert texts[0] < 30 and all(rows >= live for rows, live in zip(rows_read[1:], texts, strict=True))
    assert sum(rows_read[1:]) < 1.5 * sum(texts) < 1.5 * 30 * 7  # rows of finished texts stand empty for a while


def test_one_token_a_sample(engine):
    samples = engine.sample(PROMPTS[:1], SamplingSettings(n=9, max_tokens=1, seed=1))[0]
    assert [(sample.tokens, sample.truncated) for sample in samples] == [(1, True)] * 9


def test_seeds(engine):
    def texts(seed):
        return [s.text for s in engine.sample(PROMPTS[:1], SamplingSettings(n=8, max_tokens=12, seed=seed))[0]]

    assert texts(1) == texts(1) != texts(2)
    assert texts(None) != texts(None)
    assert len(set(texts(1))) > 1


def test_think_tags_stay_and_special_tokens_go(pair):
    model, tokenizer = pair
    tokenizer.add_tokens(["<think>", "</think>"])
    engine = TransformersEngine.from_model(model, tokenizer, name="base")
    think = tokenizer.convert_tokens_to_ids(["<think>", "</think>"])
    from phi4r_lib.models.fast.decoding import Request

    ids = [think[0], 5, think[1], 7, tokenizer.pad_token_id, tokenizer.eos_token_id]
    sample = engine._sample(Request([1], 0, 1, 9, {0: ids}), 0, SamplingSettings(), 0.0)
    assert sample.text.split() == ["<think>", "4", "</think>", "6"] and sample.tokens == 6 and not sample.truncated


def test_system_message_and_weights_change_the_name(pair):
    model, tokenizer = pair
    plain = TransformersEngine.from_model(model, tokenizer, name="base")
    told = TransformersEngine.from_model(model, tokenizer, name="base", system="you are helpful")
    assert plain.name.startswith("transformers:base@") and told.name != plain.name
    settings = SamplingSettings(temperature=0, max_tokens=4)
    assert len(told._request("3", settings).ids) > len(plain._request("3", settings).ids)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.add_(0.01)
    assert TransformersEngine.from_model(model, tokenizer, name="base").name != plain.name


def test_full_context_is_a_fault_of_its_row_alone(engine):
    short, long = engine.sample(["3", "what " * 200], SamplingSettings(n=2, max_tokens=500))
    assert [s.error for s in short] == [None, None] and all(s.tokens <= 128 for s in short)
    assert all("leaves no room in the context of 128" in s.error and s.text == "" for s in long)


def test_progress_counts_up_to_all(engine):
    calls = []
    engine.sample(PROMPTS, SamplingSettings(n=3, max_tokens=9), lambda *call: calls.append(call))
    assert calls[0] == (0, 12) and calls[-1] == (12, 12) and calls == sorted(calls)


def test_bfloat16_and_errors(base_dir, tmp_path):
    engine = open_engine({"model": str(base_dir), "options": {"dtype": "bfloat16", "batch_size": 8}})
    assert engine.model.dtype == torch.bfloat16
    assert engine.sample(["3"], SamplingSettings(max_tokens=5))[0][0].tokens > 0
    with pytest.raises(EngineError, match="unknown options"):
        open_engine({"model": str(base_dir), "options": {"dtyp": "bfloat16"}})
    with pytest.raises(EngineError, match="cannot load model"):
        open_engine({"model": str(tmp_path / "nothing")})


def test_a_gpu_samples_float32_weights_in_bf16_and_a_cpu_as_they_are(pair):
    config = pair[0].config
    assert config.dtype == torch.float32
    assert [own_dtype(config, device) for device in ("cpu", "cuda", "cuda:1")] == ["auto", "bfloat16", "bfloat16"]
    config.dtype = torch.float16
    assert own_dtype(config, "cuda") == "auto"
