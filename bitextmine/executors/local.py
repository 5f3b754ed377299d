"""Tasks on this machine: in this process one after the other, or in several processes."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from bitextmine.errors import ParameterError
from bitextmine.executors.attempt import attempt
from bitextmine.executors.pool import ProcessPool, outcome
from bitextmine.executors.task import Needs, Outcome, ProgressOf, Task, untold
from bitextmine.resources import default_memory, default_threads

MOST_PROCESSES = 1024


class LocalExecutor:
    """An Executor on this machine.

    With one process, tasks run in this one, inside `next`, in the order of submission, and report progress from here;
    a task that kills its process takes this one along. With more, tasks run in processes of their own, which are
    replaced when they die (a task's third is its last), and end with this one and with the thread that started them.
    """

    def __init__(self, processes: int = 1, *, room: Needs | None = None, progress_of: ProgressOf = untold) -> None:
        """Nothing is started before the first task.

        Args:
            processes: 1 to 1024; 1 is this process.
            room: what tasks in processes of their own may take together; all cores, the memory that is free, and one
                GPU where it is None. A task that needs more runs alone.
            progress_of: who is told where a task is; told inside `next`.

        Raises:
            ParameterError: no such number of processes.
        """
        if not 1 <= processes <= MOST_PROCESSES:
            raise ParameterError(f"{processes} processes; there can be 1 to {MOST_PROCESSES}")
        self._progress_of = progress_of
        self._waiting: deque[Task] = deque()
        self._pool: ProcessPool | None = None
        self._closed = False
        if processes > 1:
            everything = Needs(cores=max(default_threads(), processes), memory_bytes=default_memory(), gpus=1)
            self._pool = ProcessPool(processes, room or everything, progress_of)

    @property
    def wants_more(self) -> bool:
        """See `Executor`."""
        return self._pool.wants_more if self._pool is not None else not self._waiting

    def submit(self, task: Task) -> None:
        """See `Executor`."""
        if self._closed:
            raise ParameterError("the executor is closed")
        if self._pool is not None:
            self._pool.submit(task)
        else:
            self._waiting.append(task)

    def next(self) -> Outcome:
        """See `Executor`."""
        if self._pool is not None:
            return self._pool.next()
        if not self._waiting:
            raise LookupError("every task has been told")
        task = self._waiting.popleft()
        return outcome(task, attempt(task.function, task.arguments, self._progress_of(task)), 1)

    def close(self) -> None:
        """See `Executor`."""
        self._closed = True
        self._waiting.clear()
        if self._pool is not None:
            self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
