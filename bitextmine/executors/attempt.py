"""One run of a task's function: what it returned, or an error that can be sent to another process and read there."""

from __future__ import annotations

import inspect
import os
import pickle
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bitextmine.errors import BitextmineError, DiskFullError, ParameterError, is_disk_full
from bitextmine.executors.task import Task
from bitextmine.progress import Progress


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a run of a function ended.

    Attributes:
        value: what it returned; None where it failed.
        error: why it failed.
        trace: the traceback of an error that is nobody's fault but ours, for the log; else empty.
        seconds: how long it ran.
        where: "pid 123 on host".
    """

    value: Any
    error: BitextmineError | None
    trace: str
    seconds: float
    where: str


def attempt(function: Callable[..., Any], arguments: tuple[Any, ...], progress: Progress) -> Attempt:
    """Call the function. Every Exception is caught; KeyboardInterrupt and SystemExit are not."""
    began = time.monotonic()
    value, error, trace = None, None, ""
    try:
        value = function(*arguments, progress=progress) if _reports(function) else function(*arguments)
    except BitextmineError as refused:
        error = refused
    except Exception as unforeseen:  # noqa: BLE001 - whatever it is, whoever submitted the task must learn of it
        error, trace = _named(unforeseen), traceback.format_exc()
    return Attempt(value, error, trace, time.monotonic() - began, where())


def attempt_sent(content: bytes, progress: Progress) -> bytes:
    """Run what `check_sendable` made elsewhere; the Attempt as bytes to send back."""
    try:
        function, arguments = pickle.loads(content)  # noqa: S301 - from the process that this one works for
    except Exception as error:  # noqa: BLE001 - importing a task's module runs it
        unread = BitextmineError(f"the task cannot be read: {error}")
        return sendable(Attempt(None, unread, traceback.format_exc(), 0.0, where()))
    return sendable(attempt(function, arguments, progress))


def where() -> str:
    """This process, in words."""
    return f"pid {os.getpid()} on {platform.node()}"


def sendable(done: Attempt) -> bytes:
    """The attempt as bytes for another process; one that says so where the value or the error cannot be sent."""
    try:
        content = pickle.dumps(done)
        pickle.loads(content)  # noqa: S301 - our own bytes: an exception may pickle and not come back
    except Exception as error:  # noqa: BLE001 - pickling calls whatever the objects define
        unsent = done.error or BitextmineError(f"what the task returned cannot be sent: {error}")
        plain = BitextmineError(str(unsent), code=unsent.code)
        content = pickle.dumps(Attempt(None, plain, done.trace or traceback.format_exc(), done.seconds, done.where))
    return content


def check_sendable(task: Task) -> bytes:
    """The task's function and arguments as bytes.

    Raises:
        ParameterError: they are no module's function and plain values.
    """
    try:
        return pickle.dumps((task.function, task.arguments))
    except Exception as error:
        raise ParameterError(f"the task {task.name!r} cannot be sent to another process: {error}") from error


def _reports(function: Callable[..., Any]) -> bool:
    return "progress" in inspect.signature(function).parameters


def _named(error: Exception) -> BitextmineError:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, MemoryError):
        return BitextmineError(f"the task needs more memory than there is: {text}", code="out-of-memory")
    if isinstance(error, OSError) and is_disk_full(error):
        return DiskFullError(text)
    return BitextmineError(text)
