"""Traces in number: texts lie on disk, rows are the same with and without, nothing holds more texts at once than it says."""

import weakref

import pytest

from phi4r_lib.curate import screen, teach
from phi4r_lib.curate.decontaminate import build_index
from phi4r_lib.curate.mixture import compose, sft_row
from phi4r_lib.curate.traces import Shelf, TraceRow, traces_in
from phi4r_lib.curate.truth import find_truth
from phi4r_lib.models.engine import Sample, SamplingSettings
from phi4r_lib.problems.rows import read_rows, write_rows
from phi4r_lib.problems.schema import Problem

ODD = ["", "<think> a </think> \\boxed{9}", "é\n\u2028日本語", "half a pair \ud83d", "x" * 100_000]
FIELDS = {"problem_id": "p", "domain": "math", "effort": "medium", "model": "m", "settings": {"n": 1}, "index": 0}


def row(text, **more):
    return TraceRow(**{"id": "t", "tokens": 3, "text": text} | FIELDS | more)


def test_a_shelf_gives_back_what_was_laid_down_also_between_two_writes(tmp_path):
    shelf = Shelf(tmp_path)
    first = [shelf.put(text) for text in ODD]
    assert [shelf.get(place) for place in first] == ODD
    later = [shelf.put(text) for text in reversed(ODD)]
    assert [shelf.get(place) for place in first + later] == ODD + ODD[::-1]
    assert not list(tmp_path.iterdir())  # nothing to tidy up, however the process ends


def test_a_shelf_needs_no_right_to_write_beside_the_samples(tmp_path):
    shelf = Shelf(tmp_path / "absent")
    assert shelf.get(shelf.put("here")) == "here"


def test_a_row_is_the_same_with_its_text_on_disk(tmp_path):
    shelf = Shelf(tmp_path)
    for text in ODD:
        near, far = row(text), row(shelf.put(text), shelf=shelf)
        assert near == far and far.text == text and far != row(text + ".")
        kept = far.model_copy(update={"kept": True, "reason": "right"})
        assert kept.text == text and kept == near.model_copy(update={"kept": True, "reason": "right"})
        assert (far.open, kept.open) == (True, False)
    assert [*row("a").model_dump()][:4] == ["id", "problem_id", "domain", "text"]
    with pytest.raises(TypeError, match="grad"):
        row("a", grad="right")


def test_rows_come_back_from_their_file(tmp_path):
    rows = [row(text, id=str(number), found="9", kept=number == 1) for number, text in enumerate(ODD)]
    found = list(traces_in(write_rows(tmp_path / "traces.jsonl", rows)))
    assert found == rows
    assert len({(id(one.settings), id(one.model), id(one.problem_id)) for one in found}) == 1  # once in memory


class Many:
    """Three answers per prompt: two right ones of one text, one wrong."""

    name, seedable = "many", True

    def sample(self, prompts, settings, progress=None):
        texts = ["<think> 4 + 5 = 9. </think> \\boxed{9}"] * 2 + ["<think> 4 + 5 = 8. </think> \\boxed{8}"]
        numbers = range(settings.first, settings.first + settings.n)
        return [[Sample(text=texts[number], tokens=9, index=number) for number in numbers] for _ in prompts]

    def close(self): ...


@pytest.fixture
def taught(tmp_path):
    about = {"domain": "math", "source": "test", "licence": "MIT"}
    problems = [Problem(id=f"p{n}", prompt=f"What is {n} + {9 - n}?", **about) for n in range(8)]
    truths = find_truth(problems, Many(), SamplingSettings(n=3, max_tokens=64), folder=tmp_path)
    return teach.truth_lessons(problems, truths)


def test_all_that_is_decided_of_traces_leaves_their_texts_on_disk(taught, tmp_path, monkeypatch):
    monkeypatch.setattr(teach, "LESSONS", 3)  # windows smaller than the problems
    rows = teach.stored_traces(taught, Many(), tmp_path)
    settings = SamplingSettings(n=1, max_tokens=99)
    rows += teach.fresh_traces(taught, Many(), settings, effort="high", system="More.", folder=tmp_path)
    rows = teach.pick(teach.reject(rows), 1)
    assert len({id(one._shelf) for one in rows}) == 2 and all(type(one._text) is int for one in rows)
    reasons = {"kept": 8, "same text as another trace": 16, "wrong answer": 8}
    assert teach.trace_reasons(rows) == reasons
    mixed = compose(taught, rows, size=8, original_share=1.0, hard_share=1.0, easy_share=1.0)
    by_id = {one.id: one for one in taught}
    file = write_rows(tmp_path / "sft.jsonl", (sft_row(one, by_id[one.problem_id], None) for one in mixed.original))
    said = {line["messages"][-1]["content"] for _, line in read_rows(file)}
    assert said == {"<think> 4 + 5 = 9. </think> \\boxed{9}"}


class Text(str):
    """A text that can be counted while somebody holds it."""


def test_texts_stream_through_the_screen(monkeypatch):
    monkeypatch.setattr(screen, "BLOCK", 10)
    items = [Problem(id="b", domain="math", prompt="What is 40 + 2 in the old town?", source="t", licence="MIT")]
    index, alive, most = build_index([items[0].prompt]), weakref.WeakSet(), 0

    def texts():
        nonlocal most
        for number in range(95):
            text = Text(items[0].prompt if number in (3, 40, 94) else f"Nothing of that kind, number {number}.")
            alive.add(text)
            most = max(most, len(alive))
            yield f"t{number}", text, None

    found = screen.Screen(items, index, index.settings).met(texts(), "trace")
    assert [one["id"] for one in found] == ["t3", "t40", "t94"] and all(one["rule"] == "exact" for one in found)
    assert most <= 2 * 10 + 3  # a block that is looked at, the next one, and what was found
