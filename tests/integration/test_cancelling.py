"""Cancelling a job of any kind, wherever it is: waiting, waiting behind others, running, between two processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bitextmine.errors import ConflictError
from bitextmine.jobs.record import JobKind, JobState, StageState
from bitextmine.tenants import DEFAULT_TENANT
from tests.integration.conftest import Jobs, WorkerProcess
from tests.integration.waiting import gone, wait_until

StartWorker = Callable[..., WorkerProcess]
SECONDS = 15.0  # that a loaded machine with two cores may need for what takes an idle one two


@pytest.fixture
def worker(start_worker: StartWorker, redis_url: str) -> WorkerProcess:
    return start_worker(redis_url)


@pytest.mark.parametrize("kind", JobKind)
def test_a_running_job_and_one_that_waits_behind_it(worker: WorkerProcess, jobs: Jobs, kind: JobKind) -> None:
    running = jobs.submit_waiting(kind=kind)
    jobs.in_stage(running, "wait")
    behind, last = jobs.submit_waiting(kind=kind), jobs.submit_waiting(kind=kind)
    assert jobs.store.request_cancel(behind).state is JobState.CANCELLED, "at once, though the worker is busy"
    process = jobs.running_process()
    jobs.store.request_cancel(running)
    wait_until(lambda: gone(process), "the process is gone", seconds=SECONDS)
    record = jobs.in_state(running, JobState.CANCELLED)
    assert [(stage.name, stage.state) for stage in record.stages] == [
        ("prepare", StageState.DONE),
        ("wait", StageState.STOPPED),
    ]
    jobs.let_go()
    assert jobs.ended(last).state is JobState.SUCCEEDED
    assert len(jobs.pids) == 2, "what was cancelled in the queue was never started"
    assert jobs.store.get(behind).attempts == 0


def test_a_job_is_cancelled_once(jobs: Jobs) -> None:
    job_id = jobs.submit_waiting()
    jobs.store.request_cancel(job_id)
    with pytest.raises(ConflictError) as caught:
        jobs.store.request_cancel(job_id)
    assert caught.value.code == "job-finished"


def test_a_job_whose_worker_died_is_cancelled_by_the_next(
    start_worker: StartWorker, redis_url: str, jobs: Jobs
) -> None:
    worker = start_worker(redis_url)
    job_id = jobs.submit_waiting()
    jobs.running_process()
    worker.kill()
    assert jobs.store.request_cancel(job_id).state is JobState.RUNNING  # nobody knows yet that it does not
    start_worker(redis_url)
    assert jobs.ended(job_id).state is JobState.CANCELLED
    assert len(jobs.pids) == 1


@pytest.mark.parametrize("tenant", [DEFAULT_TENANT, "acme"])
def test_the_upload_of_a_cancelled_job_goes_whosever_it_is(
    worker: WorkerProcess, jobs: Jobs, tmp_path: Path, tenant: str
) -> None:
    data = tmp_path / "data"
    root = data if tenant == DEFAULT_TENANT else data / "tenants" / tenant
    upload = root / "uploads" / "arrived"
    upload.parent.mkdir(parents=True, exist_ok=True)
    upload.write_text("text")
    spec = {"starts": str(tmp_path / "starts"), "until": str(tmp_path / "never"), "upload": upload.name}
    record = jobs.store.create(JobKind.INGEST, spec, tenant=tenant)
    jobs.in_stage(record.id, "wait")
    jobs.store.request_cancel(record.id)
    assert jobs.ended(record.id).state is JobState.CANCELLED
    wait_until(lambda: not upload.exists(), "the upload is gone")
