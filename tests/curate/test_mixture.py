"""Shares, balance, lineage and files of the mixture; leaks found in it."""

from collections import Counter

import pytest

from phi4r_lib.curate import mixture
from phi4r_lib.curate.decontaminate import build_index
from phi4r_lib.curate.screen import Screen, repeating
from phi4r_lib.curate.teach import Lesson, TraceRow
from phi4r_lib.problems.schema import Problem

CLASSES = {"edge": 30, "hard": 100, "easy": 50}


def lesson(name, decision="new", kind="seed", answer="9"):
    about = {"domain": "math", "source": "test", "licence": "MIT"}
    return Lesson(id=name, prompt=f"Problem {name}?", answer=answer, decision=decision, kind=kind, **about)


def traces_of(lessons, each=1):
    about = {"domain": "math", "effort": "medium", "model": "m", "settings": {}, "index": 0, "tokens": 9}
    text = "<think> so </think> \\boxed{9}"
    return [
        TraceRow(id=f"{one.id}.{n}", problem_id=one.id, text=text, truth="9", found="9", kept=True, **about)
        for one in lessons
        for n in range(each)
    ]


def pool(synthetic=200):
    seeds = [lesson(f"{name}{i}", name) for name, count in CLASSES.items() for i in range(count)]
    return seeds + [lesson(f"made{i}", kind="numbers") for i in range(synthetic)]


def composed(size=120, lessons=None, each=1, **changes):
    lessons = lessons or pool()
    shares = {"original_share": 0.5, "hard_share": 0.4, "easy_share": 0.1} | changes
    return mixture.compose(lessons, traces_of(lessons, each), size=size, **shares)


def test_edge_comes_first_and_hard_and_easy_keep_to_their_shares():
    result = composed()
    assert len(result.original) == len(result.synthetic) == 60 and result.warnings == []
    assert result.classes == {"edge": 30, "hard": 24, "easy": 6}


def test_few_edge_seeds_leave_room_for_few_others():
    lessons = [one for one in pool() if one.decision != "edge"] + [lesson(f"edge{i}", "edge") for i in range(5)]
    result = composed(lessons=lessons)
    assert result.classes == {"edge": 5, "hard": 4, "easy": 1}
    assert len(result.synthetic) == 40  # not beyond the extreme share of 0.2
    assert any("50 traces instead of 120" in text for text in result.warnings)


def test_one_side_fills_up_for_the_other_and_says_so():
    result = composed(lessons=pool(synthetic=50))
    assert (len(result.original), len(result.synthetic)) == (60, 50)
    result = composed(size=80, lessons=pool(synthetic=20))
    assert (len(result.original), len(result.synthetic)) == (60, 20)
    assert any("75% original problems instead of 50%" in text for text in result.warnings)


@pytest.mark.parametrize("made", [0, 1])
def test_without_made_problems_the_seeds_fill_all_of_it(made):
    """Who has solutions and no rewriter trains on seeds; the warning says what is missing."""
    result = composed(size=50, lessons=pool(synthetic=made))
    assert (len(result.original), len(result.synthetic)) == (50 - made, made)
    assert any("add rewrites" in text for text in result.warnings)
    assert composed(size=50, lessons=pool(synthetic=made), original_share=0.0).original == []


@pytest.mark.parametrize(
    ("share", "word"), [(0.1, "add seeds"), (1.0, "add rewrites"), (0.0, "add seeds"), (0.5, None)]
)
def test_extreme_balances_are_warned_of(share, word):
    found = composed(size=40, original_share=share)
    assert any(word in text for text in found.warnings) if word else found.warnings == []
    assert len(found.original) == round(40 * share)


def test_every_problem_gives_one_trace_before_any_gives_two():
    lessons = pool(synthetic=10)
    result = composed(size=30, lessons=lessons, each=3)
    assert set(Counter(row.problem_id for row in result.synthetic).values()) == {1, 2}
    assert len({row.problem_id for row in result.synthetic[:10]}) == 10


def test_the_choice_is_the_same_for_the_same_seed():
    assert composed() == composed()
    assert composed() != composed(seed=1)


def test_shares_outside_zero_and_one_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        composed(hard_share=1.2)


