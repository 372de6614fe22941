"""One notebook in one process: `python -m phi4r_lib.cookbook.running.execute JOB.json RUNNER`, started by the runner.

Papermill does the work; added are sockets as files instead of ports (ports race when several notebooks start at
once), limits of time, a progress file for the runner, and the reason in words when a kernel or a cell ends badly. The
process dies with its runner from its first instruction on. Not here: status and order.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from phi4r_lib.cookbook.running.processes import MARK, end_with_parent
from phi4r_lib.cookbook.settings.home import spare_a_grammar

NO_START = "the kernel did not start"
NO_MEMORY = "the kernel died; most often the machine ran out of memory (or a cell killed its own process)"


def execute(job: dict[str, Any]) -> str | None:
    """Executes job["notebook"] into job["output"]; returns None, or the reason in words why it did not finish."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    from phi4r_lib.cookbook.running.kernels import ReportingEngine

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
            start_timeout=job["start_seconds"],
            execution_timeout=job["cell_seconds"],
            progress_bar=False,
            log_output=True,
        )
    except PapermillExecutionError as error:
        if error.ename == "KeyboardInterrupt":  # how papermill stops a cell that takes too long
            return f"cell {error.cell_index} {_too_long(job)}"
        return f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        return f"a cell {_too_long(job)}"
    except DeadKernelError:
        return NO_MEMORY
    except RuntimeError as error:  # jupyter_client's word for a kernel that does not start
        return f"{NO_START}: {error} (a busy machine may need more deadlines.start_seconds)"
    except OSError as error:
        return f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return None


def _too_long(job: dict[str, Any]) -> str:
    return f"ran longer than {job['cell_seconds'] / 3600:g} hours; if it needs more, raise deadlines.cell_hours"


def main(path: str, runner: int) -> int:
    """Runs the job file of the process `runner`; 0 when every cell ran, 1 otherwise, with the reason in job["failure"]."""
    end_with_parent(runner, os.environ.get(MARK))
    spare_a_grammar()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    reason = execute(job)
    if reason:
        Path(job["failure"]).write_text(json.dumps({"reason": reason}), encoding="utf-8")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
