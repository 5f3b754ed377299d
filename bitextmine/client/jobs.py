"""Jobs: look at, follow, cancel, retry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from urllib.parse import quote

from bitextmine.client.answers import answered, model, with_key
from bitextmine.client.bars import shown
from bitextmine.client.following import Following
from bitextmine.client.operation import Group, Mode, listing, operation
from bitextmine.client.pages import all_items
from bitextmine.client.results import Job
from bitextmine.client.sources import Progress
from bitextmine.client.steps import Call, Emit, Emitting, Flow
from bitextmine.errors import ParameterError, ServiceError

_PATH = "/v1/jobs"
WhichJob: TypeAlias = "str | Job"


class Jobs(Group[Mode]):
    """`client.jobs`"""

    @listing
    def list(
        self,
        *,
        state: str | Sequence[str] = (),
        kind: str | Sequence[str] = (),
        corpus: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Emitting[Job]:
        """The jobs that meet all of these, newest first.

        Args:
            state: One or some of queued, running, succeeded, failed and cancelled.
            kind: One or some of ingest, index, mine and score.
            corpus: They read or make the corpus of this name.
            created_after: Created then or later.
            created_before: Created earlier than that.

        Raises:
            ParameterError: a time without its time zone.
        """
        query = {"state": state, "kind": kind, "corpus": corpus}
        times = {"created_after": _time(created_after), "created_before": _time(created_before)}
        yield from all_items(Job, _PATH, {**query, **times})

    @operation
    def get(self, job: WhichJob) -> Flow[Job]:
        """One job as it is now.

        Raises:
            ServiceError: `job-not-found`.
        """
        return (yield from model(Job, Call("GET", path_of(job))))

    @listing
    def follow(self, job: WhichJob) -> Emitting[Job]:
        """The job whenever something about it has changed, until it is over: its last state is a final one.

        The service's events are followed, across interruptions; where they cannot be had, the job is asked for.

        Raises:
            ServiceError: `job-not-found`; or the service has been away for too long.
        """
        following = Following(path_of(job))
        while True:
            found = yield from following.next()
            yield Emit(found)
            if found.over:
                return

    @operation
    def wait(self, job: WhichJob, *, progress: Progress | bool = False, check: bool = True) -> Flow[Job]:
        """Wait until a job is over, and return it.

        Args:
            job: Its id, or what sending it returned.
            progress: True draws a bar a stage on a terminal; or called as progress(stage, done, total or None).
            check: Whether a job that failed or was cancelled is an error; otherwise look at `job.state`.

        Raises:
            ServiceError: the job failed, with its code; `job-cancelled`; or as for `follow`.
        """
        following = Following(path_of(job))
        with shown(progress) as show:
            found = yield from following.next()
            while not found.over:
                if found.progress is not None:
                    show(found.progress.stage, found.progress.done, found.progress.total)
                found = yield from following.next()
        return _checked(found) if check else found

    @operation
    def cancel(self, job: WhichJob) -> Flow[Job]:
        """Cancel a job: a waiting one at once, a running one within seconds.

        Raises:
            ServiceError: `job-not-found`, `job-finished`.
        """
        return (yield from model(Job, Call("POST", f"{path_of(job)}/cancel", repeatable=False)))

    @operation
    def retry(self, job: WhichJob) -> Flow[Job]:
        """Send a job that failed or was cancelled again: another job, which goes on from what this one finished.

        Raises:
            ServiceError: `job-not-found`, `job-unfinished`, `job-succeeded`, `too-many-jobs` ...
        """
        return (yield from model(Job, with_key(Call("POST", f"{path_of(job)}/retry"))))

    @operation
    def delete(self, job: WhichJob) -> Flow[None]:
        """Forget a job that is over; what it made stays.

        Raises:
            ServiceError: `job-not-found`, `job-unfinished`.
        """
        yield from answered(Call("DELETE", path_of(job)))


def _time(time: datetime | None) -> str | None:
    if time is not None and time.tzinfo is None:
        raise ParameterError(f"{time} names no time zone; give one, as datetime.now(UTC) does")
    return None if time is None else time.isoformat()


def path_of(job: WhichJob) -> str:
    return f"{_PATH}/{quote(job if isinstance(job, str) else job.id, safe='')}"


def _checked(job: Job) -> Job:
    if job.error is not None:
        raise ServiceError(f"job {job.id} failed: {job.error.detail}", code=job.error.code)
    if job.state == "cancelled":
        raise ServiceError(f"job {job.id} was cancelled", code="job-cancelled")
    return job
