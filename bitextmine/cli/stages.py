"""What a person sees while the work goes on: bars on a terminal, a line a stage in a log."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import rich.progress
from rich.console import Console

from bitextmine.progress import Progress, silent

stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def say(message: str) -> None:
    """A line for the person at the terminal; results go to stdout, this goes to stderr."""
    stderr.print(message)


@contextmanager
def progress_shown(verbose: bool = False) -> Iterator[Progress]:
    """A Progress that draws a bar a stage on a terminal; elsewhere a line a stage if `verbose`, or nothing.

    Each report raises the KeyboardInterrupt of a Ctrl-C that was lost, as one is that comes while native code calls
    back into Python, which can only print it.
    """
    with _interrupts_kept() as interrupted:

        def heeding(progress: Progress) -> Progress:
            def report(stage: str, done: int, total: int | None) -> None:
                if interrupted.is_set() and threading.current_thread() is threading.main_thread():
                    raise KeyboardInterrupt
                progress(stage, done, total)

            return report

        if stderr.is_terminal:
            with _bars() as bars:
                yield heeding(bars)
        elif verbose:
            lines = StageLines()
            yield heeding(lines)
            lines.finish()
        else:
            yield heeding(silent)


@contextmanager
def _interrupts_kept() -> Iterator[threading.Event]:
    """An event that a Ctrl-C sets, beside the KeyboardInterrupt that it raises; not where Ctrl-C is ignored."""
    interrupted = threading.Event()

    def keep(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupted
        return
    signal.signal(signal.SIGINT, keep)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class StageLines:
    """A Progress that says how much a stage has done, in how many seconds, when the next one begins."""

    def __init__(self) -> None:
        self._stage, self._done = "", 0
        self._started = self._latest = time.monotonic()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage != self._stage:
            self.finish()
            self._stage = stage
        self._done, self._latest = done, time.monotonic()

    def finish(self) -> None:
        """Say it of the last stage."""
        if self._stage:
            say(f"{self._stage}: {self._done:,} in {self._latest - self._started:.1f} s")
        self._started = self._latest


@contextmanager
def _bars() -> Iterator[Progress]:
    columns = (
        rich.progress.TextColumn("{task.description:<16}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TextColumn("{task.fields[rate]:>12}"),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    tasks: dict[str, rich.progress.TaskID] = {}
    with rich.progress.Progress(*columns, console=stderr) as bars:

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, rate="")
            speed = bars.tasks[tasks[stage]].speed
            bars.update(tasks[stage], completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield show
