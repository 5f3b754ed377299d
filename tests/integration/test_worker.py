"""The worker, its jobs' processes and Redis, each killed in turn: no job is lost, none runs twice, none is orphaned."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from bitextmine.jobs.queue import connect, enqueue
from bitextmine.jobs.record import JobKind, JobState
from tests.integration.conftest import Jobs, WorkerProcess
from tests.integration.valkey_server import valkey_server
from tests.integration.waiting import gone, wait_until

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def worker(start_worker: StartWorker, redis_url: str) -> WorkerProcess:
    return start_worker(redis_url)


def test_a_job_runs_and_its_record_tells_how(worker: WorkerProcess, jobs: Jobs, tmp_path: Path) -> None:
    job_id = jobs.submit_waiting(print='{"result": "nonsense"}')
    progress = jobs.in_stage(job_id, "wait").progress
    assert progress is not None
    assert progress.total == 1_000_000
    assert progress.rate is not None
    assert progress.eta_seconds == pytest.approx((1_000_000 - progress.done) / progress.rate)
    (name,) = jobs.store.leases.workers()
    jobs.let_go()
    record = jobs.ended(job_id)
    assert (record.state, record.attempts, record.worker) == (JobState.SUCCEEDED, 1, name)
    assert record.result is not None
    assert record.progress is not None
    assert record.progress.done == record.result["done"]  # the last report is never the one that is left out
    assert (record.result["kind"], record.result["root"]) == ("ingest", str(tmp_path / "data"))
    assert list(record.stage_seconds) == ["prepare", "wait"]
    assert '{"result": "nonsense"}' in worker.log
    assert worker.stop() == 0
    assert jobs.store.leases.workers() == []


@pytest.mark.parametrize(
    ("spec", "code", "detail"),
    [
        ({"error": "invalid-corpus"}, "invalid-corpus", "line 3: no good"),
        ({"memory": True}, "out-of-memory", "8 EiB"),
        ({"bug": "what?"}, "internal-error", "ValueError: what?"),
    ],
)
def test_a_job_that_fails_says_why_and_is_not_tried_again(
    worker: WorkerProcess, jobs: Jobs, spec: dict[str, object], code: str, detail: str
) -> None:
    record = jobs.ended(jobs.submit(**spec))
    assert (record.state, record.attempts) == (JobState.FAILED, 1)
    assert record.error is not None
    assert record.error.code == code
    assert detail in record.error.detail


def test_a_process_killed_in_the_middle_is_replaced(worker: WorkerProcess, jobs: Jobs) -> None:
    job_id = jobs.submit_waiting()
    os.kill(jobs.running_process(), signal.SIGKILL)
    assert jobs.running_process(attempt=2)
    jobs.let_go()
    record = jobs.ended(job_id)
    assert (record.state, record.attempts) == (JobState.SUCCEEDED, 2)


def test_a_job_that_kills_every_process_is_failed(worker: WorkerProcess, jobs: Jobs) -> None:
    record = jobs.ended(jobs.submit(die=99))
    assert (record.state, record.attempts) == (JobState.FAILED, 3)
    assert record.error is not None
    assert record.error.code == "job-crashed"
    assert "died 3 times without getting further: killed by SIGKILL" in record.error.detail
    assert len(jobs.pids) == 3


def test_deaths_after_new_work_do_not_count(worker: WorkerProcess, jobs: Jobs) -> None:
    record = jobs.ended(jobs.submit(die=7, publish=5))
    assert (record.state, record.attempts, record.fruitless_attempts) == (JobState.SUCCEEDED, 8, 3)


def test_a_job_that_got_further_and_then_kills_every_process_is_failed(worker: WorkerProcess, jobs: Jobs) -> None:
    record = jobs.ended(jobs.submit(die=99, publish=2))
    assert (record.state, record.attempts) == (JobState.FAILED, 5)
    assert record.error is not None
    assert "died 3 times without getting further" in record.error.detail


def test_a_worker_killed_again_and_again_does_not_fail_a_job_that_gets_further(
    start_worker: StartWorker, redis_url: str, jobs: Jobs
) -> None:
    job_id = jobs.submit_waiting(publish=99)
    for attempt in range(1, 4):
        worker = start_worker(redis_url, BITEXTMINE_MAX_ATTEMPTS="2")
        jobs.running_process(attempt)
        wait_until(lambda: jobs.store.get(job_id).fruitless_attempts == 0, "the store knows of the new work")
        worker.kill()
    start_worker(redis_url, BITEXTMINE_MAX_ATTEMPTS="2")
    jobs.running_process(4)
    jobs.let_go()
    record = jobs.ended(job_id)
    assert (record.state, record.attempts) == (JobState.SUCCEEDED, 4)


def test_cancelling_a_queued_job_keeps_it_from_running(start_worker: StartWorker, redis_url: str, jobs: Jobs) -> None:
    job_id = jobs.submit_waiting()
    jobs.store.request_cancel(job_id)
    start_worker(redis_url)
    jobs.let_go()
    next_id = jobs.submit_waiting()
    assert jobs.ended(next_id).state is JobState.SUCCEEDED
    assert jobs.store.get(job_id).state is JobState.CANCELLED
    assert len(jobs.pids) == 1


@pytest.mark.parametrize("deaf", [False, True])
def test_cancelling_a_running_job_ends_all_its_processes_at_once(worker: WorkerProcess, jobs: Jobs, deaf: bool) -> None:
    job_id = jobs.submit_waiting(helper=True, deaf=deaf)
    jobs.in_stage(job_id, "wait")
    pids = (jobs.running_process(), jobs.helper)
    jobs.store.request_cancel(job_id)
    wait_until(lambda: all(map(gone, pids)), "the job's processes are gone", seconds=4)  # 2 on an idle machine
    assert jobs.ended(job_id).state is JobState.CANCELLED


def test_the_upload_of_a_job_goes_when_the_job_is_over_however_it_ended(
    worker: WorkerProcess, jobs: Jobs, tmp_path: Path
) -> None:
    upload = tmp_path / "data" / "uploads" / "arrived"
    upload.parent.mkdir(parents=True, exist_ok=True)
    upload.write_text("text")
    job_id = jobs.submit_waiting(upload=upload.name)
    jobs.in_stage(job_id, "wait")
    assert upload.exists()
    jobs.store.request_cancel(job_id)
    jobs.ended(job_id)
    wait_until(lambda: not upload.exists(), "the upload is gone")


def test_a_killed_worker_leaves_no_process_and_its_successor_finishes_the_job(
    worker: WorkerProcess, start_worker: StartWorker, redis_url: str, jobs: Jobs
) -> None:
    job_id = jobs.submit_waiting()
    process = jobs.running_process()
    worker.kill()
    wait_until(lambda: gone(process), "the orphan is gone", seconds=5)
    assert jobs.store.get(job_id).state is JobState.RUNNING
    start_worker(redis_url)
    assert jobs.running_process(attempt=2)
    jobs.let_go()
    record = jobs.ended(job_id)
    assert (record.state, record.attempts) == (JobState.SUCCEEDED, 2)


def test_a_job_that_takes_its_worker_along_is_failed_in_the_end(
    start_worker: StartWorker, redis_url: str, jobs: Jobs
) -> None:
    job_id = jobs.submit_waiting()
    for attempt in (1, 2):
        worker = start_worker(redis_url, BITEXTMINE_MAX_ATTEMPTS="2")
        jobs.running_process(attempt)
        worker.kill()
    start_worker(redis_url, BITEXTMINE_MAX_ATTEMPTS="2")
    record = jobs.ended(job_id)
    assert record.error is not None
    assert record.error.code == "job-crashed"
    assert "died 2 times without getting further: together with its worker (2 times)" in record.error.detail


def test_a_job_whose_message_is_lost_is_found(worker: WorkerProcess, jobs: Jobs, tmp_path: Path) -> None:
    jobs.let_go()
    record = jobs.store.create(JobKind.MINE, {"starts": str(tmp_path / "starts")})
    assert jobs.ended(record.id).state is JobState.SUCCEEDED


def test_redis_killed_in_the_middle_stops_nothing(start_worker: StartWorker, tmp_path: Path) -> None:
    with valkey_server(tmp_path / "valkey") as server, connect(server.url) as client:
        jobs = Jobs(client, tmp_path)
        worker = start_worker(server.url)
        job_id = jobs.submit_waiting()
        jobs.in_stage(job_id, "wait")
        process = jobs.running_process()
        server.kill()
        wait_until(lambda: "goes on without the job store" in worker.log, "the worker has noticed")
        jobs.let_go()
        wait_until(lambda: gone(process), "the process has ended")
        wait_until(lambda: "waiting for the job store" in worker.log, "the worker keeps the result")
        server.start()
        record = jobs.ended(job_id)
        assert (record.state, record.attempts) == (JobState.SUCCEEDED, 1)
        assert jobs.ended(jobs.submit_waiting()).state is JobState.SUCCEEDED  # and it takes the next
        assert worker.alive


def test_a_lease_that_ran_out_with_redis_down_is_taken_up_again(start_worker: StartWorker, tmp_path: Path) -> None:
    with valkey_server(tmp_path / "valkey") as server, connect(server.url) as client:
        jobs = Jobs(client, tmp_path)
        worker = start_worker(server.url)
        job_id = jobs.submit_waiting()
        jobs.in_stage(job_id, "wait")
        server.kill()
        wait_until(lambda: "goes on without the job store" in worker.log, "the worker has noticed")
        server.start()
        client.delete(f"bitextmine:lease:{job_id}")
        wait_until(lambda: jobs.store.leases.held(job_id), "the worker has the lease again")
        jobs.let_go()
        assert jobs.ended(job_id).attempts == 1


def test_a_worker_whose_lease_went_to_another_gives_up(worker: WorkerProcess, jobs: Jobs, client: redis.Redis) -> None:
    job_id = jobs.submit_waiting()
    process = jobs.running_process()
    client.set(f"bitextmine:lease:{job_id}", "someone-else", px=60_000)
    wait_until(lambda: gone(process), "the process is gone")
    wait_until(lambda: "given up" in worker.log, "the worker has let go")
    assert jobs.store.get(job_id).state is JobState.RUNNING


def test_a_worker_that_is_told_to_stop_puts_its_job_back(
    worker: WorkerProcess, start_worker: StartWorker, redis_url: str, jobs: Jobs
) -> None:
    job_id = jobs.submit_waiting()
    process = jobs.running_process()
    assert worker.stop() == 0
    assert gone(process)
    record = jobs.store.get(job_id)
    assert (record.state, record.attempts, record.cancel_requested) == (JobState.QUEUED, 0, False)
    assert not jobs.store.leases.held(job_id)
    jobs.let_go()
    start_worker(redis_url)
    record = jobs.ended(job_id)
    assert (record.state, record.attempts) == (JobState.SUCCEEDED, 1)


def test_what_one_worker_puts_back_another_takes_at_once(start_worker: StartWorker, redis_url: str, jobs: Jobs) -> None:
    """With leases and sweeps so rare that waiting for them would take too long."""
    first = start_worker(redis_url, BITEXTMINE_HEARTBEAT_SECONDS="600")
    job_id = jobs.submit_waiting()
    jobs.running_process()
    start_worker(redis_url, BITEXTMINE_HEARTBEAT_SECONDS="600")
    wait_until(lambda: len(jobs.store.leases.workers()) == 2, "the other is there")
    assert first.stop() == 0
    jobs.running_process(attempt=2)
    jobs.let_go()
    record = jobs.ended(job_id)
    assert (record.state, record.attempts) == (JobState.SUCCEEDED, 1)


def test_a_worker_stops_while_redis_is_gone(start_worker: StartWorker, tmp_path: Path) -> None:
    with valkey_server(tmp_path / "valkey") as server, connect(server.url) as client:
        jobs = Jobs(client, tmp_path)
        worker = start_worker(server.url)
        job_id = jobs.submit_waiting()
        process = jobs.running_process()
        server.kill()
        assert worker.stop() == 0
        assert gone(process)
        server.start()
        assert jobs.store.get(job_id).state is JobState.RUNNING
        start_worker(server.url)
        jobs.let_go()
        assert jobs.ended(job_id).state is JobState.SUCCEEDED


def test_a_message_that_comes_twice_runs_the_job_once(
    start_worker: StartWorker, redis_url: str, jobs: Jobs, broker: RedisBroker
) -> None:
    job_id = jobs.submit_waiting()
    enqueue(broker, job_id)
    worker = start_worker(redis_url, BITEXTMINE_JOBS_AT_ONCE="2", BITEXTMINE_LOG_LEVEL="DEBUG")
    wait_until(lambda: "another has it" in worker.log, "the copy was seen")
    jobs.let_go()
    record = jobs.ended(job_id)
    enqueue(broker, job_id)
    last = jobs.ended(jobs.submit_waiting())
    assert (record.state, last.state) == (JobState.SUCCEEDED, JobState.SUCCEEDED)
    assert len(jobs.pids) == 2


def test_a_worker_started_before_redis_waits_for_it(start_worker: StartWorker, tmp_path: Path) -> None:
    with valkey_server(tmp_path / "valkey") as server, connect(server.url) as client:
        server.kill()
        worker = start_worker(server.url)
        wait_until(lambda: "does not answer" in worker.log, "the worker has noticed")
        server.start()
        jobs = Jobs(client, tmp_path)
        jobs.let_go()
        assert jobs.ended(jobs.submit_waiting()).state is JobState.SUCCEEDED
        wait_until(lambda: len(jobs.store.leases.workers()) == 1, "the worker says that it lives")
