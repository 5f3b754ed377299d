"""Results of threads, brought to an event loop in bulk."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


class Results:
    """Awaitable futures of one event loop for futures of threads.

    `asyncio.wrap_future` wakes the loop for each result. Each of these makes the thread wait for the interpreter's
    lock, which the loop then holds to answer: threads that end a batch of many requests would spend their time so.
    Here results gather until `deliver`, which a thread calls once for the whole batch.
    """

    def __init__(self) -> None:
        self._arrived: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False

    def future(self, source: Future[Result]) -> asyncio.Future[Result]:
        """In the loop: the same result, once it is delivered; cancelling this one cancels the source."""
        self._loop = asyncio.get_running_loop()
        found: asyncio.Future[Result] = self._loop.create_future()
        found.add_done_callback(lambda done: done.cancelled() and source.cancel())
        source.add_done_callback(lambda done: self._arrived.append((found, done)))
        if source.done():  # perhaps before it was asked to say so, and delivered without
            self.deliver()
        return found

    def deliver(self) -> None:
        """From any thread: hand out what has arrived."""
        with self._lock:
            loop, wake = self._loop, bool(self._arrived) and not self._woken
            self._woken = self._woken or wake
        if wake and loop is not None:
            with suppress(RuntimeError):  # it has been closed, and nobody waits
                loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        with self._lock:
            self._woken = False
        while self._arrived:
            _settle(*self._arrived.popleft())


def _settle(target: asyncio.Future[Any], source: Future[Any]) -> None:
    if target.done():
        return  # it was cancelled
    if source.cancelled():
        target.cancel()
    elif (error := source.exception()) is not None:
        target.set_exception(error)
    else:
        target.set_result(source.result())
