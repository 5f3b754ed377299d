"""The encoders that a process has open, each with the pool that serves it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bitextmine.encoders.card import CARD
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.finding import open_encoder
from bitextmine.encoders.pool import Batch, Embedded, EncoderPool
from bitextmine.errors import BitextmineError, ParameterError
from bitextmine.resources import Device

_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How an encoder's pool works; see EncoderPool."""

    threads: int
    max_tokens: int
    after_turn: Callable[[], None] = lambda: None
    observe: Callable[[Batch], None] = lambda batch: None


@dataclass(slots=True)
class _Opened:
    pool: EncoderPool
    state: tuple[int, int]  # of its card's file
    seen: float = field(default_factory=time.monotonic)  # when it was last looked at


class OpenEncoders:
    """Encoders by name, opened when they are first asked for. Shared by threads.

    At most `most` are open; of more, the one that has been idle for longest is closed. One that was installed anew is
    opened anew, within a second.
    """

    def __init__(self, encoders_dir: Path, options: PoolOptions, *, most: int, device: Device | None = None) -> None:
        """
        Raises:
            ParameterError: `most` is below 1.
        """
        if most < 1:
            raise ParameterError(f"1 encoder or more can be open, not {most}")
        self._directory, self._options, self._most, self._device = encoders_dir, options, most, device
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()  # the last used last
        self._closed = False

    def submit(self, name: str, sentences: Sequence[str]) -> Future[Embedded] | None:
        """As `EncoderPool.submit`, without any waiting; None where the encoder is not open, or not as it is installed.

        Raises:
            BitextmineError: `queue-full`, `service-stopping`.
        """
        with self._lock:
            opened = self._opened.get(name)
            if opened is None or not self._current(name, opened):
                return None
            self._opened.move_to_end(name)
            return opened.pool.submit(sentences)

    def open_and_submit(self, name: str, sentences: Sequence[str]) -> Future[Embedded]:
        """As `submit`, and open the encoder where it is not: reads its card, and may wait for another one to end.

        Raises:
            NotFoundError: it is not installed, or there is none of this name.
            ParameterError: the name is not one.
            EncoderError: its directory is damaged.
            BitextmineError: `queue-full`: also where as many encoders are at work as may be open; `service-stopping`.
        """
        if (future := self.submit(name, sentences)) is not None:
            return future
        state = self.state_of(name)  # before the card is read: what changes in between is opened once more
        encoder = open_encoder(name, self._directory, device=self._device)
        new = _Opened(self._pool(encoder), state)
        going: list[EncoderPool] = []
        try:
            with self._lock:
                if self._closed:
                    raise BitextmineError("the service is stopping", code="service-stopping")
                going = self._make_room(name, new)
                self._opened[name] = self._opened.pop(name, new)
                return self._opened[name].pool.submit(sentences)
        finally:
            for pool in going:
                pool.close(drain=True)

    def providers(self) -> dict[str, str]:
        """What the graph of each encoder that is loaded runs on, as ONNX Runtime names it."""
        with self._lock:
            encoders = {name: opened.pool.encoder for name, opened in self._opened.items()}
        return {name: encoder.provider for name, encoder in encoders.items() if encoder.loaded}

    def is_open(self, name: str, state: tuple[int, int]) -> bool:
        """Whether the encoder is open as it was installed in this state: what `state_of` told."""
        with self._lock:
            return name in self._opened and self._opened[name].state == state

    def state_of(self, name: str) -> tuple[int, int]:
        """What becomes another when the encoder is installed anew."""
        with suppress(OSError, ValueError):  # ValueError: a name that cannot be one of a file
            status = (self._directory / name / CARD).stat()
            return status.st_mtime_ns, status.st_ino
        return 0, 0

    def queues(self) -> dict[str, tuple[int, int]]:
        """For each open encoder the requests that wait, and the estimated tokens that wait or are worked on."""
        with self._lock:
            return {name: (opened.pool.waiting, opened.pool.tokens) for name, opened in self._opened.items()}

    def close(self) -> None:
        """Take no more requests; what is being encoded ends, what waits fails with `service-stopping`."""
        with self._lock:
            self._closed = True
            pools = [opened.pool for opened in self._opened.values()]
            self._opened.clear()
        for pool in pools:
            pool.close()

    def _pool(self, encoder: Encoder) -> EncoderPool:
        options = self._options
        return EncoderPool(
            encoder,
            threads=options.threads,
            max_tokens=options.max_tokens,
            after_turn=options.after_turn,
            observe=options.observe,
        )

    def _current(self, name: str, opened: _Opened) -> bool:
        """Whether the encoder is as it was opened. Looking gives the interpreter's lock away, so it is done rarely."""
        now = time.monotonic()
        if now - opened.seen < _LOOK_AGAIN_SECONDS:
            return True
        if opened.state != self.state_of(name):
            return False
        opened.seen = now
        return True

    def _make_room(self, name: str, new: _Opened) -> list[EncoderPool]:
        """With the lock held: take out what the new one replaces or crowds out; the pools to close."""
        there = self._opened.get(name)
        if there is not None:
            if there.state == new.state:
                return []  # another thread opened it meanwhile
            return [self._opened.pop(name).pool]
        if len(self._opened) < self._most:
            return []
        idle = next((other for other, opened in self._opened.items() if not opened.pool.tokens), None)
        if idle is None:
            message = f"{len(self._opened)} encoders are at work, which is as many as may be open; try again later"
            raise BitextmineError(message, code="queue-full")
        return [self._opened.pop(idle).pool]
