"""Logs of the API, the workers and their jobs' processes: a line or a JSON object for each record, on standard error.

What is known of the request or job that is being worked on is put on every line, whoever writes it: `bound` in a block
(and in what it calls, and in threads that take the context along), `configure` for the whole process.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType, TracebackType
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SECRETS = re.compile(
    r"(?P<url>[a-z][a-z0-9+.-]*://)[^\s/@]+@"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]+"
    r"|(?P<key>\bbtm_[0-9a-f]+_)[0-9a-f]+"
    r"|(?P<header>\bauthorization[=:]\s*(?:[a-z]+\s+)?)[^\s,;\"']+"
    r"|(?P<name>\b(?:access_token|api_key|key|password|secret|token)=)[^\s&,;\"']+",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_NOTHING: Mapping[str, str] = MappingProxyType({})
_context: ContextVar[Mapping[str, str]] = ContextVar("bitextmine_log_context", default=_NOTHING)
_process: dict[str, str] = {}  # fields of every line of this process, set once by `configure`


class LogFormat(StrEnum):
    """How a record is written."""

    TEXT = "text"
    JSON = "json"


def configure(level: str, form: LogFormat, fields: Mapping[str, str] = _NOTHING) -> None:
    """Write the records of all loggers, uvicorn's too, to standard error, and what ends a thread or the process.

    Args:
        level: the least severe level that is written, by name.
        form: a line of text or a JSON object a record.
        fields: put on every record of this process.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form is LogFormat.JSON else _Text(TEXT_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    _process.clear()
    _process.update(fields)
    if form is LogFormat.JSON:  # what would be no object of its own
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_thread_death


@contextmanager
def bound(**fields: str | None) -> Iterator[None]:
    """Put fields on every record that is written inside the block; None is left out."""
    token = _context.set({**_context.get(), **_known(fields)})
    try:
        yield
    finally:
        _context.reset(token)


def bind(**fields: str | None) -> None:
    """Put fields on every record from here to the end of the enclosing `bound`, or of the task or thread."""
    _context.set({**_context.get(), **_known(fields)})


def current() -> dict[str, str]:
    """The fields that a record written now would get."""
    return {**_process, **_context.get()}


def origin() -> dict[str, str]:
    """What a job keeps of the request that sends it, to put it on the job's own records: its id and its trace's."""
    return {name: value for name, value in current().items() if name in {"request_id", "trace_id"}}


def request_id(given: str | None) -> str:
    """The id of a request: the client's own if it is 1 to 128 letters, digits and `._:/+=@-`, else a new one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def trace_of(traceparent: str | None) -> dict[str, str]:
    """`trace_id` and `span_id` of a W3C traceparent header; nothing where it is missing or not one."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return {}
    if not (match[2].strip("0") and match[3].strip("0")):
        return {}
    return {"trace_id": match[2], "span_id": match[3]}


def redacted(text: str) -> str:
    """The text without passwords in URLs, bearer tokens, and values of what is named like a secret."""
    return _SECRETS.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    before = match[match.lastgroup or 0]
    return f"{before}***{'@' if match['url'] else ''}"


def _known(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


class _Text(logging.Formatter):
    """One line a record, but for tracebacks: nobody can forge another with a line break, or colour a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        escaped = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], super().formatMessage(record))
        line = redacted(escaped).replace("\n", "\n    ")
        known = " ".join(f"{name}={value}" for name, value in current().items() if value not in line)
        return f"{line} [{known}]" if known else line

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return redacted(super().formatException(ei))


class _Json(JsonFormatter):
    """One JSON object a line, ASCII only, in the words of OpenTelemetry where it has words."""

    def __init__(self) -> None:
        super().__init__(["message"], reserved_attrs=[*RESERVED_ATTRS, "color_message"], json_default=str)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["time"] = time.replace("+00:00", "Z")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        super().add_fields(log_data, record, {})
        log_data["message"] = redacted(record.getMessage())
        log_data.update(current())
        if exception := message_dict.get("exc_info"):
            log_data["exception"] = redacted(exception)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical("the process ends", exc_info=(kind, error, trace))


def _log_thread_death(death: threading.ExceptHookArgs) -> None:
    name = death.thread.name if death.thread else "unknown"
    if death.exc_value is not None and not issubclass(death.exc_type, SystemExit):
        error = (death.exc_type, death.exc_value, death.exc_traceback)
        logging.getLogger(__name__).critical("the thread %s has died", name, exc_info=error)
