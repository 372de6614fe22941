"""What one cell of a sweep does: choose training rows, train, answer the benchmarks, write pass rates.

The options of an arm say which rows (`files`, `where`, `tokens`), how they look (`system`, `think`), which stages (`sft`,
`grpo`, `own`) and how it is measured. Everything random hangs on the cell's seed, the answers to the benchmarks on one seed
for all cells. Not here: arms, seeds and processes (sweep.py).
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phi4r_lib.cookbook.settings.profile import UserError, home, load_profile
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.cookbook.sweeps.sweep import Cell, place_of
from phi4r_lib.models.engine import EngineSpec, SamplingSettings, open_engine
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.rows import read_rows, write_rows
from phi4r_lib.problems.schema import Problem, load_problems, problem_of
from phi4r_lib.problems.verify import Verifiers, verify_samples

THINK = re.compile(r"<think>.*?</think>\s*", re.DOTALL)
OTHER_SYSTEMS = ("You are an assistant.", "Answer the question.", "Please help with this problem.", "")


class Options(BaseModel):
    """The options of an arm, on top of profile settings in `set`.

    files: JSONL files of training rows below the start folder. where: {field: value or list} that rows must match.
    tokens: training tokens per pass at the most, counted over whole rows (None takes all). rows: most rows. each: these
    budgets hold for every file by itself, so that an arm of two files trains on the rows of the two arms of one file.
    repeat: {file: times} that the rows of a file appear per pass.
    system: keep the rows' system message, drop it, or draw another one per row. think: keep the thoughts or only answers.
    model: the model to start from: "base", or a folder below the start folder. average: instead of training, the mean of
    the weights of these cells (same seed). sft, grpo: which stages train. own: instead of `files`, train on the right answers
    of the model itself to `prompts`, sampled until about so many tokens are generated (rejection sampling). prompts: JSONL
    of prompts below the start folder, `prompts_where` as `where`. benchmarks: {name: problems file, below the start folder or
    the repository's root}; runs: answers per problem; seed: of those
    answers. weights: keep the trained model (averages need it) or only what it answered.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    set: dict[str, Any] = Field(default_factory=dict)
    files: list[str] = Field(default_factory=list)
    where: dict[str, Any] = Field(default_factory=dict)
    tokens: int | None = Field(default=None, ge=1)
    rows: int | None = Field(default=None, ge=1)
    each: bool = False
    repeat: dict[str, int] = Field(default_factory=dict)
    system: Literal["keep", "none", "random"] = "keep"
    think: bool = True
    model: str = "base"
    average: list[str] = Field(default_factory=list)
    sft: bool = True
    grpo: bool = False
    own: int | None = Field(default=None, ge=1)
    prompts: str | None = None
    prompts_where: dict[str, Any] = Field(default_factory=dict)
    benchmarks: dict[str, str] = Field(min_length=1)
    limit: int | None = Field(default=None, ge=1)
    runs: int = Field(default=4, ge=1)
    temperature: float = Field(default=0.8, gt=0)
    max_tokens: int = Field(default=160, ge=1)
    seed: int = 0
    weights: bool = True


def train(cell: Cell) -> dict[str, Any]:
    """Trains and measures one cell; returns the numbers for its results.json and writes one Parquet file per benchmark."""
    options = _options(cell)
    profile = load_profile(cell.profile, options.set)
    system = (home() / profile.prompts / "system.txt").read_text(encoding="utf-8").strip()
    start = _start_model(cell, options, profile)
    facts: dict[str, Any] = {}
    if options.average:
        start = average_weights(
            [cell.folder.parent / f"{arm}-{cell.seed}" / "model" for arm in options.average], cell.folder
        )
    elif options.own:
        start, facts = _own(cell, options, profile, start, system)
    elif options.sft:
        start, facts = _sft(cell, options, profile, start)
    if options.grpo:
        start, more = _grpo(cell, options, profile, start, system)
        facts |= more
    trained = options.sft or options.grpo or options.average or options.own or options.model != "base"
    asked = system if trained and options.system != "none" else None
    facts |= _measure(cell, options, start, asked, profile.verifiers)
    if not options.weights:
        for folder in (cell.folder / "model", cell.folder / "grpo" / "model"):
            shutil.rmtree(folder, ignore_errors=True)
    return facts


def _options(cell: Cell) -> Options:
    try:
        return Options.model_validate(cell.options)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"arm '{cell.arm}': '{'.'.join(map(str, first['loc']))}': {first['msg']}") from None


