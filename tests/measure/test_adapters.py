"""Other harnesses' logs: each read from a log that the harness itself wrote, and a named error for each that cannot be used."""

import json
from pathlib import Path

import pandas as pd
import pytest

from phi4r_lib.measure.adapters.logs import LogError, read_logs

LOGS = Path(__file__).parent / "logs"
SUMS = [a + b for a in (0, 1, 2) for b in (0, 1)] * 2


def right_by_hand(table):
    """Verdicts recomputed from the questions: question i asks for SUMS[i]."""
    number = table["problem"].str.extract(r"^sums/q?(\d+)(?:#[0-9a-f]{8})?$")[0].astype(int)
    return [answer == str(SUMS[i]) for answer, i in zip(table["answer"], number, strict=True)]


def test_lm_eval_single_runs_become_runs_of_one_model():
    table = read_logs([LOGS / "lm_eval" / "repeats1"]).answers
    assert list(table["model"].unique()) == ["random-model"]
    assert sorted(table["run"].unique()) == [0, 1] and len(table) == 24
    assert table["correct"].tolist() == right_by_hand(table)
    assert 0 < table["correct"].sum() < 24


def test_lm_eval_repeats_are_graded_one_by_one():
    table = read_logs([LOGS / "lm_eval" / "repeats4"]).answers
    assert table.groupby("problem").size().eq(4).all() and len(table) == 48
    assert table["correct"].tolist() == right_by_hand(table)


def test_inspect_packed_log_has_an_epoch_a_run():
    (path,) = (LOGS / "inspect").glob("*.eval")
    table = read_logs([path]).answers
    assert table.groupby("run").size().to_dict() == {0: 12, 1: 12, 2: 12, 3: 12}
    assert table["model"].unique().tolist() == ["hf/random-model"]
    assert table["correct"].tolist() == right_by_hand(table)
    assert table["tokens"].eq(1).all() and table["seed"].eq(1).all()


def test_inspect_json_log():
    (path,) = (LOGS / "inspect").glob("*.json")
    table = read_logs([path]).answers
    assert len(table) == 6 and sorted(table["run"].unique()) == [0, 1]
    assert table["correct"].tolist() == right_by_hand(table)


def test_inspect_sample_that_broke_off_is_lost_not_dropped(tmp_path):
    (path,) = (LOGS / "inspect").glob("*.json")
    log = json.loads(path.read_text(encoding="utf-8"))
    log["samples"][0] |= {"error": {"message": "connection lost"}, "scores": None}
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(log))
    table = read_logs([broken]).answers
    assert len(table) == 6
    assert table.loc[table["grade"] == "lost", "error"].tolist() == ["connection lost"]


def test_lighteval_details():
    table = read_logs([LOGS / "lighteval"]).answers
    assert table["model"].unique().tolist() == ["random-model"] and len(table) == 12
    answers = table["correct"].tolist()
    assert answers == right_by_hand(table) and any(answers) and not all(answers)


def test_logs_can_be_named_and_joined():
    table = read_logs([f"first={LOGS / 'lm_eval' / 'repeats1'}", f"second={LOGS / 'lm_eval' / 'repeats4'}"]).answers
    assert table.groupby("model")["run"].nunique().to_dict() == {"first": 2, "second": 4}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_plain_tables(tmp_path, suffix):
    rows = pd.DataFrame(
        {"problem": ["p1", "p1", "p2", "p2"], "run": [0, 1, 0, 1], "correct": [1, 0, 1, 1], "tokens": [3, 4, 5, 6]}
    )
    path = tmp_path / f"mine.{suffix}"
    {
        "csv": lambda: rows.to_csv(path, index=False),
        "tsv": lambda: rows.to_csv(path, index=False, sep="\t"),
        "parquet": lambda: rows.to_parquet(path),
        "jsonl": lambda: rows.to_json(path, orient="records", lines=True),
    }[suffix]()
    table = read_logs([path]).answers
    assert table["correct"].tolist() == [True, False, True, True]
    assert table["model"].unique().tolist() == ["mine"] and table["tokens"].sum() == 18


def test_own_store_is_found_in_a_run_folder(tmp_path):
    store = tmp_path / "05_variance"
    store.mkdir()
    rows = {"model": ["base"] * 2, "problem": ["a", "b"], "run": [0, 0], "correct": [True, False]}
    pd.DataFrame(rows | {"year": [1, 2]}).to_parquet(store / "answers.parquet")
    table = read_logs([tmp_path]).answers
    assert table["year"].tolist() == [1, 2]


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "question,run,correct\np1,0,1\n", "column 'problem' is missing"),
        ("a.csv", "problem,run,correct\np1,0,0.5\n", "neither right nor wrong"),
        ("a.csv", "problem,run,correct\n", "holds no rows"),
        ("a.csv", "problem,run,correct\np1,0,1\np1,0,0\n", "'p1', run 0 appears more than once"),
        ("a.csv", "", "holds no rows"),
        ("a.parquet", "no parquet at all", "a.parquet:1: not JSON"),
        ("a.jsonl", '{"problem": "p", "run": 0, "correct": 1}\n{"problem": ', "a.jsonl:2: not JSON"),
        (
            "a.jsonl",
            '{"doc_id": 0, "resps": [["4"]], "target": "4", "metrics": [], "filter": "none"}',
            "no metric is logged",
        ),
        (
            "a.jsonl",
            '{"doc_id": 0, "resps": [["4"]], "target": "4", "metrics": ["f1"], "f1": 0.3}',
            "neither right nor wrong",
        ),
        ("a.json", '{"version": 2, "eval": {"task": "t", "model": "m"}, "status": "error"}', "holds no samples"),
        ("a.json", '{"version": 2, "eval"', "not a whole JSON log"),
        ("a.eval", "no zip", "no readable Inspect log"),
        ("details_a.parquet", "no parquet", "cannot be read as Parquet"),
        ("a.xlsx", "x", "unknown kind of file"),
    ],
)
def test_a_log_that_cannot_be_used_says_why(tmp_path, name, text, says):
    path = write(tmp_path / name, text)
    with pytest.raises(LogError, match="(?s)" + says) as error:
        read_logs([path])
    assert name in str(error.value)


def test_missing_empty_and_repeated_logs(tmp_path):
    with pytest.raises(LogError, match="does not exist"):
        read_logs([tmp_path / "nothing"])
    with pytest.raises(LogError, match="holds no log"):
        read_logs([tmp_path])
    path = write(tmp_path / "a.csv", "problem,run,correct\np1,0,1\n")
    with pytest.raises(LogError, match="given twice"):
        read_logs([path, path])


def test_other_columns_of_lighteval_are_refused(tmp_path):
    path = tmp_path / "details_old.parquet"
    pd.DataFrame({"predictions": ["4"]}).to_parquet(path)
    with pytest.raises(LogError, match="'doc' is missing"):
        read_logs([path])
