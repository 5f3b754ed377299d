"""Threads that take items from one queue, each with a state of its own, while the caller reports progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
State = TypeVar("State")
_SECONDS_BETWEEN_REPORTS = 0.2


def share_out(items: Iterable[Item], states: list[State], work: Callable[[Item, State], None]) -> Iterator[int]:
    """Do the work for every item, in their order, on as many threads as there are states.

    Yields now and then, and in the end, how many items are done. What `work` raises is raised here. When the caller
    stops listening, or is interrupted, no further item is begun.
    """
    following, lock, stopped = iter(items), threading.Lock(), threading.Event()
    done = [0] * len(states)

    def run(number: int) -> None:
        while not stopped.is_set():
            with lock:
                item = next(following, None)
            if item is None:
                return
            work(item, states[number])
            done[number] += 1

    with ThreadPoolExecutor(len(states)) as pool:
        try:
            running = {pool.submit(run, number) for number in range(len(states))}
            while running:
                ended, running = wait(running, _SECONDS_BETWEEN_REPORTS, FIRST_COMPLETED)
                for future in ended:
                    future.result()
                yield sum(done)
        finally:
            stopped.set()
