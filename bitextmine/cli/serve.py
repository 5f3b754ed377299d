"""`bitextmine serve` and `bitextmine worker`: the running service."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from bitextmine.cli import console
from bitextmine.errors import ParameterError
from bitextmine.workspace import DATA_DIR_VARIABLE, ENCODERS_DIR_VARIABLE

RedisUrl = Annotated[
    str | None, typer.Option(envvar="REDIS_URL", show_default=False, help="redis:// or unix:// URL of Redis or Valkey.")
]


def serve(
    host: Annotated[str, typer.Option(envvar="BITEXTMINE_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="BITEXTMINE_PORT", min=1, max=65535, help="Port to listen on.")] = 8000,
    redis_url: RedisUrl = None,
    log_level: Annotated[
        str, typer.Option(envvar="BITEXTMINE_LOG_LEVEL", help="DEBUG, INFO, WARNING or ERROR, for all that it starts.")
    ] = "INFO",
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Run the API, a worker and, unless a Redis is given, a private Valkey in the data directory.

    Everything is in the data directory: stop and start at will, unfinished jobs go on. Ctrl-C stops it all.
    The API describes itself at http://HOST:PORT/docs.
    """
    from bitextmine import logs
    from bitextmine.jobs.settings import LOG_FORMAT_VARIABLE, check_level, check_log_format
    from bitextmine.supervisor.serve import serve as run_service

    logs.configure(check_level(log_level), check_log_format(os.environ.get(LOG_FORMAT_VARIABLE, "text")))
    place = console.workspace(data_dir, encoders_dir)
    status = run_service(workspace=place, host=host, port=port, redis_url=redis_url, log_level=log_level)
    raise typer.Exit(status)


def worker(
    redis_url: RedisUrl = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Run one worker, which takes jobs from the Redis of an API that shares this data directory."""
    if not redis_url:
        raise ParameterError("a worker needs --redis-url (or REDIS_URL); bitextmine serve runs one with its own")
    place = console.workspace(data_dir, encoders_dir)
    settings = {
        "REDIS_URL": redis_url,
        DATA_DIR_VARIABLE: str(place.root),
        ENCODERS_DIR_VARIABLE: str(place.encoders),
    }
    os.execve(sys.executable, [sys.executable, "-m", "bitextmine_indexer"], os.environ | settings)  # noqa: S606
