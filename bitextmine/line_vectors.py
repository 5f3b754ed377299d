"""Vectors as a .npy file, a row for each line of a text file: `bitextmine embed` writes them, `mine` reads them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from bitextmine.corpus import CorpusFile, Limits
from bitextmine.corpus.cleaning import clean_block
from bitextmine.corpus.kinds import refuse_other_kinds
from bitextmine.corpus.readers import read_blocks
from bitextmine.encoders import Encoder
from bitextmine.errors import CorpusInputError, InputError, ParameterError, disk_full_named
from bitextmine.files import file_sha256, fsync
from bitextmine.progress import Progress, silent
from bitextmine.vectors import unit_rows

_WINDOW = 32_768  # lines encoded at a time: of 1024 dims 128 MiB of vectors
_SIZES = (2, 4, 8)  # bytes of a float


@dataclass(slots=True)
class EmbeddedLines:
    """What became of a file's lines."""

    lines: int
    truncated: int = 0  # lines that were cut at the encoder's max_tokens
    unusable: Counter[str] = field(default_factory=Counter)  # lines whose row is zeros, by reason


def embed_lines(
    file: CorpusFile,
    encoder: Encoder,
    output: Path,
    *,
    dtype: type[np.float16] | type[np.float32] = np.float32,
    replace: bool = False,
    progress: Progress = silent,
) -> EmbeddedLines:
    """Write the vectors of a file's lines, whole or not at all; holds some ten thousand lines in memory.

    The output is (lines, dims) in C order, row n - 1 for line n, repeated lines included. A line that no corpus would
    take (blank, not UTF-8, too long ...) has a row of zeros; every other row has length 1.

    Args:
        dtype: of the output.
        replace: whether a file that is there may be replaced.
        progress: told the lines done, as stage `embed`.

    Raises:
        CorpusInputError: as `ingest`; `input-changed` where the file has another number of lines the second time.
        ParameterError: `output-exists`, `output-not-writable`.
        EncoderError: the encoder does not work.
        DiskFullError: no room; nothing is left of the output.
    """
    check_output(output, replace=replace)
    found = EmbeddedLines(_count_lines(file))
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": (found.lines, encoder.dims),
    }
    with _written_whole(output, replace) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        done = 0
        for window in _windows(file, found):
            rows = np.zeros((window.stop - window.start, encoder.dims), dtype)
            encoding = encoder.encode_counted(window.texts, progress=_from(done, found.lines, progress))
            rows[window.positions] = encoding.vectors
            found.truncated += encoding.truncated
            stream.write(rows.reshape(-1).view(np.uint8).data)
            done = window.stop
            progress("embed", done, found.lines)
        if done != found.lines:
            message = f"{file.label} was changed while it was read; run this again when nothing writes to it"
            raise CorpusInputError(message, code="input-changed")
    return found


def check_output(output: Path, *, replace: bool) -> None:
    """
    Raises:
        ParameterError: `output-exists`; `output-not-writable`: there is no such directory, or it is one.
    """
    if output.is_dir() or not output.parent.is_dir():
        reason = "it is a directory" if output.is_dir() else f"there is no directory {output.parent}"
        raise ParameterError(f"cannot write {output}: {reason}", code="output-not-writable")
    if output.exists() and not replace:
        raise ParameterError(f"{output} is there already; --force replaces it", code="output-exists")


@dataclass(slots=True)
class _Window:
    """Lines start to stop (counted from 0), of which those at `positions` from the start have a text."""

    start: int
    stop: int
    texts: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)


