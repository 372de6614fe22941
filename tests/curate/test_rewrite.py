"""Rewrites on a teacher that adds numbers and rewrites by rule, with faults put in on purpose."""

import random
import re

import pytest

from phi4r_lib.curate import rewrite, rewrite_quality
from phi4r_lib.models.engine import Sample, SamplingSettings, open_engine
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import Verdict

FOUR = SamplingSettings(n=4, max_tokens=64)
ONE = SamplingSettings(n=1, max_tokens=64)


class AddingEngine:
    """Answers a prompt with the sum of its numbers, right with probability `rate`; "Ask: ..." turns it into a question."""

    seedable = True

    def __init__(self, name="strong", rate=1.0, reply=None):
        self.name, self.rate, self.reply = name, rate, reply

    def sample(self, prompts, settings, progress=None):
        numbers = range(settings.first, settings.first + settings.n)
        return [[self._one(prompt, index) for index in numbers] for prompt in prompts]

    def _one(self, prompt, index):
        if prompt.startswith("Ask: "):
            text = self.reply or prompt.removeprefix("Ask: Explain the sum. ") + " What is the sum?"
            return Sample(text=text, tokens=9, index=index)
        coin = random.Random(f"{self.name} {prompt} {index}")
        total = sum(map(int, re.findall(r"\d+", prompt)))
        said = total if coin.random() < self.rate else 1000 + coin.randrange(100)
        return Sample(text=f"<think> sum </think> \\boxed{{{said}}}", tokens=5, index=index)

    def close(self):
        pass


def seeds(count):
    about = {"domain": "math", "source": "test", "licence": "MIT", "answer_type": "open", "meta": {"family": "sums"}}
    return [
        Problem(id=f"p{i}", prompt=f"Explain the sum. Ann has {i + 1} nuts. Bob has {i + 5} nuts.", **about)
        for i in range(count)
    ]


def proposed(count=6, engine=None, **options):
    return rewrite.propose(seeds(count), engine or AddingEngine(), "Ask: {problem}", ONE, kind="rewrite", **options)


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("Ann has 3 nuts. How many?", "Ann has 3 nuts. How many?"),
        ("<think> hm </think> Ann has 3 nuts.\nHow many?", "Ann has 3 nuts. How many?"),
        ("Problem: Ann has 3 nuts. How many?", "Ann has 3 nuts. How many?"),
        ("```text\nAnn has 3 nuts. How many?\n```", "Ann has 3 nuts. How many?"),
        ("Ann says 'I have 3. How many?'", "Ann says 'I have 3. How many?'"),
    ],
)
def test_the_question_is_found_in_a_reply(reply, question):
    assert rewrite.parse_question(reply) == question


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no reply"),
        ("<think> I could ask how many 3?", "no reply"),
        ("Ann has 3 nuts.", "question"),
        ("How many nuts has Ann?", "number"),
        ("Is it 3? The answer is \\boxed{3}?", "answer instead"),
    ],
)
def test_what_is_no_question_says_why(reply, reason):
    with pytest.raises(ValueError, match=reason):
        rewrite.parse_question(reply)


def test_programs_parse_with_their_question_or_say_why():
    assert rewrite.parse_program("```python\nx = 3\nprint(x)\n```") == "x = 3\nprint(x)\nWhat does it print?"
    with pytest.raises(ValueError, match="no Python program"):
        rewrite.parse_program("x = = 3\nprint(x)")
    with pytest.raises(ValueError, match="prints nothing"):
        rewrite.parse_program("x = 3")


def test_candidates_carry_their_lineage():
    row = proposed()[0]
    assert (row.id, row.parent_id, row.kind, row.source, row.licence) == ("p0.rewrite0", "p0", "rewrite", "test", "MIT")
    assert row.model == "strong" and row.settings["temperature"] == 1.0 and row.tokens == 9
    assert row.open and row.answer is None and row.meta == {"family": "sums"}


def test_copies_and_unparsable_replies_are_dropped_with_the_reason():
    bad = proposed(engine=AddingEngine(reply="no question here"))
    assert {row.reason for row in bad} == {"does not parse: does not end with a question"}
    same = proposed(max_similarity=0.3)
    assert {row.reason.partition(":")[0] for row in same} == {"copy of its parent"}


