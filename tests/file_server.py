"""An HTTP server of a few files that can break off, stall, refuse, or leave out what resuming needs."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """What it serves and how, which may be changed while it runs, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None  # bytes of each answer
        self.breaks = 0  # answers still to break off
        self.stall_seconds = 0.0
        self.status: int | None = None
        self.etags = True
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self.url = ""


@contextmanager
def file_server() -> Iterator[FileServer]:
    served = FileServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    server.daemon_threads = False  # so that closing it waits for them
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(served: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append((self.path, self.headers.get("Range")))
            time.sleep(served.stall_seconds)
            content = served.files.get(self.path.lstrip("/"))
            if content is None or served.status is not None:
                self.send_error(served.status or 404)
                return
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            start = self._start(etag)
            if start >= len(content) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if served.etags:
                self.send_header("ETag", etag)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            stop = len(content)
            if served.breaks and served.break_after is not None:
                served.breaks -= 1
                stop = start + served.break_after
            self.wfile.write(content[start:stop])

        def _start(self, etag: str) -> int:
            wanted = self.headers.get("Range")
            if not (wanted and served.ranges and self.headers.get("If-Range") == etag):
                return 0
            return int(wanted.removeprefix("bytes=").removesuffix("-"))

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
