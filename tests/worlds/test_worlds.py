"""The worlds: sound arithmetic, real executions, splits without overlap, files that rebuild to the byte."""

import json
import random
import re
from pathlib import Path

import pytest

from phi4r_lib.problems.sandbox import run_python
from phi4r_lib.problems.schema import load_gold, load_problems
from phi4r_lib.worlds import code_world, make_data, math_world, planning_world, safety_world
from phi4r_lib.worlds.math_world import FRAMES, MAX_STEPS, MIN_STEPS, STRUCTURES
from phi4r_lib.worlds.steps import MAX_NUMBER

DATA = Path(__file__).parents[2] / "data"
GIVEN = re.compile(r"\w+: \d+\.$")
STEP = re.compile(r"(\d+) ([-+*/>]) (\d+)(?: = (\d+))?\.$")


def stories(count: int = 300):
    rng = random.Random(7)
    for number in range(count):
        structure = STRUCTURES[number % len(STRUCTURES)]
        low, high = MIN_STEPS.get(structure, 1), MAX_STEPS.get(structure, 8)
        steps = low + number % (high - low + 1)
        yield math_world.make_story(structure, rng.choice(FRAMES), steps, rng, number % 3), rng


def test_every_worked_step_is_true_and_the_last_one_gives_the_answer():
    for story, _ in stories():
        work = math_world.work(story)
        for line in (line for line in work.steps if not GIVEN.match(line)):
            a, sign, b, result = STEP.search(line).groups()
            if sign == ">":
                assert int(a) > int(b)
            else:
                assert eval(f"{a}{sign}{b}") == int(result)
        assert 0 <= work.answer <= MAX_NUMBER
        assert str(work.answer) in work.steps[-1]
        assert len(work.skills) == sum(not GIVEN.match(line) for line in work.steps)


def test_a_story_keeps_its_answer_in_other_words_and_stays_sound_with_other_numbers():
    for story, rng in stories(100):
        assert math_world.work(story) == math_world.work(story)
        other = math_world.renumbered(story, rng)
        assert 0 <= math_world.work(other).answer <= MAX_NUMBER
        assert [event.kind for event in other.events] == [event.kind for event in story.events]


def test_steps_count_the_difficulty():
    rng = random.Random(0)
    for steps in range(1, 9):
        assert len(math_world.work(math_world.make_story("chain", FRAMES[0], steps, rng)).skills) == steps


@pytest.mark.parametrize(
    ("structure", "steps"), [("chain", 0), ("chain", 9), ("relation", 4), ("total", 1), ("ballad", 2)]
)
def test_impossible_stories_are_refused(structure, steps):
    with pytest.raises(ValueError, match="steps"):
        math_world.make_story(structure, FRAMES[0], steps, random.Random(0))


def test_families_are_many_and_in_one_split_each():
    by_split = {
        split: {pair for pair in math_world.families() if math_world.family_split(*pair) == split}
        for split in ("train", "validation", "benchmark")
    }
    assert len(math_world.families()) >= 12
    assert sum(map(len, by_split.values())) == len(math_world.families())
    for pairs in by_split.values():
        assert {structure for structure, _ in pairs} == set(STRUCTURES)


@pytest.mark.parametrize("family", sorted(code_world.CODE_FAMILIES))
def test_program_answers_are_what_python_prints(family):
    program = code_world.make_program(family, 5, random.Random(3))
    result = run_python(program.source, wall_s=120, cpu_s=60, memory_mb=256, allow_unsandboxed=True)
    assert result.stdout.strip() == str(program.answer)


def test_plans_are_solved_by_following_them():
    rng = random.Random(5)
    for _ in range(50):
        plan = planning_world.make_walk(4, rng)
        square = int(re.search(r"starts at (\d+)", plan.text).group(1))
        wall = int(re.search(r"wall at (\d+)", plan.text).group(1))
        for length, side in re.findall(r"goes (\d+) (left|right)", plan.text):
            square = min(wall, square + int(length)) if side == "right" else max(1, square - int(length))
        assert plan.answer == square
    schedule = planning_world.make_schedule(3, rng)
    lengths = [int(length) for length in re.findall(r"takes (\d+)", schedule.text)]
    assert schedule.answer == int(re.search(r"starts at (\d+)", schedule.text).group(1)) + sum(lengths)


def test_safety_requests_have_one_split_and_replies_tell_their_kind():
    train, held_out = safety_world.requests("train"), safety_world.requests("benchmark")
    assert not {request.thing for request in train} & {request.thing for request in held_out}
    for kind, reply in safety_world.REPLIES.items():
        assert safety_world.reply_kind(reply) == kind
    assert safety_world.reply_kind("Good morning") is None


def test_shipped_files_rebuild_to_the_byte(tmp_path):
    (tmp_path / "seeds").mkdir()
    counts = make_data.write_worlds(tmp_path)
    for name in counts:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_no_prompt_stands_in_two_files_but_the_planted_leaks():
    seeds = load_problems(DATA / "seeds/math.jsonl")
    planted = [seed for seed in seeds if "planted" in seed.meta]
    assert len(planted) == len(make_data.PLANTED)
    honest = {seed.prompt for seed in seeds if "planted" not in seed.meta}
    held_out = [
        p.prompt for name in ("contest", "validation") for p in load_problems(DATA / f"benchmarks/{name}.jsonl")
    ]
    assert len(set(held_out)) == len(held_out)
    assert not honest & set(held_out)


def test_the_contest_has_eight_years_of_rising_difficulty():
    problems = load_problems(DATA / "benchmarks/contest.jsonl")
    years = {year: [p.meta["steps"] for p in problems if p.meta["year"] == year] for year in range(1, 9)}
    assert {len(steps) for steps in years.values()} == {30}
    means = [sum(steps) / 30 for steps in years.values()]
    assert means == sorted(means)


def test_seeds_hold_no_gold_and_gold_covers_every_seed():
    gold = load_gold(DATA / "seeds/gold.jsonl")
    for name in ("math", "open", "code", "safety"):
        for seed in load_problems(DATA / f"seeds/{name}.jsonl"):
            assert seed.answer is None
            assert gold[seed.id]


def test_problem_files_load_with_datasets():
    import datasets

    rows = datasets.load_dataset("json", data_files=str(DATA / "benchmarks/contest.jsonl"), split="train")
    assert len(rows) == 240
    assert json.loads(json.dumps(rows[0]))["id"] == "contest-0001"
