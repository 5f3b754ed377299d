"""Searches of an event loop: threads of their own, and a bound on what is admitted."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bitextmine.errors import BitextmineError
from bitextmine.online.engine import SearchEngine
from bitextmine_service.searching import SearchPool


@pytest.fixture
def pool() -> Iterator[SearchPool]:
    pool = SearchPool(SearchEngine(), threads=1, most_queries=10)
    yield pool
    pool.close()


def test_queries_are_admitted_up_to_the_bound(pool: SearchPool) -> None:
    with pool.admission(4), pool.admission(6):
        assert pool.admitted == 10
        with pytest.raises(BitextmineError, match="10 queries") as error, pool.admission(1):
            pass
        assert error.value.code == "queue-full"
        assert pool.admitted == 10
    assert pool.admitted == 0


def test_a_request_alone_is_admitted_however_large_it_is(pool: SearchPool) -> None:
    with pool.admission(64):
        with pytest.raises(BitextmineError), pool.admission(1):
            pass
        assert pool.admitted == 64


def test_places_come_back_whatever_becomes_of_a_request(pool: SearchPool) -> None:
    for failure in (ValueError, KeyboardInterrupt, asyncio.CancelledError):
        with pytest.raises(failure), pool.admission(7):
            raise failure
        assert pool.admitted == 0


@pytest.mark.parametrize("already", [0, 10])
def test_searches_run_in_threads_that_yield_to_the_loop(pool: SearchPool, already: int) -> None:
    """Also in a process that was started with a low priority, which it may not raise."""

    async def ask() -> tuple[str, int]:
        return await pool.submit(lambda: (threading.current_thread().name, priority()))

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def loop() -> tuple[str, int, int]:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), priority() + already)
        return (*asyncio.run(ask()), priority())

    with ThreadPoolExecutor(1) as threads:  # whose priority nobody else has
        name, niceness, own = threads.submit(loop).result()
    assert name.startswith("search")
    assert niceness == min(own + 3, 19) or sys.platform != "linux"


def test_a_search_that_is_cancelled_before_its_turn_is_never_done(pool: SearchPool) -> None:
    go, done = threading.Event(), []

    async def ask() -> None:
        first = pool.submit(go.wait)
        second = pool.submit(lambda: done.append("second"))
        third = pool.submit(lambda: done.append("third"))
        second.cancel()
        await asyncio.sleep(0)  # it is taken out of the queue by the loop
        go.set()
        await asyncio.gather(first, third)

    asyncio.run(ask())
    assert done == ["third"]


def test_what_a_search_raises_comes_to_who_asked(pool: SearchPool) -> None:
    def failing() -> None:
        raise BitextmineError("no", code="corpus-not-indexed")

    async def ask() -> None:
        await pool.submit(failing)

    with pytest.raises(BitextmineError) as error:
        asyncio.run(ask())
    assert error.value.code == "corpus-not-indexed"


def test_a_pool_that_is_closed_takes_nothing(pool: SearchPool) -> None:
    pool.close()

    async def ask() -> None:
        await pool.submit(lambda: None)

    with pytest.raises(BitextmineError) as error:
        asyncio.run(ask())
    assert error.value.code == "service-stopping"
