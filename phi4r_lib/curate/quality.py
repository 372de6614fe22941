"""How good the proxy truth and the edge filter are, measured against gold answers and many-sample labels.

Only the measuring side sees gold; nothing here feeds back into the pipeline. Every figure comes with its interval.
Not here: the decisions themselves (edge.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln

from phi4r_lib.curate.draws import draw
from phi4r_lib.curate.stopping import EDGE, classes, outcomes
from phi4r_lib.curate.truth import Truth
from phi4r_lib.models.engine import Engine, Progress, SamplingSettings
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.shares import wilson
from phi4r_lib.problems.verify import Verifiers, judge, verify_samples

CLASSES = ("hard", "edge", "easy")


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95% interval; `n` is the number of problems (or samples) behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"


def proportion(successes: int, n: int) -> Estimate:
    """Share with its 95% Wilson interval; captures the chance in which problems were drawn.

    Raises ValueError for n = 0, where a share is undefined.
    """
    if n < 1:
        raise ValueError("a proportion of nothing is undefined")
    return Estimate(successes / n, *wilson(successes, n), n)


def truth_grades(
    truths: Sequence[Truth],
    gold: Mapping[str, str],
    problems: Sequence[Problem],
    verifiers: Verifiers | None = None,
) -> pd.DataFrame:
    """One row per plurality: id, share, votes, right (against gold), kept (whether it passed the least share).

    `problems` are those of the truths, in the same order. Problems without any vote or without gold are left out; pairs
    the grader gave up on count as not right.
    """
    pairs = [(p, t) for p, t in zip(problems, truths, strict=True) if t.voted is not None and t.id in gold]
    voted = [truth for _, truth in pairs]
    asked = [problem.model_copy(update={"answer": gold[problem.id]}) for problem, _ in pairs]
    right = [one.correct for one in judge(asked, [truth.voted for truth in voted], verifiers)]
    rows = [(t.id, t.share, t.votes, t.kind in ("plurality", "self")) for t in voted]
    return pd.DataFrame(rows, columns=["id", "share", "votes", "kept"]).assign(right=right)


def precision_by_share(shares: Sequence[float], right: Sequence[bool]) -> pd.DataFrame:
    """Precision of the plurality at each vote share, and of everything from that share on, with Wilson intervals.

    Columns: share, n, right, precision, low, high (pluralities with exactly this share), kept, precision_from,
    low_from, high_from (pluralities with at least this share: what a threshold there would keep).
    """
    shares, right = np.round(np.asarray(shares, float), 6), np.asarray(right, bool)
    rows = []
    for share in np.unique(shares):
        at, above = shares == share, shares >= share
        here, there = (
            proportion(int(right[at].sum()), int(at.sum())),
            proportion(int(right[above].sum()), int(above.sum())),
        )
        rows.append((share, here.n, int(right[at].sum()), here.value, here.low, here.high))
        rows[-1] += (there.n, there.value, there.low, there.high)
    names = ["share", "n", "right", "precision", "low", "high", "kept", "precision_from", "low_from", "high_from"]
    return pd.DataFrame(rows, columns=names)


def informative(pass_rate: float | np.ndarray, group: int) -> float | np.ndarray:
    """Probability that a GRPO group has both right and wrong answers: 1 - p^G - (1 - p)^G."""
    p = np.asarray(pass_rate, float)
    result = 1 - p**group - (1 - p) ** group
    return float(result) if result.ndim == 0 else result


def zero_variance(successes: Sequence[int], samples: int, group: int) -> np.ndarray:
    """Unbiased estimate, one per problem, of the probability that a group of `group` answers is all right or all wrong.

    [C(s, G) + C(n - s, G)] / C(n, G): the share of all groups that could be formed from the n samples (the estimator
    of pass@k, applied to both ends). Raises ValueError when a group is larger than the number of samples.
    """
    if group > samples:
        raise ValueError(f"a group of {group} cannot be formed from {samples} samples; label with more samples")
    s = np.asarray(successes, float)
    return np.exp(_log_choose(s, group) - _log_choose(samples, group)) + np.exp(
        _log_choose(samples - s, group) - _log_choose(samples, group)
    )


def _log_choose(n: Any, k: int) -> np.ndarray:
    n = np.asarray(n, float)
    with np.errstate(invalid="ignore"):
        value = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.where(n >= k, value, -np.inf)


def label_problems(
    problems: Sequence[Problem],
    engine: Engine,
    answers: Mapping[str, str],
    settings: SamplingSettings,
    folder: str | Path,
    progress: Progress | None = None,
    verifiers: Verifiers | None = None,
) -> pd.DataFrame:
    """Reference labels: `settings.n` (256, say) fresh answers per problem, graded against `answers` ({id: answer}).

    Give the settings another seed than the filter's: pass rates measured on the samples that chose the problems are
    biased. Samples are kept in `folder`, so a killed call continues. Returns one row per problem: id, successes, samples
    (those that say how hard it is: `Verdict.conclusive`), truncated, tokens.
    """
    chosen = [problem for problem in problems if problem.id in answers]
    drawn = draw(engine, [(problem.id, problem.prompt) for problem in chosen], settings, folder, progress)
    asked = [problem.model_copy(update={"answer": answers[problem.id]}) for problem in chosen]
    pairs = [(problem, sample) for problem, samples in zip(asked, drawn, strict=True) for sample in samples]
    found = iter(verify_samples([problem for problem, _ in pairs], [sample for _, sample in pairs], verifiers))
    rows = []
    for problem, samples in zip(chosen, drawn, strict=True):
        judged = [one.correct for one in (next(found) for _ in samples) if one.conclusive]
        counts = (sum(s.truncated for s in samples), sum(s.tokens for s in samples))
        rows.append((problem.id, sum(judged), len(judged), *counts))
    return pd.DataFrame(rows, columns=["id", "successes", "samples", "truncated", "tokens"])


def label(pass_rate: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Class names of pass rates: hard p <= lo, easy p >= hi, edge between."""
    return np.array(CLASSES)[classes(np.asarray(pass_rate, float), lo, hi)]


