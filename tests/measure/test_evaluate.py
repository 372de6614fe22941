"""Many runs through a real engine (a random model of a few hundred weights): resume, seeds, grades, errors."""

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from phi4r_lib.measure.answer_table import COLUMNS
from phi4r_lib.measure.evaluate import evaluate
from phi4r_lib.measure.verdict import results
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.models.store import read_samples
from phi4r_lib.problems.schema import Problem

ANSWERS = [r"\boxed{1}", r"\boxed{2}", r"\boxed{x}", "nothing"]
SETTINGS = SamplingSettings(max_tokens=2, seed=7)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    words = ["<pad>", "<end>", "<unk>", "one", "two", *ANSWERS]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=len(words), pad_token_id=0, eos_token_id=1, bos_token_id=1, **shape)
    )
    with torch.no_grad():  # only the answers and the end have a chance
        model.lm_head.weight[[0, 2, 3, 4]] = 0
        model.model.embed_tokens.weight.fill_(1.0)
        model.lm_head.weight[[1, 5, 6, 7, 8]] = 2.0
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            model.model.layers[0].get_submodule(name).weight.zero_()
    model.save_pretrained(folder)
    opened = open_engine({"model": str(folder), "options": {"device": "cpu"}})
    yield opened
    opened.close()


def problem(name, answer="1", **meta):
    return Problem(id=name, domain="math", prompt=name, answer=answer, source="test", licence="MIT", meta=meta)


PROBLEMS = [problem("one", family="f", year=3), problem("two", answer="2", family="g", year=4)]


def test_one_row_a_problem_and_run_with_grade_tokens_seed_and_groups(engine, tmp_path):
    table = evaluate(engine, PROBLEMS, 40, SETTINGS, tmp_path, model="random")
    assert [*COLUMNS, "family", "year"] == list(table.columns) and len(table) == 80
    gold = table["problem"].map({"one": "1", "two": "2"})
    assert (table["correct"] == (table["answer"] == gold)).all()
    assert (table["grade"].eq("none") == table["answer"].isna()).all()
    assert {"right", "wrong", "none"} <= set(table["grade"])
    assert table["seed"].eq(7).all() and table["tokens"].between(1, 2).all()
    assert table.loc[table["problem"] == "two", "year"].eq(4).all()
    assert 0 < results(table, [])["models"]["random"]["mean"] < 1


def test_problems_without_family_or_year_can_still_be_grouped(engine, tmp_path):
    table = evaluate(engine, [problem("one"), problem("two")], 2, SETTINGS, tmp_path)
    assert table["family"].eq("math").all() and table["year"].eq(1).all() and "steps" not in table


def test_more_runs_add_to_the_store_and_repeat_nothing(engine, tmp_path):
    first = evaluate(engine, PROBLEMS, 3, SETTINGS, tmp_path)
    stamps = read_samples(tmp_path).set_index(["key", "index"])["sampled_at"]
    more = evaluate(engine, PROBLEMS, 5, SETTINGS, tmp_path)
    again = read_samples(tmp_path).set_index(["key", "index"])["sampled_at"]
    assert len(more) == 10 and (again.loc[stamps.index] == stamps).all()
    pd.testing.assert_frame_equal(more[more["run"] < 3].reset_index(drop=True), first)


def test_all_runs_in_one_call_are_the_runs_one_by_one(engine, tmp_path):
    together = evaluate(engine, PROBLEMS, 4, SETTINGS, tmp_path)
    single = [
        engine.sample([p.prompt for p in PROBLEMS], SETTINGS.model_copy(update={"first": run})) for run in range(4)
    ]
    tokens = [single[run][number][0].tokens for number in range(2) for run in range(4)]
    assert together["tokens"].tolist() == tokens


def test_an_engine_that_cannot_seed_says_so(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(type(engine), "seedable", False)
    table = evaluate(engine, PROBLEMS, 2, SETTINGS, tmp_path, model="m")
    assert table["seed"].isna().all()
    assert results(table, [])["models"]["m"]["seeded"] is False


@pytest.mark.parametrize(
    ("problems", "runs", "says"),
    [([], 2, "no problems"), (PROBLEMS, 0, "at least 1"), ([problem("open", answer=None)], 2, "no gold answer")],
)
def test_bad_requests(engine, tmp_path, problems, runs, says):
    with pytest.raises(ValueError, match=says):
        evaluate(engine, problems, runs, SETTINGS, tmp_path)
