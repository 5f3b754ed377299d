"""A process that runs one task after another for a ProcessPool, until the pipe to it closes.

It reads pickled (function, arguments), and writes READY once, (stage, done, total) while a task runs, and the bytes of
an Attempt for each task. What it prints goes to standard error.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from types import FrameType
from typing import NoReturn

from bitextmine.executors.attempt import attempt_sent
from bitextmine.lifetime import die_with_parent

READY = "ready"
_SECONDS_BETWEEN_REPORTS = 0.25


def main(pipe: Connection, parent: int) -> None:
    """Run the tasks that come through the pipe. The process is killed when `parent` ends."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all: who started this one decides
    signal.signal(signal.SIGTERM, _unwind)
    os.dup2(2, 1)
    pipe.send(READY)
    while True:
        try:
            content = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send(attempt_sent(content, _Reports(pipe)))


class _Reports:
    """A Progress that sends the first and the last report of every stage, and a few a second in between."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._stage: str | None = None
        self._sent = 0.0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage != self._stage or done == total or now - self._sent >= _SECONDS_BETWEEN_REPORTS:
            self._stage, self._sent = stage, now
            self._pipe.send((stage, int(done), None if total is None else int(total)))


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    """Unwind the stack, so that staging directories go, before whoever asked loses patience."""
    sys.exit(128 + number)
