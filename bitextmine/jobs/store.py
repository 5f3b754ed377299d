"""The job store: records, leases and worker heartbeats in Redis (or Valkey), under the key prefix `bitextmine:`.

| key | type | what |
| --- | --- | --- |
| `job:<id>` | string | the record as JSON |
| `jobs` | sorted set | every id; equal scores, so that it is ordered by id, which is by age |
| `jobs:<tenant>` | sorted set | those of one tenant |
| `unfinished` | set | the ids of jobs in no final state |
| `lease:<id>` | string with a time to live | who runs the job now |
| `workers` | sorted set | the live workers, by the second (on the server's clock) at which they count as dead |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import redis
from redis.client import Pipeline

from bitextmine.errors import ConflictError, NotFoundError, StoreUnavailableError
from bitextmine.jobs.record import JobError, JobKind, JobProgress, JobRecord, JobState, now

PREFIX = "bitextmine:"
_INDEX = f"{PREFIX}jobs"
_UNFINISHED = f"{PREFIX}unfinished"
_WORKERS = f"{PREFIX}workers"
_PRUNED_AT_ONCE = 1000

_ACQUIRE = """
local owner = redis.call('get', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])
"""


@contextmanager
def unavailable_named() -> Iterator[None]:
    """Turn what the Redis client raises inside the block (or the decorated function) into a StoreUnavailableError.

    A server that answers but refuses to work (out of memory, disk full, read-only) counts as unavailable too.
    """
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailableError(f"the job store does not answer: {error}") from error


class JobStore:
    """The records of all jobs. Safe for many threads and processes: each change of a record is one transaction.

    Every method raises StoreUnavailableError when Redis is gone, and NotFoundError (job-not-found) for a job unknown.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._acquire = client.register_script(_ACQUIRE)
        self._release = client.register_script(_RELEASE)

    @unavailable_named()
    def create(self, kind: JobKind, spec: dict[str, Any], **fields: Any) -> JobRecord:
        """Store a new queued job; the caller enqueues it (a worker finds it sooner or later if that fails).

        `fields` are further ones of the record: tenant, plan.
        """
        record = JobRecord.new(kind, spec, **fields)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.set(_job_key(record.id), record.model_dump_json())
            pipe.zadd(_INDEX, {record.id: 0})
            pipe.zadd(_tenant_key(record.tenant), {record.id: 0})
            pipe.sadd(_UNFINISHED, record.id)
            pipe.execute()
        return record

    @unavailable_named()
    def get(self, job_id: str) -> JobRecord:
        return _parse(job_id, self._client.get(_job_key(job_id)))

    @unavailable_named()
    def recent(self, limit: int, before: str | None = None, *, tenant: str | None = None) -> list[JobRecord]:
        """Up to `limit` jobs (of a tenant), newest first; `before` is the id of the last job of the page before."""
        newest = f"({before}" if before else "+"
        ids = self._client.zrange(
            _tenant_key(tenant) if tenant else _INDEX, newest, "-", desc=True, bylex=True, offset=0, num=limit
        )
        stored = self._client.mget([_job_key(_text(job_id)) for job_id in ids]) if ids else []
        return [JobRecord.model_validate_json(text) for text in stored if text is not None]

    @unavailable_named()
    def unfinished(self) -> list[str]:
        """The ids of all queued and running jobs, oldest first."""
        return sorted(_text(job_id) for job_id in self._client.smembers(_UNFINISHED))

    @unavailable_named()
    def unfinished_records(self) -> list[JobRecord]:
        """All queued and running jobs, oldest first, at the cost of two commands."""
        ids = self.unfinished()
        stored = self._client.mget([_job_key(job_id) for job_id in ids]) if ids else []
        records = [JobRecord.model_validate_json(text) for text in stored if text is not None]
        return [record for record in records if not record.state.final]

    def request_cancel(self, job_id: str) -> JobRecord:
        """Cancel a queued job at once; ask the worker of a running one to stop it.

        Raises:
            ConflictError: the job is over (code job-finished).
        """

        def change(record: JobRecord) -> None:
            record.cancel_requested = True
            if record.state is JobState.QUEUED:
                record.state, record.finished = JobState.CANCELLED, now()

        return self._change(job_id, change)

    def start(self, job_id: str, worker: str) -> JobRecord:
        """Count one more attempt: a process for the job is about to be started by `worker`.

        Raises:
            ConflictError: the job is over (code job-finished).
        """

        def change(record: JobRecord) -> None:
            record.state, record.worker, record.progress = JobState.RUNNING, worker, None
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
            record.state, record.worker, record.progress = JobState.QUEUED, None, None
            record.attempts = max(record.attempts - 1, 0)
            record.fruitless_attempts = max(record.fruitless_attempts - 1, 0)
            if record.cancel_requested:
                record.state, record.finished = JobState.CANCELLED, now()

        return self._change(job_id, change)

    def progress(
        self,
        job_id: str,
        progress: JobProgress | None,
        stage_seconds: Mapping[str, float],
        *,
        fruitful: bool = False,
    ) -> JobRecord:
        """Write where a job is; the record that comes back says whether someone wants it cancelled.

        `fruitful` says that the running attempt has finished something that another would find.

        Raises:
            ConflictError: the job is over (code job-finished).
        """

        def change(record: JobRecord) -> None:
            record.progress = progress
            record.stage_seconds = dict(stage_seconds)
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
        stage_seconds: Mapping[str, float] | None = None,
    ) -> JobRecord:
        """Give the job its final state; `progress` and `stage_seconds` stay as they are where none are given.

        Raises:
            ConflictError: it has one already (code job-finished).
            ValueError: `state` is not final.
        """
        if not state.final:
            raise ValueError(f"{state} is not a final state")

        def change(record: JobRecord) -> None:
            record.state, record.finished = state, now()
            record.result, record.error = result, error
            record.progress = progress or record.progress
            if stage_seconds:
                record.stage_seconds = dict(stage_seconds)

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
        self._forget([job_id], {record.tenant})

    @unavailable_named()
    def prune(self, keep: int) -> int:
        """Forget the oldest finished jobs, but for the newest `keep` of them; how many went (not all at once)."""
        surplus = min(self._client.zcard(_INDEX) - self._client.scard(_UNFINISHED) - keep, _PRUNED_AT_ONCE)
        if surplus <= 0:
            return 0
        oldest = self._client.zrange(_INDEX, 0, surplus + self._client.scard(_UNFINISHED) - 1)
        unfinished = set(self._client.smembers(_UNFINISHED))  # read last: what is missing from it stays finished
        doomed = [_text(job_id) for job_id in oldest if job_id not in unfinished][:surplus]
        stored = self._client.mget([_job_key(job_id) for job_id in doomed]) if doomed else []
        self._forget(doomed, {JobRecord.model_validate_json(text).tenant for text in stored if text is not None})
        return len(doomed)

    def _forget(self, job_ids: Sequence[str], tenants: Collection[str]) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            for job_id in job_ids:
                pipe.delete(_job_key(job_id))
                pipe.zrem(_INDEX, job_id)
                for tenant in tenants:
                    pipe.zrem(_tenant_key(tenant), job_id)
            pipe.execute()

    @unavailable_named()
    def acquire_lease(self, job_id: str, owner: str, seconds: float) -> bool:
        """Take the job's lease for so long from now, or keep it; False while another owner holds it."""
        return bool(self._acquire(keys=[_lease_key(job_id)], args=[owner, int(seconds * 1000)]))

    @unavailable_named()
    def release_lease(self, job_id: str, owner: str) -> bool:
        """Give the lease back; False when `owner` did not hold it."""
        return bool(self._release(keys=[_lease_key(job_id)], args=[owner]))

    @unavailable_named()
    def leased(self, job_id: str) -> bool:
        """Whether anyone holds the job's lease."""
        return bool(self._client.exists(_lease_key(job_id)))

    @unavailable_named()
    def beat(self, worker: str, seconds: float) -> None:
        """Count the worker as live for so long from now."""
        self._client.zadd(_WORKERS, {worker: self._server_time() + seconds})

    @unavailable_named()
    def retire(self, worker: str) -> None:
        """Count the worker as gone at once."""
        self._client.zrem(_WORKERS, worker)

    @unavailable_named()
    def workers(self) -> list[str]:
        """The names of the live workers, sorted."""
        time = self._server_time()
        self._client.zremrangebyscore(_WORKERS, "-inf", time)
        return sorted(_text(name) for name in self._client.zrange(_WORKERS, 0, -1))

    def _server_time(self) -> float:
        seconds, microseconds = self._client.time()
        return float(seconds) + float(microseconds) / 1e6

    @unavailable_named()
    def _change(self, job_id: str, change: Callable[[JobRecord], None]) -> JobRecord:
        """Apply `change` to an unfinished job, all or nothing; anew when another writer came between."""
        key = _job_key(job_id)

        def attempt(pipe: Pipeline) -> Any:
            record = _parse(job_id, pipe.get(key))
            if record.state.final:
                raise ConflictError(f"job {job_id} is over: it has {record.state}", code="job-finished")
            change(record)
            pipe.multi()
            pipe.set(key, record.model_dump_json())
            if record.state.final:
                pipe.srem(_UNFINISHED, job_id)
            return record

        return cast(JobRecord, self._client.transaction(attempt, key, value_from_callable=True))


def _parse(job_id: str, stored: Any) -> JobRecord:
    if stored is None:
        raise NotFoundError(f"there is no job {job_id}", code="job-not-found")
    return JobRecord.model_validate_json(stored)


def _text(member: Any) -> str:
    """A member of a set as text; the client is shared with dramatiq, which wants bytes."""
    return member.decode() if isinstance(member, bytes) else str(member)


def _job_key(job_id: str) -> str:
    return f"{PREFIX}job:{job_id}"


def _tenant_key(tenant: str) -> str:
    return f"{_INDEX}:{tenant}"


def _lease_key(job_id: str) -> str:
    return f"{PREFIX}lease:{job_id}"
