"""HTTP on the wire: uvicorn's protocol, with limits of time and number; what is no request gets a problem document."""

from __future__ import annotations

import asyncio
import resource
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from bitextmine_service import problems
from bitextmine_service.hardening import HEADERS

MAX_HEAD_BYTES = 32 << 10  # request line and headers
OVERLOADED = "overloaded"  # in a scope's state: refuse it
_OTHER_FILES = 1024  # uploads, artifacts
_LINGER_SECONDS = 10.0  # for which what is left of a refused body is read, so that the refusal can be
_END_SECONDS = 2.0  # likewise, once nothing else will be read


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds, and the number of connections at a time; twice as many are answered 503, more not at all."""

    connections: int
    header_seconds: float  # for the head of a request to arrive
    send_seconds: float  # for which a client may take nothing of its answer

    def raise_file_limit(self) -> None:
        """Let this process have as many files open as it has connections, and some, where the system lets it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 4 * self.connections + _OTHER_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Marked:
    """ASGI: the application, told of each request that it came on a connection too many."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"][OVERLOADED] = True
        await self._app(scope, receive, send)


class Protocol(H11Protocol):  # type: ignore[misc]  # mypy follows no imports of uvicorn
    """A connection. Names without an underscore are uvicorn's and asyncio's."""

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.app: ASGIApp = self.app
        self._limits = limits
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > 2 * self._limits.connections:
            transport.abort()
            return
        if len(self.connections) > self._limits.connections:
            self.app = _Marked(self.app)
        self._start("head", self._limits.header_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        for name in tuple(self._timers):
            self._stop(name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop("head")
        elif "head" not in self._timers and not self._ended:
            self._start("head", self._limits.header_seconds, self._head_is_late)
        if self.conn.their_state is not h11.SEND_BODY:
            self._stop("linger")

    def on_response_complete(self) -> None:
        unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self._start("linger", _LINGER_SECONDS, self._end)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start("send", self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop("send")
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this while it handles what h11 says of the request."""
        error = sys.exception()
        status = HTTPStatus(error.error_status_hint if isinstance(error, h11.ProtocolError) else 400)
        if status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            detail = f"the request line and the headers are larger than {MAX_HEAD_BYTES:,} bytes"
            self._refuse(status, "headers-too-large", detail)
        else:
            self._refuse(status, "invalid-http", f"this is not HTTP/1.1: {error or msg}")

    def _head_is_late(self) -> None:
        if not self.conn.trailing_data[0]:  # nobody has asked anything
            self._end()
            return
        detail = f"the request line and the headers took longer than {self._limits.header_seconds:g} s"
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail)

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Answer with a problem document, where an answer has not begun, and read no more."""
        path = "/"
        if self.cycle is not None and not self.cycle.response_complete:
            path = self.cycle.scope["path"]
            self.cycle.disconnected = True  # what the application still says is not sent
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = problems.response(path, status, code, detail, headers={**HEADERS, "Connection": "close"})
            head = h11.Response(status_code=status, headers=answer.raw_headers, reason=status.phrase.encode())
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self._end()

    def _end(self) -> None:
        """Close so that the other side can read what was sent: what it is still sending would reset the connection."""
        self._ended = True
        self._unset_keepalive_if_required()
        for name in tuple(self._timers):
            self._stop(name)
        if self.transport.is_closing():
            return
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._start("end", _END_SECONDS, self.transport.abort)

    def _start(self, name: str, seconds: float, then: Any) -> None:
        self._stop(name)
        self._timers[name] = self.loop.call_later(seconds, then)

    def _stop(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
