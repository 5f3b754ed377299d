"""A job's events as the parts of a stream."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.datastructures import State
from starlette.responses import Response

from bitextmine.errors import NotFoundError
from bitextmine.jobs.events import JobEvent
from bitextmine.jobs.following import Follower, Following, Notice
from bitextmine.jobs.record import JobProgress, JobRecord
from bitextmine_service.context import Context
from bitextmine_service.event_stream import EventStream, comment, message
from bitextmine_service.models.jobs import JobOut

_SILENCE_SECONDS = 15.0  # then a comment is sent
_RETRY = b"retry: 2000\n\n"  # milliseconds that a client waits before it connects again
_ID = re.compile("[0-9]{1,19}")


async def stream_of(state: State, context: Context, job_id: str, last_event_id: str | None) -> Response:
    """The job as it is, or what a client has missed since its last event; then every change, until the job is over.

    Raises:
        NotFoundError: `job-not-found`.
        StoreUnavailableError: Redis is gone.
        BitextmineError: `too-many-streams`.
    """
    follower: Follower = state.follower
    record, oldest = await follower.present(job_id)
    context.jobs.own(record)
    last = int(last_event_id) if last_event_id and _ID.fullmatch(last_event_id) else None
    if record.state.final and last == record.version:
        return Response(status_code=HTTPStatus.NO_CONTENT)  # the one answer after which browsers do not come back
    kept = last is not None and oldest is not None and oldest <= last <= record.version
    read = last if last is not None and (kept or last == record.version) else None
    following = follower.follow(job_id, record.version if read is None else read)
    first = JobEvent(record.version, record) if read is None else None
    return EventStream(_parts(following, first), state.stopping, end=lambda: follower.leave(following))


async def _parts(following: Following, first: JobEvent | None) -> AsyncIterator[bytes]:
    yield _RETRY
    news: JobEvent | Notice | None = first
    while True:
        match news:
            case JobEvent(version, JobRecord() as record):
                yield message("job", JobOut.of(record).model_dump_json(), version)
                if record.state.final:
                    yield message("end", json.dumps({"state": record.state}), version)
                    return
            case JobEvent(version, JobProgress() as progress):
                yield message("progress", progress.model_dump_json(), version)
            case Notice():
                yield comment(news.value)
            case None:
                yield comment("go on")
        try:
            news = await following.next(_SILENCE_SECONDS)
        except NotFoundError:
            yield message("end", json.dumps({"state": None}), following.read)
            return
