"""Uploads that come in pieces, over any number of connections and restarts.

`<id>` holds the bytes, and its size says how many have come. An upload in pieces has `<id>.json` too: how many there
are to come, and what the client says of them. `<id>.unchecked` is there while a piece comes whose checksum is looked
at in the end: the number of bytes before it. All is on the disk that the API's processes share; whoever writes to an
upload, or deletes it, holds the lock of its file. See also https://tus.io/protocols/resumable-upload (1.0.0).
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

from bitextmine.errors import BitextmineError, ConflictError, CorpusInputError, NotFoundError, disk_full_named
from bitextmine.files import fsync, locked, write_atomically
from bitextmine.uploads import ID_PATTERN, INFO, MAX_AGE_SECONDS, UNCHECKED, discard

_ID = re.compile(ID_PATTERN)


class Hasher(Protocol):
    """What hashlib makes."""

    def update(self, block: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of a piece must amount to."""

    hasher: Hasher
    expected: bytes


@dataclass(frozen=True, slots=True)
class PartialUpload:
    """How far an upload in pieces is."""

    id: str
    length: int  # bytes in the end
    offset: int  # bytes on the disk
    metadata: str  # as the client wrote it: names with values in base64, commas in between
    expires: datetime

    @property
    def complete(self) -> bool:
        return self.offset == self.length

    @property
    def filename(self) -> str | None:
        """What the client calls the file, if it does."""
        return parse_metadata(self.metadata).get("filename") or None


def parse_metadata(header: str) -> dict[str, str]:
    """The values of an Upload-Metadata header; bytes that are not UTF-8 are replaced.

    Raises:
        CorpusInputError: `invalid-upload-metadata`.
    """
    found: dict[str, str] = {}
    for pair in header.split(",") if header.strip() else ():
        name, _, value = pair.strip().partition(" ")
        try:
            decoded = base64.b64decode(value.strip(), validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            name = ""
        if not name or name in found:
            message = "Upload-Metadata is not names, each with a value in base64, with commas in between"
            raise CorpusInputError(message, code="invalid-upload-metadata")
        found[name] = decoded
    return found


class Uploads:
    """The uploads in pieces of one workspace; `max_age_seconds` after its last byte an upload is no more."""

    def __init__(self, directory: Path, max_age_seconds: float = MAX_AGE_SECONDS) -> None:
        self.directory = directory
        self._max_age = max_age_seconds

    def create(self, length: int, metadata: str, most: int) -> PartialUpload:
        """Begin an upload.

        Raises:
            CorpusInputError: `invalid-upload-metadata`.
            BitextmineError: `too-many-uploads`: there are `most` already.
            DiskFullError: there is no room.
        """
        parse_metadata(metadata)
        upload_id = secrets.token_hex(16)
        info = json.dumps({"length": length, "metadata": metadata}).encode()
        with disk_full_named("the upload"):
            self.directory.mkdir(parents=True, exist_ok=True)
            with locked(self.directory, wait=True):
                if (count := sum(1 for _ in self._alive())) >= most:
                    message = f"there are {count:,} uploads in pieces already; use, delete or finish some"
                    raise BitextmineError(message, code="too-many-uploads")
                (self.directory / upload_id).touch(exist_ok=False)
                write_atomically(self.directory / f"{upload_id}{INFO}", info)
        return self.get(upload_id)

    def get(self, upload_id: str) -> PartialUpload:
        """An upload; the bytes that its offset counts are on the disk, whatever happens next.

        Raises:
            NotFoundError: `upload-not-found`; `upload-expired`: nothing came for too long.
        """
        found = self._look(upload_id)
        with suppress(FileNotFoundError):
            fsync(self.directory / upload_id)
        return found

    @contextmanager
    def locked(self, upload_id: str) -> Iterator[PartialUpload]:
        """An upload that nobody else writes to, deletes or sweeps meanwhile.

        Raises:
            NotFoundError: as `get`.
            ConflictError: `upload-locked`: someone else does.
        """
        stream = self._open(upload_id)
        try:
            yield self.get(upload_id)
        finally:
            stream.close()

    def append(self, upload_id: str, offset: int, checksum: Checksum | None = None) -> Appending:
        """Begin to write a piece at an offset, which must be where the last one ended.

        Raises:
            NotFoundError, ConflictError: as `locked`; `upload-offset`: the upload is further, or not so far.
        """
        stream = self._open(upload_id)
        try:
            upload = self.get(upload_id)
            _check_offset(upload, offset)
            stream.truncate(offset)  # what came of a piece that was not checked to its end
            stream.seek(offset)
            return Appending(stream, self.directory / upload_id, upload, checksum)
        except BaseException:
            stream.close()
            raise

    def delete(self, upload_id: str) -> None:
        """
        Raises:
            NotFoundError, ConflictError: as `locked`.
        """
        with self.locked(upload_id):
            discard(self.directory, upload_id)

    def _alive(self) -> Iterator[PartialUpload]:
        for info in self.directory.glob(f"*{INFO}"):
            with suppress(NotFoundError):
                yield self._look(info.stem)

    def _look(self, upload_id: str) -> PartialUpload:
        if not _ID.fullmatch(upload_id):
            raise NotFoundError(f"there is no upload {upload_id[:40]!r}", code="upload-not-found")
        path = self.directory / upload_id
        try:
            info = json.loads(path.with_name(f"{upload_id}{INFO}").read_bytes())
            status = path.stat()
            mark = path.with_name(f"{upload_id}{UNCHECKED}")
            offset = min(status.st_size, int(mark.read_bytes())) if mark.exists() else status.st_size
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"there is no upload {upload_id}", code="upload-not-found") from None
        expires = status.st_mtime + self._max_age
        if expires < time.time():
            raise NotFoundError(f"upload {upload_id} has expired; begin it again", code="upload-expired")
        moment = datetime.fromtimestamp(expires, UTC)
        return PartialUpload(upload_id, int(info["length"]), offset, str(info["metadata"]), moment)

    def _open(self, upload_id: str) -> IO[bytes]:
        self._look(upload_id)
        try:
            stream = (self.directory / upload_id).open("r+b", buffering=0)
        except FileNotFoundError:
            raise NotFoundError(f"there is no upload {upload_id}", code="upload-not-found") from None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            message = f"something else is at work on upload {upload_id}; try again later"
            raise ConflictError(message, code="upload-locked") from None
        if not os.fstat(stream.fileno()).st_nlink:  # deleted just before the lock was had
            stream.close()
            raise NotFoundError(f"there is no upload {upload_id}", code="upload-not-found")
        return stream


