"""The two clients: the same operations, returned or awaited."""

from __future__ import annotations

import os
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from bitextmine import __version__
from bitextmine.client.bitexts import Bitexts
from bitextmine.client.connection import Blocking, InLoop
from bitextmine.client.corpora import Corpora
from bitextmine.client.embedding import Embedding
from bitextmine.client.jobs import Jobs
from bitextmine.client.matrix import Matrices
from bitextmine.client.mining import Mining
from bitextmine.client.operation import Mode
from bitextmine.client.scoring import Scoring
from bitextmine.client.searching import Searching
from bitextmine.client.status import Status
from bitextmine.client.uploads import Uploads
from bitextmine.client.words import AligningWords
from bitextmine.errors import ParameterError

KEY_VARIABLE = "BITEXTMINE_KEY"
TIMEOUT_SECONDS = 60.0
REPEATS = 6  # with the pauses between them, half a minute


class Operations(
    Mining[Mode],
    Matrices[Mode],
    Searching[Mode],
    Scoring[Mode],
    Embedding[Mode],
    AligningWords[Mode],
    Status[Mode],
):
    """What both clients can do."""

    def __init__(self, connection: Mode) -> None:
        super().__init__(connection)
        self.corpora: Corpora[Mode] = Corpora(connection)
        self.jobs: Jobs[Mode] = Jobs(connection)
        self.bitexts: Bitexts[Mode] = Bitexts(connection)
        self.uploads: Uploads[Mode] = Uploads(connection)


class Client(Operations[Blocking]):
    """Speaks to a service; its methods return when the service has answered. It may be shared by threads.

    Args:
        url: Where the service is, as http://127.0.0.1:8000.
        key: What `bitextmine keys create` gave; by default the environment's BITEXTMINE_KEY, if there is one.
        timeout: Seconds of silence after which a connection is given up.
        repeats: How often a request is sent again while the service is too busy (429), away (503) or out of reach,
            waiting as long as it asks for. No job is made twice by that.

    Raises:
        ParameterError: there can be no such URL or key.
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = TIMEOUT_SECONDS, repeats: int = REPEATS
    ) -> None:
        super().__init__(Blocking(httpx.Client(**_options(url, key, timeout)), repeats))

    def close(self) -> None:
        self.connection.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient(Operations[InLoop]):
    """Speaks to a service from asyncio's event loop: what `Client` has, to be awaited, and lists to be
    gone through with `async for`. Its arguments and errors are those of `Client`."""

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = TIMEOUT_SECONDS, repeats: int = REPEATS
    ) -> None:
        super().__init__(InLoop(httpx.AsyncClient(**_options(url, key, timeout)), repeats))

    async def close(self) -> None:
        await self.connection.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def _options(url: str, key: str | None, timeout: float) -> dict[str, Any]:
    headers = {"User-Agent": f"bitextmine/{__version__}"}
    key = os.environ.get(KEY_VARIABLE, "") if key is None else key
    if not (key.isascii() and (key.isprintable() or not key) and key == key.strip()):
        raise ParameterError("the key holds characters that no key has; is it the whole of one line?")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {"base_url": _checked_url(url), "headers": headers, "timeout": timeout}


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ParameterError(f"{url!r} is no URL of a service; give it as http://127.0.0.1:8000")
    return url
