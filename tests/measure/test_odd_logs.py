"""Logs that a reader could misread in silence: each is read with the right value, named in a note, or refused in one line."""

import gzip
import json
import zipfile

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi4r_lib.measure.adapters.logs import AnswersError, Choice, LogError, read_logs
from phi4r_lib.measure.analysis import analyse

TIME = "2026-03-04T05-06-07.000001"


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def asked(doc_id, metrics, resps=("7",), prompt="", name="none"):
    return {"doc_id": doc_id, "doc": {"i": doc_id}, "target": "7", "arguments": {"0": f"{prompt}{doc_id}?"},
            "resps": [list(resps)], "filtered_resps": list(resps), "filter": name, "metrics": list(metrics)} | metrics  # fmt: skip


def sampled(number, value="C", epoch=1, **more):
    return {"id": number, "epoch": epoch, "uuid": f"{number}-{epoch}-{value}", "input": f"{number}?",
            "output": {"choices": [{"stop_reason": "stop"}], "usage": {"output_tokens": 3}},
            "scores": {"match": {"value": value, "answer": "7"}}} | more  # fmt: skip


def inspect_log(path, samples, status="success", task_id="T", **run):
    header = {"task": "sums", "task_id": task_id, "created": "2026", "model": "org/m"} | run
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 2, "status": status, "eval": header, "samples": samples}))
    return path


def detailed(folder, metric, texts=("7",), documents=4, task="sums|0"):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "doc": {"task_name": task, "id": str(i), "choices": ["7"], "gold_index": 0, "query": f"{i}?"},
            "model_response": {"text": list(texts), "output_tokens": [[1]] * len(texts)},
            "metric": metric,
        }
        for i in range(documents)
    ]
    path = folder / f"details_sums_{TIME}.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


def right(log):
    return log.answers["correct"].tolist()


# Plain tables.


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"problem": "a", "correct": [1, 0]}, {"problem": "b", "correct": []}], "row 2: column 'correct' is an empty"),
        ([{"problem": "", "correct": 1}, {"problem": "b", "correct": 1}], "row 1: column 'problem' is empty"),
        ([{"problem": "a", "correct": 1, "model": "x"}, {"problem": "b", "correct": 1, "model": None}], "row 2: column 'model'"),
        ([{"problem": "a", "correct": 1, "run": 0}, {"problem": "b", "correct": 1, "run": None}], "row 2: column 'run'"),
        ([{"problem": "a", "correct": None}, {"problem": "b", "correct": None}], "'correct' is empty in every row"),
        ([{"problem": "a", "correct": 1, "grade": "lost"}], "column 'grade' says 'lost' and `correct` True"),
        ([{"problem": "a", "correct": 1, "grade": "failed"}], "column 'grade' says 'failed' and `correct` True"),
    ],
)  # fmt: skip
def test_rows_that_would_be_lost_or_miscounted_are_refused(tmp_path, rows, says):
    with pytest.raises(LogError, match=says):
        read_logs([lines(tmp_path / "rows.jsonl", rows)])


def test_runs_are_counted_for_each_model_by_itself(tmp_path):
    rows = [{"problem": p, "model": m, "correct": m == "x"} for p, ms in (("a", "xy"), ("b", "yx")) for m in ms]
    log = read_logs([lines(tmp_path / "rows.jsonl", rows)])
    assert log.answers["run"].tolist() == [0] * 4 and "(1 here)" in log.notes[0]


def test_two_files_given_are_two_models_and_a_folder_of_files_is_one(tmp_path):
    for name in ("new/results.jsonl", "old/results.jsonl", "old/other.jsonl"):
        lines(
            tmp_path / name,
            [{"problem": i, "correct": name[0] == "n"} for i in range(3)] + [{"problem": name, "correct": 1}],
        )
    models = lambda *paths, **k: list(read_logs([tmp_path / p for p in paths], **k).answers["model"].unique())  # noqa: E731
    assert models("new/results.jsonl", "old/other.jsonl") == ["results", "other"]
    assert models("new/results.jsonl", "old/results.jsonl") == ["new/results", "old/results"]
    assert models("old", choice=Choice(map={"correct": "correct"})) == ["old"]


def test_a_name_does_not_make_several_models_one(tmp_path):
    rows = [{"problem": f"{m}{i}", "run": 0, "correct": m == "x", "model": m} for m in "xy" for i in range(3)]
    path = lines(tmp_path / "rows.jsonl", rows)
    with pytest.raises(LogError, match=r"several models \(x, y\); the name 'mine' would make them one"):
        read_logs([f"mine={path}"])


