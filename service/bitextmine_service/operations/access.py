"""Around every request: its id, its record in the log, and the count of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping

from starlette.datastructures import Headers, MutableHeaders, State
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bitextmine import logs
from bitextmine_service.operations.metrics import UNMATCHED, Metrics

_PROBES = frozenset({"/livez", "/readyz", "/metrics"})  # asked every few seconds: their records are at DEBUG
_NO_ANSWER = 499  # as nginx says it: the client had gone
_logger = logging.getLogger("bitextmine.access")


class Access:
    """Outside of all other middleware, so that nothing is answered without it.

    Every answer gets X-Request-ID: the client's own if it is a sane one. The log has routes, never paths or queries as
    they were sent, and no header.
    """

    def __init__(self, app: ASGIApp, routes: list[BaseRoute], metrics: Metrics, state: State) -> None:
        """
        Args:
            state: the application's; while its `draining` is true, clients are told to close their connections.
        """
        self._app, self._routes, self._metrics, self._state = app, routes, metrics, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = logs.request_id(headers.get("x-request-id"))
        answer = _Answer(send, request_id, self._state)
        with logs.bound(request_id=request_id, **logs.trace_of(headers.get("traceparent"))):
            began = time.perf_counter()
            with self._metrics.in_flight.track_inprogress():
                try:
                    await self._app(scope, receive, answer)
                except Exception:
                    if not answer.complete:  # else it has been logged, and answered with 500
                        raise
                finally:
                    self._record(scope, answer, time.perf_counter() - began)

    def _record(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = self._route(scope)
        method = scope["method"]
        status = answer.status or _NO_ANSWER
        self._metrics.request(route, method, status, seconds)
        level = logging.DEBUG if route in _PROBES else logging.INFO
        if not _logger.isEnabledFor(level):
            return
        caller = scope.get("state", {}).get("caller")
        fields: Mapping[str, object] = {
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "bytes": answer.bytes,
            "client": scope["client"][0] if scope.get("client") else None,
            "key_id": getattr(caller, "key_id", None),
            "tenant": getattr(caller, "tenant", None),
        }
        told = {name: value for name, value in fields.items() if value is not None}
        _logger.log(level, "%s", " ".join(f"{name}={value}" for name, value in told.items()), extra=told)

    def _route(self, scope: Scope) -> str:
        """The template of the route that answered, or would have; one for all that match none."""
        route = scope.get("route") or self._match(scope)
        path: str = getattr(route, "path", UNMATCHED)
        return path

    def _match(self, scope: Scope) -> BaseRoute | None:
        """Refused before it came to the routes, or a route that does not name itself."""
        return next((route for route in _flat(self._routes) if route.matches(scope)[0] is not Match.NONE), None)


def _flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """All routes that have a path, those of included routers too, however FastAPI keeps them."""
    for route in routes:
        if hasattr(route, "path"):
            yield route
        elif (router := getattr(route, "original_router", None)) is not None:
            yield from _flat(router.routes)


class _Answer:
    """Passes an answer on, and notes what it was."""

    def __init__(self, send: Send, request_id: str, state: State) -> None:
        self._send, self._request_id, self._state = send, request_id, state
        self.status: int | None = None
        self.bytes = 0
        self.complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            if self._state.draining:
                headers["Connection"] = "close"
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
        await self._send(message)
