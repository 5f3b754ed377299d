"""Lists of jobs, newest first: a page costs a bounded amount of work, however few jobs match."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import redis

from bitextmine.jobs.names import index_key, job_key, text
from bitextmine.jobs.record import JobKind, JobRecord, JobState, oldest_id

_STEP = 250  # records read at once where not all match
_MOST_READ = 2000  # for a page


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are wanted: those that meet all of these; an empty set and None are met by all."""

    states: frozenset[JobState] = frozenset()
    kinds: frozenset[JobKind] = frozenset()
    corpus: str | None = None  # that the job reads or makes
    since: datetime | None = None  # created then or later
    until: datetime | None = None  # created earlier

    @property
    def by_age_alone(self) -> bool:
        return not (self.states or self.kinds or self.corpus)

    def admits(self, record: JobRecord) -> bool:
        """Whether the record meets it; `newest` has seen to its age."""
        return (
            (not self.states or record.state in self.states)
            and (not self.kinds or record.kind in self.kinds)
            and (self.corpus is None or self.corpus in record.corpora)
        )


EVERY_JOB = JobFilter()


@dataclass(frozen=True, slots=True)
class JobListing:
    """Some jobs, and the id after which the next page begins; None when there are no more for certain."""

    records: list[JobRecord]
    following: str | None


def newest(
    client: redis.Redis,
    limit: int,
    *,
    before: str | None = None,
    tenant: str | None = None,
    wanted: JobFilter = EVERY_JOB,
) -> JobListing:
    """Up to `limit` of the jobs wanted (of a tenant); `before` is `following` of the page before.

    There may be fewer, even none, with more to come on the next page: where few match, reading goes on there.
    """
    step = limit + 1 if wanted.by_age_alone else max(limit + 1, _STEP)
    found: list[JobRecord] = []
    last, read = _top(before, wanted), 0
    while read < _MOST_READ:
        records = _older(client, tenant, last, wanted, step)
        for job_id, record in records:
            if record is not None and wanted.admits(record):
                found.append(record)
            if len(found) > limit:
                return JobListing(found[:limit], found[limit - 1].id)
            last, read = job_id, read + 1
        if len(records) < step:
            return JobListing(found, None)
    return JobListing(found, last)


def _top(before: str | None, wanted: JobFilter) -> str | None:
    """The listed ids are less than this."""
    tops = [before] if before else []
    if wanted.until is not None:
        tops.append(oldest_id(wanted.until))
    return min(tops, default=None)


def _older(
    client: redis.Redis, tenant: str | None, last: str | None, wanted: JobFilter, most: int
) -> list[tuple[str, JobRecord | None]]:
    """The jobs before `last`, newest first; None in place of a record that has just been deleted."""
    newest = f"({last}" if last else "+"
    oldest = f"[{oldest_id(wanted.since)}" if wanted.since is not None else "-"
    found = client.zrange(index_key(tenant), newest, oldest, desc=True, bylex=True, offset=0, num=most)
    ids = [text(job_id) for job_id in found]
    return list(zip(ids, read(client, ids), strict=True))


def read(client: redis.Redis, ids: list[str]) -> list[JobRecord | None]:
    """The records of these jobs; None for those that are not there."""
    stored = client.mget([job_key(job_id) for job_id in ids]) if ids else []
    return [JobRecord.model_validate_json(record) if record is not None else None for record in stored]