def test_repeats_of_known_texts_and_of_each_other_go():
    rows = proposed(3)
    known = rows[1].prompt.upper().replace(".", " .")
    result = rewrite.drop_repeats([*rows, rows[0].model_copy(update={"id": "again"})], [known])
    assert [row.reason for row in result] == ["", "repeats a known problem", "", "repeats a known problem"]


def test_one_answer_on_solving_again_is_asked_for(tmp_path):
    sure = rewrite.solve_again(proposed(), AddingEngine(), FOUR, min_share=0.75, folder=tmp_path)
    assert all(row.open and row.vote_share == 1.0 and len(row.answers) == 4 for row in sure)
    assert [row.answer for row in sure] == [str(2 * i + 6) for i in range(6)]
    unsure = rewrite.solve_again(proposed(), AddingEngine("poor", rate=0.0), FOUR, min_share=0.75)
    assert not any(row.open for row in unsure)
    assert rewrite.reasons(unsure) == {"no single answer": 6}


def test_rewrites_that_lost_a_number_go_even_with_one_answer():
    rows = rewrite.solve_again(proposed(2), AddingEngine(), FOUR, min_share=0.75)
    rows[0] = rows[0].model_copy(update={"prompt": "Ann has 7 nuts. What is the sum?"})
    rows[1] = rows[1].model_copy(update={"prompt": "Ann has 2 nuts, Bob 6, Cem 0. What is the sum?"})
    checked = rewrite.drop_unfaithful(rows, seeds(2), strict=False)
    assert [row.reason for row in checked] == ["lost numbers: 1, 5", ""]
    variants = [row.model_copy(update={"kind": "numbers"}) for row in rows]
    assert all(row.open for row in rewrite.drop_unfaithful(variants, seeds(2), strict=False))
    assert all(row.reason.startswith("other words") for row in rewrite.drop_unfaithful(variants, seeds(2)))


def test_trivially_easy_candidates_go_and_the_rest_is_kept_with_its_votes():
    solved = rewrite.solve_again(proposed(), AddingEngine(), FOUR, min_share=0.75)
    knows_all, knows_none = AddingEngine("base"), AddingEngine("base", rate=0.0)
    easy = rewrite.drop_easy(solved, knows_all, FOUR, easy=0.8)
    assert rewrite.reasons(easy) == {"too easy": 6} and easy[0].easy_right == 4
    kept = rewrite.drop_easy(solved, knows_none, FOUR, easy=0.8)
    assert rewrite.reasons(kept) == {"kept": 6} and kept[0].reason == "100% of 4 solutions agree on 6"


def test_dropped_candidates_cost_no_solutions():
    class Counting(AddingEngine):
        calls = 0

        def sample(self, prompts, settings, progress=None):
            Counting.calls += len(prompts)
            return super().sample(prompts, settings, progress)

    rows = proposed(4)
    rows[0] = rows[0].model_copy(update={"reason": "does not parse: test"})
    rewrite.solve_again(rows, Counting(), FOUR, min_share=0.75)
    assert Counting.calls == 3


def by_gold(kind, text, answer, parent, gold):
    return None if gold is None else answer in (None, gold)


def measured(rows, gold):
    return rewrite_quality.judged(rows, seeds(80), gold, by_gold)


def test_without_a_judge_gold_answers_are_all_that_is_known():
    assert rewrite_quality.by_gold("rewrite", "", "7", seeds(1)[0], "7")
    assert rewrite_quality.by_gold("rewrite", "", "8", seeds(1)[0], "7") is False
    assert rewrite_quality.by_gold("program", "", None, seeds(1)[0], "7") is False  # it prints nothing
    for kind, answer, gold in (("numbers", "8", "7"), ("rewrite", None, "7"), ("rewrite", "8", None)):
        assert rewrite_quality.by_gold(kind, "", answer, seeds(1)[0], gold) is None


def test_the_share_of_right_ones_rises_with_the_vote():
    shaky = AddingEngine("shaky", rate=0.75)
    rows = rewrite.solve_again(proposed(80), shaky, FOUR, min_share=0.75)
    rows = rewrite.drop_easy(rows, AddingEngine("base", rate=0.0), ONE, easy=0.8)
    worth = rewrite_quality.by_stage(measured(rows, {f"p{i}": str(2 * i + 6) for i in range(80)}))["rewrite"]
    assert worth["as written"].n == worth["text checks passed"].n == 80 > worth["kept"].n
    assert worth["kept"].value == 1.0 and worth["kept"].low > worth["as written"].value


