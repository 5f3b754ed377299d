"""The data directory: whether it can be written as it has to be, how much room it has, and who uses it."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bitextmine.doctor.finding import Finding, ok, problem, warning
from bitextmine.files import fsync, locked, write_atomically
from bitextmine.resources import format_bytes
from bitextmine.supervisor.serve import LOCK

_CHECK = "data directory"
_ROOM = 10 << 30  # bytes; a corpus of ten million sentences and its vectors
_FEW_INODES = 10_000
_SAME_FILE_SYSTEM = ("artifacts", "artifacts/.staging", "corpora", "uploads")


def data_directory(root: Path, min_free: int) -> Iterator[Finding]:
    """
    Args:
        root: need not be there yet.
        min_free: bytes of free disk below which the service counts as not ready.
    """
    if not root.exists():
        yield from _missing(root)
        return
    if not root.is_dir():
        yield problem(_CHECK, f"{root} is not a directory", "set BITEXTMINE_DATA_DIR to one")
        return
    written = list(_write(root))
    yield from written or [ok(_CHECK, f"{root} can be written")]
    yield from _file_systems(root)
    yield from _permissions(root)
    yield from room(root, shutil.disk_usage(root).free, min_free)
    yield from _inodes(root)
    yield from _lock(root)


def _missing(root: Path) -> Iterator[Finding]:
    parent = next(path for path in root.absolute().parents if path.exists())
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        yield ok(_CHECK, f"{root} is not there yet; it is made when it is needed")
    else:
        todo = "set BITEXTMINE_DATA_DIR to a place that you may write, or have it made"
        yield problem(_CHECK, f"{root} is not there, and {parent} does not let you make it", todo)


def _write(root: Path) -> Iterator[Finding]:
    """Do what publishing an artifact does: write, flush to the disk, link, lock, rename."""
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".doctor-") as name:
            place = Path(name)
            inner = place / "staging"
            inner.mkdir()
            with locked(inner):
                write_atomically(inner / "file", b"written by bitextmine doctor\n", replace=False)
            inner.rename(place / "published")
            fsync(place)
    except BlockingIOError:
        yield problem(_CHECK, f"{root}: its file system has no locks that work", "put it on another file system")
    except OSError as error:
        todo = "make it writable for the user that runs the service, on a file system with hard links and locks"
        yield problem(_CHECK, f"{root} cannot be written: {error.strerror or error}", todo)


def _file_systems(root: Path) -> Iterator[Finding]:
    """That what is renamed from one place to another stays on one file system."""
    device = root.stat().st_dev
    for name in _SAME_FILE_SYSTEM:
        path = root / name
        if path.exists() and path.stat().st_dev != device:
            what = f"{path} is on another file system than {root}: nothing can be published by renaming"
            yield problem(_CHECK, what, "mount one file system at the data directory itself")


def _permissions(root: Path) -> Iterator[Finding]:
    status = root.stat()
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        yield warning(_CHECK, f"anybody on this machine may write to {root}", f"chmod o-w {root}")
    if status.st_uid not in {os.geteuid(), 0} and os.geteuid() != 0:
        what = f"{root} belongs to user {status.st_uid}, and you are user {os.geteuid()}"
        yield warning(_CHECK, what, "run the doctor, the API and the workers as one and the same user")


def room(root: Path, free: int, min_free: int) -> Iterator[Finding]:
    """
    Args:
        free, min_free: bytes.
    """
    what = f"{format_bytes(free)} free"
    if free < min_free:
        todo = f"make room, or set BITEXTMINE_MIN_FREE_BYTES (now {min_free}) lower"
        yield problem("disk", f"only {what} at {root}: the service says that it is not ready", todo)
    elif free < _ROOM:
        yield warning("disk", f"only {what} at {root}", "large corpora need more: vectors take 2 bytes a dimension")
    else:
        yield ok("disk", what)


def _inodes(root: Path) -> Iterator[Finding]:
    status = os.statvfs(root)
    if status.f_files and status.f_favail < _FEW_INODES:
        yield problem("disk", f"only {status.f_favail:,} more files can be made at {root}", "remove small files there")


def _lock(root: Path) -> Iterator[Finding]:
    """Who holds the lock of `bitextmine serve`; asking for it takes it for a moment, and only where it is there."""
    path = root / LOCK
    if not path.is_file():
        return
    try:
        with path.open("r", encoding="ascii", errors="replace") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield ok("lock", f"bitextmine serve runs here, as process {stream.read().strip() or 'unknown'}")
    except OSError as error:
        yield warning("lock", f"{path} cannot be read: {error.strerror}", "run the doctor as the service's user")
