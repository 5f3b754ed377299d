"""Sending a request until it is answered: what is repeated, how long to wait, and what an error becomes."""

from __future__ import annotations

import random
import secrets
import time
from contextlib import suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from bitextmine.client.steps import Call, Flow, Open, Opened, Read, Repeats, Send, Sleep
from bitextmine.errors import ServiceError

Result = TypeVar("Result")
Model = TypeVar("Model", bound=BaseModel)
FIRST_PAUSE, _LONGEST_PAUSE, _MOST_PATIENCE = 0.5, 10.0, 60.0  # seconds
_TRANSIENT = (429, 503)
LOST = (httpx.RequestError, httpx.StreamError)  # nobody knows whether the request was done


def answered(call: Call) -> Flow[httpx.Response]:
    """The answer to a call, which is no error; sent again while the service is too busy or away.

    Raises:
        ServiceError: what the service refused, or `service-unreachable`.
    """
    repeats: int = yield Repeats()
    for attempt in count():
        try:
            response: httpx.Response = yield Send(call)
        except LOST as error:
            if attempt >= repeats or not _may_repeat(call, error):
                raise unreachable(error) from error
            yield Sleep(pause(attempt))
            continue
        except httpx.InvalidURL as error:
            raise ServiceError(f"the request cannot be sent: {error}", code="invalid-parameter") from error
        if response.status_code in _TRANSIENT and attempt < repeats:
            yield Sleep(_patience(response, attempt))
            continue
        if attempt and attempt < repeats and _being_answered(response):
            yield Sleep(pause(attempt))
            continue
        if attempt and call.method == "DELETE" and response.status_code == httpx.codes.NOT_FOUND:
            return response  # it was deleted the time before
        return checked(response)
    raise AssertionError  # count() does not end


def sent_once(call: Call) -> Flow[httpx.Response]:
    """What was answered, an error or not.

    Raises:
        ServiceError: `service-unreachable`.
    """
    try:
        response: httpx.Response = yield Send(call)
    except LOST as error:
        raise unreachable(error) from error
    return response


def opened(call: Call) -> Flow[Opened]:
    """An answer whose body is still to be read, which is no error. Sent once.

    Raises:
        ServiceError: as above.
    """
    try:
        found: Opened = yield Open(call)
        if found.response.is_error:
            body = b""
            while (block := (yield Read(found))) is not None:
                body += block
            raise problem(found.response, body)
    except LOST as error:
        raise unreachable(error) from error
    return found


def model(kind: type[Model], call: Call) -> Flow[Model]:
    """The answer to a call as a model."""
    response = yield from answered(call)
    return parsed(kind, response)


def parsed(kind: type[Model], response: httpx.Response) -> Model:
    """
    Raises:
        ServiceError: `unexpected-answer`.
    """
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
        raise unexpected(response, f"it is no {kind.__name__} ({what})") from error


def checked(response: httpx.Response) -> httpx.Response:
    """
    Raises:
        ServiceError: the answer is an error, or none of this service's.
    """
    if response.is_success:
        return response
    if response.is_error:
        raise problem(response, response.content)
    raise unexpected(response, f"status {response.status_code}")


def _being_answered(response: httpx.Response) -> bool:
    """Whether the request of the time before is at work still: its connection broke, and the service goes on."""
    if response.status_code != httpx.codes.CONFLICT:
        return False
    return problem(response, response.content).code == "idempotency-key-in-use"


class _Problem(BaseModel):
    """What is read of a problem document."""

    code: str
    detail: str
    errors: list[dict[str, Any]] = []


def problem(response: httpx.Response, body: bytes) -> ServiceError:
    """The error that an answer stands for, also where what stands between has answered."""
    status, wait = response.status_code, retry_after(response)
    try:
        found = TypeAdapter(_Problem).validate_json(body)
    except ValidationError:
        message = f"{response.request.url} answered {status} {response.reason_phrase}".rstrip()
        return ServiceError(message, code="unexpected-answer", status=status, retry_after=wait)
    return ServiceError(found.detail, code=found.code, status=status, retry_after=wait, errors=found.errors)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the answer asks to wait, given as such or as a date; None where it does not say."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def unreachable(error: Exception) -> ServiceError:
    """No answer came, or not the whole of it."""
    where = "the service"
    if isinstance(error, httpx.RequestError):
        with suppress(RuntimeError):  # there is no request yet
            where = f"{error.request.url.scheme}://{error.request.url.netloc.decode()}"
    what = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    return ServiceError(f"{where} {what}: {error or type(error).__name__}", code="service-unreachable")


def with_key(call: Call) -> Call:
    """The call with a key of its own, so that it makes one job however often it is sent."""
    return replace(call, headers={**call.headers, "Idempotency-Key": secrets.token_hex(16)})


def _may_repeat(call: Call, error: Exception) -> bool:
    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return call.repeatable or never_sent


def pause(attempt: int) -> float:
    """Longer each time, and not the same for all clients."""
    longest = min(_LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt)
    return longest * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def _patience(response: httpx.Response, attempt: int) -> float:
    wanted = retry_after(response)
    return pause(attempt) if wanted is None else min(wanted, _MOST_PATIENCE)


def unexpected(response: httpx.Response, why: str) -> ServiceError:
    """An answer that this service does not give."""
    message = f"{response.request.url} did not answer as a bitextmine service does: {why}"
    return ServiceError(message, code="unexpected-answer", status=response.status_code)
