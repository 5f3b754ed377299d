"""Files read and written as a whole: hashed, replaced in one step, on the disk when it is said so."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitextmine.errors import disk_full_named


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a small file as a whole: temporary file beside it, fsync, rename.

    Raises:
        DiskFullError: the disk is full; the old file is untouched.
        FileExistsError: there is one, and it is not to be replaced.
    """
    with disk_full_named(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(path.parent.stat().st_mode & 0o666)
            if replace:
                Path(name).replace(path)
            else:
                path.hardlink_to(name)
        finally:
            Path(name).unlink(missing_ok=True)
        fsync(path.parent)


def fsync(path: Path) -> None:
    """Have a file, or the names in a directory, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the directory's advisory lock: the kernel drops it with the process, however that ends.

    Raises:
        BlockingIOError: another process holds it, and nobody wants to wait.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
