"""A pilot: a few answers and training steps of a profile's own stages on this machine, and what they took.

`phi4r plan --profile P --pilot N` asks both models N questions, fine-tunes for a few steps on what the teacher said and takes a
few GRPO steps from there; the folder is thrown away, the figures are kept in runs/pilots/P.json. Not here: what follows from them
(estimate.py).
"""

from __future__ import annotations

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from phi4r_lib.cookbook.folder import state
from phi4r_lib.cookbook.planning.costs import Span
from phi4r_lib.cookbook.settings.home import UserError, home
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.models.engine import EngineSpec, Sample, SamplingSettings, as_messages, open_engine
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.fingerprint import fingerprint
from phi4r_lib.problems.rows import plain, write_json, write_rows
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.memory import parameters, shape_in

MOST = 10_000  # questions; ours
STEPS = 4  # training steps of a pilot at least; ours
SEVERAL = (
    64,
    4,
)  # answers per prompt in a pilot's second pass: as the many of notebooks 01 and 05, few of a large model on a CPU; ours
LARGE = 20_000_000  # weights; ours
ROOM = (0.85, 1.0, 1.3)  # of what was measured: a pilot is short and a machine not always quiet; ours
# Start-ups that a notebook's own work takes: kernel, models, tables, figures; ours, profile cpu 5 to 7.
BESIDE = (3.0, 6.0, 10.0)
# Times as long as its teacher's that an answer of a trained model takes; ours, profile cpu 1.1 to 1.7.
LESS_SURE = (1.0, 1.4, 2.0)


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Answers(_Facts):
    """A model's answers: how many, mean completion tokens with standard error, seconds per prompt read and per token said."""

    count: int
    tokens: float
    tokens_se: float
    seconds_prompt: float
    seconds_token: float

    def seconds(self, answers: Span, tokens: Span, each: int) -> Span:
        """Seconds for so many answers with so many tokens in all, `each` per reading of a prompt; best, expected and worst."""
        spans = zip(answers, tokens, ROOM, strict=True)
        return tuple((n / each * self.seconds_prompt + t * self.seconds_token) * room for n, t, room in spans)


class Steps(_Facts):
    """Steps of a training: how many, seconds before the first one, seconds per step, mean completion tokens of GRPO's."""

    count: int
    start: float
    seconds: float
    tokens: float | None = None

    @property
    def step(self) -> Span:
        """Seconds per step, best, expected and worst."""
        return tuple(self.seconds * room for room in ROOM)


class Pilot(_Facts):
    """What a pilot measured; `settings` is a mark of all that it depends on, `device` is cpu or the GPU's name."""

    profile: str
    settings: str
    device: str
    versions: dict[str, str]
    notebook: float  # seconds to start and import, without models
    answers: dict[str, Answers]
    row_tokens: float | None
    sft: Steps | None
    grpo: Steps | None

    @property
    def notebook_span(self) -> Span:
        """Seconds of one notebook beside its models: start, loading, tables and figures."""
        return tuple(self.notebook * times for times in BESIDE)


def file_of(profile: str) -> Path:
    """Where the pilot of a profile is kept."""
    return home() / "runs" / "pilots" / f"{profile}.json"


def settings_mark(profile: Profile) -> str:
    """A mark of the settings that a pilot's figures depend on; counts are not among them."""
    free = {"sft": {"limit", "passes", "eval_every", "eval_problems"}, "grpo": {"steps", "eval_every", "eval_problems"}}
    named = {name: getattr(profile, name).model_dump(exclude=keys) for name, keys in free.items()}
    return fingerprint(plain({"models": profile.models.model_dump(), **named}))


def kept(profile: Profile) -> Pilot | None:
    """The pilot of a profile with these settings, or None."""
    raw = state.read_json(file_of(profile.name))
    if not raw:
        return None
    pilot = Pilot.model_validate(raw)
    return pilot if pilot.settings == settings_mark(profile) else None


