"""Which records of finished jobs go, and how."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import redis

from bitextmine.jobs.listing import read
from bitextmine.jobs.names import INDEX, UNFINISHED, events_key, index_key, job_key, text
from bitextmine.jobs.record import JobRecord, oldest_id

_AT_ONCE = 1000


def surplus(client: redis.Redis, keep: int) -> list[JobRecord]:
    """The oldest finished jobs but for the newest `keep` of them, a thousand at most."""
    finished = client.zcard(INDEX) - client.scard(UNFINISHED)
    count = min(finished - keep, _AT_ONCE)
    if count <= 0:
        return []
    oldest = client.zrange(INDEX, 0, count + client.scard(UNFINISHED) - 1)
    return _finished(client, oldest)[:count]


def outdated(client: redis.Redis, time: datetime) -> list[JobRecord]:
    """Jobs that were over before then: of the thousand oldest."""
    oldest = client.zrange(INDEX, "-", f"({oldest_id(time)}", bylex=True, offset=0, num=_AT_ONCE)
    return [record for record in _finished(client, oldest) if record.finished and record.finished < time]


def _finished(client: redis.Redis, ids: Iterable[object]) -> list[JobRecord]:
    records = read(client, [text(job_id) for job_id in ids])
    return [record for record in records if record is not None and record.state.final]


def forget(client: redis.Redis, records: Iterable[JobRecord]) -> None:
    """Delete the records and all that leads to them."""
    with client.pipeline(transaction=True) as pipe:
        for record in records:
            pipe.delete(job_key(record.id), events_key(record.id))
            for index in (INDEX, index_key(record.tenant)):
                pipe.zrem(index, record.id)
        pipe.execute()
