"""Waiting for other processes, always with a deadline."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil

PATIENCE = 120.0  # seconds; what a machine with two cores may need that has much else to do


def wait_until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def heed_ctrl_c() -> None:
    """For a new process: tests that run in the background of a shell inherit that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def unmeasured_environment() -> dict[str, str]:
    """For a new process that gets a Ctrl-C: coverage holds a lock for ever when one comes while it takes its notes."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def gone(pid: int) -> bool:
    """Whether the process has ended; one that only waits for its parent to notice counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
