"""A few processes started in order, kept running, and stopped in reverse order. One thread, no process left behind."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

from bitextmine.lifetime import mortal

log = logging.getLogger(__name__)

_TICK = 0.2  # seconds
_QUICK = 5.0  # a process that dies sooner than this after its start has not really started
_QUICK_DEATHS = 5  # so many in a row and all is stopped
_FIRST_DELAY = 0.25  # before a restart; doubled with every quick death
_TAIL = 4096  # bytes of a process's output that are kept to explain its death
_TAIL_LINES = 10
_WRONG_SETTINGS = 2  # the exit status that says that another start would end the same way


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run: `env` is added to this process's own; the next process starts once `ready` says so.

    Lines of output that hold `unsaid` are not passed on; `relogged` ones become records of a logger of that name.
    Told to stop, it has `grace` seconds to do so.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    unsaid: bytes | None = None
    relogged: bool = False
    grace: float = 10.0


class Supervisor:
    """Runs the given processes until SIGTERM or SIGINT; what they write goes to `output`. For the main thread only."""

    def __init__(self, specs: Sequence[ProcessSpec], output: IO[bytes] | None = None) -> None:
        self._selector = selectors.DefaultSelector()
        self._children = [_Child(spec, self._selector, output or sys.stderr.buffer) for spec in specs]
        self._stopping = False
        self._hopeless = False
        self._refused = False

    def run(self) -> int:
        """Start all, watch them, stop all; 0 after a signal, 1 when a process kept dying as soon as it was started, 2
        when one ended with that status, by which it says that its settings are wrong.
        """
        with self._signals():
            try:
                for child in self._children:
                    child.restart_at = time.monotonic()
                    self._watch_until(child.ready)
                self._watch_until(lambda: False)
            finally:
                for child in reversed(self._children):
                    self._stop(child)
                self._selector.close()
        return _WRONG_SETTINGS if self._refused else int(self._hopeless)

    def _watch_until(self, done: Callable[[], bool]) -> None:
        while not self._stopping and not self._hopeless and not done():
            for child in self._children:
                child.keep_running()
                self._refused = self._refused or child.refused
                self._hopeless = self._hopeless or child.hopeless
            self._forward_output()

    def _forward_output(self) -> None:
        for key, _ in self._selector.select(_TICK):
            key.data()

    def _stop(self, child: _Child) -> None:
        deadline = time.monotonic() + child.spec.grace
        child.signal(signal.SIGTERM)
        while child.running and time.monotonic() < deadline:
            self._forward_output()
        child.signal(signal.SIGKILL)
        child.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Child:
    """One process and its successors: started when `restart_at` has come, told dead by `keep_running`."""

    def __init__(self, spec: ProcessSpec, selector: selectors.BaseSelector, output: IO[bytes]) -> None:
        self.spec = spec
        self.restart_at: float | None = None
        self._selector = selector
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._quick_deaths = 0
        self._tail = b""
        self._line = b""
        self.refused = False

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def hopeless(self) -> bool:
        return self.refused or self._quick_deaths >= _QUICK_DEATHS

    def ready(self) -> bool:
        return self.running and self.spec.ready()

    def keep_running(self) -> None:
        if self._process is not None and not self.running:
            self._bury(self._process)
        elif self._process is None and self.restart_at is not None and time.monotonic() >= self.restart_at:
            self._start()

    def signal(self, number: int) -> None:
        """Send a signal to the process and to the group that it leads, if it is there."""
        if self._process is not None and self.running:
            log.info("%s: %s to process %d", self.spec.name, signal.Signals(number).name, self._process.pid)
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def close(self) -> None:
        """Wait for the process and pass on its last output."""
        if self._process is None or self._process.stdout is None:
            return
        self._process.wait()
        while self._forward():
            pass
        self._stop_listening(self._process.stdout)
        self._process.stdout.close()
        self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            mortal(self.spec.argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.spec.env},
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops them in order
        )
        self._started, self._tail, self._line = time.monotonic(), b"", b""
        if self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)
            self._selector.register(self._process.stdout, selectors.EVENT_READ, self._forward)
        log.info("%s: started as process %d", self.spec.name, self._process.pid)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        lived = time.monotonic() - self._started
        self.close()
        self._quick_deaths = self._quick_deaths + 1 if lived < _QUICK else 0
        self.refused = process.returncode == _WRONG_SETTINGS
        end = f"{self.spec.name}: process {process.pid} ended after {lived:.1f} s with status {process.returncode}"
        if self.refused:
            log.error("%s: its settings are wrong", end)
        elif self.hopeless:
            last = self._tail.decode(errors="replace").splitlines()[-_TAIL_LINES:]
            log.error("%s, as %d before it did; its last lines:\n%s", end, _QUICK_DEATHS - 1, "\n".join(last))
        else:
            delay = _FIRST_DELAY * 2**self._quick_deaths
            self.restart_at = time.monotonic() + delay
            log.warning("%s; starting it again in %g s", end, delay)

    def _forward(self) -> bool:
        """Pass on what the process has written; whether there was anything."""
        if self._process is None or self._process.stdout is None:
            return False
        try:
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        if not chunk:
            self._stop_listening(self._process.stdout)
        said = chunk if self.spec.unsaid is None else self._said(chunk, self.spec.unsaid)
        self._tail = (self._tail + said)[-_TAIL:]
        if self.spec.relogged:
            for line in filter(None, said.decode(errors="replace").splitlines()):
                logging.getLogger(self.spec.name).warning("%s", line)
            return bool(chunk)
        with suppress(OSError):  # nobody reads our output any more: the processes go on without
            self._output.write(said)
            self._output.flush()
        return bool(chunk)

    def _said(self, chunk: bytes, unsaid: bytes) -> bytes:
        """The lines that are complete now (all that is left, at the end) but for those that are not to be passed on."""
        lines = (self._line + chunk).splitlines(keepends=True)
        self._line = lines.pop() if chunk and lines and not lines[-1].endswith(b"\n") else b""
        return b"".join(line for line in lines if unsaid not in line)

    def _stop_listening(self, stream: IO[bytes]) -> None:
        with suppress(KeyError):  # a process may close its output long before it ends
            self._selector.unregister(stream)