def check_arms(cells: Sequence[Cell]) -> None:
    """Raises UserError, before anything is trained, for an option that no arm has and for a file that is not there."""
    for cell in {cell.arm: cell for cell in cells}.values():
        options = _options(cell)
        named = [cell.start / name for name in (*options.files, *([options.prompts] if options.prompts else []))]
        named += [place_of(cell.start, name) for name in options.benchmarks.values()]
        if absent := next((file for file in named if not file.is_file()), None):
            raise UserError(f"arm '{cell.arm}': {absent} does not exist; `files`, `prompts` or `benchmarks` name it")


def _start_model(cell: Cell, options: Options, profile: Profile) -> Path:
    folder = home() / profile.models.base.model if options.model == "base" else cell.start / options.model
    if not (folder / "config.json").is_file():
        raise UserError(f"arm '{cell.arm}': no model in {folder}")
    return folder


def _sft(cell: Cell, options: Options, profile: Profile, start: Path) -> tuple[Path, dict[str, Any]]:
    rows = training_rows(cell, options, _token_counter(start))
    if not rows:
        raise UserError(f"arm '{cell.arm}': no training row matches {options.where}")
    return _fine_tune(cell, profile, start, rows)


Size = Callable[[Sequence[Mapping[str, str]]], int]  # tokens of a conversation as it will be trained on


def training_rows(cell: Cell, options: Options, size: Size) -> list[dict[str, Any]]:
    """The training rows of a cell, from its files, within its budgets; see Options."""
    unknown = sorted(set(options.repeat) - set(options.files))
    if unknown:
        raise UserError(f"arm '{cell.arm}': 'repeat' names {unknown[0]}, which is not among its files")
    read = {name: [row | {"file": name} for row in _read([cell.start / name])] for name in options.files}
    groups = read.values() if options.each else [[row for rows in read.values() for row in rows]]
    chosen = [row for rows in groups for row in choose(rows, options, cell.seed, size)]
    return [row for row in chosen for _ in range(options.repeat.get(row["file"], 1))]


def _fine_tune(
    cell: Cell, profile: Profile, start: Path, rows: Sequence[Mapping[str, Any]]
) -> tuple[Path, dict[str, Any]]:
    from phi4r_lib.train.sft import run_sft

    file = cell.folder / "rows.jsonl"
    write_rows(file, rows)
    report = run_sft(start, [file], cell.folder, profile.sft, seed=cell.seed)
    trained = round(report.tokens * profile.sft.passes)
    facts = {"rows": report.rows, "tokens": report.tokens, "trained_tokens": trained, "steps": report.steps}
    return report.model, facts


def _token_counter(model: Path) -> Size:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return lambda messages: len(tokenizer(tokenizer.apply_chat_template(list(messages), tokenize=False))["input_ids"])


def choose(rows: Sequence[Mapping[str, Any]], options: Options, seed: int, size: Size) -> list[dict[str, Any]]:
    """Those rows that match, in an order drawn from the seed, up to the budget of tokens or rows."""
    rng = random.Random(seed)
    fitting = [dict(row) for row in rows if matches(row, options.where)]
    chosen, used = [], 0
    for row in rng.sample(fitting, len(fitting)):
        messages = _shaped(row["messages"], options, rng)
        used += size(messages) if options.tokens else 0
        if options.tokens and used > options.tokens:
            break
        chosen.append(row | {"messages": messages})
        if len(chosen) == options.rows:
            break
    return chosen


