"""The exact reader: every story of the world reads back to its answer, and what is no sound problem does not read."""

import random
from pathlib import Path

import pytest

from phi4r_lib.problems.schema import Problem, load_gold, load_problems
from phi4r_lib.worlds import math_world
from phi4r_lib.worlds.reading import is_faithful, open_question, read_story

SEEDS = Path(__file__).parents[2] / "data" / "seeds"


@pytest.mark.parametrize("name", ["math", "open"])
def test_all_seeds_read_to_their_gold_answers(name):
    gold = load_gold(SEEDS / "gold.jsonl")
    for seed in load_problems(SEEDS / f"{name}.jsonl"):
        assert str(read_story(open_question(seed.prompt)).answer) == gold[seed.id], seed.prompt


def test_other_words_for_a_story_read_the_same_and_other_numbers_as_a_variant():
    rng = random.Random(3)
    for structure in math_world.STRUCTURES:
        story = math_world.make_story(structure, math_world.FRAMES[3], 3, rng, asides=1)
        one, two = (read_story(math_world.prompt(story, rng)) for _ in range(2))
        assert one.outline() == two.outline()
        other = math_world.renumbered(story, rng)
        read = read_story(math_world.prompt(other, rng))
        assert read.outline(numbers=False) == one.outline(numbers=False)
        assert read.answer == math_world.work(other).answer


@pytest.mark.parametrize(
    "text",
    [
        "Ivy has 14 cakes. Then Ivy gives 11 cakes to Ivy. How many cakes does Ivy have?",
        "The red jar has 17 coins. The red jar has 7 coins. How many coins does the red jar have?",
        "The red jar has 17 coins. How many coins do the red jar and the red jar have in all?",
        "Cal has 5 stones. Cal gives away half of the stones. How many stones does Cal have?",
        "Cal has 5 stones. Cal loses 7 stones. How many stones does Cal have?",
        "Cal has 5 stones. Bob has 2 stones. Cal gets 7 stones from Bob. How many stones does Cal have?",
        "Cal has 5 stones. Cal gains 2 cakes. How many stones does Cal have?",
        "Cal has 5 stones. Cal sings. How many stones does Cal have?",
        "Cal has 5 stones. How many stones does Bob have?",
        "Cal has 5 stones.",
        "",
    ],
)
def test_what_is_no_sound_problem_does_not_read(text):
    assert read_story(text) is None


def parent(source="phi4r math world", prompt="Cal has 16 stones. Cal loses 7 stones. How many stones does Cal have?"):
    return Problem(id="p", domain="math", prompt=prompt, source=source, licence="MIT")


def test_faithful_means_the_same_story_and_the_answer_of_its_own_text():
    said = "Cal starts with 16 stones. Then 7 stones are taken from Cal. How many stones does Cal have?"
    assert is_faithful("paraphrase", said, "9", parent(), "9")
    assert is_faithful("paraphrase", said, None, parent(), "9")
    assert not is_faithful("paraphrase", said, "3", parent(), "9")
    assert not is_faithful("paraphrase", said.replace("7", "8"), "8", parent(), "9")
    assert is_faithful("numbers", said.replace("7", "8"), "8", parent(), None)
    assert not is_faithful("numbers", said.replace("7", "17"), "1", parent(), None)


def test_puzzles_and_programs_keep_the_parents_answer():
    program = parent("phi4r code world", "x = 16\nx = x - 7\nprint(x)\nWhat does it print?")
    told = "Cal has 16 stones. Cal loses 7 stones. How many stones does Cal have?"
    assert is_faithful("puzzle", told, "9", program, "9") and not is_faithful("puzzle", told, "9", program, "4")
    assert is_faithful("program", "x = 16\nprint(x - 7)", "9", parent(), "9")
    assert is_faithful("puzzle", told, "9", program, None) is None


def test_foreign_problems_are_judged_by_gold_alone():
    assert is_faithful("rewrite", "What is 3 + 4?", "7", parent("elsewhere"), "7")
    assert is_faithful("rewrite", "What is 3 + 4?", "7", parent("elsewhere"), None) is None
    assert is_faithful("numbers", "What is 3 + 5?", "8", parent("elsewhere"), "7") is None
