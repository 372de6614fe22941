"""The edge filter on an engine whose pass rates are known exactly: one weighted coin a problem."""

import random
from collections import Counter

import pytest

from phi4r_lib.curate import draws, edge, edge_rows
from phi4r_lib.curate.edge import EdgeRule, classify, find_edge, iter_edge, load_edge
from phi4r_lib.curate.stopping import BetaPrior
from phi4r_lib.curate.truth import conflicts, find_truth
from phi4r_lib.models.engine import Sample, SamplingSettings
from phi4r_lib.models.store import Store
from phi4r_lib.problems.schema import Problem, ProblemFileError
from phi4r_lib.problems.verify import Verdict

RULE = EdgeRule(lo=0.125, hi=0.875, error=0.1, max_samples=32)


class CoinEngine:
    """Says the number at the end of the prompt with a known probability, else one of a hundred wrong numbers."""

    seedable = True

    def __init__(self, name, rate, truncated=0.0, fault=None):
        self.name, self.rate, self.truncated, self.fault = name, rate, truncated, fault
        self.drawn = 0

    def sample(self, prompts, settings, progress=None):
        numbers = range(settings.first, settings.first + settings.n)
        return [[self._one(prompt, settings.seed, index) for index in numbers] for prompt in prompts]

    def _one(self, prompt, seed, index):
        self.drawn += 1
        coin = random.Random(f"{self.name} {prompt} {seed} {index}")
        number = int(prompt.split()[-1])
        said = number if coin.random() < self.rate(number) else 1000 + coin.randrange(100)
        cut = coin.random() < self.truncated
        return Sample(text=rf"\boxed{{{said}}}", tokens=4, truncated=cut, index=index, error=self.fault)

    def close(self):
        pass


def seeds(count, **fields):
    given = {"domain": "math", "source": "test", "licence": "MIT"} | fields
    return [Problem(id=f"p{i}", prompt=f"say {i}", **given) for i in range(count)]


def graded(number):
    """Pass rates 0, 1/9, ..., 1 by the last digit."""
    return (number % 10) / 9


def teacher(rate=0.9):
    return CoinEngine("strong", lambda number: rate)


@pytest.mark.parametrize(
    ("right", "samples", "prior", "expected"),
    [
        (0, 9, (0.5, 0.5), "undecided"),
        (0, 10, (0.5, 0.5), "hard"),
        (0, 16, (1, 1), "undecided"),
        (0, 17, (1, 1), "hard"),
        (10, 10, (0.5, 0.5), "easy"),
        (4, 8, (0.5, 0.5), "edge"),
        (0, 0, (0.5, 0.5), "undecided"),
        (1, 8, (0.5, 0.5), "undecided"),
    ],
)
def test_classify_needs_enough_evidence(right, samples, prior, expected):
    assert classify(right, samples, EdgeRule(0.125, 0.875, 0.1, 64, BetaPrior(*prior))) == expected


def test_classify_uses_jeffreys_prior_unless_told():
    assert classify(0, 15, EdgeRule(0.125, 0.875, 0.05, 64)) == "hard"
    assert classify(0, 14, EdgeRule(0.125, 0.875, 0.05, 64)) == "undecided"


@pytest.mark.parametrize("counts", [(-1, 4), (5, 4)])
def test_classify_refuses_impossible_counts(counts):
    with pytest.raises(ValueError, match="successes"):
        classify(*counts, RULE)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lo": 0.9}, "lo < hi"),
        ({"error": 0.5}, "error"),
        ({"max_samples": 0}, "max_samples"),
        ({"price": 1.0}, "price"),
    ],
)
def test_rules_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        EdgeRule(**({"lo": 0.1, "hi": 0.8, "error": 0.1, "max_samples": 16} | fields))


def test_decisions_follow_the_known_pass_rates_within_the_error():
    report = find_edge(seeds(200), CoinEngine("weak", graded), RULE, teacher=teacher())
    wrong = decided = 0
    for row in report.rows:
        rate = graded(int(row.answer))
        truth = "hard" if rate <= 0.125 else "easy" if rate >= 0.875 else "edge"
        decided += row.decision in ("hard", "edge", "easy")
        wrong += row.decision in ("hard", "edge", "easy") and row.decision != truth
        assert 0 <= row.successes <= row.samples <= RULE.max_samples
        assert row.decision in row.reason or row.decision == "undecided"
    assert decided > 140
    assert wrong / decided < 0.15
    assert report.cost()["samples"] < 0.6 * 200 * RULE.max_samples


