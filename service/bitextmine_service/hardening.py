"""What every answer tells browsers and caches: take it for what it says it is, frame it nowhere, keep it nowhere."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
POLICY = "default-src 'none'; frame-ancestors 'none'"  # of what is no page: nothing in it is ever run or fetched
PAGE_POLICY = "frame-ancestors 'none'"
_PRIVATE = ("/v1/", "/metrics")


class SafeHeaders:
    """ASGI middleware: puts these headers on answers that do not have others in their place."""

    def __init__(self, app: ASGIApp, *, cross_origin: bool) -> None:
        """`cross_origin`: whether pages of other origins may use the answers."""
        self._app = app
        self._headers = {**HEADERS, "Cross-Origin-Resource-Policy": "cross-origin" if cross_origin else "same-origin"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, sending)

    def _add(self, headers: MutableHeaders, path: str) -> None:
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        page = headers.get("content-type", "").startswith("text/html")
        headers.setdefault("Content-Security-Policy", PAGE_POLICY if page else POLICY)
        if path.startswith(_PRIVATE):
            headers.setdefault("Cache-Control", "no-store")
