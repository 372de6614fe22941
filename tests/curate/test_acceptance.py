"""Texts of made problems against their parents, and the arithmetic in solutions: faults put in one at a time."""

import pytest

from phi4r_lib.curate import acceptance

SEED = (
    "Zoe has 14 figs. Max has 11 figs. Then Zoe gives 5 figs to Max. Zoe also has 8 nuts. How many figs does Zoe have?"
)
SAID = (
    "Zoe starts with 14 figs and Max with 11. Zoe hands 5 figs to Max. Zoe has 8 nuts too. How many figs has Zoe now?"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SAID, ""),
        (SAID.replace(" Zoe has 8 nuts too.", ""), "lost numbers: 8"),
        (SAID.replace("Zoe has 8 nuts too.", "Zoe has 8 nuts and 3 pens."), "new numbers: 3"),
        (SAID.replace("14 figs and", "14 figs and twice nothing,"), "new numbers: 2"),
        (SAID.replace("Max", "Zoe"), "lost names: max"),
        (SAID.replace("figs", "pens"), "lost names: figs"),
        (SAID.replace("Zoe hands 5 figs to Max", "Zoe hands 5 figs to Zoe"), "same on both sides: zoe"),
        (SAID.replace("Zoe has 8 nuts too", "Max has 8 nuts too"), "moved numbers: 8"),
        (SAID.replace("Zoe has 8 nuts too", "She has 8 nuts too"), ""),  # a pronoun is nobody else
    ],
)
def test_a_paraphrase_keeps_numbers_names_and_owners(text, reason):
    found = acceptance.fault("paraphrase", SEED, text)
    assert found == reason if not reason else found.startswith(reason)


def test_a_rewrite_may_add_numbers_and_two_things_never_become_one():
    seed = "Show that the red box has more. The red box has 17 pins. The tall box has 7 pins."
    good = "The red box has 17 pins. The tall box has 7 pins. After 2 days, how many more pins has the red box?"
    assert acceptance.fault("rewrite", seed, good) == ""
    merged = good.replace("tall box", "red box").replace("more pins has", "more pins than the red box has")
    assert acceptance.lost_names(seed, merged) == ""  # "tall" is said once, so only the next check sees it
    assert acceptance.moved_numbers(seed, merged) == "" and "the red box" in acceptance.same_on_both_sides(
        seed, "How many more pins has the red box than the red box?"
    )


def test_words_for_numbers_count():
    assert acceptance.lost_numbers("Zoe has half of 12 and then doubles it.", "Zoe has 12.") == "lost numbers: 1/2, 2"
    assert acceptance.lost_numbers("The figs of Zoe triple.", "Zoe has three times as many figs.") == ""
    assert acceptance.lost_numbers("Zoe has half of 12.", "Zoe has 12.", in_words=False) == ""


def test_a_step_without_a_digit_does_not_move_to_somebody_else():
    seed = "Zoe has 32 figs. Zoe gives away half of the figs. Max has 6 figs. How many figs do Zoe and Max have?"
    assert acceptance.fault("paraphrase", seed, seed.replace("Zoe gives", "Max gives")).startswith(
        "moved numbers: times 1/2"
    )


def test_a_digit_and_a_word_of_the_same_value_are_told_apart():
    seed = (
        "Zoe has 9 figs. Zoe loses 2 figs. Max has 5 figs. The figs of Max double. How many figs do Zoe and Max have?"
    )
    assert acceptance.fault("rewrite", seed, seed.replace("Zoe loses 2", "Max loses 2")).startswith("moved numbers: 2")


def test_division_of_code_is_no_false_step():
    assert acceptance.reckons("math", "math") and acceptance.reckons("sums", "math")
    assert not acceptance.reckons("code", "math") and not acceptance.reckons("chemistry", "molecule")


def test_of_a_variant_only_the_numbers_change():
    assert acceptance.fault("numbers", "Zoe has 14 figs. How many?", "Zoe has 3 figs. How many?") == ""
    assert acceptance.fault("numbers", "Zoe has 14 figs. How many?", "Max has 3 figs. How many?").startswith(
        "other words"
    )
    assert acceptance.fault("numbers", "Zoe has 14 figs. How many?", "Max has 3 figs. How many?", strict=False) == ""


def test_puzzles_and_programs_are_not_judged_by_their_words():
    assert acceptance.fault("puzzle", "x = 3\nprint(x)", "Zoe has 3 figs. How many?") == ""
    assert acceptance.fault("program", SEED, "print(3)") == ""


@pytest.mark.parametrize(
    ("text", "false"),
    [
        ("14 - 5 = 9. So 9 figs.", []),
        ("5 / 2 = 2", ["5 / 2 = 2"]),
        ("3 + 4 + 5 = 12", []),
        ("3 + 4 * 5 = 35", ["3 + 4 * 5 = 35"]),
        ("37 > 42", ["37 > 42"]),
        ("10 / 3 = 3.33", []),
        ("10 / 3 = 3.34", ["10 / 3 = 3.34"]),
        (r"6 \times 7 = 42, 6 × 7 = 41", ["6 * 7 = 41"]),
        ("8 - 9 = -1", []),
        ("x = 5, so x + 1 = 6 and 2x = 10", []),  # letters are not looked at
        ("3 + 4 = 7 = 7", []),
        ("7 = 3 + 4", []),
        ("20% = 5", []),
        ("1 / 0 = 3", []),  # no value, no verdict
        ("2 ** 3 = 8 and 2 ^ 3 = 8", []),
    ],
)
def test_false_steps_are_equations_of_plain_numbers_that_do_not_hold(text, false):
    assert acceptance.false_steps(text) == false
