"""A cap on tokens or money that holds with many requests in flight. Not here: prices, which are options."""

from __future__ import annotations

import threading

from phi4r_lib.models.engine import BudgetSpent, EngineError
from phi4r_lib.models.options import OpenAIOptions


class Budget:
    """Caps on a weighted count of prompt and completion tokens; limits are (limit, price_in, price_out, unit).

    A request holds the most it can cost before it is sent and settles what it did cost, so the cap is not exceeded
    by requests in flight. The cost of a prompt is an estimate until the endpoint reports it; a refused request counts 0,
    one whose answer got lost counts the most it can have cost.
    """

    def __init__(self, limits: list[tuple[float, float, float, str]]):
        self.limits = limits
        self.spent = [0.0] * len(limits)
        self.held = [0.0] * len(limits)
        self._turn = threading.Condition()

    @classmethod
    def from_options(cls, options: OpenAIOptions) -> Budget:
        """Budget from the options budget_tokens, budget_money, price_in and price_out (per million tokens)."""
        limits = []
        if options.budget_tokens is not None:
            limits.append((float(options.budget_tokens), 1.0, 1.0, "tokens"))
        if options.budget_money is not None:
            if not (options.price_in or options.price_out):
                raise EngineError("budget_money needs price_in and price_out (money per million tokens)")
            limits.append((options.budget_money, options.price_in / 1e6, options.price_out / 1e6, "money"))
        return cls(limits)

    def hold(self, prompt: int, completion: int) -> list[float]:
        """Sets the most a request can cost aside; waits for others to settle; raises BudgetSpent if it never fits."""
        most = [prompt * price_in + completion * price_out for _, price_in, price_out, _ in self.limits]
        with self._turn:
            while over := self._over(most):
                if not any(self.held):
                    raise BudgetSpent(over)
                self._turn.wait()
            self.held = [held + cost for held, cost in zip(self.held, most, strict=True)]
        return most

    def settle(self, held: list[float], prompt: int, completion: int) -> None:
        """Replaces what a request held by what it cost."""
        with self._turn:
            for number, (_, price_in, price_out, _) in enumerate(self.limits):
                # exact zero when nothing is in flight, however the floats rounded
                self.held[number] = max(0.0, self.held[number] - held[number])
                self.held[number] = 0.0 if self.held[number] < 1e-9 else self.held[number]
                self.spent[number] += prompt * price_in + completion * price_out
            self._turn.notify_all()

    def _over(self, most: list[float]) -> str:
        for (limit, _, _, unit), spent, held, cost in zip(self.limits, self.spent, self.held, most, strict=True):
            if spent + held + cost > limit:
                return (
                    f"budget of {limit:g} {unit} reached: {spent:g} spent and the next request could cost {cost:g}. "
                    "Answers so far are kept; raise the budget and run again to continue."
                )
        return ""
