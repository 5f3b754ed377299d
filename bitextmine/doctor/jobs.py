"""The workers that live, and jobs that wait for one."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from bitextmine.doctor.finding import Finding, ok, problem, warning
from bitextmine.jobs.record import JobState
from bitextmine.jobs.store import JobStore

_SHOWN = 3


def jobs(client: redis.Redis) -> Iterator[Finding]:
    """
    Raises:
        StoreUnavailableError: Redis does not answer.
    """
    store = JobStore(client)
    workers = store.leases.workers()
    records = store.unfinished_records()
    running = [record.id for record in records if record.state is JobState.RUNNING]
    orphans = [job_id for job_id in running if not store.leases.held(job_id)]
    queued = len(records) - len(running)
    yield from judge(workers, running=len(running), queued=queued, orphans=orphans)


def judge(workers: list[str], *, running: int, queued: int, orphans: list[str]) -> Iterator[Finding]:
    """
    Args:
        workers: the names of those that live.
        running, queued: unfinished jobs.
        orphans: the ids of running jobs that no worker holds.
    """
    start = "start one: bitextmine worker (bitextmine serve has its own)"
    if workers:
        yield ok("workers", f"{len(workers)} alive: {', '.join(workers[:_SHOWN])}{' ...' if workers[_SHOWN:] else ''}")
    elif running or queued:
        yield problem("workers", f"none is alive, and {running + queued:,} jobs are not finished", start)
    else:
        yield warning("workers", "none is alive: jobs would wait", start)
    if orphans:
        what = f"{len(orphans):,} jobs count as running, and nobody runs them: {', '.join(orphans[:_SHOWN])}"
        todo = "a worker with nothing else to do takes them up within its heartbeat; if they stay, see its log"
        yield warning("jobs", what, todo) if workers else problem("jobs", what, start)
    else:
        yield ok("jobs", f"{running:,} running, {queued:,} waiting")