@pytest.mark.parametrize("again", [("x", "y"), ("y", "x")])
def test_a_pair_is_compared_once(tmp_path, again):
    rows = [{"problem": i, "run": 0, "correct": m == "x", "model": m} for m in "xy" for i in range(3)]
    answers = read_logs([lines(tmp_path / "rows.jsonl", rows)]).answers
    with pytest.raises(AnswersError, match="compared twice"):
        analyse(answers, [("x", "y"), again])


def test_a_list_beside_a_single_verdict_is_a_first_run(tmp_path):
    log = read_logs(
        [lines(tmp_path / "rows.jsonl", [{"problem": "a", "correct": [1, 0]}, {"problem": "b", "correct": 1}])]
    )
    assert log.answers["run"].tolist() == [0, 1, 0] and right(log) == [True, False, True]


@pytest.mark.parametrize(("text", "verdict"), [("1.00", True), ("0.00", False), ("True", True), ("1e0", True)])
def test_a_verdict_is_a_number_however_it_is_written(tmp_path, text, verdict):
    (tmp_path / "rows.csv").write_text(f"problem,correct\na,{text}\nb,{text}\n")
    assert right(read_logs([tmp_path / "rows.csv"])) == [verdict] * 2


def test_odd_cells_are_texts_and_the_analysis_is_whole(tmp_path):
    rows = [
        {"problem": {"id": i}, "correct": i % 2, "run": r, "model": "m\x1b[31m\n", "answer": "\ud835", "year": 10**30, "family": [3, "x", None, {}][i]}
        for i in range(4)
        for r in range(2)
    ]  # fmt: skip
    answers = read_logs([lines(tmp_path / "rows.jsonl", rows)]).answers
    assert answers["problem"].nunique() == 4 and set(answers["answer"]) == {"\ufffd"}
    assert answers["model"].unique().tolist() == ["m\ufffd[31m\ufffd"] and analyse(answers).sentences


# lm-eval and lighteval.


def test_a_row_without_the_filter_or_the_metric_is_not_dropped_or_counted_as_wrong(tmp_path):
    rows = [asked(i, {"exact_match": 1.0}) for i in range(3)]
    bare = {key: value for key, value in asked(3, {"exact_match": 1.0}).items() if key != "filter"}
    with pytest.raises(LogError, match="doc_id 3 names no filter"):
        read_logs([lines(tmp_path / "a" / f"samples_t_{TIME}.jsonl", [*rows, bare])])
    with pytest.raises(LogError, match="doc_id 3: has no exact_match, it has acc"):
        read_logs([lines(tmp_path / "b" / f"samples_t_{TIME}.jsonl", [*rows, asked(3, {"acc": 1.0})])])


@pytest.mark.parametrize("several", ["pass@3", "maj@3", "pass@k:k=3&n=3", "cons@64", "pass^3"])
def test_what_several_answers_earn_together_is_not_taken_for_one_answer(tmp_path, several):
    rows = [asked(i, {several: 1.0, "pass@1": 1 / 3}, ["def f(): 1"] * 3) for i in range(3)]
    path = lines(tmp_path / f"samples_t_{TIME}.jsonl", rows)
    with pytest.raises(LogError, match=r"pass@1 is 0\.33"):
        read_logs([path])
    chosen = read_logs([path], Choice(metric=several))
    assert right(chosen) == [True] * 3 and f"metric {several} taken, pass@1 ignored" in chosen.notes[0]


def test_a_metric_of_one_answer_is_one_however_many_samples_it_is_estimated_from(tmp_path):
    texts = ["\\boxed{7}", "\\boxed{8}", "\\boxed{7}", "\\boxed{9}"]
    log = read_logs([detailed(tmp_path / "details/m/x", {"maj@4": 1.0, "math_pass@1:4_samples": 0.5}, texts)])
    assert right(log) == [True, False] * 8 and "math_pass@1:4_samples taken, maj@4 ignored" in log.notes[0]


def test_a_metric_that_we_do_not_know_is_named(tmp_path):
    log = read_logs([lines(tmp_path / f"samples_t_{TIME}.jsonl", [asked(i, {"wer": 1.0}) for i in range(3)])])
    assert "metric wer taken, 1 counts as right" in log.notes[0]


def test_reductions_that_fit_alike_are_all_named(tmp_path):
    rows = [asked(i, {"exact_match": 1.0}, ["8", "7", "7"]) for i in range(3)]
    note = read_logs([lines(tmp_path / f"samples_t_{TIME}.jsonl", rows)]).notes[-1]
    assert "is the best answer's grade or the plurality's grade" in note


