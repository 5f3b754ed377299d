"""The command line. Exit codes: 0, 2 for bad input with one line that says what to do, 1 for anything else."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from bitextmine.errors import BitextmineError, InputError, ServiceError, is_disk_full

_INTERRUPTED = 130
TRACEBACK_VARIABLE = "BITEXTMINE_TRACEBACK"


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; errors become one line on stderr, never a traceback."""
    try:
        from bitextmine.cli.app import call  # takes a while, in which a Ctrl-C is one too

        code = call(arguments)
        sys.stdout.flush()  # a full disk or a reader that has gone must not be found out at exit
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        if (code := _explained(error)) < 0:
            raise
        return code
    return _fail("interrupted", code) if code == _INTERRUPTED else code  # what Typer makes of a KeyboardInterrupt


def _explained(error: BaseException) -> int:
    """Say what happened, and return the exit code; below 0 where it shall be shown with its traceback."""
    if _is_interrupt(error):
        return _fail("interrupted", _INTERRUPTED)
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        _drop_output()  # whoever read it has gone; Typer makes a SystemExit of that
        return 0
    if isinstance(error, SystemExit):
        return _fail(error.code, 1) if isinstance(error.code, str) else int(error.code or 0)
    if isinstance(error, BitextmineError):
        refused = isinstance(error, InputError) or (isinstance(error, ServiceError) and error.is_refusal)
        return _fail(str(error), 2 if refused else 1)
    if isinstance(error, OSError) and is_disk_full(error):
        _drop_output()
        return _fail(f"no space left on the disk while writing {error.filename or 'the output'}", 1)
    return _explained_by_typer(error)


def _explained_by_typer(error: BaseException) -> int:
    from typer import Abort
    from typer.exceptions import TyperException

    if isinstance(error, Abort):
        return _fail("interrupted", _INTERRUPTED)
    if isinstance(error, TyperException):
        return _fail(error.format_message(), error.exit_code)
    if os.environ.get(TRACEBACK_VARIABLE):
        return -1
    return _fail(f"unexpected {type(error).__name__}: {error} ({TRACEBACK_VARIABLE}=1 shows where)", 1)


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether a KeyboardInterrupt is behind it: native modules make an ImportError of one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _drop_output() -> None:
    """Let what could not be written be written nowhere at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, exit_code: int) -> int:
    line = " ".join(message.split())
    if line:
        with suppress(OSError):
            sys.stderr.write(f"bitextmine: {line}\n")
    return exit_code
