"""Training in a group of processes: the notebook stays the driver, and one worker module runs as often as there are GPUs.

`in_group` turns a training function into one that starts itself anew under torchrun where its settings ask for more than one process,
shows the group's progress as its own, and raises the group's error. The group ends with the driver, however that ends; a process that
is killed ends the group, and the next call goes on from the last checkpoint. One process needs no launcher. Not here: what the
processes do (worker.py, sft.py, grpo.py) and how they share a batch (batching.py).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import inspect
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil
from pydantic import BaseModel

from phi4r_lib.train.session import NOTE, training_device
from phi4r_lib.train.settings import LaunchSettings
from phi4r_lib.train.stopping import STOP_FILE, Request, heeding

P, R = ParamSpec("P"), TypeVar("R")
PROGRESS = "@progress"  # at the start of a line of the first process: steps done, steps in all
GRACE = 20  # seconds between asking the group to end and ending it


class LaunchError(RuntimeError):
    """The group of training processes ended without a result; the message says which process, how, and what to do."""


def in_group(train: Callable[P, R]) -> Callable[P, R]:
    """`train(..., out, settings, ..., progress=None)` in as many processes as `settings.launch` asks for.

    The finished training is then called once more here, where it finds that all is done and gives its report. With arguments
    that cannot be sent to another process, such as a reward function of one's own, "auto" is one process.
    """
    signature = inspect.signature(train)

    @functools.wraps(train)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        wanted: LaunchSettings = given["settings"].launch
        count = group_size(wanted, given.get("device", "auto"))
        if wanted.processes == "auto" and count > 1 and not _can_be_sent(given):
            count = 1
        member = {"RANK", "WORLD_SIZE"} <= set(os.environ)  # of a group
        if not member:
            _free_the_gpu()
        alone = count == 1 and wanted.hosts == 1 and wanted.sharding == "ddp"
        if member or (alone and not _outlives_training(given)):
            return train(*args, **kwargs)
        progress, note = given.pop("progress", None), Path(given["out"]) / NOTE
        before = note.stat().st_mtime_ns if note.exists() else None
        run_group(f"{train.__module__}:{train.__qualname__}", given, Path(given["out"]), wanted, count, progress)
        if note.stat().st_mtime_ns == before:
            return train(*args, **kwargs)
        with contextlib.redirect_stdout(io.StringIO()):  # "finished before" would be said of what just ended
            return train(*args, **kwargs)

    return run


def _free_the_gpu() -> None:
    """Engines of this process that hold a share of the GPU let go of it, and come back when they next sample; what is unused goes."""
    import torch

    if engines := sys.modules.get("phi4r_lib.models.engines.vllm_engine"):
        engines.let_go()
    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def _outlives_training(given: dict[str, Any]) -> bool:
    """Whether the training leaves something on the GPU that only the end of its process gives back: vLLM as its sampler."""
    if not getattr(given["settings"], "vllm", False) or not _can_be_sent(given):
        return False
    return training_device(given.get("device", "auto")) == "cuda"


def group_size(wanted: LaunchSettings, device: str) -> int:
    """Processes per host: as the settings say, or one per visible GPU; one on a CPU."""
    if wanted.processes != "auto":
        return wanted.processes
    if device == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def run_group(
    function: str, arguments: dict[str, Any], out: Path, wanted: LaunchSettings, count: int, progress: Callable | None
) -> None:
    """Runs `function` (an import path) with JSON-able arguments in a group and waits for it.

    Raises the error of the process that failed first, or LaunchError when one was killed.
    """
    folder = out.resolve() / "launch"
    folder.mkdir(parents=True, exist_ok=True)
    stop = folder / "stop"
    for old in [*folder.glob("error-*.json"), stop]:
        old.unlink(missing_ok=True)
    driver = {"pid": os.getpid(), "started": psutil.Process().create_time(), "host": socket.gethostname()}
    job = folder / "job.json"
    job.write_text(
        json.dumps({"function": function, "arguments": _plain(arguments), "driver": driver}), encoding="utf-8"
    )
    with heeding() as request:
        group = subprocess.Popen(
            command(wanted, count, job),
            env=_environment(wanted) | {STOP_FILE: str(stop)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        over = threading.Event()
        threading.Thread(target=_pass_on, args=(request, stop, over), daemon=True).start()
        try:
            tail = _follow(group, folder / "launch.log", progress)
        finally:
            over.set()
            _end(group)
    if group.returncode:
        raise _error(folder, tail, count * wanted.hosts)


def command(wanted: LaunchSettings, count: int, job: Path) -> list[str]:
    """The command line: torchrun here, or on every host through the prefix (srun in a Slurm job)."""
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "--max-restarts", "0"]
    worker = ["-m", "phi4r_lib.train.worker", str(job)]
    if wanted.hosts == 1:
        return [*shlex.split(wanted.prefix or ""), *run, "--standalone", *worker]
    prefix = wanted.prefix
    if prefix is None and "SLURM_JOB_ID" in os.environ:
        prefix = f"srun --nodes={wanted.hosts} --ntasks={wanted.hosts} --ntasks-per-node=1"
    if prefix is None:
        raise LaunchError(
            f"launch.hosts is {wanted.hosts}: outside Slurm set launch.prefix to what starts a command on each"
        )
    head = f"{wanted.address or socket.gethostname()}:{wanted.port}"
    meet = [
        "--nnodes",
        str(wanted.hosts),
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        head,
        "--rdzv-id",
        job.parent.parent.name,
    ]
    return [*shlex.split(prefix), *run, *meet, *worker]


def _pass_on(request: Request, stop: Path, over: threading.Event) -> None:
    """Writes the workers' stop file once this process is asked to end."""
    while not over.wait(0.2):
        if request.heard:
            stop.touch()
            return


