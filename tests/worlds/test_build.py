"""The build of the tiny models: whole documents in rows, weights where the answer is, a loss that falls."""

import random
import re

import pytest
import torch
from transformers import Phi3ForCausalLM

from phi4r_lib.worlds import build, corpus
from phi4r_lib.worlds.tiny import build_tokenizer, tiny_config


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(corpus.vocabulary_texts(count=300), 480)


def test_the_boxed_number_weighs_most_and_the_prompt_least(tokenizer):
    ids, weights = build.encode((None, "What does it print?", "\\boxed{12}"), tokenizer)
    number = ids.index(tokenizer.convert_tokens_to_ids("12"))
    assert weights[number] == build.ANSWER_WEIGHT == max(weights)
    assert weights[0] == build.PROMPT_WEIGHT
    assert ids[-1] == tokenizer.eos_token_id


def test_plain_texts_end_with_end_of_text_and_weigh_the_same(tokenizer):
    ids, weights = build.encode((None, "", "7 + 5 = 12."), tokenizer)
    assert ids[-1] == tokenizer.bos_token_id
    assert set(weights) == {1.0}


def test_rows_hold_whole_documents(tokenizer):
    for ids, positions, weights in build.batches(corpus.trunk_mix, tokenizer, 2, seed=1):
        assert ids.shape == positions.shape == weights.shape == (build.ROWS, build.ROW)
        for row, weight in zip(ids.tolist(), weights.tolist(), strict=True):
            used = [token for token in row if token != tokenizer.pad_token_id]
            assert used[-1] in (tokenizer.eos_token_id, tokenizer.bos_token_id)
            assert all(w == 0 for token, w in zip(row, weight, strict=True) if token == tokenizer.pad_token_id)


def test_documents_of_a_row_do_not_see_each_other(tokenizer):
    torch.manual_seed(0)
    model = Phi3ForCausalLM(tiny_config(len(tokenizer), 32, 2, 4, tokenizer)).eval()
    ids, positions, _ = next(build.batches(corpus.trunk_mix, tokenizer, 1, seed=1))
    starts = [place for place, position in enumerate(positions[0].tolist()) if position == 0]
    assert len(starts) > 2
    with torch.inference_mode():
        packed = model(input_ids=ids, position_ids=positions, use_cache=False).logits
        alone = model(input_ids=ids[:1, starts[1] : starts[2]]).logits
    assert torch.allclose(packed[0, starts[1] : starts[2]], alone[0], atol=1e-5)


def test_holdings_ask_only_for_what_was_told():
    rng, found = random.Random(0), 0
    for _ in range(50):
        told, _, asked = corpus.who_has(rng).partition("? ")
        for label, number in re.findall(r"(\w+): (\d+)\.", asked):
            found += 1
            assert re.search(rf"\b{label}( \w+)? (has|starts with) {number} ", told)
    assert found >= 50


def test_training_lowers_the_loss(tokenizer):
    torch.manual_seed(0)
    model = Phi3ForCausalLM(tiny_config(len(tokenizer), 32, 1, 4, tokenizer))
    said = []
    build.train(model, tokenizer, corpus.trunk_mix, 200, 3e-3, seed=1, report=said.append)
    first, last = (float(re.search(r"loss ([\d.]+)", line).group(1)) for line in (said[0], said[-1]))
    assert last < first - 0.5


def test_the_teachers_lines_are_what_the_stages_parse():
    rng = random.Random(0)
    for _ in range(50):
        _, prompt, answer = corpus.rating(rng)
        assert prompt.startswith(corpus.TASKS["rubric"])
        assert re.fullmatch(r'\{"steps": \d+, "skills": \[.*\], "difficulty": [1-5]\}', answer)
        system, _, reply = corpus.safe_reply(rng, guided=True)
        assert system.startswith("Guidelines")
        assert "uideline" not in reply


def test_the_base_answers_one_step_and_not_eight():
    found = build.accuracy_by_steps(build.DATA / "models" / "tiny-base", "contest", samples=4)
    assert set(found) == {*range(1, 9), "all"}
    assert found[1] > 0.8 > 0.3 > found["all"] > found[8]
