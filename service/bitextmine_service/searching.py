"""The threads that search, and how much may wait for them."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from bitextmine.errors import BitextmineError
from bitextmine.online.engine import SearchEngine
from bitextmine.search.row_scorer import compile_loops
from bitextmine_service.settings import ServiceSettings

Result = TypeVar("Result")
_NICENESS = 3


class SearchPool:
    """A few threads of their own, so that searches hold up no other request; for one event loop.

    What waits is bounded: a request is admitted as a whole, for its vectors and its search, or refused at once.
    """

    def __init__(self, engine: SearchEngine, *, threads: int, most_queries: int) -> None:
        self.engine = engine
        self._most, self._admitted = most_queries, 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="search", initializer=_yield_to_the_loop)

    @classmethod
    def of(cls, settings: ServiceSettings) -> SearchPool:
        engine = SearchEngine(most_corpora=settings.search_corpora, most_bytes=settings.search_memory)
        return cls(engine, threads=settings.search_threads, most_queries=settings.search_queue)

    def prepare(self) -> None:
        """Have what is compiled at its first use compiled, or loaded, while nobody waits for it yet."""
        self._threads.submit(compile_loops)

    @property
    def admitted(self) -> int:
        """Queries of requests that are being answered."""
        return self._admitted

    @contextmanager
    def admission(self, queries: int) -> Iterator[None]:
        """Room for so many queries while the block lasts. Where nothing else is, any number is admitted.

        Raises:
            BitextmineError: `queue-full`.
        """
        if self._admitted and self._admitted + queries > self._most:
            message = f"{self._admitted:,} queries are being answered, of {self._most:,}; try again later"
            raise BitextmineError(message, code="queue-full")
        self._admitted += queries
        try:
            yield
        finally:
            self._admitted -= queries

    def submit(self, search: Callable[[], Result]) -> asyncio.Future[Result]:
        """In the loop: the result of a search. Cancelling it before its turn has come takes it back.

        Raises:
            BitextmineError: `service-stopping`.
        """
        try:
            return asyncio.wrap_future(self._threads.submit(search))
        except RuntimeError as error:
            raise BitextmineError("the service is stopping; send the request again", code="service-stopping") from error

    def close(self) -> None:
        """Take no more searches; those that have begun end, those that wait are dropped."""
        self._threads.shutdown(cancel_futures=True)


def _yield_to_the_loop() -> None:
    """Give the calling thread half the weight of the event loop's: where all cores are busy, refusals and probes are
    answered in milliseconds all the same. Elsewhere than on Linux a priority is the whole process's, and is left.
    Counted from the process's own: it may have been started with a low one, and may not raise it."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
