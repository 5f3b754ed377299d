"""Creating jobs on a real server: never two for one key, never more than there is room for, events from the start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from bitextmine.errors import BitextmineError, ConflictError, ParameterError
from bitextmine.jobs import once
from bitextmine.jobs.events import JobEvent
from bitextmine.jobs.names import events_key, once_key
from bitextmine.jobs.once import AlreadyMade, Claim, Room
from bitextmine.jobs.record import JobKind, JobProgress, JobRecord, JobStage, JobState, StageState
from bitextmine.jobs.store import JobStore
from tests.integration.waiting import wait_until

ALL_AT_ONCE = 16


def at_once(work: Callable[[], object]) -> list[object]:
    """What so many threads get that begin together; exceptions are results too."""
    barrier = threading.Barrier(ALL_AT_ONCE)

    def begin() -> object:
        barrier.wait()
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(ALL_AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(begin) for _ in range(ALL_AT_ONCE)]]


def test_one_of_many_claims_a_key(store: JobStore) -> None:
    results = at_once(lambda: store.claims.begin("default", "key"))
    (claim,) = [result for result in results if isinstance(result, Claim)]
    refused = [result for result in results if isinstance(result, ConflictError)]
    assert len(refused) == ALL_AT_ONCE - 1
    assert {error.code for error in refused} == {"idempotency-key-in-use"}
    store.claims.release(claim)
    assert store.claims.begin("default", "key").made is None
    assert store.claims.begin("other", "key").made is None, "keys belong to tenants"


def test_a_key_whose_claims_ran_out_makes_one_job(store: JobStore, client: redis.Redis) -> None:
    """Each thread has a claim that the next one did not see."""

    def ran_out() -> Claim:
        claim = store.claims.begin("default", "key").of("f")
        store.claims.release(claim)
        return claim

    claims = [ran_out() for _ in range(ALL_AT_ONCE)]
    results = at_once(lambda: store.create(JobKind.MINE, {}, claim=claims.pop()))
    (made,) = [result for result in results if isinstance(result, JobRecord)]
    later = [result for result in results if isinstance(result, AlreadyMade)]
    assert {found.made.job_id for found in later} == {made.id}
    assert len(later) == ALL_AT_ONCE - 1
    assert store.unfinished() == [made.id]
    found = store.claims.begin("default", "key").made
    assert found is not None
    found.check("f")
    with pytest.raises(ParameterError) as caught:
        found.check("g")
    assert caught.value.code == "idempotency-key-reused"
    assert 86_000 < client.ttl(once_key("default", "key")) <= 86_400


def test_a_claim_runs_out_unless_it_is_renewed(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "CLAIM_SECONDS", 0.2)
    first = store.claims.begin("default", "key")
    wait_until(lambda: _begun(store), "the claim has run out")
    assert not store.claims.renew(first)
    store.claims.release(first)  # it is another's now
    monkeypatch.setattr(once, "CLAIM_SECONDS", 60)
    second = store.claims.begin("default", "other")
    assert store.claims.renew(second)


def _begun(store: JobStore) -> bool:
    try:
        return store.claims.begin("default", "key").made is None
    except ConflictError:
        return False


def test_releasing_a_key_that_made_a_job_changes_nothing(store: JobStore) -> None:
    claim = store.claims.begin("default", "key").of("f")
    record = store.create(JobKind.MINE, {}, claim=claim)
    store.claims.release(claim)
    assert not store.claims.renew(claim)
    found = store.claims.begin("default", "key").made
    assert found is not None
    assert found.job_id == record.id


@pytest.mark.parametrize(("room", "most"), [(Room(all=5), 5), (Room(tenant=3), 3), (Room(9, 4), 4), (Room(2, 4), 2)])
def test_there_is_never_more_than_there_is_room_for(store: JobStore, room: Room, most: int) -> None:
    results = at_once(lambda: store.create(JobKind.MINE, {}, room=room))
    refused = [result for result in results if isinstance(result, BitextmineError)]
    assert len(store.unfinished()) == most
    assert len(refused) == ALL_AT_ONCE - most
    assert {error.code for error in refused} == {"too-many-jobs"}
    with pytest.raises(BitextmineError, match="jobs are waiting or running"):
        room.check(*store.count_unfinished("default"))
    if room.all is None:
        assert store.create(JobKind.MINE, {}, tenant="other", room=room).tenant == "other"


def test_a_creation_that_is_sent_twice_is_done_once(store: JobStore, client: redis.Redis) -> None:
    """The client sends a command again when the connection broke before the answer."""
    record = JobRecord.new(JobKind.MINE, {})
    claim = store.claims.begin("default", "key").of("f")
    for _ in range(2):
        once.Creation(client)(record, Room(all=1), claim)
    assert store.get(record.id) == record
    assert client.xlen(events_key(record.id)) == 1


def events_of(client: redis.Redis, job_id: str) -> list[JobEvent]:
    return [JobEvent.parse(entry, fields) for entry, fields in client.xrange(events_key(job_id))]


def test_every_change_is_an_event_with_the_records_version(store: JobStore, client: redis.Redis) -> None:
    job_id = store.create(JobKind.MINE, {"k": 4}).id
    records = [store.get(job_id), store.start(job_id, "w")]
    progress = JobProgress(stage="s", done=1, total=2)
    stage = JobStage(name="s", state=StageState.RUNNING, done=1, total=2)
    told = store.progress(job_id, progress, [stage])
    assert store.progress(job_id, progress, [stage]).version == told.version, "nothing is new"
    records.append(store.finish(job_id, JobState.FAILED))
    events = events_of(client, job_id)
    assert [event.news for event in events] == [records[0], records[1], progress, records[2]]
    assert [event.version for event in events[:3]] == [records[0].version, records[1].version, told.version]
    assert events[3].version == records[2].version
    assert sorted({event.version for event in events}) == [event.version for event in events]
    assert 0 < client.ttl(events_key(job_id)) <= 3600
    assert records[2].stages == (stage.ended(StageState.STOPPED),)


def test_a_stream_is_bounded_and_goes_with_the_job(store: JobStore, client: redis.Redis) -> None:
    job_id = store.create(JobKind.MINE, {}).id
    for done in range(600):
        store.progress(job_id, JobProgress(stage="s", done=done), [])
    assert client.xlen(events_key(job_id)) == 500
    assert client.ttl(events_key(job_id)) == -1
    store.request_cancel(job_id)
    store.delete(job_id)
    assert client.exists(events_key(job_id)) == 0
