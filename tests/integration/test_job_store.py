"""The job store on a real server: legal changes only, none lost between writers, and one error when it is gone."""

from __future__ import annotations

import threading
from datetime import UTC
from pathlib import Path

import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from bitextmine.errors import ConflictError, NotFoundError, ParameterError, StoreUnavailableError
from bitextmine.jobs.queue import connect, enqueue, make_broker
from bitextmine.jobs.record import JobError, JobKind, JobProgress, JobStage, JobState, StageState
from bitextmine.jobs.store import JobStore
from tests.integration.valkey_server import valkey_server
from tests.integration.waiting import wait_until


def test_a_job_from_beginning_to_end(store: JobStore) -> None:
    created = store.create(JobKind.MINE, {"src": "deu", "k": 4})
    assert store.get(created.id) == created
    assert created.state is JobState.QUEUED
    assert created.created.tzinfo is UTC
    assert store.unfinished() == [created.id]

    started = store.start(created.id, "w1")
    assert (started.state, started.attempts, started.worker) == (JobState.RUNNING, 1, "w1")

    progress = JobProgress(stage="encode", done=5, total=10, rate=2.5, eta_seconds=2.0)
    stages = [
        JobStage(name="read", state=StageState.DONE, done=3, total=3, seconds=1.5),
        JobStage(name="encode", state=StageState.RUNNING, done=5, total=10, seconds=4, rate=2.5, eta_seconds=2.0),
    ]
    assert store.progress(created.id, progress, stages).progress == progress
    assert list(store.get(created.id).stages) == stages

    finished = store.finish(created.id, JobState.SUCCEEDED, result={"pairs": 3})
    assert finished == store.get(created.id)
    assert (finished.result, finished.progress) == ({"pairs": 3}, progress)
    assert finished.stage_seconds == {"read": 1.5, "encode": 4.0}
    assert [(stage.state, stage.eta_seconds) for stage in finished.stages] == [(StageState.DONE, None)] * 2
    assert finished.started is not None
    assert finished.finished is not None
    assert finished.created <= finished.started <= finished.finished
    assert store.unfinished() == []


def test_a_final_state_never_changes(store: JobStore) -> None:
    job_id = store.create(JobKind.INGEST, {}).id
    store.finish(job_id, JobState.FAILED, error=JobError(code="invalid-corpus", detail="empty"))
    before = store.get(job_id)
    for change in (
        lambda: store.start(job_id, "w"),
        lambda: store.put_back(job_id),
        lambda: store.progress(job_id, JobProgress(stage="s", done=1), []),
        lambda: store.finish(job_id, JobState.SUCCEEDED),
        lambda: store.request_cancel(job_id),
    ):
        with pytest.raises(ConflictError) as caught:
            change()
        assert caught.value.code == "job-finished"
    assert store.get(job_id) == before


def test_only_a_final_state_finishes(store: JobStore) -> None:
    with pytest.raises(ValueError, match="not a final state"):
        store.finish(store.create(JobKind.INGEST, {}).id, JobState.RUNNING)


def test_cancelling_a_queued_job_ends_it_and_a_running_one_is_asked(store: JobStore) -> None:
    queued, running = (store.create(JobKind.INGEST, {}).id for _ in range(2))
    store.start(running, "w")
    assert store.request_cancel(queued).state is JobState.CANCELLED
    record = store.request_cancel(running)
    assert (record.state, record.cancel_requested) == (JobState.RUNNING, True)
    assert store.unfinished() == [running]
    assert store.put_back(running).state is JobState.CANCELLED  # nobody will run it again to find out
    assert store.unfinished() == []


def test_putting_back_does_not_count_the_attempt(store: JobStore) -> None:
    job_id = store.create(JobKind.INGEST, {}).id
    store.start(job_id, "w")
    store.start(job_id, "w")
    record = store.put_back(job_id)
    assert (record.state, record.attempts, record.worker) == (JobState.QUEUED, 1, None)


def test_jobs_are_listed_newest_first_in_pages(store: JobStore) -> None:
    ids = sorted((store.create(JobKind.INGEST, {"number": n}).id for n in range(7)), reverse=True)
    pages: list[str] = []
    cursor = None
    while page := store.page(3, cursor).records:
        pages += [record.id for record in page]
        cursor = page[-1].id
    assert pages == ids


