"""Decontamination: every pitfall of published filters as a case, the planted leaks, attacks with their answers known."""

import dataclasses
import json
import random
from pathlib import Path

import pytest
from attacks import ATTACKS, NEW_ANSWER, attack, ngram_rule, rate, recall, report

from phi4r_lib.curate import fingerprints as fp
from phi4r_lib.curate import overlap
from phi4r_lib.curate.decontaminate import (
    DecontaminationSettings,
    build_index,
    find_contamination,
    scan,
)
from phi4r_lib.curate.overlap import numbers_agree

DATA = Path(__file__).resolve().parents[2] / "data"
ALLOW = DecontaminationSettings(templates="allow")
ITEMS = [
    "Marta picks 36 pears in the orchard. She bakes 3 pies with 4 pears each and sells the rest for $2 a pear. "
    "How much money does Marta earn?",
    "A ferry crosses the river 14 times a day. Every crossing carries 25 cars and 60 passengers on foot. "
    "How many cars does the ferry carry in a week?",
    "Evaluate 7 factorial.",
    "A rectangle has a perimeter of 48 cm and is twice as long as wide. What is its area in square centimetres?",
    "Solve x + 3 = 19.",
]
ANSWERS = ["48", "2450", "5040", "128", "16"]
OTHERS = [
    "Tom reads 12 pages of his novel every evening. How many pages does he read in 30 evenings?",
    "Seven painters need five days for a fence. How long do ten painters need?",
    "A baker sells rolls for 40 cents and loaves for 3 euros. On Monday she sells 80 rolls and 25 loaves. "
    "What is her income?",
]


def pairs(matches):
    return {(match.train_index, match.eval_index) for match in matches}


def read(name):
    return [json.loads(line) for line in (DATA / name).open(encoding="utf-8")]


def test_clean_texts_match_nothing():
    assert find_contamination(OTHERS, ITEMS) == []
    assert find_contamination([], ITEMS) == []
    assert find_contamination(["", "   ", "?!"], [*ITEMS, "", "..."]) == []


def test_exact_ignores_case_punctuation_spacing_and_line_breaks():
    disguised = [
        item.upper().replace(".", "").replace("?", "!").replace(" ", "\n  ") for item in ITEMS if "=" not in item
    ]
    matches = find_contamination(disguised, [item for item in ITEMS if "=" not in item])
    assert [(m.train_index, m.eval_index, m.rule, m.score) for m in matches] == [
        (index, index, "exact", 1.0) for index in range(4)
    ]


