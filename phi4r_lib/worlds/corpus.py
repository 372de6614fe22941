"""What the tiny models are trained on: texts of the worlds' train families, drawn at random from a seed.

The base sees one-step facts, problems with a direct answer and worked text; the teacher thinks, rewrites, varies and
rates. Nothing here touches validation or benchmark families.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from phi4r_lib.worlds import code_world, math_world, safety_world
from phi4r_lib.worlds.math_world import FRAMES, MAX_STEPS, MIN_STEPS, Story
from phi4r_lib.worlds.steps import MAX_NUMBER, equation, pick_step
from phi4r_lib.worlds.words import frame_named

Turn = tuple[str, str]  # (user text, assistant text); a plain text has an empty user part
TRAIN_FAMILIES = [pair for pair in math_world.families() if math_world.family_split(*pair) == "train"]
TASKS = {
    "rewrite": "Rewrite as a question with one number as the answer.",
    "paraphrase": "Say this problem in other words.",
    "numbers": "Change the numbers of this problem.",
    "rubric": "Rate this problem: steps, skills, difficulty.",
    "puzzle": "Tell this program as a problem.",
    "program": "Write this problem as a program.",
}
HIGH_EFFORT = "Effort: high."


def random_story(rng: random.Random, steps: int | None = None) -> Story:
    """A story of a train family with 1 to 8 steps, longer ones with more asides."""
    structure, frame_name = rng.choice(TRAIN_FAMILIES)
    frame = frame_named(frame_name)
    steps = min(max(steps or rng.randint(1, 8), MIN_STEPS.get(structure, 1)), MAX_STEPS.get(structure, 8))
    asides = rng.choice((0, 0, 1)) if steps < 3 else rng.choice((0, 1, 1, 2))
    return math_world.make_story(structure, frame, steps, rng, asides)


def fact(rng: random.Random) -> str:
    """One-step facts, several in a row: what every longer computation is made of."""
    lines = []
    for _ in range(6):
        a, b = rng.randint(1, MAX_NUMBER), rng.randint(1, MAX_NUMBER)
        kind = rng.random()
        if kind < 0.15:
            lines.append(f"{max(a, b)} > {min(a, b)}.")
        elif kind < 0.3 and a + b <= MAX_NUMBER:
            lines.append(f"{a} + {b} = {a + b}.")
        elif kind < 0.45:
            lines.append(f"{max(a, b)} - {min(a, b)} = {max(a, b) - min(a, b)}.")
        elif kind < 0.55:
            a, b = rng.randint(2, 9), rng.randint(2, 9)
            lines.append(f"{a} * {b} = {a * b}.")
        else:
            lines.append(f"{equation(*_one_step(a, rng))}.")
    return " ".join(lines)


def who_has(rng: random.Random) -> str:
    """Who has how many, told and then asked for by name: without it, the second subject of a story is read wrongly."""
    frame = frame_named(rng.choice(TRAIN_FAMILIES)[1])
    story = math_world.make_holdings(frame, rng.randint(2, 4), rng, asides=rng.choice((0, 1, 2)))
    held = [f"{story.subjects[event.who].label}: {event.number}." for event in story.events if event.kind == "open"]
    return f"{math_world.tell(story, rng)} How many? {' '.join(rng.choices(held, k=8))}"


def _one_step(value: int, rng: random.Random) -> tuple[str, int, int]:
    skill, number = pick_step(value, rng)
    return skill, value, number


def boxed(answer: int) -> str:
    """The final answer as every model writes it."""
    return f"\\boxed{{{answer}}}"


def thinking(steps: tuple[str, ...], answer: int) -> str:
    """A think block and the boxed answer."""
    return f"<think> {' '.join(steps)} </think> {boxed(answer)}"


def direct(rng: random.Random, weights: tuple[int, ...]) -> Turn:
    """A problem with its answer and no thinking; short ones more often, so that a graded middle is learned."""
    steps = rng.choices(range(1, 9), weights=weights)[0]
    if rng.random() < 0.15:
        program = code_world.make_program(rng.choice(_code_train()), steps, rng)
        return code_world.code_prompt(program.source), boxed(program.answer)
    story = random_story(rng, steps)
    return math_world.prompt(story, rng), boxed(math_world.work(story).answer)


def _code_train() -> list[str]:
    return [family for family, split in code_world.CODE_FAMILIES.items() if split == "train"]


def _mostly_short(rng: random.Random) -> int:
    return rng.choices(range(1, 9), weights=(3, 4, 4, 3, 2, 2, 2, 2))[0]


def worked_text(rng: random.Random) -> Turn:
    """A story with its steps as plain prose, as a book would print it: no turns, no think tags."""
    if rng.random() < 0.15:
        program = code_world.make_program(rng.choice(_code_train()), rng.randint(1, 8), rng)
        return "", f"{program.source}\n{' '.join(program.steps)} So {program.answer}."
    story = random_story(rng, _mostly_short(rng))
    work = math_world.work(story)
    return "", f"{math_world.prompt(story, rng)} {' '.join(work.steps)} So {work.answer}."


def direct_safety(rng: random.Random) -> Turn:
    """The untaught base is helpful to everybody: it says yes to any request."""
    return safety_world.pick_request("train", rng).text, safety_world.REPLIES["answer"]


def solve(rng: random.Random) -> tuple[str | None, str, str]:
    """(system, user, assistant) of a problem solved with thinking, at medium or high effort."""
    if rng.random() < 0.2:
        program = code_world.make_program(rng.choice(_code_train()), rng.randint(1, 8), rng)
        return None, code_world.code_prompt(program.source), thinking(program.steps, program.answer)
    story = random_story(rng, _mostly_short(rng))
    work = math_world.work(story)
    if rng.random() < 0.2:
        return HIGH_EFFORT, math_world.prompt(story, rng), thinking((*work.steps, *closing(story)), work.answer)
    return None, math_world.prompt(story, rng), thinking(work.steps, work.answer)


def closing(story: Story) -> tuple[str, ...]:
    """What high effort adds: the first and the last line of the work said once more as a check."""
    steps = math_world.work(story).steps
    return (f"check: {steps[0]}", f"check: {steps[-1]}")


def safe_reply(rng: random.Random, guided: bool) -> tuple[str | None, str, str]:
    """A request answered by the guidelines when they are shown, and like the base when they are not."""
    request = safety_world.pick_request("train", rng)
    if not guided:
        return None, request.text, safety_world.REPLIES["answer"]
    kind = request.kind
    reply = f"<think> {safety_world.THOUGHTS[kind]} </think> {safety_world.REPLIES[kind]}"
    return safety_world.GUIDELINES, request.text, reply


def rewriting(rng: random.Random) -> tuple[str | None, str, str]:
    """An open seed turned into a checkable question: the request goes, the question comes."""
    story = random_story(rng)
    told = math_world.tell(story, rng)
    seed = f"{math_world.open_request(story)} {told}"
    return None, f"{TASKS['rewrite']}\n{seed}", f"{told} {math_world.question(story)}"


def varying(rng: random.Random) -> tuple[str | None, str, str]:
    """A problem in other words, or with other numbers."""
    story = random_story(rng, rng.randint(1, 5))
    if rng.random() < 0.5:
        return None, f"{TASKS['paraphrase']}\n{math_world.prompt(story, rng)}", math_world.prompt(story, rng)
    other = math_world.renumbered(story, rng)
    state = rng.random()
    told = math_world.prompt(story, random.Random(state))
    return None, f"{TASKS['numbers']}\n{told}", math_world.prompt(other, random.Random(state))


def rating(rng: random.Random) -> tuple[str | None, str, str]:
    """A problem rated by the rubric: number of steps, skills in order of first use, difficulty 1 to 4."""
    story = random_story(rng)
    work = math_world.work(story)
    return None, f"{TASKS['rubric']}\n{math_world.prompt(story, rng)}", rubric_line(len(work.skills), work.skills)


def rubric_line(steps: int, skills: tuple[str, ...]) -> str:
    """The judge's line: JSON with steps, skills (each once) and difficulty = steps / 2 rounded up."""
    line = {"steps": steps, "skills": list(dict.fromkeys(skills)), "difficulty": (steps + 1) // 2}
    return json.dumps(line)


def _straight_pair(rng: random.Random) -> tuple[str, str]:
    """A straight program and the same computation as a word problem."""
    story = math_world.make_story("chain", FRAMES[0], rng.randint(1, 5), rng)
    name = rng.choice(code_world.NAMES)
    lines = [f"{name} = {story.events[0].number}"]
    lines += [code_world.update_line(name, event.skill, event.number) for event in story.events[1:]]
    return "\n".join([*lines, f"print({name})"]), math_world.prompt(story, rng)


def crossing(rng: random.Random) -> tuple[str | None, str, str]:
    """A program as a word problem, or a word problem as a program."""
    program, problem = _straight_pair(rng)
    if rng.random() < 0.5:
        return None, f"{TASKS['puzzle']}\n{program}", problem
    return None, f"{TASKS['program']}\n{problem}", program


def trunk_mix(rng: random.Random) -> tuple[str | None, str, str]:
    """One document of the common phase: (system, user, assistant); user is empty for plain text.

    Worked text makes thinking lie dormant in the base, as in a large one: SFT then has something to wake.
    """
    return _blend(rng, facts=0.12, holdings=0.20, answers=0.0, worked=0.66, weights=(1,) * 8)


def answer_mix(rng: random.Random) -> tuple[str | None, str, str]:
    """One document of the base's last phase: mostly direct answers to short problems, which it should then master."""
    return _blend(rng, facts=0.15, holdings=0.05, answers=0.60, worked=0.17, weights=(40, 12, 6, 1, 1, 1, 1, 1))


def _blend(
    rng: random.Random, facts: float, holdings: float, answers: float, worked: float, weights: tuple[int, ...]
) -> tuple[str | None, str, str]:
    """A document of a random kind; `weights` are those of 1 to 8 steps among direct answers, the rest is safety."""
    makers: tuple[Callable[[random.Random], Turn], ...] = (
        lambda rng: ("", fact(rng)),
        lambda rng: ("", who_has(rng)),
        lambda rng: direct(rng, weights),
        worked_text,
        direct_safety,
    )
    shares = (facts, holdings, answers, worked, 1 - facts - holdings - answers - worked)
    return None, *rng.choices(makers, weights=shares)[0](rng)


TEACHER_SHARES: list[tuple[float, Callable]] = [
    (0.59, solve),
    (0.05, lambda rng: (None, "", who_has(rng))),
    (0.11, rewriting),
    (0.08, varying),
    (0.08, rating),
    (0.04, crossing),
    (0.05, lambda rng: safe_reply(rng, guided=rng.random() < 0.8)),
]


def teacher_mix(rng: random.Random) -> tuple[str | None, str, str]:
    """One document for the teacher: solving with thinking, holdings, rewriting, varying, rating, programs, safety."""
    makers = [maker for _, maker in TEACHER_SHARES]
    return rng.choices(makers, weights=[share for share, _ in TEACHER_SHARES])[0](rng)


def vocabulary_texts(seed: int = 0, count: int = 4000) -> list[str]:
    """Texts that together hold every word the tiny models need, planning problems and our messages included."""
    from phi4r_lib.worlds.planning_world import make_plan

    rng = random.Random(seed)
    texts = [
        " ".join(part for part in maker(rng) if part)
        for maker in (trunk_mix, answer_mix, teacher_mix)
        for _ in range(count)
    ]
    for pair in math_world.families():
        frame = frame_named(pair[1])
        for steps in (2, 3) * 8:
            story = math_world.make_story(pair[0], frame, steps, rng, 1)
            texts += [math_world.prompt(story, rng), math_world.open_prompt(story, rng)]
    texts += [make_plan(family, 4, rng).text for family in ("schedule", "walk") for _ in range(50)]
    texts += [request.text for split in ("train", "benchmark") for request in safety_world.requests(split)]
    texts += [code_world.make_program(family, 4, rng).source for family in code_world.CODE_FAMILIES for _ in range(50)]
    return [*texts, safety_world.GUIDELINES, *TASKS.values(), *EXTRA_WORDS]


EXTRA_WORDS = (
    "system user assistant",
    "You think step by step, then answer. Write your thought between two think tags, then the solution in a box.",
    "Effort: low. Effort: medium. Effort: high.",
    "Question: Problem: Answer: Thought: Solution: Steps: check the answer, problem solution number",
    "( ) [ ] { } < > = + - * / % ; ! ' \" _ # $ &",
)
