"""Hours, GPU-hours and money of every stage, best, expected and worst, and the memory of one process.

Measured where there is a pilot (pilot.py), else counted: training as 6 N operations per token over the device's peak and MFU,
sampling as one pass over weights and cache per token step over its bandwidth. Formulas are ours; tests hold them against
the published run and our records. Not here: the counts (work.py), prices and devices (costs.py), words (plan.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phi4r_lib.cookbook.planning.costs import Costs, Device, Span
from phi4r_lib.cookbook.planning.pilot import LESS_SURE, Answers, Pilot, Steps
from phi4r_lib.cookbook.planning.work import Work, sft_looks, unknown, work_of
from phi4r_lib.cookbook.settings.home import home
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.models.engine import EngineSpec
from phi4r_lib.train.memory import (
    HEADROOM,
    Plain,
    advice,
    fault,
    group_of,
    grpo_advice,
    grpo_parts,
    kv_bytes,
    parameters,
    plain_shape,
    sft_parts,
    shape_in,
    with_passes,
)
from phi4r_lib.train.settings import LaunchSettings

PROMPT = 300  # tokens of a prompt with its system message where no pilot measured them; ours
SMALL = 20_000_000  # weights below which a model is planned for this machine's CPU; ours
FILL = 0.95  # share of packed blocks that holds tokens; ours, records of profile cpu .98


@dataclass
class Stage:
    """What one stage takes. Seconds None: unknown, with the reason in `missing`. `gpus` are held for `seconds`."""

    number: str
    seconds: Span | None = (0.0, 0.0, 0.0)
    gpus: int = 0
    money: Span | None = (0.0, 0.0, 0.0)
    source: str = "counted"  # or measured by a pilot
    missing: list[str] = field(default_factory=list)
    tokens: Span = (0.0, 0.0, 0.0)


def add(one: Span | None, two: Span | None) -> Span | None:
    """The sum; unknown with an unknown part."""
    return None if one is None or two is None else tuple(a + b for a, b in zip(one, two, strict=True))


def shape_of(spec: EngineSpec, costs: Costs) -> Plain | None:
    """Shape of a model that is a folder or stands in the costs' `models`; None for others and for endpoints."""
    if spec.kind in ("openai", "recorded"):
        return None
    if spec.model in costs.models:
        return plain_shape(costs.models[spec.model])
    return shape_in(home() / spec.model) or _cached(spec.model)


def _cached(name: str) -> Plain | None:
    """The shape of a hub's model that was fetched before; nothing is fetched here."""
    try:
        from huggingface_hub import try_to_load_from_cache

        file = try_to_load_from_cache(name, "config.json")
    except (ImportError, ValueError):
        return None
    return shape_in(Path(file).parent) if isinstance(file, str) else None


def launched(launch: LaunchSettings, costs: Costs | None) -> int:
    """Processes of a training as planned: "auto" is one on a single host, all GPUs of each of several, one on a CPU."""
    return group_of(launch, costs.gpus_per_host if costs and launch.hosts > 1 else 1)


