"""Real processes for every test: one Valkey server for all, emptied in between, and workers as they are started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from bitextmine.jobs.queue import connect, enqueue, make_broker
from bitextmine.jobs.record import JobKind, JobRecord, JobState
from bitextmine.jobs.store import JobStore
from bitextmine.lifetime import mortal
from tests.integration.valkey_server import ValkeyServer, valkey_server
from tests.integration.waiting import PATIENCE, wait_until

SLEEPY_STAGES = (sys.executable, str(Path(__file__).with_name("sleepy_stages.py")))
HEARTBEAT_SECONDS = 2.0


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(shared_valkey: ValkeyServer) -> str:
    """The URL of an empty server."""
    with connect(shared_valkey.url) as client:
        client.flushall()
    return shared_valkey.url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def store(client: redis.Redis) -> JobStore:
    return JobStore(client)


@pytest.fixture
def broker(client: redis.Redis) -> RedisBroker:
    return make_broker(client, HEARTBEAT_SECONDS)


class Jobs:
    """Sleepy jobs in one store, and what their processes leave behind in `folder`."""

    def __init__(self, client: redis.Redis, folder: Path) -> None:
        self.store = JobStore(client)
        self.broker = make_broker(client, HEARTBEAT_SECONDS)
        self._folder = folder

    def submit(self, *, kind: JobKind = JobKind.INGEST, **spec: Any) -> str:
        """A job of this spec; it waits for `let_go` unless it has something else to do."""
        record = self.store.create(kind, {"starts": str(self._folder / "starts"), **spec})
        enqueue(self.broker, record.id)
        return record.id

    def submit_waiting(self, *, kind: JobKind = JobKind.INGEST, **spec: Any) -> str:
        return self.submit(kind=kind, until=str(self._folder / "go"), **spec)

    def let_go(self) -> None:
        (self._folder / "go").touch()

    @property
    def pids(self) -> list[int]:
        """The process of every attempt so far."""
        starts = self._folder / "starts"
        return [int(line) for line in starts.read_text().split()] if starts.exists() else []

    @property
    def helper(self) -> int:
        return int((self._folder / "starts.helper").read_text())

    def running_process(self, attempt: int = 1) -> int:
        """The id of the attempt's process, once it works."""
        wait_until(lambda: len(self.pids) >= attempt, f"attempt {attempt} has begun")
        return self.pids[attempt - 1]

    def in_stage(self, job_id: str, stage: str) -> JobRecord:
        def there() -> bool:
            progress = self.store.get(job_id).progress
            return progress is not None and progress.stage == stage and (progress.rate or 0) > 0

        wait_until(there, f"stage {stage}")
        return self.store.get(job_id)

    def ended(self, job_id: str) -> JobRecord:
        wait_until(lambda: self.store.get(job_id).state.final, "the job is over")
        return self.store.get(job_id)

    def in_state(self, job_id: str, state: JobState) -> JobRecord:
        wait_until(lambda: self.store.get(job_id).state is state, f"the job is {state}")
        return self.store.get(job_id)


@pytest.fixture
def jobs(client: redis.Redis, tmp_path: Path) -> Jobs:
    return Jobs(client, tmp_path)


class WorkerProcess:
    """`python -m bitextmine_indexer` with sleepy stages."""

    def __init__(self, redis_url: str, folder: Path, **settings: str) -> None:
        self._log = folder / "worker.log"
        env = {
            **os.environ,
            "REDIS_URL": redis_url,
            "BITEXTMINE_DATA_DIR": str(folder / "data"),
            "BITEXTMINE_CHILD_COMMAND": json.dumps(SLEEPY_STAGES),
            "BITEXTMINE_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
            "BITEXTMINE_THREADS": "1",
            **settings,
        }
        with self._log.open("ab") as log:
            command = mortal([sys.executable, "-m", "bitextmine_indexer"])
            self._process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE)
        finally:
            self.kill()


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """A function that starts a worker on a Redis URL; all that still run in the end must stop when they are told to."""
    with ExitStack() as stack:

        def start(redis_url: str, **settings: str) -> WorkerProcess:
            worker = WorkerProcess(redis_url, tmp_path, **settings)
            stack.callback(worker.kill)
            return worker

        yield start
