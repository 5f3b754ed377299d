"""What can be uploaded: a file by its path, bytes, or an open binary file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from bitextmine.client.steps import Body
from bitextmine.errors import CorpusInputError

Source: TypeAlias = "str | Path | bytes | BinaryIO"
Progress: TypeAlias = Callable[[str, int, int | None], None]
BLOCK_BYTES = 1 << 18


def name_of(source: Source) -> str | None:
    """The file's name, where it has one: it tells the format and is kept as provenance."""
    if isinstance(source, str | Path):
        return Path(source).name
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) else None


def body_of(source: Source, progress: Progress | None = None) -> Body:
    """The whole of a source, read as it is sent. An open file is sent from where it stands.

    Raises:
        CorpusInputError: `file-not-found`; or it is a stream that cannot be read again.
    """
    stream, close = _opened(source)
    start = stream.tell() if stream.seekable() else None
    size = _rest(stream)
    if close:
        stream.close()

    def blocks() -> Iterator[bytes]:
        current, ours = _opened(source)
        try:
            if start is not None:
                current.seek(start)
            done = 0
            while block := current.read(BLOCK_BYTES):
                yield block
                done += len(block)
                if progress is not None:
                    progress("upload", done, size)
        finally:
            if ours:
                current.close()

    return Body(blocks, size)


def _opened(source: Source) -> tuple[BinaryIO, bool]:
    """The source as a stream, and whether to close it."""
    if isinstance(source, bytes):
        return io.BytesIO(source), True
    if isinstance(source, str | Path):
        try:
            return Path(source).open("rb"), True
        except OSError as error:
            raise CorpusInputError(f"cannot read {source}: {error.strerror}", code="file-not-found") from error
    return source, False


def _rest(stream: BinaryIO) -> int | None:
    """Bytes from where it stands to its end; None of what cannot tell, such as a pipe."""
    if not stream.seekable():
        return None
    here = stream.tell()
    size = stream.seek(0, io.SEEK_END) - here
    stream.seek(here)
    return size


def is_repeatable(source: Source) -> bool:
    """Whether the source can be sent a second time."""
    return isinstance(source, str | Path | bytes) or source.seekable()
