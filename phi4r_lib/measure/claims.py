"""Claims on trial: what a published statement became here, as one row of a table with its interval and verdict.

Not here: the estimates (trial.py, additivity.py, promotion.py), nor which claims there are (the notebooks say).
"""

from __future__ import annotations

from phi4r_lib.measure.additivity import Additivity
from phi4r_lib.measure.promotion import Saturation
from phi4r_lib.measure.trial import ArmDifference


def claim(text: str, source: str, found: ArmDifference | Additivity | Saturation | None) -> dict[str, str]:
    """A row {claim, report, ours, verdict}; `found` None says that nothing was measured, `source` what the report says.

    `ours` is the estimate with its interval in percentage points: 95% for differences and gains per doubling, 90% for an
    interaction, as its equivalence test has it.
    """
    if found is None:
        return {"claim": text, "report": source, "ours": "not measured", "verdict": "too few rows of this kind"}
    estimate, verdict = _read(found)
    points = f"{100 * estimate:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}] points"
    return {"claim": text, "report": source, "ours": points, "verdict": verdict}


def _read(found: ArmDifference | Additivity | Saturation) -> tuple[float, str]:
    if isinstance(found, ArmDifference):
        return found.difference, found.verdict
    if isinstance(found, Saturation):
        return found.per_doubling, "saturated" if found.saturated else "not shown"
    if found.additive:
        return found.interaction, f"additive within {100 * found.margin:g} points"
    apart = found.low > 0 or found.high < 0
    return found.interaction, "not additive" if apart and abs(found.interaction) > found.margin else "not decided"