def test_rounds_spend_less_on_clear_seeds():
    report = find_edge(seeds(60), CoinEngine("weak", lambda n: 0.5 if n % 2 else 0.125), RULE, teacher=teacher(1.0))
    clear = [row.samples for row in report.rows if int(row.answer) % 2]
    doubtful = [row.samples for row in report.rows if not int(row.answer) % 2]
    assert sum(clear) < 0.6 * sum(doubtful)


def test_a_price_gives_boundary_seeds_up_early():
    weak, rule = CoinEngine("weak", lambda n: 0.125), EdgeRule(0.125, 0.875, 0.02, 64, BetaPrior(0.5, 0.5))
    patient = find_edge(seeds(40), weak, rule, teacher=teacher(1.0))
    priced = find_edge(seeds(40), weak, EdgeRule(0.125, 0.875, 0.02, 64, rule.prior, price=0.01), teacher=teacher(1.0))
    assert priced.cost()["samples"] < 0.6 * patient.cost()["samples"]
    assert priced.counts()["undecided"] >= patient.counts()["undecided"]


def test_truncated_answers_are_no_evidence():
    cut = find_edge(seeds(30), CoinEngine("weak", lambda n: 1.0, truncated=1.0), RULE, teacher=teacher())
    assert cut.counts()["undecided"] == 30
    row = cut.rows[0]
    assert (row.samples, row.truncated) == (0, RULE.max_samples)
    assert "32 truncated" in row.reason
    half = find_edge(seeds(30), CoinEngine("weak", lambda n: 1.0, truncated=0.5), RULE, teacher=teacher())
    assert half.counts()["easy"] == 30
    assert sum(row.truncated for row in half.rows) > 0


def test_engine_faults_are_counted_apart():
    report = find_edge(seeds(3), CoinEngine("weak", graded, fault="timeout"), RULE, teacher=teacher())
    assert [row.faults for row in report.rows] == [RULE.max_samples] * 3
    assert report.counts()["undecided"] == 3


def test_gold_wins_and_conflicts_are_listed():
    problems = [p.model_copy(update={"answer": "7" if p.id == "p3" else p.prompt.split()[-1]}) for p in seeds(5)]
    report = find_edge(problems, CoinEngine("weak", lambda n: 0.5), RULE, teacher=teacher(1.0))
    assert [row.truth_kind for row in report.rows] == ["gold"] * 5
    assert [truth.id for truth in report.conflicts] == ["p3"]
    assert report.rows[3].conflict and report.rows[3].answer == "7"
    assert "say 3" in report.conflicts[0].reason


def test_equal_spellings_do_not_conflict_with_gold():
    problem = seeds(1)[0].model_copy(update={"answer": "0.0"})
    truths = find_truth([problem], teacher(1.0), SamplingSettings(n=4))
    assert not conflicts(truths)


def test_weak_plurality_is_no_truth():
    scattered = CoinEngine("strong", lambda n: 0.0)
    report = find_edge(seeds(4), CoinEngine("weak", graded), RULE, teacher=scattered)
    assert report.counts()["no_truth"] == 4
    assert report.cost()["samples"] == 0
    assert all("share" in row.reason or "as many" in row.reason for row in report.rows)


def test_a_tie_is_no_truth():
    class TwoVoices(CoinEngine):
        def _one(self, prompt, seed, index):
            self.drawn += 1
            return Sample(text=rf"\boxed{{{index % 2}}}", tokens=4, index=index)

    [truth] = find_truth(seeds(1), TwoVoices("strong", graded), SamplingSettings(n=4), min_share=0.5)
    assert truth.kind == "none" and truth.share == 0.5


def test_open_seeds_wait_for_the_rewrite():
    report = find_edge(seeds(2, answer_type="open"), CoinEngine("weak", graded), RULE, teacher=teacher())
    assert report.counts()["no_truth"] == 2
    assert "rewrite" in report.rows[0].reason


def test_several_weak_models_take_turns():
    one, two = CoinEngine("one", graded), CoinEngine("two", graded)
    report = find_edge(seeds(20), [one, two], RULE, teacher=teacher())
    assert abs(one.drawn - two.drawn) <= 20
    assert one.drawn + two.drawn == report.cost()["samples"]
    assert report.rows[0].models == ["one", "two"]


