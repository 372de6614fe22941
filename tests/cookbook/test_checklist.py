"""Every gate of notebook 08, green and red, and the work between the gates that needs no model."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from phi4r_lib.cookbook.lessons import checklist as gates
from phi4r_lib.cookbook.lessons import domain_run as work
from phi4r_lib.cookbook.lessons import domain_seeds
from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.measure.promotion import PromotionRule, decide
from phi4r_lib.problems.gold_check import GoldCheck
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
    return work.difference(*arms(gain, noise))


def judged(name, *args, **more):
    """The gate that a method of Gates keeps."""
    found = gates.Gates(SETTINGS)
    getattr(found, name)(*args, **more)
    return found.all[-1]


def test_domain_gate():
    assert judged("domain", 480, 0).green
    assert "collect more seeds" in judged("domain", 50, 0).action
    assert "tokenizer" in judged("domain", 480, 100).action
    red = judged("domain", 480, 0, ["the verifier 'coq' needs coqc"])
    assert not red.green and "coqc" in red.reason


def test_seeds_gate():
    assert judged("seeds", 480, 0, 0, 0).green
    for counts, word in [
        ((478, 2, 0, 0), "correct these seeds"),
        ((480, 0, 0, 3), "tighten the checks"),
        ((0, 0, 480, 0), "example"),
        ((10, 0, 470, 0), "more seeds an example"),
    ]:
        gate = judged("seeds", *counts, ["p1: wrong, failed_constraint"])
        assert not gate.green and word in gate.action


def test_edge_gate():
    assert judged("edge", {"hard": 40, "edge": 200, "easy": 10}).green
    assert "harder seeds" in judged("edge", {"hard": 4, "edge": 9, "easy": 100}).action
    assert "worked solutions" in judged("edge", {"hard": 400, "edge": 9, "easy": 0}).action


def test_most_answers_cut_off_make_the_edge_red():
    gate = judged("edge", {"edge": 200}, cut=0.6)
    assert not gate.green and "60% of the answers are cut off at 64 tokens" in gate.reason
    assert "checklist.max_tokens" in gate.action


NOISY = (np.array([[0.15], [-0.06], [0.02]]), np.full((3, 40), 0.4) + np.linspace(0, 0.1, 40))  # seeds do not agree


def noisy():
    return work.difference(NOISY[1] + NOISY[0], NOISY[1])


def test_injection_gate():
    assert judged("injection", "tight", difference(0.12), difference(0.0)).green
    assert judged("injection", "tight", difference(0.12), None).green
    paid = judged("injection", "tight", difference(0.12), difference(-0.1))
    assert not paid.green and "make fewer" in paid.action
    gate = judged("injection", "tight", noisy(), None)
    assert not gate.green and "training seeds" in gate.action
    assert judged("injection", "rare", None, None).colour == judged("injection", "", None, None).colour == "grey"


def test_rounds_end_by_the_rule_only_where_the_upper_limit_is_below_the_worthwhile_gain():
    """Worthwhile is 5 points: a gain of 1 that is narrow ends the rounds, one of 12 or one that may be 12 does not."""
    found = gates.Gates(SETTINGS)
    assert [found.tapered(one) for one in (difference(0.01), difference(-0.2), difference(0.12), noisy(), None)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert noisy().difference < SETTINGS.gain < noisy().seed_high


def test_the_taper_gate_says_what_ended_the_rounds():
    assert judged("taper", "rule", difference(0.01)).green
    steep = judged("taper", "rounds", difference(0.12))
    assert not steep.green and "most number of rounds (3) ended them, not the rule" in steep.reason
    assert "still paid" in steep.action
    assert "training seeds" in judged("taper", "rounds", noisy()).action
    empty = judged("taper", "nothing", None)
    assert not empty.green and "no made problem of any family was at the edge" in empty.reason


def test_balance_gate():
    assert judged("balance", 232, 153).green
    assert not judged("balance", 100, 100).green
    assert judged("balance", 0, 0).green


def pair(gain, problems=60, seed=1):
    """Pass rates of two models that differ by `gain` on every problem, up to a little noise."""
    rng = np.random.default_rng(seed)
    reference = rng.uniform(0.3, 0.6, problems)
    return reference + gain + rng.normal(0, 0.02, problems), reference


def test_merge_gate():
    assert judged("merge", *pair(-0.01), "math", *pair(0.0)).green
    forgot = judged("merge", *pair(0.01), "math", *pair(-0.1))
    assert not forgot.green and "math a larger share" in forgot.action
    lost = judged("merge", *pair(-0.1), "math", *pair(0.0))
    assert not lost.green and "train the merged mix longer" in lost.action


def test_watch_gate():
    before, after = np.zeros(60), np.zeros(60)
    before[:20], after[:45] = 1, 1
    assert judged("watch", after > 0, before > 0, 8).green
    few = np.array([1.0, 0, 1, 0, 1, 0])
    assert "more held-out problems" in judged("watch", few, 1 - few, 8).action
    same = np.tile([1.0, 0.0], 200)
    flipped = same.copy()
    flipped[:2] = flipped[:2][::-1]
    assert "no gain" in judged("watch", flipped, same, 8).action


def test_scale_gate():
    rule = PromotionRule("d", SETTINGS.gain, SETTINGS.margin, most_seeds=6)
    gains = [0.31, 0.29, 0.30, 0.32, 0.30]
    guarded = replace(rule, guards=("math",))
    won = judged("scale", decide(guarded, gains, {"math": [0.01, 0.0, 0.01, 0.02, 0.0]}), "twice the steps")
    assert won.green and won.action == "scale: twice the steps"
    assert "training seeds" in judged("scale", decide(rule, gains[:2]), "").action
    lost = judged("scale", decide(rule, [0.0, -0.01, 0.01, 0.0, -0.01, 0.0]), "")
    assert not lost.green and "do not scale" in lost.action


def test_a_red_gate_ends_the_way_only_where_nothing_is_left(capsys):
    found = gates.Gates(SETTINGS)
    found.domain(9, 0)
    found.seeds(7, 2, 0, 0, ["g1: wrong"])
    assert found.open and found.decision("promote") == "promote"
    found.edge({"hard": 9}, left=False)
    found.balance(9, 1)
    found.rest()
    said = capsys.readouterr().out
    assert (
        said.count(": RED.") == 3 and "Gate 5, balance: NOT REACHED. Nothing to measure behind gate 3 (edge)." in said
    )
    assert found.decision("promote").startswith("stop here: gate 3 (edge) is red. Next: collect easier seeds")
    assert [(g.step, g.name) for g in found.all] == list(gates.STEPS)
    assert found.table()["colour"].tolist() == ["red"] * 3 + ["grey"] * 6
    assert found.records()[4] | {"colour": "grey", "green": None} == found.records()[4]


def test_the_names_of_the_gates_are_those_of_the_steps():
    """`rest` fills in what is missing by step and name."""
    found = gates.Gates(SETTINGS)
    found.domain(480, 0)
    found.seeds(1, 0, 0, 0)
    found.edge({})
    found.taper("rule", difference(0.0))
    found.balance(1, 1)
    found.injection("a", difference(0.1), None)
    found.merge(*pair(0.1), "math", *pair(0.1))
    found.watch(*pair(0.1), 8)
    found.scale(decide(PromotionRule("d", 0.05, 0.05), [0.1, 0.2]), "")
    assert [(gate.step, gate.name) for gate in found.all] == list(gates.STEPS)


def test_the_split_holds_families_and_origins_together():
    seeds = [problem(f"{family}{n}", family) for family in "ab" for n in range(20)]
    seeds += [problem(f"re{n}", "a", parent_id=f"a{n}") for n in range(20)]
    seeds += [problem("none", answer=None), problem("twice", prompt="Prompt  A1")]
    parts = domain_seeds.split(seeds, 0.2, 0)
    assert [(one.id, reason) for one, reason in parts.dropped] == [
        ("none", "nothing to check against"),
        ("twice", "the same prompt again"),
    ]
    sizes = [pd.Series([domain_seeds.family(one) for one in part]).value_counts().to_dict() for part in parts[:3]]
    assert sizes == [{"a": 24, "b": 12}, {"a": 8, "b": 4}, {"a": 8, "b": 4}]
    where = {one.id: place for place, part in enumerate(parts[:3]) for one in part}
    assert all(where[f"re{n}"] == where[f"a{n}"] for n in range(20))
    assert domain_seeds.split(seeds, 0.2, 0) == parts != domain_seeds.split(seeds, 0.2, 1)


def test_seeds_that_fail_their_own_check_are_left_out():
    seeds = [problem(f"a{n}") for n in range(10)]
    parts = domain_seeds.split(seeds, 0.2, 0, ["a3", "a7"])
    assert [one.id for one, reason in parts.dropped if "does not tell right from wrong" in reason] == ["a3", "a7"]
    assert sum(map(len, parts[:3])) == 8
    wrong = problem("wrong", answer='[["sum", 3]]').model_copy(update={"meta": {"example": "4"}})
    check = GoldCheck()
    assert list(check.checking([wrong])) == [wrong] and check.unfit == ["wrong"]


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
    assert domain_seeds.lenient([strict, loose, problem("open", answer=None)], None) == ["loose"]
    assert domain_seeds.lenient([], None) == []


def test_absent_verifiers_are_named():
    assert domain_seeds.unavailable([problem("x", verifier="ticket")], None)[0].startswith(
        "a problem names the verifier 'ticket'"
    )
    assert domain_seeds.unavailable([problem("x")], None) == []


def test_prompts_with_words_that_the_student_does_not_know_are_counted():
    seeds = [problem("x", prompt="Ann has 7 pens."), problem("y", prompt="Ann has 7 zebras.")]
    tiny = Path(__file__).parents[2] / "data" / "models" / "tiny-base"
    assert work.Domain.unreadable(SimpleNamespace(start=tiny, seeds=seeds)) == 1


def test_without_a_maker_seeds_of_the_family_stand_in_again():
    """The example's maker is not a team's."""

    def run(seeds):
        data = SimpleNamespace(seeds=seeds)
        return SimpleNamespace(profile=SimpleNamespace(checklist=SETTINGS, data=data, seed=0))

    seeds = [problem("a1"), problem("a2"), problem("b1", "b")]
    again = work.make_more("a", 3, run("mine.jsonl"), seeds, seeds, 1)
    assert [one.parent_id for one in again] == ["a1", "a2", "a1"] and len({one.id for one in again}) == 3
    later = work.make_more("a", 3, run("mine.jsonl"), seeds, seeds, 2)
    assert not {one.id for one in again} & {one.id for one in later}  # two rounds may aim at one family
    made = work.make_more("tight", 5, run(SETTINGS.example_for), seeds, seeds, 1)
    more = work.make_more("tight", 5, run(SETTINGS.example_for), [*seeds, *made], seeds, 2)
    assert not {(one.id, one.prompt) for one in made} & {(one.id, one.prompt) for one in more}
    assert {one.meta["family"] for one in made} == {"tight"}


def test_a_difference_without_an_interval_is_none():
    """One problem, a gain of one size everywhere, or trainings that all kept the start model: nothing to judge by."""
    assert work.difference(*arms(0.1)).difference == pytest.approx(0.1, abs=0.01)
    same, _ = arms(0.0)
    assert work.difference(same, same.copy()) is None
    assert work.difference(*arms(0.1, problems=1)) is None
    assert work.difference(np.full((2, 2), 0.75), np.full((2, 2), 0.5)) is None
    by_chance = np.array([[0.25, 0.75], [0.75, 0.25]])  # other problems, the same mean: the limits would meet
    assert work.difference(by_chance, np.full((2, 2), 0.25)) is None


def answered(rates, runs=4):
    """Answers of one training: so many right of `runs` per problem; problems a1, a2 and b1, b2 are of two families."""
    names = ["a1", "a2", "b1", "b2"]
    rows = [(n, n[0], run < right) for n, right in zip(names, rates, strict=True) for run in range(runs)]
    return pd.DataFrame(rows, columns=["problem", "family", "correct"])


def test_a_round_knows_its_families_and_its_row():
    tables = [answered([4, 3, 1, 0]), answered([3, 4, 2, 1])]
    first = work.Round(0, [problem("p")], [], tables)
    families = first.families(before=answered([2, 2, 0, 0]))
    assert list(families.index) == ["b", "a"] and list(families["pass rate"]) == [0.25, 0.875]
    assert list(families["before"]) == [0.0, 0.5] and (families["low"] < families["pass rate"]).all()
    row = first.row()
    assert row["score"] == 0.5625 and row["low"] < 0.5625 < row["high"] and np.isnan(row["gain"])
    later = replace(first, number=1, family="b", made=3, base=0, gain=difference(0.1))
    assert later.row()["gain low"] < later.row()["gain"] < later.row()["gain high"]


def test_the_estimate_reads_the_second_half_of_the_curves():
    def curve(*values, steps=(0, 5, 10, 15, 20)):
        return work.Training("m", 0, None, pd.Series(values, index=steps), 60.0)

    domain = SimpleNamespace(settings=SETTINGS)
    said = work.Domain.estimate(domain, [curve(0.5, 0.7, 0.80, 0.82, 0.84), curve(0.5, 0.6, 0.78, 0.80, 0.82)])
    assert "twice the steps (40) take about 2.0 minutes" in said and "+4.0 [+4.0, +4.0] points" in said
    with pytest.raises(ValueError, match="at least two"):
        work.Domain.estimate(domain, [curve(0.5, 0.6, steps=(0, 2))] * 2)
