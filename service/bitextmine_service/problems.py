"""Every error as an RFC 9457 problem document: one shape, one table from code to status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from bitextmine.errors import BitextmineError, InputError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "5"
_RETRY_SOONER = {"queue-full": "1"}  # what waits to be embedded is done within a second or few
_MOST_ERRORS = 100  # of a request; a hundred thousand unknown fields are not all named
_LONGEST = 300  # characters of a field's name, and of what is said of it
OPENAI_PATHS = ("/v1/embeddings", "/v1/models")
_OPENAI_TYPES = {HTTPStatus.UNAUTHORIZED: "authentication_error", HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error"}
_logger = logging.getLogger(__name__)

STATUS: Mapping[str, HTTPStatus] = {
    "not-found": HTTPStatus.NOT_FOUND,
    "corpus-not-found": HTTPStatus.NOT_FOUND,
    "job-not-found": HTTPStatus.NOT_FOUND,
    "bitext-not-found": HTTPStatus.NOT_FOUND,
    "pair-not-found": HTTPStatus.NOT_FOUND,
    "matrix-not-found": HTTPStatus.NOT_FOUND,
    "encoder-unknown": HTTPStatus.NOT_FOUND,
    "encoder-not-installed": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "corpus-exists": HTTPStatus.CONFLICT,
    "corpus-in-use": HTTPStatus.CONFLICT,
    "corpus-not-embedded": HTTPStatus.CONFLICT,
    "corpus-not-indexed": HTTPStatus.CONFLICT,
    "key-missing": HTTPStatus.UNAUTHORIZED,
    "key-invalid": HTTPStatus.UNAUTHORIZED,
    "key-expired": HTTPStatus.UNAUTHORIZED,
    "scope-missing": HTTPStatus.FORBIDDEN,
    "quota-exceeded": HTTPStatus.FORBIDDEN,
    "origin-refused": HTTPStatus.FORBIDDEN,
    "host-refused": HTTPStatus.MISDIRECTED_REQUEST,
    "invalid-http": HTTPStatus.BAD_REQUEST,
    "request-timeout": HTTPStatus.REQUEST_TIMEOUT,
    "headers-too-large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "rate-limited": HTTPStatus.TOO_MANY_REQUESTS,
    "overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "job-finished": HTTPStatus.CONFLICT,
    "job-unfinished": HTTPStatus.CONFLICT,
    "job-succeeded": HTTPStatus.CONFLICT,
    "upload-gone": HTTPStatus.CONFLICT,
    "upload-not-found": HTTPStatus.NOT_FOUND,
    "upload-expired": HTTPStatus.GONE,
    "upload-incomplete": HTTPStatus.CONFLICT,
    "upload-in-use": HTTPStatus.CONFLICT,
    "upload-offset": HTTPStatus.CONFLICT,
    "upload-locked": HTTPStatus.LOCKED,
    "upload-stalled": HTTPStatus.REQUEST_TIMEOUT,
    "too-many-uploads": HTTPStatus.TOO_MANY_REQUESTS,
    "tus-version": HTTPStatus.PRECONDITION_FAILED,
    "unsupported-media-type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "checksum-unsupported": HTTPStatus.BAD_REQUEST,
    "imports-off": HTTPStatus.FORBIDDEN,
    "import-refused": HTTPStatus.FORBIDDEN,
    "idempotency-key-in-use": HTTPStatus.CONFLICT,
    "idempotency-key-spent": HTTPStatus.CONFLICT,
    "too-many-streams": HTTPStatus.SERVICE_UNAVAILABLE,
    "upload-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too-many-jobs": HTTPStatus.TOO_MANY_REQUESTS,
    "queue-full": HTTPStatus.TOO_MANY_REQUESTS,
    "disk-full": HTTPStatus.INSUFFICIENT_STORAGE,
    "store-unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "service-stopping": HTTPStatus.SERVICE_UNAVAILABLE,
}
_RETRIED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class FieldError(BaseModel):
    """One thing wrong with a request."""

    where: str = Field(description="The place in the request, as in body.k or query.limit.")
    message: str


class OpenAIError(BaseModel):
    """An error in the shape of OpenAI's API: its clients show `message` to people."""

    message: str
    type: str
    code: str
    param: str | None = None


