"""Five planning tasks of the report in exact small versions and two in the training words, each with a difficulty dial.

Satisfiability, a round trip, a calendar, a maze and a map (report 5: 3SAT, TSP, BA-Calendar, Maze, SpatialMap), a choice
among ways whose points are worked out first, and the map once more with numbers, in words that the tiny models know (both ours). Never trained
on: they ask whether the habit of writing steps carries over. An answer is judged by what it claims, never by comparing it with
a listed solution, and "no" is right exactly where there is no solution. Wording and sizes are ours, in the tiny models' words.
Not here: the verifier that judges models (planning_verifier.py), running them (notebook 07).
"""

from __future__ import annotations

import itertools
import random
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from phi4r_lib.worlds.steps import applied, pick_step
from phi4r_lib.worlds.words import OPENINGS, PEOPLE, PHRASES, RELATIONS

WAYS = ("red way", "blue way", "green way", "old way")
NO_WAY = "Say no if no way is open."
INFEASIBLE = {"no", "no way", "none", "unsatisfiable", "impossible"}


@dataclass(frozen=True)
class Task:
    """A planning problem: its text, one right answer, the facts that any answer is checked against, and its difficulty.

    `dial` is what grows harder: clauses per variable, points, share of starts that do not fit, steps, people.
    """

    family: str
    text: str
    answer: str
    dial: float
    facts: dict[str, Any] = field(default_factory=dict)


def numbers(answer: str) -> list[int]:
    """The whole numbers in an answer, in order."""
    return [int(number) for number in re.findall(r"\d+", answer)]


def says_no(answer: str) -> bool:
    """Whether an answer claims that there is no solution."""
    return answer.strip().strip(".").lower() in INFEASIBLE


def make_sat(variables: int, ratio: float, rng: random.Random) -> Task:
    """Bags to keep or not, clauses of three; `ratio` is clauses per variable (4.26 is the hard place for large sizes)."""
    clauses = [
        [bag if rng.random() < 0.5 else -bag for bag in rng.sample(range(1, variables + 1), min(3, variables))]
        for _ in range(max(1, round(ratio * variables)))
    ]
    keeps = [[i + 1 for i, kept in enumerate(bits) if kept] for bits in itertools.product((0, 1), repeat=variables)]
    right = [kept for kept in keeps if kept and _satisfied(clauses, kept)]
    groups = ", ".join("(" + ", ".join(f"not {-bag}" if bag < 0 else f"{bag}" for bag in c) + ")" for c in clauses)
    text = (
        f"There are bags 1 to {variables}. You take one and more. The groups "
        f"{groups} must each have one and more right things. What bags do you take? {NO_WAY}"
    )
    answer = " ".join(map(str, right[0])) if right else "no"
    return Task("sat", text, answer, ratio, {"variables": variables, "clauses": clauses, "feasible": bool(right)})


def _satisfied(clauses: Sequence[Sequence[int]], kept: Sequence[int]) -> bool:
    return all(any((abs(bag) in kept) == (bag > 0) for bag in clause) for clause in clauses)


def check_sat(facts: dict[str, Any], answer: str) -> str | None:
    """None when the bags named satisfy every clause, else the reason."""
    kept = numbers(answer)
    if not kept or any(not 1 <= bag <= facts["variables"] for bag in kept):
        return "not a list of bags"
    return None if _satisfied(facts["clauses"], kept) else "a group has no right part"


def make_trip(points: int, rng: random.Random) -> Task:
    """A round trip through all points of a complete graph; right is a tour of the least length (Held-Karp)."""
    length = {pair: rng.randint(1, 20) for pair in itertools.combinations(range(1, points + 1), 2)}
    best, tour = _shortest_tour(points, length)
    roads = ", ".join(f"{a} to {b} takes {steps}" for (a, b), steps in length.items())
    text = (
        f"There are points 1 to {points}. {roads}. Ann starts at 1, goes to all other points and ends at 1. "
        "Name the points of the best way."
    )
    facts = {"points": points, "length": [[a, b, steps] for (a, b), steps in length.items()], "best": best}
    return Task("trip", text, " ".join(map(str, tour)), float(points), facts)


