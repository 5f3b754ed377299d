"""What a person sees while a job or a transfer goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bitextmine.client.sources import Progress


@contextmanager
def shown(progress: Progress | bool) -> Iterator[Progress]:
    """What to call with (stage, done, total): what was given; for True, bars on standard error, one a stage."""
    if callable(progress):
        yield progress
    elif progress:
        with _bars() as show:
            yield show
    else:
        yield lambda stage, done, total: None


@contextmanager
def _bars() -> Iterator[Progress]:
    import rich.progress
    from rich.console import Console

    tasks: dict[str, rich.progress.TaskID] = {}
    columns = (
        rich.progress.TextColumn("{task.description:<16}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with rich.progress.Progress(*columns, console=Console(stderr=True)) as bars:

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show
