"""`python -m bitextmine.doctor.probe faiss | onnxruntime`: whether a native library works here, as JSON.

In a process of its own: a library that was built for another processor ends the process that loads it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

_PATIENCE = 120.0  # seconds; CUDA's libraries are gigabytes


@dataclass(frozen=True, slots=True)
class Probe:
    """What a library says of itself: the GPUs that it sees, or why it uses none; or why it cannot be used at all."""

    gpus: int = 0
    no_gpu: str = ""
    broken: str = ""


def probe(library: str) -> Probe:
    """Try a library, `faiss` or `onnxruntime`, in another process."""
    command = [sys.executable, "-m", __name__, library]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return Probe(broken=f"it was not loaded within {_PATIENCE:g} s")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        return Probe(broken=lines[-1] if lines and done.returncode > 0 else f"loading it ends the process: {how}")
    return Probe(**json.loads(done.stdout.splitlines()[-1]))


def _faiss() -> Probe:
    from bitextmine.search.gpu import gpu_count

    return Probe(gpus=gpu_count())


def _onnxruntime() -> Probe:
    from bitextmine.encoders.runtime import why_no_cuda

    reason = why_no_cuda()
    return Probe(gpus=int(reason is None), no_gpu=reason or "")


def _answer(library: str) -> dict[str, Any]:
    return asdict(_faiss() if library == "faiss" else _onnxruntime())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(sys.argv[1])) + "\n")
