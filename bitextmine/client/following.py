"""Following a job: by the service's events where they can be had, by asking for it otherwise."""

from __future__ import annotations

from collections import deque

from pydantic import ValidationError

from bitextmine.client.answers import LOST, model, opened
from bitextmine.client.events import Event, EventParser
from bitextmine.client.results import Job, Stage
from bitextmine.client.steps import Call, Flow, Opened, Read, Sleep
from bitextmine.errors import ServiceError

_SILENCE_SECONDS = 60.0  # the service says something every few seconds, were it only that it lives
_MOST_FAILURES = 3  # connections in a row that brought no event; then the job is asked for
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between two questions


class Following:
    """A job's states, one after the other. `path` is the job's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._last: Job | None = None
        self._events: _Events | None = _Events(f"{path}/events")
        self._pause = _FIRST_PAUSE

    def next(self) -> Flow[Job]:
        """The next state that is another than the last, the present one first.

        Raises:
            ServiceError: `job-not-found`; or the service has been away for too long.
        """
        while self._last is not None:
            found = yield from self._news(self._last)
            if found is None:
                found = yield from model(Job, Call("GET", self._path))
            if found != self._last:
                self._last, self._pause = found, _FIRST_PAUSE
                return found
        self._last = yield from model(Job, Call("GET", self._path))
        return self._last

    def _news(self, last: Job) -> Flow[Job | None]:
        """Wait until there may be something new: the job as it is now, or None where it is to be asked for."""
        if self._events is not None:
            event = yield from self._events.next()
            if event is not None:
                return _applied(event, last)
            self._events = None
        yield Sleep(self._pause)
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        return None


class _Events:
    """The events at a path, across interruptions."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened: Opened | None = None
        self._parser = EventParser()
        self._waiting: deque[Event] = deque()
        self._last_id, self._failures = "", 0

    def next(self) -> Flow[Event | None]:
        """The next event; None where there will be none: the service has no events, or they cannot be reached."""
        while not self._waiting:
            try:
                if self._opened is None:
                    self._opened = yield from self._connected()
                block: bytes | None = yield Read(self._opened)
            except (ServiceError, *LOST) as error:
                block = None
                if isinstance(error, ServiceError) and error.is_refusal:
                    return None
            if block is None:
                self._opened = None
                self._failures += 1
                if self._failures > _MOST_FAILURES:
                    return None
                yield Sleep(self._parser.retry_seconds or _FIRST_PAUSE * 2**self._failures)
                continue
            self._waiting.extend(self._parser.feed(block))
        self._failures = 0
        event = self._waiting.popleft()
        self._last_id = event.id
        return event

    def _connected(self) -> Flow[Opened]:
        self._parser = EventParser()
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        return (yield from opened(Call("GET", self._path, headers=headers, read_timeout=_SILENCE_SECONDS)))


def _applied(event: Event, last: Job) -> Job | None:
    """The job after an event; None after one that does not tell, such as `end`."""
    try:
        if event.name == "job":
            return Job.model_validate_json(event.content)
        if event.name == "progress":
            return last.model_copy(update={"progress": Stage.model_validate_json(event.content)})
    except ValidationError:
        pass
    return None
