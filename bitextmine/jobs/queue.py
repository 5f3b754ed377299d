"""The queue: dramatiq on Redis. A message carries the id of a job and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError, ConnectionClosed
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from bitextmine.errors import ParameterError, StoreUnavailableError
from bitextmine.jobs.names import PREFIX

QUEUE = "bitextmine"
ACTOR = "run_job"
HEARTBEAT_SECONDS = 15.0
_NAMESPACE = f"{PREFIX}queue"
_PASSWORDS = re.compile(r"(?s)^(\w+://)?.*@|(?<=://):[^/]*|(?<=password=)[^&]*")
_ALWAYS = 1_000_000  # do maintenance with every command: the messages of dead workers come back soonest


def connect(url: str, timeout_seconds: float = 5.0) -> redis.Redis:
    """A client for `redis://`, `rediss://` and `unix://` URLs, for JobStore and make_broker alike. Connects lazily.

    A server that is silent for `timeout_seconds` counts as gone; a broken connection is tried once more.

    Raises:
        ParameterError: the URL is none of these.
    """
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=min(timeout_seconds, 3.0),
            health_check_interval=15,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 1, supported_errors=(redis.ConnectionError,)),
        )
        client.connection_pool.make_connection()  # not made use of: it is what finds unknown options in the URL
    except (ValueError, TypeError) as error:
        raise ParameterError(_why_not(url, error)) from None  # its cause would quote parts of a password
    return client


def _why_not(url: str, error: Exception) -> str:
    """What is wrong with a URL, without the password that may be in it or in parts of it that the error quotes."""
    shown = _PASSWORDS.sub(lambda match: f"{match[1] or ''}***{'@' if match[0].endswith('@') else ''}", url)
    if shown == url:
        return f"{url!r} is not a Redis URL: {error}"
    return f"{shown!r} is not a Redis URL; in a password / : @ ? # % are written %2F %3A %40 %3F %23 %25"


def make_broker(client: redis.Redis, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> RedisBroker:
    """The dramatiq broker on this client; a worker silent for `heartbeat_seconds` loses its messages to the others.

    It has no middleware: jobs may last for days, and whether to try again is decided on the job record.
    """
    return _Broker(  # type: ignore[no-untyped-call]
        client=client,
        middleware=[],
        namespace=_NAMESPACE,
        heartbeat_timeout=int(heartbeat_seconds * 1000),
        maintenance_chance=_ALWAYS,
    )


def enqueue(broker: RedisBroker, job_id: str, delay_seconds: float = 0.0) -> None:
    """Send the job to whichever worker is free, `delay_seconds` from now at the earliest.

    Raises:
        StoreUnavailableError: Redis is gone. The job is not lost: idle workers look for jobs that nobody runs.
    """
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name=QUEUE, actor_name=ACTOR, args=(job_id,), kwargs={}, options={}
    )
    try:
        broker.enqueue(message, delay=int(delay_seconds * 1000) or None)
    except BrokerConnectionError as error:
        raise StoreUnavailableError(f"the job queue does not answer: {error}") from error


class _Broker(RedisBroker):
    """dramatiq's consumer threads survive a ConnectionClosed and nothing else, but a time-out, a full disk or an error
    while giving messages back reaches them as the client's own error: every command is translated here."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        command: Callable[..., Any] = super().__getattr__(name)  # type: ignore[no-untyped-call]

        def translated(*args: Any) -> Any:
            try:
                return command(*args)
            except redis.RedisError as error:
                raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]

        return translated
