"""Planning tasks as problems, judged through the one door by a verifier that is named by its import path."""

import json
import random
import re
from collections import Counter

import pytest

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.verify import NoEquality, examples, verify, vote
from phi4r_lib.worlds import make_data
from phi4r_lib.worlds.corpus import answer_mix, trunk_mix
from phi4r_lib.worlds.planning_verifier import LEVELS, REPORTED, UNSOLVABLE, VERIFIERS, graded_tasks, unsolvable_tasks

EVERY = [*(problem for family in LEVELS for problem in graded_tasks(family, 12)), *unsolvable_tasks(12)]


def test_a_right_plan_of_every_problem_is_right_and_nonsense_is_not():
    right = [f"<think> 1. </think> \\boxed{{{answer}}}" for answer in examples(EVERY, VERIFIERS)]
    assert {verdict.grade for verdict in verify(EVERY, right, VERIFIERS)} == {Grade.RIGHT}
    for text in ("\\boxed{98}", "\\boxed{yes}", "\\boxed{}", "no idea"):
        assert Grade.RIGHT not in {verdict.grade for verdict in verify(EVERY, [text] * len(EVERY), VERIFIERS)}


def test_no_is_right_only_where_nothing_works():
    feasible = [problem.meta["feasible"] for problem in EVERY]
    verdicts = verify(EVERY, ["\\boxed{no}"] * len(EVERY), VERIFIERS)
    assert [verdict.grade is Grade.WRONG for verdict in verdicts] == feasible and 0 < sum(feasible) < len(feasible)


def test_another_right_start_counts_and_a_wrong_one_says_why():
    problem = next(p for p in graded_tasks("calendar", 12) if p.meta["dial"] < 0.8)
    facts = json.loads(problem.answer)["facts"]
    verdicts = verify([problem] * 60, [f"\\boxed{{{start}}}" for start in range(60)], VERIFIERS)
    right = [start for start, verdict in enumerate(verdicts) if verdict.grade is Grade.RIGHT]
    (a, b), (c, d) = facts["free"]
    assert right == list(range(max(a, c), min(b, d) - facts["length"] + 1)) and len(right) > 1
    wrong = verdicts[right[-1] + 1]
    assert wrong.reason == "failed_check: somebody is not free, or not for long enough"


def test_a_damaged_problem_could_not_be_graded_and_plans_have_no_vote():
    damaged = [EVERY[0].model_copy(update={"answer": text}) for text in ("5", "{", '{"family": "ways", "facts": {}}')]
    verdicts = verify(damaged, ["\\boxed{5}"] * 3, VERIFIERS)
    assert all(v.grade is Grade.FAILED and v.reason.startswith("bad_check") for v in verdicts)
    with pytest.raises(NoEquality):
        vote(EVERY[0], ["5", "5"], VERIFIERS)


def test_levels_and_sizes_are_as_asked_and_the_same_for_the_same_seed():
    assert [p.meta["steps"] for p in graded_tasks("ways", 2)] == [level for level in LEVELS["ways"] for _ in range(2)]
    assert [p.meta["family"] for p in unsolvable_tasks(2)] == [family for family in UNSOLVABLE for _ in range(2)]
    assert {p.meta["feasible"] for p in EVERY[:-36]} == {True} and {p.meta["feasible"] for p in EVERY[-36:]} == {False}
    assert len({p.id for p in EVERY}) == len(EVERY)
    assert graded_tasks("ways", 3) == graded_tasks("ways", 3) != graded_tasks("ways", 3, seed=1)


def trained_words() -> set[str]:
    """Words of the texts that the tiny base was trained on, rare ones aside."""
    rng, counts = random.Random(0), Counter()
    for mix in (trunk_mix, answer_mix):
        for _ in range(1500):
            counts.update(set(re.findall(r"[A-Za-z]+|[0-9]+", " ".join(part for part in mix(rng) if part))))
    return {word for word, count in counts.items() if count >= 5}


def test_every_word_and_number_is_one_that_the_base_was_trained_on():
    known = trained_words() | {"way"}  # "way" names what the near family compares
    for problem in EVERY:
        assert set(re.findall(r"[A-Za-z]+|[0-9]+", problem.prompt)) <= known, problem.prompt


def test_the_shipped_planning_problems_have_one_right_number_each_and_known_words():
    problems, known = make_data.planning_problems(60, random.Random(1), set()), trained_words()
    assert {p.meta["family"] for p in problems} == {f"planning/{family}" for family in REPORTED}
    assert [p.id for p in problems] == [f"planning-{n:04d}" for n in range(1, 61)]
    assert all(p.verifier == "math" and 1 <= int(p.answer) <= 99 for p in problems)
    assert all(set(re.findall(r"[A-Za-z]+|[0-9]+", p.prompt)) <= known for p in problems)