class Problem(BaseModel):
    """RFC 9457 problem details, with a stable code."""

    type: str = Field(description="urn:bitextmine:error: and the code.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What went wrong, on one line, for people.")
    instance: str = Field(description="The path that was asked for.")
    code: str = Field(description="Stable; docs/errors.md explains each.")
    errors: list[FieldError] = Field(default=[], description="What a request that does not validate got wrong.")
    error: OpenAIError | None = Field(default=None, description="Of /v1/embeddings and /v1/models: as OpenAI has it.")


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these, and those that any route may answer with."""
    every = {*statuses, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR}
    return {
        int(status): {"description": title(status), "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
        for status in sorted(every)
    }


def title(status: HTTPStatus) -> str:
    """The status in RFC 9110's words, whatever the Python version calls it."""
    return _RFC_9110.get(status, status.phrase)


_RFC_9110 = {413: "Content Too Large", 422: "Unprocessable Content"}
_REFERENCE = {"$ref": "#/components/schemas/Problem"}


def status_of(error: BitextmineError) -> HTTPStatus:
    """The HTTP status of an error: by its code, else 422 for bad input and 500 for the rest."""
    fallback = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, InputError) else HTTPStatus.INTERNAL_SERVER_ERROR
    return STATUS.get(error.code, fallback)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(BitextmineError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected)


def response(
    instance: str,
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(
        type=f"urn:bitextmine:error:{code}",
        title=title(status),
        status=status,
        detail=detail,
        instance=instance,
        code=code,
        errors=errors or [],
        error=_as_openai(status, code, detail) if instance.startswith(OPENAI_PATHS) else None,
    )
    retry = {"Retry-After": _RETRY_SOONER.get(code, RETRY_SECONDS)} if status in _RETRIED else {}
    content = problem.model_dump(exclude_defaults=True)
    return JSONResponse(content, status, headers={**retry, **(headers or {})}, media_type=MEDIA_TYPE)


def _as_openai(status: HTTPStatus, code: str, detail: str) -> OpenAIError:
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    return OpenAIError(message=detail, type=_OPENAI_TYPES.get(status, kind), code=code)


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, BitextmineError):
        return await _on_unexpected(request, error)
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.error("%s %s: %s: %s", request.method, request.url.path, error.code, error)
    return response(request.url.path, status, error.code, str(error))


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [
        FieldError(where=".".join(map(str, each["loc"]))[:_LONGEST], message=each["msg"][:_LONGEST])
        for each in problems[:_MOST_ERRORS]
    ]
    detail = "; ".join(f"{each.where}: {each.message}" for each in errors[:3])
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return response(request.url.path, status, "invalid-request", detail, errors=errors)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return await _on_unexpected(request, error)
    path, status = request.url.path, HTTPStatus(error.status_code)
    if status is HTTPStatus.BAD_REQUEST:  # FastAPI's for bodies that are not even UTF-8; those that are get a 422
        return response(path, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", "body: not JSON")
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_allowed_methods(request))
        detail = f"{request.method} is not possible here; allowed: {allowed}"
        return response(path, status, "method-not-allowed", detail, headers={"Allow": allowed})
    code = title(status).lower().replace(" ", "-")
    detail = f"there is nothing at {path}" if status is HTTPStatus.NOT_FOUND else str(error.detail)
    return response(path, status, code, detail, headers=error.headers)


def _allowed_methods(request: Request) -> list[str]:
    """The methods of all routes at the request's path: Starlette's own answer names those of the first only."""
    scope = {**request.scope, "path_params": {}}
    found: set[str] = set()
    for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"):
        matches = (route.matches({**scope, "method": method})[0] for route in request.app.routes)
        if Match.FULL in matches:
            found.add(method)
    return sorted(found)


async def _on_disconnect(request: Request, error: Exception) -> JSONResponse:
    """The client went away while it sent its request: nobody reads this answer, and nothing is wrong here."""
    _logger.info("%s %s: the client went away", request.method, request.url.path)
    return response(request.url.path, HTTPStatus.BAD_REQUEST, "invalid-request", "the request ended early")


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = "something went wrong here; the service's log has the details"
    return response(request.url.path, HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail)
