"""The planning tasks: exact solutions, verdicts by evaluation, infeasible cases, hostile answers."""

import itertools
import random
import re

import pytest

from phi4r_lib.worlds import planning_tasks as tasks

MAKERS = {
    "sat": lambda rng: tasks.make_sat(rng.randint(2, 6), rng.randint(1, 6), rng),
    "trip": lambda rng: tasks.make_trip(rng.randint(2, 6), rng),
    "calendar": lambda rng: tasks.make_calendar(rng.randint(2, 5), rng),
    "maze": lambda rng: tasks.make_maze(rng.randint(1, 6), rng),
    "map": lambda rng: tasks.make_map(rng.randint(1, 4), rng),
    "ways": lambda rng: tasks.make_ways(rng.randint(1, 4), rng, changes=rng.randint(0, 2)),
}


@pytest.mark.parametrize("family", MAKERS)
def test_the_stated_answer_passes_its_own_check(family):
    rng = random.Random(family)
    for _ in range(200):
        task = MAKERS[family](rng)
        assert tasks.check(family, task.facts, task.answer) is None, task


@pytest.mark.parametrize("family", ["sat", "calendar", "maze"])
def test_both_kinds_occur_and_nothing_is_right_only_without_a_plan(family):
    rng = random.Random(1)
    made = [MAKERS[family](rng) for _ in range(300)]
    feasible = [task for task in made if task.facts["feasible"]]
    assert 0 < len(feasible) < len(made)
    for claim in ("0", "No."):
        assert all((tasks.check(family, task.facts, claim) is None) == (not task.facts["feasible"]) for task in made)
    assert all(tasks.check(family, task.facts, "1") for task in made if not task.facts["feasible"])


def test_right_jars_are_those_of_the_sentences_read_back():
    """Read from the text by other code: a number is right exactly when some jars that obey every sentence hold so many coins."""
    rng = random.Random(2)
    for _ in range(60):
        task = tasks.make_sat(3, rng.randint(1, 5), rng)
        coins = {jar: int(k) for jar, k in re.findall(r"[Tt]he (\w+) jar has (\d+) coins", task.text)}
        told = re.findall(r"\w+ (gets|loses) ([^.]+)\.", task.text)
        right = set()
        for kept in itertools.chain.from_iterable(itertools.combinations(coins, size) for size in range(4)):
            asked = [(verb == "gets", re.findall(r"the (\w+) jar", some)) for verb, some in told]
            if all(any((jar in kept) == wanted for jar in some) for wanted, some in asked):
                right.add(sum(coins[jar] for jar in kept))
        found = {k for k in range(1, 80) if tasks.check("sat", task.facts, str(k)) is None}
        assert found == right and bool(right) == task.facts["feasible"] and 0 not in right


def test_the_richest_round_is_that_of_brute_force():
    rng = random.Random(3)
    for _ in range(30):
        task = tasks.make_trip(5, rng)
        stones = {
            (a.lower(), b): int(k)
            for a, k, b in re.findall(r"([Tt]he \w+ \w+) has (\d+) stones to (the \w+ \w+)", task.text)
        }
        home, others = task.facts["start"], sorted({b for _, b in stones} - {task.facts["start"]})
        rounds = [(home, *order, home) for order in itertools.permutations(others)]
        best = max(sum(stones[pair] for pair in itertools.pairwise(one)) for one in rounds)
        assert task.answer == str(best) and len(others) == 4
        assert tasks.check("trip", task.facts, str(best - 1)) == f"it is {best}"


def test_every_fitting_start_is_right():
    rng = random.Random(4)
    for _ in range(60):
        task = tasks.make_calendar(3, rng)
        right = [start for start in range(1, 60) if tasks.check("calendar", task.facts, str(start)) is None]
        free = [set(range(a, b + 1)) for a, b in task.facts["free"]]
        length = task.facts["length"]
        expected = [s for s in range(1, 60) if all(set(range(s, s + length + 1)) <= hours for hours in free)]
        assert right == expected and bool(expected) == task.facts["feasible"]
        every = max(max(hours) for hours in free) - length - min(min(hours) for hours in free) + 1
        assert task.dial == pytest.approx(1 - len(expected) / every)


def test_the_cheapest_way_is_that_of_all_ways():
    """Every way is walked by other code; the goal of a maze without one holds nothing."""
    rng, reached = random.Random(5), []

    def ways(at, goal, roads, seen):
        if at == goal:
            yield 0
        for a, b, k in roads:
            if a == at and b not in seen:
                yield from (k + rest for rest in ways(b, goal, roads, seen | {b}))

    for _ in range(120):
        task = tasks.make_maze(rng.randint(1, 5), rng, open_share=0.8)
        roads = [
            (a, b, int(k))
            for k, b, a in re.findall(r"gives (\d+) stones to (the \w+ \w+) from (the \w+ \w+)", task.text)
        ]
        start, goal = (
            re.search(r"stones in (the \w+ \w+)\.", task.text)[1],
            re.search(r"in (the \w+ \w+)\?", task.text)[1],
        )
        costs = list(ways(start, goal, roads, {start}))
        reached.append(bool(costs))
        assert task.answer == (str(task.facts["stones"] - min(costs)) if costs else "0")
    assert 0.2 < sum(reached) / len(reached) < 0.9


def test_a_map_is_worked_out_from_its_own_sentences_in_any_order():
    """Read back from the text by other code: known values are passed on until the one asked for is known."""
    rng, first_says_it = random.Random(8), []
    for _ in range(200):
        links = rng.randint(1, 4)
        task = tasks.make_map(links, rng)
        *told, asked, _ = re.split(r"[.?] ?", task.text)
        known, open_ones = {}, list(told)
        first_says_it.append(" than " not in told[0] and " as " not in told[0])
        while open_ones:
            line = open_ones.pop(0)
            number, words = int(re.search(r"\d+", line).group()), line.split()
            if "than" not in words:
                known[words[0]] = number
            elif words[-1] in known:
                known[words[0]] = known[words[-1]] + (number if "more" in words else -number)
            else:
                open_ones.append(line)
        assert str(known[asked.split()[-2]]) == task.answer and 1 <= int(task.answer) <= 99
        assert len(told) == links + 1 and task.dial == links
    assert 0.2 < sum(first_says_it) / 200 < 0.6  # the start stands anywhere


def test_the_share_of_solvable_formulas_falls_with_the_clauses_per_jar():
    rng = random.Random(5)
    shares = [sum(tasks.make_sat(4, 4 * n, rng).facts["feasible"] for _ in range(100)) / 100 for n in (1, 2, 3, 5)]
    assert shares[0] > 0.8 and shares[-1] < 0.2 and shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("family", MAKERS)
@pytest.mark.parametrize("answer", [None, "", "999999999999", "-", "no and 3", "yes", "1" * 2000, "½"])
def test_odd_answers_get_a_reason(family, answer):
    rng = random.Random(6)
    for _ in range(50):
        assert tasks.check(family, MAKERS[family](rng).facts, answer)


def test_a_second_number_or_a_minus_is_no_way_to_be_right():
    task = tasks.make_map(2, random.Random(7))
    for answer in (f"{task.answer} coins", f" {task.answer}."):
        assert tasks.check("map", task.facts, answer) is None
    for answer in (f"-{task.answer}", f"{task.answer} 7", f"no, {task.answer}", f"{task.answer}.5"):
        assert tasks.check("map", task.facts, answer)
