"""What makes a measurement reproducible: where, with what and from which commit it was made."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("bitextmine", "numpy", "numba", "pyarrow", "onnxruntime", "faiss-cpu")


def signature(**parameters: Any) -> dict[str, Any]:
    """The machine, the versions, the commit and the parameters of a run."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "commit": commit(),
        "parameters": parameters,
    }


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def commit() -> str:
    found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def write(path: Path | None, signed: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Write the runs with their signature, where a path was given."""
    if path is not None:
        path.write_text(json.dumps({"signature": signed, "runs": runs}, indent=1) + "\n", encoding="utf-8")