def test_training_rows_carry_their_lineage():
    one = lesson("made1", kind="numbers").model_copy(update={"parent_id": "math-1", "vote_share": 0.75})
    row = mixture.sft_row(traces_of([one])[0], one, "Think.")
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
    assert row["messages"][1]["content"] == "Problem made1?"
    expected = {
        "parent_id": "math-1",
        "source": "test",
        "licence": "MIT",
        "model": "m",
        "answer": "9",
        "vote_share": 0.75,
    }
    assert expected.items() <= row.items()


def test_rl_prompts_are_edge_first_fresh_first_and_never_easy():
    lessons = pool(synthetic=0)
    taught = [f"edge{i}" for i in range(20)]
    rows = mixture.rl_rows(lessons, taught, limit=60, system="Think.")
    assert [row["decision"] for row in rows] == ["edge"] * 10 + ["hard"] * 50
    assert not any(row["overlap"] for row in rows)
    assert rows[0]["prompt"][0] == {"role": "system", "content": "Think."} and rows[0]["answer"] == "9"
    every = mixture.rl_rows(lessons, taught, limit=1000, system=None)
    assert sum(row["overlap"] for row in every) == 20 and len(every) == 130


ITEM = "Ann starts with 12 apples. She gives 5 apples to Bob and buys 9 more. How many apples does Ann have now?"


def test_leaks_name_rule_score_and_item():
    benchmark = [Problem(id="b7", domain="math", prompt=ITEM, answer="16", source="t", licence="MIT")]
    index = build_index([ITEM], ["16"])
    items = [("clean", "A train runs 3 hours. How far does it go?", None), ("leak", ITEM.upper(), "16")]
    trace = ("trace", f"<think> {ITEM} So 12 - 5 = 7. </think>", None)
    rows = Screen(benchmark, index, index.settings).met([*items, trace], "seed")
    assert [(row["id"], row["item"], row["stage"]) for row in rows] == [("leak", "b7", "seed"), ("trace", "b7", "seed")]
    assert all(row["rule"] and 0 < row["score"] <= 1 and row["item_text"] == ITEM for row in rows)


def test_repeats_name_what_they_repeat():
    rows = repeating([("a", ITEM), ("b", "Quite another text, of other words."), ("c", ITEM.lower())], 0.9, "duplicate")
    assert [(row["id"], row["item"], row["rule"]) for row in rows] == [("c", "a", "near-duplicate")]


def test_a_share_of_the_edge_seeds_is_kept_for_rl_with_all_that_retells_them():
    lessons = pool()
    retold = lesson("retold", kind="paraphrase").model_copy(update={"parent_id": "edge0"})
    other = lesson("other", kind="numbers").model_copy(update={"parent_id": "edge0"})
    lessons += [retold, other]
    all_edge = mixture.kept_for_rl(lessons, 1.0)
    assert all_edge == {f"edge{i}" for i in range(30)} | {"retold"}
    result = composed(lessons=lessons, rl_edge_share=0.5)
    edge = {name for name in result.for_rl if name.startswith("edge")}
    taught = {row.problem_id for row in [*result.original, *result.synthetic]}
    assert len(edge) == 15 == result.classes["edge"] and not taught & result.for_rl
    assert ("retold" in result.for_rl) == ("edge0" in edge)
    prompts = mixture.rl_rows(lessons, taught, limit=20, system=None)
    assert [row["decision"] for row in prompts[:15]] == ["edge"] * 15 and not any(row["overlap"] for row in prompts)
    assert composed(lessons=lessons).for_rl == frozenset()


def test_prompts_name_the_class_of_a_made_problems_parent():
    made = lesson("made", kind="numbers").model_copy(update={"parent_id": "edge0"})
    rows = mixture.rl_rows([*pool(synthetic=0), made], [], limit=1000, system=None)
    assert {row["id"]: row["parent_decision"] for row in rows}["made"] == "edge"


def test_the_table_of_use_counts_problems_by_source_class_and_stage():
    made = lesson("made", kind="numbers").model_copy(update={"parent_id": "edge0"})
    lessons = [*pool(synthetic=0), made]
    table = mixture.where_used(lessons, {"edge0", "hard1"}, {"edge1", "made"})
    assert table.loc[("seed", "edge")].tolist() == [30, 1, 1]
    assert table.loc[("made from", "edge")].tolist() == [1, 0, 1]
    assert table.index.tolist()[:2] == [("seed", "edge"), ("seed", "hard")]
