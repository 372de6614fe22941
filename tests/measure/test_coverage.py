"""Coverage on small benchmarks: exact values for one run, simulated behaviour for several."""

import pytest

from phi4r_lib.measure.coverage import one_run, several_runs


def test_exact_coverage_values_of_thirty_problems():
    percent = (100 * one_run(30, (0.9, 0.97))).round(1)
    assert percent[0.9].to_dict() | {"Jeffreys": 0, "confidence sequence": 0} == {
        "normal (textbook)": 80.9,
        "Wilson": 97.4,
        "Clopper-Pearson": 99.2,
        "Jeffreys": 0,
        "Beta(1,1)": 97.4,
        "confidence sequence": 0,
    }
    assert percent.loc[["normal (textbook)", "Wilson"], 0.97].tolist() == [59.7, 94.0]
    average = percent["average"]
    assert average["normal (textbook)"] == 87.5 and average["Wilson"] == 95.2
    assert average["Beta(1,1)"] == 95.0  # exactly: a posterior is calibrated under its own prior
    assert average["Clopper-Pearson"] == 97.3
    assert average["confidence sequence"] > 98  # the price of being valid at every look


def test_average_coverage_with_fifteen_problems():
    assert 100 * one_run(15, ()).loc["normal (textbook)", "average"] == pytest.approx(81.9, abs=0.15)


def test_simulated_coverage_tells_the_intervals_apart():
    held = several_runs(30, 4, simulations=150, seed=1)
    assert held.loc[["t over problems", "t clustered by family"], "unrelated"].between(0.89, 0.99).all()
    assert held.loc["BCa bootstrap over problems", "unrelated"] > 0.88
    assert held.loc["confidence sequence of means", "unrelated"] > 0.97
    assert held.loc["t clustered by family", "families"] > held.loc["t over problems", "families"] + 0.03
    only = held.loc["t for these problems only"]
    assert only["these"] > 0.9 and only["unrelated"] < 0.75


def test_refuses_what_it_cannot_simulate():
    for bad in (lambda: one_run(0), lambda: one_run(30, (1.2,)), lambda: several_runs(5), lambda: several_runs(30, 1)):
        with pytest.raises(ValueError):
            bad()
