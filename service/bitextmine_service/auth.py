"""Keys at the door: who sent a request is known, and may send it now, before anything of its body is read."""

from __future__ import annotations

import functools
import ipaddress
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as RequestScope

from bitextmine import logs
from bitextmine.errors import BitextmineError
from bitextmine.jobs.request_rates import RateLimiter, Taken
from bitextmine.keys import LOCAL, NOBODY, Caller, KeyRing, Rate, Scope
from bitextmine_service import page, problems

OPEN_PATHS = frozenset({"/livez", "/readyz", "/docs", "/openapi.json"}) | page.PATHS
OPEN_FOLDER = page.STATIC  # the files of the web page
METRICS = "/metrics"
_STREAM_SECONDS = 5.0  # after which an endless answer asks whether its key still holds
_THREADS = 8  # of its own: while routes have all the others busy, keys are told all the same
_CHALLENGES = {
    "key-missing": 'Bearer realm="bitextmine"',
    "key-invalid": 'Bearer realm="bitextmine", error="invalid_token", error_description="unknown or revoked"',
    "key-expired": 'Bearer realm="bitextmine", error="invalid_token", error_description="expired"',
}
Result = TypeVar("Result")


class AuthMode(StrEnum):
    """Whether the service asks for keys; auto: unless it listens on a loopback address."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"

    def asks(self, host: str) -> bool:
        """Whether a service that listens on `host` asks for keys."""
        return self is AuthMode.ON or (self is AuthMode.AUTO and not is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there; a name must mean no other address."""
    if not host:
        return False  # all addresses, to a server
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(_loopback(str(address[4][0])) for address in found)


def _loopback(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class Authentication:
    """ASGI middleware: sets `request.state.caller`, or answers 401 or 429 itself."""

    def __init__(self, app: ASGIApp, ring: KeyRing | None, limiter: RateLimiter, *, metrics_open: bool) -> None:
        """`ring` is None where no keys are asked for."""
        self._app, self._ring, self._limiter = app, ring, limiter
        self._metrics_open = metrics_open
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def __call__(self, scope: RequestScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if (known := self._known(scope["path"])) is not None or self._ring is None:
            state["caller"] = known
            await self._app(scope, receive, send)
            return
        try:
            token = _token(Headers(scope=scope))
            state["caller"] = caller = await self._caller(self._ring, token)
        except BitextmineError as error:
            refusal = problems.response(
                scope["path"],
                problems.status_of(error),
                error.code,
                str(error),
                headers={"WWW-Authenticate": _CHALLENGES[error.code]},
            )
            await refusal(scope, receive, send)
            return
        logs.bind(key_id=caller.key_id, tenant=caller.tenant)
        watched = _Watched(send, functools.partial(self._holds, self._ring, token))
        await self._at_its_rate(scope, receive, watched, caller)

    async def _at_its_rate(self, scope: RequestScope, receive: Receive, send: Send, caller: Caller) -> None:
        if caller.rate is None:
            await self._app(scope, receive, send)
            return
        taken = await self._in_thread(
            functools.partial(self._limiter.take, str(caller.key_id), caller.rate.limit, caller.rate.seconds)
        )
        headers = _rate_headers(caller.rate, taken)
        if taken.ok:
            await self._app(scope, receive, _with_headers(send, headers))
            return
        detail = f"this key may send {caller.rate} requests; try again in {taken.retry_seconds:,} s"
        headers["Retry-After"] = str(taken.retry_seconds)
        code = "rate-limited"
        refusal = problems.response(scope["path"], problems.STATUS[code], code, detail, headers=headers)
        await refusal(scope, receive, send)

    def _known(self, path: str) -> Caller | None:
        """The caller of a request that needs no key."""
        if self._ring is None:
            return LOCAL
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return NOBODY
        return replace(NOBODY, scope=Scope.ADMIN) if self._metrics_open and path == METRICS else None

    async def _caller(self, ring: KeyRing, token: str) -> Caller:
        """
        Raises:
            BitextmineError: `key-invalid`, `key-expired`.
        """
        if ring.is_fresh(token):
            return ring.caller(token)
        return await self._in_thread(functools.partial(ring.caller, token))

    async def _holds(self, ring: KeyRing, token: str) -> bool:
        try:
            await self._caller(ring, token)
        except BitextmineError:
            return False
        return True

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await anyio.to_thread.run_sync(work, limiter=self._threads)


class _Watched:
    """A `send` that ends a stream of events when its key no longer holds."""

    def __init__(self, send: Send, holds: Callable[[], object]) -> None:
        self._send, self._holds = send, holds
        self._endless = self._ended = False
        self._asked_at = time.monotonic()

    async def __call__(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start":
            kind = Headers(raw=message.get("headers", [])).get("content-type", "")
            self._endless = kind.startswith("text/event-stream")
        elif self._endless and time.monotonic() - self._asked_at > _STREAM_SECONDS:
            self._asked_at = time.monotonic()
            if not await self._holds():  # type: ignore[misc]
                self._ended = True
                message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)


def _token(headers: Headers) -> str:
    """The token that a request carries.

    Raises:
        BitextmineError: `key-missing`, `key-invalid`.
    """
    given = headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if given else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        message = "this service asks for a key; send the header: Authorization: Bearer btm_..."
        raise BitextmineError(message, code="key-missing")
    if len(given) > 1:
        raise BitextmineError("there is more than one Authorization header", code="key-invalid")
    return token.strip()


def _rate_headers(rate: Rate, taken: Taken) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers-10 has them."""
    return {
        "RateLimit-Policy": f'"key";q={rate.limit};w={rate.seconds}',
        "RateLimit": f'"key";r={taken.remaining};t={taken.full_seconds}',
    }


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sending
