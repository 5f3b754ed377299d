"""Where the tasks of a command run: its options, and the executor that they ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.errors import ParameterError
from bitextmine.resources import Resources, default_threads

if TYPE_CHECKING:
    from bitextmine.executors import Executor
    from bitextmine.executors.task import ProgressOf
    from bitextmine.workspace import Workspace


class ExecutorChoice(StrEnum):
    """What `--executor` takes."""

    LOCAL = "local"
    RAY = "ray"


ExecutorOption = Annotated[
    ExecutorChoice, typer.Option("--executor", help="Where tasks run: on this machine, or on a Ray cluster.")
]
Address = Annotated[
    str | None,
    typer.Option(
        envvar="RAY_ADDRESS", show_default="local", help="Of the Ray cluster, as host:6379; local starts one here."
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        show_default="1",
        help="Tasks at a time on this machine, which share --threads, --memory and GPUs; more than one survive being "
        "killed.",
    ),
]


@dataclass(frozen=True, slots=True)
class Execution:
    """Where tasks run; what one of them may use, and on this machine all of them together."""

    choice: ExecutorChoice
    address: str
    processes: int
    resources: Resources
    together: Resources | None = None

    def open(self, place: Workspace, progress_of: ProgressOf | None = None) -> Executor:
        """The executor; use it as a context manager.

        Args:
            progress_of: who is told where a task on this machine is.

        Raises:
            InputError: the cluster cannot be used; see docs/errors.md, `ray-...`.
        """
        if self.choice is ExecutorChoice.LOCAL:
            from bitextmine.executors.local import LocalExecutor
            from bitextmine.executors.task import Needs, untold

            one = self.resources
            cores, memory = one.threads * self.processes, one.memory_bytes * self.processes
            room = Needs(cores=cores, memory_bytes=memory, gpus=one.gpus * self.processes)  # which all of them share
            return LocalExecutor(self.processes, room=room, progress_of=progress_of or untold)
        from bitextmine.executors.ray import RayExecutor

        return RayExecutor(place.root, self.address)


def execution(
    choice: ExecutorChoice,
    address: str | None,
    processes: int | None,
    limits: Resources,
    *,
    memory_given: bool,
) -> Execution:
    """What the options mean.

    Args:
        limits: of this machine for all tasks together; on Ray, of one task, and of the memory a share by its cores,
            unless it was given.

    Raises:
        ParameterError: options that do not go together.
    """
    if choice is ExecutorChoice.LOCAL:
        count = processes or 1
        shared = replace(limits, threads=max(1, limits.threads // count), memory_bytes=limits.memory_bytes // count)
        return Execution(choice, "", count, shared, limits)
    if processes is not None:
        raise ParameterError("--processes is for --executor local; on Ray the nodes' cores decide")
    tasks = 1 if memory_given else max(1, default_threads() // limits.threads)
    one = replace(limits, memory_bytes=limits.memory_bytes // tasks)
    return Execution(choice, address or "local", 0, one)