def test_a_candidate_that_no_engine_wrote_is_a_fault_and_is_measured_by_nobody(tmp_path):
    """A recorded teacher has no answer to a prompt that asks for a rewrite."""
    (tmp_path / "solutions.jsonl").write_text('{"prompt": "another", "text": "#### 1"}\n')
    rows = proposed(2, engine=open_engine({"kind": "recorded", "model": str(tmp_path / "solutions.jsonl")}))
    assert {row.reason for row in rows} == {"engine fault: this prompt is not in the file"}
    assert not any(row.kept for row in rows) and rewrite.reasons(rows) == {"engine fault": 2}
    assert rewrite_quality.by_stage(measured(rows, {})) == {}


def test_what_each_check_removed_is_measured():
    rows = proposed(4)
    changes = [
        {"kept": True, "answer": "6", "answers": ["6"]},
        {"reason": "too easy: x", "answer": "8", "answers": ["8"]},
        {"reason": "no single answer: x", "answer": "3", "answers": ["3", "4"]},
        {"reason": "does not parse: x"},
    ]
    rows = [row.model_copy(update=change) for row, change in zip(rows, changes, strict=True)]
    table = measured(rows, {f"p{i}": str(2 * i + 6) for i in range(4)})
    assert {name: (one.value, one.n) for name, one in rewrite_quality.by_reason(table).items()} == {
        "all candidates": (0.5, 4),
        "too easy": (0.0, 1),
        "no single answer": (1.0, 1),
        "does not parse": (1.0, 1),
    }
    assert table["stage"].tolist() == ["kept", "text checks passed", "text checks passed", "as written"]
    nothing = measured(rows[:3], {})
    assert rewrite_quality.by_reason(nothing) == rewrite_quality.by_stage(nothing) == {}


def test_a_solution_with_a_false_step_has_no_vote():
    class Slips(AddingEngine):
        def _one(self, prompt, index):
            total = sum(map(int, re.findall(r"\d+", prompt)))
            step = "7 + 5 = 13" if index < self.rate else "7 + 5 = 12"
            return Sample(text=f"<think> {step} </think> \\boxed{{{total}}}", tokens=5, index=index)

    one, two = (rewrite.solve_again(proposed(1), Slips(rate=n), FOUR, min_share=0.75)[0] for n in (1, 2))
    assert one.open and one.vote_share == 0.75 and one.answers == ["6"] * 4
    assert two.reason == "false steps: in 2 of 4 solutions, such as 7 + 5 = 13"


def test_who_must_keep_the_answer_of_the_parent_does():
    parents = [
        one.model_copy(update={"answer": answer}) for one, answer in zip(seeds(3), ("6", "9", None), strict=True)
    ]
    rows = rewrite.solve_again(proposed(3), AddingEngine(), FOUR, min_share=0.75)
    found = rewrite.drop_other_answers(rows, parents)
    assert [row.reason for row in found] == ["", "another answer: 8, not 9", ""]
    variants = [row.model_copy(update={"kind": "numbers"}) for row in rows]
    assert all(row.open for row in rewrite.drop_other_answers(variants, parents))


def test_programs_are_run_against_the_answer_agreed_on():
    about = {"domain": "code", "source": "t", "licence": "MIT", "kind": "program", "kept": True, "model": "m"}
    right = rewrite.RewriteRow(id="a", prompt="x = 3\nprint(x + 4)\nWhat does it print?", answer="7", **about)
    wrong = right.model_copy(update={"id": "b", "answer": "8"})
    broken = right.model_copy(update={"id": "c", "prompt": "print(1 / 0)\nWhat does it print?"})
    done = rewrite.run_programs([right, wrong, broken], allow_unsandboxed=True)
    assert [row.kept for row in done] == [True, False, False]
    assert "prints '7'" in done[1].reason and "status 'error'" in done[2].reason


def test_a_program_is_judged_by_the_verifier_of_its_problem():
    about = {"domain": "code", "source": "t", "licence": "MIT", "kind": "program", "kept": True, "model": "m"}
    row = rewrite.RewriteRow(id="a", prompt="print(8)\nWhat does it print?", answer="rule", verifier="even", **about)
    odd = row.model_copy(update={"id": "b", "prompt": "print(7)\nWhat does it print?"})
    done = rewrite.run_programs([row, odd], verifiers={"even": EvenVerifier()}, allow_unsandboxed=True)
    assert [one.kept for one in done] == [True, False]


