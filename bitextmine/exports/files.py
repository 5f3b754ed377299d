"""Exports written to files, whole or not at all, and to pipes and devices as they come."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from bitextmine.bitext import Bitext
from bitextmine.errors import ParameterError, disk_full_named
from bitextmine.exports.chunks import export_chunks
from bitextmine.exports.wanted import PLAIN_TSV, Export

_STREAMS = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


def export_to(path: Path, bitext: Bitext, wanted: Export = PLAIN_TSV) -> None:
    """Write an export to a file, whole or not at all; to a pipe or a device, such as /dev/stdout, as it comes.

    A file that is replaced keeps its permissions; a new one has those that the umask leaves.

    Raises:
        ArtifactError: the bitext is damaged; an existing file is untouched, as after each of these errors.
        BrokenPipeError: whoever read the pipe has gone.
        DiskFullError: the disk is full.
        ParameterError: `output-not-writable`.
    """
    bitext.check()
    write_chunks(path, export_chunks(bitext, wanted))


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Write chunks to a file, whole or not at all; to a pipe or a device, as they come. As `export_to`.

    Raises:
        BrokenPipeError: whoever read the pipe has gone.
        DiskFullError: the disk is full.
        ParameterError: `output-not-writable`.
    """
    try:
        with disk_full_named(str(path)):
            if path.exists() and (path.parent in _STREAMS or not (path.is_file() or path.is_dir())):
                with path.open("ab") as stream:  # "w" would empty what stdout appends to
                    stream.writelines(chunks)
            else:
                _write_whole(path.resolve(), chunks)  # a link stays a link
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ParameterError(f"cannot write {path}: {error.strerror}", code="output-not-writable") from error


def _write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.writelines(chunks)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
