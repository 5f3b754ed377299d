"""The few endpoints of the Hugging Face hub that a download uses, on a local port, for models in directories."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class FakeHub:
    """Models by `owner/name`, at commits that branches and tags name."""

    url: str = ""
    models: dict[str, dict[str, Path]] = field(default_factory=dict)  # repository -> commit -> directory
    revisions: dict[str, str] = field(default_factory=dict)  # branch or tag -> commit
    gated: set[str] = field(default_factory=set)  # not given to whoever asks here
    private: set[str] = field(default_factory=set)  # given, as to someone with a token
    break_off: dict[str, list[int]] = field(default_factory=dict)  # file -> bytes after which the next answers end
    damage: set[str] = field(default_factory=set)  # files that are sent with a wrong byte
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Range

    def files(self, repository: str, commit: str) -> dict[str, Path]:
        root = self.models[repository][commit]
        return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            self._api(*match.groups())
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(*match.groups())
        else:
            self._fail(404, "EntryNotFound")

    def _api(self, repository: str, what: str, revision: str) -> None:
        if repository not in self.hub.models:
            return self._fail(401, "RepoNotFound")  # as the hub answers whoever has not logged in
        if repository in self.hub.gated:
            return self._fail(403, "GatedRepo")
        commit = self.hub.revisions.get(revision, revision)
        if commit not in self.hub.models[repository]:
            return self._fail(404, "RevisionNotFound")
        files = self.hub.files(repository, commit)
        if what == "revision":
            siblings = [self._sibling(name, path) for name, path in files.items()]
            private = repository in self.hub.private
            return self._json({"id": repository, "sha": commit, "siblings": siblings, "private": private})
        return self._json([self._entry(name, path) for name, path in files.items()])

    def _sibling(self, name: str, path: Path) -> dict[str, object]:
        entry = self._entry(name, path)
        sibling: dict[str, object] = {"rfilename": name, "size": entry["size"], "blobId": entry["oid"]}
        if name.endswith(".safetensors"):
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            sibling["lfs"] = {"sha256": sha256, "size": entry["size"], "pointerSize": 134}
        return sibling

    def _entry(self, name: str, path: Path) -> dict[str, object]:
        size, sha256 = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
        entry: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": sha256[:40]}
        if name.endswith(".safetensors"):
            entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
        return entry

    def _file(self, repository: str, revision: str, name: str) -> None:
        commit = self.hub.revisions.get(revision, revision)
        path = self.hub.files(repository, commit).get(name)
        if path is None:
            return self._fail(404, "EntryNotFound")
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        start = int(match.group(1)) if (match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{sha256 if name.endswith(".safetensors") else sha256[:40]}"')
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self._send(name, content[start:])
        return None

    def _send(self, name: str, content: bytes) -> None:
        if name in self.hub.damage:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if limits := self.hub.break_off.get(name):
            self.wfile.write(content[: limits.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(content)

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Answer at `hub.url` until the block ends."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
