"""Requests that are not taken as they come: too many, too large, too slow, or with an end in two places."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bitextmine_service import problems
from bitextmine_service.protocol import MAX_HEAD_BYTES, OVERLOADED

_PROBES = ("/livez", "/readyz", "/metrics")  # answered in any case: an overloaded service is no dead one
_LINE_END = 4  # bytes of a header beside its name and value
_CLOSE = {"Connection": "close"}


class HeadLimit:
    """ASGI middleware: refuses what comes on a connection too many, heads over the limit, and those that say in two
    ways where their body ends.

    The two ways are how a proxy and this service come to see different requests in the same bytes (RFC 9112, 6.3).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        size = len(scope.get("raw_path", b"")) + len(scope["query_string"])
        size += sum(len(name) + len(value) + _LINE_END for name, value in headers.raw)
        extra = _CLOSE
        if scope.get("state", {}).get(OVERLOADED) and scope["path"] not in _PROBES:
            code, detail = "overloaded", "as many connections are open as the service takes; try again later"
            extra = {**_CLOSE, "Retry-After": "1"}
        elif size > MAX_HEAD_BYTES:
            code, detail = (
                "headers-too-large",
                f"the request line and the headers are larger than {MAX_HEAD_BYTES:,} bytes",
            )
        elif "transfer-encoding" in headers and ("content-length" in headers or scope["http_version"] == "1.0"):
            code, detail = "invalid-http", "Transfer-Encoding with Content-Length, or in HTTP/1.0, is not taken"
        else:
            await self._app(scope, receive, send)
            return
        refusal = problems.response(scope["path"], problems.STATUS[code], code, detail, headers=extra)
        await refusal(scope, receive, send)


class BodyLimit:
    """ASGI middleware: reads a body before anyone else does, and refuses one over a limit of size or time.

    Whether or not it announces its length. Uploads have limits of their own.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float, is_upload: Callable[[str], bool]) -> None:
        """`is_upload` says of a path whether bodies sent there are left alone."""
        self._app, self._max, self._seconds, self._is_upload = app, max_bytes, seconds, is_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_upload(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(receive)
        except TimeoutError:
            code, detail = "request-timeout", f"the body took longer than {self._seconds:g} s"
            headers, body = _CLOSE, None
        else:
            code, detail = "body-too-large", f"the body is larger than {self._max:,} bytes"
        if body is None:
            refusal = problems.response(scope["path"], problems.STATUS[code], code, detail, headers=headers)
            await refusal(scope, receive, send)
            return

        async def replay() -> Message:
            return body.pop(0) if body else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> list[Message] | None:
        """The messages of the body; None when it is too large."""
        seen = 0
        body: list[Message] = []
        while True:
            message = await receive()
            body.append(message)
            seen += len(message.get("body", b""))
            if seen > self._max:
                return None
            if message["type"] != "http.request" or not message.get("more_body", False):
                return body
