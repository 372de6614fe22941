"""Answers side by side."""

from phi4r_lib.models.chat import side_by_side
from phi4r_lib.models.engine import Sample


class Fixed:
    name, seedable = "fixed", True

    def __init__(self, sample):
        self.samples, self.asked = sample, []

    def sample(self, prompts, settings, progress=None):
        self.asked += prompts
        return [[self.samples]]


def test_every_model_answers_the_same_question_with_its_own_system_message():
    base, tuned = Fixed(Sample(text="4", tokens=1)), Fixed(Sample(text="<think> 2 + 2", tokens=3, truncated=True))
    lost = Fixed(Sample(text="", tokens=0, error="no connection"))
    text = side_by_side("2 + 2?", {"base": base, "tuned": tuned, "far": lost}, systems={"tuned": "think"})
    assert text.splitlines() == ["2 + 2?", "base   4", "tuned  <think> 2 + 2 ... (cut off)", "far    (no connection)"]
    assert [message["role"] for message in tuned.asked[0]] == ["system", "user"] and len(base.asked[0]) == 1


def test_a_model_that_babbles_fills_no_screen():
    text = side_by_side("2 + 2?", {"base": Fixed(Sample(text="so " * 999, tokens=999))})
    assert len(text.splitlines()) == 1 + 8 + 1 and text.endswith("...")
