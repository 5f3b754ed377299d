"""Processes that do not outlive the one that started them, however that one ends.

The kernel is asked to kill them (PR_SET_PDEATHSIG; Linux only, elsewhere nothing happens). The request survives an
exec and not a fork, so `mortal` starts this file as a program that makes the request and becomes the real command;
a process made by fork calls `die_with_parent` itself. "The one that started them" is a thread: keep it alive.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Be killed (SIGKILL) when the parent ends, and at once if the process `parent` is the parent no more.

    Raises:
        OSError: the kernel refuses the request.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def mortal(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv`, under one and the same process id, for no longer than this process lives."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *argv]


def _become(parent: int, argv: list[str]) -> None:
    die_with_parent(parent)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and an exec would hand that on
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  a list, no shell
    except OSError as error:
        sys.exit(f"cannot start {argv[0]}: {error}")


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
