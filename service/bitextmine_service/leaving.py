"""Waiting for a result while the client may leave."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

Result = TypeVar("Result")
_PATIENCE = 0.05  # seconds


async def unless_the_client_leaves(request: Request, result: asyncio.Future[Result]) -> Result:
    """The result. Where the client leaves first, it is cancelled: what has not begun never is done.

    Raises:
        ClientDisconnect: nobody waits for the answer.
        BitextmineError: what became of the request.
    """
    watch = _Watch(request, result)
    try:
        return await result
    except asyncio.CancelledError:
        if watch.left:
            raise ClientDisconnect from None
        raise
    finally:
        watch.end()


class _Watch:
    """Cancels the result when the client leaves; looks only where it takes long enough for that to matter."""

    def __init__(self, request: Request, result: asyncio.Future[Any]) -> None:
        self.left = False
        self._request, self._result = request, result
        self._task: asyncio.Task[None] | None = None
        self._start = asyncio.get_running_loop().call_later(_PATIENCE, self._begin)

    def end(self) -> None:
        self._start.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._result.cancel()  # and with it the thread's
