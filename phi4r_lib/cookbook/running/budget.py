"""The budget of one `phi4r run`: hours, or money where prices are known; when it is spent, the run stops in order.

Not here: what a run is expected to take (estimate.py), what an endpoint may spend (its own options budget_money, budget_tokens).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from phi4r_lib.cookbook.settings.home import BUDGET, Stopped, UserError

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


@dataclass
class Budget:
    """`limit` in seconds, or in money with `rates`, money per second of each stage; counts from the start of this call."""

    text: str
    limit: float
    rates: Mapping[str, float] | None = None
    before: float = field(default=0.0)

    def spent(self, number: str, seconds: float) -> float:
        """Spent so far when the stage `number` has been running for so many seconds."""
        return self.before + seconds * (self.rates.get(number, 0.0) if self.rates else 1.0)

    def check(self, number: str, seconds: float) -> None:
        """Raises Stopped when it is spent."""
        if self.spent(number, seconds) >= self.limit:
            raise Stopped(BUDGET, f"the budget of {self.text} is spent")

    def close(self, number: str, seconds: float) -> None:
        """A stage has ended after so many seconds."""
        self.before = self.spent(number, seconds)


def parse(text: str, rates: Mapping[str, float | None], currency: str) -> Budget:
    """`90m`, `2.5h`, `1d`, or money as `40` or `40 USD`; `rates`: money per second of each stage, None where unknown.

    Raises UserError for another form, and for money where a price is unknown.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = found and found[2]
    if not found or float(found[1]) <= 0 or not (unit in UNITS or unit in ("", currency)):
        raise UserError(f"--budget {text!r}: give a time such as 90m, 2.5h or 1d, or money such as '40 {currency}'")
    value = float(found[1])
    if unit in UNITS:
        return Budget(text.strip(), value * UNITS[unit])
    if any(rate is None for rate in rates.values()):
        raise UserError(
            f"--budget {text!r}: the price of this device is unknown; set devices.NAME.price in a costs file (--costs), "
            "or give a time"
        )
    return Budget(f"{value:g} {currency}", value, {number: rate or 0.0 for number, rate in rates.items()})
