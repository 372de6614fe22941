"""Shards, resume after kill -9, more samples later, faults retried alone; the engine is a real (random) model."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.models.engine import EngineError, Sample, SamplingSettings
from phi4r_lib.models.engines.transformers_engine import TransformersEngine
from phi4r_lib.models.store import prompt_hash, read_samples, sample_to_store

SETTINGS = SamplingSettings(n=4, max_tokens=12, seed=3)
PROMPTS = [(f"p{i}", f"what is {i} + {2 * i % 100} ?") for i in range(24)]

KILLED = """
import os, signal, sys
from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.engines.transformers_engine import TransformersEngine
from phi4r_lib.models.engine import EngineSpec
from phi4r_lib.models.store import sample_to_store
def stop(done, every):
    if done > 40 and done % 16:
        os.kill(os.getpid(), signal.SIGKILL)
engine = TransformersEngine(EngineSpec(model=sys.argv[1], options={"batch_size": 4}))
prompts = [(f"p{i}", f"what is {i} + {2 * i % 100} ?") for i in range(24)]
sample_to_store(engine, prompts, SamplingSettings(n=4, max_tokens=12, seed=3), sys.argv[2], stop, shard_samples=16)
"""


class Counting:
    """The engine inside, and a list of what it was asked; `fail` names prompts that get a fault instead."""

    def __init__(self, engine, fail=()):
        self.engine, self.fail, self.asked = engine, set(fail), []
        self.name, self.seedable = engine.name, engine.seedable

    def sample(self, prompts, settings, progress=None):
        numbers = range(settings.first, settings.first + settings.n)
        self.asked += [(prompt, i) for prompt in prompts for i in numbers]
        rows = self.engine.sample(prompts, settings, progress)
        broken = [Sample(text="", tokens=0, index=i, error="no answer: test fault") for i in numbers]
        return [broken if prompt in self.fail else row for prompt, row in zip(prompts, rows, strict=True)]


@pytest.fixture
def engine(base_dir):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base_dir), AutoTokenizer.from_pretrained(base_dir)
    return TransformersEngine.from_model(model, tokenizer, name="base")


def test_rows_are_complete_and_in_order(engine, tmp_path):
    calls = []
    rows = sample_to_store(engine, PROMPTS, SETTINGS, tmp_path / "s", lambda *c: calls.append(c), shard_samples=30)
    assert list(rows["key"]) == [key for key, _ in PROMPTS for _ in range(4)]
    assert list(rows["index"]) == [0, 1, 2, 3] * 24
    assert (rows["tokens"] > 0).all() and (rows["seconds"] > 0).all() and rows["error"].isna().all()
    assert rows["seeded"].all() and set(rows["model"]) == {engine.name}
    assert calls[-1] == (96, 96) and calls == sorted(calls)
    assert len(list((tmp_path / "s").glob("samples-*.parquet"))) == 3  # 32 + 32 + 32


def test_second_run_samples_nothing_and_gives_the_same(engine, tmp_path):
    first = sample_to_store(engine, PROMPTS, SETTINGS, tmp_path)
    again = Counting(engine)
    assert sample_to_store(again, PROMPTS, SETTINGS, tmp_path).equals(first)
    assert again.asked == []


def test_kill_minus_nine_then_resume(base_dir, tmp_path):
    folder = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", KILLED, str(base_dir), str(folder)], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    survivors = {path: path.read_bytes() for path in folder.glob("samples-*.parquet")}
    kept = read_samples(folder)
    assert 0 < len(kept) < 96 and len(survivors) == len(kept) / 16
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base_dir), AutoTokenizer.from_pretrained(base_dir)
    counting = Counting(TransformersEngine.from_model(model, tokenizer, name="base"))
    (folder / ".samples-00099.parquet.partial").write_bytes(b"PAR1 half a shard")
    resumed = sample_to_store(counting, PROMPTS, SETTINGS, folder)
    whole = sample_to_store(counting.engine, PROMPTS, SETTINGS, tmp_path / "whole")
    repeated = {(row.prompt_hash, row.index) for row in kept.itertuples(index=False)}
    assert len(counting.asked) == 96 - len(kept)  # loses nothing ...
    assert not repeated & {(prompt_hash(prompt), index) for prompt, index in counting.asked}  # ... and repeats nothing
    assert all(path.read_bytes() == content for path, content in survivors.items())
    assert resumed["text"].equals(whole["text"])


def test_a_disk_without_locks_keeps_hidden_files_that_may_be_another_hosts(engine, tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", none)
    (tmp_path / ".samples-00000.parquet.0123abcd-7.partial").write_bytes(b"PAR1 half a shard of a living writer")
    assert len(sample_to_store(engine, PROMPTS, SETTINGS, tmp_path)) == 96
    assert len(list(tmp_path.glob(".samples-*.partial"))) == 1


def test_more_samples_later_draws_only_the_new_ones(engine, tmp_path):
    few = sample_to_store(engine, PROMPTS, SETTINGS, tmp_path)
    counting = Counting(engine)
    many = sample_to_store(counting, PROMPTS, SETTINGS.model_copy(update={"n": 7}), tmp_path)
    assert sorted({index for _, index in counting.asked}) == [4, 5, 6] and len(counting.asked) == 24 * 3
    assert list(many[many["index"] < 4]["text"]) == list(few["text"])
    tail = sample_to_store(engine, PROMPTS, SETTINGS.model_copy(update={"first": 4, "n": 3}), tmp_path)
    assert list(tail["text"]) == list(many[many["index"] >= 4]["text"])


def test_other_settings_or_model_do_not_share(engine, tmp_path):
    sample_to_store(engine, PROMPTS[:2], SETTINGS, tmp_path)
    counting = Counting(engine)
    sample_to_store(counting, PROMPTS[:2], SETTINGS.model_copy(update={"temperature": 0.5}), tmp_path)
    assert len(counting.asked) == 8
    counting.name = "another"
    sample_to_store(counting, PROMPTS[:2], SETTINGS, tmp_path)
    assert len(counting.asked) == 16 and len(read_samples(tmp_path)) == 24


def test_faults_are_kept_with_reason_and_retried_alone(engine, tmp_path):
    broken = Counting(engine, fail={PROMPTS[3][1], PROMPTS[9][1]})
    rows = sample_to_store(broken, PROMPTS, SETTINGS, tmp_path)
    faults = rows[rows["error"].notna()]
    assert set(faults["key"]) == {"p3", "p9"} and set(faults["error"]) == {"no answer: test fault"}
    left = Counting(engine)
    assert len(sample_to_store(left, PROMPTS, SETTINGS, tmp_path, retry_faults=False)) == 96 and left.asked == []
    healed = sample_to_store(left, PROMPTS, SETTINGS, tmp_path)
    assert {prompt for prompt, _ in left.asked} == {PROMPTS[3][1], PROMPTS[9][1]} and len(left.asked) == 8
    assert healed["error"].isna().all() and len(healed) == 96


def test_same_prompt_under_two_keys_is_sampled_once(engine, tmp_path):
    counting = Counting(engine)
    rows = sample_to_store(counting, [("a", "what is 1 ?"), ("b", "what is 1 ?")], SETTINGS, tmp_path)
    assert len(counting.asked) == 4 and list(rows["key"]) == ["a"] * 4 + ["b"] * 4
    assert list(rows["text"][:4]) == list(rows["text"][4:])


def test_repeated_keys_second_writer_and_broken_shard_are_refused(engine, tmp_path):
    with pytest.raises(ValueError, match="'a' names two prompts"):
        sample_to_store(engine, [("a", "x"), ("a", "y")], SETTINGS, tmp_path)

    def nested(done, every):
        sample_to_store(engine, PROMPTS[:1], SETTINGS, tmp_path)

    with pytest.raises(EngineError, match="another process is sampling"):
        sample_to_store(engine, PROMPTS[:1], SETTINGS, tmp_path, nested)
    Path(tmp_path / "samples-00000.parquet").write_bytes(b"not parquet")
    with pytest.raises(EngineError, match=r"samples-00000\.parquet cannot be read"):
        read_samples(tmp_path)
