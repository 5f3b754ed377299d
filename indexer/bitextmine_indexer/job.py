"""What the worker does with a job: lease it, attempt it, again when its process dies, and write down how it ended."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from dramatiq.brokers.redis import RedisBroker

from bitextmine import logs, uploads
from bitextmine.errors import ConflictError, NotFoundError, StoreUnavailableError
from bitextmine.jobs.queue import enqueue
from bitextmine.jobs.record import JobError, JobRecord, JobState
from bitextmine.jobs.store import JobStore
from bitextmine_indexer.attempt import Attempt, Interruption
from bitextmine_indexer.runner import Died, Failed, Outcome, Succeeded
from bitextmine_indexer.settings import WorkerSettings
from bitextmine_indexer.tracking import Tracker

log = logging.getLogger(__name__)

T = TypeVar("T")

_PATIENCE = 1.0  # seconds between tries while the store is gone
_TELLING = 1.0  # seconds that a stage must take for its rate to be kept


class JobRunner:
    """Runs jobs, each in one thread. `stopping` is the worker's stop sign."""

    def __init__(
        self, store: JobStore, broker: RedisBroker, settings: WorkerSettings, worker: str, stopping: threading.Event
    ) -> None:
        self._store = store
        self._broker = broker
        self._settings = settings
        self._worker = worker
        self._stopping = stopping
        self._active: set[str] = set()

    @property
    def idle(self) -> bool:
        return not self._active

    def run(self, job_id: str) -> None:
        """Bring the job to a final state, unless it has one, or another worker has it, or this one shuts down."""
        with logs.bound(job_id=job_id):
            self._run(job_id)

    def _run(self, job_id: str) -> None:
        owner = f"{self._worker}:{secrets.token_hex(4)}"
        self._active.add(owner)
        try:
            record = self._patiently(lambda: self._store.get(job_id))
            logs.bind(request_id=record.request_id, trace_id=record.trace_id, tenant=record.tenant)
            if not record.state.final:
                self._run_if_free(job_id, owner)
        except (NotFoundError, ConflictError) as error:
            log.info("job %s: dropped: %s", job_id, error)
        except StoreUnavailableError:
            log.warning("job %s: left for the next worker: the job store is gone and this worker stops", job_id)
        finally:
            self._active.discard(owner)

    def _run_if_free(self, job_id: str, owner: str) -> None:
        lease = self._settings.heartbeat_seconds
        if not self._patiently(lambda: self._store.leases.acquire(job_id, owner, lease)):
            # Not dropped: this may be the only message, and the holder of the lease dead.
            log.debug("job %s: another has it; looking again in %g s", job_id, lease)
            self._patiently(lambda: enqueue(self._broker, job_id, lease))
            return
        try:
            put_back = self._attempt_until_done(job_id, owner)
        finally:
            self._patiently(lambda: self._store.leases.release(job_id, owner))
        if put_back:
            self._patiently(lambda: enqueue(self._broker, job_id))

    def _attempt_until_done(self, job_id: str, owner: str) -> bool:
        """Whether the job was put back into the queue."""
        deaths: Counter[str] = Counter()
        while True:
            record = self._patiently(lambda: self._store.get(job_id))
            if record.cancel_requested or record.fruitless_attempts >= self._settings.max_attempts:
                state, error = _verdict(record, deaths)
                self._finish(job_id, state, error=error)
                return False
            record = self._patiently(lambda: self._store.start(job_id, self._worker))
            tracker = Tracker()
            ended = Attempt(self._store, self._settings, record, owner, self._stopping).run(tracker)
            if not isinstance(ended, Died):
                return self._settle(job_id, ended, tracker)
            log.warning("job %s: the process of attempt %d died: %s", job_id, record.attempts, ended.how)
            if tracker.fruitful:
                deaths.clear()
                self._tell_fruitful(job_id, tracker)
            else:
                deaths[ended.how] += 1

    def _tell_fruitful(self, job_id: str, tracker: Tracker) -> None:
        """Make sure that the death of this attempt does not count: the next starts from further on."""
        self._patiently(lambda: self._store.progress(job_id, tracker.progress, tracker.stages, fruitful=True))

    def _settle(self, job_id: str, ended: Outcome | Interruption, tracker: Tracker) -> bool:
        """Write down how the last attempt ended; whether the job was put back into the queue."""
        match ended:
            case Succeeded(result):
                self._finish(job_id, JobState.SUCCEEDED, tracker, result=result)
            case Failed(code, detail):
                self._finish(job_id, JobState.FAILED, tracker, error=JobError(code=code, detail=detail))
            case Interruption.CANCELLED:
                self._finish(job_id, JobState.CANCELLED, tracker)
            case Interruption.SHUTDOWN:
                state = self._patiently(lambda: self._store.put_back(job_id)).state
                log.info("job %s: %s: %s", job_id, state, Interruption.SHUTDOWN.value)
                return state is JobState.QUEUED
            case Interruption.LOST:
                log.warning("job %s: given up: %s", job_id, Interruption.LOST.value)
        return False

    def _finish(
        self,
        job_id: str,
        state: JobState,
        tracker: Tracker | None = None,
        *,
        result: dict[str, Any] | None = None,
        error: JobError | None = None,
    ) -> None:
        progress = tracker.progress if tracker else None
        stages = tracker.stages if tracker else ()
        record = self._patiently(
            lambda: self._store.finish(job_id, state, result=result, error=error, progress=progress, stages=stages)
        )
        if upload := record.spec.get("upload"):
            directory = self._settings.workspace.of_tenant(record.tenant).uploads
            _settle_upload(directory, upload, state)
        self._keep_rate(record)
        log.info("job %s: %s%s", job_id, state, f": {error.code}: {error.detail}" if error else "")

    def _keep_rate(self, record: JobRecord) -> None:
        """Remember how fast the job's encoder was, for the plans of others."""
        embedding = [(stage.rate, stage.seconds) for stage in record.stages if stage.name.startswith("embed")]
        known = [(rate, seconds) for rate, seconds in embedding if rate is not None and seconds >= _TELLING]
        if (encoder := record.spec.get("encoder")) and known:
            done = sum(rate * seconds for rate, seconds in known)
            with suppress(StoreUnavailableError):
                self._store.keep_rate(encoder, done / sum(seconds for _, seconds in known))

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the store, again and again while it is gone.

        Raises:
            StoreUnavailableError: it is gone and the worker is to stop.
        """
        told = False
        while True:
            try:
                return ask()
            except StoreUnavailableError as error:
                if not told:
                    log.warning("waiting for the job store: %s", error)
                told = True
                if self._stopping.wait(_PATIENCE):
                    raise


def _settle_upload(directory: Path, upload: str, state: JobState) -> None:
    match state:
        case JobState.FAILED:  # unless the job deleted it: a retry may do better
            uploads.keep(directory, upload)
        case JobState.CANCELLED:
            uploads.release(directory, upload)
        case _:
            uploads.discard(directory, upload)


def _verdict(record: JobRecord, deaths: Counter[str]) -> tuple[JobState, JobError | None]:
    """The end of a job that is not to be attempted again."""
    if record.cancel_requested:
        return JobState.CANCELLED, None
    causes = deaths.copy()
    if (unseen := record.fruitless_attempts - deaths.total()) > 0:
        causes["together with its worker"] += unseen
    listed = ", ".join(f"{how} ({times} times)" if times > 1 else how for how, times in causes.items())
    detail = f"the job's process died {record.fruitless_attempts} times without getting further: {listed}"
    return JobState.FAILED, JobError(code="job-crashed", detail=detail)
