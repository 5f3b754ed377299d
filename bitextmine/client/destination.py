"""Where a download goes: a file that is written whole or not at all, or a stream that is written as it comes."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias

from bitextmine.errors import ParameterError, disk_full_named

Target: TypeAlias = "str | Path | BinaryIO"


class Destination:
    """Written with `write`, then `finish`; `abandon` in any case in the end.

    A file that is replaced keeps its permissions; a new one has those that the umask leaves. Pipes and devices, such as
    /dev/stdout, are written as it comes, as open files are.

    Raises:
        ParameterError: `output-not-writable`.
        DiskFullError: the disk is full; what was there is untouched.
    """

    def __init__(self, target: Target) -> None:
        self._path = Path(target) if isinstance(target, str | Path) else None
        self._temporary: Path | None = None
        self._ours = self._path is not None
        try:
            self._stream = self._opened(target)
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror}"
            raise ParameterError(message, code="output-not-writable") from error

    def _opened(self, target: Target) -> BinaryIO:
        if not isinstance(target, str | Path):
            return target
        path = Path(target)
        if path.is_dir():
            raise ParameterError(f"cannot write {path}: it is a directory", code="output-not-writable")
        if path.exists() and not path.is_file():
            return path.open("ab")  # "wb" would empty what stdout appends to
        self._path = path.resolve()  # a link stays a link
        number, name = tempfile.mkstemp(dir=self._path.parent, prefix=".", suffix=".tmp")
        self._temporary = Path(name)
        return os.fdopen(number, "wb")

    def write(self, block: bytes) -> None:
        with disk_full_named(str(self._path or "the output")):
            self._stream.write(block)

    def finish(self) -> None:
        with disk_full_named(str(self._path or "the output")):
            self._stream.flush()
            if self._temporary is None or self._path is None:
                return
            os.fsync(self._stream.fileno())
            self._temporary.chmod(_mode(self._path))
            self._temporary.replace(self._path)
            self._temporary = None

    def abandon(self) -> None:
        if self._ours:
            with suppress(OSError):  # its last bytes cannot be written, and are not wanted
                self._stream.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
