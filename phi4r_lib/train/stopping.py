"""Ending a training in order: asked by the system (SIGTERM), it finishes its step, writes a checkpoint and stops.

A batch system that takes a machine away sends SIGTERM some time before; `phi4r run` passes it on to the notebook. In a group of
processes the driver hears it and tells the workers through a file, so that all stop after the same step. Not here: going on from the
checkpoint (session.py), exit codes (cookbook/settings/home.py).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from phi4r_lib.train.ranks import from_all

STOP_FILE = "PHI4R_STOP"  # environment variable of a worker: the file that its driver writes to stop it


class TrainingStopped(RuntimeError):
    """The training was asked to end; its checkpoint is written and the same call goes on from there."""


class Request:
    """Whether this process was asked to end."""

    def __init__(self) -> None:
        self.heard = False

    def asked(self) -> bool:
        """By the signal, or by the file of the driver."""
        named = os.environ.get(STOP_FILE)
        return self.heard or bool(named and Path(named).exists())


@contextmanager
def heeding() -> Iterator[Request]:
    """Within: SIGTERM is noted instead of ending the process. Only the main thread can listen; in another one nothing changes."""
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(*_: Any) -> None:
        request.heard = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)


class StopCallback(TrainerCallback):
    """Ends the training with a checkpoint after the step in which any of its processes was asked to; `stopped` tells."""

    def __init__(self, request: Request):
        self.request, self.stopped = request, False

    def on_step_end(self, args, state, control, **kwargs):
        if any(from_all([self.request.asked()])) and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True


def train_heeding(trainer: Any, checkpoint: Path | None) -> None:
    """`trainer.train`, from a checkpoint or from nothing; raises TrainingStopped when it was asked to end before it was done."""
    with heeding() as request:
        watch = StopCallback(request)
        trainer.add_callback(watch)
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    if watch.stopped:
        raise TrainingStopped(
            f"asked to end; the checkpoint of step {trainer.state.global_step} is written, call again to go on from it"
        )
