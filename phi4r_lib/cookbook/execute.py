"""One notebook in one process: `python -m phi4r_lib.cookbook.execute JOB.json`, started by the runner.

Papermill does the work; added are sockets as files instead of ports (ports race when several notebooks start at
once), a progress file for the runner, and the reason in words when a kernel dies. Not here: status and order.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from phi4r_lib.cookbook.processes import end_with_parent
from phi4r_lib.cookbook.state import write_json


class FileSocketKernelManager(AsyncKernelManager):
    """Kernel manager that talks through files in the runtime folder, where the system has such sockets."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if os.name == "posix":
            self.transport = "ipc"


class ReportingEngine(NBClientEngine):
    """Papermill's own engine that also writes {cell, cells} to the progress file before each cell."""

    progress: Path

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        start, cells = nb_man.cell_start, len(nb_man.nb.cells)

        def reported(cell: Any, cell_index: int | None = None, **rest: Any) -> Any:
            write_json(cls.progress, {"cell": cell_index, "cells": cells})
            return start(cell, cell_index, **rest)

        nb_man.cell_start = reported
        kwargs["kernel_manager_class"] = FileSocketKernelManager
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


def execute(job: dict[str, Any]) -> str | None:
    """Executes job["notebook"] into job["output"]; returns None, or the reason in words why it did not finish."""
    ReportingEngine.progress = Path(job["progress"])
    papermill_engines.register("reporting", ReportingEngine)
    try:
        papermill.execute_notebook(
            job["notebook"],
            job["output"],
            parameters=job["parameters"],
            engine_name="reporting",
            kernel_name="python3",
            cwd=job["cwd"],
            start_timeout=600,  # a busy machine takes its time to start a kernel
            progress_bar=False,
            log_output=True,
        )
    except PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    except DeadKernelError:
        return "the kernel died; most often the machine ran out of memory (or a cell killed its own process)"
    return None


def main(path: str) -> int:
    """Runs the job file; 0 when every cell ran, 1 otherwise, with the reason in job["failure"]."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    end_with_parent()
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    reason = execute(job)
    if reason:
        write_json(Path(job["failure"]), {"reason": reason})
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
