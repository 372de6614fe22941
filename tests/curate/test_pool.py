"""The pool of a trial: what notebooks 01 and 02 kept, by class, and what a filter would have dropped."""

import json

from phi4r_lib.curate.edge import EdgeRow
from phi4r_lib.curate.pool import code_split, prompt_pool, training_pool
from phi4r_lib.curate.rewrite import RewriteRow
from phi4r_lib.curate.teach import TraceRow
from phi4r_lib.models.engine import Sample, as_messages
from phi4r_lib.problems.rows import read_rows, write_rows
from phi4r_lib.problems.schema import load_problems, problem_of

ABOUT = {"domain": "math", "source": "test", "licence": "MIT"}


def seed(name, decision):
    facts = {name: 0 for name, field in EdgeRow.model_fields.items() if field.annotation is int}
    known = dict(ABOUT, id=name, prompt=f"{name}?", answer="3", decision=decision, reason="", truth_kind="plurality")
    given = {"truth_reason": "", "truth_samples": 5, "vote_share": 1.0, "models": ["m"], "teacher": "t"}
    row = {key: value for key, value in (facts | known | given).items() if key in EdgeRow.model_fields}
    return EdgeRow.model_construct(**row).model_dump()


def trace(problem, reason, *, kept=False, effort="medium", index=0, domain="math"):
    text = f"<think> {reason} {index} </think> \\boxed{{3}}"
    return TraceRow(
        id=f"{problem}.{effort}.{index}", problem_id=problem, domain=domain, text=text, found="3", truth="3",
        effort=effort, model="t", settings={}, index=index, tokens=9, kept=kept, reason=reason,
    ).model_dump()  # fmt: skip


def run_folder(tmp_path, monkeypatch):
    """What 01 and 02 leave behind, as small as possible: two seeds and one made problem."""
    from phi4r_lib.curate import pool

    made = RewriteRow.model_construct(
        **ABOUT, id="made", prompt="made?", answer="3", kept=True, kind="numbers", vote_share=1.0, parent_id="a",
        answer_type="number", meta={}, verifier="math",
    )  # fmt: skip
    monkeypatch.setattr(pool.RewriteRow, "model_validate", classmethod(lambda cls, row: made))
    monkeypatch.setattr(pool, "load_edge", lambda path: [EdgeRow.model_construct(**row) for row in edges])
    edges = [seed("a", "edge") | {"answer_type": "number", "parent_id": None, "meta": {}, "verifier": "math"},
             seed("b", "hard") | {"answer_type": "number", "parent_id": None, "meta": {}, "verifier": "math"}]  # fmt: skip
    write_rows(tmp_path / "rewrites.jsonl", [{"id": "made"}])
    write_rows(
        tmp_path / "traces.jsonl",
        [
            trace("a", "wrong answer: not_equal"), trace("a", "right, chosen as shortest", kept=True, index=1),
            trace("a", "right, chosen as shortest", kept=True, effort="high", index=2),
            trace("b", "length: no end", index=0), trace("b", "right, chosen as shortest", kept=True, index=1),
            trace("made", "right, chosen as shortest", kept=True), trace("gone", "right", kept=True),
        ],
    )  # fmt: skip
    return tmp_path


def rows_of(path):
    return [row for _, row in read_rows(path)]


def test_each_file_holds_one_row_per_problem_with_its_class(tmp_path, monkeypatch):
    folder = run_folder(tmp_path, monkeypatch)
    found = training_pool(folder, folder, tmp_path / "pool", "Think.")
    names = {name: [row["problem_id"] for row in rows_of(path)] for name, path in found.files.items()}
    assert names == {
        "math": ["a", "b"], "mixed": ["a", "b", "made"], "high": ["a"], "medium": ["a"], "unfiltered": ["a", "b", "made"]
    }  # fmt: skip
    efforts = {name: rows_of(found.files[name])[0]["messages"][-1]["content"] for name in ("medium", "high")}
    assert "chosen as shortest 1" in efforts["medium"] and "chosen as shortest 2" in efforts["high"]
    assert [row["decision"] for row in rows_of(found.files["math"])] == ["edge", "hard"]
    assert found.table.loc["mixed"].to_dict() == {"edge": 1, "hard": 1, "new": 1}


