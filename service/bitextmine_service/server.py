"""The HTTP server's life: told to stop, it is first avoided, then done with what it has, then gone."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import State

from bitextmine_service.protocol import MAX_HEAD_BYTES, ConnectionLimits, Protocol
from bitextmine_service.settings import ServiceSettings

_STARTUP_FAILED = 3  # uvicorn's exit status


def set_up(state: State) -> None:
    """How far the end of an application has come.

    `draining` is true from SIGTERM on: `/readyz` fails. The event `stopping` is set when the time to drain is over:
    what goes on for as long as its client likes, such as a stream of events, ends then.
    """
    state.draining = False
    state.stopping = asyncio.Event()


class Server(uvicorn.Server):  # type: ignore[misc]  # mypy follows no imports of uvicorn
    """uvicorn's server, which on SIGTERM goes on for `drain_seconds` before it closes its socket.

    Then requests in flight end, for as long as uvicorn's `timeout_graceful_shutdown` lets them. A second signal, and
    Ctrl-C, skip the draining.
    """

    def __init__(self, config: uvicorn.Config, state: State, drain_seconds: float) -> None:
        super().__init__(config)
        self._state, self._drain_seconds = state, drain_seconds
        self._drained_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM and not self._state.draining:
            self.should_exit = False  # but when it is drained
            self._drained_at = time.monotonic() + self._drain_seconds
        self._state.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        if self.should_exit:
            self._state.stopping.set()
        return bool(await super().on_tick(counter))


def run(app: FastAPI, settings: ServiceSettings) -> int:
    """Serve until told to stop; the exit status."""
    limits = ConnectionLimits(settings.max_connections, settings.header_seconds, settings.send_seconds)
    limits.raise_file_limit()
    config = uvicorn.Config(
        app,
        http=partial(Protocol, limits=limits),
        ws="none",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        host=settings.host,
        port=settings.port,
        log_config=None,  # its loggers write as all others do
        log_level=settings.log_level.lower(),
        access_log=False,  # which would hold whole query strings; `access` writes its own
        timeout_graceful_shutdown=settings.shutdown_seconds,
        server_header=False,
    )
    server = Server(config, app.state, settings.drain_seconds)
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else _STARTUP_FAILED
