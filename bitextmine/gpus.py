"""The NVIDIA GPUs of this machine and their memory, as the driver's own program tells."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

_QUERY = "--query-gpu=index,name,memory.used,memory.total"
_FIELDS = 4
_PATIENCE = 5.0  # seconds
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    index: int
    name: str
    used_bytes: int
    total_bytes: int


def gpus() -> list[Gpu]:
    """All that `nvidia-smi` lists; none where there is no driver, or it does not answer within seconds."""
    if (program := shutil.which("nvidia-smi")) is None:
        return []
    command = [program, _QUERY, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return parse(done.stdout)


def parse(listing: str) -> list[Gpu]:
    """The GPUs of a listing: `index, name, MiB used, MiB in all` a line. A GPU that does not tell (`[N/A]`) is left
    out."""
    found = []
    for line in listing.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == _FIELDS and all(cells[place].isdigit() for place in (0, 2, 3)):
            found.append(Gpu(int(cells[0]), cells[1], int(cells[2]) * _MIB, int(cells[3]) * _MIB))
    return found