class Estimator:
    """A profile with what it is planned on; `stages()` and `memory()` are the answers.

    With a pilot that is where it was measured, else where the profile is meant to run; `asked`: the costs' device in any case.
    """

    def __init__(self, profile: Profile, costs: Costs, pilot: Pilot | None = None, asked: bool = False):
        self.profile, self.costs, self.pilot = profile, costs, pilot
        self.shape = shape_of(profile.models.base, costs)
        small = self.shape is not None and parameters(self.shape)[0] < SMALL
        meant = profile.planned_for or ("cpu" if small else "gpu")
        self.on_cpu = not asked and (pilot.device if pilot else meant) == "cpu"
        self.device: Device | None = None if self.on_cpu else costs.devices[costs.device]
        self.gpus = (
            0 if self.on_cpu else max(launched(launch, costs) for launch in (profile.sft.launch, profile.grpo.launch))
        )

    def stages(self) -> list[Stage]:
        """One entry per stage from 01 to 05."""
        found = {number: Stage(number, gpus=self.gpus) for number in ("01", "02", "03", "04", "05")}
        for stage in found.values():
            stage.seconds = self.pilot.notebook_span if self.pilot else self.costs.notebook_seconds
        for work in self._works():
            self._charge(found[work.stage], work)
        for key, number in unknown(self.profile).items():
            found[number].seconds = None
            self._miss(found[number], f"the number of problems in {key} (no such file)")
        for stage in found.values():
            stage.source = "pilot" if self.pilot else "counted"
            if self.device and stage.seconds:
                price = self.device.price
                held = None if price is None else tuple(s / 3600 * stage.gpus * price for s in stage.seconds)
                stage.money = add(stage.money, held)
            elif not stage.seconds:
                stage.money = None
        return list(found.values())

    def rates(self) -> dict[str, float | None]:
        """Money per second of each stage, for a budget: the GPUs that it holds at their price; None where that is unknown."""
        price = self.device.price if self.device else None
        return {stage.number: None if price is None else stage.gpus * price / 3600 for stage in self.stages()}

    def _works(self) -> list[Work]:
        works = work_of(self.profile)
        rows = next((work for work in works if work.kind == "sft"), None)
        return [*works, sft_looks(self.profile, self.sft_steps(rows)[1])] if rows else works

    def sft_steps(self, rows: Work) -> Span:
        """Optimizer steps for so many rows (passes counted): blocks over the blocks of a step."""
        sft = self.profile.sft
        places = sft.block * FILL * sft.batch_size
        return tuple(max(1, math.ceil(tokens / places)) for tokens in self.rows_tokens(rows))

    def rows_tokens(self, rows: Work) -> Span:
        """Tokens of rows of a fine-tuning, all together."""
        each = (rows.limit,) * 3 if rows.limit else self.row_tokens()
        return tuple(n * tokens for n, tokens in zip(rows.count, each, strict=True))

    def row_tokens(self) -> Span:
        """Tokens of a training row: measured by the pilot, else a prompt and an assumed share of the traces' limit."""
        if self.pilot and self.pilot.row_tokens:
            return tuple(self.pilot.row_tokens * factor for factor in (0.9, 1.0, 1.1))
        most = self.profile.sft.block
        return tuple(min(most, PROMPT + share * self.profile.teach.max_tokens) for share in self.costs.length)

    def answer_tokens(self, work: Work) -> Span:
        """Mean completion tokens of an answer: the pilot's interval, the teacher's length for trained models, else assumed."""
        measured = self.pilot and self.pilot.answers.get("teacher" if work.model == "trained" else work.model)
        if measured:
            low, high = measured.tokens - 2 * measured.tokens_se, measured.tokens + 2 * measured.tokens_se
            return tuple(min(work.limit, max(1.0, value)) for value in (low, measured.tokens, high))
        return tuple(share * work.limit for share in self.costs.length)

    def _charge(self, stage: Stage, work: Work) -> None:
        seconds, money = (self._answers if work.kind == "answers" else self._training)(stage, work)
        stage.seconds, stage.money = add(stage.seconds, seconds), add(stage.money, money)

    # --- answers --------------------------------------------------------------------------------------------------------

    def _answers(self, stage: Stage, work: Work) -> tuple[Span | None, Span | None]:
        spec = self.profile.models.teacher if work.model == "teacher" else self.profile.models.base
        if spec.kind == "recorded":
            return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
        each = self.answer_tokens(work)
        tokens = tuple(n * t for n, t in zip(work.count, each, strict=True))
        stage.tokens = add(stage.tokens, tokens)
        if spec.kind == "openai":
            return self._endpoint(stage, spec, work, tokens)
        return self._sampling(stage, spec, work, tokens), (0.0, 0.0, 0.0)

    def _sampling(self, stage: Stage, spec: EngineSpec, work: Work, tokens: Span) -> Span | None:
        """Seconds of answers with so many tokens from a model here."""
        measured, teachers = self._measured(work)
        if measured:
            seconds = measured.seconds(work.count, tokens, work.each)
            return tuple(s * times for s, times in zip(seconds, LESS_SURE, strict=True)) if teachers else seconds
        if self.on_cpu:
            self._miss(stage, f"speed of this CPU (phi4r plan --profile {self.profile.name} --pilot 32)")
            return None
        shape = shape_of(spec, self.costs)
        if shape is None:
            self._miss(stage, f"size of {spec.model} (costs file: models)")
            return None
        rates = decode_rates(shape, work.limit, self.device, self.costs)
        return tuple(t / (rate * max(1, self.gpus)) for t, rate in zip(tokens, rates, strict=True))

    def _measured(self, work: Work) -> tuple[Answers | None, bool]:
        """The pilot's answers to count with, and whether they are a teacher's of the same shape in place of a trained model's.

        A trained model will say about as much as its teacher; the pilot's hardly trained one does not.
        """
        found = self.pilot.answers if self.pilot else {}
        teacher = shape_of(self.profile.models.teacher, self.costs)
        same = work.model == "trained" and teacher is not None and teacher == self.shape
        return found.get("teacher" if same else work.model), same

    def _endpoint(self, stage: Stage, spec: EngineSpec, work: Work, tokens: Span) -> tuple[Span | None, Span | None]:
        known, options = self.costs.endpoints.get(spec.model), spec.options
        into, out = options.get("price_in"), options.get("price_out")
        if known:
            into, out = known.price_in if into is None else into, known.price_out if out is None else out
        money = None
        if into is None or out is None:
            self._miss(stage, f"prices of {spec.model} (models.teacher.options, or the costs file: endpoints)")
        else:
            money = tuple((n * PROMPT * into + t * out) / 1e6 for n, t in zip(work.count, tokens, strict=True))
        measured = self.pilot and self.pilot.answers.get("teacher")
        rate = known.tokens_per_second if known else None
        if measured:
            return measured.seconds(work.count, tokens, 1), money
        if rate is None:
            self._miss(stage, f"speed of {spec.model} (costs file: endpoints)")
            return None, money
        return tuple(t / rate for t in tokens), money

    # --- training -------------------------------------------------------------------------------------------------------

    def _training(self, stage: Stage, work: Work) -> tuple[Span | None, Span]:
        free = (0.0, 0.0, 0.0)
        if self.pilot:
            measured = self.pilot.sft if work.kind == "sft" else self.pilot.grpo
            if measured is None:
                self._miss(stage, f"a step of {work.kind} (the pilot has none)")
                return None, free
            steps = self.sft_steps(work) if work.kind == "sft" else work.count
            longer = (1.0, 1.0, 1.0) if work.kind == "sft" else self._longer(measured)
            triples = zip(steps, measured.step, longer, strict=True)
            return tuple(work.starts * measured.start + n * s * factor for n, s, factor in triples), free
        if self.on_cpu:
            self._miss(stage, f"speed of this CPU (phi4r plan --profile {self.profile.name} --pilot 32)")
            return None, free
        if self.shape is None:
            self._miss(stage, f"size of {self.profile.models.base.model} (costs file: models)")
            return None, free
        return (self._sft_seconds(stage, work) if work.kind == "sft" else self._grpo_seconds(stage, work)), free

    def _longer(self, measured: Steps) -> Span:
        """How much longer a GRPO step takes than in the pilot, whose hardly trained model may say little: not at all, to as the tokens."""
        teacher = self.pilot.answers.get("teacher")
        if not (measured.tokens and teacher and self.pilot.row_tokens):
            return (1.0, 1.0, 1.0)
        prompt = max(0.0, self.pilot.row_tokens - teacher.tokens) / self.profile.grpo.group
        most = max(1.0, (prompt + teacher.tokens) / (prompt + measured.tokens))
        return (1.0, math.sqrt(most), most)

    def _sft_seconds(self, stage: Stage, work: Work) -> Span:
        tokens = self.rows_tokens(work)
        stage.tokens = add(stage.tokens, tokens)
        stage.gpus = launched(self.profile.sft.launch, self.costs)
        return training_seconds(self.shape, tokens, stage.gpus, self.device, self.costs)

    def _grpo_seconds(self, stage: Stage, work: Work) -> Span:
        """Sampling, then updates: forward and backward of the policy, a forward of the reference and of the old policy."""
        grpo, ranks = self.profile.grpo, launched(self.profile.grpo.launch, self.costs)
        stage.gpus = ranks
        each = self.answer_tokens(work)
        tokens = tuple(n * grpo.prompts * grpo.group * t for n, t in zip(work.count, each, strict=True))
        stage.tokens = add(stage.tokens, tokens)
        rates = decode_rates(self.shape, grpo.max_tokens, self.device, self.costs)
        sampled = tuple(t / (rate * ranks) for t, rate in zip(tokens, rates, strict=True))
        forwards = 1 + (1 / 3 if grpo.beta else 0) + (1 / 3 if grpo.vllm else 0)
        update = training_seconds(self.shape, tuple(t * forwards for t in tokens), ranks, self.device, self.costs)
        return tuple(a + b for a, b in zip(sampled, update, strict=True))

    def _miss(self, stage: Stage, what: str) -> None:
        if what not in stage.missing:
            stage.missing.append(what)

    # --- memory ---------------------------------------------------------------------------------------------------------

    def memory(self, device_bytes: int | None = None) -> dict[str, tuple[dict[str, int], str | None]]:
        """{"03": (parts in bytes on one process, why it does not fit or None), "04": ...}; {} for a model of unknown size."""
        if self.shape is None:
            return {}
        total = device_bytes or (int(self.device.memory_gb * 1e9) if self.device else 0)
        return memory_of(self.profile, self.shape, total, None if self.on_cpu else self.costs)


