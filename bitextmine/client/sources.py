"""What can be uploaded: a file by its path, bytes, or an open binary file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import nullcontext
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
    """The whole of a source, read as it is sent. An open file is sent from where it stands, a pipe can be sent once.

    Raises:
        CorpusInputError: `file-not-found`.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    stream = _stream_of(source)
    if not stream.seekable():
        return Body(lambda start, size: _once(stream, progress, close=path is not None), repeatable=False)
    origin = stream.tell()
    total = stream.seek(0, io.SEEK_END) - origin
    if path is not None:
        stream.close()

    def read(start: int, size: int | None) -> Iterator[bytes]:
        with _opened(path) if path is not None else nullcontext(stream) as current:
            current.seek(origin + start)
            yield from _told(_blocks(current, size), progress, start, total)

    return Body(read, total)


def _once(stream: BinaryIO, progress: Progress | None, *, close: bool) -> Iterator[bytes]:
    try:
        yield from _told(_blocks(stream, None), progress, 0, None)
    finally:
        if close:
            stream.close()


def _blocks(stream: BinaryIO, size: int | None) -> Iterator[bytes]:
    """So many bytes of the stream, or all; fewer where it ends before."""
    left = size
    while block := stream.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left)):
        yield block
        left = None if left is None else left - len(block)


def _told(blocks: Iterator[bytes], progress: Progress | None, done: int, total: int | None) -> Iterator[bytes]:
    """The blocks; the progress is told of each that has been sent."""
    for block in blocks:
        yield block
        done += len(block)
        if progress is not None:
            progress("upload", done, total)


def _stream_of(source: Source) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return _opened(Path(source)) if isinstance(source, str | Path) else source


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise CorpusInputError(f"cannot read {path}: {error.strerror}", code="file-not-found") from error
