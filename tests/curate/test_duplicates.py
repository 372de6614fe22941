"""Near-duplicates: the first of a group stays, removals carry their exact similarity, the result never varies."""

import random
from array import array

import pytest

from phi4r_lib.curate.duplicates import CROWD, Duplicate, _Kept, jaccard, remove_duplicates, shingles

TEXT = "Ana has 12 red marbles and buys 7 more at the market. How many marbles does Ana have at the end of the day?"


def test_identical_texts_up_to_case_and_punctuation_leave_the_first():
    result = remove_duplicates([TEXT, "Something else with 5 words", TEXT.upper().replace(".", " !"), TEXT])
    assert result.kept == [0, 1]
    assert result.removed == [Duplicate(2, 0, 1.0), Duplicate(3, 0, 1.0)]


def test_near_duplicate_is_removed_with_its_exact_similarity():
    near = TEXT.replace("end of the day", "end of the week")
    overlap = jaccard(shingles(TEXT, 3), shingles(near, 3))
    assert 0.8 < overlap < 1
    assert remove_duplicates([TEXT, near], threshold=0.8).removed == [Duplicate(1, 0, overlap)]
    assert remove_duplicates([TEXT, near], threshold=0.99).kept == [0, 1]


def test_other_numbers_are_not_a_duplicate():
    texts = [TEXT, TEXT.replace("12", "31").replace("7", "25")]
    assert remove_duplicates(texts, threshold=0.8).kept == [0, 1]


def test_result_is_deterministic_and_complete():
    texts = [f"Problem {i % 40}: a train travels {i % 40} miles in {i % 7} hours, how fast is it?" for i in range(200)]
    first = remove_duplicates(texts)
    assert first == remove_duplicates(texts)
    assert sorted(first.kept + [row.removed for row in first.removed]) == list(range(200))
    assert all(row.kept in first.kept and row.kept < row.removed and row.similarity >= 0.8 for row in first.removed)
    assert not [index for index in first.kept if index >= 40 and texts[index] in texts[:index]]


def crowd(count, rng):
    """One template told with other numbers: the overlap of any two is .83, below the threshold asked for below."""
    words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(33)]
    return [" ".join([*words[:15], str(rng.randrange(10**9)), *words[15:]]) for _ in range(count)]


def test_a_crowd_of_one_template_costs_no_square_and_hides_no_repetition():
    """Of each band the first CROWD are compared; what says the same again is met all the same."""
    texts = crowd(6 * CROWD, random.Random(0))
    again = [text.upper() + "!" for text in texts[-CROWD:]]
    near = [text + " indeed" for text in texts[-CROWD:]]
    found = remove_duplicates([*texts, *again, *near], threshold=0.9)
    removed = {one.removed: one.kept for one in found.removed}
    first = len(texts)
    assert min(removed) >= first  # no two tellings are the same
    assert [removed[first + n] for n in range(CROWD)] == list(range(first - CROWD, first))
    assert sum(first + CROWD + n in removed for n in range(CROWD)) >= 0.9 * CROWD


def test_the_bands_of_a_crowd_stay_short():
    kept = _Kept(1)
    for index in range(3 * CROWD):
        kept.add(index, array("q", [index]), [7])
    assert len(kept.tables[0][7]) == CROWD and kept.nearest(array("q", [2]), [7]) == (1.0, 2)


def test_texts_without_words_are_kept():
    assert remove_duplicates(["", "?!", "", "a b c"]).kept == [0, 1, 2, 3]
    assert remove_duplicates([]).kept == []


@pytest.mark.parametrize("threshold", [0, -1, 1.2])
def test_bad_threshold(threshold):
    with pytest.raises(ValueError, match="threshold"):
        remove_duplicates([TEXT], threshold=threshold)


def test_bad_text():
    with pytest.raises(ValueError, match="text 1 is NoneType"):
        remove_duplicates([TEXT, None])
