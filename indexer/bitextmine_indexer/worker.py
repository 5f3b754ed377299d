"""The worker: takes jobs from the queue and runs each in a process of its own, until SIGTERM or SIGINT."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from types import FrameType

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError
from pydantic import ValidationError

from bitextmine import logs, uploads
from bitextmine.errors import BitextmineError, StoreUnavailableError
from bitextmine.gpus import gpus
from bitextmine.jobs.gpu_reports import GpuReports
from bitextmine.jobs.queue import ACTOR, QUEUE, connect, enqueue, make_broker
from bitextmine.jobs.settings import problems
from bitextmine.jobs.store import JobStore
from bitextmine_indexer.job import JobRunner
from bitextmine_indexer.settings import WorkerSettings

log = logging.getLogger(__name__)

_TICK = 0.25  # seconds
_POLL_MILLISECONDS = 250  # how long dramatiq's threads sleep when there is nothing to do
_MOST_COMPLAINTS = 1000  # more of them tell nothing new
_STOP_MILLISECONDS = 3000  # that its threads get to end; waiting for a store that is gone would be in vain


class Complaints:
    """Logs each complaint once, however often it comes."""

    def __init__(self) -> None:
        self._made: set[str] = set()

    def __call__(self, error: OSError) -> None:
        if str(error) not in self._made and len(self._made) < _MOST_COMPLAINTS:
            self._made.add(str(error))
            log.warning("left alone: %s", error)


class Worker:
    """One worker process. `run` is for the main thread; jobs run in dramatiq's threads."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._settings = settings
        self._client = connect(settings.redis_url)
        self._store = JobStore(self._client)
        self._gpu_reports = GpuReports(self._client)
        self._broker = make_broker(self._client, settings.heartbeat_seconds)
        self._stopping = threading.Event()
        self._runner = JobRunner(self._store, self._broker, settings, self.name, self._stopping)
        self._complain = Complaints()
        self._told_to_stop = False
        self._reachable = True

    def run(self) -> int:
        """Work until told to stop; the exit status: 0, or 1 when one of the threads has died."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_soon)
        queue = self._start_consuming()
        log.info("worker %s: ready for %d jobs at once", self.name, self._settings.jobs_at_once)
        healthy = True
        due = 0.0
        while healthy and not self._told_to_stop:
            if time.monotonic() >= due:
                self._keep_house()
                due = time.monotonic() + self._settings.heartbeat_seconds / 3
            time.sleep(_TICK)
            healthy = all(thread.is_alive() for thread in (*queue.workers, *queue.consumers.values()))
        if not healthy:
            log.error("worker %s: a thread has died", self.name)
        self._shut_down(queue)
        return 0 if healthy else 1

    def _start_consuming(self) -> dramatiq.Worker:
        dramatiq.actor(actor_name=ACTOR, queue_name=QUEUE, broker=self._broker)(self._runner.run)
        threads = self._settings.jobs_at_once
        queue = dramatiq.Worker(self._broker, worker_timeout=_POLL_MILLISECONDS, worker_threads=threads)
        queue.queue_prefetch = threads  # a job must not wait here, behind a long one, while another worker is free
        queue.start()
        return queue

    def _keep_house(self) -> None:
        """Say that this worker lives and, when it has nothing to do, look for what was left behind."""
        try:
            self._store.leases.beat(self.name, self._settings.heartbeat_seconds, self._settings.limits)
            if found := gpus():
                self._gpu_reports.tell(socket.gethostname(), found, self._settings.heartbeat_seconds)
            self._store.prune(self._settings.max_finished_jobs, timedelta(days=self._settings.finished_job_days))
            if self._runner.idle:
                sweep(self._store, self._broker)
            self._reachable = True
        except StoreUnavailableError as error:
            if self._reachable:
                log.warning("worker %s: %s", self.name, error)
            self._reachable = False
        if self._runner.idle:
            self._sweep_files()

    def _sweep_files(self) -> None:
        try:
            workspaces = self._settings.workspace.of_all_tenants()
            for workspace in workspaces:
                workspace.artifacts.sweep(self._complain)
            with suppress(StoreUnavailableError):
                needed = {str(record.spec.get("upload")) for record in self._store.unfinished_records()}
                for workspace in workspaces:
                    uploads.sweep(workspace.uploads, needed, self._complain, self._settings.upload_max_age_seconds)
        except OSError as error:  # not even a directory can be read
            self._complain(error)

    def _shut_down(self, queue: dramatiq.Worker) -> None:
        log.info("worker %s: stopping", self.name)
        self._stopping.set()
        try:
            queue.stop(timeout=_STOP_MILLISECONDS)
            self._store.leases.retire(self.name)
        except (BrokerConnectionError, StoreUnavailableError) as error:
            log.warning("worker %s: could not take leave of the job store: %s", self.name, error)
        self._client.close()

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self._told_to_stop = True


def sweep(store: JobStore, broker: RedisBroker) -> None:
    """Enqueue every unfinished job that nobody runs: its message may be lost, or its worker dead.

    A message too many does no harm. Run by a worker with nothing to do, so that none pile up.
    """
    for job_id in store.unfinished():
        if not store.leases.held(job_id):
            log.info("job %s: unfinished, and nobody runs it: enqueued", job_id)
            enqueue(broker, job_id)


def main() -> int:
    """Read the settings and work; the exit status: 2 for settings that are wrong."""
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        sys.stderr.writelines(f"bitextmine: {line}\n" for line in problems(error))
        return 2
    logs.configure(settings.log_level, settings.log_format)
    try:
        worker = Worker(settings)
    except (BitextmineError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400  one line: the settings are wrong, not the program
        return 2
    return worker.run()
