"""What stands between the network and the routes."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import redis
from fastapi import FastAPI

from bitextmine.jobs.request_rates import RateLimiter
from bitextmine.keys import KeyRing, KeyStore
from bitextmine_service import problems
from bitextmine_service.auth import Authentication, AuthMode, is_loopback
from bitextmine_service.bodies import BodyLimit, HeadLimit
from bitextmine_service.hardening import SafeHeaders
from bitextmine_service.origins import Cors, Keyless
from bitextmine_service.settings import ServiceSettings
from bitextmine_service.uploads import takes_files

MAX_BODY_BYTES = 1 << 20  # of requests that are not uploads
_logger = logging.getLogger(__name__)


def protect(app: FastAPI, settings: ServiceSettings, client: redis.Redis) -> None:
    """Put everything around the application's routes. The first added is the innermost."""
    ring = KeyRing(KeyStore(settings.workspace.keys)) if settings.asks_for_keys else None
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES, seconds=settings.body_seconds, is_upload=takes_files)
    app.add_middleware(Authentication, ring=ring, limiter=RateLimiter(client), metrics_open=settings.metrics_open)
    if ring is None:
        local = settings.auth is AuthMode.AUTO
        app.add_middleware(Keyless, origins=settings.cors_origins, local=local)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    app.add_middleware(HeadLimit)
    inner = app.build_middleware_stack
    app.build_middleware_stack = lambda: SafeHeaders(  # type: ignore[method-assign]
        inner(), cross_origin=bool(settings.cors_origins)
    )


def warn(settings: ServiceSettings) -> None:
    """Say in the log what an operator should know about keys before anyone comes."""
    if not settings.asks_for_keys:
        if not is_loopback(settings.host):
            _logger.warning(
                "BITEXTMINE_AUTH=off, and the API listens on %s: whoever reaches it may read and delete everything",
                settings.host or "all addresses",
            )
    elif not KeyStore(settings.workspace.keys).ids():
        _logger.warning(
            "the API asks for keys, and there are none yet. Make one, which is printed once:\n"
            "bitextmine keys create --name me --scope admin --data-dir %s",
            settings.data_dir,
        )


def document(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI description what routes that take a key answer to a bad one, or to one used too much."""
    for operation in (each for methods in schema["paths"].values() for each in methods.values()):
        if operation.get("security"):
            responses = operation["responses"]
            for status, answer in problems.documented(*_HEADERS).items():
                responses.setdefault(str(status), answer)
            for status, header in _HEADERS.items():
                if header:
                    responses[str(int(status))] = {**responses[str(int(status))], "headers": header}
            operation["responses"] = dict(sorted(responses.items()))


_TEXT = {"schema": {"type": "string"}}
_HEADERS: dict[HTTPStatus, dict[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": {"description": "Bearer, and what is wrong with the key.", **_TEXT}},
    HTTPStatus.FORBIDDEN: {},
    HTTPStatus.TOO_MANY_REQUESTS: {
        "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
        "RateLimit": {"description": "What is left, where the key has a rate: r requests; all after t s.", **_TEXT},
        "RateLimit-Policy": {"description": "The rate: q requests every w seconds.", **_TEXT},
    },
}
