"""Planning tasks as problems, judged through the one door by a verifier that is named by its import path."""

import json

import pytest

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.verify import NoEquality, examples, verify, vote
from phi4r_lib.worlds.corpus import vocabulary_texts
from phi4r_lib.worlds.planning_verifier import LEVELS, SMALLEST, VERIFIERS, graded_tasks, smallest_tasks
from phi4r_lib.worlds.tiny import build_tokenizer

EVERY = [*(problem for family in LEVELS for problem in graded_tasks(family, 12)), *smallest_tasks(12)]


def test_a_right_plan_of_every_problem_is_right_and_nonsense_is_not():
    right = [f"<think> 1. </think> \\boxed{{{answer}}}" for answer in examples(EVERY, VERIFIERS)]
    assert {verdict.grade for verdict in verify(EVERY, right, VERIFIERS)} == {Grade.RIGHT}
    for text in ("\\boxed{99}", "\\boxed{yes}", "\\boxed{}", "no idea"):
        assert Grade.RIGHT not in {verdict.grade for verdict in verify(EVERY, [text] * len(EVERY), VERIFIERS)}


def test_no_is_right_only_where_nothing_works():
    feasible = [problem.meta["feasible"] for problem in EVERY]
    verdicts = verify(EVERY, ["\\boxed{no}"] * len(EVERY), VERIFIERS)
    assert [verdict.grade is Grade.WRONG for verdict in verdicts] == feasible and 0 < sum(feasible) < len(feasible)


def test_another_right_start_counts_and_a_wrong_one_says_why():
    problem = next(p for p in graded_tasks("calendar", 12) if p.meta["feasible"] and p.meta["dial"] < 0.8)
    facts = json.loads(problem.answer)["facts"]
    verdicts = verify([problem] * 25, [f"\\boxed{{{start}}}" for start in range(25)], VERIFIERS)
    right = [start for start, verdict in enumerate(verdicts) if verdict.grade is Grade.RIGHT]
    starts = facts["end"] - facts["length"] + 1
    assert len(right) > 1 and 1 - len(right) / starts == pytest.approx(problem.meta["dial"])
    wrong = next(verdict for verdict in verdicts if verdict.grade is Grade.WRONG)
    assert wrong.reason == "failed_check: somebody is away, or it ends too late"


def test_a_damaged_problem_could_not_be_graded_and_plans_have_no_vote():
    damaged = [EVERY[0].model_copy(update={"answer": text}) for text in ("5", "{", '{"family": "ways", "facts": {}}')]
    verdicts = verify(damaged, ["\\boxed{5}"] * 3, VERIFIERS)
    assert all(v.grade is Grade.FAILED and v.reason.startswith("bad_check") for v in verdicts)
    with pytest.raises(NoEquality):
        vote(EVERY[0], ["5", "5"], VERIFIERS)


def test_levels_and_sizes_are_as_asked_and_the_same_for_the_same_seed():
    assert [p.meta["steps"] for p in graded_tasks("ways", 2)] == [level for level in LEVELS["ways"] for _ in range(2)]
    assert {p.meta["family"] for p in smallest_tasks(3)} == set(SMALLEST)
    assert len({p.id for p in EVERY}) == len(EVERY)
    assert graded_tasks("ways", 3) == graded_tasks("ways", 3) != graded_tasks("ways", 3, seed=1)


def test_every_word_is_known_to_the_tiny_models():
    tokenizer = build_tokenizer(vocabulary_texts(count=400), 480)
    for problem in EVERY:
        assert tokenizer.unk_token_id not in tokenizer(problem.prompt)["input_ids"], problem.prompt
