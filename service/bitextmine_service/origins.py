"""Web pages as clients: which origins may ask, and what protects a service without keys from pages that may not.

Without keys whoever reaches the service may do all. A browser on this machine reaches it for any page it shows: pages
of other origins are refused by their Origin header, and pages whose name was made to mean this machine (DNS rebinding)
by the Host header.
"""

from __future__ import annotations

import ipaddress
import re
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bitextmine.errors import ParameterError
from bitextmine_service import problems

ANY = "*"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "Range")
ANSWER_HEADERS = ("Content-Disposition", "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After")
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?")


def parse_origins(text: str) -> tuple[str, ...]:
    """Origins with commas between them, as `https://a.example,http://localhost:5173`, or `*` for all.

    Raises:
        ParameterError: one is no origin: a scheme and a host, perhaps a port, and no path.
    """
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != ANY and not _ORIGIN.fullmatch(origin):
            raise ParameterError(f"{origin[:80]!r} is no origin; write https://name or https://name:port, or *")
    return origins


class Cors(CORSMiddleware):
    """Starlette's, for bearer tokens and no cookies; a preflight that is refused is a problem document too."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code != HTTPStatus.BAD_REQUEST:
            return answer
        detail = bytes(answer.body).decode()
        headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return problems.response("/", HTTPStatus.FORBIDDEN, "origin-refused", detail, headers=headers)


class Keyless:
    """ASGI middleware of a service without keys: refuses what a browser sends for pages that have no business here."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], *, local: bool) -> None:
        """`local`: whether requests must name this machine as their host."""
        self._app, self._origins, self._local = app, origins, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        host, origin = headers.get("host"), headers.get("origin")
        if self._local and host is not None and not names_this_machine(host):
            code, detail = "host-refused", f"this service answers to localhost, and {host[:80]!r} is another name"
        elif origin is not None and not self._allowed(origin, host):
            code, detail = "origin-refused", f"pages of {origin[:80]!r} may not use this service"
        else:
            await self._app(scope, receive, send)
            return
        await problems.response(scope["path"], problems.STATUS[code], code, detail)(scope, receive, send)

    def _allowed(self, origin: str, host: str | None) -> bool:
        own = origin.partition("://")[2]
        return ANY in self._origins or origin in self._origins or (own != "" and own == host)


def names_this_machine(host: str) -> bool:
    """Whether a Host header is localhost or a loopback address, with or without a port."""
    match = _HOST.fullmatch(host.strip().lower())
    name = match[1].strip("[]") if match else ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
