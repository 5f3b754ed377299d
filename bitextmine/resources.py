"""What a machine has: memory, cores; and amounts of memory as people write them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bitextmine.errors import ParameterError

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_DEFAULT_SHARE = 0.6  # of the memory that is free
CGROUP = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # bytes; what version 1 says where there is none


def parse_memory(text: str) -> int:
    """Bytes of `3GB`, `512MiB`, `1.5g`; without an i the units are powers of 1000.

    Raises:
        ParameterError: it is no amount, or less than a byte.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise ParameterError(f"{text!r} is no amount of memory; write 8GB or 512MiB")
    power = " KMGT".index(match[2].upper() or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


def format_bytes(count: float) -> str:
    """An amount for people: 1.5 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def default_memory() -> int:
    """What a run may use when nobody says: a share of the memory that is available now, in bytes."""
    return int(_DEFAULT_SHARE * available_memory())


def available_memory() -> int:
    """Bytes that could be had now without swapping, of the machine and of the container (cgroup) in it."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123 - not a file one looks up
            available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    limit = memory_limit()
    return available if limit is None else min(available, max(limit.bytes - limit.used, 0))


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """What a container's processes may use together, and what they use and cannot give back."""

    bytes: int
    used: int


def memory_limit(root: Path = CGROUP) -> MemoryLimit | None:
    """The limit of the cgroup (version 2 or 1) that is mounted at `root`; None where there is none.

    Cached files count as used there, though they go when memory is wanted: they are taken off.
    """
    for limit, usage, stat, cached in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        try:
            most = int((root / limit).read_text(encoding="ascii"))
            used = int((root / usage).read_text(encoding="ascii"))
            lines = (line.split() for line in (root / stat).read_text(encoding="ascii").splitlines())
            cache = next((int(line[1]) for line in lines if line[:1] == [cached]), 0)
        except (OSError, ValueError):  # no such version of cgroups, or "max"
            continue
        return MemoryLimit(most, max(used - cache, 0)) if most < _NO_LIMIT else None
    return None


def default_threads() -> int:
    """The cores that this process may use, of a container with a quota as many as that is worth, but one at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(root: Path = CGROUP) -> float | None:
    """The cores' worth of time that the cgroup mounted at `root` gets; None where it has no quota."""
    try:
        text = (root / "cpu.max").read_text(encoding="ascii").split()
    except OSError:
        try:
            text = [(root / f"cpu/cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")]
        except OSError:
            return None
    try:
        quota, period = (int(number) for number in text)
    except ValueError:  # "max"
        return None
    return quota / period if quota > 0 and period > 0 else None


class Provider(StrEnum):
    """What encoders' graphs run on."""

    AUTO = "auto"  # a GPU where one works, else the CPU
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True)
class Device:
    """Where encoders' graphs shall run. Asking for CUDA where it does not work is an error, unless the CPU will do."""

    provider: Provider = Provider.AUTO
    allow_cpu_fallback: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use."""

    threads: int = field(default_factory=default_threads)
    memory_bytes: int = field(default_factory=default_memory)
    gpus: int = 0
    device: Device = field(default_factory=Device)
