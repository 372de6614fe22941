"""Every gate of notebook 08, green and red, and the work between the gates that needs no model."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from phi4r_lib.cookbook.lessons import checklist as gates
from phi4r_lib.cookbook.lessons import domain_run as work
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.measure.comparison import compare
from phi4r_lib.measure.promotion import PromotionRule, decide, gain_per_doubling
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import Problem

SETTINGS = load_profile("cpu").checklist


def problem(name, family="a", answer='[["count", 1]]', prompt=None, **more):
    about = {"domain": "d", "source": "s", "licence": "MIT", "verifier": "constraints"} | more
    return Problem(id=name, prompt=prompt or f"prompt {name}", answer=answer, meta={"family": family}, **about)


def arms(gain, noise=0.004, seeds=3, problems=40, seed=0):
    """(arm, reference): pass rates whose mean differs by `gain` in every training seed, up to a little noise."""
    rng = np.random.default_rng(seed)
    reference = rng.uniform(0.3, 0.6, (seeds, problems))
    return reference + gain + rng.normal(0, noise, (seeds, 1)), reference


def difference(gain, noise=0.004):
    return work.difference(*arms(gain, noise), "x")


def test_domain_gate():
    assert gates.domain_gate(480, 0, [], SETTINGS).green
    assert "collect more seeds" in gates.domain_gate(50, 0, [], SETTINGS).action
    assert "tokenizer" in gates.domain_gate(480, 100, [], SETTINGS).action
    red = gates.domain_gate(480, 0, ["the verifier 'coq' needs coqc"], SETTINGS)
    assert not red.green and "coqc" in red.reason


def test_seeds_gate():
    assert gates.seeds_gate(480, 0, 0, 0).green
    for counts, word in [
        ((478, 2, 0, 0), "correct these seeds"),
        ((480, 0, 0, 3), "tighten the checks"),
        ((0, 0, 480, 0), "example"),
        ((10, 0, 470, 0), "more seeds an example"),
    ]:
        gate = gates.seeds_gate(*counts, ["p1: wrong, failed_constraint"])
        assert not gate.green and word in gate.action


def test_edge_gate():
    assert gates.edge_gate({"hard": 40, "edge": 200, "easy": 10}, SETTINGS).green
    assert "harder seeds" in gates.edge_gate({"hard": 4, "edge": 9, "easy": 100}, SETTINGS).action
    assert "worked solutions" in gates.edge_gate({"hard": 400, "edge": 9, "easy": 0}, SETTINGS).action


def test_injection_gate():
    assert gates.injection_gate("tight", difference(0.12), difference(0.0), SETTINGS).green
    assert gates.injection_gate("tight", difference(0.12), None, SETTINGS).green
    paid = gates.injection_gate("tight", difference(0.12), difference(-0.1), SETTINGS)
    assert not paid.green and "make fewer" in paid.action
    reference = np.full((3, 40), 0.4) + np.linspace(0, 0.1, 40)
    gains = np.array([[0.15], [-0.06], [0.02]])  # training seeds that do not agree
    noisy = gates.injection_gate("tight", work.difference(reference + gains, reference, "x"), None, SETTINGS)
    assert not noisy.green and "training seeds" in noisy.action


def test_taper_gate():
    flat = gain_per_doubling([1, 2], np.array([[0.80, 0.81], [0.79, 0.80], [0.81, 0.815]]), SETTINGS.gain)
    steep = gain_per_doubling([1, 2], np.array([[0.50, 0.62], [0.49, 0.61], [0.51, 0.64]]), SETTINGS.gain)
    open_ = gain_per_doubling([1, 2], np.array([[0.50, 0.62], [0.60, 0.58], [0.51, 0.64]]), SETTINGS.gain)
    assert gates.taper_gate(flat, SETTINGS).green
    assert "twice the steps" in gates.taper_gate(steep, SETTINGS).action
    assert "not settled" in gates.taper_gate(open_, SETTINGS).action


def test_balance_gate():
    assert gates.balance_gate(232, 153, SETTINGS).green
    assert not gates.balance_gate(100, 100, SETTINGS).green
    assert gates.balance_gate(0, 0, SETTINGS).green


def pair(gain, problems=60, seed=1):
    """A comparison of two models whose rates differ by `gain` on every problem, up to a little noise."""
    rng = np.random.default_rng(seed)
    reference = rng.uniform(0.3, 0.6, problems)
    return compare(reference + gain + rng.normal(0, 0.02, problems), reference)


def test_merge_gate():
    assert gates.merge_gate(pair(-0.01), "math", pair(0.0), SETTINGS).green
    forgot = gates.merge_gate(pair(0.01), "math", pair(-0.1), SETTINGS)
    assert not forgot.green and "math a larger share" in forgot.action
    lost = gates.merge_gate(pair(-0.1), "math", pair(0.0), SETTINGS)
    assert not lost.green and "train the merged mix longer" in lost.action


def test_watch_gate():
    before, after = np.zeros(60), np.zeros(60)
    before[:20], after[:45] = 1, 1
    assert gates.watch_gate(compare(after, before), 8, SETTINGS).green
    few = np.array([1.0, 0, 1, 0, 1, 0])
    assert "more held-out problems" in gates.watch_gate(compare(few, 1 - few), 8, SETTINGS).action
    same = np.tile([1.0, 0.0], 200)
    flipped = same.copy()
    flipped[:2] = flipped[:2][::-1]
    assert "no gain" in gates.watch_gate(compare(flipped, same), 8, SETTINGS).action


def test_scale_gate():
    rule = PromotionRule("d", SETTINGS.gain, SETTINGS.margin, most_seeds=6)
    gains = [0.31, 0.29, 0.30, 0.32, 0.30]
    guarded = replace(rule, guards=("math",))
    won = gates.scale_gate(decide(guarded, gains, {"math": [0.01, 0.0, 0.01, 0.02, 0.0]}), "twice the steps")
    assert won.green and won.action == "scale: twice the steps"
    assert "training seeds" in gates.scale_gate(decide(rule, gains[:2]), "").action
    lost = gates.scale_gate(decide(rule, [0.0, -0.01, 0.01, 0.0, -0.01, 0.0]), "")
    assert not lost.green and "do not scale" in lost.action


def test_a_red_gate_ends_the_way_only_where_nothing_is_left(capsys):
    found = gates.Gates()
    found.pass_(gates.domain_gate(9, 0, [], SETTINGS))
    found.pass_(gates.seeds_gate(7, 2, 0, 0, ["g1: wrong"]), left=True)
    assert found.open and found.decision("promote") == "promote"
    found.pass_(gates.edge_gate({"hard": 9}, SETTINGS), left=False)
    found.pass_(gates.balance_gate(9, 1, SETTINGS))
    found.rest()
    said = capsys.readouterr().out
    assert (
        said.count(": RED.") == 3 and "Gate 5, balance: NOT REACHED. Nothing to measure behind gate 3 (edge)." in said
    )
    assert found.decision("promote").startswith("stop here: gate 3 (edge) is red. Next: collect easier seeds")
    assert [(g.step, g.name) for g in found.all] == list(gates.STEPS)
    assert found.table()["colour"].tolist() == ["red"] * 3 + ["grey"] * 6
    assert found.records()[4] | {"colour": "grey", "green": None} == found.records()[4]


def test_most_answers_cut_off_make_the_edge_red():
    gate = gates.edge_gate({"edge": 200}, SETTINGS, cut=0.6)
    assert not gate.green and "60% of the answers are cut off at 64 tokens" in gate.reason
    assert "checklist.max_tokens" in gate.action


def test_the_names_of_the_gates_are_those_of_the_steps():
    """`rest` fills in what is missing by step and name."""
    made = [
        gates.domain_gate(9, 0, [], SETTINGS), gates.seeds_gate(1, 0, 0, 0), gates.edge_gate({}, SETTINGS),
        gates.injection_gate("a", difference(0.1), None, SETTINGS), gates.balance_gate(1, 1, SETTINGS),
        gates.taper_gate(gain_per_doubling([1, 2], np.array([[0.5, 0.6], [0.5, 0.7]]), SETTINGS.gain), SETTINGS),
        gates.merge_gate(pair(0.1), "math", pair(0.1), SETTINGS), gates.watch_gate(pair(0.1), 8, SETTINGS),
        gates.scale_gate(decide(PromotionRule("d", 0.05, 0.05), [0.1, 0.2]), ""),
    ]  # fmt: skip
    assert {(gate.step, gate.name) for gate in made} == set(gates.STEPS)


def test_the_split_holds_families_and_origins_together():
    seeds = [problem(f"{family}{n}", family) for family in "ab" for n in range(20)]
    seeds += [problem(f"re{n}", "a", parent_id=f"a{n}") for n in range(20)]
    seeds += [problem("none", answer=None), problem("twice", prompt="Prompt  A1")]
    parts = work.split(seeds, 0.2, 0)
    assert [(one.id, reason) for one, reason in parts.dropped] == [
        ("none", "nothing to check against"),
        ("twice", "the same prompt again"),
    ]
    sizes = [pd.Series([work.family(one) for one in part]).value_counts().to_dict() for part in parts[:3]]
    assert sizes == [{"a": 24, "b": 12}, {"a": 8, "b": 4}, {"a": 8, "b": 4}]
    where = {one.id: place for place, part in enumerate(parts[:3]) for one in part}
    assert all(where[f"re{n}"] == where[f"a{n}"] for n in range(20))
    assert work.split(seeds, 0.2, 0) == parts != work.split(seeds, 0.2, 1)


def test_seeds_that_fail_their_own_check_are_left_out():
    seeds = [problem(f"a{n}") for n in range(10)]
    parts = work.split(seeds, 0.2, 0, ["a3", "a7"])
    assert [one.id for one, reason in parts.dropped if "does not tell right from wrong" in reason] == ["a3", "a7"]
    assert sum(map(len, parts[:3])) == 8
    wrong = problem("wrong", answer='[["sum", 3]]').model_copy(update={"meta": {"example": "4"}})
    assert work.gold_check([wrong], None).unfit == ["wrong"]


def test_a_merge_holds_all_own_rows_and_nothing_held_out(tmp_path):
    def merged(others, held):
        rows = work.merge_rows(own, write_rows(tmp_path / "rl.jsonl", others), held)
        return [row["id"] for row in rows]

    own = [{"id": f"o{n}", "domain": "mine"} for n in range(5)]
    others = [
        {"id": "h", "domain": "math"}, {"id": "x", "parent_id": "h", "domain": "math"}, {"id": "own", "domain": "mine"},
        {"id": "m1", "domain": "math"}, {"id": "m2", "domain": "math"}, {"id": "m3", "domain": "math"},
    ]  # fmt: skip
    assert merged(others, [problem("h")]) == ["o0", "o1", "m1", "o2", "o3", "m2", "o4"]
    alone = [row["id"] for row in own]
    assert merged(others[2:3], []) == alone
    assert merged([{"id": "r", "domain": "math", "parent_id": "s"}], [problem("t", parent_id="s")]) == alone


def test_checks_that_nonsense_passes_are_found():
    strict, loose = problem("strict"), problem("loose", answer='[["words", 1, 9]]')
    assert work.lenient([strict, loose, problem("open", answer=None)], None) == ["loose"]
    assert work.lenient([], None) == []


def test_absent_verifiers_and_unknown_words_are_counted():
    assert work.unavailable([problem("x", verifier="ticket")], None)[0].startswith(
        "a problem names the verifier 'ticket'"
    )
    assert work.unavailable([problem("x")], None) == []
    words = {"prompt": 1, "x": 2}
    call = type(
        "T",
        (),
        {"unk_token_id": 0, "__call__": lambda self, text: {"input_ids": [words.get(w, 0) for w in text.split()]}},
    )
    assert work.unreadable([problem("x"), problem("y")], call()) == 1


def test_without_a_maker_seeds_of_the_family_stand_in_again():
    """The example's maker is not a team's."""

    def run(seeds):
        data = SimpleNamespace(seeds=seeds)
        return SimpleNamespace(profile=SimpleNamespace(checklist=SETTINGS, data=data, seed=0))

    seeds = [problem("a1"), problem("a2"), problem("b1", "b")]
    again = work.make_more("a", 3, run("mine.jsonl"), seeds, seeds)
    assert [one.parent_id for one in again] == ["a1", "a2", "a1"] and len({one.id for one in again}) == 3
    made = work.make_more("tight", 5, run(SETTINGS.example_for), seeds, seeds)
    assert {one.meta["family"] for one in made} == {"tight"}


def test_mixes_that_are_the_same_model_differ_by_nothing():
    same, _ = arms(0.0)
    found = work.difference(same, same.copy(), "x")
    assert (found.difference, found.low, found.high, found.verdict) == (0, 0, 0, "within noise")
    assert work.difference(*arms(0.1), "x").difference == pytest.approx(0.1, abs=0.01)
    assert work.difference(*arms(0.1, problems=1), "x") is None
    assert gates.injection_gate("rare", None, None, SETTINGS).colour == "grey"


def test_the_estimate_reads_the_second_half_of_the_curves():
    def curve(*values):
        return work.Training("m", 0, None, pd.Series(values, index=[0, 5, 10, 15, 20]), 60.0)

    said = work.estimate([curve(0.5, 0.7, 0.80, 0.82, 0.84), curve(0.5, 0.6, 0.78, 0.80, 0.82)], 0.05)
    assert "twice the steps (40) take about 2.0 minutes" in said and "+4.0 [+4.0, +4.0] points" in said
    short = work.Training("m", 0, None, pd.Series([0.5, 0.6], index=[0, 2]), 60.0)
    with pytest.raises(ValueError, match="at least two"):
        work.estimate([short, short], 0.05)
