"""What runs here is told to nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_OPEN = """
import sys, time
from pathlib import Path
from bitextmine.encoders.encoder import Encoder
Encoder.open(Path(sys.argv[1])).encode(["a word"])
time.sleep(1)  # what reports does it in a thread of its own
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ONNX Runtime keeps its reports in other places")
def test_onnx_runtime_keeps_no_identity_and_no_reports(encoders: Path, tmp_path: Path) -> None:
    """Left to itself it writes an id of the machine and a queue of events into the home directory."""
    environment = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    command = [sys.executable, "-c", _OPEN, str(encoders / "tiny")]
    subprocess.run(command, check=True, timeout=120, env=environment, cwd=Path(__file__).parents[2])
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "numba" not in path.parts] == []
