"""The job store: the records of jobs in Redis (or Valkey), and every change that they go through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast

import redis
from redis.client import Pipeline

from bitextmine.errors import ConflictError, NotFoundError
from bitextmine.jobs import events, listing, retention, totals
from bitextmine.jobs.leases import Leases
from bitextmine.jobs.listing import EVERY_JOB, JobFilter, JobListing
from bitextmine.jobs.names import ENCODING, UNFINISHED, job_key, text, unavailable_named, unfinished_key
from bitextmine.jobs.once import Claim, Claims, Creation, Room
from bitextmine.jobs.record import JobError, JobKind, JobProgress, JobRecord, JobStage, JobState, now

_NO_LIMIT = Room()


class JobStore:
    """The records of all jobs. Safe for many threads and processes: each change of a record is one transaction.

    `leases` tells who is at work, `claims` which requests are being answered. Every method raises
    StoreUnavailableError when Redis is gone, and NotFoundError (job-not-found) for a job unknown.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._creation = Creation(client)
        self.leases = Leases(client)
        self.claims = Claims(client)

    def create(
        self,
        kind: JobKind,
        spec: dict[str, Any],
        *,
        room: Room = _NO_LIMIT,
        claim: Claim | None = None,
        **fields: Any,
    ) -> JobRecord:
        """Store a new queued job; the caller enqueues it (a worker finds it sooner or later if that fails).

        `fields` are further ones of the record: tenant, plan, retry_of.

        Raises:
            BitextmineError: `too-many-jobs`: there is no room.
            AlreadyMade: the key of `claim` has made a job.
        """
        record = JobRecord.new(kind, spec, **fields)
        self._creation(record, room, claim)
        return record

    @unavailable_named()
    def get(self, job_id: str) -> JobRecord:
        return _parse(job_id, self._client.get(job_key(job_id)))

    @unavailable_named()
    def page(
        self, limit: int, before: str | None = None, *, tenant: str | None = None, wanted: JobFilter = EVERY_JOB
    ) -> JobListing:
        """Up to `limit` jobs (of a tenant), newest first; `before` is `following` of the page before."""
        return listing.newest(self._client, limit, before=before, tenant=tenant, wanted=wanted)

    @unavailable_named()
    def unfinished(self, tenant: str | None = None) -> list[str]:
        """The ids of all queued and running jobs (of a tenant), oldest first."""
        return sorted(text(job_id) for job_id in self._client.smembers(unfinished_key(tenant)))

    @unavailable_named()
    def count_unfinished(self, tenant: str) -> tuple[int, int]:
        """How many jobs are queued or running: of all tenants, and of this one."""
        return self._client.scard(UNFINISHED), self._client.scard(unfinished_key(tenant))

    @unavailable_named()
    def unfinished_records(self, tenant: str | None = None) -> list[JobRecord]:
        """All queued and running jobs (of a tenant), oldest first, at the cost of two commands."""
        records = listing.read(self._client, self.unfinished(tenant))
        return [record for record in records if record is not None and not record.state.final]

    def request_cancel(self, job_id: str) -> JobRecord:
        """Cancel a queued job at once; ask the worker of a running one to stop it.

        Raises:
            ConflictError: the job is over (code job-finished).
        """

        def change(record: JobRecord) -> None:
            record.cancel_requested = True
            if record.state is JobState.QUEUED:
                record.end(JobState.CANCELLED)

        return self._change(job_id, change)

    def start(self, job_id: str, worker: str) -> JobRecord:
        """Count one more attempt: a process for the job is about to be started by `worker`.

        Raises:
            ConflictError: the job is over (code job-finished).
        """

        def change(record: JobRecord) -> None:
            record.state, record.worker = JobState.RUNNING, worker
            record.progress, record.stages = None, ()
            record.started = record.started or now()
            record.attempts += 1
            record.fruitless_attempts += 1

        return self._change(job_id, change)

    def put_back(self, job_id: str) -> JobRecord:
        """Return a running job to the queue as if its last attempt had not been; cancel it if that was asked for.

        Raises:
            ConflictError: the job is over (code job-finished).
        """

        def change(record: JobRecord) -> None:
            record.state, record.worker = JobState.QUEUED, None
            record.progress, record.stages = None, ()
            record.attempts = max(record.attempts - 1, 0)
            record.fruitless_attempts = max(record.fruitless_attempts - 1, 0)
            if record.cancel_requested:
                record.end(JobState.CANCELLED)

        return self._change(job_id, change)

    def progress(
        self, job_id: str, progress: JobProgress | None, stages: Sequence[JobStage], *, fruitful: bool = False
    ) -> JobRecord:
        """Write where a job is; the record that comes back says whether someone wants it cancelled.

        `fruitful` says that the running attempt has finished something that another would find.

        Raises:
            ConflictError: the job is over (code job-finished).
        """

        def change(record: JobRecord) -> None:
            record.progress, record.stages = progress, tuple(stages)
            if fruitful:
                record.fruitless_attempts = 0

        return self._change(job_id, change)

    def finish(
        self,
        job_id: str,
        state: JobState,
        *,
        result: dict[str, Any] | None = None,
        error: JobError | None = None,
        progress: JobProgress | None = None,
        stages: Sequence[JobStage] = (),
    ) -> JobRecord:
        """Give the job its final state; `progress` and `stages` stay as they are where none are given.

        Raises:
            ConflictError: it has one already (code job-finished).
            ValueError: `state` is not final.
        """
        if not state.final:
            raise ValueError(f"{state} is not a final state")

        def change(record: JobRecord) -> None:
            record.result, record.error = result, error
            record.progress = progress or record.progress
            record.stages = tuple(stages) or record.stages
            record.end(state)

        return self._change(job_id, change)

    @unavailable_named()
    def delete(self, job_id: str) -> None:
        """Forget a finished job; what it made stays where it is.

        Raises:
            ConflictError: the job is not over (code job-unfinished).
        """
        record = self.get(job_id)
        if not record.state.final:
            raise ConflictError(f"job {job_id} is not over: cancel it first", code="job-unfinished")
        retention.forget(self._client, [record])

    @unavailable_named()
    def prune(self, keep: int, max_age: timedelta | None = None) -> int:
        """Forget the oldest finished jobs but for the newest `keep` of them, and those that ended longer ago.

        How many went: not all at once.
        """
        doomed = {record.id: record for record in retention.surplus(self._client, keep)}
        if max_age is not None:
            doomed |= {record.id: record for record in retention.outdated(self._client, now() - max_age)}
        retention.forget(self._client, doomed.values())
        return len(doomed)

    @unavailable_named()
    def keep_rate(self, encoder: str, sentences_per_second: float) -> None:
        """Remember how fast an encoder was in a job."""
        self._client.hset(ENCODING, encoder, f"{sentences_per_second:.6g}")

    @unavailable_named()
    def rate(self, encoder: str) -> float | None:
        """Sentences a second that the encoder was last seen to embed in a job, if it was."""
        stored = self._client.hget(ENCODING, encoder)
        return None if stored is None else float(stored)

    @unavailable_named()
    def _change(self, job_id: str, change: Callable[[JobRecord], None]) -> JobRecord:
        """Apply `change` to an unfinished job, all or nothing; anew when another writer came between."""
        key = job_key(job_id)

        def attempt(pipe: Pipeline) -> Any:
            record = _parse(job_id, pipe.get(key))
            if record.state.final:
                raise ConflictError(f"job {job_id} is over: it has {record.state}", code="job-finished")
            before = record.model_copy()
            change(record)
            told = events.number(before, record)
            pipe.multi()
            pipe.set(key, record.model_dump_json())
            totals.count(pipe, before, record)
            if told:
                events.write(pipe, record, told)
            if record.state.final:
                pipe.srem(UNFINISHED, job_id)
                pipe.srem(unfinished_key(record.tenant), job_id)
            return record

        return cast(JobRecord, self._client.transaction(attempt, key, value_from_callable=True))


def _parse(job_id: str, stored: Any) -> JobRecord:
    if stored is None:
        raise NotFoundError(f"there is no job {job_id}", code="job-not-found")
    return JobRecord.model_validate_json(stored)
