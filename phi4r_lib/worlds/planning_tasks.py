"""Five planning tasks of the report as exact small worlds in the words of the training stories, and a sixth near them.

Satisfiability, a round trip, a calendar, a maze and a map (report 5: 3SAT, TSP, BA-Calendar, Maze, SpatialMap), each with a difficulty
dial, and a choice among ways whose points are worked out first (ours). Never trained on: they ask whether the habit of
writing steps carries over. Every answer is a number of things, and it is judged by what it claims: any right plan counts,
never a listed one alone, and 0 (or "no") is right exactly where there is no plan. Wording and sizes are ours, since the tiny
models know few words and the numbers up to 99.
Not here: the verifier that judges models (planning_verifier.py), running them (notebook 07).
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phi4r_lib.worlds.steps import applied, pick_step
from phi4r_lib.worlds.words import OPENINGS, PEOPLE, PHRASES, RELATIONS

COLOURS = ("red", "blue", "green", "old")
WAYS = tuple(f"{colour} way" for colour in COLOURS)
MORE = ("shop", "shelf", "team", "bus")  # settings beyond the first four of a kind
NOTHING = {"0", "no", "no way", "none", "unsatisfiable", "impossible"}
Road = tuple[str, str, int]  # from, to, stones that it takes


@dataclass(frozen=True)
class Task:
    """A planning problem: its text, one right answer, the facts that any answer is checked against, and its difficulty.

    `dial` is what grows harder: clauses per jar, places, share of hours that do not fit, doors, links, ways.
    """

    family: str
    text: str
    answer: str
    dial: float
    facts: dict[str, Any] = field(default_factory=dict)


def claimed(answer: str) -> int | None:
    """The one whole number that an answer claims; None for an answer with none, with several, or that also says no."""
    found = re.findall(r"-?\d+", answer)
    hedged = len(found) != 1 or re.search(r"\b(no|not|none)\b", answer.lower())
    return None if hedged else int(found[0])


def says_no(answer: str) -> bool:
    """Whether an answer claims that there is no plan: nothing can be had, or "no"."""
    return answer.strip().strip(".").lower() in NOTHING


def _named(kind: str, count: int, rng: random.Random) -> list[str]:
    """`count` different things such as "the red farm"; beyond four of them, of other kinds too."""
    first = rng.sample([f"the {colour} {kind}" for colour in COLOURS], min(count, 4))
    rest = [f"the {colour} {other}" for other in MORE for colour in COLOURS]
    return first + rng.sample(rest, count - len(first))


def _head(name: str) -> str:
    return name[0].upper() + name[1:]


def make_sat(jars: int, clauses: int, rng: random.Random) -> Task:
    """Which jars to take: each clause asks to get one of some jars, or to lose one of them. The answer is the coins in them.

    One of some is at least one; whether there is a plan does not hang on that reading. One clause at least asks for a jar, so
    that nothing taken is never a plan. Clauses of one sign each are as hard as mixed ones (monotone satisfiability).
    """
    names, coins = _named("jar", jars, rng), rng.sample(range(3, 20), jars)
    sets = [list(some) for size in (1, 2, 3) for some in itertools.combinations(range(jars), size)]
    told = [[True, some] for some in rng.sample(sets, 1)]
    told += rng.sample(
        [[wanted, some] for wanted in (True, False) for some in sets if [wanted, some] not in told], clauses - 1
    )
    facts = {"coins": coins, "clauses": told}
    totals = sorted(_totals(facts))
    if totals and not _totals(facts, exactly=True):
        return make_sat(jars, clauses, rng)
    who = rng.choice(PEOPLE)
    has = " ".join(f"{_head(name)} has {k} coins." for name, k in zip(names, coins, strict=True))
    text = f"{has} {_clauses(who, names, told)} How many coins can {who} have?"
    answer = str(totals[0]) if totals else "0"
    return Task("sat", text, answer, clauses / jars, facts | {"feasible": bool(totals)})


def _clauses(who: str, names: Sequence[str], told: Iterable[Sequence[Any]]) -> str:
    return " ".join(
        f"{who} {'gets' if wanted else 'loses'} {'one of ' * (len(some) > 1)}{' and '.join(names[i] for i in some)}."
        for wanted, some in told
    )


def _totals(facts: Mapping[str, Any], exactly: bool = False) -> set[int]:
    """Coins of every choice of jars that satisfies the clauses."""
    coins, found = facts["coins"], set()
    for taken in itertools.product((True, False), repeat=len(coins)):
        right = [sum(taken[i] == wanted for i in some) for wanted, some in facts["clauses"]]
        if all(n == 1 or (n > 1 and not exactly) for n in right):
            found.add(sum(k for k, kept in zip(coins, taken, strict=True) if kept))
    return found


def check_sat(facts: dict[str, Any], answer: str) -> str | None:
    """None when some jars that satisfy every clause hold so many coins, else the reason."""
    return None if claimed(answer) in _totals(facts) else "no right jars hold so many coins"


def make_calendar(people: int, rng: random.Random) -> Task:
    """Who is free from when to when, in points instead of hours, and how long it takes: any start that fits all of them.

    The dial is the share of starts that do not fit, among those between the first and the last hour told.
    """
    names = rng.sample(PEOPLE, people)
    starts = [rng.randint(5, 40) for _ in names]
    free = [[start, start + rng.randint(5, 12)] for start in starts]
    length = rng.randint(2, 4)
    facts = {"length": length, "free": free}
    every = range(min(starts), max(end for _, end in free) - length + 1)
    fitting = [start for start in every if _fits(facts, start)]
    told = " ".join(f"{name} has from {a} to {b} points." for name, (a, b) in zip(names, free, strict=True))
    text = f"{told} How many points can {names[0]} have with {' and '.join(names[1:])} and {length} more?"
    answer = str(fitting[0]) if fitting else "0"
    return Task("calendar", text, answer, 1 - len(fitting) / len(every), facts | {"feasible": bool(fitting)})


def _fits(facts: Mapping[str, Any], start: int) -> bool:
    return all(a <= start and start + facts["length"] <= b for a, b in facts["free"])


def check_calendar(facts: dict[str, Any], answer: str) -> str | None:
    """None when the number is a start that fits everybody, else the reason."""
    start = claimed(answer)
    if start is None:
        return "no start named"
    return None if _fits(facts, start) else "somebody is not free, or not for long enough"


def make_maze(doors: int, rng: random.Random, *, open_share: float = 0.9) -> Task:
    """Farms joined by one-way doors that take stones: with how many can one arrive? The dial is the doors on the way.

    From three doors on a further road leads past one of them. Each door of the way is open with `open_share`; where no way
    leads to the goal, nobody has a stone there.
    """
    names, who, stones = _named("farm", doors + 2, rng), rng.choice(PEOPLE), rng.randint(40, 60)
    way, aside = names[: doors + 1], names[-1]
    roads = [(a, b, rng.randint(2, 9)) for a, b in itertools.pairwise(way)]
    roads = [road if rng.random() < open_share else (aside, road[1], road[2]) for road in roads]
    if doors > 2:
        roads.append((way[0], way[2], rng.randint(4, 18)))
    rng.shuffle(roads)
    cheapest = _least(roads, way[0], way[-1])
    facts = {"roads": [list(road) for road in roads], "stones": stones, "start": way[0], "goal": way[-1]}
    left = 0 if cheapest is None else stones - cheapest
    text = f"{_roads(who, stones, way[0], roads)} How many stones can {who} have in {way[-1]}?"
    return Task("maze", text, str(left), float(doors), facts | {"best": left, "feasible": cheapest is not None})


def _roads(who: str, stones: int, start: str, roads: Iterable[Road]) -> str:
    told = (f"{who} gives {k} stones to {b} from {a}." for a, b, k in roads)
    return " ".join([f"{who} starts with {stones} stones in {start}.", *told])


def _least(roads: Sequence[Road], start: str, goal: str) -> int | None:
    """Least stones from start to goal over one-way roads (Bellman and Ford); None where no way leads there."""
    cost = {start: 0}
    for _ in roads:
        for a, b, k in roads:
            if a in cost:
                cost[b] = min(cost.get(b, cost[a] + k), cost[a] + k)
    return cost.get(goal)


def check_best(facts: dict[str, Any], answer: str) -> str | None:
    """None when the number is that of the best plan, else the reason."""
    return None if claimed(answer) == facts["best"] else f"it is {facts['best']}"


def make_trip(places: int, rng: random.Random) -> Task:
    """A round trip over one-way roads with stones on them, each farm once: the most stones that one can gather.

    The most instead of the least, since "how many can it have" asks for the most; the search is the same (Held and Karp).
    """
    names = _named("farm", places, rng)
    stones = {pair: rng.randint(3, 12) for pair in itertools.permutations(names, 2)}
    told = [f"{_head(a)} has {k} stones to {b}." for (a, b), k in stones.items()]
    rng.shuffle(told)
    text = f"{' '.join(told)} How many stones can {names[0]} and all and {names[0]} have in all?"
    best = _richest_round(names, stones)
    facts = {"start": names[0], "roads": [[a, b, k] for (a, b), k in stones.items()], "best": best}
    return Task("trip", text, str(best), float(places), facts)


def _richest_round(names: Sequence[str], stones: Mapping[tuple[str, str], int]) -> int:
    """Most stones of a round from the first name through each other one (dynamic programming over subsets)."""
    home, *others = names
    most = {(frozenset([p]), p): stones[home, p] for p in others}
    for size in range(2, len(others) + 1):
        for some in map(frozenset, itertools.combinations(others, size)):
            for last in some:
                rest = some - {last}
                most[some, last] = max(most[rest, p] + stones[p, last] for p in rest)
    return max(most[frozenset(others), p] + stones[p, home] for p in others)


def make_map(links: int, rng: random.Random) -> Task:
    """A map on a line: each stands so many points above or below another, told in any order; the dial is the links to follow.

    The words are those of the training stories, the task is not: nothing says where to start, and the stories are told in order.
    """
    names = rng.sample(PEOPLE, links + 1)
    value = rng.randint(20, 40)
    told = [rng.choice(OPENINGS).format(S=names[0], k=value, U="points")]
    for other, name in itertools.pairwise(names):
        skill, number = rng.choice(("add", "take")), rng.randint(2, 15)
        skill = "add" if value <= number + 5 else skill
        told.append(rng.choice(RELATIONS[skill]).format(S=name, k=number, r=other, U="points"))
        value = applied(skill, value, number)
    rng.shuffle(told)
    text = f"{' '.join(told)} How many points does {names[-1]} have?"
    return Task("map", text, str(value), float(links), {"best": value})


def make_ways(ways: int, rng: random.Random, *, changes: int = 1) -> Task:
    """The way with most points of several, each told in the words of the training stories; the dial is the number of ways.

    Each way has `changes` steps of arithmetic.
    """
    found: list[int] = []
    told: list[str] = []
    for name in rng.sample(WAYS, ways):
        value = rng.randint(5, 30)
        lines = [rng.choice(OPENINGS).format(S=f"The {name}", k=value, U="points")]
        for _ in range(changes):
            skill, number = pick_step(value, rng)
            lines.append(rng.choice(PHRASES[skill]).format(S=f"The {name}", s=f"the {name}", k=number, U="points"))
            value = applied(skill, value, number)
        told += lines
        found.append(value)
    ask = "How many points does the one with more have?" if ways > 1 else f"How many points does the {name} have?"
    facts = {"points": found, "best": max(found), "feasible": True}
    return Task("ways", f"{' '.join(told)} {ask}", str(max(found)), float(ways), facts)


CHECKS: dict[str, Callable[[dict[str, Any], str], str | None]] = {
    "sat": check_sat,
    "trip": check_best,
    "calendar": check_calendar,
    "maze": check_best,
    "map": check_best,
    "ways": check_best,
}


def check(family: str, facts: dict[str, Any], answer: str | None) -> str | None:
    """None when `answer` is right for these facts, else the reason in words; never raises for an odd answer.

    A claim that nothing can be had is right exactly when there is no plan; tasks that always have one never accept it.
    """
    if not answer or len(answer) > 1000:
        return "no answer"
    feasible = facts.get("feasible", True)
    if says_no(answer):
        return "there is a plan" if feasible else None
    return CHECKS[family](facts, answer) if feasible else "there is no plan"
