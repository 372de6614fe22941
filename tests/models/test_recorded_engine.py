"""Recorded answers as an engine: looked up by prompt, split into thought and answer, accepted or dropped like a model's."""

import json

import pytest

from phi4r_lib.curate import teach
from phi4r_lib.curate.truth import find_truth
from phi4r_lib.models.engine import EngineError, SamplingSettings, open_engine
from phi4r_lib.models.engines.recorded_engine import as_completion
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.schema import Problem


def engine(tmp_path, rows, **options):
    path = tmp_path / "recorded.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_engine({"kind": "recorded", "model": str(path), "options": options})


@pytest.mark.parametrize(
    ("fields", "completion"),
    [
        ({"text": "<think> a </think> \\boxed{7}"}, "<think> a </think> \\boxed{7}"),
        ({"text": "It is \\boxed{7}.", "thinking": "3 + 4"}, "<think> 3 + 4 </think> It is \\boxed{7}."),
        ({"text": "3 + 4 = 7\n#### 7"}, "<think> 3 + 4 = 7 </think> \\boxed{7}"),
        ({"text": "3 + 4 = 7", "answer": "7"}, "<think> 3 + 4 = 7 </think> \\boxed{7}"),
        ({"text": "So the answer is 7."}, "<think> So the answer is 7. </think> \\boxed{7}"),
        ({"text": "3 + 4 = 7"}, "3 + 4 = 7"),
        ({"text": "half </think> open"}, "half </think> open"),
    ],
)
def test_a_text_becomes_one_think_block_and_an_answer(fields, completion):
    assert as_completion(**fields) == completion


def test_samples_are_the_rows_of_a_prompt_in_order_and_what_is_missing_is_a_fault(tmp_path):
    rows = [{"question": "What is\n3 + 4?", "solution": f"sum {i}\n#### {i}", "n_tokens": 5 + i} for i in (7, 8)]
    rows.append({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "#### 1"}]})
    teacher = engine(tmp_path, rows)
    both, chat, unknown = teacher.sample(["What is 3 + 4?", "hi", "new"], SamplingSettings(n=3, max_tokens=12))
    assert [s.error for s in both] == [None, None, "answer 2 of this prompt is not in the file"]
    assert [s.truncated for s in both] == [False, True, False] and [s.tokens for s in both] == [12, 13, 0]
    assert chat[0].text.endswith("\\boxed{1}") and unknown[0].error == "this prompt is not in the file"
    again = teacher.sample(["What is 3 + 4?"], SamplingSettings(n=1, first=1, max_tokens=99))
    assert again[0][0].index == 1 and "sum 8" in again[0][0].text


def test_recorded_solutions_pass_the_same_checks_as_a_teachers(tmp_path):
    rows = [
        {"q": "What is 3 + 4?", "a": "3 and 4 make 7. #### 7"},
        {"q": "What is 3 + 5?", "a": "I guess 9. #### 9"},
        {"q": "What is 3 + 6?", "a": "no answer here"},
    ]
    teacher = engine(tmp_path, rows, fields={"prompt": "q", "text": "a"})
    about = {"domain": "math", "source": "s", "licence": "MIT"}
    golds = zip(rows, "789", strict=True)
    problems = [Problem(id=row["q"], prompt=row["q"], answer=gold, **about) for row, gold in golds]
    truths = find_truth(problems, teacher, SamplingSettings(n=1))
    assert [truth.conflict for truth in truths] == [False, True, False]
    lessons = teach.truth_lessons(problems, truths)
    traces = teach.pick(teach.reject(teach.fresh_traces(lessons, teacher, SamplingSettings(n=1))), keep=1)
    assert [trace.kept for trace in traces] == [True, False, False]
    assert [trace.reason.split(":")[0] for trace in traces[1:]] == ["wrong answer", "format"]
    assert parse_thinking(traces[0].text).valid and traces[0].model.startswith("recorded:recorded.jsonl@")


def test_what_the_file_does_not_answer_is_named_in_the_truth(tmp_path):
    """One solution per problem and three asked: the plurality falls short, and the reason says that answers are missing."""
    teacher = engine(tmp_path, [{"prompt": "What is 3 + 4?", "text": "#### 7"}])
    about = {"domain": "math", "source": "s", "licence": "MIT"}
    problems = [Problem(id=text, prompt=text, **about) for text in ("What is 3 + 4?", "new")]
    few, none = find_truth(problems, teacher, SamplingSettings(n=3))
    assert few.reason == (
        "1 of 3 answers agree (2 missing: answer 1 of this prompt is not in the file), fewer than the share 0.5"
    )
    assert none.reason == "no answer: this prompt is not in the file" and none.faults == 3
    assert [truth.kind for truth in find_truth(problems, teacher, SamplingSettings(n=1))] == ["plurality", "none"]


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        ([{"prompt": "a"}], {}, "recorded.jsonl:1: needs a prompt and a text"),
        ([{"prompt": "a", "text": "b"}], {"fields": {"speech": "x"}}, "speech"),
        ([{"prompt": "a", "text": "b"}], {"temperature": 1}, "temperature"),
        ([], {}, "holds no answers"),
        ([{"messages": [{"content": "x"}]}], {}, "need role and content"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, rows, options, says):
    with pytest.raises(EngineError, match=says):
        engine(tmp_path, rows, **options)
