"""What a person sees while the work goes on: bars on a terminal, a line a stage in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import rich.progress
from rich.console import Console

from bitextmine.progress import Progress, silent

stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def say(message: str) -> None:
    """A line for the person at the terminal; results go to stdout, this goes to stderr."""
    stderr.print(message)


@contextmanager
def progress_shown(verbose: bool = False) -> Iterator[Progress]:
    """A Progress that draws a bar a stage on a terminal; elsewhere a line a stage if `verbose`, or nothing."""
    if stderr.is_terminal:
        with _bars() as progress:
            yield progress
    elif verbose:
        lines = StageLines()
        yield lines
        lines.finish()
    else:
        yield silent


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
