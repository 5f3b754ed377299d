"""Uploads: request bodies streamed to disk, hashed on the way, never held in memory."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anyio import to_thread
from starlette.requests import Request

from bitextmine.errors import BitextmineError, CorpusInputError, disk_full_named
from bitextmine.uploads import discard, keep

__all__ = ["Upload", "arriving", "blocks", "check_size", "discard", "keep", "receive", "takes_files"]

_BUFFER_BYTES = 1 << 20
_TAKING_FILES = re.compile(r"/v1/corpora|/v1/scoring-jobs|/v1/corpora/[^/]+/append|/v1/uploads/[^/]+")


def takes_files(path: str) -> bool:
    """Whether bodies that are sent to a path are files, which are not read before they are looked at."""
    return _TAKING_FILES.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Upload:
    name: str  # of the file, in the uploads directory
    sha256: str
    size: int


async def receive(chunks: AsyncIterator[bytes], directory: Path, max_bytes: int) -> Upload:
    """Write a body to a new file; nothing stays when it fails or the client goes away.

    Raises:
        CorpusInputError: `upload-too-large`, `empty-corpus`.
        DiskFullError: the disk is full.
    """
    path = directory / secrets.token_hex(16)
    digest = hashlib.sha256()
    size = 0
    try:
        with disk_full_named("the upload"), await to_thread.run_sync(_create, path) as stream:
            async for block in blocks(chunks):
                size += len(block)
                check_size(size, max_bytes)
                await to_thread.run_sync(_write, stream, digest, block)
        _check_not_empty(size)
    except BaseException:  # a client that goes away is a ClientDisconnect, a shutdown a CancelledError
        discard(directory, path.name)
        raise
    return Upload(path.name, digest.hexdigest(), size)


async def arriving(request: Request, stall_seconds: float) -> AsyncIterator[bytes]:
    """The body of a request as it comes.

    Raises:
        BitextmineError: `upload-stalled`: nothing came for so long.
    """
    chunks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(stall_seconds):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            message = f"no byte of the upload came for {stall_seconds:g} s"
            raise BitextmineError(message, code="upload-stalled") from None
        yield chunk


def check_size(size: int, max_bytes: int) -> None:
    """
    Raises:
        CorpusInputError: `upload-too-large`.
    """
    if size > max_bytes:
        message = f"the upload is larger than {max_bytes:,} bytes, the limit"
        raise CorpusInputError(message, code="upload-too-large")


def _check_not_empty(size: int) -> None:
    if not size:
        raise CorpusInputError("the upload is empty", code="empty-corpus")


async def blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks joined to blocks of about a megabyte: one hop to a thread for each.

    What came before the chunks break off comes out before their error does.
    """
    waiting = bytearray()
    broken: Exception | None = None
    try:
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= _BUFFER_BYTES:
                yield bytes(waiting)
                waiting.clear()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again
        broken = error
    if waiting:
        yield bytes(waiting)
    if broken is not None:
        raise broken


def _create(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _write(stream: IO[bytes], digest: "hashlib._Hash", block: bytes) -> None:  # noqa: UP037 - a typing-only name
    stream.write(block)
    digest.update(block)
