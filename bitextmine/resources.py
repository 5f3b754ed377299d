"""What a machine has: memory, cores; and amounts of memory as people write them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum

from bitextmine.errors import ParameterError

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_DEFAULT_SHARE = 0.6  # of the memory that is free


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
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123 - not a file one looks up
            available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return int(_DEFAULT_SHARE * available)


def default_threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
