"""Following jobs as they change: one task reads the events of all jobs that anyone follows, on one connection."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import Any

import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bitextmine.errors import BitextmineError, NotFoundError, StoreUnavailableError
from bitextmine.jobs.events import JobEvent, entry_id, version_of
from bitextmine.jobs.names import events_key, job_key, text, unavailable_named
from bitextmine.jobs.record import JobRecord

_POLL_SECONDS = 0.25
_OUTAGE_SECONDS = 1.0  # between tries while the store is gone
_TIMEOUT_SECONDS = 1.0
_MOST_AT_ONCE = 100  # events of a job in one reading
_MOST_WAITING = 200  # events for a follower who does not take them; then it gets the present state instead


class Notice(Enum):
    """What a follower is told besides events."""

    GONE = "the job store does not answer; this goes on when it is back"
    BACK = "the job store is back"


class Following:
    """One follower of one job. `read` is the version up to which it was told, or is about to be."""

    def __init__(self, follower: Follower, job_id: str, read: int) -> None:
        self.job_id, self.read = job_id, read
        self._follower = follower
        self._waiting: deque[JobEvent | Notice] = deque()
        self._behind = False  # events were dropped
        self._doubtful = False  # the store was away: who knows what it has forgotten
        self._woken = asyncio.Event()

    def tell(self, news: JobEvent | Notice) -> None:
        """What comes next; a follower who is too slow loses events and gets the present state in their place."""
        if isinstance(news, JobEvent):
            if news.version <= self.read:
                return
            self.read = news.version
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.clear()
            self._behind = True
        self._waiting.append(news)
        self._woken.set()

    async def next(self, patience: float) -> JobEvent | Notice | None:
        """The next event or notice; None if none comes within `patience` seconds.

        Whether the record has changed without an event (its stream was lost) is looked at then, and after an outage.

        Raises:
            NotFoundError: the job is no longer there.
        """
        if not (self._waiting or self._behind or self._doubtful):
            self._woken.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), patience)
        if self._waiting and not self._behind:
            news = self._waiting.popleft()
            self._doubtful = self._doubtful or news is Notice.BACK
            return news
        return await self._present()

    async def _present(self) -> JobEvent | None:
        """The record as it is now, in place of events up to it; None where it is known, or the store is gone."""
        try:
            record, _ = await self._follower.look(self.job_id)
        except redis.RedisError:
            return None
        known = record.version == self.read and not self._behind
        self._behind = self._doubtful = False
        if known:
            return None
        later = [news for news in self._waiting if isinstance(news, Notice) or news.version > record.version]
        self._waiting = deque(later)
        self.read = max(
            news.version for news in [JobEvent(record.version, record), *later] if isinstance(news, JobEvent)
        )
        return JobEvent(record.version, record)


class Follower:
    """Follows jobs for up to `most` followers at a time. For one event loop; `run` must be running in it."""

    def __init__(self, url: str, most: int) -> None:
        self._client = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._most = most
        self._followings: set[Following] = set()
        self._wanted = asyncio.Event()
        self._reachable = True

    async def run(self) -> None:
        """Read events, for as long as this is not cancelled, whenever anyone follows a job."""
        try:
            while True:
                await self._wanted.wait()
                await asyncio.sleep(_POLL_SECONDS if self._reachable else _OUTAGE_SECONDS)
                try:
                    await self._read()
                    self._set_reachable(True)
                except redis.RedisError:
                    self._set_reachable(False)
        finally:
            with suppress(redis.RedisError):
                await self._client.aclose()

    async def present(self, job_id: str) -> tuple[JobRecord, int | None]:
        """The record, and the version of the oldest event that is kept.

        Raises:
            NotFoundError: `job-not-found`.
            StoreUnavailableError: Redis is gone.
        """
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                with unavailable_named():
                    return await self.look(job_id)
        except TimeoutError:
            raise StoreUnavailableError("the job store does not answer") from None

    async def look(self, job_id: str) -> tuple[JobRecord, int | None]:
        """The same, with the client's own errors."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.get(job_key(job_id))
            pipe.xrange(events_key(job_id), count=1)
            stored, oldest = await pipe.execute()
        if stored is None:
            raise NotFoundError(f"there is no job {job_id}", code="job-not-found")
        return JobRecord.model_validate_json(stored), version_of(oldest[0][0]) if oldest else None

    def follow(self, job_id: str, read: int) -> Following:
        """What happens to the job after its version `read`, until `leave`.

        Raises:
            BitextmineError: `too-many-streams`.
        """
        if len(self._followings) >= self._most:
            message = f"{self._most:,} streams of events are open, the most that there may be; try again later"
            raise BitextmineError(message, code="too-many-streams")
        following = Following(self, job_id, read)
        self._followings.add(following)
        self._wanted.set()
        return following

    def leave(self, following: Following) -> None:
        """No longer follow."""
        self._followings.discard(following)
        if not self._followings:
            self._wanted.clear()

    async def _read(self) -> None:
        followings: dict[str, list[Following]] = defaultdict(list)
        for each in self._followings:
            followings[each.job_id].append(each)
        keys = {events_key(job_id): job_id for job_id in followings}
        streams: dict[Any, Any] = {
            key: entry_id(min(each.read for each in followings[job_id])) for key, job_id in keys.items()
        }
        if not streams:
            return
        found: Any = await self._client.xread(streams, count=_MOST_AT_ONCE)
        for key, entries in found:
            for entry, fields in entries:
                event = JobEvent.parse(entry, fields)
                for following in followings[keys[text(key)]]:
                    following.tell(event)

    def _set_reachable(self, reachable: bool) -> None:
        if reachable != self._reachable:
            for following in self._followings:
                following.tell(Notice.BACK if reachable else Notice.GONE)
        self._reachable = reachable


@asynccontextmanager
async def running(follower: Follower) -> AsyncIterator[None]:
    """The follower at work for as long as the block lasts."""
    task = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
