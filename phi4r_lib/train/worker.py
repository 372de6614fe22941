"""One process of a training group: `torchrun ... -m phi4r_lib.train.worker JOB.json`. Started by launch.py, never by hand."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import socket
import sys
import threading
import time
import traceback
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import psutil
import torch

from phi4r_lib.train.arguments import WAIT
from phi4r_lib.train.launch import PROGRESS, restored
from phi4r_lib.train.session import training_device

WATCH = 0.5  # seconds between two looks at whether the driver lives


def main(job: Path) -> None:
    """Runs the job's function; an error is left beside the job for the driver before it is raised."""
    told = json.loads(job.read_text(encoding="utf-8"))
    threading.Thread(target=_watch, args=(told["driver"],), daemon=True).start()
    rank, arguments = int(os.environ["RANK"]), restored(told["arguments"])
    _join(arguments.get("device", "auto"))
    module, name = told["function"].split(":")
    progress = _show if rank == 0 else None
    try:
        getattr(importlib.import_module(module), name)(**arguments, progress=progress)
    except Exception as error:
        kind = f"{type(error).__module__}:{type(error).__qualname__}"
        note = {"rank": rank, "kind": kind, "message": str(error), "traceback": traceback.format_exc()}
        partial = job.with_name(f"error-{rank}.partial")
        partial.write_text(json.dumps(note), encoding="utf-8")
        partial.replace(job.with_name(f"error-{rank}.json"))
        raise
    torch.distributed.barrier()  # gloo aborts now and then when one process leaves while another still works
    torch.distributed.destroy_process_group()


def _join(device: str) -> None:
    """Meets the other processes: over NCCL on GPUs, one for each process, else over gloo."""
    if training_device(device) == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group("nccl", timeout=timedelta(seconds=WAIT))
    else:
        torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=WAIT))


def _show(done: int, every: int) -> None:
    print(PROGRESS, done, every, flush=True)


def _watch(driver: dict) -> None:
    """Ends this process when the driver has gone; on other hosts torchrun notices that the first one has."""
    while socket.gethostname() == driver["host"]:
        try:
            alive = abs(psutil.Process(driver["pid"]).create_time() - driver["started"]) < 1
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            os._exit(1)
        time.sleep(WATCH)


def _end(code: int) -> NoReturn:
    """Ends this process after what was left to do at its end, without taking Python apart.

    A thread of a library aborts that now and then (SIGABRT: "terminate called without an active exception"), and a training
    that was done would count as killed.
    """
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()  # trackers send their last figures here
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except BaseException:
        traceback.print_exc()
        _end(1)
    _end(0)
