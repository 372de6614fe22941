"""The methods of a variance analysis by name, each in one sentence. Not here: formulas, which stand with their functions."""

from __future__ import annotations

import pandas as pd

SENTENCES = {
    "t interval": "mean with a few standard errors on each side, a little wider because the variance itself is estimated",
    "bootstrap, BCa": "draws problems anew from those at hand and sees how the mean moves; BCa corrects the ends for lopsided data",
    "Wilson": "interval for the share of right answers in one run that stays sound near 0 and 1",
    "Clopper-Pearson": "the same, never too narrow, therefore often too wide",
    "Jeffreys, Beta(1,1)": "the Bayesian versions: what to believe about the share if every value was possible before",
    "clustered": "takes families of look-alike problems, not problems, as independent",
    "confidence sequence": "an interval that may be read after every new answer without losing its promise",
    "sign-flip test": "if A and B were equal, each problem's difference could as well have the other sign: how often does that beat what was seen?",
    "Holm": "raises several p-values so that all of them together mislead at most once in twenty",
    "McNemar, mid-p": "the sign-flip test for one run each, and its less timid version",
    "Newcombe": "the interval that goes with McNemar",
    "TOST": "two one-sided tests that together show a difference to be smaller than a margin",
    "e-value": "what a fair bet against 'both are equal' has won so far; it may be looked at after every run",
    "pass@k, majority@k": "whether a right answer is among k tries, or wins their vote",
    "Neyman": "shares out a budget of answers by how uncertain each problem is",
}


def glossary() -> pd.DataFrame:
    """The names with their sentences, to show in a notebook."""
    return pd.Series(SENTENCES, name="in one sentence").rename_axis("name").to_frame()