@pytest.mark.parametrize("width", [10, 20, 40, 80])
def test_rewrapped_lines_and_hidden_characters(width):
    """A 13-gram filter on raw lines falls from .87 to 0 when only line breaks change."""
    text = "\r\n".join(ITEMS[0][i : i + 200] for i in range(0, 400, 200))
    wrapped = "\n\t".join(text.split(" ")[: width // 5]) + " " + "\u00a0".join(text.split(" ")[width // 5 :])
    soft = ITEMS[1].replace("ferry", "fer\u00adry").replace("crossing", "cros\u200bsing")
    assert pairs(find_contamination([wrapped, soft], ITEMS)) == {(0, 0), (1, 1)}


@pytest.mark.parametrize(("text", "item"), [("Evaluate 7 factorial", 2), ("solve x+3=19", 4)])
def test_items_shorter_than_an_n_gram_window_are_found(text, item):
    """The 8-gram rule can never match an item of fewer than 8 words, not even with itself."""
    inside = f"Here comes a nice little exercise for you: {text}! Then explain your result to a friend."
    assert {(0, item), (1, item)} == pairs(find_contamination([text, inside], ITEMS))
    assert ngram_rule([text, inside], ITEMS) == []


def test_short_items_do_not_match_other_numbers_or_operators():
    """Masking the numbers of 'Solve x + 3 = 19' would flag every little equation."""
    assert find_contamination(["Solve x + 4 = 11.", "Solve x * 3 = 19.", "Evaluate 9 factorial."], ITEMS) == []


def test_very_short_items_match_only_exactly():
    assert pairs(find_contamination(["Compute 7!", "Please compute 7 and then stop"], ["Compute 7"])) == {(0, 0)}


def test_number_and_name_variants_are_flagged_or_allowed_as_asked():
    variant = ITEMS[0].replace("36", "85").replace("3 pies", "6 pies").replace("Marta", "Kofi").replace("$2", "$5")
    assert [(m.eval_index, m.rule) for m in find_contamination([variant], ITEMS)] == [(0, "containment")]
    assert find_contamination([variant], ITEMS, settings=ALLOW) == []
    assert pairs(find_contamination([ITEMS[0].replace("Marta", "Kofi")], ITEMS, settings=ALLOW)) == {(0, 0)}


def test_paraphrase_is_found_by_its_numbers_and_answer_only():
    """The 8-gram rule finds 4% of paraphrases: no eight words in a row survive."""
    text = (
        "From the 36 pears Marta gathered, each of three pies took 4. At two dollars apiece, the remaining pears were "
        "sold. What did Marta earn?"
    )
    found = find_contamination([text], ITEMS, train_answers=["$48.00"], eval_answers=ANSWERS)
    assert [(m.eval_index, m.rule) for m in found] == [(0, "numbers")]
    assert find_contamination([text], ITEMS, train_answers=["50"], eval_answers=ANSWERS) == []
    assert ngram_rule([text], ITEMS) == []


def test_same_numbers_and_answer_about_something_else_is_clean():
    text = "A choir of 36 splits into 3 groups; 4 singers and 2 soloists are ill. How many stands are left in the hall?"
    assert find_contamination([text], ITEMS, train_answers=["48"], eval_answers=ANSWERS) == []


def test_item_inside_a_long_trace_is_found_and_length_alone_is_not():
    rng = random.Random(0)
    words = sorted({word for text in OTHERS for word in text.split()} | {"then", "we", "see", "that", "is"})
    noise = [" ".join(rng.choice(words) for _ in range(1500)) for _ in range(2)]
    trace = noise[0] + " " + ITEMS[1] + " " + noise[1]
    assert pairs(find_contamination([trace, " ".join(noise)], ITEMS)) == {(0, 1)}


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_streaming_gives_the_same_matches_for_every_batch_size_and_reads_lazily(size):
    texts = [OTHERS[0], ITEMS[3], OTHERS[1], ITEMS[2], ITEMS[0] + " " + OTHERS[2]]
    index = build_index(ITEMS, ANSWERS)
    assert list(scan(index, iter(texts), batch_size=size)) == find_contamination(texts, ITEMS, eval_answers=ANSWERS)
    taken = []
    stream = scan(index, (taken.append(text) or text for text in texts), batch_size=2)
    assert next(stream).train_index == 1 and len(taken) == 2


@pytest.mark.parametrize("settings", [DecontaminationSettings(), ALLOW], ids=["flag", "allow"])
@pytest.mark.parametrize("answered", [True, False])
def test_how_many_pairs_are_looked_at_together_changes_nothing(monkeypatch, contest, settings, answered):
    texts, answers = contest if answered else (contest[0], None)
    index = build_index(texts, answers, settings)
    whole = list(scan(index, texts, answers))
    monkeypatch.setattr(overlap, "TEXTS", 7)
    monkeypatch.setattr(overlap, "PAIRS", 5)
    assert list(scan(index, texts, answers)) == whole and len(whole) >= len(texts)


def test_matches_beyond_the_limit_are_the_weakest(contest):
    """Also for a text of several windows, in which one item may stand more than once."""
    texts = [*contest[0], " ".join(contest[0][:40])]
    few, many = (DecontaminationSettings(matches_per_text=most, window=128) for most in (3, 10_000))
    whole, first = list(scan(build_index(contest[0], None, many), texts)), {}
    for match in whole:
        first.setdefault(match.train_index, []).append(match)
    expected = [match for matches in first.values() for match in matches[:3]]
    assert list(scan(build_index(contest[0], None, few), texts)) == expected and len(expected) < len(whole)


def test_test_items_hit_are_counted_not_only_training_rows():
    table = report(
        lambda texts, answers: find_contamination(texts, ITEMS, train_answers=answers, eval_answers=ANSWERS),
        ITEMS, ANSWERS, negatives=[*OTHERS, ITEMS[1], ITEMS[1].lower()], attacks=("verbatim",),
    )  # fmt: skip
    assert table.hits_per_item == [0, 2, 0, 0, 0]
    assert (table.items_hit.hits, table.items_hit.total) == (1, 5)
    assert table.false_positives.hits == 2 and table.recalls["verbatim"].hits == 5


def test_repeated_benchmark_items_are_all_named_up_to_the_limit():
    settings = DecontaminationSettings(matches_per_text=3)
    assert len(find_contamination([ITEMS[0]], [ITEMS[0]] * 5)) == 5
    assert len(find_contamination([ITEMS[0]], [ITEMS[0]] * 5, settings=settings)) == 3


def test_the_judge_sees_only_close_pairs():
    close = "In the orchard Ida picks 9 pears. How much money does Ida earn when she sells the rest of 20 jars?"
    seen = []

    def judge(text, item):
        seen.append((text, item))
        return True

    assert find_contamination([close], ITEMS) == []
    found = find_contamination([close, *OTHERS], ITEMS, judge=judge)
    assert [(m.train_index, m.eval_index, m.rule) for m in found] == [(0, 0, "judge")]
    assert seen == [(close, ITEMS[0])]
    assert find_contamination([close], ITEMS, judge=lambda text, item: False) == []


@pytest.mark.parametrize("one", ["18", "18.0", "$18", "36/2", "\\boxed{18}", " 18 ", "18."])
def test_equal_answers_share_a_key(one):
    assert fp.answer_key(one) == fp.answer_key("18") != fp.answer_key("-18")


def test_odd_answers_have_keys_too():
    assert fp.answer_key(None) == fp.answer_key("  ") == 0
    assert len({fp.answer_key(text) for text in ("1/0", "x+1", "9" * 5000, "1,2", "12", "(1,2)")}) == 6


@pytest.mark.parametrize(
    "text",
    [*ITEMS, "x - 3 = 5 -2- 7-\n8 a-b 3-4", "It's $1,200.50!  \x1c (12,000;3) \u00a0 1 ,000", "fer\u00adry ’tis ½ −4 - 5", "", "- " * 9],
)  # fmt: skip
def test_codes_of_a_text_are_those_of_its_tokens(text):
    assert fp.TokenCodes().of(text) == [fp.TokenCodes()[token] for token in fp.tokens(text)]


def test_caches_of_spellings_stay_bounded(monkeypatch):
    monkeypatch.setattr(fp, "CACHE_LIMIT", 50)
    codes = fp.TokenCodes()
    for start in range(0, 500, 10):
        codes.of(" ".join(f"word{number}," for number in range(start, start + 10)))
    assert len(codes) <= 50 and len(codes._chunks) <= 50 and codes.of("a" * 100) and "a" * 100 not in codes._chunks


def test_number_keys_meet_exactly_when_multisets_nearly_agree():
    """Checked against comparing all pairs of random multisets."""
    rng = random.Random(1)
    sets = [[rng.randint(2, 7) for _ in range(rng.randint(1, 6))] for _ in range(60)]
    codes = fp.TokenCodes()
    batch = fp.encode([[codes[str(number)] for number in numbers] for numbers in sets])
    keys, owners, sizes, counts = fp.number_keys(batch, most=12, missing=2)
    found = {}
    for key, owner, size in zip(keys.tolist(), owners.tolist(), sizes.tolist(), strict=True):
        found.setdefault(key, []).append((owner, size))
    shared = {}
    for group in found.values():
        for one, size in group:
            for other, _ in group:
                shared[one, other] = max(shared.get((one, other), 0), size)
    for one, left in enumerate(sets):
        for other, right in enumerate(sets):
            common = sum(min(left.count(number), right.count(number)) for number in set(left))
            near = max(len(left), len(right)) - common <= 2 and common > 0
            assert shared.get((one, other), 0) == (common if near else 0)
    assert counts.tolist() == [len(numbers) for numbers in sets]


def test_numbers_agree_is_containment_with_counts():
    assert numbers_agree({3: 1}, {3: 2, 4: 1}) and numbers_agree({3: 2, 4: 1}, {3: 1})
    assert not numbers_agree({3: 2}, {3: 1, 4: 1}) and numbers_agree({}, {5: 1})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_contamination(["a", None], ITEMS), "expected text"),
        (lambda: find_contamination(OTHERS, [3]), "expected text"),
        (lambda: find_contamination(OTHERS, []), "no benchmark items"),
        (lambda: find_contamination(OTHERS, ITEMS, eval_answers=["1"]), "answers"),
        (lambda: find_contamination(OTHERS, ITEMS, train_answers=["1"]), "answers"),
        (lambda: find_contamination(OTHERS, ITEMS, train_answers=["1"] * 9), "more training answers"),
        (lambda: DecontaminationSettings(containment=0.0), "containment"),
        (lambda: DecontaminationSettings(templates="maybe"), "templates"),
        (lambda: attack("shout", ITEMS, None, 0), "choose one of"),
        (lambda: rate(0, 0), "at least one"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {"verbatim"}))
