"""Prose and code said again in other words. All texts and their rewordings were written for these tests."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from attacks import ngram_rule

from phi4r_lib.curate.decontaminate import DecontaminationSettings, find_contamination
from phi4r_lib.curate.evidence import evidence_indexes, uncovered, weakly_covered, windows
from phi4r_lib.curate.gist import gist
from phi4r_lib.curate.screen import open_screen
from phi4r_lib.curate.wording import against, code, kind_of, meaning, weight
from phi4r_lib.models.encoder import load_encoder
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import load_problems

ROOT = Path(__file__).parents[2]

PROSE = {
    "Which process lets a glacier carve a U-shaped valley out of bedrock?": (
        "By what process does a glacier carve valleys with the shape of a U from bedrock?"
    ),
    "The medieval guilds controlled apprenticeship chiefly in order to:": (
        "What was the main purpose of medieval guilds in controlling apprenticeships?"
    ),
    "Why does a thermostat use a bimetallic strip rather than a mercury switch?": (
        "What is the reason that thermostats employ bimetallic strips instead of mercury switches?"
    ),
    "What did Rousseau's critics argue about his theory of the general will?": (
        "State the claim that critics of Rousseau made against the theory of a general will."
    ),
    "How do mangrove roots protect a tropical coastline against erosion?": (
        "In which way is erosion of tropical coastlines prevented by the roots of mangroves?"
    ),
}
PYTHON = {
    "reading": '''def longest_streak(readings, limit):
    """Return the length of the longest run of consecutive readings that stay below the limit.

    >>> longest_streak([3, 9, 4, 4, 17], 8)
    2
    """
    best = current = 0
    for reading in readings:
        current = current + 1 if reading < limit else 0
        best = max(best, current)
    return best
''',
    "ticket": '''def cheapest_ticket(zones, fares):
    """Find the cheapest ticket that covers every zone of a journey; fares maps a set of zones to its price."""
    options = [price for covered, price in fares.items() if zones <= covered]
    if not options:
        raise ValueError("no ticket covers the journey")
    return min(options)
''',
}
TRANSLATED = {
    "reading": """// Length of the longest run of consecutive readings below a limit.
// longestRun([3, 9, 4, 4, 17], 8) -> 2
function longestRun(readings, limit) {
    let best = 0, streak = 0, i = 0;
    while (i < readings.length) {
        streak = readings[i] < limit ? streak + 1 : 0;
        if (streak > best) best = streak;
        i++;
    }
    return best;
}""",
    "ticket": """/* Cheapest ticket covering all zones of the journey, or an error if none covers it. */
