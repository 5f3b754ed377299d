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


@dataclass(slots=True)
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


class RayExecutor:
    """An Executor on Ray: actors, each a process with the cores, memory and GPUs that its tasks need.

    As many are started as the nodes have room for, and each runs one task at a time and keeps what it has opened. An
    actor that dies, alone or with its node, is replaced and its task repeated; Ray itself repeats nothing. Tasks begin
    in the order of submission. They report no progress but their end. All actors end with this process.
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
        self._idle: list[_Actor] = []
        self._running: dict[Any, tuple[_Actor, _Job]] = {}  # by what Ray will have the answer in
        self._told: deque[Outcome] = deque()
        self._nodes: list[Node] = []
        self._looked = self._last_node = float("-inf")
        self._look()

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
            if not self._running:
                time.sleep(_LOOK_SECONDS)
                continue
            ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK_SECONDS)
            for reference in ended:
                self._take(reference)
        return self._told.popleft()

    def close(self) -> None:
        """See `Executor`."""
        self._waiting.clear()
        actors = [*self._idle, *(actor for actor, _ in self._running.values())]
        self._idle, self._running = [], {}
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
        while self._waiting:
            job = self._waiting[0]
            actor = self._actor_for(job.task.needs)
            if actor is None:
                return
            self._waiting.popleft()
            self._running[actor.handle.run.remote(job.content, self._expected)] = (actor, job)
        wanted = {actor.needs for actor, _ in self._running.values()}
        for actor in [actor for actor in self._idle if wanted and actor.needs not in wanted]:
            self._let_go(actor)  # it may be in the way of one that waits for room

    def _actor_for(self, needs: Needs) -> _Actor | None:
        """One that has nothing to do, or a new one; None while there is no room."""
        for actor in self._idle:
            if actor.needs == needs:
                self._idle.remove(actor)
                return actor
        while not self._has_room(needs):
            if not self._idle:
                return None
            self._let_go(self._idle[0])
        options = {"num_cpus": needs.cores, "num_gpus": needs.gpus, "memory": needs.memory_bytes or None}
        handle = self._make.options(**options, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")
        return _Actor(handle.remote(), needs)

    def _has_room(self, needs: Needs) -> bool:
        """Whether all actors and this one could be on the nodes together, placed by size; Ray places them for real."""
        placed = [actor.needs for actor in (*self._idle, *(actor for actor, _ in self._running.values()))]
        rooms = [node.room for node in self._nodes]
        for each in [*sorted(placed, key=lambda one: (one.gpus, one.memory_bytes, one.cores), reverse=True), needs]:
            found = next((number for number, room in enumerate(rooms) if _fits(room, each)), None)
            if found is None:
                return False
            rooms[found] = _without(rooms[found], each)
        return True

    def _let_go(self, actor: _Actor) -> None:
        self._idle.remove(actor)
        self._ray.kill(actor.handle)

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


def _fits(room: Needs, needs: Needs) -> bool:
    return room.cores >= needs.cores and room.memory_bytes >= needs.memory_bytes and room.gpus >= needs.gpus


def _without(room: Needs, needs: Needs) -> Needs:
    return Needs(
        cores=room.cores - needs.cores,
        memory_bytes=room.memory_bytes - needs.memory_bytes,
        gpus=room.gpus - needs.gpus,
    )