def test_attacks_are_seeded_and_change_the_text(name):
    first, again, other = (attack(name, ITEMS[:2], ANSWERS[:2], seed) for seed in (0, 0, 1))
    assert first == again
    named = 1 if name == "names swapped" else 2  # the second item holds no name
    assert all(row.text != item for row, item in zip(first[:named], ITEMS, strict=False))
    if name not in ("truncated to 60%", "sentences reordered", "names swapped"):
        assert first != other
    assert (first[0].answer is None) == (name in NEW_ANSWER)


@pytest.fixture(scope="module")
def contest():
    rows = read("benchmarks/contest.jsonl")[::3]
    return [row["prompt"] for row in rows], [row["answer"] for row in rows]


@pytest.mark.parametrize("name", ATTACKS)
def test_recall_on_our_own_worlds(contest, name):
    """Templates flagged: every disguise is found; allowed: instances of a template pass, true overlap does not."""
    texts, answers = contest
    rows = attack(name, texts, answers, seed=0)
    for templates, least in (("flag", 0.9), ("allow", 0.9)):
        index = build_index(texts, answers, DecontaminationSettings(templates=templates, matches_per_text=200))
        found = recall(lambda t, a, index=index: list(scan(index, t, a)), rows)
        if templates == "allow" and name in NEW_ANSWER:
            assert found.value <= 0.1
        else:
            assert found.value >= least, (templates, name, found)


def test_planted_leaks_are_found_and_other_families_are_not():
    benchmark, seeds = read("benchmarks/contest.jsonl"), read("seeds/math.jsonl")
    gold = {row["id"]: row["answer"] for row in read("seeds/gold.jsonl")}
    found = find_contamination(
        [row["prompt"] for row in seeds], [row["prompt"] for row in benchmark],
        train_answers=[gold[row["id"]] for row in seeds], eval_answers=[row["answer"] for row in benchmark],
        settings=ALLOW,
    )  # fmt: skip
    flagged = {match.train_index for match in found}
    planted = {index for index, row in enumerate(seeds) if "planted" in row["meta"]}
    verbatim = {index for index in planted if seeds[index]["meta"]["planted"] == "verbatim"}
    assert verbatim <= flagged and len(planted & flagged) >= 0.75 * len(planted)
    assert len(flagged - planted) <= 0.01 * len(seeds)


def test_thresholds_are_settings():
    loose = dataclasses.replace(DecontaminationSettings(), words=0.2, containment=0.1)
    text = "Marta picks 36 pears in the orchard and eats them all with her sister."
    assert find_contamination([text], ITEMS) == []
    assert pairs(find_contamination([text], ITEMS, settings=loose)) == {(0, 0)}
