"""Looks at things that may hang, for which nobody must wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from bitextmine.errors import BitextmineError

Seen = TypeVar("Seen")
PATIENCE = 1.0  # seconds
STALE = 10.0  # seconds


class Watch(Generic[Seen]):
    """One look at a time, however many ask, in a thread of its own: a store or disk that hangs holds up no other.

    Who asks while a look is under way shares it. Where it takes longer than `patience` seconds, the look before will
    do if it is not older than `stale` seconds; what a look raises is raised for all who share it.
    """

    def __init__(
        self, look: Callable[[], Seen], *, late: str, patience: float = PATIENCE, stale: float = STALE
    ) -> None:
        """
        Args:
            late: what to say where nothing is known yet.
        """
        self._look, self._late, self._patience, self._stale = look, late, patience, stale
        self._lock = threading.Lock()
        self._current: Future[Seen] | None = None
        self._last: tuple[float, Future[Seen]] | None = None  # when it was done, and what came of it

    def begin(self) -> Future[Seen]:
        """Have a look taken, unless one is under way; returns at once."""
        with self._lock:
            if self._current is None:
                self._current = Future()
                self._current.set_running_or_notify_cancel()  # from now on nobody can cancel it for all
                threading.Thread(target=self._take, args=(self._current,), name="watch", daemon=True).start()
            return self._current

    async def seen(self) -> Seen:
        """What a look found.

        Raises:
            BitextmineError: it is late, and there is none from before; or whatever the look raised.
        """
        future = self.begin()
        if not future.done():
            waiter = asyncio.wrap_future(future)
            waiter.add_done_callback(lambda done: done.cancelled() or done.exception())  # it is told below
            await asyncio.wait([waiter], timeout=self._patience)
        if not future.done():
            future = self._before()
        return future.result()

    def _before(self) -> Future[Seen]:
        last = self._last
        if last is None or time.monotonic() - last[0] > self._stale:
            raise BitextmineError(self._late)
        return last[1]

    def _take(self, future: Future[Seen]) -> None:
        try:
            future.set_result(self._look())
        except Exception as error:  # noqa: BLE001 - those who asked get it
            future.set_exception(error)
        with self._lock:
            self._last, self._current = (time.monotonic(), future), None
