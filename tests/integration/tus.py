"""What a client of tus sends."""

from __future__ import annotations

import httpx

from tests.integration.service import Api, numbered

VERSION = {"Tus-Resumable": "1.0.0"}
PIECE = {**VERSION, "Content-Type": "application/offset+octet-stream"}
CONTENT = numbered("Haus", 400)
HALF = len(CONTENT) // 2
MEBIBYTE = 1 << 20


def begun(api: Api, length: int = len(CONTENT), **headers: str) -> str:
    """The path of a new upload."""
    answer = api.http.post("/v1/uploads", headers={**VERSION, "Upload-Length": str(length), **headers})
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == "0"
    return answer.headers["location"]


def send(api: Api, path: str, offset: int, piece: object, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.http.patch(path, content=piece, headers={**PIECE, "Upload-Offset": str(offset), **named})  # type: ignore[arg-type]


def offset_of(api: Api, path: str) -> int:
    answer = api.http.head(path, headers=VERSION)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def uploaded(api: Api, content: bytes = CONTENT, **headers: str) -> str:
    """The id of a finished upload."""
    path = begun(api, len(content), **headers)
    assert send(api, path, 0, content).status_code == 204
    return path.rpartition("/")[2]


def use(api: Api, name: str, upload: str, **query: str) -> httpx.Response:
    return api.http.post("/v1/corpora", params={"name": name, "lang": "de", "upload": upload, **query})
