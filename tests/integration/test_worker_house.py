"""A worker's settings and housekeeping: wrong ones are told in a line, stray files stop nothing, records are few."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bitextmine.jobs.record import JobState
from tests.integration.conftest import Jobs, WorkerProcess
from tests.integration.waiting import wait_until

StartWorker = Callable[..., WorkerProcess]


@pytest.mark.parametrize("wrong", [{"MAX_ATTEMPTS": "0"}, {"MEMORY": "lots"}, {"LOG_LEVEL": "chatty"}])
def test_wrong_settings_are_one_line_and_exit_status_2(
    start_worker: StartWorker, redis_url: str, wrong: dict[str, str]
) -> None:
    ((name, value),) = wrong.items()
    worker = start_worker(redis_url, **{f"BITEXTMINE_{name}": value})
    wait_until(lambda: not worker.alive, "the worker has ended")
    assert worker.stop() == 2
    (line,) = worker.log.splitlines()
    assert line.startswith(f"bitextmine: BITEXTMINE_{name}: ")


def test_a_redis_url_that_is_none_is_one_line_and_exit_status_2(start_worker: StartWorker) -> None:
    worker = start_worker("nonsense")
    wait_until(lambda: not worker.alive, "the worker has ended")
    assert worker.stop() == 2
    (line,) = worker.log.splitlines()
    assert line.startswith("bitextmine: REDIS_URL: 'nonsense' is not a Redis URL: ")


def test_stray_entries_are_told_once_and_stop_nothing(
    start_worker: StartWorker, redis_url: str, jobs: Jobs, tmp_path: Path
) -> None:
    uploads, staging = (tmp_path / "data" / name for name in ("uploads", "artifacts/.staging"))
    for folder in (uploads / "folder", staging):
        folder.mkdir(parents=True)
        os.utime(folder, (0, 0))
    (staging / "loop").symlink_to("loop")
    worker = start_worker(redis_url, BITEXTMINE_HEARTBEAT_SECONDS="0.6")
    wait_until(lambda: worker.log.count("left alone") == 2, "both were told of")
    jobs.let_go()
    assert jobs.ended(jobs.submit_waiting()).state is JobState.SUCCEEDED
    time.sleep(1)  # five rounds of housekeeping
    assert worker.alive
    assert worker.log.count("left alone") == 2


def test_of_finished_jobs_the_oldest_are_dropped(start_worker: StartWorker, redis_url: str, jobs: Jobs) -> None:
    start_worker(redis_url, BITEXTMINE_MAX_FINISHED_JOBS="2")
    jobs.let_go()
    ids = [jobs.submit_waiting() for _ in range(5)]
    wait_until(
        lambda: [record.id for record in jobs.store.page(9).records] == sorted(ids, reverse=True)[:2], "two are left"
    )
