"""How answers are read where usage differs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Conventions(BaseModel):
    r"""How answers are read where usage differs; the defaults are the most common reading.

    percent: "either" takes 10% as 10 and as 0.1, "number" as 10 only, "fraction" as 0.1 only; 5‰ likewise.
    units: "ignore" lets a unit or currency sign be left out, "match" wants the same one, or none, on both sides. Two
        different measures (cm and km, cm^2 and cm^3) are wrong either way, and million, am, pm are part of the value.
        Of two nouns one may say more than the other (5 red apples, 5 apple); with nouns that differ (5 people, 5
        students) an equal number is FAILED: words are not compared by their meaning here.
    A percent, degree or money sign or a unit counts for the whole answer only where that is one quantity: 45° is 45 and
        3 + \sqrt{2} cm is 3 + \sqrt{2}, but 10 + 30°, 10 + 30% and 10 + 30 cm are not 40, and \pi° is not \pi. Of 4 * 50%
        the percent sign is read as 1/100. Minutes, seconds, feet and inches (30', 5") compare as text, with degrees before them (45°30') as 45.5°.
    intervals: "strict" tells [a, b) from (a, b), "endpoints" compares the end points only.
    relations_as_intervals: True also takes 1 < x < 2 for (1, 2); a gold 1 < x < 2 always accepts (1, 2).
    thousands: "comma" reads 1,080 as 1080, "dot" reads 1.080,5 as 1080.5, "none" reads 1,080 as the numbers 1 and 80.
    decimals: "rounded" takes 0.333333 for 1/3: a correct rounding to six or more decimals of a number that no decimal
        spells; two decimals are always compared exactly. "exact" takes no rounding.
    max_chars: longer answers are not looked at; they are FAILED.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    percent: Literal["either", "number", "fraction"] = "either"
    units: Literal["ignore", "match"] = "ignore"
    intervals: Literal["strict", "endpoints"] = "strict"
    relations_as_intervals: bool = False
    thousands: Literal["comma", "dot", "none"] = "comma"
    decimals: Literal["rounded", "exact"] = "rounded"
    max_chars: int = Field(default=1000, ge=1)
