"""Rows of the table of claims: each kind of result reads as what it shows, and no more."""

import numpy as np
import pytest

from phi4r_lib.measure.promotion import Saturation, claim
from phi4r_lib.measure.trial import paired_difference, tost


def test_a_difference_brings_its_interval_in_points_and_its_verdict():
    rng = np.random.default_rng(0)
    reference = rng.random((6, 40))
    row = claim("a helps", "section 2", paired_difference(reference + 0.2 + 0.01 * rng.random((6, 40)), reference))
    assert row["verdict"] == "better" and row["ours"].startswith("+20.") and row["ours"].endswith("points")


@pytest.mark.parametrize(
    ("estimate", "se", "verdict"),
    [
        (0.001, 0.005, "additive within 2 points"),
        (-0.2, 0.02, "not additive"),
        (-0.03, 0.05, "not decided"),
        (0.015, 0.005, "not decided"),  # off zero, yet perhaps inside the margin
    ],
)
def test_an_interaction_is_additive_only_inside_the_margin(estimate, se, verdict):
    assert claim("add up", "section 3", tost(estimate, se, 0.02))["verdict"] == verdict


def test_saturation_and_what_was_not_measured():
    assert claim("enough", "section 3", Saturation(0.01, 0.0, 0.02, True))["verdict"] == "saturated"
    assert claim("enough", "section 3", Saturation(0.01, -0.1, 0.2, False))["ours"] == "+1.0 [-10.0, +20.0] points"
    assert claim("edge", "section 2", None)["ours"] == "not measured"