int cheapest_ticket_for_journey(struct Fare *fares, int count, unsigned zones) {
    int cheapest = -1;
    for (int i = 0; i < count; i++) {
        if ((fares[i].covered_zones & zones) != zones) continue;
        if (cheapest < 0 || fares[i].price < cheapest) cheapest = fares[i].price;
    }
    return cheapest;
}""",
}
UNRELATED = [
    "Which process lets yeast turn sugar into alcohol?",
    "The printing press spread literacy chiefly through:",
    "Why does a bicycle use a chain rather than a belt?",
    "What did Kant argue about the limits of reason?",
    "How do coral reefs feed tropical fish?",
    "def longest_word(words):\n    return max(words, key=len)\n",
    "function cheapestFlight(flights) {\n    return flights.sort((a, b) => a.price - b.price)[0];\n}",
]
ITEMS = [*PROSE, *PYTHON.values()]
REWORDED = [*PROSE.values(), *TRANSLATED.values()]


def test_rewordings_are_found_by_the_rule_of_their_kind():
    found = {(m.train_index, m.eval_index): m.rule for m in find_contamination(REWORDED, ITEMS)}
    rules = ["prose"] * len(PROSE) + ["code"] * len(PYTHON)
    assert found == {(place, place): rule for place, rule in enumerate(rules)}
    assert len(ngram_rule(REWORDED, ITEMS)) <= 1


def test_other_questions_and_functions_are_left_alone():
    assert find_contamination(UNRELATED, ITEMS) == []


def test_a_rewording_inside_a_longer_text_is_found_and_length_alone_is_not():
    words = sorted({word for text in UNRELATED[:5] for word in text.split()})
    rng = random.Random(0)
    noise = [" ".join(rng.choice(words) for _ in range(60)) for _ in range(2)]
    inside = f"{noise[0]}. {REWORDED[0]} {noise[1]}."
    assert {(m.train_index, m.eval_index) for m in find_contamination([inside, " ".join(noise * 20)], ITEMS)} == {
        (0, 0)
    }


def test_the_question_below_a_passage_is_an_item_of_its_own():
    passage = "From a letter of 1839.\nThe whole valley, Sir, was of ice; no river has made it, nor ever could have.\n"
    found = find_contamination([REWORDED[0]], [passage + ITEMS[0]])
    assert [(m.eval_index, m.rule) for m in found] == [(0, "prose")]


def test_a_shared_frame_is_no_evidence():
    items = ["Which of the following is not a characteristic of totalitarian societies?"]
    assert find_contamination(["Which of the following is NOT a characteristic of introns?"], items) == []


def test_where_templates_are_shared_rewordings_are_not_looked_for_and_that_is_said():
    allow = DecontaminationSettings(templates="allow")
    assert find_contamination(REWORDED, ITEMS, settings=allow) == []
    reasons = uncovered([*REWORDED, "Tom has 3 pears and buys 5. How many has he?"], allow)
    assert sorted(place for places in reasons.values() for place in places) == list(range(len(REWORDED)))
    assert all("templates are allowed" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Tom has 3 pears and buys 5 more. How many pears has he now?", "word problem"),
        ("Six boys share eighteen nuts. How many does each get?", "word problem"),
        (ITEMS[0], "prose"),
        ("In 1839 the treaty of 1648 was still quoted in every chancellery of the continent.", "prose"),
        ("Here is my try:\n```\nx\n```", "code"),
        ("int main() {\n    return 0;\n}", "code"),
        (PYTHON["ticket"], "code"),
        ("Функция возвращает наибольший общий делитель двух целых чисел", "other"),
        ("Why?", "other"),
        ("", "other"),
    ],
)
def test_kinds(text, kind):
    assert kind_of(text) == kind
    assert (uncovered([text], DecontaminationSettings()) != {}) == (kind == "other")


def test_synonyms_meet_and_rare_features_prove_more():
    assert meaning("largest") == meaning("maximum") != meaning("smallest")
    assert weight(meaning("society"), "prose") < weight(meaning("guilds"), "prose")
    assert weight("=17", "code") < weight("=1700", "code")
    assert weight("zeppelin", "prose", 10, 10) < weight("zeppelin", "prose", 10, 0)


def test_windows_cover_every_feature():
    features = [str(number) for number in range(205)]
    parts = windows(features, 40)
    assert set().union(*parts) == set(features) and max(map(len, parts)) == 40


def test_a_translation_inside_a_long_program_is_found_and_the_program_alone_is_not():
    rng = random.Random(0)
    words = [
        "alpha",
        "river",
        "copper",
        "engine",
        "valve",
        "socket",
        "packet",
        "queue",
        "buffer",
        "kernel",
        "orbit",
        "planet",
        "market",
        "ledger",
        "client",
        "folder",
    ]
    other = "\n".join(
        f"def {one}_{two}({three}, width={rng.randint(3, 90)}):\n    # merge the {two} with the {three}\n    return {one}({three})\n"
        for one, two, three in (rng.sample(words, 3) for _ in range(80))
    )
    found = find_contamination([other + TRANSLATED["reading"] + "\n" + other, other * 2], ITEMS)
    assert [(m.train_index, ITEMS[m.eval_index]) for m in found] == [(0, PYTHON["reading"])]


def mixtures(texts, count, seed):
    """Texts whose lines, or words where there is one line, come from two or three of the given ones."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        sources = [text.splitlines() if "\n" in text else text.split() for text in rng.sample(texts, rng.randint(2, 3))]
        parts = [part for source in sources for part in source if rng.random() < 0.7]
        made.append(("\n" if any(" " in part for part in parts) else " ").join(parts))
    return made


@pytest.mark.parametrize("survivors", [False, True])
def test_pairs_that_are_not_looked_at_would_not_have_counted(survivors):
    programs = [*PYTHON.values(), *TRANSLATED.values(), *UNRELATED[5:], DRAWERS, OTHER_EXAMPLES, KNOTS, SAME_ORDER]
    asked = [*PROSE, *PROSE.values(), *UNRELATED[:5]]
    items = [*ITEMS, DRAWERS, KNOTS, *mixtures(asked, 60, 0), *mixtures(programs, 60, 1)]
    texts = [*REWORDED, *mixtures(asked, 200, 2), *mixtures(programs, 200, 3), "\n".join(mixtures(programs, 12, 4))]
    for index in evidence_indexes(items, DecontaminationSettings(), survivors=survivors):
        every = sorted(zip(*index.similar(texts), strict=True))
        for least in (index.floor, index.rule.least):
            found = sorted(zip(*index.similar(texts, least), strict=True))
            wanted = [pair for pair in every if pair[2] >= least]
            assert [pair[:2] for pair in found] == [pair[:2] for pair in wanted] and 100 < len(found) < len(every)
            assert np.allclose(found, wanted)


