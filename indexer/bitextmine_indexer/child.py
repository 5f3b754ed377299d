"""The process that does one job: a request as JSON on standard input, JSON lines on standard output.

    {"progress": {"stage": "encode", "done": 512, "total": 9000}}      any number of these
    {"published": true}                                                 and these: an artifact is there, to stay; then
    {"result": {...}}                                                   exit status 0
    {"error": {"code": "invalid-corpus", "detail": "..."}}              2 for a BitextmineError, 1 for anything else

Everything that is printed on the way goes to standard error, as does the log. It knows nothing of Redis.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol

from pydantic import BaseModel

from bitextmine.errors import BitextmineError, DiskFullError, is_disk_full
from bitextmine.jobs.record import JobKind
from bitextmine.logs import LogFormat, configure
from bitextmine.progress import Progress
from bitextmine.resources import Resources
from bitextmine.tenants import DEFAULT_TENANT
from bitextmine.workspace import Workspace

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_REPORTS = 0.25


class ChildRequest(BaseModel):
    """What the worker writes to the process's standard input."""

    kind: JobKind
    spec: dict[str, Any]
    tenant: str = DEFAULT_TENANT
    data_dir: Path
    encoders_dir: Path
    resources: Resources
    log_level: str = "INFO"
    log_format: LogFormat = LogFormat.TEXT
    log_fields: dict[str, str] = {}  # of every line of this process


class Reporter(Progress, Protocol):
    """A Progress that is also told of each artifact that another attempt at the job would find."""

    def published(self) -> None: ...


class Stages(Protocol):
    """What does the work; `bitextmine_indexer.stages.run` outside of tests."""

    def __call__(
        self, kind: JobKind, spec: dict[str, Any], workspace: Workspace, resources: Resources, report: Reporter
    ) -> dict[str, Any]: ...


def main(run: Stages | None = None) -> int:
    """Do the job on standard input; return the exit status."""
    write = _take_standard_output()
    signal.signal(signal.SIGTERM, _unwind)
    try:
        request = ChildRequest.model_validate_json(sys.stdin.buffer.read())
        configure(request.log_level, request.log_format, request.log_fields)
        write({"result": _result(run or _stages(), request, _Reports(write))})
    except BitextmineError as error:
        write(_failure(error.code, str(error)))
        return 2
    except MemoryError as error:
        write(_failure("out-of-memory", f"the job needs more memory than there is: {error}"))
        return 1
    except Exception as error:
        log.exception("the job failed for a reason that nobody foresaw")
        full = isinstance(error, OSError) and is_disk_full(error)
        write(_failure(DiskFullError.default_code if full else "internal-error", f"{type(error).__name__}: {error}"))
        return 1
    return 0


def _result(run: Stages, request: ChildRequest, reports: _Reports) -> dict[str, Any]:
    workspace = Workspace(request.data_dir, request.encoders_dir).of_tenant(request.tenant)
    result = run(request.kind, request.spec, workspace, request.resources, reports)
    reports.flush()
    return result


def _stages() -> Stages:
    from bitextmine_indexer.stages import run  # heavy: it loads FAISS and ONNX Runtime

    return run


class _Reports:
    """A Reporter that writes the first and the last report of every stage, and a few a second in between."""

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write
        self._stage = ""
        self._sent = 0.0
        self._held_back: dict[str, Any] | None = None

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage != self._stage:
            self.flush()
            self._stage, self._sent = stage, 0.0
        self._held_back = {"stage": stage, "done": int(done), "total": None if total is None else int(total)}
        if done == total or time.monotonic() - self._sent >= _SECONDS_BETWEEN_REPORTS:
            self.flush()

    def published(self) -> None:
        """Written at once: it decides whether the death of this process counts."""
        self._write({"published": True})

    def flush(self) -> None:
        """Write what was held back."""
        if self._held_back is not None:
            self._write({"progress": self._held_back})
            self._held_back, self._sent = None, time.monotonic()


def _take_standard_output() -> Callable[[dict[str, Any]], None]:
    """Keep standard output for the protocol: whatever else is printed, by native libraries too, goes to the log."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def write(line: dict[str, Any]) -> None:
        stream.write(json.dumps(line) + "\n")

    return write


def _failure(code: str, detail: str) -> dict[str, Any]:
    return {"error": {"code": code, "detail": " ".join(detail.split())}}


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    """Unwind the stack, so that staging directories go, before the worker loses patience."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