def _shortest_tour(points: int, length: dict[tuple[int, int], int]) -> tuple[int, list[int]]:
    """Least length of a round trip from point 1 and one such tour (dynamic programming over subsets)."""
    step = {**length, **{(b, a): steps for (a, b), steps in length.items()}}
    ways = {(frozenset([p]), p): (step[1, p], [1, p]) for p in range(2, points + 1)}
    for size in range(2, points):
        for some in map(frozenset, itertools.combinations(range(2, points + 1), size)):
            for last in some:
                rest = some - {last}
                ways[some, last] = min((ways[rest, p][0] + step[p, last], [*ways[rest, p][1], last]) for p in rest)
    everything = frozenset(range(2, points + 1))
    total, tour = min((ways[everything, p][0] + step[p, 1], ways[everything, p][1]) for p in everything)
    return total, [*tour, 1]


def check_trip(facts: dict[str, Any], answer: str) -> str | None:
    """None when the points form a closed tour of the least length, else the reason."""
    tour = numbers(answer)
    if tour[:1] == [1] and len(tour) == facts["points"]:
        tour = [*tour, 1]  # the way back may be left out
    if sorted(tour[:-1]) != list(range(1, facts["points"] + 1)) or tour[:1] != [1] or tour[-1:] != [1]:
        return "not a round trip through each point once"
    step = {frozenset((a, b)): steps for a, b, steps in facts["length"]}
    total = sum(step[frozenset(pair)] for pair in itertools.pairwise(tour))
    return None if total == facts["best"] else f"takes {total}, the best way takes {facts['best']}"


def make_calendar(people: int, rng: random.Random, *, end: int = 24, longest: int = 6) -> Task:
    """A talk of a given length that fits nobody's absence; the dial is the share of starts that do not fit."""
    names = rng.sample(PEOPLE, people)
    away = {}
    for name in names:
        start = rng.randint(0, end - 4)
        away[name] = (start, min(end, start + rng.randint(3, 10)))
    length = rng.randint(1, longest)
    facts = {"end": end, "length": length, "away": list(away.values())}
    fitting = [start for start in range(end - length + 1) if _fits(facts, start)]
    absences = " ".join(f"{name} is away from {a} to {b}." for name, (a, b) in away.items())
    everyone = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    text = f"{absences} {everyone} must talk for {length} between 0 and {end}. When can the talk be? {NO_WAY}"
    dial = 1 - len(fitting) / (end - length + 1)
    return Task("calendar", text, str(fitting[0]) if fitting else "no", dial, facts | {"feasible": bool(fitting)})


def _fits(facts: dict[str, Any], start: int) -> bool:
    stop = start + facts["length"]
    return start >= 0 and stop <= facts["end"] and all(stop <= a or b <= start for a, b in facts["away"])


def check_calendar(facts: dict[str, Any], answer: str) -> str | None:
    """None when the first number is a start that fits everybody, else the reason."""
    found = numbers(answer)
    if not found:
        return "no start named"
    return None if _fits(facts, found[0]) else "somebody is away, or it ends too late"


def make_maze(size: int, rng: random.Random, *, walls: float = 0.35) -> Task:
    """The fewest steps through a square of numbered points, some neighbours parted by a wall; the dial is those steps."""
    points = range(1, size * size + 1)
    pairs = [(p, p + 1) for p in points if p % size] + [(p, p + size) for p in points if p + size <= size * size]
    roads = [pair for pair in pairs if rng.random() >= walls]
    steps = _fewest_steps(roads, 1, size * size)
    named = ", ".join(f"{a} to {b}" for a, b in roads) or "no way"
    text = f"There are points 1 to {size * size}. The way is open from {named}. How many steps from 1 to {size * size}? {NO_WAY}"
    facts = {"roads": [list(pair) for pair in roads], "goal": size * size, "feasible": steps is not None}
    return Task(
        "maze", text, "no" if steps is None else str(steps), float(steps or size * size), facts | {"steps": steps}
    )


