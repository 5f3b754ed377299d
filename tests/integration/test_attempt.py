"""An attempt whose process has done the job is done, also when it was to be stopped in the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bitextmine.jobs.record import JobKind, JobRecord
from bitextmine.jobs.store import JobStore
from bitextmine_indexer import attempt
from bitextmine_indexer.attempt import Attempt, Interruption
from bitextmine_indexer.runner import Died, Outcome, Succeeded
from bitextmine_indexer.settings import WorkerSettings
from bitextmine_indexer.tracking import Tracker

DONE = """cat > /dev/null; echo '{"result": {"pairs": 3}}'"""
DEAD = "cat > /dev/null; exit 3"

Run = Callable[..., Outcome | Interruption]


@pytest.fixture
def run(store: JobStore, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a shell command as the process of a job. The first look at it waits for its first word."""
    monkeypatch.setattr(attempt, "_LISTEN", 30.0)
    settings = WorkerSettings(REDIS_URL=redis_url, data_dir=tmp_path)
    stopping = threading.Event()

    def run(command: str, *, stop: bool = False, cancel: bool = False) -> Outcome | Interruption:
        record: JobRecord = store.create(JobKind.INGEST, {})
        record = store.start(record.id, "w")
        if cancel:
            store.request_cancel(record.id)
        if stop:
            stopping.set()
        shell = settings.model_copy(update={"child_command": ("/bin/sh", "-c", command)})
        return Attempt(store, shell, record, "owner", stopping).run(Tracker())

    return run


@pytest.mark.parametrize("wish", [{}, {"stop": True}, {"cancel": True}])
def test_what_is_done_is_done(run: Run, wish: dict[str, bool]) -> None:
    assert run(DONE, **wish) == Succeeded({"pairs": 3})


def test_a_death_while_the_worker_stops_is_not_the_jobs(run: Run) -> None:
    assert run(DEAD) == Died("exit status 3")
    assert run(DEAD, stop=True) is Interruption.SHUTDOWN
