"""Tasks, what they need, how they end, and what runs them.

A task is a module-level function with paths and plain values, so that any process that sees the same files can run it.
It may run more than once: a process that dies is replaced and its task repeated, so what a task makes is published
whole under a name that its inputs decide (bitextmine.artifacts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from bitextmine.errors import BitextmineError
from bitextmine.progress import Progress, silent

MOST_ATTEMPTS = 3  # of a task whose processes die


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one task takes while it runs: cores, bytes of memory, GPUs. None of them is enforced on the task."""

    cores: int = 1
    memory_bytes: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A call that can be made anywhere.

    Attributes:
        name: unique in a run ("embed deu_Latn 3"): it is in messages and logs.
        stage: what the task is part of ("embed", "search"): for the log and for progress.
        function: of a module, not a lambda or a nested function. A function with a parameter `progress` is given a
            Progress there. What it returns is small and plain: it can be pickled.
        arguments: given by position; paths as strings and plain values, never arrays.
        needs: of this task.
        cost: estimated seconds. The driver decides the order by it; executors run tasks as they are submitted.
    """

    name: str
    stage: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    needs: Needs = Needs()
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended.

    Attributes:
        task: the task.
        value: what the function returned; None where it failed.
        error: why it failed; None where it did not.
        seconds: how long the attempt ran that ended so.
        attempts: 1, and one for each process that died with the task.
        where: "pid 123 on host".
    """

    task: Task
    value: Any
    error: BitextmineError | None
    seconds: float
    attempts: int
    where: str


class Executor(Protocol):
    """Runs tasks. It belongs to one thread, and what it has started ends with it."""

    @property
    def wants_more(self) -> bool:
        """Whether a task that is submitted now begins at once, or is one of the few that wait so that nobody idles."""

    def submit(self, task: Task) -> None:
        """Have the task run sometime; return at once.

        Raises:
            ParameterError: the task cannot be sent to another process, or needs more than there is.
        """

    def next(self) -> Outcome:
        """Wait for a task to finish, whichever is first, and say how. Each task is told once.

        Raises:
            LookupError: every task that was submitted has been told.
            BitextmineError: tasks cannot be run any more, whatever they are.
        """

    def close(self) -> None:
        """Stop what runs and let everything go. Again does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


ProgressOf = Callable[[Task], Progress]
"""Who is told where a task is."""


def untold(task: Task) -> Progress:
    """The ProgressOf that tells nobody."""
    return silent