def test_a_prompt_file_without_its_placeholder_is_refused(tmp_path):
    (tmp_path / "rewrite.txt").write_text("Rewrite it.")
    with pytest.raises(ValueError, match="must contain"):
        rewrite.load_task(tmp_path, "rewrite")


def test_all_checks_in_a_row_settle_every_candidate(tmp_path):
    options = {"solve": FOUR, "tries": ONE, "min_share": 0.75, "easy": 0.8, "folder": tmp_path}
    rows = rewrite.check(proposed(), seeds(6), AddingEngine(), AddingEngine("base", rate=0.0), **options)
    assert rewrite.reasons(rows) == {"kept": 6}
    again = rewrite.check(
        proposed(), seeds(6), AddingEngine(), AddingEngine("fresh base"), known=[rows[0].prompt], **options
    )
    assert rewrite.reasons(again) == {"too easy": 5, "repeats a known problem": 1}


class OddAtTimes(AddingEngine):
    """Every second answer is odd."""

    def _one(self, prompt, index):
        return Sample(text=f"<think> sum </think> \\boxed{{{index}}}", tokens=5, index=index)


class EvenVerifier:
    """Many answers are right (any even number), so they have no equality."""

    def extract(self, text):
        return text.rpartition("{")[2].rstrip("}") or None

    def grade(self, answers, problems):
        return [Verdict.right(a) if int(a) % 2 == 0 else Verdict.wrong(a, "odd") for a in answers]

    def groups(self, answers, problems):
        return [None] * len(answers)


def test_domain_and_verifier_survive_rewriting():
    about = {"domain": "chemistry", "verifier": "even", "answer": "rule", "meta": {"family": "f", "fragment": "CO"}}
    parent = Problem(id="p", prompt="Explain the sum. Ann has 1 nut. Bob has 5.", source="s", licence="MIT", **about)
    for kind, domain in (("rewrite", "chemistry"), ("paraphrase", "chemistry"), ("numbers", "chemistry")):
        (row,) = rewrite.propose([parent], AddingEngine(), "Ask: {problem}", ONE, kind=kind)
        assert (row.domain, row.verifier, row.meta) == (domain, "even", about["meta"])
    (row,) = rewrite.propose([parent], AddingEngine(), "Ask: {problem}", ONE, kind="puzzle")
    assert (row.domain, row.verifier) == ("math", "even")


@pytest.mark.parametrize(("kind", "kept"), [("paraphrase", True), ("numbers", False)])
def test_without_equality_a_paraphrase_is_checked_like_its_parent_and_a_variant_is_refused(kind, kept):
    named = {"even": EvenVerifier()}
    parents = [one.model_copy(update={"answer": "rule", "verifier": "even"}) for one in seeds(2)]
    rows = rewrite.propose(parents, AddingEngine(), "Ask: {problem}", ONE, kind=kind)
    found = rewrite.solve_again(rows, AddingEngine(), FOUR, min_share=0.75, parents=parents, verifiers=named)
    assert [(row.open, row.answer) for row in found] == [(kept, "rule" if kept else None)] * 2
    half = rewrite.solve_again(rows, OddAtTimes(), FOUR, min_share=0.75, parents=parents, verifiers=named)
    assert all(
        row.reason.startswith("no single answer: 2 of 4 solutions pass" if kept else "no answer") for row in half
    )


def test_a_dead_endpoint_keeps_nothing():
    class Dead(AddingEngine):
        def _one(self, prompt, index):
            return Sample(text="", tokens=0, index=index, error="no route to host")

    parents, rows = seeds(3), proposed(3)
    asked = {"solve": FOUR, "tries": FOUR, "min_share": 0.5, "easy": 0.9}
    dead_student = rewrite.check(rows, parents, AddingEngine(), Dead("weak"), **asked)
    assert [row.kept for row in dead_student] == [False] * 3
    assert {row.reason for row in dead_student} == {"not tried: fault: no route to host"}
    dead_teacher = rewrite.check(rows, parents, Dead(), AddingEngine("weak", 0.5), **asked)
    assert not any(row.kept for row in dead_teacher)
    assert any(row.kept for row in rewrite.check(rows, parents, AddingEngine(), AddingEngine("weak", 0.2), **asked))
