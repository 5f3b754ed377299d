"""Tasks on a Ray cluster."""

from __future__ import annotations

import logging
import pickle
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bitextmine.errors import BitextmineError, ParameterError
from bitextmine.executors.attempt import Attempt, check_sendable
from bitextmine.executors.pool import kept_dying, outcome
from bitextmine.executors.ray_cluster import LOCAL, Node, alive_nodes, connected, probe
from bitextmine.executors.ray_node import Expected, TaskActor
from bitextmine.executors.task import MOST_ATTEMPTS, Needs, Outcome, Task

log = logging.getLogger(__name__)

_MOST_LOST_NODES = 10  # under one task
_LOOK_SECONDS = 1.0  # between two looks at the nodes
_PATIENCE = 600.0  # seconds without a node that could run anything
_MOST_WAITING = 16  # tasks, or as many as run: nodes that come find some
_STARTING_SECONDS = 5.0  # that a process may take which Ray has room for


@dataclass(slots=True, eq=False)
class _Job:
    """A task that was not told yet."""

    task: Task
    content: bytes
    deaths: int = 0
    lost_nodes: int = 0

    @property
    def attempts(self) -> int:
        return self.deaths + self.lost_nodes


@dataclass(slots=True, eq=False)
class _Actor:
    handle: Any
    needs: Needs
    ready: Any  # what Ray will have the answer in, once the process is there
    asked: float  # when, on the monotonic clock


