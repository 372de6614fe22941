"""Where the variance of a benchmark score comes from: the runs, or the choice of problems.

Two standard errors are always given together. `se_fixed` is the error about *these* problems and shrinks with more runs;
`se_population` is the error about *problems like these*, contains the first, and shrinks only with more problems.
The names that belong together are importable from here: decompose, reread, pass_at_k, pass_curve, maj_at_k, compare,
equivalence, holm, run_e_values.
Not here: intervals for one run (intervals.py), planning (power.py), stopping rules (sequential.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from phi4r_lib.measure.comparison import Comparison, compare, equivalence, holm
from phi4r_lib.measure.intervals import Interval
from phi4r_lib.measure.majority import maj_at_k
from phi4r_lib.measure.passk import pass_at_k, pass_curve
from phi4r_lib.measure.scores import Missing, Table, read_scores
from phi4r_lib.measure.sequential import run_e_values
from phi4r_lib.problems.shares import around, wilson

__all__ = [
    "Comparison",
    "Decomposition",
    "compare",
    "decompose",
    "equivalence",
    "holm",
    "maj_at_k",
    "pass_at_k",
    "pass_curve",
    "reread",
    "run_e_values",
]


@dataclass(frozen=True)
class Decomposition:
    """Mean score with its variance split; all variances are of one answer, scores are fractions of 1.

    Attributes:
        mean: mean over problems of the problem means.
        within: variance of one answer around its problem's own rate, averaged over problems.
        between: variance of the problem rates; an unbiased estimate can be negative and is then left so.
        icc: between / (between + within), the correlation of two runs of one problem; NaN if no answer ever varies.
        se_fixed: standard error for these very problems (only the runs vary).
        se_population: standard error for problems like these (problems and runs vary).
        run_sd: standard deviation of the score of one single run over these problems.
        problems: number of problems. runs: mean number of verdicts per problem.
        missing: planned answers without a verdict. worst, best: the mean if all of them were wrong, or right.
        df: degrees of freedom behind `se_fixed` (verdicts minus problems).
    """

    mean: float
    within: float
    between: float
    icc: float
    se_fixed: float
    se_population: float
    run_sd: float
    problems: int
    runs: float
    missing: int
    worst: float
    best: float
    df: int

    @property
    def negative_between(self) -> bool:
        """True where the problems differ less than chance alone would make them: say so, show 0, keep the estimate."""
        return self.between < 0

    @property
    def within_share(self) -> float:
        """Share of the variance of one answer that more runs can average away (above 1 when `between` is negative)."""
        total = self.within + self.between
        return self.within / total if total > 0 else math.nan

    def interval(self, about: str, level: float = 0.95) -> Interval:
        """Interval for the mean about "these problems" or "problems like these" (t, with df or problems - 1).

        Never without width: where nothing varied it says what so many equal verdicts, or problems, can hide (Wilson).
        """
        if about not in ("these problems", "problems like these"):
            raise ValueError(f'about must be "these problems" or "problems like these", not {about!r}')
        fixed = about == "these problems"
        if fixed and self.se_fixed == 0:
            return self._unvaried_runs(level)
        if not fixed and self.se_population == 0:
            return wilson(min(max(self.mean, 0.0), 1.0) * self.problems, self.problems, level)
        half = stats.t.ppf((1 + level) / 2, self.df if fixed else self.problems - 1)
        half *= self.se_fixed if fixed else self.se_population
        return around(self.mean, self.mean - half, self.mean + half)

    def _unvaried_runs(self, level: float) -> Interval:
        """Interval for these problems where all runs of each agree: what so many equal verdicts can still hide.

        Wilson over the verdicts of the solved problems below, over those of the unsolved ones above (ours).
        """
        verdicts = self.problems + self.df
        solved = round(self.mean * verdicts)
        down = 1 - wilson(solved, solved, level).low if solved else 0.0
        up = wilson(0, verdicts - solved, level).high if solved < verdicts else 0.0
        return around(self.mean, self.mean * (1 - down), self.mean + (1 - self.mean) * up)


def decompose(correct: Table, *, missing: Missing = "bound") -> Decomposition:
    """Splits the variance of a problems x runs table of verdicts within and between problems.

    The estimators are those of the one-way random effects model (classical analysis of variance); with unequal numbers of
    runs each problem keeps weight 1/n, within = mean v_i, between = S^2(p_i) - mean(v_i / K_i), which stay unbiased.
    A problem with one verdict borrows the mean v_i of the others. Assumes that runs are independent.

    Args:
        correct: problems x runs in [0, 1]; rows may differ in length; None or NaN is an answer without verdict.
        missing: "bound" estimates from the verdicts that exist and bounds the rest (worst, best);
            "wrong" and "right" count answers without verdict as such in every figure.

    Raises:
        ValueError: fewer than two problems, no problem with two verdicts, or a problem without any.
    """
    table = read_scores(correct)
    scores = table.settled(missing)
    if scores.problems < 2:
        raise ValueError("the variance between problems needs at least two problems")
    means, runs = scores.means, scores.runs
    variances = scores.borrowed_variances
    if np.isnan(variances).any():
        raise ValueError("one run cannot show the variance within problems; give at least two runs per problem")
    within, noise = float(variances.mean()), variances / runs
    spread = float(means.var(ddof=1))
    between = spread - float(noise.mean())
    total = between + within
    return Decomposition(
        mean=float(means.mean()),
        within=within,
        between=between,
        icc=between / total if total > 0 else math.nan,
        se_fixed=math.sqrt(noise.sum()) / scores.problems,
        se_population=math.sqrt(spread / scores.problems),
        run_sd=math.sqrt(within / scores.problems),
        problems=scores.problems,
        runs=float(runs.mean()),
        missing=table.missing,
        worst=float(table.filled(0.0).means.mean()),
        best=float(table.filled(1.0).means.mean()),
        df=int((runs - 1).sum()),
    )


def reread(mean: float, run_sd: float, problems: int, runs: int) -> Decomposition:
    """Decomposition behind a published row "mean (standard deviation over runs)" of right-or-wrong answers.

    Uses within = problems x run_sd^2 and total = mean (1 - mean), so the problem rates themselves are not needed (ours).

    Args:
        mean: published score, fraction of 1. run_sd: its standard deviation over runs (not a standard error).
        problems: size of the benchmark. runs: number of runs behind the row.

    Raises:
        ValueError: a mean outside [0, 1], a negative run_sd, or counts below 2 problems or 1 run.
    """
    if not 0 <= mean <= 1 or run_sd < 0:
        raise ValueError(f"mean must lie in [0, 1] and run_sd must not be negative, got {mean} and {run_sd}")
    if problems < 2 or runs < 1:
        raise ValueError(f"needs at least two problems and one run, got {problems} and {runs}")
    total, within = mean * (1 - mean), problems * run_sd**2
    between = total - within
    return Decomposition(
        mean=mean,
        within=within,
        between=between,
        icc=between / total if total > 0 else math.nan,
        se_fixed=run_sd / math.sqrt(runs),
        se_population=math.sqrt((between + within / runs) / problems) if between + within / runs > 0 else 0.0,
        run_sd=run_sd,
        problems=problems,
        runs=float(runs),
        missing=0,
        worst=mean,
        best=mean,
        df=problems * max(runs - 1, 1),
    )
