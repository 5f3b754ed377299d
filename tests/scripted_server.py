"""An HTTP server that does what it is told, request by request: what a client meets when a service is busy or away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What is sent back; `cut` closes the connection after so many bytes of the body, 0 before any answer."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def refusal(status: int, code: str, **headers: str) -> Reply:
    """A problem document."""
    document = {"type": f"urn:bitextmine:error:{code}", "status": status, "detail": f"it is {code}", "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, document, {"Content-Type": "application/problem+json", **named})


class ScriptedServer:
    """Answers the n-th request with the n-th reply, further ones with the last."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self.replies: list[Reply | Callable[[Seen], Reply]] = []

    def says(self, *replies: Reply | Callable[[Seen], Reply]) -> None:
        self.seen, self.replies = [], list(replies)

    def reply_to(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        found = self.replies[min(len(self.seen), len(self.replies)) - 1]
        return found if isinstance(found, Reply) else found(seen)


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            reply = script.reply_to(Seen(self.command, self.path, dict(self.headers.items()), self._body()))
            content = reply.content
            if reply.cut == 0:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if not any(name.lower() == "content-length" for name in reply.headers):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: reply.cut])
            self.close_connection = reply.cut is not None

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *args: Any) -> None:
            pass

    for method in ("GET", "POST", "DELETE", "PATCH", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script = ScriptedServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