def _windows(file: CorpusFile, found: EmbeddedLines) -> Iterator[_Window]:
    """All lines, in windows; counts into `found` the lines that have no text."""
    limits = Limits()
    window = _Window(0, 0)
    for raw in read_blocks(file.path, limits, name=file.label):
        block = clean_block(raw, file.format, limits.max_chars)
        found.unusable.update(refusal.reason.value for refusal in block.refused)
        for text, number in zip(block.texts, block.lines, strict=True):
            while number > window.start + _WINDOW:
                window.stop = window.start + _WINDOW
                yield window
                window = _Window(window.stop, window.stop)
            window.texts.append(text)
            window.positions.append(number - 1 - window.start)
        end = raw.first - 1 + len(raw.lines)
        while end > window.start + _WINDOW:  # blank lines may go on for long
            window.stop = window.start + _WINDOW
            yield window
            window = _Window(window.stop, window.stop)
        window.stop = end
    if window.stop > window.start:
        yield window


def _count_lines(file: CorpusFile) -> int:
    lines, looked_at = 0, False
    for raw in read_blocks(file.path, Limits(), name=file.label):
        looked_at = looked_at or refuse_other_kinds(raw, file.format, file.label)
        lines += len(raw.lines)
    if not lines:
        raise CorpusInputError(f"{file.label} is empty", code="empty-corpus")
    return lines


def _from(start: int, total: int, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress("embed", start + done, total)


@contextmanager
def _written_whole(path: Path, replace: bool) -> Iterator[IO[bytes]]:
    """A stream that becomes the file when the block ends well; nothing is left when it does not."""
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with disk_full_named(str(path)):
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            check_output(path, replace=replace)  # hours may have passed
            temporary.replace(path)
            fsync(path.parent)
    except PermissionError as error:
        raise ParameterError(f"cannot write {path}: {error.strerror}", code="output-not-writable") from error
    finally:
        temporary.unlink(missing_ok=True)


class LineVectors:
    """A .npy file of vectors, mapped: (rows, dims) float16, float32 or float64, of any length."""

    def __init__(self, path: Path) -> None:
        """Open a file; reads its header only.

        Raises:
            InputError: `vectors-unreadable`: it is not there, or is no whole .npy file of numbers; `vectors-shape`: not
                two-dimensional, without dimensions, or of another type.
        """
        self.path = path
        try:
            self._state = _state(path)
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}", code="vectors-unreadable") from error
        except (ValueError, EOFError) as error:
            message = f"{path} is not a .npy file of numbers, or not all of one: {error}"
            raise InputError(message, code="vectors-unreadable") from error
        if not isinstance(mapped, np.ndarray):
            mapped.close()
            raise InputError(f"{path} is an .npz archive; give the .npy of one array", code="vectors-unreadable")
        if mapped.ndim != 2 or not mapped.shape[1] or mapped.dtype.kind != "f" or mapped.dtype.itemsize not in _SIZES:
            message = f"{path} holds {mapped.shape} of {mapped.dtype}, not (lines, dims) of float16, float32 or float64"
            raise InputError(message, code="vectors-shape")
        self._mapped = mapped

    def __len__(self) -> int:
        return int(self._mapped.shape[0])

    @property
    def dims(self) -> int:
        return int(self._mapped.shape[1])

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return file_sha256(self.path)

    def check_unchanged(self) -> None:
        """
        Raises:
            InputError: `input-changed`: the file is not what it was when it was opened.
        """
        try:
            unchanged = _state(self.path) == self._state
        except OSError:
            unchanged = False
        if not unchanged:
            raise InputError(f"{self.path} was changed while it was read; run this again", code="input-changed")

    def of_lines(self, lines: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these lines, counted from 1, scaled to length 1: (n, dims); zero rows stay zero.

        Raises:
            InputError: `vectors-not-finite`.
        """
        rows = np.asarray(self._mapped[lines - 1], np.float64)
        largest = np.abs(rows).max(axis=1, initial=0)
        if not np.isfinite(largest).all():
            line = int(lines[~np.isfinite(largest)][0])
            message = f"{self.path} holds a value that is not finite, in row {line - 1:,} (of line {line:,})"
            raise InputError(message, code="vectors-not-finite")
        return unit_rows(rows / np.where(largest > 0, largest, 1)[:, None])  # no square overflows or vanishes


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