def confusion(decisions: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Counts of decisions (rows) against reference labels (columns hard, edge, easy)."""
    rows = ["hard", "edge", "easy", "undecided", "no_truth"]
    table = pd.crosstab(pd.Series(list(decisions), name="decision"), pd.Series(list(labels), name="label"))
    table = table.reindex(index=rows, columns=list(CLASSES), fill_value=0)
    return table[(table.sum(axis=1) > 0) | table.index.isin(CLASSES)]


def confusion_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Each row of a confusion as shares of its decisions, each cell an Estimate (Wilson); empty rows are left out."""
    full = table[table.sum(axis=1) > 0]
    cells = [[proportion(int(count), int(row.sum())) for count in row] for _, row in full.iterrows()]
    return pd.DataFrame(cells, index=full.index, columns=full.columns, dtype=object)


def bootstrap(
    statistic: Callable[[np.ndarray], float], n: int, repeats: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95% percentile interval of a statistic over resampled problems; `statistic` takes positions of problems.

    Captures which problems were drawn, not the sampling noise of their labels. Undefined resamples are left out.
    """
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(0, n, n)) for _ in range(repeats)])
    values = values[np.isfinite(values)]
    return (float("nan"), float("nan")) if not len(values) else tuple(np.quantile(values, [0.025, 0.975]).tolist())


@dataclass(frozen=True)
class FilterQuality:
    """Quality of an edge filter against reference labels, over problems.

    precision: share of kept problems that are edge by label; recall: share of edge problems kept (Wilson intervals).
    decided_error: share of hard/edge/easy decisions that contradict the label. zero_variance_*: expected share of
    groups with equal rewards among kept and among all problems. regret: mean |u - tau| lost by wrong keeps and
    drops, u = p(1 - p), tau = lo(1 - lo). rank: Spearman correlation of the filter's pass rate with the label's.
    """

    confusion: pd.DataFrame
    precision: Estimate | None
    recall: Estimate | None
    decided_error: Estimate | None
    undecided: Estimate
    zero_variance_kept: Estimate | None
    zero_variance_all: Estimate
    regret: Estimate
    rank: Estimate | None

    def figures(self) -> dict[str, Estimate]:
        """The figures by name, undefined ones left out."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Estimate)}

    def table(self) -> pd.DataFrame:
        """One row per figure: value, low, high, n."""
        return pd.DataFrame({name: vars(value) for name, value in self.figures().items()}).T


def filter_quality(
    decisions: Sequence[str],
    pass_rates: Sequence[float | None],
    successes: Sequence[int],
    samples: int,
    lo: float,
    hi: float,
    group: int = 8,
    seed: int = 0,
) -> FilterQuality:
    """Compares decisions with labels from `samples` fresh answers per problem, of which `successes` were right.

    `pass_rates` are the filter's own estimates (None where it has none). All sequences run over the same problems.
    Raises ValueError for different lengths or a group larger than `samples`.
    """
    decided, s = np.asarray(decisions, dtype=object), np.asarray(successes, float)
    if not len(decided) == len(s) == len(pass_rates):
        raise ValueError("decisions, pass_rates and successes must cover the same problems")
    p = s / samples
    labels, kept = label(p, lo, hi), decided == "edge"
    sure = np.isin(decided, CLASSES)
    silent = zero_variance(s, samples, group)
    return FilterQuality(
        confusion=confusion(decided, labels),
        precision=_share((labels == "edge")[kept]),
        recall=_share(kept[labels == "edge"]),
        decided_error=_share((decided != labels)[sure]),
        undecided=proportion(int((decided == "undecided").sum()), len(decided)),
        zero_variance_kept=mean(silent[kept], seed),
        zero_variance_all=mean(silent, seed),
        regret=mean(_regret(p, kept, lo), seed),
        rank=_rank(pass_rates, p, seed),
    )


def merits(policy: np.ndarray, pass_rates: Sequence[float], lo: float, hi: float, seed: int = 0) -> dict[str, Estimate]:
    """What a policy costs and what its kept seeds are worth, on problems of known pass rate.

    answers: expected per problem; precision: share of edge problems among the kept; recall: share of the edge problems
    that is kept; regret as in FilterQuality. Expectations over the policy's answers, with 95% intervals over
    problems (percentile bootstrap). Where nothing is kept, or no problem is at the edge, a figure is left out.
    """
    rates = np.asarray(pass_rates, float)
    samples, shares = outcomes(policy, rates)
    kept, edge = shares[:, EDGE], classes(rates, lo, hi) == EDGE
    gain = rates * (1 - rates) - lo * (1 - lo)
    lost = np.where(gain > 0, 1 - kept, kept) * np.abs(gain)
    ratios = {
        "answers": (samples, np.ones(len(rates))),
        "precision": (kept * edge, kept),
        "recall": (kept * edge, edge * 1.0),
        "regret": (lost, np.ones(len(rates))),
    }
    return {name: _ratio(*pair, seed) for name, pair in ratios.items() if pair[1].sum() > 0}


def _ratio(above: np.ndarray, below: np.ndarray, seed: int) -> Estimate:
    value = float(above.sum() / below.sum())
    low, high = bootstrap(lambda rows: above[rows].sum() / max(below[rows].sum(), 1e-12), len(above), seed=seed)
    return _estimate(value, low, high, len(above))


def _share(flags: np.ndarray) -> Estimate | None:
    return proportion(int(flags.sum()), len(flags)) if len(flags) else None


def mean(values: Sequence[float], seed: int = 0) -> Estimate | None:
    """Mean over problems with its bootstrap interval; None without problems."""
    values = np.asarray(values, float)
    if not len(values):
        return None
    low, high = bootstrap(lambda rows: values[rows].mean(), len(values), seed=seed)
    return _estimate(float(values.mean()), low, high, len(values))


def _estimate(value: float, low: float, high: float, n: int) -> Estimate:
    """Estimate with low <= value <= high, which percentiles and rounding alone do not promise."""
    return Estimate(value, min(low, value), max(high, value), n)


def _regret(p: np.ndarray, kept: np.ndarray, lo: float) -> np.ndarray:
    """|u - tau| where keeping or dropping was the wrong choice by the labels, else 0."""
    gain = p * (1 - p) - lo * (1 - lo)
    return np.where(kept == (gain > 0), 0.0, np.abs(gain))


def _rank(pass_rates: Sequence[float | None], p: np.ndarray, seed: int) -> Estimate | None:
    own = np.array([np.nan if rate is None else rate for rate in pass_rates], float)
    known = np.isfinite(own)
    return spearman(own[known], p[known], seed) if known.sum() > 2 else None


def spearman(a: Sequence[float], b: Sequence[float], seed: int = 0, repeats: int = 1000) -> Estimate | None:
    """Spearman rank correlation (scipy) with a problem-bootstrap interval; None when one side does not vary."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    low, high = bootstrap(lambda rows: _spearman(a[rows], b[rows]), len(a), repeats, seed)
    return _estimate(_spearman(a, b), low, high, len(a))


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(stats.spearmanr(a, b).statistic)
