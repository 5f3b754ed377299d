"""One attempt at a job: its process, watched from one loop that also keeps the lease and the record up to date."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from enum import Enum

from bitextmine import logs
from bitextmine.errors import ConflictError, NotFoundError, StoreUnavailableError
from bitextmine.jobs.record import JobRecord
from bitextmine.jobs.store import JobStore
from bitextmine_indexer.child import ChildRequest
from bitextmine_indexer.runner import ChildProcess, Failed, Outcome, Succeeded
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
        """See the process through to its end. While the store is gone it works on, and the latest news waits.

        A job that is done is done, also when someone wanted it to stop just then.
        """
        visits = _Visits(self, tracker)
        interruption: Interruption | None = None
        with ChildProcess(self.settings.child_command, self._request()) as child:
            log.info("job %s: attempt %d is process %d", self.record.id, self.record.attempts, child.pid)
            while True:
                for report in child.reports(0.0 if interruption else _LISTEN):
                    tracker.follow(report)
                if isinstance(child.outcome, Succeeded | Failed):
                    return child.outcome
                if interruption or self.stopping.is_set():
                    return interruption or Interruption.SHUTDOWN
                if child.outcome is not None:
                    return child.outcome
                interruption = visits.pay()

    def _request(self) -> ChildRequest:
        return ChildRequest(
            kind=self.record.kind,
            spec=self.record.spec,
            tenant=self.record.tenant,
            data_dir=self.settings.data_dir,
            encoders_dir=self.settings.encoders_dir,
            resources=self.settings.resources,
            log_level=self.settings.log_level,
            log_format=self.settings.log_format,
            log_fields=logs.current(),
        )


class _Visits:
    """An attempt's visits to the store: seldom, but at once when it has finished something that would be found."""

    def __init__(self, attempt: Attempt, tracker: Tracker) -> None:
        self._attempt, self._tracker = attempt, tracker
        self._last = 0.0
        self._told_fruitful = False
        self._reachable = True

    def pay(self) -> Interruption | None:
        """Keep the lease and tell the news if it is time to; why the attempt is not to go on."""
        tidings = self._tracker.fruitful and not self._told_fruitful
        if not tidings and time.monotonic() - self._last < _CONSULT:
            return None
        try:
            return self._consult()
        except StoreUnavailableError as error:
            if self._reachable:
                log.warning("job %s: goes on without the job store: %s", self._attempt.record.id, error)
            self._reachable = False
            return None
        finally:
            self._last = time.monotonic()

    def _consult(self) -> Interruption | None:
        store, job_id, tracker = self._attempt.store, self._attempt.record.id, self._tracker
        try:
            if not store.leases.acquire(job_id, self._attempt.owner, self._attempt.settings.heartbeat_seconds):
                return Interruption.LOST
            if tracker.unsaid:
                fruitful = tracker.fruitful
                record = store.progress(job_id, tracker.progress, tracker.stages, fruitful=fruitful)
                tracker.unsaid, self._told_fruitful = False, fruitful
            else:
                record = store.get(job_id)
        except (NotFoundError, ConflictError):  # deleted, or brought to its end by someone else
            return Interruption.LOST
        self._reachable = True
        if record.state.final:
            return Interruption.LOST
        return Interruption.CANCELLED if record.cancel_requested else None
