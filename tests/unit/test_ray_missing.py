"""Nothing of Ray is loaded unless it is asked for, and where it is not installed that is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHOUT_RAY = """
import sys

class NoRay:
    def find_spec(self, name, path=None, target=None):
        if name == "ray" or name.startswith("ray."):
            raise ImportError("No module named 'ray'")

sys.meta_path.insert(0, NoRay())
from bitextmine.cli import run
"""


def python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_ray_is_not_loaded_before_it_is_asked_for() -> None:
    modules = "bitextmine.cli.app, bitextmine.cli.ray_check, bitextmine.executors.ray, bitextmine.executors.ray_node"
    done = python(f"import sys, {modules}; sys.exit('ray' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_without_ray_tasks_run_here() -> None:
    script = "from bitextmine.executors import LocalExecutor, Task\n" + (
        "with LocalExecutor() as executor:\n"
        "    executor.submit(Task(name='three', stage='test', function=abs, arguments=(-3,)))\n"
        "    assert executor.next().value == 3\n"
    )
    done = python(WITHOUT_RAY + script)
    assert done.returncode == 0, done.stderr


def test_without_ray_a_cluster_is_a_clear_error(tmp_path: Path) -> None:
    done = python(WITHOUT_RAY + "sys.exit(run(['ray-check', '--data-dir', sys.argv[1]]))", str(tmp_path))
    assert done.returncode == 1
    assert "Ray is not installed; run: pip install 'bitextmine[ray]'" in done.stdout
    assert "Traceback" not in done.stderr