class RayExecutor:
    """An Executor on Ray: actors, each a process with the cores, memory and GPUs that its tasks need.

    As many are asked for as the nodes have room for, and each that is there runs one task at a time and keeps what it
    has opened. Others may use the cluster too: no task waits for an actor that has no room while one with the same
    needs is idle, and what is idle is let go while others wait for room. An actor that dies, alone or with its node, is
    replaced and its task repeated; Ray itself repeats nothing. Tasks with the same needs begin in the order of
    submission. They report no progress but their end. All actors end with this process.
    """

    def __init__(self, shared: Path, address: str = LOCAL) -> None:
        """Connect.

        Args:
            shared: the data directory, which every node sees under this path and may write to.
            address: `host:port` of a cluster that this machine is a node of, or `local` to start one here.

        Raises:
            InputError: see `connected` and `probe`.
        """
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(address))
            self._expected: Expected = stack.enter_context(probe(shared))
            self._stack = stack.pop_all()
        self._make = self._ray.remote(TaskActor)
        self._waiting: deque[_Job] = deque()
        self._unplaced: dict[Any, _Actor] = {}  # by what Ray will have the answer in
        self._idle: list[_Actor] = []
        self._running: dict[Any, tuple[_Actor, _Job]] = {}  # by what Ray will have the answer in
        self._told: deque[Outcome] = deque()
        self._nodes: list[Node] = []
        self._looked = self._last_node = float("-inf")
        self._look()

    @property
    def wants_more(self) -> bool:
        """See `Executor`."""
        return len(self._waiting) < len(self._unplaced) + max(_MOST_WAITING, len(self._running))

    def submit(self, task: Task) -> None:
        """See `Executor`. A task that no node could run is refused (`ray-too-small`)."""
        if self._nodes and not any(_fits(node.room, task.needs) for node in self._nodes):
            most = max(node.room.cores for node in self._nodes)
            raise ParameterError(
                f"the task {task.name!r} needs {task.needs}, and no node of the Ray cluster has all that; the largest "
                f"has {most} cores",
                code="ray-too-small",
            )
        self._waiting.append(_Job(task, check_sendable(task)))
        self._assign()

    def next(self) -> Outcome:
        """See `Executor`."""
        while not self._told:
            if not (self._waiting or self._running):
                raise LookupError("every task has been told")
            self._look()
            self._assign()
            awaited = [*self._unplaced, *self._running]
            if not awaited:
                time.sleep(_LOOK_SECONDS)
                continue
            ended, _ = self._ray.wait(awaited, num_returns=1, timeout=_LOOK_SECONDS)
            for reference in ended:
                if reference in self._unplaced:
                    self._welcome(self._unplaced.pop(reference))
                else:
                    self._take(reference)
        self._assign()  # nobody idles while the outcome is looked at
        return self._told.popleft()

    def close(self) -> None:
        """See `Executor`."""
        self._waiting.clear()
        actors = self._actors()
        self._unplaced, self._idle, self._running = {}, [], {}
        for actor in actors:
            self._ray.kill(actor.handle)
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look(self) -> None:
        """See which nodes there are, now and then.

        Raises:
            BitextmineError: there has been none for long.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._nodes, self._looked = alive_nodes(self._ray), now
        if self._nodes or self._last_node < 0:
            self._last_node = now
        if now - self._last_node > _PATIENCE:
            raise BitextmineError(f"the Ray cluster has had no node for {_PATIENCE:.0f} s", code="executor-broken")

    def _assign(self) -> None:
        """Have idle actors begin what waits, in its order, and ask for more where there is room for them."""
        coming = list(self._unplaced.values())
        place = late = 0
        while place < len(self._waiting):
            needs = self._waiting[place].task.needs
            if (idle := _first(self._idle, needs)) is not None:
                self._idle.remove(idle)
                job = self._waiting[place]
                del self._waiting[place]
                self._running[idle.handle.run.remote(job.content, self._expected)] = (idle, job)
                continue
            if (awaited := _first(coming, needs)) is not None:
                coming.remove(awaited)
                late += time.monotonic() - awaited.asked > _STARTING_SECONDS
            elif self._make_room(needs, coming):
                self._ask_for(needs)
            else:
                return
            place += 1
        if late:  # nothing that waits is for these, and they may be in the way of what it is for
            for actor in list(self._idle):
                self._let_go(actor)

    def _ask_for(self, needs: Needs) -> None:
        options = {"num_cpus": needs.cores, "num_gpus": needs.gpus, "memory": needs.memory_bytes or None}
        made = self._make.options(**options, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")
        handle = made.remote()
        actor = _Actor(handle, needs, handle.ready.remote(), time.monotonic())
        self._unplaced[actor.ready] = actor

    def _make_room(self, needs: Needs, coming: list[_Actor]) -> bool:
        """Let go what nothing has waited for so far, until there is room for one more; False where that is not enough.

        Args:
            coming: actors that are not there yet and that no task waits for; those that are let go are taken out.
        """
        while not self._has_room(needs):
            if coming:
                self._let_go(coming.pop())
            elif self._idle:
                self._let_go(self._idle[0])
            else:
                return False
        return True

    def _has_room(self, needs: Needs) -> bool:
        """Whether all actors and this one could be on the nodes together, placed by size, were there nobody else; Ray
        places them for real."""
        placed = [actor.needs for actor in self._actors()]
        rooms = [node.room for node in self._nodes]
        for each in [*sorted(placed, key=lambda one: (one.gpus, one.memory_bytes, one.cores), reverse=True), needs]:
            found = next((number for number, room in enumerate(rooms) if _fits(room, each)), None)
            if found is None:
                return False
            rooms[found] = _without(rooms[found], each)
        return True

    def _actors(self) -> list[_Actor]:
        return [*self._unplaced.values(), *self._idle, *(actor for actor, _ in self._running.values())]

    def _let_go(self, actor: _Actor) -> None:
        if self._unplaced.pop(actor.ready, None) is None:
            self._idle.remove(actor)
        self._ray.kill(actor.handle)

    def _welcome(self, actor: _Actor) -> None:
        """An actor is there, or has died before it was; then the first task that it was for pays for the attempt."""
        try:
            self._ray.get(actor.ready)
        except self._ray.exceptions.RayError as error:
            job = next((job for job in self._waiting if job.task.needs == actor.needs), None)
            if job is None:
                self._ray.kill(actor.handle)
            else:
                self._waiting.remove(job)
                self._repeat(actor, job, error)
        else:
            self._idle.append(actor)

    def _take(self, reference: Any) -> None:
        """What came of a task: its Attempt, or the death of its actor.

        Raises:
            BitextmineError: `ray-node-unfit`.
        """
        actor, job = self._running.pop(reference)
        try:
            content = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._repeat(actor, job, error)
            return
        done: Attempt = pickle.loads(content)  # noqa: S301 - of an actor that we started
        if done.error is not None and done.error.code == "ray-node-unfit":
            self._waiting.appendleft(job)
            self._ray.kill(actor.handle)
            raise done.error
        self._idle.append(actor)
        self._told.append(outcome(job.task, done, job.attempts + 1))

    def _repeat(self, actor: _Actor, job: _Job, error: Exception) -> None:
        """Have the task wait again, in front, or give it up. A node that is lost is seldom the task's fault."""
        before = {node.id for node in self._nodes}
        self._looked = float("-inf")
        self._look()
        unreachable = isinstance(error, self._ray.exceptions.ActorUnavailableError)  # a node's end, not noticed yet
        node_lost = unreachable or bool(before - {node.id for node in self._nodes})
        job.lost_nodes += node_lost
        job.deaths += not node_lost
        self._ray.kill(actor.handle)  # if it is only unreachable, it must not go on beside the next
        how = f"{type(error).__name__}: {' '.join(str(error).split()).partition(' Some common causes')[0]}"
        if job.deaths < MOST_ATTEMPTS and job.lost_nodes < _MOST_LOST_NODES:
            log.warning("%r will be repeated: %s", job.task.name, how)
            self._waiting.appendleft(job)
        else:
            self._told.append(kept_dying(job.task, how, job.attempts))


def _first(actors: list[_Actor], needs: Needs) -> _Actor | None:
    return next((actor for actor in actors if actor.needs == needs), None)


def _fits(room: Needs, needs: Needs) -> bool:
    return room.cores >= needs.cores and room.memory_bytes >= needs.memory_bytes and room.gpus >= needs.gpus


def _without(room: Needs, needs: Needs) -> Needs:
    return Needs(
        cores=room.cores - needs.cores,
        memory_bytes=room.memory_bytes - needs.memory_bytes,
        gpus=room.gpus - needs.gpus,
    )