def test_self_agreement_is_measured_on_fresh_answers():
    weak = CoinEngine("weak", lambda n: 0.0)  # scattered: the plurality of the pilot is chance
    report = find_edge(seeds(20), weak, RULE)
    assert {row.truth_kind for row in report.rows} == {"self"}
    assert report.counts()["hard"] >= 18  # counted on its own samples, agreement would look like 1 in 4 or more
    assert report.cost()["samples"] == weak.drawn
    assert report.cost()["teacher_tokens"] == 0


def test_stops_once_enough_edge_problems_are_found():
    whole = find_edge(seeds(300), CoinEngine("weak", graded), RULE, teacher=teacher(1.0))
    weak = CoinEngine("weak", graded)
    report = find_edge(seeds(300), weak, RULE, teacher=teacher(1.0), wanted=20)
    assert report.counts()["edge"] >= 20
    assert weak.drawn == report.cost()["samples"] < 0.25 * whole.cost()["samples"]
    assert any("stopped early" in row.reason for row in report.rows)


def test_a_second_run_repeats_nothing(tmp_path):
    weak, strong = CoinEngine("weak", graded), teacher()
    first = find_edge(seeds(40), weak, RULE, teacher=strong, folder=tmp_path)
    drawn = weak.drawn, strong.drawn
    again = find_edge(seeds(40), weak, RULE, teacher=strong, folder=tmp_path)
    assert (weak.drawn, strong.drawn) == drawn
    assert again.rows == first.rows


def test_a_killed_run_continues(tmp_path):
    class Dies(CoinEngine):
        calls = 0

        def sample(self, prompts, settings, progress=None):
            Dies.calls += 1
            if Dies.calls == 4:
                raise KeyboardInterrupt
            return super().sample(prompts, settings, progress)

    weak = Dies("weak", graded)
    with pytest.raises(KeyboardInterrupt):
        find_edge(seeds(40), weak, RULE, teacher=teacher(), folder=tmp_path)
    report = find_edge(seeds(40), weak, RULE, teacher=teacher(), folder=tmp_path)
    assert weak.drawn == report.cost()["samples"]  # nothing was drawn twice


def test_rows_survive_the_file(tmp_path):
    report = find_edge(seeds(20), CoinEngine("weak", graded), RULE, teacher=teacher())
    path = report.write(tmp_path / "01_edge" / "edge.jsonl")
    assert load_edge(path) == report.rows
    assert load_edge(path, "edge") == report.kept()
    assert Counter(row.decision for row in load_edge(path)) == Counter({k: v for k, v in report.counts().items() if v})


def test_a_broken_row_is_named(tmp_path):
    path = tmp_path / "edge.jsonl"
    path.write_text('{"id": "p1"}\n')
    with pytest.raises(ProblemFileError, match=r"edge.jsonl:1: .* run notebook 01 again"):
        load_edge(path)


def test_truths_must_match_the_problems():
    truths = find_truth(seeds(2), teacher(), SamplingSettings(n=4))
    with pytest.raises(ValueError, match="same order"):
        find_edge(seeds(3), CoinEngine("weak", graded), RULE, truths=truths)
    with pytest.raises(ValueError, match="min_share"):
        find_truth(seeds(2), teacher(), SamplingSettings(n=4), min_share=1.5)


def test_gold_of_a_worked_solution_is_its_last_line():
    problem = seeds(1)[0].model_copy(update={"answer": "She has 3 + 4 = 7.\n#### 7"})
    [truth] = find_truth([problem], None, SamplingSettings())
    assert (truth.kind, truth.answer) == ("gold", "7")


def test_a_narrow_prior_does_not_decide_alone():
    weak = CoinEngine("weak", lambda n: 0.0 if n % 10 else 0.5)  # the few solvable seeds all start with 1 of 4
    report = find_edge(seeds(60), weak, EdgeRule(0.1, 0.8, 0.1, 32, batch=2), teacher=teacher(1.0))
    assert sum(report.rule.prior) <= report.rule.pilot + 1e-9
    solvable = [row.decision for row in report.rows if int(row.answer) % 10 == 0]
    assert "hard" not in solvable and "edge" in solvable