def test_a_packed_log_is_the_same_log(tmp_path):
    path = lines(tmp_path / f"samples_t_{TIME}.jsonl", [asked(i, {"acc": i % 2}) for i in range(4)])
    packed = tmp_path / "packed" / f"{path.name}.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    assert right(read_logs([packed.parent])) == right(read_logs([path])) == [False, True, False, True]


def test_two_settings_of_one_model_are_named_not_pooled_in_silence(tmp_path):
    for shots in ("", "An example. "):
        rows = [asked(i, {"acc": bool(shots)}, prompt=shots) for i in range(4)]
        lines(tmp_path / "lm" / f"samples_t_2026-03-0{len(shots) % 9}.jsonl", rows)
        detailed(tmp_path / f"details/m/{len(shots)}", {"acc": int(bool(shots))}, task=f"sums|{len(shots)}")
        inspect_log(tmp_path / "i" / f"{len(shots)}.json", [sampled(i, uuid=f"{i}{shots}") for i in range(4)], task_id=shots,
                    model_generate_config={"temperature": len(shots), "seed": 3})  # fmt: skip
    for folder in ("lm", "details", "i"):
        said = " ".join(read_logs([tmp_path / folder]).notes)
        assert "4 of 4 shared problems were not put the same way" in said and "further runs" in said


def test_a_copy_of_a_log_does_not_count_double(tmp_path):
    rows = [asked(i, {"acc": i % 2}) for i in range(4)]
    paths = [lines(tmp_path / folder / f"samples_t_{TIME}.jsonl", rows) for folder in "ab"]
    with pytest.raises(LogError, match="the same to the last byte"):
        read_logs([f"m={path}" for path in paths])
    assert read_logs(paths).answers["model"].nunique() == 2  # two models may answer alike


# Inspect.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"epoch": None}, "sample 1: field 'epoch'"),
        ({"epoch": 0}, "sample 1: field 'epoch'"),
        ({"id": None}, "sample 1: field 'id'"),
        ({"output": "text"}, "sample 1: field 'output'"),
        ({"scores": ["C"]}, "sample 1: field 'scores'"),
        ({"scores": {"match": {}}}, "sample 1: field 'scores.match.value'"),
    ],
)
def test_samples_of_another_shape_are_named(tmp_path, change, says):
    with pytest.raises(LogError, match=says):
        read_logs([inspect_log(tmp_path / "a.json", [sampled(0) | change, sampled(1)])])


def test_a_log_that_was_cut_off_says_so(tmp_path):
    log = read_logs([inspect_log(tmp_path / "a.json", [sampled(i) for i in range(3)], status="cancelled")])
    assert "status cancelled, so samples may be missing (3 are there)" in log.notes[0]


def test_the_first_scorer_that_can_be_used_is_taken(tmp_path):
    scores = lambda i: {"f1": {"value": 0.5}, "match": {"value": "CI"[i % 2]}}  # noqa: E731
    log = read_logs([inspect_log(tmp_path / "a.json", [sampled(i, scores=scores(i)) for i in range(4)])])
    assert right(log) == [True, False] * 2 and "scorer match taken, f1 ignored" in log.notes[0]


def test_token_counts_and_seeds_that_cannot_be_are_unknown(tmp_path):
    for number, tokens in enumerate([-4, "many", 2**70, True, None]):
        samples = [sampled(i, output={"usage": {"output_tokens": tokens}, "choices": []}) for i in range(2)]
        path = inspect_log(tmp_path / f"{number}.json", samples, model_generate_config={"seed": 2**64})
        answers = read_logs([path]).answers
        assert answers["tokens"].isna().all() and answers["seed"].isna().all() and answers["correct"].all()


@pytest.mark.parametrize("header", [[1], {"version": 2}, {"eval": {}}, {"eval": {"model": "m", "task_args": [1]}}])
def test_an_archive_with_an_odd_header_is_one_line(tmp_path, header):
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        archive.writestr("samples/0_epoch_1.json", json.dumps(sampled(0)))
    with pytest.raises(LogError, match=r"a\.eval: [^\n]*$"):
        read_logs([tmp_path / "a.eval"])


def test_a_damaged_archive_is_one_line(tmp_path):
    path = tmp_path / "a.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"eval": {"model": "m"}} | {"pad": list(range(300))}))
        archive.writestr("samples/0_epoch_1.json", json.dumps(sampled(0)))
    whole = path.read_bytes()
    for place in range(40, len(whole), 41):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            read_logs([path])
        except AnswersError as error:
            assert "\n" not in str(error)


