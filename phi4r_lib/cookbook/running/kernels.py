"""Papermill's engine with a kernel that talks through files in the runtime folder, and a progress file for the runner.

Not here: the notebook's process and its end (execute.py).
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir
from papermill.engines import NBClientEngine

from phi4r_lib.cookbook.folder.state import write_json


class FileSocketKernelManager(AsyncKernelManager):
    """Kernel manager whose sockets are files in the runtime folder, where the system has such sockets."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if os.name == "posix":
            # Jupyter would name them kernel-ipc-N in the working folder, which runs of one checkout share.
            self.transport, self.ip = "ipc", os.path.join(jupyter_runtime_dir(), uuid.uuid4().hex[:8])


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
