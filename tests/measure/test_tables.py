"""Tables, figures, verdict and the whole analysis on answers whose statistics are known by hand."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from phi4r_lib.cookbook.cli import main
from phi4r_lib.measure import figures, tables
from phi4r_lib.measure.analysis import analyse
from phi4r_lib.measure.answer_table import AnswersError, check_answers, model_result, verdicts
from phi4r_lib.measure.power import load_published, pair_table, problems_needed, problems_to_separate, reread_table
from phi4r_lib.measure.verdict import results, verdict
from phi4r_lib.problems.rows import write_table
from phi4r_lib.problems.schema import Problem

TOY = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0]])


def frame(matrix, model="toy", wrong="9"):
    rows = [
        {
            "model": model,
            "problem": f"p{i}",
            "run": j,
            "correct": bool(value),
            "answer": "1" if value else wrong,
            "tokens": 10 + i,
        }
        for i, row in enumerate(matrix)
        for j, value in enumerate(row)
    ]
    return check_answers(
        pd.DataFrame(rows).assign(family=lambda t: t["problem"].str[-1].astype(int) % 2, year=1), "test"
    )


def coins(rates, runs, model, seed):
    rates = np.asarray(rates)
    return frame(np.random.default_rng(seed).random((rates.size, runs)) < rates[:, None], model)


def test_results_agree_with_the_matrix_by_hand():
    entry = results(frame(TOY), [])["models"]["toy"]
    assert entry["run_accuracy"] == [0.6, 0.4, 0.6, 0.4]
    assert entry["mean"] == 0.5
    assert entry["se_fixed"] == pytest.approx(0.0912871, abs=1e-7)
    assert entry["se_population"] == pytest.approx(0.1767767, abs=1e-7)
    assert entry["mean_tokens"] == 12


def test_results_file_has_the_agreed_shape_and_is_json():
    answers = pd.concat([frame(TOY, "a"), frame(TOY * 0, "b")], ignore_index=True)
    found = json.loads(json.dumps(results(answers, [("a", "b")])))
    assert {"run_accuracy", "mean", "se_fixed", "se_population", "mean_tokens"} <= set(found["models"]["a"])
    (pair,) = found["comparisons"]
    assert (pair["a"], pair["b"], pair["difference"]) == ("a", "b", 0.5)
    assert pair["low"] < 0.5 < pair["high"] and 0 < pair["p_value"] <= 1


def test_answers_without_verdict_count_as_wrong_and_are_bounded():
    answers = frame(TOY)
    answers.loc[0, ["grade", "correct"]] = ["lost", False]
    entry = results(answers, [])["models"]["toy"]
    assert entry["mean"] == pytest.approx(9 / 20) and entry["best_case"] == pytest.approx(10 / 20)
    assert entry["without_verdict"] == 1
    assert np.isnan(verdicts(answers)[0, 0])


def test_unequal_numbers_of_runs_are_kept_and_not_taken_for_wrong():
    answers = frame(TOY)
    fewer = answers[~((answers["problem"] == "p0") & (answers["run"] == 3))]
    rows = verdicts(fewer)
    assert [len(row) for row in rows] == [3, 4, 4, 4, 4]
    entry = results(fewer, [])["models"]["toy"]
    assert entry["mean"] == 0.5 and entry["without_verdict"] == 0
    assert len(entry["run_accuracy"]) == 3  # the fourth run did not answer all problems


def test_predicted_curve_is_a_distribution_with_the_right_mean_and_spread():
    curve = tables.predicted_runs(frame(TOY))
    mean = (curve["accuracy"] * curve["probability"]).sum()
    spread = ((curve["accuracy"] - mean) ** 2 * curve["probability"]).sum()
    rates = TOY.mean(axis=1)
    assert curve["probability"].sum() == pytest.approx(1) and mean == pytest.approx(0.5)
    assert spread == pytest.approx((rates * (1 - rates)).sum() / 25)


def test_ways_to_score_by_brute_force():
    from itertools import combinations

    table = tables.ways_to_score(frame(TOY), 3).set_index("kind")["mean"]
    subsets = [TOY[:, list(columns)] for columns in combinations(range(4), 3)]
    assert table["best"] == pytest.approx(np.mean([s.max(axis=1).mean() for s in subsets]))
    assert table["worst"] == pytest.approx(np.mean([s.min(axis=1).mean() for s in subsets]))
    assert table["average"] == pytest.approx(0.5)
    assert table["majority"] == pytest.approx(np.mean([(s.sum(axis=1) > 1.5).mean() for s in subsets]))
    without = tables.ways_to_score(frame(TOY), 3, votes=False).set_index("kind")["mean"]
    assert without.to_dict() == table.drop("majority").to_dict()


def test_votes_join_spellings_of_one_number_and_silence_what_cannot_be_read():
    answers = frame(np.array([[1, 0, 0, 0], [1, 1, 1, 1]]))
    answers.loc[1:3, "answer"] = ["7", "7.0", None]
    first, _ = tables.vote_counts(answers, "toy")
    assert first == {tables.RIGHT: 1, "7.0": 2, None: 1}


def test_majority_never_goes_past_the_stored_answers():
    curve = tables.majority(frame(TOY))
    assert curve["k"].tolist() == [1, 2, 4]
    assert curve["mean"].iloc[0] == pytest.approx(0.5)


def test_clustered_groups_are_wider_when_families_agree():
    matrix = np.repeat(np.array([[1, 1], [1, 1], [0, 0], [0, 0]]), 3, axis=0)
    answers = frame(matrix)
    answers["family"] = answers["problem"].str[1:].astype(int) // 3
    plain, clustered = tables.by_group(answers, "year"), tables.by_group(answers, "year", cluster="family")
    assert (clustered["high"] - clustered["low"]).iloc[0] > (plain["high"] - plain["low"]).iloc[0]


def test_width_falls_to_the_floor():
    rows = tables.widths(tables.decompositions(frame(TOY)))
    assert (np.diff(rows["half_width"]) < 0).all() and (rows["half_width"] > rows["floor"]).all()
    assert rows["floor"].iloc[0] == pytest.approx(1.959964 * np.sqrt(0.1145833 / 5), abs=1e-6)


def test_ranking_errors_shrink_with_runs():
    answers = pd.concat([coins([0.7] * 30, 20, "good", 0), coins([0.6] * 30, 20, "poor", 1)], ignore_index=True)
    errors = tables.ranking_errors(answers, [("poor", "good")], (1, 4, 16))["p_wrong"]
    assert 0.5 > errors[0] > errors[1] > errors[2] > 0


def test_verdict_establishes_a_large_difference_and_not_a_small_one():
    rng = np.random.default_rng(3)
    rates = rng.uniform(0.1, 0.6, 60)
    answers = pd.concat(
        [coins(rates, 8, "old", 1), coins(rates + 0.3, 8, "new", 2), coins(rates, 8, "same", 3)], ignore_index=True
    )
    text = verdict(answers, [("new", "old"), ("same", "old")])
    assert any(line.startswith("Established: new is better than old") for line in text)
    assert not any(line.startswith("Established: same") or "Established: old is" in line for line in text)
    assert any("runs" in line and "problems" in line for line in text if line.startswith("One run"))


def test_verdict_says_when_a_claim_holds_for_these_problems_only():
    right = np.array([[1] * 20, [0] * 20] * 3 + [[1] * 20])
    other = 1 - right
    answers = pd.concat([frame(right, "a"), frame(other, "b")], ignore_index=True)
    answers.loc[(answers["model"] == "a") & (answers["run"] == 0) & (answers["problem"] == "p0"), "correct"] = False
    text = verdict(answers, [("a", "b")])
    assert any(line.startswith("Established for these 7 problems only") for line in text)


def test_verdict_of_one_run_asks_for_more():
    answers = pd.concat([frame(TOY[:, :1], "a"), frame(TOY[:, 1:2], "b")], ignore_index=True)
    text = " ".join(verdict(answers, [("a", "b")]))
    assert "only run" in text and "at least two runs" in text


def test_verdict_reports_texts_without_answers_and_cut_answers():
    answers = frame(TOY)
    answers.loc[answers["correct"] == 0, "grade"] = "none"
    answers["truncated"] = ~answers["correct"]
    text = " ".join(verdict(answers, []))
    assert "state no answer" in text and "cut at the token limit" in text


def test_analysis_makes_the_figures_the_data_allow_and_says_what_is_missing():
    whole = analyse(pd.concat([frame(TOY, "a"), frame(TOY[::-1], "b")], ignore_index=True))
    assert {"runs", "shares", "widths", "misranking", "power", "tokens", "ways", "majority", "differences"} <= set(
        whole.figures
    )
    bare = frame(TOY[:, :1]).drop(columns=["family", "year"]).assign(tokens=pd.NA, answer=None)
    poor = analyse(check_answers(bare, "bare"))
    assert poor.figures == {} and {"tokens", "topic", "year"} <= set(poor.skipped)
    assert {"year", "topic"} <= set(whole.figures)


def test_bad_requests_are_named():
    answers = frame(TOY)
    with pytest.raises(AnswersError, match="no answers of model 'x'"):
        analyse(answers, [("toy", "x")])
    with pytest.raises(AnswersError, match="cannot be compared with itself"):
        analyse(answers, [("toy", "toy")])
    with pytest.raises(AnswersError, match="appears more than once"):
        check_answers(pd.concat([answers, answers]), "twice")
    apart = pd.concat(
        [frame(TOY, "a"), frame(TOY, "b").assign(problem=lambda t: "q" + t["problem"])], ignore_index=True
    )
    with pytest.raises(AnswersError, match="share no problem"):
        results(apart, [("a", "b")])


def test_store_round_trip(tmp_path):
    path = write_table(tmp_path / "answers.parquet", frame(TOY))
    assert check_answers(pd.read_parquet(path), "the store")["correct"].sum() == 10 and not list(
        tmp_path.glob("*.partial")
    )


def test_published_table_gives_the_worked_values(root):
    table = load_published(root / "data" / "published" / "aime25.csv")
    again = reread_table(table).set_index("model")
    plus = again.loc["Phi-4-reasoning-plus"]
    assert again["within_share"].round(2).to_dict()["Phi-4-reasoning"] == 0.51
    assert plus["se_fixed"] == pytest.approx(0.0065, abs=5e-5) and plus["se_population"] == pytest.approx(
        0.0604, abs=5e-5
    )
    assert (again["between"] > 0).all()  # a spread above the binomial one would mean that the column is misread
    first = pair_table(table).iloc[0]
    assert (first["better"], first["worse"]) == ("o3-mini-high", "Phi-4-reasoning-plus")
    assert first["p_wrong_1"] == pytest.approx(0.2516, abs=5e-5) and first["p_wrong_5"] == pytest.approx(
        0.0672, abs=5e-5
    )
    assert problems_to_separate(again.loc["o3-mini-high"], plus) > 30


@pytest.fixture
def root():
    from phi4r_lib.cookbook.settings.profile import home

    return home()


def test_command_writes_page_figures_results_and_verdict(tmp_path, capsys):
    store = tmp_path / "answers.parquet"
    write_table(store, pd.concat([frame(TOY, "a"), frame(TOY * 0, "b")], ignore_index=True))
    out = tmp_path / "out"
    assert main(["variance", str(store), "--compare", "a", "b", "--out", str(out)]) == 0
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert found["comparisons"][0]["difference"] == 0.5
    page = (out / "page.html").read_text(encoding="utf-8")
    for name in re.findall(r'src="([^"]+)"', page):
        assert (out / name).is_file() and (out / name).with_suffix(".png").is_file()
    assert 'alt="Histogram of the accuracy' in page and "<dt>sign-flip test</dt>" in page and 'name="viewport"' in page
    assert "a solves 50.0%" in page and "a solves 50.0%" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["nothing.csv"], ["{store}", "--compare", "a", "zz"], ["{store}", "--out", "{store}"]]
)
def test_command_refuses_with_one_line_and_code_two(tmp_path, capsys, wrong):
    store = write_table(tmp_path / "answers.parquet", frame(TOY, "a"))
    out = tmp_path / "out"
    arguments = [part.format(store=store) for part in wrong]
    assert main(["variance", *arguments, *([] if "--out" in arguments else ["--out", str(out)])]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "Traceback" not in message
    assert not out.exists()


def test_histogram_bars_count_attainable_scores_only():
    """240 problems: with edges on attainable scores, rounding would put neighbours into one bar and leave the next empty."""
    scores = np.arange(140, 181) / 240
    predicted = pd.DataFrame({"model": "m", "accuracy": np.arange(241) / 240, "probability": 1 / 241})
    runs = pd.DataFrame({"model": "m", "run": range(41), "accuracy": scores})
    (axis,) = figures.run_distributions(runs, predicted).axes
    heights = [bar.get_height() for bar in axis.patches]
    assert sum(heights) == 41 and set(heights[:-1]) == {2}


def test_power_grid_ends_with_endless_runs():
    grid = tables.power_grid(0.05, 0.12, 0.12)
    assert np.isinf(grid.index[-1]) and (grid.diff().dropna() <= 0).all().all()
    assert grid.iloc[-1].tolist() == [problems_needed(d, 0.05) for d in grid.columns]
    labels = [text.get_text() for text in figures.power_table(grid, 240).axes[0].get_yticklabels()]
    assert labels[-1] == "endless"


def test_every_figure_of_an_analysis_says_in_words_what_it_shows():
    """The alternative texts hold numbers of the data, and no two figures have the same one."""
    whole = analyse(pd.concat([frame(TOY, "a"), frame(TOY[::-1], "b")], ignore_index=True))
    texts = {name: figure.get_label() for name, figure in whole.figures.items()}
    assert all(len(text) >= 40 for text in texts.values()), texts
    assert len(set(texts.values())) == len(texts)
    assert "mean" in texts["runs"] and "points" in texts["power"]


def test_an_answer_that_could_not_be_graded_is_counted_apart():
    rows = frame(TOY)
    rows.loc[rows.index[0], ["grade", "correct"]] = ["failed", False]
    rows.loc[rows.index[1], ["grade", "correct"]] = ["lost", False]
    found = model_result(rows, "toy")
    assert (found["could_not_grade"], found["lost"], found["without_verdict"]) == (1, 1, 2)
    assert found["mean"] <= found["best_case"]


def test_no_votes_names_the_verifiers_whose_answers_have_no_equality():
    plain = Problem(id="m", domain="d", prompt="?", answer="7", source="s", licence="MIT")
    rules = plain.model_copy(update={"id": "c", "verifier": "constraints", "answer": '[["sum", 7]]'})
    assert tables.no_votes([plain, plain]) == ""
    said = tables.no_votes([plain, rules])
    assert "no equality for the verifier 'constraints' (1 of 2 problems)" in said


def test_guards_tell_what_is_right_by_domain_and_what_is_refused():
    asked = [
        Problem(id=f"q{i}", domain="safety", prompt="?", source="ours", licence="MIT", meta={"family": family})
        for i, family in enumerate(("safety/refuse", "safety/answer"))
    ]
    answers = frame(TOY, "a").assign(family="code/loops")
    table = tables.guards(answers, asked, {"a": [["I cannot help."], ["It is 4."]]})
    assert table.loc[("code: right", "a"), "share"] == pytest.approx(TOY.mean())
    assert table.loc[("harmful: refused", "a"), "share"] == 1 and table.loc[("harmless: refused", "a"), "share"] == 0
    assert tables.guards(None, [], {}).empty and list(table.columns) == ["share", "low", "high", "items"]