def _environment(wanted: LaunchSettings) -> dict[str, str]:
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def _follow(group: subprocess.Popen, log: Path, progress: Callable | None) -> list[str]:
    """Passes progress on, writes everything else to the log, and gives its last lines."""
    tail: deque[str] = deque(maxlen=2000)  # torchrun gives seven lines for each process
    with log.open("a", encoding="utf-8") as file:
        for line in group.stdout:
            if line.startswith(PROGRESS):
                done, every = line.split()[1:3]
                if progress:
                    progress(int(done), int(every))
                continue
            tail.append(line.rstrip())
            file.write(line)
            file.flush()
    group.wait()
    return list(tail)


def _end(group: subprocess.Popen) -> None:
    """Asks the group to end, then ends it; nothing where it has ended."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if group.poll() is not None:
            return
        os.killpg(group.pid, sign)
        try:
            group.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue


def _error(folder: Path, tail: list[str], count: int) -> Exception:
    """The error of the process that failed first as it was raised there, or what is known of one that was killed."""
    log = folder / "launch.log"
    killed = _killed("\n".join(tail))
    notes = sorted(folder.glob("error-*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    if notes and not killed:  # when one was killed, what the others raise is that it does not answer
        note = json.loads(notes[0].read_text(encoding="utf-8"))
        return _named(note["kind"])(f"{note['message']} (process {note['rank']} of {count}; log: {log})")
    last = next((line for line in reversed(tail) if line.strip()), "no output")
    what = f"the processes ended without a result: {last[:300]}"
    if killed:
        what = f"process {killed[0][0]} of {count} was killed by signal {killed[0][1]}"
    return LaunchError(f"{what}; call again to go on from the last checkpoint (log: {log})")


def _killed(output: str) -> list[tuple[int, int]]:
    """Rank and signal of the processes that a signal ended and not torchrun, SIGKILL first, from torchrun's summary.

    What ends the others asks with SIGTERM and kills those that do not answer (in a step, on the GPU) half a minute later, so a
    kill that came later than the first end is the group's own. A process that aborts is often only the other side of one killed.
    """
    entry = r"time +: (\S+)\n.* host +: .*\n.* rank +: (\d+) .*\n.* exitcode +: (-?\d+) "
    ends = [(datetime.fromisoformat(time), int(rank), -int(code)) for time, rank, code in re.findall(entry, output)]
    if not ends:
        return []
    soon = min(time for time, _, _ in ends) + timedelta(seconds=GRACE)
    killed = [(rank, sign) for time, rank, sign in ends if sign > 0 and sign != signal.SIGTERM and time < soon]
    return sorted(killed, key=lambda each: each[1] != signal.SIGKILL)


def _named(kind: str) -> type[Exception]:
    """An exception class by its import path; RuntimeError for those that take more than a message."""
    module, name = kind.split(":")
    found = getattr(importlib.import_module(module), name, RuntimeError)
    try:
        found("message")
    except TypeError:
        return RuntimeError
    return found


def _can_be_sent(given: dict[str, Any]) -> bool:
    """Whether these arguments can go to other processes; `progress` stays here."""
    try:
        _plain({name: value for name, value in given.items() if name != "progress"})
    except TypeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """A value as JSON, models and problems with their class; read back by `restored`."""
    if isinstance(value, BaseModel):
        return {
            "class": f"{type(value).__module__}:{type(value).__qualname__}",
            "fields": value.model_dump(mode="json"),
        }
    if isinstance(value, dict):
        return {"items": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value.resolve())
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"a group of processes cannot be given {type(value).__name__} objects")


def restored(value: Any) -> Any:
    """What `_plain` wrote."""
    if isinstance(value, list):
        return [restored(item) for item in value]
    if isinstance(value, dict) and "class" in value:
        module, name = value["class"].split(":")
        return getattr(importlib.import_module(module), name).model_validate(value["fields"])
    if isinstance(value, dict):
        return {restored(key): restored(item) for key, item in value["items"]}
    return value
