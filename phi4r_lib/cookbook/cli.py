"""The `phi4r` command: how it ends, with an exit code and one clear line instead of a traceback.

Nothing is imported before `main` runs but what Python has loaded by then, so that an interrupt has an orderly end from
the first moment on. Not here: the commands (commands.py).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own takes a few milliseconds, in which an interrupt would end in a traceback
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

INTERRUPTED = 130  # exit code after Ctrl-C or a closed terminal; the others stand in settings/home.py
GO_ON = "\nphi4r: {}; run the same command to go on from here"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; turns user errors into one message and exit code 2, and an interrupt into 130.

    Called with arguments from another program, it leaves that program's signals as they were.
    """
    before: dict[Any, Any] = {}
    try:
        before = _heed_endings()
        _say_anything()
        return _call(argv)
    except KeyboardInterrupt as stop:  # a Stopped brings its code and reason
        _end_at_once(argv)
        print(GO_ON.format(getattr(stop, "reason", "interrupted")), file=sys.stderr)
        return getattr(stop, "code", INTERRUPTED)
    finally:
        _end_at_once(argv)
        if argv is not None:
            _heed_again(before)


def _call(argv: Sequence[str] | None) -> int:
    """Runs the command; errors become their one line."""
    try:
        return _load(argv)(argv)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _refused(error)
    except ValueError as error:
        from phi4r_lib.cookbook.settings.home import UserError, short
        from phi4r_lib.problems.rows import ProblemFileError

        if not isinstance(error, (UserError, ProblemFileError)):
            raise
        print(f"phi4r: {short(str(error))}", file=sys.stderr)
        return 2


def _load(argv: Sequence[str] | None) -> Callable[[Sequence[str] | None], int]:
    """The commands. While they load nothing has begun, so Ctrl-C ends the process there: Python may lose it inside an import."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    if argv is None and before == signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        from phi4r_lib.cookbook.commands import call  # takes most of a second

        return call
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(*_: Any) -> NoReturn:
    os.write(2, f"{GO_ON.format('interrupted')}\n".encode())
    os._exit(INTERRUPTED)


def _end_at_once(argv: Sequence[str] | None) -> None:
    """From here on Ctrl-C ends the process without a word, where it is only this command: else Python's own end shows tracebacks."""
    import signal

    if argv is None and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _heed_endings() -> dict[Any, Any]:
    """A request to end (SIGTERM) and a closed terminal end a run in order, as Ctrl-C does; `nohup` keeps its meaning.

    Returns what heard the signals before.
    """
    import signal

    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    for name, heed in ((signal.SIGTERM, _asked), (signal.SIGHUP, signal.default_int_handler)):
        if before[name] == signal.SIG_DFL:
            signal.signal(name, heed)
    return before


def _heed_again(before: dict[Any, Any]) -> None:
    """Gives the signals back to what heard them before; what is no Python function (None) was never replaced."""
    import signal

    for name, heard in before.items():
        if heard is not None:
            signal.signal(name, heard)


def _say_anything() -> None:
    """A character that the terminal's encoding lacks is shown as an escape, as on stderr; a name must not end a command."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _asked(*_: Any) -> NoReturn:
    """A batch system that takes the machine away asks once; asked again while ending changes nothing."""
    import signal

    from phi4r_lib.cookbook.settings.home import ASKED, Stopped

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped(ASKED, "asked to end (SIGTERM)")


def _refused(error: OSError) -> int:
    """The words for a system that refused a file, and the exit code: 1 for a full disk, where the same command goes on."""
    import errno

    from phi4r_lib.cookbook.settings.home import short

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