def _check_offset(upload: PartialUpload, offset: int) -> None:
    if offset != upload.offset:
        message = f"the upload has {upload.offset:,} bytes; the next piece begins there, not at {offset:,}"
        raise ConflictError(message, code="upload-offset")


class Appending:
    """A piece of an upload as it is written; close it in any case."""

    def __init__(self, stream: IO[bytes], path: Path, upload: PartialUpload, checksum: Checksum | None) -> None:
        self._stream, self._path, self._upload, self._checksum = stream, path, upload, checksum
        self._mark = path.with_name(f"{path.name}{UNCHECKED}")
        if checksum is not None:
            write_atomically(self._mark, str(upload.offset).encode())
        else:
            self._mark.unlink(missing_ok=True)

    def check_room(self, size: int) -> None:
        """
        Raises:
            CorpusInputError: `upload-too-large`: with so many bytes more it would be longer than was announced.
        """
        if self._stream.tell() + size > self._upload.length:
            message = f"these are more bytes than the {self._upload.length:,} that were announced"
            raise CorpusInputError(message, code="upload-too-large")

    def write(self, block: bytes) -> None:
        """
        Raises:
            CorpusInputError: as `check_room`.
            DiskFullError: what there was room for stays.
        """
        self.check_room(len(block))
        fitting = memoryview(block)
        with disk_full_named("the upload"):
            while fitting:
                fitting = fitting[self._stream.write(fitting) :]
        if self._checksum is not None:
            self._checksum.hasher.update(block)

    def close(self, *, whole: bool) -> bool:
        """End the piece: what came is on the disk, and stays unless a checksum forbids it.

        Args:
            whole: whether all of the piece came.
        Returns:
            False where there is a checksum and the bytes are others; then none of them stay.
        """
        checksum = self._checksum
        with self._stream as stream:
            good = checksum is None or (whole and checksum.hasher.digest() == checksum.expected)
            if not good:
                stream.truncate(self._upload.offset)
            os.fsync(stream.fileno())
            self._mark.unlink(missing_ok=True)
        return good
