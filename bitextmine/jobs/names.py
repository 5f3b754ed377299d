"""What the job store calls its keys in Redis (or Valkey), and the one error for a server that is gone.

| key, after `bitextmine:` | type | what |
| --- | --- | --- |
| `job:<id>` | string | the record as JSON |
| `jobs` | sorted set | every id; equal scores, so that it is ordered by id, which is by age |
| `jobs:<tenant>` | sorted set | those of one tenant |
| `unfinished` | set | the ids of jobs in no final state |
| `unfinished:<tenant>` | set | those of one tenant |
| `events:<id>` | stream | the latest changes of the record; goes an hour after the job has ended |
| `lease:<id>` | string with a time to live | who runs the job now |
| `workers` | sorted set | the live workers, by the second (on the server's clock) at which they count as dead |
| `limits` | hash | what a job on each of these workers may use, as JSON |
| `once:<tenant>:<digest>` | string with a time to live | of an Idempotency-Key: who is answering, then what was made |
| `requests:<key>` | string with a time to live | how far the requests of a key with a rate are ahead of it |
| `totals` | hash | what all jobs have come to: how they ended, seconds by stage, attempts, crashes |
| `gpus` | hash | the GPUs of each host and their memory, as JSON, and until when that holds |
| `encoding` | hash | sentences a second that each encoder was last seen to embed in a job |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from bitextmine.errors import StoreUnavailableError

PREFIX = "bitextmine:"
INDEX = f"{PREFIX}jobs"
UNFINISHED = f"{PREFIX}unfinished"
WORKERS = f"{PREFIX}workers"
LIMITS = f"{PREFIX}limits"
ENCODING = f"{PREFIX}encoding"
TOTALS = f"{PREFIX}totals"
GPUS = f"{PREFIX}gpus"


def job_key(job_id: str) -> str:
    return f"{PREFIX}job:{job_id}"


def index_key(tenant: str | None) -> str:
    """The index of a tenant's jobs, or of all."""
    return f"{INDEX}:{tenant}" if tenant else INDEX


def unfinished_key(tenant: str | None) -> str:
    """The unfinished jobs of a tenant, or all."""
    return f"{UNFINISHED}:{tenant}" if tenant else UNFINISHED


def events_key(job_id: str) -> str:
    return f"{PREFIX}events:{job_id}"


def lease_key(job_id: str) -> str:
    return f"{PREFIX}lease:{job_id}"


def once_key(tenant: str, key: str) -> str:
    """A digest: whatever a client may write, and what it wrote, is not part of the name."""
    return f"{PREFIX}once:{tenant}:{hashlib.sha256(key.encode()).hexdigest()}"


def requests_key(name: str) -> str:
    return f"{PREFIX}requests:{name}"


def text(member: Any) -> str:
    """A value of Redis as text; the client is shared with dramatiq, which wants bytes."""
    return member.decode() if isinstance(member, bytes) else str(member)


@contextmanager
def unavailable_named() -> Iterator[None]:
    """Turn what the Redis client raises inside the block (or the decorated function) into a StoreUnavailableError.

    A server that answers but refuses to work (out of memory, disk full, read-only) counts as unavailable too.
    """
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailableError(f"the job store does not answer: {error}") from error