def test_the_unfiltered_file_takes_the_first_well_formed_trace_right_or_wrong(tmp_path, monkeypatch):
    folder = run_folder(tmp_path, monkeypatch)
    rows = rows_of(training_pool(folder, folder, tmp_path / "pool", None).files["unfiltered"])
    texts = {row["problem_id"]: row["messages"][-1]["content"] for row in rows}
    assert "wrong answer" in texts["a"]  # an answer filter would have dropped it
    assert "no end" not in texts["b"]  # a text without an end has no place in any arm


class Teller:
    """An engine that is right as often as the prompt's first word says, of eight."""

    name, seedable = "teller", True

    def sample(self, prompts, settings, progress=None):
        rights = [int(as_messages(prompt)[-1]["content"].split()[0]) for prompt in prompts]
        return [
            [Sample(text=f"\\boxed{{{3 if i < right else 4}}}", tokens=2, index=i) for i in range(settings.n)]
            for right in rights
        ]

    def close(self): ...


def test_prompts_get_the_class_of_the_model_that_trains_next(tmp_path, monkeypatch):
    from phi4r_lib.curate import pool

    monkeypatch.setattr(pool, "load_edge", lambda path: [])
    rows = [
        dict(
            ABOUT, id=f"p{right}", prompt=as_messages(f"{right} of eight"), answer="3", decision="hard", verifier="math"
        )
        for right in (0, 1, 2, 6, 7, 8)
    ]
    write_rows(tmp_path / "rl.jsonl", rows)
    found = prompt_pool(tmp_path / "rl.jsonl", tmp_path, Teller(), tmp_path / "pool", None)
    classes = {row["id"]: (row["pass_rate"], row["class"]) for row in rows_of(found.files["prompts"])}
    assert classes == {
        "p0": (0.0, "hard"), "p1": (0.125, "hard"), "p2": (0.25, "edge"),
        "p6": (0.75, "edge"), "p7": (0.875, "easy"), "p8": (1.0, "easy"),
    }  # fmt: skip
    assert found.table.loc["hard"].to_dict() == {"easy": 2, "edge": 2, "hard": 2}
    few = prompt_pool(tmp_path / "rl.jsonl", tmp_path, Teller(), tmp_path / "few", None, limit=3)
    assert len(rows_of(few.files["prompts"])) == 3


def test_a_prompt_row_is_its_problem_again():
    row = dict(ABOUT, id="x", prompt=as_messages("1 + 2?", "System."), answer="3", verifier="exact", parent_id=None)
    problem = problem_of(row)
    assert (problem.prompt, problem.answer, problem.verifier) == ("1 + 2?", "3", "exact")


def test_programs_are_split_by_problem(tmp_path):
    rows = [
        dict(
            ABOUT,
            id=f"{name}.{i}",
            problem_id=name,
            messages=[*as_messages(f"{name}?", "S"), {"role": "assistant", "content": "t"}],
        )
        for name in "abcdef"
        for i in (0, 1)
    ]
    write_rows(tmp_path / "code.jsonl", rows)
    gold = {name: "7" for name in "abcde"}  # f has no gold answer, so it can only train
    found = code_split(tmp_path / "code.jsonl", gold, tmp_path / "pool", test_share=0.4)
    held = {problem.id for problem in load_problems(found.files["test"])}
    trained = {row["problem_id"] for row in rows_of(found.files["train"])}
    assert len(held) == 2 and held <= set(gold) and not held & trained and held | trained == set("abcdef")
    assert json.loads(found.files["test"].read_text().splitlines()[0])["answer"] == "7"
