"""Streams of bytes: compressed as they pass, and taken from writers that expect a file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from backports import zstd

from bitextmine.exports.wanted import Compression

_GZIP = 16 + zlib.MAX_WBITS  # zlib's sign for a gzip header: without a name, and with 0 for the time
_GZIP_LEVEL = 6
_ZSTD: dict[int, int] = {zstd.CompressionParameter.compression_level: 3, zstd.CompressionParameter.checksum_flag: 1}


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def compressed(chunks: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """The chunks in one gzip member or Zstandard frame; the same bytes for the same content, whenever it is made.

    Where the chunks end with an error the stream has no end either, so that nobody takes it for a whole one.
    """
    if compression is Compression.NONE:
        yield from chunks
        return
    compressor: _Compressor
    if compression is Compression.GZ:
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    else:
        compressor = zstd.ZstdCompressor(options=_ZSTD)
    for chunk in chunks:
        if packed := compressor.compress(chunk):
            yield packed
    yield compressor.flush()


class Outbox:
    """A file that can be written and told from, not sought in; what was written is taken from it in between."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._written = 0
        self.closed = False

    def write(self, content: bytes) -> int:
        self._waiting.append(bytes(content))
        self._written += len(content)
        return len(content)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing waits but for being taken."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        """What was written since it was last taken."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken
