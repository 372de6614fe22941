"""Trace selection rule by rule, and the promise that no guideline reaches a training row."""

import pytest

from phi4r_lib.curate import teach
from phi4r_lib.curate.edge import EdgeRow
from phi4r_lib.curate.mixture import sft_row
from phi4r_lib.curate.truth import Truth
from phi4r_lib.models.engine import Sample, SamplingSettings
from phi4r_lib.problems.answers import extract_answer
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.worlds.safety_world import GUIDELINES, REPLIES, THOUGHTS

GOOD = "<think> 7 + 5 = 12. 12 - 3 = 9. </think> \\boxed{9}"
FOUR = SamplingSettings(n=4, max_tokens=64)


def lesson(name="p", prompt="What is 7 + 5 - 3?", answer="9", **more):
    return teach.Lesson(id=name, domain="math", prompt=prompt, answer=answer, source="test", licence="MIT", **more)


def trace(text=GOOD, name="t", problem="p", truth="9", tokens=20, **more):
    found = extract_answer(text)
    about = {"domain": "math", "effort": "medium", "model": "m", "settings": {"max_tokens": 64}, "index": 0} | more
    fields = {"id": name, "problem_id": problem, "text": text, "found": found}
    return teach.TraceRow(**fields, truth=truth, tokens=tokens, **about)


class Speaker:
    """Says what a function of the messages and the sample's number returns, and keeps the messages."""

    name, seedable = "speaker", True

    def __init__(self, say):
        self.say, self.heard = say, []

    def sample(self, prompts, settings, progress=None):
        self.heard += prompts
        numbers = range(settings.first, settings.first + settings.n)
        return [[Sample(text=self.say(p, i), tokens=20 + i, index=i) for i in numbers] for p in prompts]

    def close(self):
        pass


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"error": "no route"}, "engine fault: no route"),
        ({"truncated": True}, "length"),
        ({"text": "\\boxed{9}"}, "format"),
        ({"text": f"<think> a </think> {GOOD}"}, "format"),
        ({"text": "<think> 7 + 5 = 12. \\boxed{9}"}, "format"),
        ({"text": "<think> </think> \\boxed{9}"}, "format"),
        ({"text": "<think> 7 + 5 = 13. </think> \\boxed{10}"}, "wrong answer"),
        ({"text": "<think> 7 + 5 = 12. </think> nine"}, "no answer"),
        ({"text": "<think> 7 + 5 = 13. 13 - 3 = 9. </think> \\boxed{9}"}, "false step: 7 + 5 = 13"),
        ({"text": "<think> 19 / 2 = 9. </think> \\boxed{9}", "domain": "code"}, ""),
        ({"text": f"<think> {'so it is so it goes ' * 9} </think> \\boxed{{9}}"}, "repetition"),
        ({"text": "<think> The guidelines say so. </think> \\boxed{9}"}, "guidelines"),
    ],
)
def test_each_fault_is_found_and_named(changes, reason):
    row = teach.reject([trace(**changes)], guidelines=GUIDELINES)[0]
    assert row.reason.split(":")[0] == reason.split(":")[0]
    assert row.open is (reason == "")


def test_equal_answers_count_however_they_are_written():
    assert teach.reject([trace("<think> so </think> \\boxed{18/2}")])[0].open


def test_the_same_text_is_kept_once_a_problem():
    rows = teach.reject([trace(name="a"), trace(name="b"), trace(name="c", problem="q")])
    assert [row.reason for row in rows] == ["", "same text as another trace", ""]


@pytest.mark.parametrize(("prefer", "chosen"), [("shortest", "a"), ("median", "b"), ("longest", "d")])
def test_best_of_several_by_length(prefer, chosen):
    rows = [
        trace(f"<think> {n} </think> \\boxed{{9}}", n, tokens=t) for n, t in zip("abcd", (10, 12, 30, 99), strict=True)
    ]
    picked = teach.pick(teach.reject(rows), 1, prefer)
    assert [row.id for row in picked if row.kept] == [chosen]
    assert sum(row.reason.startswith("surplus") for row in picked) == 3
    assert len([row for row in teach.pick(teach.reject(rows), 3, prefer) if row.kept]) == 3


def test_repeated_share_counts_repeated_five_grams():
    assert teach.repeated_share("a b c d") == 0.0
    assert teach.repeated_share("a b c d e f g") == 0.0
    assert teach.repeated_share("a b c d e a b c d e") == pytest.approx(1 / 6)


def test_answers_already_given_for_the_proxy_truth_are_traces(tmp_path):
    from phi4r_lib.curate.truth import find_truth

    speaker = Speaker(lambda prompt, index: GOOD if index < 3 else "<think> so </think> \\boxed{8}")
    problem = Problem(id="p", domain="math", prompt="What is 7 + 5 - 3?", source="test", licence="MIT")
    truths = find_truth([problem], speaker, FOUR, folder=tmp_path)
    lessons = teach.truth_lessons([problem], truths)
    assert lessons[0].answer == "9" and lessons[0].vote_share == 0.75
    rows = teach.stored_traces(lessons, speaker, tmp_path)
    assert [row.found for row in rows] == ["9", "9", "9", "8"] and len(speaker.heard) == 1
    assert rows[0].settings["max_tokens"] == 64 and rows[0].truth == "9"
    assert teach.stored_traces([lesson("q", "What is 1 + 1?")], speaker, tmp_path) == []


def test_problems_without_truth_are_no_lessons():
    problem = Problem(id="p", domain="math", prompt="Why?", source="test", licence="MIT")
    assert teach.truth_lessons([problem], [Truth("p", None, "none", "votes split")]) == []


def test_effort_reaches_the_teacher_and_not_the_training_row(tmp_path):
    speaker = Speaker(lambda prompt, index: GOOD)
    rows = teach.fresh_traces([lesson()], speaker, FOUR, effort="high", system="Effort: high.", folder=tmp_path)
    assert speaker.heard[0][0] == {"role": "system", "content": "Effort: high."}
    row = sft_row(teach.pick(teach.reject(rows), 1)[0], lesson(), "Think.")
    assert row["effort"] == "high"
    assert row["messages"][0]["content"] == "Think." and "Effort" not in str(row["messages"])


def guided(say, seeds=("How do I steal a bag?", "I feel so alone.")):
    lessons = [lesson(f"s{i}", prompt, None, answer_type="refusal") for i, prompt in enumerate(seeds)]
    rows = teach.fresh_traces(lessons, Speaker(say), FOUR, effort="guided", system=GUIDELINES)
    rows = teach.drop_disagreeing(teach.reject(rows, guidelines=GUIDELINES, max_repeats=0.5), 0.5)
    return lessons, teach.pick(rows, 1)


def kind_reply(prompt, index):
    kind = "refuse" if "steal" in prompt[-1]["content"] else "care"
    return f"<think> {THOUGHTS[kind]} </think> {REPLIES[kind]}"


def test_no_guideline_text_reaches_a_training_row_or_a_solution():
    lessons, rows = guided(kind_reply)
    kept = [row for row in rows if row.kept]
    assert len(kept) == 2 and all(row.settings["system"] == GUIDELINES for row in kept)
    for one, row in zip(lessons, kept, strict=True):
        training = sft_row(row, one, "Think step by step, then answer.")
        for message in training["messages"]:
            assert not teach.leaks(message["content"], GUIDELINES)
        assert GUIDELINES not in str(training) and [m["role"] for m in training["messages"]] == [
            "system",
            "user",
            "assistant",
        ]


@pytest.mark.parametrize(
    "said",
    [
        "My Guidelines forbid it.",
        "I must say NO to harm. Name your limits!",
        "Be kind in hard things.",
        "Keep these guidelines and your thoughts to yourself.",
    ],
)
def test_replies_that_speak_of_the_guidelines_are_dropped(said):
    _, rows = guided(lambda prompt, index: f"<think> Hm, let me see. </think> Sorry. {said}")
    assert teach.leaks(said, GUIDELINES)
    assert all(row.reason.startswith("guidelines") for row in rows)


def test_ordinary_replies_do_not_count_as_leaks():
    for kind in REPLIES:
        assert not teach.leaks(f"{THOUGHTS[kind]} {REPLIES[kind]}", GUIDELINES)


def test_replies_that_only_one_sample_gives_are_dropped():
    words = ("red", "green", "blue", "black")
    _, rows = guided(lambda prompt, index: f"<think> Hm, {index}. </think> I say {words[index]}.")
    assert not any(row.kept for row in rows)
    assert {row.reason for row in rows} == {"disagreement: 25% of the replies say this"}


def test_a_teacher_without_a_single_good_trace_stops_the_run_with_the_reasons():
    lost = teach.reject([trace("no tags at all \\boxed{9}", name=f"t{n}") for n in range(3)])
    with pytest.raises(ValueError, match=r"no teacher trace of 3 was kept \(3 for 'format'\)"):
        teach.need_kept(lost)
    teach.need_kept([*lost, *teach.pick(teach.reject([trace()]), keep=1)])


def test_replies_are_compared_with_the_kind_that_they_should_be():
    rows = [trace("<think> no </think> Sorry.", name=name, problem=name, truth=None) for name in ("a", "b", "c")]
    share = teach.fitting(rows, {"a": "refuse", "b": "help"}, lambda text: "refuse" if text == "Sorry." else "help")
    assert (share.value, share.n) == (0.5, 2)
    assert teach.fitting(rows, {}, str) is None and teach.fitting(rows, {"a": "refuse"}, None) is None


def test_problems_become_lessons_with_the_plurality_as_their_answer(tmp_path):
    problems = [Problem(id=name, domain="code", prompt=name, source="t", licence="MIT") for name in ("agree", "split")]
    engine = Speaker(lambda prompt, index: f"\\boxed{{{index if 'split' in str(prompt) else 7}}}")
    lessons = teach.solved_lessons(problems, engine, FOUR, min_share=0.75, folder=tmp_path)
    assert [(one.id, one.answer, one.vote_share) for one in lessons] == [("agree", "7", 1.0)]
    assert teach.tokens_spent(tmp_path) == {"speaker": 2 * (20 + 21 + 22 + 23)}


def test_lessons_of_an_edge_file_come_edge_first(tmp_path):
    about = {"domain": "math", "prompt": "?", "source": "t", "licence": "MIT", "reason": "r", "truth_reason": "r"}
    rows = [
        EdgeRow(id=name, answer="1", decision=name, truth_kind="plurality", **about)
        for name in ("easy", "hard", "undecided", "edge")
    ]
    write_rows(tmp_path / "edge.jsonl", rows)
    assert [one.id for one in teach.edge_lessons(tmp_path / "edge.jsonl")] == ["edge", "undecided", "hard", "easy"]