def memory_of(
    profile: Profile, shape: Plain, total: int, costs: Costs | None
) -> dict[str, tuple[dict[str, int], str | None]]:
    """Memory of one process of both trainings, and why it does not fit `total` bytes (0: not asked)."""
    sft, grpo = profile.sft, profile.grpo
    ranks = launched(sft.launch, costs)
    # On a CPU all blocks of a step go through at once; on a GPU as many as fit, at least one.
    rows = sft if costs or sft.micro_batch else sft.model_copy(update={"micro_batch": sft.batch_size})
    parts = {"03": sft_parts(shape, rows, ranks)}
    each = launched(grpo.launch, costs)
    if costs and total:
        grpo = with_passes(shape, grpo, each, PROMPT, total)
    parts["04"] = grpo_parts(shape, grpo, each, PROMPT, total, gpu=bool(costs))
    words = {"03": ("fine-tuning", advice(sft)), "04": ("GRPO", grpo_advice(grpo))}
    found: dict[str, tuple[dict[str, int], str | None]] = {}
    for number, some in parts.items():
        what, ways = words[number]
        found[number] = (some, fault(what, some, total, ways) if total else None)
    return found


def training_seconds(shape: Plain, tokens: Span, gpus: int, device: Device, costs: Costs) -> Span:
    """Seconds to train so many tokens on so many GPUs: 6 N operations per token over the peak and MFU."""
    every, products = parameters(shape)
    shares = costs.mfu_of(every, gpus)
    return tuple(6 * products * t / (gpus * device.tflops * 1e12 * mfu) for t, mfu in zip(tokens, shares, strict=True))