def test_a_handful_of_seeds_fits_no_prior():
    weak = CoinEngine("weak", lambda n: 0.0)
    report = find_edge(seeds(8), weak, EdgeRule(0.1, 0.8, 0.1, 8), teacher=teacher(1.0))
    assert report.rule.prior is None or report.rule.prior == (0.5, 0.5)
    assert report.counts()["hard"] == 0, "eight failures prove nothing"


class EvenVerifier:
    """Any even number is right: pass rates can be measured, votes cannot be counted."""

    def extract(self, text):
        return text.rpartition("{")[2].rstrip("}") or None

    def grade(self, answers, problems):
        return [Verdict.right(a) if int(a) % 2 == 0 else Verdict.wrong(a, "odd") for a in answers]

    def groups(self, answers, problems):
        return [None] * len(answers)


def test_without_equality_the_filter_works_on_verdicts_and_a_plurality_is_refused():
    named = {"even": EvenVerifier()}
    problems = [one.model_copy(update={"id": f"{one.id}", "verifier": "even"}) for one in seeds(4, answer="rule")]
    report = find_edge(problems, CoinEngine("weak", lambda n: 1.0), RULE, verifiers=named)
    assert [row.decision for row in report.rows] == ["easy", "hard", "easy", "hard"]  # it says the number itself
    assert {row.verifier for row in report.rows} == {"even"} and not report.conflicts
    unknown = [one.model_copy(update={"answer": None}) for one in problems]
    truths = find_truth(unknown, teacher(1.0), SamplingSettings(n=4), verifiers=named)
    assert {truth.kind for truth in truths} == {"none"}
    assert all("'even' has no equality of answers" in truth.reason for truth in truths)


def test_every_shard_is_opened_a_fixed_number_of_times_however_many_seeds(tmp_path, monkeypatch):
    opened, read = Counter(), Store.read

    def counting(path, columns=None):
        opened[path] += 1
        return read(path, columns)

    monkeypatch.setattr(Store, "read", staticmethod(counting))
    for count in (100, 400):
        opened.clear()
        folder = tmp_path / str(count)
        report = find_edge(seeds(count), CoinEngine("weak", graded), RULE, teacher=teacher(), folder=folder)
        assert len(report.rounds) > 3 and max(opened.values()) == 1  # what a round wrote, that round read back
        opened.clear()
        again = find_edge(seeds(count), CoinEngine("weak", graded), RULE, teacher=teacher(), folder=folder)
        assert again.rows == report.rows and max(opened.values()) <= 2 + 2  # keys, and where a window begins or ends


def test_requests_come_in_bounded_windows_and_change_nothing(monkeypatch):
    class Widest(CoinEngine):
        most = 0

        def sample(self, prompts, settings, progress=None):
            self.most = max(self.most, len(prompts) * settings.n)
            return super().sample(prompts, settings, progress)

    whole = find_edge(seeds(60), CoinEngine("weak", graded), RULE, teacher=teacher())
    monkeypatch.setattr(draws, "WINDOW", 32)
    monkeypatch.setattr(edge, "WINDOW", 32)
    weak, calls = Widest("weak", graded), []
    truths = find_truth(seeds(60), teacher(), SamplingSettings(n=8), progress=lambda *one: calls.append(one))
    parts = find_edge(seeds(60), weak, RULE, truths=truths)
    assert weak.most <= 32 and calls[-1] == (480, 480) and calls == sorted(calls)
    assert [row.model_copy(update={"teacher": None}) for row in whole.rows] == parts.rows


def test_a_posterior_is_computed_once_per_state():
    edge_rows._posterior.cache_clear()
    report = find_edge(seeds(300), CoinEngine("weak", graded), RULE, teacher=teacher())
    states = {(row.successes, row.samples) for row in report.rows if row.samples}
    assert edge_rows._posterior.cache_info().misses == len(states) < 300


def test_the_table_and_the_file_say_what_the_rows_say(tmp_path):
    report = find_edge(seeds(40), CoinEngine("weak", graded), RULE, teacher=teacher())
    table = report.table()
    assert table["id"].tolist() == [row.id for row in report.rows]
    assert table["pass_rate"].dropna().tolist() == [row.pass_rate for row in report.rows if row.pass_rate is not None]
    assert list(iter_edge(report.write(tmp_path / "edge.jsonl"))) == report.rows
