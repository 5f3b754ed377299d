"""Server-Sent Events: a response that goes on until it has said all, its client leaves, or the service stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_SEND_SECONDS = 30.0  # in which a client must take what it is sent
_FAREWELL = b": the service stops; connect again\n\n"


def message(event: str, data: str, number: int) -> bytes:
    """One event; `data` is on one line, as JSON is."""
    return f"id: {number}\nevent: {event}\ndata: {data}\n\n".encode()


def comment(text: str) -> bytes:
    """What clients ignore, and what keeps proxies from taking the connection for dead."""
    return f": {text}\n\n".encode()


class EventStream(Response):
    """Sends what `parts` gives as it comes, and calls `end` in the end, however it came to that.

    A client that does not take what it is sent is left after half a minute.
    """

    media_type = "text/event-stream"

    def __init__(self, parts: AsyncIterator[bytes], stopping: asyncio.Event, end: Callable[[], None]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._parts, self._stopping, self._end = parts, stopping, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._stream(receive, send)
        finally:
            self._end()

    async def _stream(self, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_parts(send))
        watching = (asyncio.create_task(_left(receive)), asyncio.create_task(self._stopping.wait()))
        try:
            await asyncio.wait((sending, *watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = sending.done()
            for task in (sending, *watching):
                task.cancel()
            await asyncio.wait((sending, *watching))
        if finished and (error := sending.exception()) is not None:
            raise error
        farewell = _FAREWELL if self._stopping.is_set() and not finished else b""
        with suppress(TimeoutError):
            await _send(send, farewell, more=False)

    async def _send_parts(self, send: Send) -> None:
        async for part in self._parts:
            await _send(send, part, more=True)


async def _send(send: Send, part: bytes, *, more: bool) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
