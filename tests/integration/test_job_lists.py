"""Lists of jobs and their end, on a real server: filters, cursors, bounded pages, what is forgotten when."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
import redis

from bitextmine.jobs import listing
from bitextmine.jobs.listing import EVERY_JOB, JobFilter
from bitextmine.jobs.names import events_key, index_key, job_key
from bitextmine.jobs.record import JobKind, JobRecord, JobState, oldest_id
from bitextmine.jobs.store import JobStore

STATES = [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED]


def some_jobs(store: JobStore, count: int) -> list[JobRecord]:
    """Jobs of all kinds, states and tenants, the newest first."""
    chance = random.Random(7)
    ids = []
    for number in range(count):
        kind = chance.choice(list(JobKind))
        spec = {"name": f"c{number % 3}"} if kind is JobKind.INGEST else {"src": f"c{number % 3}", "tgt": "c9"}
        record = store.create(kind, spec, tenant=chance.choice(["default", "other"]))
        state = chance.choice(STATES)
        if state is not JobState.QUEUED:
            store.start(record.id, "w")
        if state.final:
            store.finish(record.id, state)
        ids.append(record.id)
    return [store.get(job_id) for job_id in reversed(ids)]


def pages(store: JobStore, limit: int, wanted: JobFilter, tenant: str | None = None) -> list[str]:
    """All ids, page by page; each page is within its limit."""
    found: list[str] = []
    cursor = None
    for _ in range(1000):
        page = store.page(limit, cursor, tenant=tenant, wanted=wanted)
        assert len(page.records) <= limit
        found += [record.id for record in page.records]
        if page.following is None:
            return found
        assert cursor is None or page.following < cursor, "the next page is further on"
        cursor = page.following
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_filters_find_what_a_plain_comparison_finds(
    store: JobStore, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_STEP", 5)
    monkeypatch.setattr(listing, "_MOST_READ", 20)  # so that pages come back short, or empty
    jobs = some_jobs(store, 60)
    middle = jobs[30].created
    for tenant in (None, "default", "other"):
        for wanted in (
            EVERY_JOB,
            JobFilter(states=frozenset([JobState.FAILED])),
            JobFilter(states=frozenset([JobState.QUEUED, JobState.RUNNING]), kinds=frozenset([JobKind.MINE])),
            JobFilter(corpus="c1"),
            JobFilter(corpus="c9", kinds=frozenset([JobKind.INGEST])),
            JobFilter(since=middle),
            JobFilter(until=middle),
            JobFilter(since=jobs[40].created, until=jobs[20].created, states=frozenset([JobState.SUCCEEDED])),
            JobFilter(since=jobs[20].created, until=jobs[40].created),
        ):
            expected = [
                job.id
                for job in jobs
                if (tenant is None or job.tenant == tenant)
                and (not wanted.states or job.state in wanted.states)
                and (not wanted.kinds or job.kind in wanted.kinds)
                and (wanted.corpus is None or wanted.corpus in job.spec.values())
                and (wanted.since is None or job.created >= wanted.since)
                and (wanted.until is None or job.created < wanted.until)
            ]
            assert pages(store, limit, wanted, tenant) == expected


def test_a_page_costs_a_bounded_amount_of_work(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_STEP", 5)
    monkeypatch.setattr(listing, "_MOST_READ", 10)
    jobs = some_jobs(store, 30)
    page = store.page(3, wanted=JobFilter(corpus="there-is-none"))
    assert page.records == []
    assert page.following == jobs[9].id


@pytest.mark.parametrize(
    "time", [datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
)
def test_times_of_any_year_are_times(store: JobStore, time: datetime) -> None:
    some_jobs(store, 3)
    found = (
        len(store.page(9, wanted=JobFilter(since=time)).records),
        len(store.page(9, wanted=JobFilter(until=time)).records),
    )
    assert found == ((3, 0) if time.year < 2000 else (0, 3))


def test_ids_begin_with_the_time_of_creation(store: JobStore) -> None:
    record = store.create(JobKind.MINE, {})
    assert record.id.startswith(oldest_id(record.created))
    assert oldest_id(record.created) < oldest_id(record.created + timedelta(microseconds=1))


def test_unfinished_jobs_are_counted_by_tenant(store: JobStore) -> None:
    first = store.create(JobKind.MINE, {}, tenant="one")
    second = store.create(JobKind.MINE, {}, tenant="two")
    assert store.count_unfinished("one") == (2, 1)
    assert store.unfinished("two") == [second.id]
    store.request_cancel(first.id)
    assert store.count_unfinished("one") == (1, 0)
    assert [record.id for record in store.unfinished_records("two")] == [second.id]


def test_jobs_that_ended_long_ago_are_forgotten(store: JobStore, client: redis.Redis) -> None:
    old, recent, running = (store.create(JobKind.MINE, {}) for _ in range(3))
    store.finish(old.id, JobState.FAILED)
    store.finish(recent.id, JobState.SUCCEEDED)
    month = timedelta(days=30)
    for record in (old, running, recent):  # all created long ago; one of them has ended then
        age(client, record.id, created=month * 2)
    age(client, old.id, finished=month * 1.5)
    assert store.prune(1000, month) == 1
    assert {record.id for record in store.page(9).records} == {aged(recent.id), aged(running.id)}
    assert client.exists(job_key(aged(old.id)), events_key(aged(old.id))) == 0
    assert store.prune(1000, month) == 0


_AGED: dict[str, str] = {}


def aged(job_id: str) -> str:
    return _AGED.get(job_id, job_id)


def age(
    client: redis.Redis, job_id: str, created: timedelta = timedelta(0), finished: timedelta = timedelta(0)
) -> None:
    """Let a job be older: its id is its age, so it gets another."""
    record = JobRecord.model_validate_json(client.get(job_key(aged(job_id))))  # type: ignore[arg-type]
    before = record.id
    if created:
        record.created -= created
        record.id = oldest_id(record.created) + record.id[14:]
        _AGED[job_id] = record.id
        for index in ("bitextmine:jobs", index_key(record.tenant)):
            client.zrem(index, before)
            client.zadd(index, {record.id: 0})
        if client.srem("bitextmine:unfinished", before):
            client.sadd("bitextmine:unfinished", record.id)
        client.rename(events_key(before), events_key(record.id))
        client.delete(job_key(before))
    if finished and record.finished:
        record.finished -= finished
    client.set(job_key(record.id), record.model_dump_json())
