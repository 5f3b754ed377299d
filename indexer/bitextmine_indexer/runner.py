"""The worker's end of a job's process: start it, read its lines, end it. See child.py for the protocol."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from bitextmine.lifetime import mortal
from bitextmine_indexer.child import ChildRequest

log = logging.getLogger(__name__)

_GRACE = 1.0  # seconds from SIGTERM to SIGKILL
_FAREWELL = 5.0  # seconds that a process may take to end after its last line


@dataclass(frozen=True, slots=True)
class Succeeded:
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The job itself failed; another attempt would fail the same way."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Died:
    """The process ended without a word; `how` says what ended it."""

    how: str


Outcome = Succeeded | Failed | Died


@dataclass(frozen=True, slots=True)
class Report:
    """Where the job is: `done` of `total` units of `stage`."""

    stage: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Published:
    """The job has finished something that another attempt would find."""


class ChildProcess:
    """One job's process, for one thread of the worker. Leaving the context ends it and all processes of its group.

    `outcome` is None for as long as it works. Whatever happens to the worker, the process does not outlive it.
    """

    def __init__(self, command: Sequence[str], request: ChildRequest) -> None:
        self.outcome: Outcome | None = None
        self._process = subprocess.Popen(
            mortal(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._unread = b""
        self._selector = selectors.DefaultSelector()
        if self._process.stdout is not None:
            self._selector.register(self._process.stdout, selectors.EVENT_READ)
        with suppress(BrokenPipeError):  # it died at once, as its exit status will tell
            self._send(request)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self.outcome, Succeeded | Failed):
            self._wait(_FAREWELL)
        self.end()
        self._selector.close()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def reports(self, timeout: float) -> list[Report | Published]:
        """What the process has said, after waiting up to `timeout` seconds for it; sets `outcome` when it is done."""
        found: list[Report | Published] = []
        for key, _ in self._selector.select(timeout):
            chunk = os.read(key.fd, 1 << 16)
            if not chunk:
                self._selector.unregister(key.fileobj)
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for line in lines:
                if (report := self._understood(line)) is not None:
                    found.append(report)
            if chunk:
                return found
        if self.outcome is None and self._exited():
            self.outcome = Died(self._end_of_process())
        return found

    def end(self) -> None:
        """End the process and its group: ask, wait a second, kill. Harmless when it has ended already."""
        if self._process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        self._wait(_GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _send(self, request: ChildRequest) -> None:
        if self._process.stdin is not None:
            with self._process.stdin as stream:
                stream.write(request.model_dump_json().encode())

    def _understood(self, line: bytes) -> Report | Published | None:
        match json.loads(line):
            case {"progress": {"stage": stage, "done": done, "total": total}}:
                return Report(stage, done, total)
            case {"published": _}:
                return Published()
            case {"result": result}:
                self.outcome = Succeeded(result)
            case {"error": {"code": code, "detail": detail}}:
                self.outcome = Failed(code, detail)
        return None

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._exited() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _exited(self) -> bool:
        """Whether the process has ended; it is not reaped yet, so that its id, and its group's, stays its own."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _end_of_process(self) -> str:
        self._signal(signal.SIGKILL)  # what it may have left behind
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return "killed by SIGKILL, as the kernel does when memory runs out"
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
