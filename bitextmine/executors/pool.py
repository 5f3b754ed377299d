"""Processes of this machine that run tasks, and may be killed: another takes their place and the task."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from bitextmine.errors import BitextmineError
from bitextmine.executors.attempt import Attempt, check_sendable, where
from bitextmine.executors.task import MOST_ATTEMPTS, Needs, Outcome, ProgressOf, Task
from bitextmine.executors.worker import READY, main

log = logging.getLogger(__name__)

_MOST_FAILED_STARTS = 3  # in a row
_GRACE = 3.0  # seconds to unwind in


@dataclass(slots=True)
class _Job:
    """A task that was not told yet."""

    task: Task
    content: bytes
    attempts: int = 0


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    job: _Job | None = None
    ready: bool = False


class ProcessPool:
    """At most `processes` processes, started as they are needed; each runs one task at a time.

    Tasks begin in the order of submission, and only when what runs leaves them the room that they need; what needs
    more than all the room runs alone.
    """

    def __init__(self, processes: int, room: Needs, progress_of: ProgressOf) -> None:
        self._most, self._room, self._progress_of = processes, room, progress_of
        self._context = multiprocessing.get_context("spawn")
        self._waiting: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        self._told: deque[Outcome] = deque()
        self._failed_starts = 0

    @property
    def wants_more(self) -> bool:
        """See `Executor`: as many wait as there are processes, for all may end their tasks while nobody listens."""
        return len(self._waiting) < self._most

    def submit(self, task: Task) -> None:
        """See `Executor`."""
        self._waiting.append(_Job(task, check_sendable(task)))
        self._assign()

    def next(self) -> Outcome:
        """See `Executor`."""
        while not self._told:
            self._assign()
            if not any(worker.job for worker in self._workers):
                raise LookupError("every task has been told")
            self._listen()
        self._assign()  # nobody idles while the outcome is looked at
        return self._told.popleft()

    def close(self) -> None:
        """Ask all processes to end, and kill those that do not."""
        workers, self._workers = self._workers, []
        self._waiting.clear()
        for worker in workers:
            worker.process.terminate()
        patience = time.monotonic() + _GRACE
        for worker in workers:
            worker.process.join(max(patience - time.monotonic(), 0))
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()

    def _assign(self) -> None:
        while self._waiting and self._fits(self._waiting[0].task.needs):
            worker = next((worker for worker in self._workers if worker.job is None), None)
            if worker is None:
                if len(self._workers) == self._most:
                    return
                worker = self._start()
            worker.job = self._waiting.popleft()
            worker.job.attempts += 1
            try:
                worker.pipe.send_bytes(worker.job.content)
            except OSError:  # it died while it had nothing to do
                self._bury(worker, blamed=False)

    def _fits(self, wanted: Needs) -> bool:
        running = [worker.job.task.needs for worker in self._workers if worker.job]
        return not running or (
            sum(needs.cores for needs in running) + wanted.cores <= self._room.cores
            and sum(needs.memory_bytes for needs in running) + wanted.memory_bytes <= self._room.memory_bytes
            and sum(needs.gpus for needs in running) + wanted.gpus <= self._room.gpus
        )

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, os.getpid()), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _listen(self) -> None:
        """Wait until a process says something or ends."""
        heard = set(wait([thing for worker in self._workers for thing in (worker.pipe, worker.process.sentinel)]))
        for worker in list(self._workers):
            if worker.pipe in heard or worker.process.sentinel in heard:
                self._read(worker)

    def _read(self, worker: _Worker) -> None:
        try:
            while worker.pipe.poll():
                self._take(worker, worker.pipe.recv())
        except (EOFError, OSError):  # OSError: it died within a message
            self._bury(worker, blamed=True)
            return
        if worker.process.exitcode is not None:
            self._bury(worker, blamed=True)

    def _take(self, worker: _Worker, message: Any) -> None:
        if message == READY:
            worker.ready, self._failed_starts = True, 0
        elif worker.job is None:
            raise BitextmineError(f"pid {worker.process.pid} sent what nobody had asked for")
        elif isinstance(message, bytes):
            job, worker.job = worker.job, None
            done: Attempt = pickle.loads(message)  # noqa: S301 - of a process that we started
            self._told.append(outcome(job.task, done, job.attempts))
        else:
            self._progress_of(worker.job.task)(*message)

    def _bury(self, worker: _Worker, *, blamed: bool) -> None:
        """Let a dead process go; its task waits again, in front, or has failed."""
        worker.process.join(_GRACE)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        how = _how_it_ended(worker.process)
        if not worker.ready:
            self._count_failed_start(how)
        job = worker.job
        if job is None:
            return
        job.attempts -= not (blamed and worker.ready)
        if job.attempts < MOST_ATTEMPTS:
            log.warning("%s while %r ran; it will be repeated", how, job.task.name)
            self._waiting.appendleft(job)
        else:
            self._told.append(kept_dying(job.task, how, job.attempts))

    def _count_failed_start(self, how: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise BitextmineError(
                f"processes for tasks do not start: {how}, {self._failed_starts} times in a row; what they printed "
                "on standard error says why",
                code="executor-broken",
            )


def outcome(task: Task, done: Attempt, attempts: int) -> Outcome:
    """The Outcome of a task's last attempt; an error that nobody foresaw is logged with its traceback."""
    if done.trace:
        log.error("the task %r failed, %s:\n%s", task.name, done.where, done.trace)
    return Outcome(task, done.value, done.error, done.seconds, attempts, done.where)


def kept_dying(task: Task, how: str, attempts: int) -> Outcome:
    """The Outcome of a task that was given up."""
    error = BitextmineError(
        f"the task {task.name!r} was given up after {attempts} attempts that ended with their process: {how}; "
        "it may need more memory than there is",
        code="task-kept-dying",
    )
    return Outcome(task, None, error, 0.0, attempts, where())


def _how_it_ended(process: SpawnProcess) -> str:
    status = process.exitcode or 0
    if status >= 0:
        return f"pid {process.pid} ended with status {status}"
    return f"pid {process.pid} was killed by {signal.Signals(-status).name}"
