"""What the options for executors mean, before anything runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bitextmine.cli.execution import ExecutorChoice, execution
from bitextmine.errors import ParameterError
from bitextmine.executors import LocalExecutor, Needs, Task
from bitextmine.resources import Resources, default_threads
from bitextmine.workspace import Workspace

LIMITS = Resources(threads=8, memory_bytes=8_000_000_001, gpus=0)


def test_processes_share_what_the_command_may_use() -> None:
    found = execution(ExecutorChoice.LOCAL, None, 4, LIMITS, memory_given=False)
    assert (found.resources.threads, found.resources.memory_bytes) == (2, 2_000_000_000)
    one = execution(ExecutorChoice.LOCAL, None, None, LIMITS, memory_given=False)
    assert (one.processes, one.resources) == (1, LIMITS)
    many = execution(ExecutorChoice.LOCAL, None, 100, LIMITS, memory_given=False)
    assert many.resources.threads == 1


@pytest.mark.parametrize("gpus", [0, 1, 3])
def test_as_many_tasks_run_together_as_there_are_processes(tmp_path: Path, gpus: int) -> None:
    """Also when less memory is free by then than the command may use: the shares decide. GPUs are used by all."""
    limits = Resources(threads=2, memory_bytes=1 << 60, gpus=gpus)
    found = execution(ExecutorChoice.LOCAL, None, 2, limits, memory_given=True)
    one = found.resources
    assert (one.gpus, found.together) == (gpus, limits)
    needs = Needs(cores=one.threads, memory_bytes=one.memory_bytes, gpus=one.gpus)
    with found.open(Workspace(tmp_path, tmp_path)) as executor:
        assert isinstance(executor, LocalExecutor)
        for number in range(4):
            executor.submit(
                Task(name=f"{number}", stage="test", function=_meet, arguments=(str(tmp_path),), needs=needs)
            )
        assert [executor.next().value for _ in range(4)] == ["met"] * 4


def _meet(folder: str) -> str:
    """Wait until two processes have come."""
    (Path(folder) / str(os.getpid())).touch()
    for _ in range(3000):
        if len(list(Path(folder).iterdir())) > 1:
            return "met"
        time.sleep(0.01)
    return "alone"


def test_on_ray_options_are_of_one_task() -> None:
    given = execution(ExecutorChoice.RAY, "head:6379", None, LIMITS, memory_given=True)
    assert (given.address, given.resources, given.together) == ("head:6379", LIMITS, None)
    one_core = Resources(threads=1, memory_bytes=8_000_000_000, gpus=0)
    shared = execution(ExecutorChoice.RAY, None, None, one_core, memory_given=False)
    assert (shared.address, shared.resources.memory_bytes) == ("local", 8_000_000_000 // default_threads())
    with pytest.raises(ParameterError, match="--processes is for --executor local"):
        execution(ExecutorChoice.RAY, None, 2, LIMITS, memory_given=True)