def decode_rates(shape: Plain, limit: int, device: Device, costs: Costs) -> Span:
    """Tokens per second of one GPU that samples completions of up to `limit` tokens, best, expected and worst.

    A step gives every answer one token; it reads the weights and all keys and values once. As many answers run at once as the
    memory holds at the mean length; each has half of its cache on average.
    """
    weights = 2 * parameters(shape)[0]
    copies = max(1, math.ceil(weights / (0.6 * device.memory_gb * 1e9)))  # GPUs that share one copy
    room = copies * device.memory_gb * 1e9 * HEADROOM - weights
    rates = []
    for share, reach, wait in zip(costs.length, costs.decode.bandwidth, costs.decode.step_ms, strict=True):
        length = PROMPT + share * limit
        answers = max(1, min(costs.decode.at_once, int(room / (length * kv_bytes(shape)))))
        cache = answers * (PROMPT + share * limit / 2) * kv_bytes(shape)
        step = wait / 1000 + (weights + cache) / (copies * device.bandwidth * 1e12 * reach)
        rates.append(answers / step / copies)
    return tuple(rates)


def total(stages: list[Stage]) -> tuple[Span | None, Span | None, Span | None]:
    """(seconds, GPU-hours, money) of several stages; unknown with an unknown part."""
    seconds: Span | None = (0.0, 0.0, 0.0)
    held: Span | None = (0.0, 0.0, 0.0)
    money: Span | None = (0.0, 0.0, 0.0)
    for stage in stages:
        seconds = add(seconds, stage.seconds)
        held = add(held, stage.seconds and tuple(s / 3600 * stage.gpus for s in stage.seconds))
        money = add(money, stage.money)
    return seconds, held, money


def spans(stages: Mapping[str, Stage]) -> dict[str, dict[str, Span | None]]:
    """What a run keeps of its plan, for the comparison with what it took."""
    return {number: {"seconds": stage.seconds, "money": stage.money} for number, stage in stages.items()}
