"""Corpus files as blocks of raw lines: decompressed, bounded, never whole in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from backports import zstd

from bitextmine.errors import CorpusInputError

BLOCK_BYTES = 1 << 20
_COMPRESSED_BYTES = 1 << 16
_MAGIC: tuple[tuple[bytes, Callable[[IO[bytes]], IO[bytes]]], ...] = (
    (b"\x1f\x8b", lambda raw: cast(IO[bytes], gzip.GzipFile(fileobj=raw))),
    (b"\xfd7zXZ\x00", lambda raw: cast(IO[bytes], io.BufferedReader(_XzStreams(raw), BLOCK_BYTES))),
    (b"\x28\xb5\x2f\xfd", lambda raw: cast(IO[bytes], zstd.ZstdFile(raw))),
    *((bytes([0x50 + i]) + b"\x2a\x4d\x18", lambda raw: cast(IO[bytes], zstd.ZstdFile(raw))) for i in range(16)),
)
_UTF_16 = "UTF-16 text"
_UNSUPPORTED = {
    b"BZh": "a bzip2 file",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
}
_XZ_MEMORY = 512 << 20  # what the strongest preset needs to decompress, eight times over
_CORRUPT = (gzip.BadGzipFile, lzma.LZMAError, zlib.error, zstd.ZstdError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one corpus file may hold. Lines beyond `max_chars` are refused; a file beyond the rest is an error.

    `max_expansion` is how many times larger than the compressed file its content may be; it is looked at once
    more than `EXPANSION_GRACE` bytes have come out, so small, very repetitive files pass.
    """

    max_chars: int = 10_000
    max_bytes: int = 100 << 30
    max_expansion: int = 250

    EXPANSION_GRACE = 64 << 20

    @property
    def max_line_bytes(self) -> int:
        """Beyond what `max_chars` can take: a character composed of four code points, each escaped in JSON."""
        return 24 * self.max_chars + (64 << 10)  # and a record's other fields


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Consecutive lines: `lines[i]` is line `first + i`, without its newline; None where it was over the limit.

    `consumed` counts the bytes of the file (compressed, if it is) read so far.
    """

    first: int
    lines: list[bytes | None]
    consumed: int


def read_blocks(path: Path, limits: Limits, *, name: str | None = None, sha256: str = "") -> Iterator[RawBlock]:
    """The lines of a plain, gzip, xz or zstd file, about a megabyte at a time. Compression is told by content.

    Args:
        name: what errors call the file; its own name when not given.
        sha256: what the file's bytes, hashed as they are read, must amount to in the end; not looked at when empty.
    Raises:
        CorpusInputError: `file-not-found`, `unsupported-input`, `truncated-input`, `corrupt-input`, `input-too-large`,
            `decompression-bomb` or, in the end, `input-changed`.
    """
    yield from split_lines(read_chunks(path, limits, name=name, sha256=sha256), limits)


def split_lines(chunks: Iterable[tuple[bytes, int]], limits: Limits) -> Iterator[RawBlock]:
    """The lines of a text that comes in chunks, each with the bytes of the file read so far."""
    first, pieces, consumed = 1, _LineSplitter(limits.max_line_bytes), 0
    for chunk, consumed in chunks:
        if lines := pieces.feed(chunk):
            yield RawBlock(first, lines, consumed)
            first += len(lines)
    if lines := pieces.finish():
        yield RawBlock(first, lines, consumed)


def read_chunks(
    path: Path, limits: Limits, *, name: str | None = None, sha256: str = "", utf16: bool = False
) -> Iterator[tuple[bytes, int]]:
    """The content of a file as `read_blocks` reads it, each chunk with the bytes of the file read so far.

    Args:
        utf16: whether the file may be UTF-16, as XML may.
    Raises:
        CorpusInputError: see `read_blocks`.
    """
    name = name or path.name
    with _opened(path, name, utf16) as (raw, stream, hashed), _errors_named(name):
        expanded = 0
        while chunk := stream.read(BLOCK_BYTES):
            expanded += len(chunk)
            check_size(name, expanded, raw.tell(), limits)
            yield chunk, raw.tell()
        while raw.read(BLOCK_BYTES):  # what follows the last compressed stream
            pass
        if sha256 and hashed.sha256 != sha256:
            raise changed(name)


def changed(name: str) -> CorpusInputError:
    message = f"{name} was changed while it was read; run this again when nothing writes to it"
    return CorpusInputError(message, code="input-changed")


class _HashedFile(io.RawIOBase):
    """A file that remembers the digest of what was read from it, which is read from its beginning on only."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._raw = path.open("rb", buffering=0)
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._raw.readinto(buffer)
        self._hash.update(memoryview(buffer)[:count])
        return count

    def tell(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LineSplitter:
    """Splits chunks at newlines, holding at most one line's limit of unfinished input."""

    def __init__(self, max_line_bytes: int) -> None:
        self._limit = max_line_bytes
        self._rest = b""
        self._overlong = False

    def feed(self, chunk: bytes) -> list[bytes | None]:
        pieces = chunk.split(b"\n")
        if len(pieces) == 1:
            self._extend(chunk)
            return []
        self._extend(pieces[0])
        lines: list[bytes | None] = [self._take(), *(p if len(p) <= self._limit else None for p in pieces[1:-1])]
        self._extend(pieces[-1])
        return lines

    def finish(self) -> list[bytes | None]:
        return [self._take()] if self._rest or self._overlong else []

    def _extend(self, piece: bytes) -> None:
        if self._overlong or len(self._rest) + len(piece) > self._limit:
            self._rest, self._overlong = b"", True
        else:
            self._rest += piece

    def _take(self) -> bytes | None:
        line = None if self._overlong else self._rest
        self._rest, self._overlong = b"", False
        return line


class _XzStreams(io.RawIOBase):
    """The content of one xz stream after another. Unlike LZMAFile, it does not end quietly at a damaged one."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self._stream = self._new_stream()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = b""
        while not content:
            compressed = self._compressed()
            if self._stream.eof:
                if not compressed:
                    break
                self._stream = self._new_stream()
            content = self._stream.decompress(compressed, len(buffer))
        buffer[: len(content)] = content
        return len(content)

    @staticmethod
    def _new_stream() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def _compressed(self) -> bytes:
        """What to decompress next; empty at the end of the file, and while the stream still holds some."""
        if self._stream.eof:
            following = self._stream.unused_data.lstrip(b"\0")  # streams may be padded
            while not following and (more := self._raw.read(_COMPRESSED_BYTES)):
                following = more.lstrip(b"\0")
            return following
        if not self._stream.needs_input:
            return b""
        if not (more := self._raw.read(_COMPRESSED_BYTES)):
            raise EOFError
        return more


@contextmanager
def _opened(path: Path, name: str, utf16: bool) -> Iterator[tuple[IO[bytes], IO[bytes], _HashedFile]]:
    """The file's bytes, what they decompress to, and the file itself."""
    try:
        hashed = _HashedFile(path)
    except OSError as error:
        raise CorpusInputError(f"cannot read {name}: {error.strerror}", code="file-not-found") from error
    with io.BufferedReader(hashed, _COMPRESSED_BYTES) as raw:
        try:
            start = raw.peek(8)
        except OSError as error:
            raise CorpusInputError(f"cannot read {name}: {error.strerror}", code="file-not-found") from error
        for magic, what in _UNSUPPORTED.items():
            if start.startswith(magic) and not (utf16 and what == _UTF_16):
                message = f"{name} is {what}; give UTF-8 text or JSONL, plain or as .gz, .xz or .zst"
                raise CorpusInputError(message, code="unsupported-input")
        for magic, decompressed in _MAGIC:
            if start.startswith(magic):
                with decompressed(raw) as stream:
                    yield raw, stream, hashed
                return
        yield raw, raw, hashed


@contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        message = f"{name} is truncated: its compressed stream ends early; transfer it again"
        raise CorpusInputError(message, code="truncated-input") from error
    except _CORRUPT as error:
        raise CorpusInputError(f"{name} is damaged: {error}", code="corrupt-input") from error


def check_size(name: str, expanded: int, consumed: int, limits: Limits) -> None:
    """Refuse a file of `consumed` bytes whose content has come to `expanded` bytes, if that is too much.

    Raises:
        CorpusInputError: `input-too-large`, `decompression-bomb`.
    """
    if expanded > limits.max_bytes:
        message = f"{name} holds more than {limits.max_bytes:,} bytes of text, the limit; split it"
        raise CorpusInputError(message, code="input-too-large")
    if expanded > limits.EXPANSION_GRACE and expanded > limits.max_expansion * consumed:
        message = (
            f"{name} expands more than {limits.max_expansion} times ({consumed:,} bytes to over {expanded:,}); "
            "that is not text, or it must be given uncompressed"
        )
        raise CorpusInputError(message, code="decompression-bomb")
