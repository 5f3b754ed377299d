"""Memory, cores, the limit on open files, and the clock."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from bitextmine import __file__ as _package
from bitextmine.doctor.finding import Finding, ok, problem, warning
from bitextmine.resources import MemoryLimit, available_memory, default_threads, format_bytes, memory_limit

_LITTLE_MEMORY = 1 << 30  # an encoder with its index and the interpreter need about this
_SMALL_MEMORY = 2 << 30
_FEW_FILES, _VERY_FEW_FILES = 1024, 256
_CLOCK_SECONDS = 5.0  # that the clocks of two machines may differ; leases last for three times that
_DAY = 86_400.0


def machine() -> Iterator[Finding]:
    """This machine as it is now."""
    yield from memory(available_memory(), memory_limit())
    yield ok("cores", f"{default_threads()} usable")
    yield from open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from clock(time.time(), Path(_package).stat().st_mtime)


def memory(available: int, limit: MemoryLimit | None) -> Iterator[Finding]:
    """
    Args:
        available: bytes that could be had now, the limit taken into account.
    """
    within = f", of the {format_bytes(limit.bytes)} that the container may use" if limit else ""
    what = f"{format_bytes(available)} available{within}"
    if available < _LITTLE_MEMORY:
        yield problem("memory", f"only {what}", "end other programs, or raise the container's limit, to 2 GB or more")
    elif available < _SMALL_MEMORY:
        yield warning("memory", f"only {what}", "small corpora will do; else give the machine or container more")
    else:
        yield ok("memory", what)


def open_files(limit: int) -> Iterator[Finding]:
    """
    Args:
        limit: files that a process may have open; below 0 (as the kernel says it) for any number.
    """
    what = f"a process may open {limit:,} files" if limit >= 0 else "a process may open any number of files"
    todo = "ulimit -n 4096, or LimitNOFILE=4096 in the service's unit; each connection and shard takes one"
    if 0 <= limit < _VERY_FEW_FILES:
        yield problem("open files", what, todo)
    elif 0 <= limit < _FEW_FILES:
        yield warning("open files", what, todo)
    else:
        yield ok("open files", what)


def clock(now: float, installed: float, server: float | None = None) -> Iterator[Finding]:
    """
    Args:
        now: this machine's time, in seconds since 1970.
        installed: when the program was installed, by the same clock.
        server: the time at Redis, where one was asked.
    """
    todo = "set the clock, and have it kept right (systemctl enable --now systemd-timesyncd, or chrony)"
    if now < installed - _DAY:
        yield problem("clock", "it stands before the day on which bitextmine was installed", todo)
    elif server is not None and abs(now - server) > _CLOCK_SECONDS:
        yield warning("clock", f"it differs from the clock of Redis by {abs(now - server):.0f} s", todo)
    else:
        yield ok("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
