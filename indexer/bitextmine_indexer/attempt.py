"""One attempt at a job: its process, watched from one loop that also keeps the lease and the record up to date."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from enum import Enum

from bitextmine.errors import ConflictError, NotFoundError, StoreUnavailableError
from bitextmine.jobs.record import JobProgress, JobRecord
from bitextmine.jobs.store import JobStore
from bitextmine_indexer.child import ChildRequest
from bitextmine_indexer.runner import ChildProcess, Outcome
from bitextmine_indexer.settings import WorkerSettings
from bitextmine_indexer.tracking import Tracker

log = logging.getLogger(__name__)

_LISTEN = 0.2  # seconds between looks at the process and at the worker's own stop sign
_CONSULT = 0.5  # seconds between visits to the store: lease, progress, wish to cancel


class Interruption(Enum):
    """Why a process was ended before it was done."""

    CANCELLED = "cancelled on request"
    SHUTDOWN = "the worker shuts down"
    LOST = "the job is no longer this worker's"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt needs: the job as it was started, the lease's owner, and the worker's stop sign."""

    store: JobStore
    settings: WorkerSettings
    record: JobRecord
    owner: str
    stopping: threading.Event

    def run(self, tracker: Tracker) -> Outcome | Interruption:
        """See the process through to its end. While the store is gone it works on, and the latest news waits."""
        news: JobProgress | None = None
        consulted = 0.0
        reachable = True
        with ChildProcess(self.settings.child_command, self._request()) as child:
            log.info("job %s: attempt %d is process %d", self.record.id, self.record.attempts, child.pid)
            while child.outcome is None:
                for report in child.reports(_LISTEN):
                    news = tracker.follow(report)
                if self.stopping.is_set():
                    return Interruption.SHUTDOWN
                if time.monotonic() - consulted < _CONSULT:
                    continue
                try:
                    interruption = self._consult(news, tracker)
                    news, reachable = None, True
                except StoreUnavailableError as error:
                    if reachable:
                        log.warning("job %s: goes on without the job store: %s", self.record.id, error)
                    interruption, reachable = None, False
                consulted = time.monotonic()
                if interruption:
                    return interruption
            return child.outcome

    def _consult(self, news: JobProgress | None, tracker: Tracker) -> Interruption | None:
        """Keep the lease, tell the news, and learn whether to go on."""
        store, job_id = self.store, self.record.id
        try:
            if not store.acquire_lease(job_id, self.owner, self.settings.heartbeat_seconds):
                return Interruption.LOST
            record = store.progress(job_id, news, tracker.stage_seconds) if news else store.get(job_id)
        except (NotFoundError, ConflictError):  # deleted, or brought to its end by someone else
            return Interruption.LOST
        if record.state.final:
            return Interruption.LOST
        return Interruption.CANCELLED if record.cancel_requested else None

    def _request(self) -> ChildRequest:
        return ChildRequest(
            kind=self.record.kind,
            spec=self.record.spec,
            data_dir=self.settings.data_dir,
            encoders_dir=self.settings.encoders_dir,
            threads=self.settings.threads,
            log_level=self.settings.log_level,
        )
