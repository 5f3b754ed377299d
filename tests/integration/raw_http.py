"""HTTP as bytes: what no client library would send, and what comes back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 40.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool  # whether the server has closed the connection after it

    def problem(self, status: int, code: str) -> dict[str, Any]:
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json", self
        document: dict[str, Any] = json.loads(self.body)
        assert (document["code"], document["status"]) == (code, status), document
        return document


class Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._waiting = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer | None:
        """The next answer; None when the server has closed the connection without one."""
        while b"\r\n\r\n" not in self._waiting:
            if not (chunk := self._receive()):
                assert not self._waiting
                return None
            self._waiting += chunk
        head, _, rest = self._waiting.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        while len(rest) < length and (chunk := self._receive()):
            rest += chunk
        self._waiting = rest[length:]
        closed = headers.get("connection") == "close"
        return Answer(int(first.split()[1]), headers, rest[:length], closed)

    def closed(self) -> bool:
        """Wait until the server closes the connection; what it still sends is passed over."""
        while self._receive():
            pass
        return True

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(1 << 16)
        except ConnectionResetError:
            return b""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=PATIENCE) as sock:
        yield Connection(sock)


def request(path: str = "/v1/encoders", *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