def test_close_rewordings_go_to_the_judge():
    close = "Which process lets a large glacier move slowly?"
    asked = []
    found = find_contamination([close], ITEMS, judge=lambda text, item: asked.append(item) or True)
    assert find_contamination([close], ITEMS) == []
    assert asked == [ITEMS[0]] and [m.rule for m in found] == ["judge"]


DRAWERS = '''def fits_drawer(tools, drawer):
    """Say whether every tool of the list fits the drawer, and whether none sticks out.

    >>> fits_drawer(["awl", "file", "rasp"], 40)
    (True, True)
    >>> fits_drawer(["adze"], 12)
    (False, None)
    >>> fits_drawer([], 7)
    (True, None)
    """
    return all(LENGTHS[tool] <= drawer for tool in tools), len(tools) > 1 or None
'''
OTHER_EXAMPLES = '''def tool_drawer_check(instruments, size):
    """Tests if the drawer takes all instruments, and that no tool is sticking out.

    >>> tool_drawer_check(["saw", "plane", "vice"], 55)
    (True, True)
    >>> tool_drawer_check(["crowbar"], 31)
    (False, None)
    >>> tool_drawer_check([], 3)
    (True, None)
    """
    i = 0
    while i < len(instruments):
        if LENGTHS[instruments[i]] > size:
            return False, None
        i += 1
    return True, i > 1 or None
'''


def test_examples_with_other_values_speak_for_a_pair_and_not_against_it():
    assert [(m.eval_index, m.rule) for m in find_contamination([OTHER_EXAMPLES], [*ITEMS, DRAWERS])] == [
        (len(ITEMS), "code")
    ]
    cut = OTHER_EXAMPLES[: OTHER_EXAMPLES.index("    >>>")] + OTHER_EXAMPLES[OTHER_EXAMPLES.index('    """\n    i =') :]
    assert find_contamination([cut], [*ITEMS, DRAWERS]) == []


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("f([3, 14], 'red fox')", ["=3", "=14", '"red', '"fox', "#00:1", '#":1']),
        (
            'f("a", -1, true) == None; g("b", 2.5, False)',
            ["=2.5", '#"0t:1', "#n:1", '#"0f:1', '~",0,t|n|"10332', '~0,t|n|",003321', '~t|n|",0,f22102'],
        ),
        ("x = {1, 2}, {0, 0}", ["#00:1", "#00:2"]),
        ("f([4, 9], 4) == 19", ["=4", "=9", "=4", "=19", "#00:1", "#0:1", "#0:2"]),
        ("[4, 9, 4], 6 == 9", ["=4", "=9", "=4", "=6", "=9", "#000:1", "#0:1", "#0:2", "~0,0,0|0|002012"]),
        ("[1, 2, 3, 4, 5, 6]", ["=3", "=4", "=5", "=6", "#000000:1"]),
        ("# The foxes' den isn't red.", ["fox", "den", "isn", "red", "fox den", "den isn", "isn red"]),
    ],
)
def test_what_is_read_of_a_program(text, features):
    assert code(text) == features
    assert [against(feature) for feature in ("=3", '"red', "#00:1", "~n", "fox", "red fox")] == [0.5, 0, 0, 0, 1, 1]


KNOTS = '''def knots(rope, bights):
    """Count what is tied.

    >>> knots([7, 2, 9, 2], 2)
    [7, 9]
    >>> knots([4, 1, 8, 6], 8)
    [4, 1, 6]
    >>> knots([3, 3], 3)
    []
    """
    return [each for each in rope if each != bights]
'''
SAME_ORDER = '''def untied(line, loop):
    """How many ties?

    >>> untied([30, 11, 45, 11], 11)
    [30, 45]
    >>> untied([25, 12, 64, 50], 64)
    [25, 12, 50]
    >>> untied([18, 18], 18)
    []
    """
    return list(filter(lambda one: one != loop, line))
'''


def test_examples_meet_in_the_order_of_their_values_and_not_in_their_shape_alone():
    found = find_contamination([SAME_ORDER], [*ITEMS, KNOTS])
    assert [(m.eval_index, m.rule) for m in found] == [(len(ITEMS), "code")]
    other = SAME_ORDER.replace("[30, 11, 45, 11], 11", "[11, 30, 11, 30], 45").replace(
        "[25, 12, 64, 50], 64", "[12, 25, 50, 64], 12"
    )
    other = other.replace("[30, 45]", "[11, 30]").replace("[25, 12, 50]", "[50, 25, 12]")
    assert find_contamination([other], [*ITEMS, KNOTS]) == []