def _fewest_steps(roads: Sequence[tuple[int, int]], start: int, goal: int) -> int | None:
    beside: dict[int, list[int]] = {}
    for a, b in roads:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    seen, line = {start: 0}, deque([start])
    while line:
        point = line.popleft()
        for other in beside.get(point, ()):
            if other not in seen:
                seen[other] = seen[point] + 1
                line.append(other)
    return seen.get(goal)


def check_maze(facts: dict[str, Any], answer: str) -> str | None:
    """None when the number of steps is the fewest, else the reason."""
    found = numbers(answer)
    return None if found[:1] == [facts["steps"]] else f"the fewest steps are {facts['steps']}"


def make_map(people: int, rng: random.Random) -> Task:
    """People in a row, told by neighbours in random order; the question: how many stand left of one of them?"""
    row = rng.sample(PEOPLE, people)
    told = [f"{a} is left of {b}." for a, b in itertools.pairwise(row)]
    rng.shuffle(told)
    place = rng.randrange(people)
    text = f"{' '.join(told)} How many people are left of {row[place]}?"
    return Task("map", text, str(place), float(people), {"row": row, "place": place})


def check_map(facts: dict[str, Any], answer: str) -> str | None:
    """None when the count is right, else the reason."""
    found = numbers(answer)
    return None if found[:1] == [facts["place"]] else f"{facts['place']} people stand there"


def make_order(links: int, rng: random.Random) -> Task:
    """A map with numbers: each stands so many points above or below another, told in any order; the dial is the links to follow.

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
    return Task("order", text, str(value), float(links), {"best": value})


def check_order(facts: dict[str, Any], answer: str) -> str | None:
    """None when the number is right, else the reason."""
    return None if numbers(answer)[:1] == [facts["best"]] else f"it is {facts['best']}"


def make_ways(ways: int, rng: random.Random, *, changes: int = 1, limit: int = 99) -> Task:
    """The way with most points of several, each told in the words of the training stories; the dial is the number of ways.

    Each way has `changes` steps of arithmetic. Ways of more than `limit` points are shut: where all are, there is no solution.
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
    open_ways = [value for value in found if value <= limit]
    shut = f" The way is not open with more than {limit} points. {NO_WAY}" if limit < 99 else ""
    ask = "How many points does the one with more have?" if ways > 1 else f"How many points does the {name} have?"
    facts = {"points": found, "best": max(open_ways, default=None), "feasible": bool(open_ways)}
    answer = str(max(open_ways)) if open_ways else "no"
    return Task("ways", f"{' '.join(told)}{shut} {ask}", answer, float(ways), facts)


def check_ways(facts: dict[str, Any], answer: str) -> str | None:
    """None when the number is that of the best open way, else the reason."""
    return None if numbers(answer)[:1] == [facts["best"]] else f"the best open way has {facts['best']}"


CHECKS: dict[str, Callable[[dict[str, Any], str], str | None]] = {
    "sat": check_sat,
    "trip": check_trip,
    "calendar": check_calendar,
    "maze": check_maze,
    "map": check_map,
    "ways": check_ways,
    "order": check_order,
}


def check(family: str, facts: dict[str, Any], answer: str | None) -> str | None:
    """None when `answer` is right for these facts, else the reason in words; never raises for an odd answer.

    A claim of "no" is right exactly when there is no solution; tasks that always have one never accept it.
    """
    if not answer or len(answer) > 1000:
        return "no answer"
    feasible = facts.get("feasible", True)
    if says_no(answer):
        return "there is a solution" if feasible else None
    return CHECKS[family](facts, answer) if feasible else "there is no solution"
