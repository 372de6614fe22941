"""The rubric judge: what parses, what is counted as a failure, and agreement with measured difficulty."""

import pytest

from phi4r_lib.curate import rubric
from phi4r_lib.models.engine import Sample, SamplingSettings
from phi4r_lib.problems.schema import Problem


class Judge:
    """Answers with the text after the bar of the prompt."""

    name, seedable = "judge", True

    def sample(self, prompts, settings, progress=None):
        return [[Sample(text=p.partition("|")[2], tokens=9, index=i) for i in range(settings.n)] for p in prompts]

    def close(self):
        pass


def problems(texts):
    fields = {"domain": "math", "source": "test", "licence": "MIT"}
    return [Problem(id=f"p{i}", prompt=f"Q{i} |{text}", **fields) for i, text in enumerate(texts)]


GOOD = '{"steps": 3, "skills": ["add", "take"], "difficulty": 2}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f'<think> maybe {{"steps": 9}} </think> {GOOD}',
        f"Here is my rating:\n```json\n{GOOD}\n```",
        f'{{"steps": 1, "skills": ["guess"], "difficulty": 1}} No, better: {GOOD}',
        '{ "steps" : 3 , "skills" : [ "add" , "take" ] , "difficulty" : 2 , "why": "two moves" }',
    ],
)
def test_ratings_that_parse(text):
    rating = rubric.parse_rating(text)
    assert (rating.steps, rating.skills, rating.difficulty) == (3, ["add", "take"], 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("three steps", "no JSON"),
        (f"<think> {GOOD} </think> I cannot say", "no JSON"),
        ('{"steps": 3, "skills": ["add"]}', "difficulty"),
        ('{"steps": 0, "skills": ["add"], "difficulty": 2}', "steps"),
        ('{"steps": 3, "skills": [], "difficulty": 2}', "skills"),
        ('{"steps": 3, "skills": ["add"], "difficulty": 11}', "difficulty"),
        ('{"steps": 3, "skills": ["add"', "no JSON"),
        ("{" * 3000, "no JSON"),
        ("[1, 2]", "no JSON"),
    ],
)
def test_ratings_that_do_not(text, reason):
    with pytest.raises(ValueError, match=reason):
        rubric.parse_rating(text)


def test_failures_are_counted_with_their_reason(tmp_path):
    report = rubric.rate_problems(problems([GOOD, "no idea", GOOD]), Judge(), "{problem}", SamplingSettings(), tmp_path)
    assert report.failures == {"p1": "no JSON object in the answer"}
    assert report.parsed.value == pytest.approx(2 / 3)
    assert report.tokens == 27


def test_agreement_with_measured_difficulty(tmp_path):
    texts = [f'{{"steps": {n}, "skills": ["add"], "difficulty": 1}}' for n in (1, 2, 3, 4, 5)]
    report = rubric.rate_problems(problems(texts), Judge(), "{problem}", SamplingSettings(), tmp_path)
    found = rubric.agreement(report, {"p0": 1.0, "p1": 0.8, "p2": 0.5, "p3": 0.3, "p4": 0.0})
    assert found["steps"].value == pytest.approx(1.0)
    assert found["difficulty"] is None  # never varies, so no rank correlation exists


def test_prompt_files_need_their_placeholder(tmp_path):
    path = tmp_path / "rubric.txt"
    path.write_text("Rate this problem.")
    with pytest.raises(ValueError, match=r"rubric.txt: must contain \{problem\} exactly once"):
        rubric.load_prompt(path)
    path.write_text("Rate: {problem}\n")
    assert rubric.load_prompt(path) == "Rate: {problem}"
