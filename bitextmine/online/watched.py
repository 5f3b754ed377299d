"""What was read from a directory, read again when the directory has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
_SETTLED_NS = 1_000_000_000  # a change so shortly before reading may share its time stamp with one after it


class Watched(Generic[T]):
    """A value that is computed from the names in a directory. Looking whether it still holds is one `stat`."""

    def __init__(self, directory: Path, load: Callable[[], T]) -> None:
        self._directory, self._load = directory, load
        self._lock = threading.Lock()
        self._loaded: tuple[int, bool, T] | None = None  # the directory's time, whether it had settled, the value

    def get(self) -> T:
        with self._lock:
            changed = self._changed()
            if self._loaded is None or self._loaded[0] != changed or not self._loaded[1]:
                settled = time.time_ns() - changed > _SETTLED_NS
                self._loaded = (changed, settled, self._load())
            return self._loaded[2]

    def _changed(self) -> int:
        try:
            return self._directory.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
