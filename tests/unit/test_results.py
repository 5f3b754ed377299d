"""Results of threads reach the event loop in bulk, and none is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from bitextmine_service.results import Results

SECONDS = 20


def in_thread(action: Callable[[], object]) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def test_a_batch_of_results_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        results, sources = Results(), [Future[int]() for _ in range(30)]
        futures = [results.future(source) for source in sources]
        loop, wakes = asyncio.get_running_loop(), []
        wake = loop.call_soon_threadsafe

        def counted(callback: Callable[..., Any], *arguments: Any) -> asyncio.Handle:
            wakes.append(callback)
            return wake(callback, *arguments)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)

        def work() -> None:
            for number, source in enumerate(sources):
                source.set_result(number)
            results.deliver()
            results.deliver()

        in_thread(work)
        assert await asyncio.wait_for(asyncio.gather(*futures), SECONDS) == list(range(30))
        assert len(wakes) == 1

    asyncio.run(scene())


def test_nothing_arrives_before_it_is_delivered() -> None:
    async def scene() -> None:
        results, source = Results(), Future[int]()
        future = results.future(source)
        in_thread(lambda: source.set_result(5))
        await asyncio.sleep(0.02)
        assert not future.done()
        in_thread(results.deliver)
        assert await asyncio.wait_for(future, SECONDS) == 5

    asyncio.run(scene())


def test_what_is_done_before_it_is_asked_for_arrives_by_itself() -> None:
    async def scene() -> None:
        results, source = Results(), Future[int]()
        source.set_result(5)
        assert await asyncio.wait_for(results.future(source), SECONDS) == 5

    asyncio.run(scene())


def test_errors_arrive_as_they_are() -> None:
    async def scene() -> None:
        results, source = Results(), Future[int]()
        future = results.future(source)
        source.set_exception(ZeroDivisionError("x"))
        results.deliver()
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(future, SECONDS)

    asyncio.run(scene())


@pytest.mark.parametrize("side", ["loop", "thread"])
def test_taking_back_goes_both_ways(side: str) -> None:
    async def scene() -> None:
        results, source = Results(), Future[int]()
        future = results.future(source)
        if side == "loop":
            future.cancel()
        else:
            source.cancel()
            results.deliver()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(future, SECONDS)
        await asyncio.sleep(0)
        assert source.cancelled()
        results.deliver()
        await asyncio.sleep(0.01)

    asyncio.run(scene())


def test_a_loop_that_has_ended_is_left_alone() -> None:
    results, source = Results(), Future[int]()

    async def scene() -> None:
        results.future(source)

    asyncio.run(scene())
    source.set_result(5)
    results.deliver()


def test_results_of_many_threads_all_arrive() -> None:
    async def scene() -> None:
        results = Results()
        sources = [Future[int]() for _ in range(2000)]

        def work(first: int) -> None:
            for number in range(first, len(sources), 8):
                sources[number].set_result(number)
                results.deliver()

        threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
        for thread in threads:
            thread.start()
        futures = [results.future(source) for source in sources]
        assert await asyncio.wait_for(asyncio.gather(*futures), SECONDS) == list(range(2000))
        for thread in threads:
            thread.join()

    asyncio.run(scene())
