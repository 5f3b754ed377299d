"""How long the stages of a run took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageClock:
    """Wall-clock seconds per stage."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._running: tuple[str, float] | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        self._running = (name, started)
        yield
        self._seconds[name] = time.monotonic() - started
        self._running = None

    def record_into(self, summary: dict[str, object]) -> None:
        """Write what was measured, the stage that is still running included."""
        if self._running:
            name, started = self._running
            self._seconds[name] = time.monotonic() - started
        summary["seconds"] = {name: round(seconds, 3) for name, seconds in self._seconds.items()}