def run_pilot(profile: Profile, count: int) -> Pilot:
    """Measures and keeps a pilot of `count` prompts per model; raises UserError for fewer than eight or more than MOST.

    Endpoints are asked for real, so their `budget_*` options hold here too.
    """
    if not 8 <= count <= MOST:
        raise UserError(f"--pilot {count}: a pilot asks each model at least 8 questions and at most {MOST:,}")
    from phi4r_lib.cookbook.run import with_model_paths
    from phi4r_lib.cookbook.settings.problem_files import gather, problem_files
    from phi4r_lib.problems.schema import load_problems

    started = time.perf_counter()
    settings, profile = settings_mark(profile), with_model_paths(profile)
    files = [(home() / name, domain) for name, domain in problem_files(profile.data.seeds)]
    seeds = gather([(p, load_problems(p, profile.data.map or None, domain=d)) for p, d in files], count)
    notebook = time.perf_counter() - started
    edge = profile.edge
    limits = {"base": edge.max_tokens, "teacher": edge.teacher_max_tokens}
    found = {name: ask(profile, getattr(profile.models, name), seeds, limit) for name, limit in limits.items()}
    answers = {name: facts for name, (facts, _) in found.items()}
    with tempfile.TemporaryDirectory() as folder:
        said, steps = found["teacher"][1], max(STEPS, count // 16)
        rows, sft, grpo, trained = train(profile, seeds, said, Path(folder), steps)
    answers |= {"trained": trained} if trained else {}
    pilot = Pilot(
        profile=profile.name,
        settings=settings,
        device=_device(),
        versions=state.versions(),
        notebook=round(notebook + _start_seconds(), 1),
        answers=answers,
        row_tokens=rows,
        sft=sft,
        grpo=grpo,
    )
    write_json(file_of(profile.name), pilot.model_dump())
    return pilot


def ask(
    profile: Profile, spec: EngineSpec, seeds: Sequence[Problem], limit: int, system: str | None = None
) -> tuple[Answers, list[Sample]]:
    """Answers of a model to the seeds: one each, then SEVERAL each, which tells what a prompt costs and what a token.

    An endpoint is asked once: its tokens cost money, and prompts are not read anew there for each answer.
    """
    engine = open_engine(spec)
    settings = SamplingSettings(n=1, max_tokens=limit, temperature=profile.edge.temperature, seed=profile.seed)
    prompts = [as_messages(seed.prompt, system) if system else seed.prompt for seed in seeds]
    engine.sample(prompts[:1], settings)  # whatever is done once, is done
    marks, found = [time.perf_counter()], []
    counts = (1,) if spec.kind in ("openai", "recorded") else (1, SEVERAL[_slow(spec)])
    for n in counts:
        found.append(engine.sample(prompts, settings.model_copy(update={"n": n})))
        marks.append(time.perf_counter())
    engine.close()
    samples = [sample for group in found[-1] for sample in group if not sample.error]
    if not samples:
        raise UserError(f"{spec.kind} model {spec.model} gave no answer in the pilot: {found[0][0][0].error}")
    tokens = [sample.tokens for sample in samples]
    spread = statistics.stdev(tokens) / math.sqrt(len(tokens)) if len(tokens) > 1 else 0.0
    passes = [
        (b - a, sum(s.tokens for g in groups for s in g))
        for (a, b), groups in zip(itertools.pairwise(marks), found, strict=True)
    ]
    (once, few), (last, many) = passes[0], passes[-1]
    token = last / max(1, many)
    if many > few:  # at least half of the mean: on a busy machine the first pass may take as long as the second
        token = max((last - once) / (many - few), 0.5 * token)
    facts = {"count": len(tokens), "tokens": statistics.fmean(tokens), "tokens_se": spread, "seconds_token": token}
    return Answers(**facts, seconds_prompt=max(0.0, once - few * token) / len(seeds)), [group[0] for group in found[0]]


def _slow(spec: EngineSpec) -> bool:
    shape = shape_in(Path(spec.model))
    return _device() == "cpu" and (shape is None or parameters(shape)[0] > LARGE)


def train(
    profile: Profile, seeds: Sequence[Problem], said: Sequence[Sample], folder: Path, steps: int
) -> tuple[float | None, Steps | None, Steps | None, Answers | None]:
    """(tokens of a row, steps of fine-tuning, steps of GRPO, answers of the trained model); None where the teacher gave no think block."""
    from phi4r_lib.problems.answers import extract_answer

    system = (home() / profile.prompts / "system.txt").read_text(encoding="utf-8").strip()
    pairs = [(seed, sample) for seed, sample in zip(seeds, said, strict=True) if parse_thinking(sample.text).valid]
    if not pairs:
        return None, None, None, None
    talks = [_talk(system, seed.prompt, sample.text) for seed, sample in pairs]
    report, sft, tokens = _fine_tune(profile, talks, folder, steps, system)
    asked = [
        {"id": seed.id, "prompt": _talk(system, seed.prompt, "")[:2], "answer": answer}
        for seed, sample in pairs
        if (answer := extract_answer(sample.text))
    ]
    spec = profile.models.base.model_copy(update={"model": str(report.model)})
    trained, _ = ask(profile, spec, seeds, profile.grpo.max_tokens, system)
    return tokens, sft, _reinforce(profile, report.model, asked, folder, steps, system) if asked else None, trained


def _talk(system: str, prompt: str, text: str) -> list[dict[str, str]]:
    parts = zip(("system", "user", "assistant"), (system, prompt, text), strict=True)
    return [{"role": role, "content": content} for role, content in parts]


def _fine_tune(profile: Profile, talks: list[Any], folder: Path, steps: int, system: str):
    """A fine-tuning of `steps` steps, with rows repeated until they fill the blocks."""
    from phi4r_lib.train.sft import run_sft

    sft, marks = profile.sft, []
    once = folder / "once.jsonl"
    write_rows(once, ({"id": str(n), "messages": talk} for n, talk in enumerate(talks)))
    tokens = _mean_tokens(profile, talks)
    copies = math.ceil(1.3 * steps * sft.batch_size * sft.block / (tokens * len(talks)))
    rows = [{"id": f"{copy}-{n}", "messages": talk} for copy in range(copies) for n, talk in enumerate(talks)]
    write_rows(folder / "sft.jsonl", rows)
    blocks = copies * len(talks) * tokens / sft.block
    change = {"passes": steps * sft.batch_size / blocks, "eval_every": 10**6, "limit": None, "eval_problems": 1}
    began = time.perf_counter()
    report = run_sft(
        profile.models.base.model, [folder / "sft.jsonl"], folder / "sft", sft.model_copy(update=change), system=system,
        progress=lambda *_: marks.append(time.perf_counter()),
    )  # fmt: skip
    return report, _steps(began, marks), tokens


def _mean_tokens(profile: Profile, talks: list[Any]) -> float:
    from phi4r_lib.train.packing import encode_conversation
    from phi4r_lib.train.sft import check_base

    _, tokenizer = check_base(profile.models.base.model, profile.sft)
    return statistics.fmean(len(encode_conversation(talk, tokenizer)[0]) for talk in talks)


def _reinforce(profile: Profile, model: Path, asked: list[Any], folder: Path, steps: int, system: str) -> Steps:
    """A few GRPO steps from the pilot's fine-tuned model, no group dropped, so that each has its full work."""
    from phi4r_lib.train.callbacks import Journal
    from phi4r_lib.train.grpo import run_grpo

    grpo, marks = profile.grpo, []
    rows = [asked[n % len(asked)] | {"id": str(n)} for n in range(max(len(asked), grpo.prompts))]
    write_rows(folder / "rl.jsonl", rows)
    change = {"steps": steps, "eval_every": 10**6, "eval_problems": 1, "max_clipped": 1.0, "filter_groups": False}
    change |= {"lengths": "scaled"}  # nothing is measured yet that quantiles could come from, and lengths cost nothing
    about = {"domain": "math", "source": "pilot", "licence": "pilot"}
    look = [Problem(id="look", prompt=rows[0]["prompt"][1]["content"], answer=rows[0]["answer"], **about)]
    began = time.perf_counter()
    report = run_grpo(
        model, folder / "rl.jsonl", folder / "grpo", grpo.model_copy(update=change), validation=look, system=system,
        progress=lambda *_: marks.append(time.perf_counter()),
    )  # fmt: skip
    said = [row["tokens"] for row in Journal(report.metrics).rows("train") if "tokens" in row]
    return _steps(began, marks).model_copy(update={"tokens": statistics.fmean(said)})


def _steps(began: float, marks: Sequence[float]) -> Steps:
    """Start-up up to the first step's end less one step, and the median step after it."""
    gaps = [b - a for a, b in itertools.pairwise(marks)] or [marks[0] - began]
    step = statistics.median(gaps)
    return Steps(count=len(marks), start=max(0.0, marks[0] - began - step), seconds=step)


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _start_seconds() -> float:
    """Seconds that a new Python takes to import what notebooks import."""
    import subprocess
    import sys

    began = time.perf_counter()
    code = "import torch, transformers, pandas, matplotlib.pyplot, ipykernel"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - began