def matches(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether a row has the wanted value (or one of a list) in every named field."""
    return all(
        row.get(key) in value if isinstance(value, list) else row.get(key) == value for key, value in where.items()
    )


def _shaped(messages: Sequence[Mapping[str, str]], options: Options, rng: random.Random) -> list[dict[str, str]]:
    shaped = [dict(message) for message in messages if options.system == "keep" or message["role"] != "system"]
    if options.system == "random" and (other := rng.choice(OTHER_SYSTEMS)):
        shaped.insert(0, {"role": "system", "content": other})
    if not options.think:
        shaped[-1]["content"] = THINK.sub("", shaped[-1]["content"])
    return shaped


def _own(cell: Cell, options: Options, profile: Profile, start: Path, system: str) -> tuple[Path, dict[str, Any]]:
    """Rejection sampling: the model answers prompts until the budget of generated tokens is used, right answers train it."""
    prompts = _prompts(cell, options)
    engine = open_engine(EngineSpec(kind="transformers", model=str(start)))
    group = SamplingSettings(
        n=profile.grpo.group, temperature=profile.grpo.temperature, max_tokens=profile.grpo.max_tokens, seed=cell.seed
    )
    rows: list[dict[str, Any]] = []
    made, first = 0, 0
    order = random.Random(cell.seed).sample(prompts, len(prompts))
    while made < options.own:
        asked = [order[place % len(order)] for place in range(first, first + profile.grpo.prompts)]
        settings = group.model_copy(update={"first": group.n * (first // len(order))})
        answers = engine.sample([row["prompt"] for row in asked], settings)
        first += len(asked)
        for row, samples in zip(asked, answers, strict=True):
            verdicts = verify_samples([problem_of(row)] * len(samples), samples, profile.verifiers)
            right = {s.text for s, verdict in zip(samples, verdicts, strict=True) if verdict.correct}
            rows += [{"messages": [*row["prompt"], {"role": "assistant", "content": text}]} for text in sorted(right)]
            made += sum(sample.tokens for sample in samples)
    engine.close()
    rows = [row for row in rows if parse_thinking(row["messages"][-1]["content"]).valid]
    if not rows:  # nothing was right, so there is nothing to learn from
        return start, {"rows": 0, "trained_tokens": 0, "generated_tokens": made}
    model, facts = _fine_tune(cell, profile, start, rows)
    return model, facts | {"generated_tokens": made}


def _prompts(cell: Cell, options: Options) -> list[dict[str, Any]]:
    if options.prompts is None:
        raise UserError(f"arm '{cell.arm}': needs `prompts`, a JSONL file below the start folder")
    rows = [row for row in _read([cell.start / options.prompts]) if matches(row, options.prompts_where)]
    if not rows:
        raise UserError(f"arm '{cell.arm}': no prompt matches {options.prompts_where}")
    return rows


def _read(files: Iterable[Path]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} does not exist; check `files` of the sweep")
        rows += [row for _, row in read_rows(file)]
    return rows


def _grpo(cell: Cell, options: Options, profile: Profile, start: Path, system: str) -> tuple[Path, dict[str, Any]]:
    from phi4r_lib.train.callbacks import Journal
    from phi4r_lib.train.grpo import run_grpo

    rows = _prompts(cell, options)
    file = cell.folder / "prompts.jsonl"
    write_rows(file, rows)
    validation = load_problems(home() / profile.data.validation)
    settings = profile.grpo.model_copy(
        update={"lengths": "scaled"}
    )  # one reward for all arms, whatever they start from
    about = {"system": system, "seed": cell.seed, "verifiers": profile.verifiers}
    report = run_grpo(start, file, cell.folder / "grpo", settings, validation=validation, **about)
    steps = Journal(report.metrics).rows("train")
    made = sum(row.get("tokens", 0.0) for row in steps) * profile.grpo.prompts * profile.grpo.group
    informative = sum(row.get("groups_informative", 0.0) for row in steps) / max(len(steps), 1)
    return report.model, {"generated_tokens": round(made), "informative": informative, "steps": report.steps}


def average_weights(folders: Sequence[Path], out: Path) -> Path:
    """Writes the mean of the weights of several models (same shapes) to out/model and returns that folder.

    Raises UserError when a model is missing: its cells have to run first.
    """
    from safetensors.torch import load_file, save_file

    missing = [str(folder) for folder in folders if not (folder / "model.safetensors").is_file()]
    if missing:
        raise UserError(f"an average needs its models first: {', '.join(missing)}")
    parts = [load_file(folder / "model.safetensors") for folder in folders]
    mean = {name: sum(part[name].float() for part in parts) / len(parts) for name in parts[0]}
    target = out / "model"
    shutil.copytree(folders[0], target, dirs_exist_ok=True)
    save_file(mean, target / "model.safetensors", metadata={"format": "pt"})
    return target


def _measure(
    cell: Cell, options: Options, model: Path, system: str | None, verifiers: Verifiers | None = None
) -> dict[str, Any]:
    from phi4r_lib.measure.evaluate import evaluate

    engine = open_engine(EngineSpec(kind="transformers", model=str(model), system=system))
    settings = SamplingSettings(temperature=options.temperature, max_tokens=options.max_tokens, seed=options.seed)
    facts: dict[str, Any] = {}
    for name, file in options.benchmarks.items():
        problems: list[Problem] = load_problems(place_of(cell.start, file))[: options.limit]
        place = cell.folder / "answers" / name
        answers = evaluate(engine, problems, options.runs, settings, place, verifiers=verifiers)
        answers.to_parquet(cell.folder / f"{name}-answers.parquet")
        rates = answers.groupby("problem", sort=False).agg(rate=("correct", "mean"), tokens=("tokens", "mean"))
        rates.to_parquet(cell.folder / f"{name}.parquet")
        facts[f"accuracy_{name}"] = float(rates["rate"].mean())
        facts[f"tokens_{name}"] = float(rates["tokens"].mean())
    engine.close()
    return facts