# What the answers as a whole can say.


def test_no_verdict_at_all_is_no_score_of_zero(tmp_path):
    samples = [sampled(i, scores={}, error={"message": "down"}) for i in range(3)]
    with pytest.raises(LogError, match="none of its 3 answers has a verdict"):
        read_logs([inspect_log(tmp_path / "a.json", samples)])


def test_uneven_runs_shared_problems_and_missing_pairs_are_said(tmp_path):
    rows = [{"problem": f"p{i}", "run": r, "correct": (i + r) % 2} for r in range(2) for i in range(6 - 3 * r)]
    few = lines(tmp_path / "few.jsonl", rows)
    many = lines(
        tmp_path / "many.jsonl", [{"problem": f"p{i}", "run": r, "correct": r} for r in range(2) for i in range(9)]
    )
    other = lines(
        tmp_path / "other.jsonl", [{"problem": f"q{i}", "run": r, "correct": r} for r in range(2) for i in range(9)]
    )
    said = " ".join(analyse(read_logs([few, many]).answers).sentences)
    assert "few: 3 of 6 problems have fewer than 2 runs" in said and "over the 6 problems that both answered" in said
    said = " ".join(analyse(read_logs([many, other]).answers).sentences)
    assert "No models are compared: no two of them share more than 0 problems" in said


def test_the_sentence_and_the_figure_give_one_chance_of_a_wrong_order(tmp_path):
    from phi4r_lib.measure.tables import ranking_errors

    rows = [{"model": m, "problem": f"p{i}", "run": r, "correct": (i * r) % n != 1} for m, n in (("a", 5), ("b", 4)) for i in range(12) for r in range(6)]  # fmt: skip
    answers = read_logs([lines(tmp_path / "rows.jsonl", rows)]).answers
    found = analyse(answers, [("a", "b")])
    drawn = ranking_errors(answers, [("a", "b")], runs=(1,))["p_wrong"].item()
    assert 0.01 < drawn < 0.5 and f"the wrong way round {drawn:.1%} of the time" in " ".join(found.sentences)


def test_a_question_without_answers_among_others_leaves_the_logged_metric(tmp_path):
    """One row of log-likelihoods, or without answers, in a log of several answers each: nothing can be graded again."""
    for number, odd in enumerate(([["7", False]], [[]])):
        rows = [asked(i, {"exact_match": 1}, ["7", "8"]) for i in range(3)]
        rows[1] |= {"resps": odd, "filtered_resps": odd}
        found = read_logs([lines(tmp_path / str(number) / "samples_t_x.jsonl", rows)])
        assert found.answers["correct"].tolist() == [True] * 3
        assert "cannot be graded again" in " ".join(found.notes)


# Anything in any place.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def replaced(data, path, value):
    """A copy of `data` with `value` at the place that `path` leads to (numbers count through what is there)."""
    if not path or not isinstance(data, (dict, list)) or not data:
        return value
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = keys[path[0] % len(keys)]
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[key] = replaced(data[key], path[1:], value)
    return copy


WHOLE = {
    "samples_t_x.jsonl": [asked(i, {"exact_match": i % 2, "acc": 1}, ["7", "8"]) for i in range(2)],
    "a.json": {
        "version": 2,
        "status": "success",
        "eval": {"task": "t", "task_id": "T", "model": "m", "created": "2026", "model_generate_config": {"seed": 1}},
        "samples": [sampled(i, "CI"[i]) for i in range(2)],
    },
    "rows.jsonl": [
        {"problem": f"p{i}", "correct": 1, "run": 0, "model": "m", "answer": "7", "tokens": 3, "truncated": False, "seed": 1}
        | {"grade": "right", "family": "f", "year": 2024}
        for i in range(2)
    ],
    "lists.jsonl": [{"problem": f"p{i}", "correct": [1, 0], "answer": ["7", "8"], "tokens": [3, 4]} for i in range(2)],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WHOLE))
@given(path=st.lists(st.integers(0, 20), min_size=1, max_size=6), value=JSON)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_value_in_any_place_is_read_or_refused_in_one_line(tmp_path, name, path, value):
    data = replaced(WHOLE[name], path, value)
    rows = data if isinstance(data, list) else [data]
    text = "".join(json.dumps(row) + "\n" for row in rows) if name.endswith("l") else json.dumps(data)
    (tmp_path / name).write_text(text)
    try:
        answers = read_logs([tmp_path / name]).answers
    except AnswersError as error:
        assert "\n" not in str(error) and str(error)
    else:
        assert answers["problem"].notna().all() and answers["correct"].dtype == bool
