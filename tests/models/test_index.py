"""The index of stored samples against a plain dictionary, and how much of a folder an open store reads."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi4r_lib.models.engine import Sample, SamplingSettings
from phi4r_lib.models.index import KeyIndex, numbers_of
from phi4r_lib.models.store import Store, read_samples, sample_to_store

GROUPS = [("m", "a"), ("m", "b"), ("n", "a")]
ROW = st.tuples(st.sampled_from(GROUPS), st.integers(0, 4), st.integers(0, 3), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(ROW, max_size=6), max_size=9), st.lists(st.integers(0, 5), max_size=6))
def test_finds_what_a_dictionary_finds(shards, asked):
    index, plain = KeyIndex(), {}
    for number, rows in enumerate(shards):
        groups, prompts, places, faults = zip(*rows, strict=True) if rows else ((), (), (), ())
        index.add(number, groups, np.array(prompts, np.uint64), np.array(places), np.array(faults, bool))
        for row, (group, prompt, place, fault) in enumerate(rows):
            if not fault or plain.get((group, prompt, place), (True,))[0]:
                plain[group, prompt, place] = (fault, number, row)
    wanted = range(1, 4)
    for group in GROUPS:
        expected = [
            (at, place, *plain[group, prompt, place][1:])
            for at, prompt in enumerate(asked)
            for place in wanted
            if (group, prompt, place) in plain
        ]
        at, found = index.find(group, np.array(asked, np.uint64), wanted)
        assert list(zip(at, found["index"], found["shard"], found["row"], strict=True)) == expected
        held = index.held(group, np.array(asked, np.uint64), wanted, faults=False)
        answered = [[not plain.get((group, p, i), (True,))[0] for i in wanted] for p in asked]
        assert held.tolist() == answered
    assert sorted((e["shard"], e["row"]) for e in index.everything()) == sorted(v[1:] for v in plain.values())


def test_hashes_are_numbers():
    assert numbers_of(["00000000000000ff", "ffffffffffffffff"]).tolist() == [255, 2**64 - 1]
    assert len(numbers_of([])) == 0


class Echo:
    """Answers every prompt with itself."""

    name, seedable = "echo", True

    def sample(self, prompts, settings, progress=None):
        numbers = range(settings.first, settings.first + settings.n)
        return [[Sample(text=f"{prompt} {i}", tokens=1, index=i) for i in numbers] for prompt in prompts]


@pytest.fixture
def opened(monkeypatch):
    """How often each shard was opened, by name and by whether its texts were read."""
    count, read = Counter(), Store.read

    def counting(path, columns=None):
        count[path.name, columns is None or "text" in columns] += 1
        return read(path, columns)

    monkeypatch.setattr(Store, "read", staticmethod(counting))
    return count


def test_texts_are_read_only_from_the_shards_that_are_asked_for(tmp_path, opened):
    prompts = [(f"p{i}", f"prompt {i}") for i in range(40)]
    few = SamplingSettings(n=2)
    sample_to_store(Echo(), prompts, few, tmp_path, shard_samples=8)  # ten shards, four prompts each
    opened.clear()
    with Store(tmp_path) as store:
        assert set(opened.values()) == {1} and len(opened) == 10 and not any(texts for _, texts in opened)
        for start in range(0, 40, 4):
            rows = store.draw(Echo(), prompts[start : start + 4], few)
            assert rows["text"].to_pylist() == [f"{text} {i}" for _, text in prompts[start : start + 4] for i in (0, 1)]
    assert {name: n for (name, texts), n in opened.items() if texts} == {
        f"samples-{i:05d}.parquet": 1 for i in range(10)
    }
    assert sum(n for (_, texts), n in opened.items() if not texts) == 10


def test_named_columns_are_enough_to_count(tmp_path, opened):
    sample_to_store(Echo(), [("a", "x"), ("b", "y")], SamplingSettings(n=3), tmp_path)
    opened.clear()
    assert read_samples(tmp_path, ["model", "tokens"]).groupby("model")["tokens"].sum().to_dict() == {"echo": 6}
    assert not any(texts for _, texts in opened)
