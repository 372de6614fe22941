"""What counts as contamination: the thresholds of the cascade, its rules by name, and a match.

Not here: the cascade itself (decontaminate.py) and how the thresholds were fitted (benchmarks/decontamination.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal["exact", "short", "containment", "numbers", "prose", "code", "judge", "n-gram"]
RULES: tuple[Rule, ...] = ("exact", "short", "containment", "numbers", "prose", "code", "judge")


@dataclass(frozen=True)
class DecontaminationSettings:
    """Thresholds of the cascade; ours.

    `words`, `evidence` and `evidence_alone` are exactly what benchmarks/decontamination.py fits on one half (even rows) of
    GSM8K test, paraphrases and train; `prose_evidence`, `code_evidence` and the two cosines the lowest at which, with --rephrased, at most
    .001 of other MMLU questions and other functions come through on both halves; `code_evidence` a little more, so that by words the
    upper Wilson limit of all those functions is .001 too. The rest were set by hand. Other domains may need another fit.

    templates: "flag" counts the same words with other numbers as contamination (right for public data); "allow" demands
    the same numbers too, for worlds that share templates between training and test by construction; rephrased prose and code
    are not looked for there, since a template is nothing but the same things said again.
    """

    ngram: int = 3  # words in a masked n-gram
    containment: float = 0.45  # least share of an item's IDF weight that stands in the text
    words: float = 0.64  # least mean of containment and TF-IDF cosine
    containment_alone: float = 0.9  # enough without the cosine: the whole item inside a long text
    numbers: float = 0.5  # least Jaccard similarity of the multisets of numbers (1 is not counted)
    numbers_weight: float = 0.3  # weight of that similarity in the evidence, the rest is the cosine's
    evidence: float = 0.385  # least evidence beside equal answers
    numbers_alone: float = 0.8  # the same two when an answer is missing on either side
    evidence_alone: float = 0.46
    short_words: int = 8  # items below this many tokens match only verbatim (inside the text too)
    most_numbers: int = 12  # texts with more numbers have no number signature
    templates: Literal["flag", "allow"] = "flag"
    window: int = 512  # tokens; longer texts are read in windows overlapping by a quarter
    matches_per_text: int = 20  # best matches kept for one training text
    reworded_words: float = 0.8  # `words` for items of prose and code, whose own rules see the rest
    prose_missing: float = 0.3  # nats against a pair, per nat of the item's words that the text lacks
    prose_extra: float = 0.1  # the same for the text's words that the item lacks
    prose_evidence: float = 5.0  # least nats for a pair of prose
    code_missing: float = 0.3
    code_extra: float = 0.03
    code_evidence: float = 12.6
    survivors: float = 0.6  # pairs above this share of a threshold go to the judge, when given
    encoded_missing: float = 0.2  # the same with a sentence encoder, where a pair may pass this way or the other
    encoded_margin: float = 2.0  # nats more that words alone need where there is an encoder
    prose_cosine: float = 0.71  # the cosine that says nothing for or against a pair,
    prose_cosine_weight: float = 100.0  # and nats per unit of cosine above or below it
    code_cosine: float = 0.75
    code_cosine_weight: float = 60.0

    def __post_init__(self) -> None:
        shares = "containment words reworded_words containment_alone evidence evidence_alone numbers numbers_alone survivors prose_cosine code_cosine"
        for name in shares.split():
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"decontamination setting {name} must lie in (0, 1], not {getattr(self, name)}")
        if self.templates not in ("flag", "allow"):
            raise ValueError(f"decontamination setting templates is 'flag' or 'allow', not {self.templates!r}")
        if self.ngram < 1 or self.window < 4 * self.ngram or self.matches_per_text < 1:
            raise ValueError("decontamination settings need ngram >= 1, window >= 4 * ngram, matches_per_text >= 1")


@dataclass(frozen=True)
class Match:
    """Training text train_index meets benchmark item eval_index by a rule of RULES.

    score in (0, 1]: 1 for exact and short; for containment the mean of containment and cosine (or containment where it
    is enough alone); for numbers the weighted mean of cosine and number similarity; for prose and code the share of the
    weight of both texts that they share, with a sentence encoder its cosine; for judge the score of the rule that came close.
    """

    train_index: int
    eval_index: int
    rule: Rule
    score: float