def test_another_run_of_the_same_kind_and_a_shorter_one_prove_less():
    proofs = [weight(feature, "code") for feature in ("#0000:1", "#00:1", "#00:2", "#00:9")]
    assert proofs == sorted(proofs, reverse=True) and proofs[-1] > 0


OTHER_WORDS = {  # the rules by words find none of these
    "How do mangrove roots protect a tropical coastline against erosion?": (
        "By what means do mangroves keep a tropical shore from being washed away?"
    ),
    PYTHON["reading"]: (
        'def run(values, top):\n    """How long the longest run of consecutive readings is."""\n'
        "    n = m = 0\n    for v in values:\n        n = (v < top) * (n + 1)\n        m = max(m, n)\n    return m\n"
    ),
}


def same_sense(texts):
    """Vectors of a perfect encoder for OTHER_WORDS: what says the same points the same way, all else nowhere."""
    pairs = [{gist(text, kind_of(text)) for text in pair} for pair in OTHER_WORDS.items()]
    return np.array([[float(text in pair) for pair in pairs] for text in texts])


def test_an_encoder_finds_what_shares_few_words_and_loses_nothing():
    texts = list(OTHER_WORDS.values())
    assert find_contamination(texts, ITEMS) == []
    found = find_contamination(texts, ITEMS, encoder=same_sense)
    assert [(m.eval_index, m.rule, m.score) for m in found] == [(4, "prose", 1.0), (5, "code", 1.0)]
    pairs = {(m.train_index, m.eval_index) for m in find_contamination(REWORDED, ITEMS, encoder=same_sense)}
    assert pairs == {(place, place) for place in range(len(ITEMS))}  # though the encoder calls them different
    assert (
        find_contamination(texts, ITEMS, encoder=same_sense, settings=DecontaminationSettings(templates="allow")) == []
    )


@pytest.mark.skipif("PHI4R_ENCODER" not in os.environ, reason="PHI4R_ENCODER names no folder of all-MiniLM-L6-v2")
def test_a_real_encoder_finds_rewordings_and_leaves_other_texts_alone():
    encoder = load_encoder(os.environ["PHI4R_ENCODER"])
    found = find_contamination([*OTHER_WORDS.values(), *REWORDED], ITEMS, encoder=encoder)
    assert [(m.train_index, m.eval_index) for m in found] == [(0, 4), (1, 5), *((n + 2, n) for n in range(len(ITEMS)))]
    assert find_contamination(UNRELATED, ITEMS, encoder=encoder) == []


def test_the_tables_of_common_words_can_be_rebuilt(tmp_path):
    rows = [
        {"subject": "logic", "question": f"Ann argues about {thing}"} for thing in ("pears", "x", "trees", "x", "pears")
    ]
    rows += [{"subject": "sociology", "question": "left out"}] * 2
    write_rows(tmp_path / "questions.jsonl", rows)
    command = [sys.executable, "benchmarks/common_words.py", "--prose", str(tmp_path / "questions.jsonl")]
    done = subprocess.run([*command, "--without", "sociology"], capture_output=True, text=True, check=True, cwd=ROOT)
    found = {}
    exec(done.stdout, found)
    assert {step: "".join(words).split() for step, words in found["PROSE"].items()} == {
        1: ["ann", "argu", "pear"],
        2: ["tree"],
    }


def test_rows_of_kinds_that_are_found_too_seldom_are_named_with_the_measured_recall():
    texts = [*PROSE, "Ann has 3 apples and gets 4 more. How many apples does she have?", "def f(a):\n    return a + 1"]
    found = weakly_covered(texts, DecontaminationSettings())
    assert [reason.split(":")[0] for reason in found] == ["prose", "code"]
    assert list(found.values()) == [list(range(len(PROSE))), [len(PROSE) + 1]]
    assert all("0.8" in reason for reason in found)
    assert weakly_covered(texts, DecontaminationSettings(), encoded=True) == {}
    assert weakly_covered(texts, DecontaminationSettings(templates="allow")) == {}


def test_a_screen_without_an_encoder_says_which_rows_are_found_too_seldom(tmp_path, tiny_encoder):
    write_rows(
        tmp_path / "items.jsonl",
        [
            {"id": f"i{n}", "domain": "other", "source": "ours", "licence": "MIT", "prompt": item}
            for n, item in enumerate(ITEMS)
        ],
    )
    rows = load_problems(tmp_path / "items.jsonl")
    plain = open_screen([tmp_path / "items.jsonl"])
    encoded = open_screen([tmp_path / "items.jsonl"], tiny_encoder)
    assert [len(ids) for ids in plain.blind(rows).values()] == [len(PROSE), len(PYTHON)]
    assert encoded.blind(rows) == {}
    assert [row["rule"] for row in encoded.met([("a", ITEMS[0], None)], "seed")] == ["exact"]
