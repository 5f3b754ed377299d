"""Leases: who runs a job now; and heartbeats: which workers live, and what a job on them may use."""

from __future__ import annotations

import redis
from pydantic import BaseModel, ConfigDict

from bitextmine.jobs.names import LIMITS, WORKERS, lease_key, text, unavailable_named

ACQUIRE = """
local owner = redis.call('get', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1
"""
RELEASE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])
"""


class WorkerLimits(BaseModel):
    """What a job may use on a worker; `memory` in bytes, None where it depends on what is free when the job starts."""

    model_config = ConfigDict(frozen=True)

    threads: int
    memory: int | None = None
    gpus: int = 0


class Leases:
    """The part of the job store that tells who is at work. All of it runs out by itself.

    Every method raises StoreUnavailableError when Redis is gone.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._acquire = client.register_script(ACQUIRE)
        self._release = client.register_script(RELEASE)

    @unavailable_named()
    def acquire(self, job_id: str, owner: str, seconds: float) -> bool:
        """Take the job's lease for so long from now, or keep it; False while another owner holds it."""
        return bool(self._acquire(keys=[lease_key(job_id)], args=[owner, int(seconds * 1000)]))

    @unavailable_named()
    def release(self, job_id: str, owner: str) -> bool:
        """Give the lease back; False when `owner` did not hold it."""
        return bool(self._release(keys=[lease_key(job_id)], args=[owner]))

    @unavailable_named()
    def held(self, job_id: str) -> bool:
        """Whether anyone holds the job's lease."""
        return bool(self._client.exists(lease_key(job_id)))

    @unavailable_named()
    def beat(self, worker: str, seconds: float, limits: WorkerLimits | None = None) -> None:
        """Count the worker as live for so long from now."""
        until = self._server_time() + seconds
        with self._client.pipeline(transaction=True) as pipe:
            pipe.zadd(WORKERS, {worker: until})
            if limits:
                pipe.hset(LIMITS, worker, limits.model_dump_json())
            pipe.execute()

    @unavailable_named()
    def retire(self, worker: str) -> None:
        """Count the worker as gone at once."""
        self._client.zrem(WORKERS, worker)
        self._client.hdel(LIMITS, worker)

    @unavailable_named()
    def workers(self) -> list[str]:
        """The names of the live workers, sorted."""
        time = self._server_time()
        if dead := self._client.zrangebyscore(WORKERS, "-inf", time):
            self._client.zremrangebyscore(WORKERS, "-inf", time)
            self._client.hdel(LIMITS, *dead)
        return sorted(text(name) for name in self._client.zrange(WORKERS, 0, -1))

    @unavailable_named()
    def limits(self) -> list[WorkerLimits]:
        """What jobs may use on those live workers that tell."""
        if not (workers := self.workers()):
            return []
        stored = self._client.hmget(LIMITS, workers)
        return [WorkerLimits.model_validate_json(limits) for limits in stored if limits is not None]

    def _server_time(self) -> float:
        seconds, microseconds = self._client.time()
        return float(seconds) + float(microseconds) / 1e6