def test_unfinished_records_come_oldest_first(store: JobStore) -> None:
    ids = sorted(store.create(JobKind.INGEST, {"number": n}).id for n in range(3))
    store.request_cancel(ids[1])
    assert [record.id for record in store.unfinished_records()] == [ids[0], ids[2]]


def test_pruning_keeps_the_newest_finished_jobs_and_all_unfinished_ones(store: JobStore) -> None:
    ids = sorted(store.create(JobKind.INGEST, {"number": n}).id for n in range(9))
    assert store.prune(0) == 0
    for job_id in (*ids[1:4], *ids[5:]):
        store.request_cancel(job_id)
    assert store.prune(7) == 0
    assert store.prune(2) == 5
    assert [record.id for record in store.page(99).records] == [ids[8], ids[7], ids[4], ids[0]]
    assert store.unfinished() == [ids[0], ids[4]]


def test_attempts_that_left_something_do_not_count_as_fruitless(store: JobStore) -> None:
    job_id = store.create(JobKind.INGEST, {}).id
    for _ in range(2):
        store.start(job_id, "w")
    store.progress(job_id, JobProgress(stage="s", done=1), [])
    assert store.get(job_id).fruitless_attempts == 2
    store.progress(job_id, None, [], fruitful=True)
    assert store.put_back(job_id).fruitless_attempts == 0
    record = store.start(job_id, "w")
    assert (record.attempts, record.fruitless_attempts) == (2, 1)
    assert store.put_back(job_id).fruitless_attempts == 0


def test_deleting_forgets_finished_jobs_only(store: JobStore) -> None:
    job_id = store.create(JobKind.INGEST, {}).id
    with pytest.raises(ConflictError) as caught:
        store.delete(job_id)
    assert caught.value.code == "job-unfinished"
    store.request_cancel(job_id)
    store.delete(job_id)
    assert store.page(10).records == []
    with pytest.raises(NotFoundError) as missing:
        store.get(job_id)
    assert missing.value.code == "job-not-found"


def test_a_lease_has_one_owner_until_it_is_released_or_runs_out(store: JobStore) -> None:
    assert store.leases.acquire("j", "a", 60)
    assert store.leases.acquire("j", "a", 60)
    assert not store.leases.acquire("j", "b", 60)
    assert not store.leases.release("j", "b")
    assert store.leases.held("j")
    assert store.leases.release("j", "a")
    assert not store.leases.held("j")
    assert store.leases.acquire("j", "b", 0.1)
    wait_until(lambda: store.leases.acquire("j", "a", 60), "the lease ran out")


def test_workers_are_live_while_they_beat(store: JobStore) -> None:
    store.leases.beat("w1", 60)
    store.leases.beat("w2", 60)
    store.leases.beat("w3", 0.1)
    wait_until(lambda: store.leases.workers() == ["w1", "w2"], "w3 counts as dead")
    store.leases.retire("w1")
    assert store.leases.workers() == ["w2"]


def test_no_change_is_lost_between_writers(store: JobStore) -> None:
    job_id = store.create(JobKind.INGEST, {}).id
    threads = [threading.Thread(target=lambda: [store.start(job_id, "w") for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(job_id).attempts == 80


def test_a_message_carries_the_id_alone(client: redis.Redis, broker: RedisBroker) -> None:
    enqueue(broker, "some-job")
    enqueue(broker, "some-job", delay_seconds=30)
    for queue in ("bitextmine", "bitextmine.DQ"):
        (message,) = client.hvals(f"bitextmine:queue:{queue}.msgs")
        assert b'"args":["some-job"],"kwargs":{}' in message


def test_a_server_that_is_gone_is_one_error_and_its_data_survives_kill_9(tmp_path: Path) -> None:
    with valkey_server(tmp_path / "valkey") as server, connect(server.url) as client:
        store = JobStore(client)
        broker = make_broker(client)
        record = store.create(JobKind.INGEST, {"text": "größer"})
        server.kill()
        for use in (
            lambda: store.get(record.id),
            lambda: store.create(JobKind.INGEST, {}),
            lambda: store.start(record.id, "w"),
            lambda: store.page(1),
            lambda: store.leases.acquire("j", "a", 1),
            store.leases.workers,
            lambda: enqueue(broker, record.id),
        ):
            with pytest.raises(StoreUnavailableError):
                use()
        server.start()
        assert store.get(record.id) == record


@pytest.mark.parametrize("url", ["http://localhost", "nonsense", "redis://h:port", "redis://[::1", "redis://h?what=1"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ParameterError, match="not a Redis URL"):
        connect(url)
