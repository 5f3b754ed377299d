"""`bitextmine serve`: one data directory served by Valkey (unless a Redis URL is given), the API and a worker."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bitextmine.errors import ConflictError, ParameterError
from bitextmine.jobs.settings import LOG_FORMAT_VARIABLE, check_level, check_log_format, check_redis_url
from bitextmine.logs import LogFormat
from bitextmine.supervisor.processes import ProcessSpec, Supervisor
from bitextmine.supervisor.valkey import OVERCOMMIT_WARNING, answers, private_socket, socket_url, valkey_argv
from bitextmine.workspace import DATA_DIR_VARIABLE, ENCODERS_DIR_VARIABLE, Workspace

API_ARGV = (sys.executable, "-m", "bitextmine_service")
WORKER_ARGV = (sys.executable, "-m", "bitextmine_indexer")
LOCK = "serve.lock"  # in the data directory


def serve(
    *,
    workspace: Workspace,
    host: str,
    port: int,
    redis_url: str | None = None,
    log_level: str = "INFO",
    api_argv: Sequence[str] = API_ARGV,
    worker_argv: Sequence[str] = WORKER_ARGV,
) -> int:
    """Serve the workspace until SIGTERM or SIGINT, from the main thread.

    Returns the exit status: 0 after a signal, 1 when a process kept dying, 2 when one found its settings wrong.

    The API and the worker get their settings as environment variables: BITEXTMINE_DATA_DIR, BITEXTMINE_ENCODERS_DIR,
    BITEXTMINE_LOG_LEVEL and REDIS_URL, the API also BITEXTMINE_HOST and BITEXTMINE_PORT.

    Raises:
        ConflictError: the directory is served already (code already-serving), or the port is taken (port-in-use).
        ParameterError: the directory cannot be used, there is no such host or log level, or the URL is no Redis's.
        StoreUnavailableError: there is no Valkey for this machine, and no Redis URL was given.
    """
    log_level = check_level(log_level)
    log_format = check_log_format(os.environ.get(LOG_FORMAT_VARIABLE, LogFormat.TEXT))
    if redis_url is not None:
        check_redis_url(redis_url)
    with ExitStack() as stack:
        stack.enter_context(_sole_server(workspace.root))
        _check_port(host, port)
        specs = []
        if redis_url is None:
            directory = workspace.root.resolve() / "valkey"
            path = stack.enter_context(private_socket(directory))
            redis_url = socket_url(path)
            argv = valkey_argv(directory, path)
            json = log_format is LogFormat.JSON
            ready = partial(answers, socket_url(path))
            specs.append(ProcessSpec("valkey", argv, ready=ready, unsaid=OVERCOMMIT_WARNING, relogged=json))
        env = _settings(workspace, redis_url, log_level)
        address = {"BITEXTMINE_HOST": host, "BITEXTMINE_PORT": str(port)}
        specs.append(ProcessSpec("api", api_argv, {**env, **address}, grace=_api_grace(os.environ)))
        specs.append(ProcessSpec("worker", worker_argv, env))
        return Supervisor(specs).run()


def _settings(workspace: Workspace, redis_url: str, log_level: str) -> dict[str, str]:
    """The environment variables that the API and the worker share."""
    return {
        DATA_DIR_VARIABLE: str(workspace.root.resolve()),
        ENCODERS_DIR_VARIABLE: str(workspace.encoders.resolve()),
        "REDIS_URL": redis_url,
        "BITEXTMINE_LOG_LEVEL": log_level,
    }


def _api_grace(environment: Mapping[str, str]) -> float:
    """Seconds that the API may take to stop, by settings of its own, and some for the way."""
    try:
        drain = float(environment.get("BITEXTMINE_DRAIN_SECONDS", 0))
        return drain + float(environment.get("BITEXTMINE_SHUTDOWN_SECONDS", 10)) + 5
    except ValueError:  # as the API itself will say
        return 0


@contextmanager
def _sole_server(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock: the kernel drops it with this process, so a stale one blocks nobody."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise ParameterError(f"the data directory {data_dir} cannot be used: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            message = f"{data_dir} is served already, by process {holder}"
            raise ConflictError(message, code="already-serving") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _check_port(host: str, port: int) -> None:
    """Refuse early what the API would stumble over again and again."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError) as error:
        raise ParameterError(f"cannot listen on {host}, port {port}: {error}") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError as error:
            raise ParameterError(f"cannot listen on {host}, port {port}: {error}") from error
        except OSError as error:
            raise ConflictError(f"port {port} of {host} cannot be used: {error}", code="port-in-use") from error
