"""Logs as other harnesses leave them: each small input with the value a reader of that log would expect."""

import json
import zipfile

import pandas as pd
import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.measure.adapters.logs import Choice, LogError, read_logs

TIME = "2026-03-04T05-06-07.000001"


def rows_file(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sample(doc_id, metrics, resps, filtered=None, target="7", name="none", doc=None):
    """One row as lm-eval writes it: numbers inside responses are texts."""
    filtered = [resps[0]] if filtered is None else filtered
    return {"doc_id": doc_id, "doc": doc or {}, "target": target, "arguments": {}, "resps": [resps],
            "filtered_resps": filtered, "filter": name, "metrics": list(metrics)} | metrics  # fmt: skip


def lm_eval(tmp_path, rows, name=f"samples_sums_{TIME}.jsonl"):
    return rows_file(tmp_path / name, rows)


def rates(log):
    return log.answers.groupby("problem", sort=False)["correct"].mean().tolist()


# A log is graded again only where that gives the metric it carries.


def test_a_log_likelihood_task_keeps_its_own_metric(tmp_path):
    rows = [
        sample(i, {"perplexity": -1.5, "acc": i % 2}, [[["-1.5", "True"]]], [["-1.5", "True"]], target=" word")
        for i in range(4)
    ]
    rows = [row | {"resps": [[["-1.5", "True"]]]} for row in rows]
    log = read_logs([lm_eval(tmp_path, rows)])
    assert log.answers["run"].nunique() == 1 and rates(log) == [0, 1, 0, 1]
    assert "metric acc taken, perplexity ignored" in log.notes[0]


def test_multiple_choice_by_likelihood_keeps_its_own_metric(tmp_path):
    likelihoods = [["-1.0", "False"], ["-3.0", "False"], ["-2.0", "False"]]
    rows = [
        sample(i, {"acc": 1.0, "acc_norm": 0.0}, [], likelihoods, target="0")
        | {"resps": [[each] for each in likelihoods]}
        for i in range(3)
    ]
    assert rates(read_logs([lm_eval(tmp_path, rows)])) == [1, 1, 1]
    assert rates(read_logs([lm_eval(tmp_path, rows)], Choice(metric="acc_norm"))) == [0, 0, 0]


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_shares_of_programs_are_refused_not_shown_as_none_right(tmp_path, share):
    programs = ["def f(): return 0", "def f(): return 9"] * 2
    rows = [sample(i, {"pass@1": share}, programs, [programs], target="assert f() == 0") for i in range(3)]
    with pytest.raises(LogError, match=f"pass@1 is {share} for 4 answers"):
        read_logs([lm_eval(tmp_path, rows)])


def test_a_whole_metric_of_programs_counts_as_one_run(tmp_path):
    programs = ["def f(): return 0", "def f(): return 9"]
    rows = [sample(i, {"pass@2": i % 2}, programs, [programs], target="assert f() == 0") for i in range(4)]
    log = read_logs([lm_eval(tmp_path, rows)])
    assert rates(log) == [0, 1, 0, 1] and log.answers["run"].nunique() == 1
    assert "one run per question" in log.notes[-1]


@pytest.mark.parametrize(
    ("answers", "metric"),
    [
        (["7", "8", "7", "9"], {"exact_match": 1.0}),  # take_first
        (["8", "7", "7", "9"], {"mean": 0.5}),  # an average of the repeats
        (["8", "7", "9", "5"], {"any": 1.0}),  # pass@4
        (["8", "7", "7", "9"], {"maj": 1.0}),  # majority vote
    ],
)
def test_repeats_are_graded_again_where_that_gives_the_metric(tmp_path, answers, metric):
    texts = [f"Then the answer is {answer}." for answer in answers]
    rows = [sample(i, metric, texts, [answers[0]]) for i in range(3)]
    log = read_logs([lm_eval(tmp_path, rows)])
    assert log.answers["correct"].tolist() == [answer == "7" for answer in answers] * 3
    assert "graded again" in log.notes[-1]


def test_a_worked_solution_as_target_is_reduced_to_its_answer(tmp_path):
    texts = ["Counting on gives #### 7", "So #### 70"]
    rows = [
        sample(i, {"exact_match": 0.0}, texts, [texts], target="Four and three.\n#### 7", doc={"i": i})
        for i in range(4)
    ]
    log = read_logs([lm_eval(tmp_path, rows)])
    assert rates(log) == [0.5] * 4 and set(log.answers["grade"]) == {"right", "wrong"}


def lighteval(tmp_path, metric, texts, choices=("7",), model="org/model", task="sums|0", documents=3):
    folder = tmp_path / "details" / model / TIME
    folder.mkdir(parents=True)
    rows = [
        {
            "doc": {"task_name": task, "id": str(i), "choices": list(choices), "gold_index": 0, "query": f"{i}?"},
            "model_response": {"text": texts, "output_tokens": [[1, 2]] * len(texts)},
            "metric": metric,
        }
        for i in range(documents)
    ]
    pd.DataFrame(rows).to_parquet(folder / f"details_{task.split('|')[0]}_{TIME}.parquet")
    return tmp_path


def test_lighteval_programs_are_refused_and_sums_graded_again(tmp_path):
    programs = lighteval(tmp_path / "code", {"codegen_pass@1:2": 0.5}, ["print(1)", "print(2)"], ["print(1)\n3"])
    with pytest.raises(LogError, match=r"codegen_pass@1:2 is 0\.5 for 2 answers"):
        read_logs([programs])
    sums = read_logs([lighteval(tmp_path / "sums", {"pass@k:k=1&n=2": 0.5}, ["It is \\boxed{7}", "It is \\boxed{8}"])])
    assert rates(sums) == [0.5] * 3 and sums.answers["tokens"].eq(2).all()


def test_lighteval_likelihoods_take_the_logged_metric(tmp_path):
    assert rates(read_logs([lighteval(tmp_path, {"acc": 1, "acc_norm": 0}, [])])) == [1, 1, 1]


# Identity never comes from a file name.


def test_subtasks_without_a_time_in_their_names_are_not_runs_of_one_another(tmp_path):
    for topic, right in (("algebra", 1.0), ("geometry", 0.0)):
        rows = [sample(i, {"exact_match": right}, ["7"], doc={"topic": topic, "i": i}) for i in range(4)]
        lm_eval(tmp_path / "m", rows, f"samples_maths_{topic}.jsonl")
    log = read_logs([tmp_path / "m"])
    assert log.answers["problem"].nunique() == 8 and log.answers["run"].nunique() == 1
    assert log.answers["correct"].mean() == 0.5 and "different problems" in log.notes[-1]


def test_names_of_old_layouts_do_not_keep_models_apart(tmp_path, capsys):
    for model, right in (("a", 1.0), ("b", 0.0)):
        rows = [sample(i, {"exact_match": right}, ["7"], doc={"i": i}) for i in range(4)]
        lm_eval(tmp_path, rows, f"pretrained__org__model-{model}_maths.jsonl")
    logs = [f"{model}={tmp_path}/pretrained__org__model-{model}_maths.jsonl" for model in "ab"]
    answers = read_logs(logs).answers
    assert answers.groupby("problem")["model"].nunique().tolist() == [2] * 4
    assert main(["variance", *logs, "--compare", "a", "b", "--out", str(tmp_path / "out")]) == 0
    assert "a minus b is +100.0 points" in capsys.readouterr().out


def test_one_question_in_two_tasks_is_two_problems_where_the_tasks_are_known(tmp_path):
    for task in ("short", "long"):
        lm_eval(
            tmp_path, [sample(i, {"acc": 1}, ["7"], doc={"i": i}) for i in range(2)], f"samples_{task}_{TIME}.jsonl"
        )
    (tmp_path / f"results_{TIME}.json").write_text('{"model_name": "m", "configs": {"short": {}, "long": {}}}')
    log = read_logs([tmp_path])
    assert log.answers["problem"].str.split("/").str[0].value_counts().to_dict() == {"short": 2, "long": 2}


def test_lighteval_models_are_the_path_between_details_and_the_date(tmp_path):
    log = read_logs([lighteval(tmp_path, {"acc": 1}, ["7"], model="org/team/model", task="suite|sums|5")])
    assert log.answers["model"].unique().tolist() == ["org/team/model"]
    assert log.answers["problem"].tolist() == ["suite|sums/0", "suite|sums/1", "suite|sums/2"]


def inspect_sample(name, epoch, value, uuid, *, asked="q", answer="1", error=None, **scores):
    return {"id": name, "epoch": epoch, "uuid": uuid, "input": asked, "target": "1",
            "output": {"choices": [{"stop_reason": "stop", "message": {"content": "1"}}], "usage": {"output_tokens": 2}},
            "scores": {} if error else {"match": {"value": value, "answer": answer}} | scores,
            } | ({"error": {"message": error}} if error else {})  # fmt: skip


def inspect_log(path, samples, task_id="T1", created="2026-03-04T05:06:07", task="sums"):
    path.parent.mkdir(parents=True, exist_ok=True)
    run = {"task_id": task_id, "task": task, "model": "org/m", "created": created}
    path.write_text(json.dumps({"version": 2, "status": "success", "eval": run, "samples": samples}))
    return path


def test_a_retried_log_counts_once(tmp_path):
    kept = [inspect_sample(f"s{i}", e, "CI"[(i + e) % 2], f"u{i}{e}") for i in range(3) for e in (1, 2)]
    lost = [inspect_sample("s3", e, "C", f"x{e}", error="lost connection") for e in (1, 2)]
    again = [inspect_sample("s3", e, "C", f"y{e}") for e in (1, 2)]
    inspect_log(tmp_path / "b.json", kept + lost, created="2026-03-04T05:06:07")
    inspect_log(tmp_path / "a.json", kept + again, created="2026-03-04T06:00:00")  # its name sorts first
    log = read_logs([tmp_path])
    assert len(log.answers) == 8 and sorted(log.answers["run"].unique()) == [0, 1]
    assert not log.answers["grade"].eq("lost").any() and log.answers["correct"].mean() == 0.625
    assert any("8 answers stand in several logs of one task" in note for note in log.notes)


def test_a_second_run_of_a_task_gives_further_runs(tmp_path):
    inspect_log(tmp_path / "a.json", [inspect_sample("s", 1, "C", "u1"), inspect_sample("t", 1, "I", "u2")])
    inspect_log(
        tmp_path / "b.json", [inspect_sample("s", 1, "I", "v1"), inspect_sample("t", 1, "I", "v2")], task_id="T2"
    )
    log = read_logs([tmp_path])
    assert rates(log) == [0.5, 0] and "further runs of 2 problems" in log.notes[-1]


def test_one_id_with_another_question_is_another_problem(tmp_path):
    inspect_log(tmp_path / "a.json", [inspect_sample("1", 1, "C", "u1"), inspect_sample("2", 1, "C", "u2", asked="r")])
    shuffled = [inspect_sample("1", 1, "I", "v1", asked="r"), inspect_sample("2", 1, "C", "v2", asked="q")]
    inspect_log(tmp_path / "b.json", shuffled, task_id="T2")
    assert read_logs([tmp_path]).answers["problem"].nunique() == 4


def test_messages_are_compared_without_their_random_ids(tmp_path):
    for name, number in (("a", "T1"), ("b", "T2")):
        asked = [{"id": f"message-{name}", "role": "user", "content": "q"}]
        inspect_log(tmp_path / f"{name}.json", [inspect_sample("1", 1, "C", name, asked=asked)], task_id=number)
    assert read_logs([tmp_path]).answers["problem"].nunique() == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_last_member_of_an_archive_wins(tmp_path):
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("header.json", json.dumps({"version": 2, "eval": {"task": "t", "model": "m", "task_id": "T"}}))
        archive.writestr("samples/s_epoch_1.json", json.dumps(inspect_sample("s", 1, "I", "u1")))
        archive.writestr("samples/s_epoch_1.json", json.dumps(inspect_sample("s", 1, "C", "u1")))
    assert read_logs([tmp_path / "log.eval"]).answers["correct"].tolist() == [True]


# What is taken and what is ignored is named; a choice is offered.


def test_filters_metrics_and_scorers_can_be_chosen(tmp_path):
    rows = [sample(i, {"exact_match": 0.0}, ["It is 7"], ["[invalid]"], name="strict") for i in range(2)]
    rows += [sample(i, {"exact_match": 1.0}, ["It is 7"], ["7"], name="flexible") for i in range(2)]
    path = lm_eval(tmp_path, rows)
    first, second = read_logs([path]), read_logs([path], Choice(filter="flexible"))
    assert rates(first) == [0, 0] and set(first.answers["grade"]) == {"none"}
    assert "filter strict taken, flexible ignored (--filter chooses)" in first.notes[0] and rates(second) == [1, 1]
    graded = {"value": "I", "answer": "2"}
    log = inspect_log(tmp_path / "i.json", [inspect_sample("s", 1, "C", "u", judge=graded)])
    assert "scorer match taken, judge ignored" in read_logs([log]).notes[0]
    assert rates(read_logs([log], Choice(scorer="judge"))) == [0]
    for asked, choice in ((path, Choice(filter="x")), (path, Choice(metric="x")), (log, Choice(scorer="x"))):
        with pytest.raises(LogError, match=r"has no .* .x.; it has"):
            read_logs([asked], choice)


# Tables of any harness, by saying which field is which.


@pytest.mark.parametrize(
    ("row", "mapping", "expected"),
    [
        ({"example_id": 1, "reward": 1.0}, {"problem": "example_id", "correct": "reward"}, [True]),
        ({"idx": 0, "score": [True, False], "pred": ["1", "2"]}, {"problem": "idx", "correct": "score", "answer": "pred"}, [True, False]),
        ({"id": "q", "metrics": {"acc": 0}}, {"problem": "id", "correct": "metrics.acc"}, [False]),
        ({"id": "q", "verdicts": [{"ok": 0}, {"ok": 1}]}, {"problem": "id", "correct": "verdicts.-1.ok"}, [True]),
        ({"problem": "q", "a.b": 1}, {"correct": "a.b"}, [True]),
        ({"problem": "q", "correct": 1, "seed": "main"}, {"seed": "-"}, [True]),
    ],
)  # fmt: skip
def test_mapped_fields(tmp_path, row, mapping, expected):
    log = read_logs([rows_file(tmp_path / "rows.jsonl", [row])], Choice(map=mapping))
    assert log.answers["correct"].tolist() == expected


def test_rows_of_a_problem_are_its_runs_and_a_file_is_a_run(tmp_path):
    mapped = Choice(map={"problem": "example_id", "correct": "reward"})
    together = rows_file(tmp_path / "one.jsonl", [{"example_id": i % 2, "reward": float(i > 1)} for i in range(6)])
    log = read_logs([f"new={together}"], mapped)
    assert rates(log) == pytest.approx([2 / 3, 2 / 3]) and log.answers["run"].nunique() == 3
    for seed in (0, 1):
        rows_file(tmp_path / "runs" / f"output-rs{seed}.jsonl", [{"problem": q, "ok": q == "a" or seed} for q in "ab"])
    log = read_logs([tmp_path / "runs"], Choice(map={"correct": "ok"}))
    assert rates(log) == [1, 0.5] and log.answers["model"].unique().tolist() == ["runs"]
    assert "2 files merged as further runs of 2 problems" in log.notes[-1]


@pytest.mark.parametrize(
    "content",
    [[{"correct": True}, {"correct": False}], {"type": "GEN", "0": {"correct": True}, "1": {"correct": False}}],
)
def test_results_of_opencompass(tmp_path, content):
    path = tmp_path / "gsm8k.json"
    path.write_text(json.dumps({"accuracy": 50.0, "details": content}))
    log = read_logs([path], Choice(map={"problem": "key"}))
    assert log.answers["problem"].tolist() == ["0", "1"] and log.answers["correct"].tolist() == [True, False]


def test_lmms_rows_are_read_without_a_map(tmp_path):
    rows = [
        {"doc_id": i, "target": "A", "filtered_resps": "A", "exact_match": 1.0, "doc_hash": f"{i}"} for i in range(3)
    ]
    path = rows_file(tmp_path / "20260304_samples_vision.jsonl", rows)
    assert rates(read_logs([path])) == [1, 1, 1]


@pytest.mark.parametrize(
    ("column", "value"),
    [("truncated", "stop"), ("seed", 2**63), ("seed", "main"), ("tokens", -1), ("grade", "B+"), ("run", "x"), ("grade", "wrong")],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_column_that_only_bears_our_name_is_named(tmp_path, column, value, suffix):
    rows = [{"problem": i, "run": 0, "correct": 1} | {column: value} for i in range(2)]
    path = tmp_path / f"mine.{suffix}"
    pd.DataFrame(rows).to_csv(path, index=False) if suffix == "csv" else rows_file(path, rows)
    with pytest.raises(LogError, match=f"mine.{suffix}: row 1: column '{column}'.*--map {column}=-"):
        read_logs([path])
    assert len(read_logs([path], Choice(map={column: "-"})).answers) == 2


@pytest.mark.parametrize("start", ["\ufeff", ""])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_marks_and_separators_of_other_systems(tmp_path, start, end):
    rows = [{"problem": i, "correct": 1, "answer": "one\u2028two\x85three"} for i in range(2)]
    path = tmp_path / "rows.jsonl"
    path.write_bytes((start + end.join(json.dumps(row, ensure_ascii=False) for row in rows)).encode())
    assert read_logs([path]).answers["answer"].tolist() == ["one\u2028two\x85three"] * 2


@pytest.mark.parametrize(
    ("rows", "mapping", "says"),
    [
        ([{"id": 1, "reward": 0.5}], {"problem": "id", "correct": "reward"}, "0.5 is neither right nor wrong"),
        ([{"id": 1, "ok": 1}], {"problem": "id", "correct": "fine"}, "no row has 'fine'"),
        ([{"id": 1, "ok": 1}], {"problem": "id", "correct": "ok", "kind": "x"}, "--map kind=...: no such column"),
        ([{"id": 1, "ok": [1, 0], "a": ["x"]}], {"problem": "id", "correct": "ok", "answer": "a"}, "different lengths"),
        ([{"id": None, "ok": 1}], {"problem": "id", "correct": "ok"}, "no row has 'id'"),
        ([{"id": 1, "ok": 1}, {"ok": 1}], {"problem": "id", "correct": "ok"}, "row 2: column 'problem' is empty"),
    ],
)
def test_a_map_that_cannot_be_used_says_why(tmp_path, rows, mapping, says):
    with pytest.raises(LogError, match=says):
        read_logs([rows_file(tmp_path / "rows.jsonl", rows)], Choice(map=mapping))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"problem": ' + "9" * 5000 + "}", "[1]", '"x"'])
def test_odd_json_is_one_clear_line(tmp_path, text):
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(LogError, match=r"rows\.jsonl[^\n]*$"):
        read_logs([path])


def test_the_command_prints_what_it_took(tmp_path, capsys):
    rows = [{"q": i, "ok": [0, 0, 0]} for i in range(30)]
    path = rows_file(tmp_path / "rows.jsonl", rows)
    arguments = ["variance", f"new={path}", "--map", "problem=q", "--map", "correct=ok", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "on new problems like these expect 0.0% to 11.4%" in said and "(95% interval 0.0% to 4." in said
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert found["models"]["new"]["interval_population"][1] == pytest.approx(0.1135, abs=1e-4)
    assert "0.0% to 11.4%" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert main([*arguments, "--map", "correct=ok"]) == 2 and "given twice" in capsys.readouterr().err
