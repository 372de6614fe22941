"""The `phi4r` command: how it ends, with an exit code and one clear line instead of a traceback.

Nothing but the standard library is imported before `main` runs, so that an interrupt has an orderly end from the first
moment on (settings/home.py is as light). Not here: the commands (commands.py).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from phi4r_lib.cookbook.settings.home import ASKED, INTERRUPTED, Stopped, short


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; turns user errors into one message and exit code 2, and an interrupt into 130."""
    try:
        _heed_endings()
        from phi4r_lib.cookbook.commands import call  # takes most of a second

        return call(argv)
    except Stopped as stopped:
        print(f"\nphi4r: {stopped.reason}; run the same command to go on from here", file=sys.stderr)
        return stopped.code
    except KeyboardInterrupt:
        print("\nphi4r: interrupted; run the same command to go on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _refused(error)
    except ValueError as error:
        from phi4r_lib.cookbook.settings.home import UserError
        from phi4r_lib.problems.rows import ProblemFileError

        if not isinstance(error, (UserError, ProblemFileError)):
            raise
        print(f"phi4r: {short(str(error))}", file=sys.stderr)
        return 2


def _heed_endings() -> None:
    """A request to end (SIGTERM) and a closed terminal end a run in order, as Ctrl-C does; `nohup` keeps its meaning."""
    for name, heed in ((signal.SIGTERM, _asked), (signal.SIGHUP, signal.default_int_handler)):
        if signal.getsignal(name) == signal.SIG_DFL:
            signal.signal(name, heed)


def _asked(*_: Any) -> NoReturn:
    """A batch system that takes the machine away asks once; asked again while ending changes nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped(ASKED, "asked to end (SIGTERM)")


def _refused(error: OSError) -> int:
    """The words for a system that refused a file, and the exit code: 1 for a full disk, where the same command goes on."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        print(f"phi4r: the disk is full{where}; free some space and run the same command: it goes on", file=sys.stderr)
        return 1
    print(
        f"phi4r: {error.strerror}: {short(str(error.filename))}; check the path and who may write there",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
